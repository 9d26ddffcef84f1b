"""A run is a directory: config, environment, metrics, samples, plots, checkpoints. Files, screens and clocks live here."""
