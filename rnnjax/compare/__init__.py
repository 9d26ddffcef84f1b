"""The certificate of the gradient methods on the screen, as JSON and as a figure."""
