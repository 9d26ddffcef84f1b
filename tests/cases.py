"""Small networks of every cell with every option and mask, in float64, and their gradient by every method."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import oracle

from rnnjax.config import GradientConfig
from rnnjax.gradients import METHODS, autodiff, layer_over_time
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.initializers import init_params
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

    cell: str | Cell = "vanilla"
    activation: str = "tanh"
    layers: int = 1
    masks: str = ""
    options: str = ""
    T: int = 4
    batch: tuple = (3,)
    seed: int = 0
    scan_unroll: int = 1


def make_model(case):
    has = case.options.__contains__
    return Model(
        VOCABULARY,
        HIDDEN,
        case.layers,
        case.activation,
        case.scan_unroll,
        cell=case.cell,
        embedding=EMBEDDING if has("e") else 0,
        layer_norm=has("n"),
        residual=has("x"),
        learned_state=has("s"),
        bidirectional=has("b"),
        dropout=has("d"),
    )


def shapes_of(model):
    return jax.eval_shape(lambda: init_params(jax.random.key(0), model, "normal", 1.0, jnp.float64))


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
    carry = tuple(0.7 * rng.normal(size=(*case.batch, width)) for _ in layers)
    shape = (case.T, *case.batch)
    noise = tuple(rng.uniform(size=(*shape, model.output)) for _ in range(model.layers))
    batch = Batch(
        rng.integers(VOCABULARY - 2, size=shape).astype(np.int32),  # so few that they repeat
        rng.integers(VOCABULARY, size=shape).astype(np.uint8),
        rng.uniform(0.1, 1, shape) if "w" in case.masks else None,
        rng.uniform(size=shape) < 0.7 if "v" in case.masks else None,
        rng.uniform(size=shape) < 0.3 if "r" in case.masks else None,
        noise if model.dropout else None,
    )
    return jax.tree.map(jnp.asarray, (params, carry, batch)), model


def loss(model, params, carry, batch):
    """The window's loss, to be differentiated."""
    return weighted_mean(cross_entropy(apply(model, params, HYPER, carry, batch)[1], batch.y), batch.weight)


BY_HAND = ("manual", "textbook", "custom_vjp")
CONFIGS = {name: GradientConfig(name) for name in METHODS}


def gradient(way, recurrence, params, carry, batch):
    """The gradient by a method or its config, or by `jax.grad` through the hand-written derivative of `unroll`."""
    window = Window(params, HYPER, carry, batch)
    if way == "custom_vjp":
        return autodiff.gradient(
            recurrence, window, unroll=lambda *args: layer_over_time.unroll(*args)
        )  # late: mutants change it
    config = CONFIGS.get(way, way)
    method = METHODS[config.method](config)
    window = window._replace(trace=method.init(recurrence, params, carry))
    return method.gradient(recurrence, window)._replace(trace=None, spent=None)


@partial(jax.jit, static_argnums=(0, 1))
def compute(ways, model, params, carry, batch):
    """The logits [T, *B, V], and the gradient by each way, in one program, as compiling takes most of the time."""
    _, logits = apply(model, params, HYPER, carry, batch)
    return logits, [gradient(way, of_network(model), params, carry, batch) for way in ways]


def compute_one(way, model, *arrays):
    return compute((way,), model, *arrays)[1][0]


# In the oracle's dicts and lists


def to_oracle(model, params, carry):
    """The shape of a network, its weights and its states."""
    shape = {name: getattr(model, name) for name in ("activation", "hidden", "residual", "directions")}
    params, carry = jax.tree.map(np.asarray, (params, carry))
    weights = {**given(params), "layers": [given(layer) for layer in params.layers]}
    return shape | {"cell": model.cell.name} | HYPER._asdict(), weights, list(carry)


def given(item):
    """The fields that are there."""
    return {name: array for name, array in item._asdict().items() if array is not None}


def by_oracle(model, params, carry, batch):
    """The loss, last states and logits of any network."""
    return oracle.run(*to_oracle(model, params, carry), jax.tree.map(np.asarray, batch)._asdict())
