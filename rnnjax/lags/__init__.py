"""How far back a gradient reaches: the measurement, its tables and figures."""
