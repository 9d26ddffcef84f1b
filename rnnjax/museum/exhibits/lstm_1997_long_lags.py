"""Hochreiter & Schmidhuber 1997, experiment 2c: very long time lags without local regularities, Table 3.

A sequence is b, x or y, then q and more of p distractors at random, and e; each step after the first q distractors is
e with probability 1/10. After e the network says which letter stood second, at least q + 1 steps before. It has two
memory cells, each with its two gates, and no bias.
"""

from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.museum import lstm_1997
from rnnjax.museum.claims import claims
from rnnjax.museum.exhibit import Exhibit, Setting
from rnnjax.museum.lstm_1997 import TABLE_10, Shape, Weights
from rnnjax.museum.one_target import begin
from rnnjax.museum.successes import draw_successes
from rnnjax.museum.trials import until_solved

Array = jax.Array
Tree = Any

RIGHT = 0.2
TEST, AT_ONCE, EVERY = 10_000, 50, 500
MORE = 100
"""The most distractors beyond the first q."""
FLAT = 18
"""The slope of h at states beyond is less than 10⁻⁷ of that at 0."""


class Sequence(NamedTuple):
    """Symbols [T], of which p is e, p + 1 b, p + 2 x and p + 3 y; how many belong to the sequence; the target [2]."""

    symbols: Array
    length: Array
    target: Array


def run(seeds: np.ndarray, q: int, p: int, rate: float, budget: int, g: float = 2.0, h: float = 1.0) -> dict[str, Any]:
    """Trains a trial a seed, which draws the weights and the sequences."""
    shape = Shape(p + 4, 2, 1, 2, "none", g, h)
    trials = jax.vmap(lambda seed: begin(seed, shape, 0.2))(jnp.asarray(seeds))
    states = jax.jit(jax.vmap(partial(first_states, shape=shape, q=q)))(trials)
    found = until_solved(
        {**trials, "right": jnp.zeros(len(seeds), int)},
        partial(update, shape=shape, q=q, rate=rate),
        lambda trial: trial["right"] >= TEST,
        budget=budget,
        every=EVERY,
    )
    return {
        "solved": found.solved,
        "sequences": found.updates,
        "right until the first error": np.asarray(found.states["right"]),
        "both cells flat at first": np.all(np.abs(states) > FLAT, axis=1),
    }


def draw_sequence(key: Array, q: int, p: int) -> Sequence:
    """One sequence of either letter, as likely as the other."""
    to_letter, to_more, to_rest = jax.random.split(key, 3)
    letter = jax.random.randint(to_letter, (), 0, 2)
    more = jnp.minimum(jnp.floor(jnp.log(jax.random.uniform(to_more, minval=1e-9)) / jnp.log(0.9)), MORE)
    length = 3 + q + more.astype(jnp.int32)
    symbols = jax.random.randint(to_rest, (3 + q + MORE,), 0, p)
    symbols = symbols.at[0].set(p + 1).at[1].set(p + 2 + letter).at[length - 1].set(p)
    return Sequence(symbols, length, jax.nn.one_hot(letter, 2))


def answered(weights: Weights, sequence: Sequence, shape: Shape) -> tuple[Array, Weights]:
    """The outputs after e, and the gradient of their error, cut at the gates."""
    memory, seen = lstm_1997.read_symbols(shape, weights, sequence.symbols, sequence.length)
    gradient = lstm_1997.gradient(shape, weights, memory, seen, sequence.target)
    return lstm_1997.output(shape, weights, seen), gradient


def first_states(trial: Tree, shape: Shape, q: int) -> Array:
    """Internal states of the two cells at the end of the first sequence, before the weights change."""
    key = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), 0)
    symbols, length, _ = draw_sequence(key, q, shape.inputs - 4)
    return lstm_1997.read_symbols(shape, trial["weights"], symbols, length)[0].s.ravel()


def update(trial: Tree, number: Array, shape: Shape, q: int, rate: float) -> Tree:
    """One sequence, and the weights changed by its gradient; after every 500th, how often in a row it is right."""
    key = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), number)
    _, gradient = answered(trial["weights"], draw_sequence(key, q, shape.inputs - 4), shape)
    weights = jax.tree.map(lambda w, d: w - rate * d, trial["weights"], gradient)
    trial = {**trial, "weights": weights, "presented": trial["presented"] + 1}
    # One trial after the other: side by side all would wait for the one that is right for longest.
    count = jax.custom_batching.sequential_vmap(partial(count_right, shape=shape, q=q))
    right = jax.lax.cond((number + 1) % EVERY == 0, count, lambda trial: trial["right"], trial)
    return {**trial, "right": right}


def count_right(trial: Tree, shape: Shape, q: int) -> Array:
    """The number of new sequences, in steps of 50 and up to 10,000, that are all answered rightly.

    A trial that has answered 10,000 of them is not asked again.
    """
    weights = trial["weights"]
    to_test = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), 2**31 - 1)
    to_test = jax.random.fold_in(to_test, trial["presented"])

    def is_right(key: Array) -> Array:
        sequence = draw_sequence(key, q, shape.inputs - 4)
        answer, _ = answered(weights, sequence, shape)
        return jnp.max(jnp.abs(answer - sequence.target)) < RIGHT

    def test(state: tuple[Array, Array]) -> tuple[Array, Array]:
        keys = jax.random.split(jax.random.fold_in(to_test, state[0]), AT_ONCE)
        right = jnp.all(jax.vmap(is_right)(keys))
        return state[0] + jnp.where(right, AT_ONCE, 0), right

    goes_on = lambda state: state[1] & (state[0] < TEST)
    first = jnp.where(trial["right"] < TEST, 0, TEST)
    return jax.lax.while_loop(goes_on, test, (first, jnp.bool_(True)))[0]


SHORT = {"q": 50, "p": 50, "rate": 0.01, "budget": 150_000}
LONG = {"q": 1000, "p": 1000, "rate": 0.01, "budget": 75_000}
FEW = {"q": 1000, "p": 50, "rate": 0.01, "budget": 305_000}
NO_HALF = {"rate": 0.02}
BOTH = {**TABLE_10, **NO_HALF}

ARMS: dict[str, dict[str, Any]] = {
    "q = p = 50": SHORT,
    "q = p = 50, no half": {**SHORT, **NO_HALF},
    "q = p = 50, Table 10": {**SHORT, **TABLE_10},
    "q = p = 50, Table 10, no half": {**SHORT, **BOTH},
    "q = p = 100, Table 10, no half": {**SHORT, "q": 100, "p": 100, **BOTH},
    "q = p = 1,000": LONG,
    "q = 1,000, p = 50": FEW,
    "q = p = 1,000, Table 10, no half": {**LONG, **BOTH},
}
TABLE_3 = {(50, 50): 30_000, (100, 100): 31_000, (1000, 1000): 49_000, (1000, 50): 203_000}
"""Mean sequences until a trial succeeds, by q and p."""
MEANS = {arm: TABLE_3[options["q"], options["p"]] for arm, options in ARMS.items()}

EXHIBIT = Exhibit(
    paper="Hochreiter & Schmidhuber (1997). Long short-term memory. Neural Computation 9",
    place="Table 3, long lags full of distractors (2c)",
    claim="LSTM learns to keep one symbol over 50 steps and more of 50 random distractors after 30,000 sequences on "
    "average, and over 1,000 steps and more of 1,000 after 49,000, of 50 after 203,000; then it says it rightly "
    "10,000 times on end.",
    settings=(
        Setting("Sequences", "b, x or y, q + k of p distractors, e; then the letter again; k has mean 9 (5.2)"),
        Setting(
            "k",
            "each step more with probability 9/10, by the mean; the text says 1/10 for both",
            "9/10; at most 100",
            "one sequence of 40,000 would be longer",
        ),
        Setting(
            "Distractors", "the text draws them from q symbols", "from p", "the table has q = 1,000 with p = 50 of them"
        ),
        Setting("Network", "p + 4 inputs, 2 blocks x 1 cell, 2 outputs; 364 weights with p = 50 (Table 3)"),
        Setting("Connections", "hidden layer fully connected; outputs see cells; no biases"),
        Setting(
            "Squashing",
            "gates and outputs in [0, 1], g in [-2, 2], h in [-1, 1]; Table 10 has them the other way",
            "the text's; Table 10's in arms",
            "the paper says both",
        ),
        Setting("Initial weights", "[-0.2, 0.2]"),
        Setting("Learning rate", "0.01; a new sequence for each change of the weights"),
        Setting(
            "Gradient",
            "of the squared error at the end, cut at the gates (appendix A.1); with its half by (19), without by (16)",
            "with the half; without it, steps are twice as long, is an arm",
            "the paper says both",
        ),
        Setting("State at the start", "zeros"),
        Setting("Success", "both outputs within 0.2 of their targets in 10,000 successive sequences"),
        Setting("Looked at", "not said", "every 500 sequences, with new ones at each look", "time"),
        Setting("Trials", "20", "30", "for intervals"),
        Setting(
            "Given up",
            "5,000,000 sequences",
            "150,000 at q = p = 50 and 100; at q = 1,000 75,000, and 305,000 for p = 50",
            "time; five times, and one and a half times, the paper's mean",
        ),
        Setting(
            "q and p",
            "50, 100, 500 and 1,000 each; q = 1,000 with p = 500 to 50",
            "50, 100 and 1,000 each; q = 1,000 with p = 50",
            "time",
        ),
    ),
    arms=ARMS,
    run=run,
    criteria=tuple(
        chain.from_iterable(claims(arm, mean, ARMS[arm]["budget"], "Table 3") for arm, mean in MEANS.items())
    ),
    picture=partial(
        draw_successes,
        measure="sequences",
        means=MEANS,
        span=(0, 305_000),
        budgets={arm: options["budget"] for arm, options in ARMS.items()},
    ),
    learned=(
        "The squashing functions decide whether it is learned: with those of the text 21 trials of 30, with those of "
        "Table 10 all of them. The trials that succeed take thrice the paper's sequences, 91,900 and 94,100.",
        "The paper's equations leave open whether the squared error has its half. Without it each step is twice as "
        "long. With Table 10 the trials then take half as many sequences, 49,200, and still succeed, which is the "
        "nearest to the paper's 30,000; with the squashing of the text only 11 of 30 succeed.",
        "The paper's means hardly grow with the lag, 30,000 at 50 steps, 31,000 at 100, 49,000 at 1,000. Ours do: in "
        "the settings that are nearest at 50 steps, 17 of 30 trials succeed at 100, after 113,000, and none at 1,000. "
        "With 50 distractors instead of 1,000 none does in 305,000, where the paper's take 203,000.",
        "At 1,000 steps the states drift away before anything is learned: there is no bias, but what a cell reads has "
        "a mean that is not 0, as the gates that feed it begin half open, and it adds up. With the text's settings "
        "both cells end their first sequence beyond 18, where h is so flat that hardly any error comes through, in 18 "
        "trials of 30 with p = 1,000, and in 19 with p = 50.",
        "The share of trials that a claim asks for was 0.85 in all arms when they were run. Since then it is what "
        "trials with the paper's mean cannot fall below: a third, for those given up after one and a half times that.",
    ),
    seeds=30,
    quick_seeds=5,
    quick={"budget": 110_000},
    quick_arms=("q = p = 50",),
    threads=1,
)
