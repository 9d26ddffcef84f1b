"""Collins, Sohl-Dickstein & Sussillo 2017, figure 1: a parameter stores about five bits of a task.

b random binary vectors, each shown at the first of five steps, have random labels of one bit each. A network is trained
to know them by heart. With p the share of labels that it then says rightly, it has stored

    I = b (1 + p log₂ p + (1 - p) log₂ (1 - p))

bits of them (equation 22).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.model.initializers import count_parameters
from rnnjax.model.network import Params
from rnnjax.museum.exhibit import Criterion, Exhibit, Published, Results, Setting

Array = jax.Array

WIDTH, STEPS = 12, 5
RATE = 0.003


def run(
    seeds: np.ndarray, hidden: int, labels: float, updates: int, cell: str = "vanilla", activation: str = ""
) -> dict[str, Any]:
    """Trains a network a seed on so many labels for each of its parameters.

    Returns:
      The share of labels that it says rightly, the bits that it has stored, and the same for each parameter.
    """
    net = rnnjax.network(cell, hidden=hidden, outputs=1, inputs=WIDTH, activation=activation)
    parameters = count_parameters(net.init(jax.random.key(0)))
    count = round(labels * parameters)
    train_all = jax.jit(lambda seeds: jax.lax.map(lambda seed: train(seed, net, count, updates), seeds))
    right = np.asarray(train_all(jnp.asarray(seeds)), float)
    stored = bits(right, count)
    return {"right": right, "bits": stored, "bits per parameter": stored / parameters}


def bits(right: np.ndarray, count: int) -> np.ndarray:
    """The mutual information of the labels and the answers, of which a share is right."""
    share = np.stack([right, 1 - right])
    return count * (1 + np.sum(share * np.log2(np.maximum(share, 1e-300)), axis=0))


def draw_labels(key: Array, count: int) -> tuple[Array, Array]:
    """Different vectors of -1 and 1 [count, WIDTH], and labels of 0 and 1 [count]."""
    to_vectors, to_labels = jax.random.split(key)
    numbers = jax.random.permutation(to_vectors, 2**WIDTH)[:count]
    vectors = 2.0 * (numbers[:, None] >> jnp.arange(WIDTH) & 1) - 1
    return vectors, jax.random.bernoulli(to_labels, shape=(count,)).astype(jnp.float32)


def train(seed: Array, net: Any, count: int, updates: int) -> Array:
    """The share of right labels after training on all of them at once."""
    to_weights, to_labels = jax.random.split(jax.random.key(seed))
    weights, (vectors, labels) = net.init(to_weights), draw_labels(to_labels, count)
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, updates))

    def loss_of(weights: Params) -> Array:
        return jnp.mean(rnnjax.losses.bernoulli(answers(net, weights, vectors), labels))

    def body(loop: tuple, _: None) -> tuple[tuple, None]:
        weights, state = loop
        changes, state = optimizer.update(jax.grad(loss_of)(weights), state)
        return (optax.apply_updates(weights, changes), state), None

    (weights, _), _ = jax.lax.scan(body, (weights, optimizer.init(weights)), length=updates)
    return jnp.mean((answers(net, weights, vectors)[:, 0] > 0) == (labels > 0.5))


def answers(net: Any, weights: Params, vectors: Array) -> Array:
    """The logit of each label [B, 1] four steps after its vector was shown."""
    state, output = net.step(weights, net.state(weights, len(vectors)), vectors)
    for _ in range(STEPS - 1):
        state, output = net.step(weights, state, jnp.zeros_like(vectors))
    return output


def draw(figure: Any, results: Results) -> None:
    """Bits against parameters, beside them bits per parameter, a dot a network, as in the paper's figures 1a and 1e."""
    whole, each = figure.subplots(1, 2)
    for arm, parameters in PARAMETERS.items():
        if arm in results:
            for axes, measure in ((whole, "bits"), (each, "bits per parameter")):
                stored = results[arm][measure]
                axes.plot(np.full(len(stored), parameters), stored, "o", color="C0", markersize=4, alpha=0.5)
    ends = np.array([0, 1.1 * max(PARAMETERS.values())])
    whole.plot(ends, 5 * ends, color="0.5", linestyle="--", linewidth=1, label="five bits per parameter")
    each.axhspan(3, 6, color="0.9", zorder=0, label="the paper's range")
    whole.set(xlabel="parameters", ylabel="bits stored", xlim=ends, ylim=(0, None))
    each.set(xlabel="parameters", ylabel="bits per parameter", xlim=ends, ylim=(0, 6.2))
    for axes in (whole, each):
        axes.legend(fontsize="small", loc="upper left")


PARAMETERS = {"RNN, 73 parameters": 73, "RNN, 121 parameters": 121, "RNN, 208 parameters": 208}
"""Parameters of the networks of 4, 6 and 9 units, for the picture."""

BASE = {"hidden": 4, "labels": 4.0, "updates": 10_000}

EXHIBIT = Exhibit(
    paper="Collins, Sohl-Dickstein & Sussillo (2017). Capacity and trainability in recurrent neural networks. "
    "International Conference on Learning Representations",
    place="Figure 1, bits that a parameter stores",
    claim="What a recurrent network can know by heart is linear in the number of its parameters, approximately five "
    "bits for each of them.",
    settings=(
        Setting("Task", "random binary vectors, each with a random label of one bit; a fixed set, known by heart"),
        Setting(
            "Width of the vectors",
            "not read",
            "12, as -1 and 1; no vector twice",
            "no network gives one two labels",
        ),
        Setting(
            "Steps",
            "5; the vector is shown at one of them, the label asked for some steps later",
            "the first, the last",
            "not said which",
        ),
        Setting("Loss", "cross-entropy; the score is the mutual information of equation 22, from the answers"),
        Setting(
            "Labels",
            "their number is chosen by the search, to maximise the score",
            "four for each parameter; eight as an arm",
            "processor time",
        ),
        Setting(
            "Parameters", "six and more sizes over several orders of magnitude", "73, 121 and 208", "processor time"
        ),
        Setting("Cells", "RNN, IRNN, UGRNN, GRU, LSTM, +RNN", "RNN with tanh; with ReLU as an arm", "processor time"),
        Setting("Depth", "1, 2, 4 and 8", "1", "processor time"),
        Setting("First state", "a learned bias", "zero", "the vector comes at the first step"),
        Setting(
            "Training",
            "the best of 1,000 and more runs of up to millions of updates, chosen by a Gaussian process over "
            "optimiser, rate and its decay, clipping, batch, initial scales and nonlinearity; CPU-millennia in all",
            "one run a seed: Adam, rate 0.003, cosine decay, 10,000 updates of all labels at once; 40,000 as an arm",
            "processor time; rates of 0.001, 0.003, 0.01 and 0.03 were tried on three seeds, 0.003 the best",
        ),
        Setting("Networks", "the best of each search", "100 for each arm", "for intervals"),
    ),
    arms={
        "RNN, 73 parameters": BASE,
        "RNN, 121 parameters": {**BASE, "hidden": 6},
        "RNN, 208 parameters": {**BASE, "hidden": 9},
        "73, twice the labels": {**BASE, "labels": 8.0},
        "73, four times the updates": {**BASE, "updates": 40_000},
        "73, ReLU": {**BASE, "activation": "relu"},
    },
    run=run,
    criteria=(
        Criterion(
            "bits per parameter, 208 parameters",
            "RNN, 208 parameters",
            "bits per parameter",
            3,
            6,
            published=Published(5, "abstract; 3 to 6 in figure 1e"),
            cut_short=True,  # as are the next two: the paper's numbers are of the best of a search over a thousand runs
        ),
        Criterion(
            "linear: bits per parameter, 208 parameters",
            "RNN, 208 parameters",
            "bits per parameter",
            -0.5,
            0.5,
            than="RNN, 73 parameters",
            cut_short=True,
        ),
        Criterion(
            "more with four times the updates",
            "73, four times the updates",
            "bits per parameter",
            0,
            than="RNN, 73 parameters",
            cut_short=True,
        ),
        Criterion("less with ReLU", "73, ReLU", "bits per parameter", high=0, than="RNN, 73 parameters"),
    ),
    picture=draw,
    learned=(
        "One run with one optimiser stores 1.7 bits for each of 73 parameters, 2.1 of 121 and 2.6 of 208: not linear "
        "at these sizes, at which the paper too takes its values for less reliable. Its five bits are the most that "
        "any of a thousand and more runs stores at each size; the best of our 100 at 208 parameters stores 3.1. The "
        "search of settings, which is left out here, is the likeliest reason for the distance.",
        "Four times the updates store no more, nor do twice the labels: these networks have settled. ReLU stores less "
        "than tanh, as in the paper's figure 2a.",
    ),
    seeds=100,
    quick={"updates": 5_000},
    quick_arms=("RNN, 73 parameters", "RNN, 121 parameters"),
)
