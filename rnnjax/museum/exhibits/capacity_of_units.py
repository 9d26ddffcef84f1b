"""Collins, Sohl-Dickstein & Sussillo 2017, figure 2c: a unit remembers about one number.

A random vector of 16 numbers is shown at the first of five steps, and nothing after it. At the last step a linear
read-out gives the vector back:

    error(H) = mean over the numbers of (x̂ - x)² / Var x

A network that keeps H of 16 directions exactly, and nothing of the others, has the error 1 - H / 16.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.model.network import Params
from rnnjax.museum.exhibit import Criterion, Exhibit, Published, Results, Setting
from rnnjax.training.clipping import make_clip

Array = jax.Array

NUMBERS, STEPS, BATCH, TEST = 16, 5, 32, 2000


def run(seeds: np.ndarray, cell: str, hidden: int, updates: int, rate: float) -> dict[str, Any]:
    """Trains a network a seed.

    Returns:
      The error on new vectors, and the numbers that a unit remembers, 16 (1 - error) / H.
    """
    train_all = jax.jit(lambda seeds: jax.lax.map(lambda seed: train(seed, cell, hidden, updates, rate), seeds))
    error = np.asarray(train_all(jnp.asarray(seeds)), float)
    return {"error": error, "numbers per unit": NUMBERS * (1 - error) / hidden}


def train(seed: Array, cell: str, hidden: int, updates: int, rate: float) -> Array:
    """The error of a trained network on new vectors; each update sees new ones too."""
    net = rnnjax.network(cell, hidden=hidden, outputs=NUMBERS, inputs=NUMBERS)
    to_weights, to_vectors = jax.random.split(jax.random.key(seed))
    weights = opened(net.init(to_weights), cell, hidden)
    chain = optax.chain(make_clip("global_norm", 1.0), optax.adam(optax.cosine_decay_schedule(rate, updates)))

    def error_of(weights: Params, vectors: Array) -> Array:
        return jnp.mean((remembered(net, weights, vectors) - vectors) ** 2)

    def body(loop: tuple, number: Array) -> tuple[tuple, None]:
        weights, state = loop
        vectors = jax.random.normal(jax.random.fold_in(to_vectors, number), (BATCH, NUMBERS), jnp.float32)
        changes, state = chain.update(jax.grad(error_of)(weights, vectors), state)
        return (optax.apply_updates(weights, changes), state), None

    (weights, _), _ = jax.lax.scan(body, (weights, chain.init(weights)), jnp.arange(updates))
    return error_of(weights, jax.random.normal(jax.random.fold_in(to_vectors, updates), (TEST, NUMBERS), jnp.float32))


def opened(weights: Params, cell: str, hidden: int) -> Params:
    """The first weights, the update gate of a GRU so that it keeps most of the state: the paper's b^fg, here 2."""
    if cell != "gru":
        return weights
    (layer,) = weights.layers
    return weights._replace(layers=(layer._replace(bh=layer.bh.at[hidden : 2 * hidden].add(2.0)),))


def remembered(net: Any, weights: Params, vectors: Array) -> Array:
    """The vectors [B, 16] as the read-out gives them four steps after they were shown."""
    shown = jnp.zeros((STEPS, *vectors.shape), vectors.dtype).at[0].set(vectors)
    _, outputs = net.apply(weights, shown)
    return outputs[-1]


def draw(figure: Any, results: Results) -> None:
    """The error against the number of units, a line a cell, as in the paper's figure."""
    axes = figure.subplots()
    for cell in CELLS:
        found = {UNITS[arm]: results[arm]["error"] for arm in results if arm.startswith(f"{cell}, ")}
        axes.plot(list(found), [np.mean(errors) for errors in found.values()], "o-", markersize=4, label=cell)
    units = np.array([0, NUMBERS, max(UNITS.values())])
    axes.plot(units, np.maximum(0, 1 - units / NUMBERS), color="0.5", linestyle="--", label="one number a unit")
    axes.axvline(NUMBERS, color="0.2", linewidth=1)
    axes.set(xlabel="units", ylabel="error of the numbers given back", ylim=(0, 1))
    figure.legend(fontsize="small", loc="outside right upper")


CELLS = {"RNN": "vanilla", "GRU": "gru", "LSTM": "lstm"}
"""Cells by the paper's names."""

UNITS = {f"RNN, {hidden} units": hidden for hidden in (4, 8, 12, 16, 24)} | {
    f"{cell}, {hidden} units": hidden for cell in ("GRU", "LSTM") for hidden in (8, 12, 16)
}


def claims(cell: str) -> tuple[Criterion, ...]:
    """The claims on one cell; the paper has them as a figure and in words."""
    return (
        Criterion(
            f"numbers that a unit of the {cell} remembers, 8 units",
            f"{cell}, 8 units",
            "numbers per unit",
            0.9,
            1.05,
            published=Published(1, "figure 2c, abstract"),
        ),
        Criterion(f"error of the {cell} with as many units as numbers", f"{cell}, 16 units", "error", 0, 0.05),
        Criterion(f"error of the {cell} with three quarters as many", f"{cell}, 12 units", "error", 0.2, 0.3),
    )


EXHIBIT = Exhibit(
    paper="Collins, Sohl-Dickstein & Sussillo (2017). Capacity and trainability in recurrent neural networks. "
    "International Conference on Learning Representations",
    place="Figure 2c, numbers that a unit remembers",
    claim="Recurrent networks of every kind give back a random vector if, and only if, they have at least as many "
    "units as it has numbers, and follow the same curve below.",
    settings=(
        Setting("Task", "a random vector at one step; a linear read-out gives it back some time later"),
        Setting("Numbers", "64", "16", "processor time: 1,100 networks are trained"),
        Setting("Their distribution", "not said", "standard normal, new ones in each update", "the simplest"),
        Setting("Steps", "not said", "5", "as in the paper's task of labels"),
        Setting("Cells", "RNN, IRNN, UGRNN, GRU, LSTM, +RNN", "RNN, GRU, LSTM", "processor time"),
        Setting("Depth", "1, 2, 4 and 8", "1", "processor time"),
        Setting("First state", "a learned bias", "zero", "the vector comes at the first step"),
        Setting(
            "Training",
            "the best of hundreds to thousands of runs, chosen by a Gaussian process over optimiser, rate and its "
            "decay, clipping, batch, initial scales and nonlinearity",
            "one run a seed: Adam, rate 0.01, cosine decay, 3,000 updates of 32 vectors, norm clipped at 1; W "
            "orthogonal, forget gates opened by 1, update gates by 2",
            "it is enough here; the range of seeds takes the place of the search",
        ),
        Setting("Error", "L2; its scale not said", "mean squared, of numbers of variance 1", "it is 1 without memory"),
        Setting("Networks", "the best of each search", "100 for each cell and size", "for intervals"),
    ),
    arms={
        arm: {"cell": CELLS[arm.split(",")[0]], "hidden": H, "updates": 3000, "rate": 0.01} for arm, H in UNITS.items()
    },
    run=run,
    criteria=(*claims("RNN"), *claims("GRU"), *claims("LSTM")),
    picture=draw,
    learned=(
        "The three cells share one curve, that of a network which keeps as many directions of the vector as it has "
        "units and loses the others; the GRU comes a little short of it.",
        "Of an LSTM only h is read; that it carries a second number in each unit gives it no more.",
    ),
    seeds=100,
    quick_arms=tuple(arm for arm in UNITS if arm.startswith("RNN")),
)
