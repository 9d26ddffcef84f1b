"""The gradient of a window, computed in several ways behind one signature:

    gradient(model, params, carry, batch) -> Gradient(loss, params, carry, new_carry)

Adding a method is one file with such a function, and one line in the table.
"""

from collections.abc import Callable

from rnnjax.gradients import autodiff, manual, textbook
from rnnjax.gradients.result import Gradient

Method = Callable[..., Gradient]

METHODS: dict[str, Method] = {
    "autodiff": autodiff.gradient,
    "manual": manual.gradient,
    "textbook": textbook.gradient,
}
