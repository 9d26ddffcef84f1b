"""The fields `model.*` of a config."""

import math
from dataclasses import dataclass
from typing import Literal

from rnnjax.config.checks import at_least, check, more_than_zero, typed

SIMPLE = ("vanilla", "leaky")
"""The cells whose activation can be chosen."""

CELLS = (*SIMPLE, "gru", "lstm", "lstm_peephole", "lstm_1997", "minimal_gated", "min_gru")
"""The built-in cells, in the order of `model.cells`."""

MOST_LAYERS = 1000
"""Most layers, or steps of an unrolled loop; a compiler takes hours for more."""


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Attributes:
      cell: the recurrent unit. vanilla: the textbook's. leaky: it keeps 1 - leak of its state. gru: reset gate after
        the product, as in PyTorch, Keras and cuDNN. lstm: with a forget gate. lstm_peephole: its gates see the memory.
        lstm_1997: without a forget gate. minimal_gated: one gate. min_gru: no recurrent product. Or a cell of your own,
        path/to/file.py:name, a `rnnjax.model.cells.Cell` in a file that stands alone.
      hidden_size: H, units in each recurrent layer.
      layers: L, recurrent layers, each reading the one below.
      activation: the function of a vanilla or leaky unit; those of all other cells are fixed, as tanh.
      leak: the share of a leaky unit's state that one step renews.
      embedding_size: E, width of a learned vector for each input character; 0 reads U by character.
      dropout: the share of units silenced in training on the way up, between layers and before the read-out.
      layer_norm: normalise the products with U and with W over the units of each gate.
      residual: each layer but the first adds its input to its output.
      learned_state: the state before the first character is learned; otherwise it is zero.
      bidirectional: each layer also runs backward in time, for the tasks that have a whole sequence at once.
      attention: weights of the encoder's states in seq2seq's decoder: none, or general (a bilinear score).
      init: the first weights. normal: all from N(0, init_scale^2), the textbook's. uniform: +-sqrt(1/n) with n
        the width of the layer's input, biases 0. orthogonal: W orthogonal; identity: W = init_scale * I (IRNN); the
        last two with U and V as in uniform and biases 0.
      init_scale: standard deviation of normal (by default 0.1), factor on W of orthogonal and identity (by default 1);
        unused by uniform.
      forget_bias: added to the bias of the forget gate at the start, where a cell has one.
      sparsity: share of W's entries that are fixed at zero, drawn at the start; 0 is a dense W.
      unroll: the way over time of the methods autodiff and manual and of every loss that is measured. sequential: one
        step after the other. deer, quasi, elk, quasi_elk: all steps at once, by Newton's method as gradient.solver has
        it, with gradient.tolerance, iterations, damping, chunk_steps, start and start_steps.
      scan_unroll: time steps in one turn of the compiled loop; changes speed, not results. 0: as many as pay, one on a
        CPU and sixteen on a GPU, where they take seconds longer to compile; a run keeps what it began with.
    """

    cell: str = "vanilla"
    hidden_size: int = 100
    layers: int = 1
    activation: Literal["tanh", "relu", "linear"] = "tanh"
    leak: float = 0.5
    embedding_size: int = 0
    dropout: float = 0.0
    layer_norm: bool = False
    residual: bool = False
    learned_state: bool = False
    bidirectional: bool = False
    attention: Literal["none", "general"] = "none"
    init: Literal["normal", "uniform", "orthogonal", "identity"] = "orthogonal"
    init_scale: float | None = None
    forget_bias: float = 1.0
    sparsity: float = 0.0
    unroll: Literal["sequential", "deer", "quasi", "elk", "quasi_elk"] = "sequential"
    scan_unroll: int = 0

    def __post_init__(self) -> None:
        typed(self, "model")
        path, colon, name = self.cell.rpartition(":")
        is_file = path.endswith(".py") and name.isidentifier()
        allowed = f"one of {', '.join(CELLS)}, or path/to/file.py:name"
        check(is_file or (not colon and self.cell in CELLS), "model.cell", self.cell, allowed)
        chosen = self.cell in SIMPLE or self.activation == "tanh"
        check(chosen, "model.activation", self.activation, f"tanh in the cell {self.cell}")
        check(0 < self.leak <= 1, "model.leak", self.leak, "above 0 and at most 1")
        check(0 <= self.dropout < 1, "model.dropout", self.dropout, "in [0, 1)")
        check(0 <= self.sparsity < 1, "model.sparsity", self.sparsity, "in [0, 1)")
        at_least(0, model__embedding_size=self.embedding_size, model__scan_unroll=self.scan_unroll)
        check(math.isfinite(self.forget_bias), "model.forget_bias", self.forget_bias, "finite")
        at_least(1, model__hidden_size=self.hidden_size, model__layers=self.layers)
        check(self.layers <= MOST_LAYERS, "model.layers", self.layers, f"at most {MOST_LAYERS:,}: each is compiled")
        check(self.scan_unroll <= MOST_LAYERS, "model.scan_unroll", self.scan_unroll, f"at most {MOST_LAYERS:,}")
        more_than_zero(model__init_scale=self.scale)

    @property
    def scale(self) -> float:
        """init_scale, or the usual one of the initialiser."""
        usual = 0.1 if self.init == "normal" else 1.0
        return usual if self.init_scale is None else self.init_scale
