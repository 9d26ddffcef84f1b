"""What a network does with time: its gradient lag by lag, its exponents, its units; and what clipping does to it."""
