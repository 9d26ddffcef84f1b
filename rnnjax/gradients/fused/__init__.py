"""Loops over time of a layer, product and units fused into one kernel that numba compiles for a CPU.

Numba is an extra: it is imported where a kernel is asked for, and nowhere else.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from platform import machine

import jax

from rnnjax.errors import UserError
from rnnjax.model.cells import CELLS, Cell
from rnnjax.model.network import Model

Kernel = Callable[..., tuple[Callable, Callable] | None]
"""(cell, layer, inputs) -> `manual.forward` and `manual.backward` for a layer, or None where it has none."""

MULTIPLE = 64
"""Units of a layer that one panel of Wᵀ has; a layer is filled up to a multiple with units that stay 0."""

TRIED = ("linux", "x86_64")
"""System and processors on which the kernel was tried."""

MISSING = "numba is not installed, or cannot be imported: pip install 'rnnjax[kernels]'"


def knows(cell: Cell) -> bool:
    """True of a cell that the kernel computes; one of a user may have the same name."""
    return cell in (CELLS["lstm", "tanh"], CELLS["vanilla", "tanh"])


def installed() -> bool:
    """True where numba is, and can be imported: one may be too old for the NumPy beside it."""
    try:
        import_module("numba")
    except (ImportError, OSError):  # OSError: LLVM's library does not load
        return False
    return True


def kernel() -> Kernel:
    """The kernel that numba compiles.

    Raises:
      UserError: without numba.
    """
    if not installed():
        raise UserError(f"gradient.kernel numba: {MISSING}")
    from rnnjax.gradients.fused.layer import loops

    return loops


def refusal(model: Model) -> str | None:
    """The reason why the kernel cannot compute a network here; None where it can."""
    reasons = {
        MISSING: not installed(),
        f"it is for a CPU, and this is a {jax.default_backend()}": jax.default_backend() != "cpu",
        f"it is for Linux on x86-64, and this is {sys.platform} on {machine()}": (sys.platform, machine()) != TRIED,
        f"it is for the cells lstm and vanilla with tanh, not {model.cell.name}": not knows(model.cell),
        "it has no layer norm and no learned state": model.layer_norm or model.learned_state,
    }
    return next((reason for reason, applies in reasons.items() if applies), None)
