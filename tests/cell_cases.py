"""Small networks of every cell with every option, in float64, and their gradient by every way of computing it."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import oracle_cells

from rnnjax.gradients import autodiff, manual
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.loss import cross_entropy, weighted_mean
from rnnjax.model.network import Batch, Layer, Model, Params
from rnnjax.model.recurrence import of_network
from rnnjax.model.rnn import apply

HYPER = Hyper(leak=0.3, dropout=0.4)
VOCABULARY, HIDDEN, EMBEDDING = 6, 4, 3


class Case(NamedTuple):
    """A network and its window.

    Attributes:
      masks: of w (weight), v (valid), r (reset).
      options: of e (embedding), n (layer norm), x (residual), s (learned state), d (dropout), b (bidirectional).
    """

    cell: str | Cell
    activation: str = "tanh"
    layers: int = 1
    masks: str = ""
    options: str = ""
    T: int = 4
    B: int = 3
    seed: int = 0


def make_model(case):
    has = case.options.__contains__
    return Model(
        VOCABULARY,
        HIDDEN,
        case.layers,
        case.activation,
        cell=case.cell,
        embedding=EMBEDDING if has("e") else 0,
        layer_norm=has("n"),
        residual=has("x"),
        learned_state=has("s"),
        bidirectional=has("b"),
        dropout=has("d"),
    )


def make(case):
    """Random numbers for a case: ((params, carry, batch), model). Biases, gains and states are random too."""
    rng, model = np.random.default_rng(case.seed), make_model(case)
    gates, width = len(model.cell.gates) * HIDDEN, model.state_width
    layers = []
    for index in range(model.layers * model.directions):
        layer = Layer(
            U=0.7 * rng.normal(size=(model.input(index // model.directions), gates)),
            W={"dense": lambda: 0.4 * rng.normal(size=(HIDDEN, gates)), "diagonal": lambda: rng.normal(size=gates)}.get(
                model.cell.recurrence, lambda: None
            )(),
            bh=rng.normal(size=gates),
            bz=rng.normal(size=gates) if model.cell.recurrent_bias else None,
            gain_a=rng.uniform(0.5, 1.5, gates) if model.layer_norm else None,
            gain_z=rng.uniform(0.5, 1.5, gates) if model.layer_norm else None,
            s0=rng.normal(size=width) if model.learned_state else None,
            own=rng.normal(size=len(model.cell.own) * HIDDEN) if model.cell.own else None,
        )
        layers.append(layer)
    embedding = rng.normal(size=(VOCABULARY, EMBEDDING)) if model.embedding else None
    params = Params(tuple(layers), rng.normal(size=(model.output, VOCABULARY)), rng.normal(size=VOCABULARY), embedding)
    carry = tuple(0.7 * rng.normal(size=(case.B, width)) for _ in layers)
    shape = (case.T, case.B)
    noise = tuple(rng.uniform(size=(*shape, model.output)) for _ in range(model.layers))
    batch = Batch(
        rng.integers(VOCABULARY - 2, size=shape),  # so few that they repeat
        rng.integers(VOCABULARY, size=shape),
        rng.uniform(0.1, 1, shape) if "w" in case.masks else None,
        rng.uniform(size=shape) < 0.7 if "v" in case.masks else None,
        rng.uniform(size=shape) < 0.3 if "r" in case.masks else None,
        noise if model.dropout else None,
    )
    return jax.tree.map(jnp.asarray, (params, carry, batch)), model


def by_oracle(model, params, carry, batch):
    """The oracle's loss, last states and logits."""
    params, carry, batch = jax.tree.map(np.asarray, (params, carry, batch))
    given = lambda item: {name: array for name, array in item._asdict().items() if array is not None}
    shape = {name: getattr(model, name) for name in ("activation", "hidden", "residual", "directions")}
    plain = given(params) | {"layers": [given(layer) for layer in params.layers]}
    return oracle_cells.run(shape | {"cell": model.cell.name} | HYPER._asdict(), plain, list(carry), batch._asdict())


def loss(model, params, carry, batch):
    """The window's loss, to be differentiated."""
    return weighted_mean(cross_entropy(apply(model, params, HYPER, carry, batch)[1], batch.y), batch.weight)


GRADIENTS = {
    "autodiff": autodiff.gradient,
    "manual": manual.gradient,
    "custom_vjp": partial(autodiff.gradient, unroll=lambda *args: manual.unroll(*args)),  # late: mutants change it
}


@partial(jax.jit, static_argnums=(0, 1))
def compute(names, model, params, carry, batch):
    """The logits [T, B, V], and the gradients by several ways, in one program, as compiling takes most of the time."""
    _, logits = apply(model, params, HYPER, carry, batch)
    return logits, [GRADIENTS[name](of_network(model), Window(params, HYPER, carry, batch)) for name in names]


def gradient(name, model, *arrays):
    return compute((name,), model, *arrays)[1][0]
