"""Studies: what a field of the config does, over seeds, with error bars."""
