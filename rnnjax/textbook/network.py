"""The chapter's network, one tanh layer without biases, drawn small.

Only this file of the folder calls the network and the gradient methods.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients import METHODS
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.loss import cross_entropy, weighted_mean
from rnnjax.model.network import Batch, Carry, Model, Params, zero_carry
from rnnjax.model.recurrence import of_network
from rnnjax.model.rnn import apply, hidden_to_output, input_to_hidden, run_layers

Array = jax.Array


class Case(NamedTuple):
    """A network, and one window of one stream: what a gradient method takes."""

    model: Model
    params: Params
    hyper: Hyper
    carry: Carry
    batch: Batch

    @property
    def steps(self) -> int:
        return len(self.batch.x)


class Trace(NamedTuple):
    """Values of the forward pass at each step.

    Attributes:
      before: h_(t-1) [T, H].
      argument: U x_t + W h_(t-1) [T, H].
      h: h_t [T, H].
      logits: V h_t [T, V].
    """

    before: Array
    argument: Array
    h: Array
    logits: Array


def draw_case(seed: int, hidden: int, vocabulary: int, x: list[int], y: list[int], decimals: int | None = None) -> Case:
    """Weights uniform in ±sqrt(1/n), rounded to `decimals` where asked; biases and first state 0; float64."""
    model = Model(vocabulary, hidden)
    params = init_params(jax.random.key(seed), model, "uniform", 1.0, jnp.float64)
    if decimals is not None:
        params = jax.tree.map(lambda leaf: jnp.round(leaf, decimals), params)
    batch = Batch(jnp.asarray(x), jnp.asarray(y))
    return Case(model, params, Hyper(), zero_carry(model, (), jnp.float64), batch)


def small_case(seed: int) -> Case:
    """The text abac over the letters a, b, c, read by 2 units: small enough for pencil and paper, with H ≠ V."""
    return draw_case(seed, hidden=2, vocabulary=3, x=[0, 1, 0], y=[1, 0, 2], decimals=2)


def square_case(seed: int) -> Case:
    """The chapter's 10-10-10 network, its inputs taken modulo 10; each input is to predict the next."""
    return draw_case(seed, hidden=10, vocabulary=10, x=[0, 2, 4, 6, 8], y=[2, 4, 6, 8, 0])


def with_input(case: Case, x: list[int]) -> Case:
    """The same network reads other ids."""
    return case._replace(batch=case.batch._replace(x=jnp.asarray(x)))


def with_input_weights(case: Case, other: Case) -> Case:
    """The same network, with the U of another."""
    (layer,), (other_layer,) = case.params.layers, other.params.layers
    return case._replace(params=case.params._replace(layers=(layer._replace(U=other_layer.U),)))


def outputs(case: Case, h: Array) -> Array:
    """ŷ = softmax(V h), for any h [T, H]."""
    return jax.nn.softmax(hidden_to_output(case.params, h))


def trace(case: Case) -> Trace:
    """The forward pass, with everything that a hand calculation writes down."""
    layer = case.params.layers[0]
    _, h = run_layers(*case)
    before = jnp.concatenate([case.carry[0][None], h[:-1]])
    argument = input_to_hidden(layer, case.batch.x) + before @ layer.W
    return Trace(before, argument, h, hidden_to_output(case.params, h))


def summed_loss(case: Case, params: Params) -> Array:
    """L = Σ L_t in nats, the sum of the chapter's formula. The chapter's code and the rest of this package average."""
    _, logits = apply(*case._replace(params=params))
    return case.steps * weighted_mean(cross_entropy(logits, case.batch.y))


def gradient(case: Case, method: str) -> Params:
    """Gradient of the average loss by a method of the table."""
    window = Window(case.params, case.hyper, case.carry, case.batch)
    return jax.jit(METHODS[method](GradientConfig()).gradient, static_argnums=0)(of_network(case.model), window).params
