"""The reach of a gradient back in time: the measurement, its tables and figures."""
