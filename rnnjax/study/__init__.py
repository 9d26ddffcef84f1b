"""Studies: many runs of one question, as few programs as their shapes allow."""
