"""Faults injected into runs and studies: what survives, what is said, and what is accepted in silence."""
