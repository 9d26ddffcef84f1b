"""The certificate: every gradient method held against the exact gradient, and against what theory says of it.

- `instances`: what methods are tried on: the config's own network and text, cut to size, and built-in tiny ones.
- `exact`: what is true, from definitions: JAX's derivatives of the loss, step by step.
- `definitions`: what the methods that leave something out compute, once more, in NumPy.
- `trial`: runs a method as training would, window after window, and measures it.
- `bench`: an instance, what is true of it, and what each method has given on it.
- `matrix`: the verdict on each method, on the config's own network.
- `theory`, `built_in`, `enumeration`: the identities that a method must satisfy, and those that it must not.
- `draws`: whether what a method draws is distributed as it says.
- `full_size`: the config as it is: what the cheap methods cost there, and who would refuse.
- `certificate`: all of it together.

What theory says of a method is its own `gradients.claim.Claim`. Gradients come from the table `gradients.METHODS`
alone, and what they are held against from `exact` and `definitions` alone, so that an error in a method cannot hide in
what it is compared with.
"""
