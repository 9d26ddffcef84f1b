"""Loops over time of a layer of LSTM units, product and gates fused into one kernel that numba compiles for a CPU.

Numba is an extra: it is imported where a kernel is asked for, and nowhere else.
"""

import platform
import sys
from collections.abc import Callable
from importlib.util import find_spec

import jax

from rnnjax.errors import UserError
from rnnjax.model.network import Model

Kernel = Callable[..., tuple[Callable, Callable] | None]
"""(cell, layer, inputs) -> `manual.forward` and `manual.backward` for a layer, or None where it has none."""

MULTIPLE = 64
"""Units of a layer that one panel of Wᵀ has; a layer has a multiple."""


def installed() -> bool:
    """True where numba is."""
    return find_spec("numba") is not None


def kernel() -> Kernel:
    """The kernel that numba compiles.

    Raises:
      UserError: without numba.
    """
    if not installed():
        raise UserError("gradient.kernel is numba, which is not installed: pip install 'rnnjax[kernels]'")
    from rnnjax.gradients.fused.layer import loops

    return loops


def refuse(model: Model) -> str | None:
    """The reason why the kernel cannot be applied to a network; None where it can."""
    here = jax.default_backend()
    reasons = {
        f"the kernel numba is for a CPU, and this is a {here}": here != "cpu",
        f"the kernel numba is for Linux on x86-64, and this is {sys.platform} on {platform.machine()}": not known(),
        f"the kernel numba computes the cell lstm, and this is {model.cell.name}": model.cell.name != "lstm",
        "the kernel numba normalises no product": model.layer_norm,
        "the kernel numba learns no initial state": model.learned_state,
        f"the kernel numba needs a multiple of {MULTIPLE} units": model.hidden % MULTIPLE != 0,
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def known() -> bool:
    """True of the systems on which the kernel was tried."""
    return sys.platform == "linux" and platform.machine() == "x86_64"
