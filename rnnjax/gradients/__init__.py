"""The gradient of a window, computed in several ways behind one signature:

    gradient(model, params, hyper, carry, batch, trace, noise) -> Gradient(loss, params, carry, new_carry, trace)

Adding a method is one file with such a function and a `method`, and one line in the table.
"""

from collections.abc import Callable

from rnnjax.config import GradientConfig
from rnnjax.gradients import autodiff, manual, textbook
from rnnjax.gradients.method import Method

METHODS: dict[str, Callable[[GradientConfig], Method]] = {
    "autodiff": autodiff.method,
    "manual": manual.method,
    "textbook": textbook.method,
}


def make_method(config: GradientConfig) -> Method:
    """The method that a config asks for."""
    return METHODS[config.method](config)
