"""A look at the data before training: tables and figures of a corpus."""
