"""Training by gradients: the optimiser, the jitted chunk of steps, and the held-out loss."""
