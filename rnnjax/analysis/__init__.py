"""Analyses of a network: its gradient lag by lag, its Lyapunov exponents, its units, and the effect of clipping."""
