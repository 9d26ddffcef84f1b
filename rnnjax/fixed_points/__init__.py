"""Fixed points of a network: a function of the library, and the door `python -m rnnjax.fixed_points`."""

import sys

from rnnjax.analysis.fixed_points import FixedPoints, fixed_points
from rnnjax.callable_module import CallableModule

__all__ = ["FixedPoints", "fixed_points"]

sys.modules[__name__].__class__ = CallableModule
