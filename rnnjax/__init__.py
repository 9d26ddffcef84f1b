"""Recurrent networks as pure functions in JAX.

Its rooms, and the order in which they import each other, are one picture: docs/architecture.md, which a test holds to
the linter's contract. `python -m rnnjax.train --help` and its like are the doors.
"""

import os
import signal
import sys

AS_DOOR = sys.argv[:1] == ["-m"] and any(word.startswith("rnnjax.") for word in sys.orig_argv)
"""True while Python looks for the door that it was told to run."""


def _end(*_: object) -> None:
    """Ends a door that a signal reaches before it can listen."""
    os.write(2, b"\nrnnjax: interrupted before it began\n")
    os._exit(130)


if AS_DOOR:  # what answers Ctrl-C begins here, before the long imports
    for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if _number == signal.SIGINT or signal.getsignal(_number) == signal.SIG_DFL:
            signal.signal(_number, _end)

from importlib import import_module  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from rnnjax import fixed_points as fixed_points
    from rnnjax import sample as sample
    from rnnjax import train as train
    from rnnjax.compare.certify import certify as certify
    from rnnjax.gradients.of_step import gradient as gradient
    from rnnjax.gradients.online import online as online
    from rnnjax.gradients.over_time import unroll as unroll
    from rnnjax.lags.forecast import forecast as forecast
    from rnnjax.model import loss as losses
    from rnnjax.model.cells import Cell as Cell
    from rnnjax.model.stack import network as network
    from rnnjax.trained import load as load

FACE = {
    "gradient": "rnnjax.gradients.of_step:gradient",
    "online": "rnnjax.gradients.online:online",
    "certify": "rnnjax.compare.certify:certify",
    "forecast": "rnnjax.lags.forecast:forecast",
    "unroll": "rnnjax.gradients.over_time:unroll",
    "losses": "rnnjax.model.loss",
    "fixed_points": "rnnjax.fixed_points",
    "Cell": "rnnjax.model.cells:Cell",
    "network": "rnnjax.model.stack:network",
    "train": "rnnjax.train",
    "sample": "rnnjax.sample",
    "load": "rnnjax.trained:load",
}
"""The place of each name of the library: a module, or a name in one. `train`, `sample`, `fixed_points` are called."""

__all__ = [
    "Cell",
    "certify",
    "fixed_points",
    "forecast",
    "gradient",
    "load",
    "losses",
    "network",
    "online",
    "sample",
    "train",
    "unroll",
]

if AS_DOOR:
    from rnnjax.run.interrupt import listen

    listen()


def __getattr__(name: str) -> Any:
    """A name of the library, imported when it is first asked for."""
    if name not in FACE:
        raise AttributeError(f"module 'rnnjax' has no attribute {name!r}")
    module, _, attribute = FACE[name].partition(":")
    return getattr(import_module(module), attribute) if attribute else import_module(module)


def __dir__() -> list[str]:
    """The names of the library beside those that are loaded."""
    return sorted({*globals(), *FACE})
