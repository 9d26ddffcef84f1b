"""The certificate: every gradient method held against the exact gradient, and against what theory says of it.

- `instances`: what methods are tried on: the config's own network and text, cut to size, and built-in tiny ones.
- `exact`: what is true, from definitions: derivatives of a loss that is written here once more, step by step.
- `claims`: what theory says of each method: equal to what, and when.
- `trial`: runs a method as training would, window after window, and measures it.
- `bench`: an instance, what is true of it, and what each method has given on it.
- `matrix`: the verdict on each method, on the config's own network.
- `theory`, `online`, `enumeration`: the identities that a method must satisfy, and those that it must not.
- `full_size`: the config as it is: what the cheap methods cost there, and who would refuse.
- `certificate`: all of it together.

Gradients come from the table `gradients.METHODS` alone, and what they are held against from `exact` alone, so that an
error in a method cannot hide in what it is compared with.
"""
