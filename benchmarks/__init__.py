"""Measurements: every figure in the README comes from one of these commands or from a run."""
