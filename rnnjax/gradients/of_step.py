"""The gradient of any step over a window, by any method that needs no structure of a network."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.config.checks import check, check_options
from rnnjax.errors import UserError
from rnnjax.gradients import make_applicable, make_method
from rnnjax.gradients.arguments import check_key, check_one_type, read
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.model import recurrence as recurrences
from rnnjax.model.loss import Loss, make_loss
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Adjoint, Initial, Recurrence, Step, of_network, of_step, precision
from rnnjax.model.stack import network_of

Array = jax.Array
Tree = Any

OPTIONS = [field.name for field in fields(GradientConfig) if field.name not in ("method", "kernel")]
"""Options of a gradient method, by name. Numba's kernel computes the package's own layers alone."""


@dataclass(frozen=True, eq=False)
class StepGradient:
    """A function of a window, from `gradient`; pure, and so `jax.jit` takes it."""

    step: Step
    loss: Loss
    batch_axes: int
    recurrence: Recurrence
    method: Method
    config: GradientConfig

    def __call__(self, params: Tree, state: Tree, xs: Tree, ys: Tree, **options: Any) -> tuple[Array, Tree]:
        """The loss of a window and its derivative by the parameters; the arguments are those of `window`."""
        found = self.window(params, state, xs, ys, **options)
        return found.loss, found.params

    def window(
        self,
        params: Tree,
        state: Tree,
        xs: Tree,
        ys: Tree,
        *,
        valid: Any = None,
        reset: Any = None,
        weight: Any = None,
        key: Array | None = None,
        memory: Tree = None,
    ) -> Gradient:
        """All that is found of a window.

        Args:
          params: any tree of arrays. Those of floating-point numbers have derivatives.
          state: before the first step, each leaf [*B, ...].
          xs: the inputs of the step, any tree of arrays [T, *B, ...].
          ys: the targets of the loss, any tree of arrays [T, *B, ...].
          valid: bool [T, *B]; where False the state is held. Without a weight such a step counts nothing.
          reset: bool [T, *B]; where True the state is set to the initial one before the step.
          weight: [T, *B], the share of each step in the loss, valid or not. None: 1 for each valid step.
          key: a key of `jax.random`, for a method that draws: artbp, uoro, forward_gradient, spsa.
          memory: the `trace` that rtrl, snap or uoro gave with the window before. None: the stream begins here.

        Returns:
          The loss; `params` and `carry`, its derivatives by the parameters and by the initial state, None in place of
          every array that is not real; `new_carry`, the state after the window; `trace`, the memory.

        Raises:
          UserError: for an argument that does not fit the step, and without a key where the method draws.
        """
        self.check_memory(memory)
        masks = (valid, reset, weight)
        params, state, batch = read(self.step, self.loss, self.batch_axes, params, state, xs, ys, masks)
        if self.method.online:
            check_one_type(params, state)
        hyper = self.check_network(batch, precision(params))
        if memory is None:
            memory = self.method.init(self.recurrence, params, state, jax.tree.map(lambda leaf: leaf[0], batch))
        noise = None
        if self.method.random:
            if key is None:
                raise UserError("this method draws random numbers: give it key=jax.random.key(...)")
            check_key(key)
            noise = self.method.draw(key, self.recurrence, params, state, batch.shape[0])
        found = self.method.gradient(self.recurrence, Window(params, hyper, state, batch, memory, noise))
        return found if valid is None else unless_held(found, batch, state, memory)

    def check_memory(self, memory: Tree) -> None:
        """Raises UserError for a memory that is not one of the method's."""
        types = self.method.memory
        if memory is not None and not isinstance(memory, types):
            allowed = " or ".join(type.__name__ for type in types) or "None, as this method has none"
            raise UserError(
                f"memory is of the type {type(memory).__name__}, but must be {allowed}, from the window or the step "
                "before; in rnnjax.online state comes before memory"
            )

    def check_network(self, batch: Batch, dtype: Any) -> Any:
        """The numbers of a network that are no weights, where the method can be applied to its windows."""
        network = network_of(self.step)
        if network is None:
            return ()
        T, *streams = batch.shape
        make_applicable(self.config, network.model, T, math.prod(streams), str(dtype))
        return network.hyper


def unless_held(found: Gradient, batch: Batch, state: Tree, memory: Tree) -> Gradient:
    """The gradient of a window; where no step is valid or counts, that of nothing: state and memory as they were."""
    loss, params, carry = jax.tree.map(jnp.zeros_like, (found.loss, found.params, found.carry))
    before = Gradient(loss, params, carry, new_carry=state, trace=memory, spent=found.spent)
    some = jnp.any(jnp.asarray(batch.valid) | (jnp.asarray(batch.weight) != 0))
    return jax.tree.map(lambda now, then: jnp.where(some, now, then), found, before)


def gradient(
    step: Step,
    loss: str | Loss,
    method: str = "manual",
    *,
    batch_axes: int = 1,
    reduce: Literal["mean", "sum"] = "mean",
    adjoint: Adjoint | None = None,
    initial: Initial = recurrences.zeros,
    **options: Any,
) -> StepGradient:
    """The gradient of a step's loss over a window of time.

        sₜ, oₜ = step(params, sₜ₋₁, xₜ)      L = Σ wₜ loss(oₜ, yₜ) / Σ wₜ

    >>> import jax.numpy as jnp, rnnjax
    >>> def step(params, state, x):
    ...     state = params["u"] * x + params["w"] * state
    ...     return state, state
    >>> grad = rnnjax.gradient(step, rnnjax.losses.squared_error, "rtrl", batch_axes=0)
    >>> xs, ys = jnp.array([1.0, 1.0]), jnp.array([0.0, 0.0])
    >>> value, grads = grad({"u": 1.0, "w": 0.5}, 0.0, xs, ys)
    >>> float(value)  # states 1 and 1.5: (1² + 1.5²) / 2
    1.625
    >>> float(grads["u"]), float(grads["w"])  # 1·1 + 1.5·1.5, and 1.5·1
    (3.25, 1.5)

    Args:
      step: (params, state, x_t) -> (state, output) of one stream at one time. Any pure function of trees of arrays; or
        the step of an `rnnjax.network`.
      loss: (output, y_t) -> scalar of one stream at one time, or a name: cross_entropy, squared_error, bernoulli.
      method: its name: autodiff, manual, textbook, checkpointed, parallel_scan, deer, rtrl, finite_difference;
        truncated, snap; at random artbp, uoro, forward_gradient, spsa; of a network also kf_rtrl, rflo and
        truncated_gates.
      batch_axes: leading axes of the state, and after time of xs and ys, over which the step is mapped.
      reduce: mean: L as above. sum: without the division by Σ wₜ.
      adjoint: (params, state, x_t, d_state, d_output) -> (d_params, d_state_before), the step's pull-back written by
        hand, which manual then uses.
      initial: (params, state of one stream) -> the state that a reset leads to; zeros where nothing else is said.
      options: fields of `GradientConfig`, such as k2_steps=20 or directions=8.

    Returns:
      (params, state, xs, ys) -> (value, grads), with the options of `StepGradient.window`, which gives more: the
      derivative by the initial state, the state after the window, and the memory of a method that goes forward in time.

    Raises:
      UserError: for a method or an option that is not there, and for a method that cannot be applied to a step.
    """
    check_options(options, OPTIONS)
    check(reduce in ("mean", "sum"), "reduce", reduce, "mean or sum")
    check(isinstance(batch_axes, int) and batch_axes >= 0, "batch_axes", batch_axes, "an integer of at least 0")
    check(callable(step), "step", step, "a function (params, state, x) -> (state, output)")
    check(adjoint is None or method == "manual", "method", method, "manual where an adjoint is given: only it uses one")
    config = GradientConfig(method=method, **options)  # type: ignore[arg-type]  # checked where it is made
    found = make_method(config)
    network = network_of(step)
    if network:
        check(adjoint is None, "adjoint", adjoint, "None for a network, whose cell brings its own")
        check(initial is recurrences.zeros, "initial", initial, "left out for a network: learned_state=True learns it")
        recurrence = replace(of_network(replace(network.model, loss=loss)), reduce=reduce)
    elif found.needs:
        raise UserError(f"method {method}: {found.needs}")
    else:
        recurrence = of_step(step, loss, batch_axes=batch_axes, initial=initial, reduce=reduce, adjoint=adjoint)
    return StepGradient(step, loss if callable(loss) else make_loss(loss), batch_axes, recurrence, found, config)
