"""A run is a directory: config, environment, metrics, samples, plots, checkpoints. Files and screens live here."""
