"""Recurrent networks as pure functions in JAX.

Its rooms, and the order in which they import each other, are one picture: docs/architecture.md, which a test holds to
the linter's contract. `python -m rnnjax.train --help` and its like are the doors.
"""

import sys
from importlib import import_module
from typing import Any

FACE = {"train": "rnnjax.train", "sample": "rnnjax.sample", "load": "rnnjax.trained"}
"""The module that each name of the library is in; `train` and `sample` are modules that are called like functions."""

if sys.argv[:1] == ["-m"] and any(word.startswith("rnnjax.") for word in sys.orig_argv):
    # Python looks for the door that it was told to run: what answers Ctrl-C begins here, before the long imports.
    from rnnjax.run.interrupt import listen

    listen()


def __getattr__(name: str) -> Any:
    """A name of the library, imported when it is first asked for."""
    if name not in FACE:
        raise AttributeError(f"module 'rnnjax' has no attribute {name!r}")
    module = import_module(FACE[name])
    return module if module.__name__ == f"rnnjax.{name}" else getattr(module, name)
