"""The exhibits, one a file, each with an `EXHIBIT`."""
