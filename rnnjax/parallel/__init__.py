"""Recurrences without a loop over time: Newton's method on the whole trajectory, and its derivative."""
