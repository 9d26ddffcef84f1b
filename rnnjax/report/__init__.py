"""The report of a study: what was measured, with intervals, as one page."""
