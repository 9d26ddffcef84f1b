"""The nouns of a recurrent network: its shape, its weights, what it reads, what it carries from window to window."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config.checks import at_least, check, typed
from rnnjax.model.cells import Cell, find

Array = jax.Array
Carry = tuple[Array, ...]
"""The state of each layer, its parts side by side, [B, states·H]: what one window of a stream hands to the next."""


class Layer(NamedTuple):
    """The weights of one recurrent layer; what a network does not have is None.

    Attributes:
      U: [I, G·H].
      W: [H, G·H], or [G·H] of a cell with a diagonal recurrent product, or None of one without.
      bh: [G·H].
      bz: [G·H], the bias of z, for a cell that needs one.
      gain_a: [G·H], layer normalisation of the product with U.
      gain_z: [G·H], layer normalisation of the product with W.
      s0: [states·H], a learned initial state, to which a reset leads back.
      own: [K·H], the K vectors of weights that the cell itself has, such as peepholes.
    """

    U: Array
    W: Any
    bh: Array
    bz: Any = None
    gain_a: Any = None
    gain_z: Any = None
    s0: Any = None
    own: Any = None


class Params(NamedTuple):
    """The weights of a network.

    Attributes:
      layers: from the input to the output; each bidirectional level's forward layer, then its backward one.
      V: [H, V], the read-out ([2·H, V] after a bidirectional level).
      by: [V].
      embedding: a row for each input id [V, E]; None: U is read by id.
    """

    layers: tuple[Layer, ...]
    V: Array
    by: Array
    embedding: Array | None = None


class Batch(NamedTuple):
    """One window of B streams.

    Attributes:
      x: input ids, integer [T, B], or real vectors [T, B, I].
      y: targets, as the loss reads them: ids, integer [T, B], or real vectors [T, B, D].
      weight: [T, B] share of each step in the loss; None counts every step as 1.
      valid: bool [T, B]; where False the state is held, as after the end of a shorter sequence. None: all valid.
      reset: bool [T, B]; where True the state is set to the initial one before the step. None: never.
      noise: for dropout, uniform in [0, 1), [T, B, H] for each level; None: no dropout, as in evaluation.
    """

    x: Array
    y: Array
    weight: Array | None = None
    valid: Array | None = None
    reset: Array | None = None
    noise: tuple[Array, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes of time and batch [T, *B]; of one step [*B]."""
        masks = [mask for mask in (self.weight, self.valid, self.reset) if mask is not None]
        if masks:
            return masks[0].shape
        return self.x.shape if jnp.issubdtype(self.x.dtype, jnp.integer) else self.x.shape[:-1]


@dataclass(frozen=True)
class Model:
    """The shape of a network: hashable, so that it can be a static argument of `jax.jit`.

    Attributes:
      vocabulary: V, the number of output classes, and of input ids; the last id stands for any unknown character.
      hidden: H, the units of each layer. A width has this name in the library, as embedding has; the fields of a config
        say hidden_size and embedding_size.
      layers: L.
      activation: φ of a vanilla or leaky cell, a name in `cells.ACTIVATIONS`; tanh in every other. Empty: the cell's.
      scan_unroll: time steps that one turn of the compiled loop computes; changes speed, not results.
      cell: the equations of a unit; the name of a built-in one stands for it.
      embedding: E, the width of the input's embedding; 0 is none.
      layer_norm: true where the products with U and W are normalised.
      residual: true where each level but the first adds its input to its output.
      learned_state: true where the initial state is a parameter; otherwise it is zero.
      bidirectional: true where each level also runs backward in time, for tasks that have the whole sequence at once.
      dropout: true where training draws noise for it; the rate is in `Hyper`.
      sparsity: the share of W's entries that are zero from the start, and stay so in training.
      inputs: the number of input ids, or the width of input vectors, where it is not V; 0: it is V.
      loss: a name in `loss.LOSSES`, or a function (output, y) -> scalar of one step of one stream.
      over_time: runs a layer over time in the place of `rnn.unroll`, such as `parallel.layer.InParallel`, all steps at
        once; None: one step after the other.
    """

    vocabulary: int
    hidden: int
    layers: int = 1
    activation: str = ""
    scan_unroll: int = 1
    cell: Cell = field(default_factory=lambda: find("vanilla"))
    embedding: int = 0
    layer_norm: bool = False
    residual: bool = False
    learned_state: bool = False
    bidirectional: bool = False
    dropout: bool = False
    sparsity: float = 0.0
    inputs: int = 0
    loss: str | Callable[..., Array] = "cross_entropy"
    over_time: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell", find(self.cell, self.activation))
        object.__setattr__(self, "activation", self.cell.activation)
        typed(self)
        at_least(1, vocabulary=self.vocabulary, hidden=self.hidden, layers=self.layers, scan_unroll=self.scan_unroll)
        at_least(0, embedding=self.embedding, inputs=self.inputs)
        check(0 <= self.sparsity < 1, "sparsity", self.sparsity, "in [0, 1)")
        for name in ("layer_norm", "sparsity"):  # both are of a matrix W
            dense = self.cell.recurrence == "dense" or not getattr(self, name)
            check(dense, name, getattr(self, name), f"off in the cell {self.cell}, which has no matrix W")

    @property
    def state_width(self) -> int:
        """The numbers of a layer's state, states·H."""
        return len(self.cell.states) * self.hidden

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def output(self) -> int:
        """The width of what each level hands up."""
        return self.directions * self.hidden

    @property
    def width(self) -> int:
        """The number of input ids, or the width of input vectors."""
        return self.inputs or self.vocabulary

    def input(self, level: int) -> int:
        """The width of what each level reads."""
        return self.output if level else self.embedding or self.width


def leaf_name(path: tuple) -> str:
    """The name of a leaf of any tree, such as layers.0.W, from its path as `jax.tree_util` gives it."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def leaf_names(tree: Any) -> list[str]:
    """The names of a tree's leaves, in their order."""
    return [leaf_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def zero_carry(model: Model, batch_shape: tuple[int, ...], dtype: jnp.dtype) -> Carry:
    """The state s₋₁ = 0 for streams of the given batch shape."""
    return tuple(jnp.zeros((*batch_shape, model.state_width), dtype) for _ in range(model.layers * model.directions))


def initial_carry(model: Model, params: Params, batch_shape: tuple[int, ...]) -> Carry:
    """The state before the first step of a sequence: zero, or the learned one."""
    zero = zero_carry(model, batch_shape, params.V.dtype)
    if not model.learned_state:
        return zero
    return tuple(jnp.broadcast_to(layer.s0, state.shape) for layer, state in zip(params.layers, zero, strict=True))
