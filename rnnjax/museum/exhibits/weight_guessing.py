"""Schmidhuber, Hochreiter & Bengio 2001, the latch problem solved by guessing weights.

A single tanh unit reads noise, and must say at the end of a sequence what its first element was:

    hₜ = tanh(w hₜ₋₁ + u xₜ + b)

In variant I there is no bias, u = 1, and the two first elements are free parameters beside w; in variant II the first
element is 1 or -1, and w, u, b are free. They are drawn uniformly from [-100, 100] until a draw answers all training
sequences.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.museum.exhibit import Criterion, Exhibit, Published, Results, Setting

Array = jax.Array

SEQUENCES, SHORTEST, LONGEST = 100, 500, 600
AT_ONCE = 64
"""Guesses that are tried at once."""


class Set(NamedTuple):
    """Noise [T, n], in whose place the first element comes, length [n] and class, 1 or -1 [n]."""

    noise: Array
    length: Array
    kind: Array


def run(seeds: np.ndarray, variant: str, deviation: float, budget: int = 20_000) -> dict[str, Any]:
    """Guesses until all training sequences of a seed are answered; each seed draws its own sequences."""
    return measures([search(int(seed), variant, deviation, budget) for seed in seeds])


def measures(found: list[tuple[int, float]]) -> dict[str, np.ndarray]:
    """The measures of some searches, each the number of the guess that it ended with, and its share of the test's."""
    return {
        "solved": np.array([guesses > 0 for guesses, _ in found]),
        "guesses": np.array([guesses if guesses > 0 else np.nan for guesses, _ in found]),
        "test sequences right": np.array([share for _, share in found]),
    }


def search(seed: int, variant: str, deviation: float, budget: int) -> tuple[int, float]:
    """The number of the first guess that answers all training sequences, 0 for none, and its share of the test's."""
    to_training, to_test, to_guesses = jax.random.split(jax.random.key(seed), 3)
    training, test = (draw_set(key, deviation) for key in (to_training, to_test))
    for first in range(0, budget, AT_ONCE):
        guesses = jax.random.uniform(jax.random.fold_in(to_guesses, first), (AT_ONCE, 3), minval=-100, maxval=100)
        right = np.asarray(shares(guesses, training, variant)) == 1
        if right.any():
            index = int(np.argmax(right))
            return first + index + 1, float(shares(guesses[index : index + 1], test, variant)[0])
    return 0, float("nan")


@partial(jax.jit, static_argnums=1)
def draw_set(key: Array, deviation: float) -> Set:
    """Sequences of both classes, as many of each."""
    to_noise, to_length = jax.random.split(key)
    noise = deviation * jax.random.normal(to_noise, (LONGEST, SEQUENCES))
    length = jax.random.randint(to_length, (SEQUENCES,), SHORTEST, LONGEST + 1)
    return Set(noise, length, jnp.where(jnp.arange(SEQUENCES) % 2 == 0, 1.0, -1.0))


@partial(jax.jit, static_argnums=2)
def shares(guesses: Array, sequences: Set, variant: str) -> Array:
    """The share of sequences that each guess [n, 3] answers rightly."""
    w, second, third = (part[:, None] for part in guesses.T)
    if variant == "I":
        u, b, starts = jnp.ones_like(w), jnp.zeros_like(w), jnp.where(sequences.kind > 0, second, third)
    else:
        u, b, starts = second, third, jnp.broadcast_to(sequences.kind, (len(guesses), SEQUENCES))

    def body(h: Array, step_t: tuple) -> tuple[Array, None]:
        t, x = step_t
        return jnp.where(t < sequences.length, jnp.tanh(w * h + u * x + b), h), None

    first = jnp.tanh(u * starts + b)
    end = jax.lax.scan(body, first, (jnp.arange(1, LONGEST), sequences.noise[1:]))[0]
    least = 0.7 if variant == "I" else 0.9
    return jnp.mean(end * sequences.kind > least, axis=1)


def draw(figure: Any, results: Results) -> None:
    """The share of searches that have ended, against the guesses, and the paper's means."""
    axes = figure.subplots()
    for index, (arm, of) in enumerate(results.items()):
        ends = np.sort(of["guesses"][np.isfinite(of["guesses"])])
        axes.step(
            [0.9, *ends], np.arange(len(ends) + 1) / len(of["guesses"]), where="post", label=arm, color=f"C{index}"
        )
    for mean, color in ((6, "C0"), (22, "C1")):
        axes.axvline(mean, color=color, linestyle="--", linewidth=1)
    axes.set(xlabel="guesses (dashed: the paper's means)", ylabel="share of searches that have ended", xscale="log")
    figure.legend(fontsize="small", loc="outside right upper")


EXHIBIT = Exhibit(
    paper="Schmidhuber, Hochreiter & Bengio (2001). Evaluating benchmark problems by random guessing. A Field Guide to "
    "Dynamical Recurrent Networks",
    place="Latch problem, variants I and II",
    claim="Guessing the weights solves the latch problem over 500 steps after 6 guesses, and with a bias and a weight "
    "of the input after 22, where the methods that it was made for took 1,600 sequences.",
    settings=(
        Setting("Network", "one tanh unit; I: its own weight and the first element of either class; II: w, u, b"),
        Setting("Guesses", "uniform in [-100, 100]; the state begins at 0"),
        Setting("Sequences", "100 for training and 100 for a test, half of each class, 500 to 600 steps"),
        Setting(
            "Noise",
            "Gaussian with mean zero and variance 0.2, on each element but the first",
            "the same; a deviation of 0.2 is an arm for variant II",
            "it decides how often a guess holds, and a deviation is easily called a variance",
        ),
        Setting(
            "Right, variant I",
            "target 0.8 or -0.8, absolute error below 0.1",
            "at least 0.7 on the right side",
            "a latched unit stands at 1, which would be wrong by 0.2",
        ),
        Setting("Right, variant II", "target 1 or -1, absolute error below 0.1"),
        Setting("Searches", "40 for variant I, not said for II", "200", "a mean of 40 has an interval of a third"),
    ),
    arms={
        "variant I": {"variant": "I", "deviation": 0.2**0.5},
        "variant II": {"variant": "II", "deviation": 0.2**0.5},
        "variant II, deviation 0.2": {"variant": "II", "deviation": 0.2},
    },
    run=run,
    criteria=(
        Criterion("variant I: mean guesses", "variant I", "guesses", 3, 12, published=Published(6, "Results")),
        Criterion("variant I: share of test sequences right", "variant I", "test sequences right", 0.98),
        Criterion("variant II: mean guesses", "variant II", "guesses", 11, 44, published=Published(22, "Results")),
        Criterion(
            "variant II, deviation 0.2: mean guesses",
            "variant II, deviation 0.2",
            "guesses",
            11,
            44,
            published=Published(22, "Results"),
            reading="a deviation of 0.2",
        ),
    ),
    picture=draw,
    learned=(
        "The guesses can be counted by hand. In variant I it is enough that w is positive and the two first elements "
        "have the signs of their classes, one draw of eight.",
        "In variant II a positive w must hold against the bias and the largest noise, w > |b| + c u with c about four "
        "deviations, and the first element against the bias, u > |b|. For a variance of 0.2 one draw of 130 does, for "
        "a deviation of 0.2 one of 35: the paper's 22 is nearer to the second, as if its 0.2 were a deviation.",
        "Whoever guesses right on the training sequences is right on new ones: what is dense in the space of weights "
        "generalises.",
    ),
    seeds=200,
    quick_seeds=30,
)
