"""The certificate: every gradient method held against the exact gradient and against theory.

- `instances`: the networks of the trials: the config's own with its text, cut to size, and built-in tiny ones.
- `exact`: the truth by definition: JAX's derivatives of the loss, step by step.
- `loops`: the truth about any step, in loops of Python.
- `definitions`: the approximate and truncated methods, once more, in NumPy.
- `trial`: runs a method as training would, window after window, and measures it.
- `bench`: an instance, its truth, and each method's result on it.
- `matrix`: the verdict on each method, on the config's own network.
- `theory`, `built_in`, `enumeration`: the identities that a method must satisfy, and those that it must not.
- `draws`: the distribution of a method's draws.
- `full_size`: the config at its own size: the cost of the cheap methods, and the methods that refuse.
- `adjoints`: derivatives written by hand, of a step or of a cell, against JAX's.
- `certificate`: all of these together, on a network; `of_step`: on any step.

The claims are written once, for a recurrence: of a network, or of a step.

Each method states its theory in its own `gradients.claim.Claim`. Gradients come from the table `gradients.METHODS`
alone, and their references from `exact` and `definitions` alone, so that an error in a method cannot hide in its
reference.
"""
