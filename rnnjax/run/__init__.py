"""A run is a directory: config, environment, metrics, samples, figures, checkpoints. Files and screens live here."""
