"""The effect of clipping on real gradients: the measurement, its tables and figures."""
