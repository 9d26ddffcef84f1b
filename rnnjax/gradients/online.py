"""The gradient forward in time, one step a call: a pair of functions, as an optimiser of optax is one."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.errors import UserError
from rnnjax.gradients.arguments import arrays, check_leading, check_streams
from rnnjax.gradients.of_step import gradient
from rnnjax.model import recurrence as recurrences
from rnnjax.model.loss import Loss
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Initial, Step

Array = jax.Array
Tree = Any


class Update(NamedTuple):
    """One step forward: the new state and memory, the loss of this step, and what it adds to the gradient."""

    state: Tree
    memory: Tree
    value: Array
    grads: Tree


class Online(NamedTuple):
    """The two functions of a method that goes forward in time.

    Attributes:
      init: (params, state, x_t=None) -> the memory before the first step. With an input, of which only the shape
        matters, it is smaller: it then follows only the parameters that act on the state.
      update: (params, state, memory, x_t, y_t, key=None, *, valid=None, reset=None, weight=None) -> Update.
    """

    init: Callable[..., Tree]
    update: Callable[..., Update]


def online(
    step: Step,
    loss: str | Loss,
    method: str = "uoro",
    *,
    batch_axes: int = 1,
    reduce: Literal["mean", "sum"] = "sum",
    initial: Initial = recurrences.zeros,
    **options: Any,
) -> Online:
    """The gradient of a stream without end, at every step what that step adds to it.

    At fixed parameters the values and gradients of the steps of a window sum up to those of
    `gradient(..., reduce="sum")` over it. The memory does not grow with time.

    >>> import jax.numpy as jnp, rnnjax
    >>> def step(params, state, x):
    ...     state = params["u"] * x + params["w"] * state
    ...     return state, state
    >>> online = rnnjax.online(step, "squared_error", "rtrl", batch_axes=0)
    >>> params, state = {"u": 1.0, "w": 0.5}, 0.0
    >>> memory = online.init(params, state)
    >>> for x, y in ((1.0, 0.0), (1.0, 0.0)):
    ...     state, memory, value, grads = online.update(params, state, memory, x, y)
    ...     print(float(value), float(grads["u"]), float(grads["w"]))
    1.0 2.0 0.0
    2.25 4.5 3.0

    `step`, `loss`, `batch_axes`, `initial` and `options` are as in `gradient`; x_t and y_t lead with the batch axes,
    without time.

    Args:
      method: rtrl, snap or uoro; uoro takes a new key at each step.
      reduce: sum: over the streams. mean: Σ wᵦ Lᵦ / Σ wᵦ over those of each step.

    Raises:
      UserError: as `gradient`, and for a method that does not go forward in time.
    """
    grad = gradient(step, loss, method, batch_axes=batch_axes, reduce=reduce, initial=initial, **options)
    if not grad.method.online:
        raise UserError(f"method {method} looks at a whole window; forward in time go rtrl, snap and uoro")

    def init(params: Tree, state: Tree, x_t: Tree = None) -> Tree:
        params, state = arrays("params", params), arrays("state", state)
        streams, seen = check_streams(state, batch_axes), None
        if x_t is not None:
            x_t = arrays("x_t", x_t)
            check_leading("x_t", x_t, (), streams)
            seen = Batch(x_t, None, jnp.ones(streams))  # type: ignore[arg-type]
        return grad.method.init(grad.recurrence, params, state, seen)

    def update(
        params: Tree, state: Tree, memory: Tree, x_t: Tree, y_t: Tree, key: Array | None = None, **masks: Any
    ) -> Update:
        if memory is None:
            raise UserError("memory is None: init(params, state) makes it")
        xs, ys, masks = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (x_t, y_t, masks))
        found = grad.window(params, state, xs, ys, key=key, memory=memory, **masks)
        return Update(found.new_carry, found.trace, found.loss, found.params)

    return Online(init, update)
