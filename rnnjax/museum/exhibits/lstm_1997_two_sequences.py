"""Hochreiter & Schmidhuber 1997, experiment 3: the two-sequence problem, Tables 4 and 5.

A sequence is one number a step, Gaussian noise but for the first N, which are 1 in one class and -1 in the other. At
its end, 100 to 110 steps later, the network says which class it was (3a); with noise on the first N too (3b).
"""

from functools import partial
from itertools import chain
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.museum.claims import afterwards, claims, near
from rnnjax.museum.exhibit import Criterion, Exhibit, Published, Setting
from rnnjax.museum.lstm_1997 import TABLE_10, Shape
from rnnjax.museum.one_target import Sequence, answered, begin, errors_on
from rnnjax.museum.successes import draw_successes
from rnnjax.museum.trials import until_solved

Array = jax.Array
Tree = Any

BIASES = (-1.0, -3.0, -5.0), (-2.0, -4.0, -6.0)
"""Biases of input gates and of output gates."""
NOISE, TARGET_NOISE = 0.2**0.5, 0.1**0.5
EVERY = 1000
TEST_SET, LAST_TEST = 2**31 - 1, 2**31 - 2
"""Numbers of sequences from which no training sequence is drawn."""
ON_TARGET = 0x7A26E7
"""Folded into a sequence's key for the noise of its target; a small number would meet a key that `split` makes."""


def run(
    seeds: np.ndarray,
    task: str,
    N: int,
    rate: float,
    first: tuple[int, float],
    last: tuple[int, float],
    budget: int,
    g: float = 2.0,
    h: float = 1.0,
) -> dict[str, Any]:
    """Trains a trial a seed until it passes two stages, `first` and `last`: three blocks of one cell.

    Args:
      task: 3a, 3b or 3c.
      first: the most wrong answers to a test set of 256, and the bound of their mean absolute error.
      last: the same of the last stage.
    """
    shape = Shape(1, 3, 1, 1, "hidden", g, h)
    passes = lambda stage: lambda trial: is_passed(trial, stage, task, N, shape)
    trials = jax.vmap(lambda seed: begin(seed, shape, 0.1, *BIASES))(jnp.asarray(seeds))
    learn = partial(update, task=task, N=N, rate=rate, shape=shape)
    go = partial(until_solved, update=learn, budget=budget, every=EVERY)
    early = go(trials, solved=passes(first))
    late = go(early.states, solved=passes(last), among=early.solved)
    wrong, difference = jax.jit(jax.vmap(lambda trial: test(trial, LAST_TEST, 2560, task, N, shape)))(late.states)
    solved = late.solved
    return {
        "solved": solved,
        "first stage": early.updates,
        "sequences": early.updates + late.updates,
        "share misclassified": np.where(solved, wrong / 2560, np.nan),
        "mean difference": np.where(solved, difference, np.nan),
        "difference at the end": np.asarray(difference),
    }


def draw_sequence(key: Array, task: str, N: int, T: int = 100) -> Sequence:
    """One sequence of a random class, with its target free of noise."""
    to_length, to_class, to_noise = jax.random.split(key, 3)
    length = jax.random.randint(to_length, (), T, T + T // 10 + 1)
    is_second = jax.random.bernoulli(to_class)
    xs = NOISE * jax.random.normal(to_noise, (T + T // 10,))
    signal = jnp.where(is_second, -1.0, 1.0) + (xs[:N] if task == "3b" else 0)
    of_first, of_second = (0.2, 0.8) if task == "3c" else (1.0, 0.0)
    return Sequence(xs.at[:N].set(signal)[:, None], length, jnp.where(is_second, of_second, of_first)[None])


def draw_training(key: Array, task: str, N: int) -> Sequence:
    """One sequence, in 3c with noise on its target."""
    sequence = draw_sequence(key, task, N)
    if task != "3c":
        return sequence
    noise = TARGET_NOISE * jax.random.normal(jax.random.fold_in(key, ON_TARGET), (1,))
    return sequence._replace(target=sequence.target + noise)


def update(trial: Tree, number: Array, task: str, N: int, rate: float, shape: Shape) -> Tree:
    """One sequence, and the weights changed by its gradient."""
    key = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), trial["presented"])
    gradient = answered(trial["weights"], draw_training(key, task, N), shape)[1]
    weights = jax.tree.map(lambda w, d: w - rate * d, trial["weights"], gradient)
    return {**trial, "weights": weights, "presented": trial["presented"] + 1}


def test(trial: Tree, number: int, count: int, task: str, N: int, shape: Shape) -> tuple[Array, Array]:
    """Wrong answers to a set of sequences, and the mean absolute difference to targets free of noise."""
    key = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), number)
    errors = jnp.abs(errors_on(trial["weights"], lambda key: draw_sequence(key, task, N), shape, key, count))
    return jnp.sum(errors > (0.1 if task == "3c" else 0.2)), jnp.mean(errors)


def is_passed(trial: Tree, stage: tuple[int, float], task: str, N: int, shape: Shape) -> Array:
    """True where a trial's test set has at most as many wrong as a stage allows, and a smaller mean error."""
    wrong, difference = test(trial, TEST_SET, 256, task, N, shape)
    return (wrong <= stage[0]) & (difference < stage[1])


BUDGET = 1_500_000
ANY = float("inf")
TASK_A = {"task": "3a", "rate": 1.0, "first": (0, ANY), "last": (0, 0.01), "budget": BUDGET}
TASK_B = {**TASK_A, "task": "3b", "first": (5, ANY), "last": (5, 0.04)}
ARMS: dict[str, dict[str, Any]] = {
    "3a, N = 3": {**TASK_A, "N": 3},
    "3a, N = 1": {**TASK_A, "N": 1},
    "3b, N = 3": {**TASK_B, "N": 3},
    "3a, N = 3, Table 10": {**TASK_A, "N": 3, **TABLE_10},
    "3a, N = 3, Table 10, no half": {**TASK_A, "N": 3, **TABLE_10, "rate": 2.0},
    "3a, N = 1, Table 10": {**TASK_A, "N": 1, **TABLE_10},
    "3b, N = 3, Table 10": {**TASK_B, "N": 3, **TABLE_10},
}
TABLES = {"3a, N = 3": (39_850, "Table 4"), "3a, N = 1": (64_330, "Table 4"), "3b, N = 3": (43_250, "Table 5")}
"""Mean sequences until ST2."""

EXHIBIT = Exhibit(
    paper="Hochreiter & Schmidhuber (1997). Long short-term memory. Neural Computation 9",
    place="Tables 4 and 5, the two-sequence problem (3a, 3b)",
    claim="LSTM learns to tell two classes by the first three numbers of 100 and more, where the rest of the line is "
    "noise, after 39,850 sequences on average, and hardly later where these three are noisy themselves.",
    settings=(
        Setting(
            "Sequences", "100 to 110 numbers; the first N are 1 or -1; Gaussian noise of variance 0.2 after them (5.3)"
        ),
        Setting("Noise on the first N", "in 3b, of variance 0.2"),
        Setting("Targets", "1 and 0"),
        Setting("Network", "1 input, 3 blocks x 1 cell, 1 output; 102 weights (Tables 4 and 10)"),
        Setting(
            "Connections", "hidden layer fully connected, all its units biased; the output sees cells, has no bias"
        ),
        Setting(
            "Squashing",
            "gates and output in [0, 1], g in [-2, 2], h in [-1, 1]; Table 10 has them the other way",
            "the text's; Table 10's in arms",
            "the paper says both",
        ),
        Setting("Initial weights", "[-0.1, 0.1]; input gate biases -1, -3, -5; output gate biases -2, -4, -6"),
        Setting("Learning rate", "1.0; a new sequence for each change of the weights"),
        Setting(
            "Gradient",
            "of the squared error at the end, cut at the gates (appendix A.1); with its half by (19), without by (16)",
            "with the half; without it, steps are twice as long, is an arm",
            "the paper says both",
        ),
        Setting("Wrong", "an absolute error above 0.2"),
        Setting(
            "Stopped when (ST1)",
            "none of 256 test sequences is wrong; in 3b fewer than 6",
        ),
        Setting("Stopped when (ST2)", "ST1, and the mean absolute error is below 0.01; in 3b 0.04"),
        Setting("Looked at", "not said", "every 1,000 sequences, with one test set a trial", "a look costs time"),
        Setting("Test afterwards", "2,560 new sequences"),
        Setting("State at the start", "zeros"),
        Setting("Trials", "10", "30", "for intervals"),
        Setting(
            "Given up",
            "not said",
            "1,500,000 sequences a stage",
            "nineteen times the largest mean of the paper at T = 100",
        ),
        Setting(
            "T and N",
            "T = 100, N = 3 and 1; T = 1,000, N = 3 in 3a and N = 1 in 3b",
            "T = 100, N = 3; N = 1 in 3a",
            "T = 1,000 takes the paper 446,850 sequences of 1,050 steps until ST1",
        ),
    ),
    arms=ARMS,
    run=run,
    criteria=(
        *chain.from_iterable(
            claims(arm, mean, BUDGET, place)
            for row, (mean, place) in TABLES.items()
            for arm in ARMS
            if arm.startswith(row)
        ),
        Criterion(
            "3a, N = 3: mean sequences until ST1",
            "3a, N = 3",
            "first stage",
            *near(27_380),
            published=Published(27_380, "Table 4"),
            until=True,
        ),
        afterwards("3a, N = 3", "share misclassified", 0, 0.002, Published(0.000195, "Table 4")),
    ),
    picture=partial(
        draw_successes,
        measure="sequences",
        means={row: mean for row, (mean, _) in TABLES.items()},
        span=(3_000, 2 * BUDGET),
        scale="log",
    ),
    learned=(
        "Half of the trials find the three first numbers within 30,000 sequences, less than the paper's mean, and "
        "afterwards 2 of 2,560 answers are wrong. But the trials are far apart: two take 743,000 and 1,135,000, and "
        "one is not done after 1,500,000. A mean of 10, which the paper gives, says little of such times.",
        "One number instead of three costs half of the trials a sixth more time, where it costs the paper's "
        "61% more on average; one trial is stuck. Noise on the "
        "three makes it easier, not harder, as its criterion lets five wrong answers pass: by a factor of 2.2 faster "
        "than in the paper.",
        "Table 10's squashing makes all of it faster than in the paper: with three numbers 29 of 30 trials are done "
        "after 11,400 sequences on average, half of them within 7,000, and one is stuck; with noise on them all after "
        "8,200, with one number all after 34,000. Without the error's half, half of the trials with three numbers are "
        "done within 9,000, but two take more than 500,000, and two are stuck.",
        "Guessing the seven weights of a small net solves 3a with N = 1 too, over 500 steps and more: see the "
        "exhibit guessing_two_sequences.",
    ),
    seeds=30,
    batch=15,
    quick_seeds=10,
    quick={"budget": 60_000},
    quick_arms=("3a, N = 3",),
)
