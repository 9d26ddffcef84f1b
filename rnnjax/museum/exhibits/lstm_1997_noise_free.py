"""Hochreiter & Schmidhuber 1997, experiment 2a: noise-free sequences with long time lags, Table 2.

There are two sequences, (y, a₁, ..., aₚ₋₁, y) and (x, a₁, ..., aₚ₋₁, x), and the next symbol is to be predicted at
every step. All but the last is easy; for that the first must be kept for p steps. A recurrent network has one
self-recurrent unit, LSTM one memory cell with an input gate in its place; outputs see it and the inputs:

    hₜ = σ(U xₜ + w hₜ₋₁)      sₜ = sₜ₋₁ + σ(G xₜ) σ(U xₜ)      outputs σ(V xₜ + v hₜ), or with sₜ for hₜ

No error leaves the gate or the cell for the step before, as neither sees more than the input: LSTM's errors, cut at the
gates, are exact here.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.museum.claims import claims, near
from rnnjax.museum.exhibit import Criterion, Exhibit, Published, Setting
from rnnjax.museum.successes import draw_successes
from rnnjax.museum.trials import until_solved

Array = jax.Array
Tree = Any
Net = Literal["LSTM", "recurrent"]

REACH = 0.2
RIGHT = 0.25
SQUASHING = {
    "[0, 1]": jax.nn.sigmoid,
    "[-1, 1]": lambda x: jnp.tanh(x / 2),
    "[-2, 2]": lambda x: 2 * jnp.tanh(x / 2),
}
LOOK_BACK = 100
"""Sequences over which the error is averaged to see that it no longer decreases."""


def run(
    seeds: np.ndarray,
    net: Net,
    p: int,
    rate: float,
    budget: int,
    every: int,
    g: str = "[0, 1]",
    after: Literal["sequence", "symbol"] = "sequence",
) -> dict[str, Any]:
    """Trains a trial a seed, which draws the weights and the order of the two sequences."""
    begin = partial(first, net=net, p=p)
    found = until_solved(
        jax.vmap(begin)(jnp.asarray(seeds)),
        partial(update, net=net, p=p, rate=rate, g=g, learn=after_symbols if after == "symbol" else after_sequence),
        lambda trial: largest_error(trial, net, p, g) < RIGHT,
        budget=budget,
        every=every,
    )
    left = jax.jit(jax.vmap(lambda trial: largest_error(trial, net, p, g)))(found.states)
    return {"solved": found.solved, "sequences": found.updates, "largest error": np.asarray(left)}


def first(seed: Array, net: Net, p: int) -> Tree:
    """A trial before its first sequence; symbols a₁ to aₚ₋₁ are 0 to p - 2, x is p - 1 and y is p."""
    keys = jax.random.split(jax.random.key(seed), 6)
    shapes = {"U": (p + 1,), "V": (p + 1, p + 1), "v": (p + 1,)} | ({"G": (p + 1,)} if net == "LSTM" else {"w": ()})
    draw = lambda key, shape: jax.random.uniform(key, shape, minval=-REACH, maxval=REACH)
    return {
        "weights": {name: draw(key, shape) for key, (name, shape) in zip(keys, shapes.items(), strict=False)},
        "key": jax.random.key_data(keys[-1]),
        "added": jnp.bool_(net != "LSTM"),
        "error": jnp.zeros(()),
        "error before": jnp.array(jnp.inf),
    }


def keep(weights: Tree, kept: Array, symbol: Array, net: Net, g: str) -> Array:
    """The state after a symbol: h, or s of LSTM."""
    from_input = weights["U"][symbol]
    if net == "LSTM":
        return kept + jax.nn.sigmoid(weights["G"][symbol]) * SQUASHING[g](from_input)
    return jax.nn.sigmoid(from_input + weights["w"] * kept)


def read(letter: Array, p: int) -> tuple[Array, Array]:
    """The symbols that are seen, and those that follow [p], of the sequence of a letter, p - 1 or p."""
    between = jnp.arange(p - 1)
    return jnp.append(letter, between), jnp.append(between, letter)


def errors(trial: Tree, weights: Tree, letter: Array, net: Net, p: int, g: str) -> Array:
    """Target minus output [p, p + 1] in the sequence of a letter."""
    seen, following = read(letter, p)
    if net == "LSTM":
        kept = jnp.cumsum(keep(weights, jnp.zeros(p), seen, net, g))
    else:
        states = [jnp.zeros(())]
        for symbol in seen:
            states.append(keep(weights, states[-1], symbol, net, g))
        kept = jnp.stack(states[1:])
    v = jnp.where(trial["added"], weights["v"], 0)
    return jax.nn.one_hot(following, p + 1) - jax.nn.sigmoid(weights["V"][seen] + kept[:, None] * v)


def after_sequence(trial: Tree, letter: Array, net: Net, p: int, rate: float, g: str) -> tuple[Tree, Array]:
    """Weights changed by the gradient of a whole sequence, and Σ (target - output)² / 2."""
    half_square = lambda weights: jnp.sum(errors(trial, weights, letter, net, p, g) ** 2) / 2
    loss, gradient = jax.value_and_grad(half_square)(trial["weights"])
    return jax.tree.map(lambda w, d: w - rate * d, trial["weights"], gradient), loss


def after_symbols(trial: Tree, letter: Array, net: Net, p: int, rate: float, g: str) -> tuple[Tree, Array]:
    """Weights changed after each symbol, by derivatives of what is remembered that are carried forward, and the same
    loss."""

    def half_square(row: Array, v: Array, kept: Array, target: Array) -> Array:
        v = jnp.where(trial["added"], v, 0)
        return jnp.sum((target - jax.nn.sigmoid(row + kept * v)) ** 2) / 2

    def body(carry: tuple, symbols: tuple[Array, Array]) -> tuple[tuple, Array]:
        (weights, kept, by), (symbol, following) = carry, symbols
        feeding = {name: weights[name] for name in by}
        new, (direct, through) = jax.value_and_grad(keep, (0, 1))(feeding, kept, symbol, net, g)
        by = jax.tree.map(lambda d, before: d + through * before, direct, by)
        target, row = jax.nn.one_hot(following, p + 1), weights["V"][symbol]
        loss, (d_row, d_v, d_kept) = jax.value_and_grad(half_square, (0, 1, 2))(row, weights["v"], new, target)
        changed = {name: feeding[name] - rate * d_kept * by[name] for name in by}
        changed |= {"V": weights["V"].at[symbol].add(-rate * d_row), "v": weights["v"] - rate * d_v}
        return (changed, new, by), loss

    # derivatives of the state by the weights that feed it
    feeding = {name: jnp.zeros_like(w) for name, w in trial["weights"].items() if name not in ("V", "v")}
    (weights, *_), losses = jax.lax.scan(body, (trial["weights"], jnp.zeros(()), feeding), read(letter, p), unroll=4)
    return weights, jnp.sum(losses)


def update(trial: Tree, number: Array, net: Net, p: int, rate: float, g: str, learn: Callable) -> Tree:
    """One sequence, from which the weights learn; the cell is added once the error no longer decreases."""
    key = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), number)
    letter = p - 1 + jax.random.randint(key, (), 0, 2)
    weights, loss = learn(trial, letter, net, p, rate, g)
    total, looks = trial["error"] + loss / LOOK_BACK, (number + 1) % LOOK_BACK == 0
    return {
        "weights": weights,
        "key": trial["key"],
        "added": trial["added"] | (looks & (total > 0.99 * trial["error before"])),
        "error": jnp.where(looks, 0, total),
        "error before": jnp.where(looks, total, trial["error before"]),
    }


def largest_error(trial: Tree, net: Net, p: int, g: str) -> Array:
    """The largest error of an output unit over both sequences: any 10,000 have none but these."""
    both = [errors(trial, trial["weights"], jnp.int32(letter), net, p, g) for letter in (p - 1, p)]
    return jnp.max(jnp.abs(jnp.stack(both)))


LSTM: dict[str, Any] = {"net": "LSTM", "p": 100, "rate": 1.0, "budget": 20_000, "every": 20}
RTRL = {"net": "recurrent", "rate": 1.0, "every": 1000}
ARMS: dict[str, dict[str, Any]] = {
    "LSTM, p = 100": LSTM,
    "LSTM, p = 100, g in [-1, 1]": {**LSTM, "g": "[-1, 1]", "budget": 40_000},
    "RTRL, p = 4": {**RTRL, "p": 4, "budget": 5_000_000},
    "RTRL, p = 4, rate 4": {**RTRL, "p": 4, "rate": 4.0, "budget": 5_000_000},
    "RTRL, p = 4, rate 10": {**RTRL, "p": 4, "rate": 10.0, "budget": 5_000_000},
    "RTRL, p = 10": {**RTRL, "p": 10, "budget": 5_000_000},
    "BPTT, p = 100": {**RTRL, "p": 100, "budget": 20_000},
    "LSTM, p = 100, after a symbol": {**LSTM, "after": "symbol"},
    "LSTM, p = 100, g in [-1, 1], after a symbol": {**LSTM, "g": "[-1, 1]", "budget": 40_000, "after": "symbol"},
    "RTRL, p = 4, after a symbol": {**RTRL, "p": 4, "budget": 5_000_000, "after": "symbol"},
    "RTRL, p = 4, rate 4, after a symbol": {**RTRL, "p": 4, "rate": 4.0, "budget": 5_000_000, "after": "symbol"},
    "RTRL, p = 4, rate 10, after a symbol": {**RTRL, "p": 4, "rate": 10.0, "budget": 5_000_000, "after": "symbol"},
}
REMEMBERED = "Table 2, as remembered"
OF_LSTM = 5_040
"""Mean sequences until a trial of LSTM succeeds, as all do."""
TABLE_2 = {
    "RTRL, p = 4": (0.78, 0.5, 0.95, 1_043_000, "Table 2"),
    "RTRL, p = 4, rate 4": (0.56, 0.35, 0.8, 892_000, REMEMBERED),
    "RTRL, p = 4, rate 10": (0.22, 0.05, 0.45, 254_000, REMEMBERED),
}
"""The share of trials that succeed, the range asked for, and mean sequences of those until then."""
FAILS = partial(Criterion, measure="solved", low=0, high=0.15, published=Published(0, "Table 2"), fails=True)


def of_table(end: str = "", reading: str = "") -> list[Criterion]:
    """The claims of Table 2 for the arms with an end of their names: nearly all trials of LSTM succeed, and a share of
    those of RTRL over 4 steps, and both take about the paper's mean."""
    found = [*claims(f"LSTM, p = 100{end}", OF_LSTM, LSTM["budget"], "Table 2", share=1, reading=reading)]
    for row, (share, low, high, mean, place) in TABLE_2.items():
        arm, to_share, to_mean = f"{row}{end}", Published(share, place), Published(mean, place)
        of_share, of_mean = f"{arm}: share of trials", f"{arm}: mean sequences of those"
        found += [
            Criterion(of_share, arm, "solved", low, high, published=to_share, reading=reading),
            Criterion(of_mean, arm, "sequences", *near(mean), published=to_mean, reading=reading),
        ]
    return found


EXHIBIT = Exhibit(
    paper="Hochreiter & Schmidhuber (1997). Long short-term memory. Neural Computation 9",
    place="Table 2, noise-free sequences with a long lag (2a)",
    claim="LSTM learns to keep one symbol over 100 steps in every trial, after 5,040 sequences on average, where a "
    "recurrent network trained by RTRL takes 1,043,000 for 4 steps, in 78% of trials, and fails for 10.",
    settings=(
        Setting("Sequences", "two, of p + 1 symbols, each drawn with probability 1/2; the next symbol is the target"),
        Setting(
            "Recurrent network",
            "p + 1 inputs, one self-recurrent unit, p + 1 outputs that see both; 36, 144 and 10,404 weights (Table 2)",
        ),
        Setting("LSTM", "the unit is a memory cell with an input gate and no output gate; 10,504 weights (Table 2)"),
        Setting(
            "Squashing",
            "logistic in [0, 1], g too, and h(s) = s (5.2, Table 10)",
            "the same; g in [-1, 1] is an arm",
            "with g in [0, 1] the state begins by counting steps",
        ),
        Setting("Biases", "none (Table 10)"),
        Setting("Initial weights", "-0.2 to 0.2 (5.2)"),
        Setting(
            "Learning rate",
            "1; RTRL and back-propagation 1, 4 and 10 (Table 2)",
            "the same; for p = 10 and 100 1",
            "time",
        ),
        Setting(
            "Cell and gate",
            "added once the error has stopped decreasing (5.2)",
            "the same: when the mean error of 100 sequences is less than 1% below that of the 100 before",
            "the paper has no figure for it",
        ),
        Setting(
            "Weights change",
            "not said",
            "after each sequence; after each symbol in arms",
            "RTRL and back-propagation then have the same gradient",
        ),
        Setting(
            "Right",
            "all output units within 0.25 of their targets, in 10,000 successive sequences (5.2)",
            "in both sequences",
            "at fixed weights there are only two",
        ),
        Setting(
            "Given up",
            "5,000,000 sequences",
            "the same for RTRL; 20,000 for p = 100, 20,000 and 40,000 for LSTM",
            "time",
        ),
        Setting("Trials", "18", "100", "for intervals"),
    ),
    arms=ARMS,
    run=run,
    criteria=(
        *of_table(),
        FAILS("BPTT, p = 100: share of trials", "BPTT, p = 100", cut_short=True),
        FAILS("RTRL, p = 10: share of trials", "RTRL, p = 10"),
        *of_table(", after a symbol", "weights changed after each symbol"),
    ),
    picture=partial(
        draw_successes,
        measure="sequences",
        means={"LSTM, p = 100": OF_LSTM, **{row: mean for row, (*_, mean, _) in TABLE_2.items()}},
        span=(100, 5e6),
        scale="log",
        budgets={arm: options["budget"] for arm, options in ARMS.items()},
    ),
    learned=(
        "With the paper's squashing no trial succeeds. g in [0, 1] lets the state of the cell only grow, by about 1/4 "
        "a step, and by the end of a sequence it is the largest number in the network: a rate of 1 then throws the "
        "outputs from one end to the other.",
        "With g in [-1, 1] the state begins near 0, and 98 of 100 trials succeed, after nearly five times as many "
        "sequences as the paper has.",
        "The recurrent network is slow too: at the rate 1 one trial in 100 has learned 4 steps after 5,000,000 "
        "sequences, where the paper's took 1,043,000. It gets faster with the rate, as in the paper, 2,980,000 at 4 "
        "and 698,000 at 10, but where the paper's then succeed less often, ours do more often, at 10 in every trial. "
        "Over 10 steps it fails in all of the 5,000,000 sequences that the paper allows, over 100 as far as we ran it.",
        "Weights that change after each symbol, by derivatives that are carried forward, are no way to the table: the "
        "recurrent network learns 4 steps less often, none in 100 at the rate 1, 36 at 4 and 98 at 10. LSTM with g in "
        "[-1, 1] succeeds in 94, after 22,400 sequences, for 98, after 23,500, with changes after each sequence.",
        "So what LSTM is praised for comes out, it learns in thousands of sequences 100 steps where the other does not "
        "learn 10 in millions; the numbers of the table do not. The text leaves open how the error's "
        "decrease is measured.",
    ),
    seeds=100,
    quick_seeds=10,
    quick={"budget": 10_000},
    quick_arms=("LSTM, p = 100",),
)
