"""The report of a study: its results with intervals, on one page."""
