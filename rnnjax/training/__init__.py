"""Turning gradients into a trained network: the optimiser, the jitted chunk of steps, and the held-out loss."""
