"""The chapter worked through in numbers."""
