"""Equinox: its cells under lax.scan, vmapped over the batch, one-hot inputs. It has no vanilla cell:
that one is written here of its linear layers, and looks ids up in the best style."""

import equinox as eqx
import jax
import jax.numpy as jnp

from benchmarks.peers import Run, jax_loop
from benchmarks.problem import VOCABULARY, Size, Text
from benchmarks.weights import Weights


class TanhCell(eqx.Module):
    """A vanilla cell: an input already multiplied by U is taken as it is."""

    input: eqx.nn.Linear | eqx.nn.Embedding
    recurrent: eqx.nn.Linear

    def __call__(self, x, h):
        a = x if isinstance(self.input, eqx.nn.Embedding) else self.input(x)
        return jnp.tanh(a + self.recurrent(h))


class Network(eqx.Module):
    """One recurrent layer and the read-out."""

    cell: eqx.Module
    readout: eqx.nn.Linear
    unroll: int = eqx.field(static=True)

    def __call__(self, carry, ids):
        table = getattr(self.cell, "input", None)
        looked_up = isinstance(table, eqx.nn.Embedding)
        xs = jax.vmap(jax.vmap(table))(ids) if looked_up else jax.nn.one_hot(ids, VOCABULARY)

        def body(carry, x):
            carry = jax.vmap(self.cell)(x, carry)
            h = carry[0] if isinstance(carry, tuple) else carry
            return carry, h

        carry, hs = jax.lax.scan(body, carry, xs, unroll=self.unroll)
        return carry, jax.vmap(jax.vmap(self.readout))(hs)


def make(cell: str, size: Size, weights: Weights, text: Text, style: str) -> Run:
    readout = linear(weights.V, weights.by)
    network = Network(make_cell(cell, size, weights, style), readout, jax_loop.unroll(style))
    params, static = eqx.partition(network, eqx.is_array)
    h = jnp.zeros((size.batch, size.hidden))

    def forward(params, carry, ids):
        return eqx.combine(params, static)(carry, ids)

    return jax_loop.make_run(forward, params, (h, h) if cell == "lstm" else h, text, style)


def make_cell(cell: str, size: Size, weights: Weights, style: str) -> eqx.Module:
    """The cell with the shared weights; equinox multiplies from the left, with PyTorch's gates."""
    key = jax.random.key(0)
    if cell == "rnn":
        if style == "best":  # the bias then sits in the recurrent layer
            table = eqx.nn.Embedding(weight=jnp.asarray(weights.U))
            return TanhCell(table, linear(weights.W, weights.bh))
        return TanhCell(linear(weights.U, weights.bh), linear(weights.W))
    kind = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}[cell]
    values = {"weight_ih": weights.U.T, "weight_hh": weights.W.T, "bias": weights.bh}
    if cell == "gru":
        values["bias_n"] = weights.bz[2 * size.hidden :]
    return replaced(kind(VOCABULARY, size.hidden, key=key), values)


def linear(matrix, bias=None) -> eqx.nn.Linear:
    layer = eqx.nn.Linear(*matrix.shape, use_bias=bias is not None, key=jax.random.key(0))
    return replaced(layer, {"weight": matrix.T} if bias is None else {"weight": matrix.T, "bias": bias})


def replaced(module: eqx.Module, values: dict) -> eqx.Module:
    """The module with other arrays in some of its fields."""
    arrays = [jnp.asarray(value) for value in values.values()]
    return eqx.tree_at(lambda m: [getattr(m, name) for name in values], module, arrays)
