"""Recurrent weights and units, one by one: eigenvalues and singular values of W, and the share of saturated units."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.model.cells import Cell, Hyper, built_in
from rnnjax.model.network import Batch, Carry, Model, Params
from rnnjax.model.rnn import Inputs, cell_step, embed, input_to_hidden, split, upward

Array = jax.Array

NEAR = 0.01
"""Distance from the end of its range within which a unit counts as saturated."""


class Block(NamedTuple):
    """Largest |eigenvalue| and largest singular value of one [H, H] block of W."""

    layer: int
    name: str
    spectral_radius: float
    largest_singular_value: float


class Saturation(NamedTuple):
    """Share of a layer's units, over all steps and streams, that are near an end of their range.

    The lower end is 0 for a gate or relu, -1 for a tanh. The upper end is 1; nan for a relu, which has none.
    """

    layer: int
    name: str
    low: float
    high: float


def spectra(model: Model, params: Params, hyper: Hyper) -> list[Block]:
    """Radius and norm of each block of W, layer by layer.

    A leaky unit also gives those of (1 - α) I + α W, the Jacobian of its step where φ' = 1.
    """
    found = []
    for layer, weights in enumerate(params.layers):
        blocks = blocks_of(model.cell, weights.W)
        if built_in(model.cell) == "leaky":
            leak = float(hyper.leak)
            blocks["(1-a) I + a W"] = (1 - leak) * np.eye(model.hidden) + leak * blocks["W"]
        for name, block in blocks.items():
            radius = float(np.abs(np.linalg.eigvals(block)).max())
            found.append(Block(layer, name, radius, float(np.linalg.norm(block, 2))))
    return found


def blocks_of(cell: Cell, W: Array | None) -> dict[str, np.ndarray]:
    """The [H, H] block of each gate in W, by name: W where there is one gate, otherwise such as W_i."""
    if W is None:
        return {}
    names = [f"W_{gate}" for gate in cell.gates] if cell.gated else ["W"]
    parts = np.split(np.asarray(W), len(cell.gates), axis=-1)
    return dict(zip(names, parts if W.ndim == 2 else map(np.diag, parts), strict=True))


def values(model: Model, params: Params, hyper: Hyper, before: Carry, batch: Batch) -> list[dict[str, Array]]:
    """Values of each layer's nonlinearities at every step, from the states before it, by name: [T, *B, H] each."""
    x, found = embed(params, batch.x), []
    for level, (layer, state) in enumerate(zip(params.layers, before, strict=True)):
        inputs = Inputs(input_to_hidden(layer, x), batch.valid, batch.reset)
        parts, saved = cell_step(model.cell, layer, hyper, split(state, model.cell), inputs)
        found.append(model.cell.named_values(saved.cell))
        x = upward(model, level, hyper, x, parts[0], batch.noise)
    return found


def saturation(model: Model, params: Params, hyper: Hyper, before: Carry, batch: Batch) -> list[Saturation]:
    """Saturated shares of every layer: gates below 0.01 or above 0.99, tanh below -0.99 or above 0.99, relu at 0.

    Steps that `valid` holds are not counted; a linear unit has no range.
    """
    counted = None if batch.valid is None else batch.valid[..., None]
    share = lambda which: float(jnp.mean(which, where=counted))
    found = []
    for layer, by_name in enumerate(values(model, params, hyper, before, batch)):
        for name, value in by_name.items():
            kind = name.split()[0]
            if kind == "gate":
                low, high = share(value < NEAR), share(value > 1 - NEAR)
            elif kind == "tanh":
                low, high = share(value < NEAR - 1), share(value > 1 - NEAR)
            else:
                low, high = share(value <= 0) if kind == "relu" else float("nan"), float("nan")
            found.append(Saturation(layer, name, low, high))
    return found
