"""A network of cells as a step: the built-in stacks, and those of a cell of one's own."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from rnnjax.config.checks import at_least, check, fits, more_than_zero
from rnnjax.errors import UserError
from rnnjax.model import rnn
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Batch, Carry, Model, Params, initial_carry
from rnnjax.model.shapes import check_params

Array = jax.Array
Init = Literal["normal", "uniform", "orthogonal", "identity"]


@dataclass(frozen=True)
class Network:
    """A network of cells, from `network`. Its functions are pure; its parameters are `Params`, a tree of arrays.

    Attributes:
      model: its shape.
      hyper: its numbers that are neither weights nor shape.
      weights: the name of the distribution of the first weights, its scale, and the bias of a forget gate.
    """

    model: Model
    hyper: Hyper
    weights: tuple[Init, float, float]

    def init(self, key: Array, dtype: Any = "float32") -> Params:
        """Draws the first weights.

        Args:
          key: a key of `jax.random`.
          dtype: precision of the weights, and with them of all that is computed.

        Raises:
          UserError: for what is no key, or no type of floating-point numbers.
        """
        is_key = jnp.issubdtype(getattr(key, "dtype", None) or int, jax.dtypes.prng_key)
        check(is_key, "key", key, "a key such as jax.random.key(0)")
        check(is_floating(dtype), "dtype", dtype, "a type of floating-point numbers, such as float32")
        name, scale, forget_bias = self.weights
        return init_params(key, self.model, name, scale, jnp.dtype(dtype), forget_bias)

    def state(self, params: Params, *streams: int) -> Carry:
        """The state before the first step, of so many streams: an array [*B, states·H] for each layer."""
        are_counts = all(fits(count, int) and count >= 0 for count in streams)
        check(are_counts, "streams", streams, "counts, as in state(params, 32)")
        check_params(self.model, params)
        return initial_carry(self.model, params, streams)

    def step(self, params: Params, state: Carry, x: Array) -> tuple[Carry, Array]:
        """One time step, of one stream or of many.

        Args:
          state: from `state`, or from the step before.
          x: ids, integer [*B], each in [0, inputs), or real vectors [*B, inputs].

        Returns:
          The new state, and the outputs [*B, outputs]: logits, or whatever the loss takes.

        Raises:
          UserError: for a shape that does not fit, or an id out of range outside `jax.jit`.
        """
        return rnn.step(self.model, params, self.hyper, state, Batch(jnp.asarray(x), None))  # type: ignore[arg-type]

    def apply(
        self, params: Params, xs: Array, state: Carry | None = None, *, valid: Any = None, reset: Any = None
    ) -> tuple[Carry, Array]:
        """All steps of a window: the same as `step` at each, with one product for the inputs of all.

        Args:
          xs: ids, integer [T, *B], or real vectors [T, *B, inputs].
          state: before the first step; None: the initial one.
          valid: bool [T, *B]; where False the state is held.
          reset: bool [T, *B]; where True the state is set to the initial one before the step.

        Returns:
          The state after the window, and the outputs of every step [T, *B, outputs].

        Raises:
          UserError: as `step`.
        """
        valid, reset = (None if mask is None else jnp.asarray(mask) for mask in (valid, reset))
        batch = Batch(jnp.asarray(xs), None, valid=valid, reset=reset)  # type: ignore[arg-type]
        if not batch.shape:
            raise UserError("xs has no axis of time: it must be ids [T, *B], or real vectors [T, *B, inputs]")
        if state is None:
            state = self.state(params, *batch.shape[1:])
        return rnn.apply(self.model, params, self.hyper, state, batch)


def network(
    cell: str | Cell = "vanilla",
    hidden: int = 100,
    layers: int = 1,
    outputs: int = 1,
    *,
    inputs: int = 0,
    init: Init = "orthogonal",
    init_scale: float | None = None,
    forget_bias: float = 1.0,
    leak: float = Hyper().leak,  # type: ignore[assignment]
    **shape: Any,
) -> Network:
    """A stack of recurrent layers, each reading the one below, and a linear read-out.

    Source: Elman, 1990, "Finding structure in time"; the cells name papers of their own.

        sₜ = cell(xₜ U + bh, hₜ₋₁ W, sₜ₋₁)      ŷₜ = hₜ V + by

    Its `step` goes into `rnnjax.gradient`, `online` and `certify` as any step does, and keeps there what is faster on a
    network of cells, and the methods that only such a network has: kf_rtrl, rflo and truncated_gates.

    >>> import jax, jax.numpy as jnp, rnnjax
    >>> net = rnnjax.network(cell="gru", hidden=8, layers=2, outputs=3)
    >>> params = net.init(jax.random.key(0))
    >>> params.layers[0].U.shape, params.V.shape  # three gates side by side; the input is an id out of 3
    ((3, 24), (8, 3))
    >>> xs = jnp.array([[0], [2], [1]])  # three steps of one stream
    >>> state, logits = net.apply(params, xs)
    >>> logits.shape, [layer.shape for layer in state]
    ((3, 1, 3), [(1, 8), (1, 8)])
    >>> state, output = net.step(params, net.state(params, 1), xs[0])  # the same, one step at a time
    >>> bool(jnp.allclose(output, logits[0]))
    True
    >>> grad = rnnjax.gradient(net.step, "cross_entropy", "manual")
    >>> zero = jax.tree.map(jnp.zeros_like, params)
    >>> value, grads = grad(zero, net.state(zero, 1), xs, xs)
    >>> f"{value:.4f}", [f"{number:.4f}" for number in grads.by]  # log 3; 1/3 less the share of each class, 1/3
    ('1.0986', ['0.0000', '0.0000', '0.0000'])

    Args:
      cell: a name (vanilla, leaky, gru, lstm, lstm_peephole, lstm_1997, minimal_gated, min_gru), or a `rnnjax.Cell`.
      hidden: H, units of each layer; `model.hidden_size` in a config.
      layers: L.
      outputs: width of the output: classes, targets or labels.
      inputs: width of real input vectors, or the number of input ids; 0: as many as outputs, which are then classes.
      init: first weights: normal, uniform, orthogonal or identity, see `model.initializers.init_params`.
      init_scale: standard deviation of normal (by default 0.1), factor on W of orthogonal and identity (1).
      forget_bias: added to the bias of the forget gate at the start, where a cell has one.
      leak: share of a leaky unit's state that one step renews.
      shape: further fields of `model.network.Model`: activation, embedding, layer_norm, residual, learned_state,
        sparsity, scan_unroll.

    Raises:
      UserError: in one line, for an argument that is not there or out of range.
    """
    allowed = ("activation", "embedding", "layer_norm", "residual", "learned_state", "sparsity", "scan_unroll")
    for name in shape:
        check(name in allowed, "an argument", name, f"one of cell, hidden, layers, outputs, {', '.join(allowed)}")
    check(fits(init, Init), "init", init, "one of normal, uniform, orthogonal, identity")
    check(fits(outputs, int), "outputs", outputs, "an integer")
    at_least(1, outputs=outputs)
    scale = (0.1 if init == "normal" else 1.0) if init_scale is None else init_scale
    for name, number in {"init_scale": scale, "forget_bias": forget_bias, "leak": leak}.items():
        check(fits(number, float), name, number, "a number")
    more_than_zero(init_scale=scale)
    check(0 < leak <= 1, "leak", leak, "above 0 and at most 1")
    model = Model(outputs, hidden, layers, cell=cell, inputs=inputs, **shape)  # type: ignore[arg-type]
    said = inputs != 0 or outputs > 1
    check(
        said, "inputs", inputs, "said where outputs is 1: the width of real input vectors, or the number of input ids"
    )
    return Network(model, Hyper(leak=leak), (init, scale, forget_bias))


def is_floating(dtype: Any) -> bool:
    """True for what names a type of floating-point numbers."""
    try:
        return jnp.issubdtype(jnp.dtype(dtype), jnp.floating)
    except TypeError:
        return False


def network_of(step: Any) -> Network | None:
    """The network whose `step` this is; None of any other function."""
    owner = getattr(step, "__self__", None)
    return owner if isinstance(owner, Network) and step == owner.step else None
