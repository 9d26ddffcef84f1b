"""Haiku: dynamic_unroll over its cores, one-hot inputs. Its vanilla core has the ReLU; the tanh one is a core of our
own, in the way that its documentation writes them, and looks ids up in the best style."""

import haiku as hk
import jax
import jax.numpy as jnp

from benchmarks.peers import Run, jax_loop
from benchmarks.problem import VOCABULARY, Size, Text
from benchmarks.weights import Weights, reorder


class TanhRNN(hk.RNNCore):
    """hk.VanillaRNN without double bias, with the tanh; an input already multiplied by U is taken as it is."""

    def __init__(self, hidden_size: int, multiplied: bool):
        super().__init__()
        self.hidden_size = hidden_size
        self.multiplied = multiplied

    def __call__(self, inputs, prev_state):
        a = inputs if self.multiplied else hk.Linear(self.hidden_size)(inputs)
        out = jnp.tanh(a + hk.Linear(self.hidden_size, with_bias=False)(prev_state))
        return out, out

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, self.hidden_size))


def make(cell: str, size: Size, weights: Weights, text: Text, style: str) -> Run:
    looked_up = cell == "rnn" and style == "best"

    def network(carry, ids):
        core = TanhRNN(size.hidden, looked_up) if cell == "rnn" else hk.LSTM(size.hidden)
        if looked_up:
            bias = hk.get_parameter("bh", (size.hidden,), init=jnp.zeros)
            inputs = hk.Embed(VOCABULARY, size.hidden)(ids) + bias
        else:
            inputs = jax.nn.one_hot(ids, VOCABULARY)
        hs, carry = hk.dynamic_unroll(core, inputs, carry)
        return carry, hk.BatchApply(hk.Linear(VOCABULARY))(hs)

    network = hk.without_apply_rng(hk.transform(network))
    h = jnp.zeros((size.batch, size.hidden))
    carry = hk.LSTMState(h, h) if cell == "lstm" else h
    template = network.init(jax.random.key(0), carry, jnp.asarray(text.x[0]))
    params = convert_lstm(weights) if cell == "lstm" else convert_rnn(weights, looked_up)
    return jax_loop.make_run(network.apply, fill(template, params), carry, text, style)


def fill(template, params: dict) -> dict:
    """The parameters as JAX arrays, after a check that they have the names and shapes of the network's own."""
    shapes = jax.tree.map(jnp.shape, dict(template))
    if shapes != jax.tree.map(jnp.shape, params):
        raise ValueError(f"the network has {shapes}")
    return jax.tree.map(jnp.asarray, params)


def convert_rnn(weights: Weights, looked_up: bool) -> dict:
    W, readout = {"w": weights.W}, {"w": weights.V, "b": weights.by}
    if looked_up:
        own = {"~": {"bh": weights.bh}, "embed": {"embeddings": weights.U}}
        return {**own, "tanh_rnn/linear": W, "linear": readout}
    return {"tanh_rnn/linear": {"w": weights.U, "b": weights.bh}, "tanh_rnn/linear_1": W, "linear": readout}


def convert_lstm(weights: Weights) -> dict:
    """Haiku has the gates i, g, f, o, one matrix for x and h, and adds 1 to the forget gate: taken off the bias."""
    order = (0, 2, 1, 3)
    W = jnp.concatenate([reorder(weights.U, order), reorder(weights.W, order)])
    H = len(weights.W)
    bias = reorder(weights.bh, order)
    bias[2 * H : 3 * H] -= 1
    return {"lstm/linear": {"w": W, "b": bias}, "linear": {"w": weights.V, "b": weights.by}}
