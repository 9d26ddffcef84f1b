"""Hochreiter & Schmidhuber 1997, experiment 1: the embedded Reber grammar, Table 1.

A network reads strings of the grammar symbol by symbol and predicts the next one. The last symbol but one is that which
stood second, at least 6 steps before. A trial has succeeded when the symbols that may follow are the most active
outputs after every symbol of 256 training and 256 test strings.
"""

from functools import partial
from itertools import chain
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.museum import lstm_1997, reber
from rnnjax.museum.claims import claims
from rnnjax.museum.exhibit import Exhibit, Setting
from rnnjax.museum.lstm_1997 import TABLE_10, Shape, Weights
from rnnjax.museum.successes import draw_successes
from rnnjax.museum.trials import until_solved

Array = jax.Array
Tree = Any

STRINGS = 256
MEAN_LENGTH = 11
"""Steps of a mean string, its last symbol left out."""


def run(
    seeds: np.ndarray,
    blocks: int,
    size: int,
    rate: float,
    budget: int = 200_000,
    after: Literal["string", "symbol"] = "string",
    target: Literal["next", "all that may follow"] = "next",
    asks: Literal["all", "one"] = "all",
    g: float = 2.0,
    h: float = 1.0,
    biased: lstm_1997.Biased = "gates",
    reads: lstm_1997.Reads = "cells",
) -> dict[str, Any]:
    """Trains a trial a seed, which draws the weights, both sets of strings and their order."""
    shape = Shape(7, blocks, size, 7, biased, g, h, reads=reads)
    trials = jax.vmap(lambda seed, strings: begin(seed, strings, shape))(jnp.asarray(seeds), draw_strings(seeds))
    ticks = STRINGS * MEAN_LENGTH
    found = until_solved(
        trials,
        lambda trial, t: tick(shape, trial, rate, after, target),
        lambda trial: is_solved(shape, trial["weights"], trial["strings"], asks),
        budget=budget * MEAN_LENGTH,
        every=ticks,
    )
    strings = np.where(found.solved, found.states["presented"], np.nan)
    share = jax.jit(jax.vmap(lambda trial: share_right(shape, trial["weights"], trial["strings"], asks)))
    return {"solved": found.solved, "strings": strings, "predictions right": share(found.states)}


def draw_strings(seeds: np.ndarray) -> reber.Strings:
    """Training strings, then test strings, of each seed: leaves [seeds, 512, ...]."""
    drawn = [list(chain(*reber.draw_sets(np.random.default_rng(int(seed)), STRINGS))) for seed in seeds]
    longest = max(len(string) for strings in drawn for string in strings)
    tables = [reber.table(strings, longest) for strings in drawn]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *tables)


def begin(seed: Array, strings: reber.Strings, shape: Shape) -> Tree:
    """A trial before its first string."""
    to_weights, to_order = jax.random.split(jax.random.key(seed))
    output_bias = tuple(-1.0 - block for block in range(shape.blocks))
    weights = lstm_1997.draw_weights(to_weights, shape, 0.2, output_bias=output_bias)
    return {
        "weights": weights,
        "strings": strings,
        "order": jax.random.key_data(to_order),
        "memory": lstm_1997.begin(shape),
        "gathered": jax.tree.map(jnp.zeros_like, weights),
        "row": jax.random.randint(jax.random.fold_in(to_order, 0), (), 0, STRINGS),
        "position": jnp.int32(0),
        "presented": jnp.int32(0),
    }


def tick(shape: Shape, trial: Tree, rate: float, after: str, target: str) -> Tree:
    """One symbol: a step, its errors, and the weights changed after a symbol, or after the string's last prediction."""
    strings, weights, row, position = trial["strings"], trial["weights"], trial["row"], trial["position"]
    x, y = (jax.nn.one_hot(strings.symbols[row, position + ahead], 7) for ahead in (0, 1))
    y = y if target == "next" else strings.allowed[row, position].astype(y.dtype)
    memory, seen = lstm_1997.step(shape, weights, trial["memory"], x)
    gathered = jax.tree.map(jnp.add, trial["gathered"], lstm_1997.gradient(shape, weights, memory, seen, y))
    last = position + 2 == strings.length[row]
    changes = last if after == "string" else jnp.bool_(True)
    presented = trial["presented"] + last
    order = jax.random.fold_in(jax.random.wrap_key_data(trial["order"]), presented)
    return {
        **trial,
        "weights": jax.tree.map(lambda w, d: w - jnp.where(changes, rate * d, 0), weights, gathered),
        "memory": jax.tree.map(lambda leaf: jnp.where(last, 0, leaf), memory),
        "gathered": jax.tree.map(lambda leaf: jnp.where(changes, 0, leaf), gathered),
        "row": jnp.where(last, jax.random.randint(order, (), 0, STRINGS), row),
        "position": jnp.where(last, 0, position + 1),
        "presented": presented,
    }


def read(shape: Shape, weights: Weights, asks: str, memory: Tree, symbols: Array, allowed: Array) -> tuple[Tree, Array]:
    """Reads a symbol of each string [n]: True where the symbols that may follow (or one of them) are the most active
    outputs, and after an end [n]."""
    forward = jax.vmap(partial(lstm_1997.forward, shape, weights))
    y, s, seen = forward(memory[0], memory[1], jax.nn.one_hot(symbols, 7))
    output = jax.vmap(lambda seen: lstm_1997.output(shape, weights, seen))(seen)
    least = jnp.min(jnp.where(allowed, output, jnp.inf), axis=-1)
    highest = jnp.max(jnp.where(allowed, output, -jnp.inf), axis=-1)
    other = jnp.max(jnp.where(allowed, -jnp.inf, output), axis=-1)
    return (y, s), ((least if asks == "all" else highest) > other) | ~jnp.any(allowed, axis=-1)


def is_solved(shape: Shape, weights: Weights, strings: reber.Strings, asks: str) -> Array:
    """True if all predictions are right; strings are read until one is not."""
    first, steps = begin_all(shape, strings)

    def read_on(state: tuple) -> tuple:
        t, memory, _ = state
        memory, right = read(shape, weights, asks, memory, steps[0][t], steps[1][t])
        return t + 1, memory, jnp.all(right)

    goes_on = lambda state: state[2] & (state[0] < len(steps[0]))
    return jax.lax.while_loop(goes_on, read_on, (0, first, jnp.bool_(True)))[2]


def share_right(shape: Shape, weights: Weights, strings: reber.Strings, asks: str) -> Array:
    """The share of all predictions of a trial that are right."""
    body = lambda memory, step_t: read(shape, weights, asks, memory, *step_t)
    right = jax.lax.scan(body, *begin_all(shape, strings))[1]
    return 1 - jnp.sum(~right) / jnp.sum(strings.length - 1)


def begin_all(shape: Shape, strings: reber.Strings) -> tuple[Tree, Tree]:
    """Outputs of hidden units and internal states before each string [n, ...]; symbols and those that may follow, by
    steps [L, n, ...]."""
    n, first = len(strings.length), lstm_1997.begin(shape)
    memory = tuple(jnp.broadcast_to(leaf, (n, *leaf.shape)) for leaf in (first.y, first.s))
    return memory, tuple(jnp.moveaxis(leaf, 1, 0) for leaf in (strings.symbols, strings.allowed))


ROWS: dict[str, dict[str, Any]] = {
    "3 x 2": {"blocks": 3, "size": 2, "rate": 0.5, "budget": 25_000},
    "4 x 1": {"blocks": 4, "size": 1, "rate": 0.5, "budget": 25_000},
    "3 x 2, rate 0.2": {"blocks": 3, "size": 2, "rate": 0.2, "budget": 40_000},
    "3 x 2, rate 0.1": {"blocks": 3, "size": 2, "rate": 0.1, "budget": 60_000},
    "4 x 1, rate 0.1": {"blocks": 4, "size": 1, "rate": 0.1, "budget": 100_000},
}
TABLE_1 = dict(zip(ROWS, [(1, 8_440), (0.97, 9_500), (0.97, 14_060), (1, 21_730), (1, 39_740)], strict=True))
"""The share of trials that succeed, and mean strings until then."""
BASE = ROWS["3 x 2"]
SYMBOL, SLOW = {**BASE, "after": "symbol"}, {**ROWS["3 x 2, rate 0.1"], "after": "symbol"}
SEE_INPUTS = {"reads": "cells and inputs", "biased": "all"}
BOTH = {**SEE_INPUTS, **TABLE_10}

ARMS: dict[str, dict[str, Any]] = {
    **ROWS,
    "3 x 2, Table 10": {**BASE, **TABLE_10},
    "3 x 2, Table 10, no half": {**BASE, **TABLE_10, "rate": 1.0},
    "3 x 2, after a symbol": SYMBOL,
    "3 x 2, after a symbol, rate 0.1": SLOW,
    "3 x 2, after a symbol, all as target": {**SYMBOL, "target": "all that may follow"},
    "3 x 2, after a symbol, one suffices": {**SYMBOL, "asks": "one"},
    "3 x 2, after a symbol, Table 10": {**SYMBOL, **TABLE_10},
    "3 x 2, after a symbol, all biased": {**SYMBOL, "biased": "all"},
    "3 x 2, after a symbol, outputs see inputs": {**SYMBOL, **SEE_INPUTS},
    "3 x 2, after a symbol, outputs see inputs, Table 10": {**SYMBOL, **BOTH},
    "3 x 2, after a symbol, rate 0.1, outputs see inputs, Table 10": {**SLOW, **BOTH},
    "4 x 1, after a symbol, outputs see inputs, Table 10": {**ROWS["4 x 1"], "after": "symbol", **BOTH},
    "3 x 2, outputs see inputs": {**BASE, **SEE_INPUTS},
    **{f"{row}, outputs see inputs, Table 10": {**of, **BOTH} for row, of in ROWS.items()},
    "4 x 2, after a symbol": {**SYMBOL, "blocks": 4},
    "4 x 2, after a symbol, all biased": {**SYMBOL, "blocks": 4, "biased": "all"},
}
READINGS = {
    "": "",
    ", outputs see inputs, Table 10": "outputs that see the inputs, all units biased, Table 10's squashing",
    ", Table 10, no half": lstm_1997.READINGS["Table 10, no half"],
}
"""Readings of the paper by the end of the name of an arm."""
CRITERIA = tuple(
    criterion
    for end, reading in READINGS.items()
    for row, (share, mean) in TABLE_1.items()
    if (arm := f"{row}{end}") in ARMS
    for criterion in claims(arm, mean, ARMS[arm]["budget"], "Table 1", share, ("solved", "strings"), reading=reading)
)

EXHIBIT = Exhibit(
    paper="Hochreiter & Schmidhuber (1997). Long short-term memory. Neural Computation 9",
    place="Table 1, embedded Reber grammar",
    claim="LSTM with 3 blocks of 2 cells and rate 0.5 learns the embedded Reber grammar in every trial, after 8,440 "
    "strings on average and 24,100 at most.",
    settings=(
        Setting("Grammar", "embedded Reber, every choice of two edges even (section 5.1, figures 3 and 4)"),
        Setting("Strings", "256 training, 256 test, none in both; training strings drawn at random from their set"),
        Setting(
            "Trials",
            "3 pairs of sets x 10 initial weights",
            "100, each with sets of its own",
            "intervals need independent trials",
        ),
        Setting("Network", "7 inputs, 3 blocks x 2 cells, or 4 x 1, 7 outputs; 276 and 264 weights (Tables 1 and 10)"),
        Setting(
            "Connections",
            "cells and gates see inputs, cells and gates; outputs see cells; gates alone are biased",
            "the same; arms: biases on all units, with them outputs that see the inputs too, and 4 x 2 cells",
            "the network of Gers, Schmidhuber & Cummins (2000) has such outputs and this size",
        ),
        Setting(
            "Squashing",
            "gates and outputs in [0, 1], g in [-2, 2], h in [-1, 1]; in Table 10 g in [-1, 1], h in [-2, 2]",
            "the text's; Table 10's in arms",
            "the paper says both",
        ),
        Setting("Initial weights", "[-0.2, 0.2]; output gate biases -1, -2, -3 (-4)"),
        Setting("State at the start", "zeros (5.1)"),
        Setting("Learning rate", "0.1, 0.2, 0.5 (Table 1)"),
        Setting(
            "Gradient",
            "of the squared error, cut at the gates (appendix A.1); with its half by (19), without by (16)",
            "with the half; without it, steps are twice as long, is an arm",
            "the paper says both",
        ),
        Setting(
            "Weights change",
            "on-line; after a string or after a symbol is not said",
            "after a string; after a symbol in arms",
            "a string was the unit of the other experiments",
        ),
        Setting(
            "Target", "the next symbol", "the same; all that may follow is an arm", "a likely reason for a difference"
        ),
        Setting(
            "Success",
            "the outputs of the symbols that may follow are the most active ones, always",
            "the same; one of them is an arm",
            "the sentence can be read so",
        ),
        Setting("Looked at", "not said", "every 256 strings on average", "to save time"),
        Setting(
            "Given up",
            "not said",
            "25,000 strings; 40,000 at rate 0.2, 60,000 (4 x 1: 100,000) at 0.1",
            "the slowest trial at 0.5 took 24,100 (caption of Table 1); elsewhere two and a half times the mean",
        ),
    ),
    arms=ARMS,
    run=run,
    criteria=CRITERIA,
    picture=partial(
        draw_successes,
        measure="strings",
        means={row: mean for row, (_, mean) in TABLE_1.items()},
        span=(2000, 100_000),
        scale="log",
        budgets={arm: options["budget"] for arm, options in ARMS.items()},
        shown=[*(criterion.arm for criterion in CRITERIA), "4 x 2, after a symbol, all biased"],
    ),
    learned=(
        "In the paper's settings Table 1 does not come out. At rate 0.5 one trial of 100 succeeds, with 3 x 2 and with "
        "4 x 1 cells; at 0.2 four do, at 0.1 ten and one. The networks come to predict 86% to 94% of the symbols "
        "rightly, and stay there. Table 10's squashing, with or without the error's half, biases, other targets, or "
        "changes after each symbol help 12 trials of 100 at most, and 16 where one of the symbols that may follow "
        "suffices. Table 10's squashing and changes after each symbol bring 24.",
        "At the paper's sizes a network helps whose outputs see the inputs too, with biases on all units. With Table "
        "10's squashing and weights that change after each string it comes nearest to the paper, in four rows of its "
        "five: at rate 0.5 68 of 100 trials succeed with 3 x 2 cells and 72 with 4 x 1, at 0.2 49, at 0.1 43 and 72. "
        "Those take 7,130 and 8,610 strings, 11,500, and 21,300 and 34,600; the paper's 8,440 and 9,500, 14,060, and "
        "21,730 and 39,740. With 3 x 2 cells at 0.5 the text's squashing brings 47 trials, changes after each symbol "
        "53, and both 46; at 0.1 changes after each symbol bring 49, after 19,300 strings.",
        "A larger network helps more: 4 x 2 cells with biases on all units, outputs that see cells alone and changes "
        "after each symbol bring 80 trials, after 8,880 strings.",
        "At the paper's sizes a quarter of the trials and more is still missing to its 97% and 100%. Longer training "
        "is not the reason, as the paper's slowest trial took 24,100 strings.",
        "This reading was found by trying many, and the paper rules it out: outputs see the cells alone, and its 276 "
        "weights would be 338. So the text leaves something out. It does not say when the weights change, how often "
        "success is looked for, or when a trial is given up.",
    ),
    seeds=100,
    quick_seeds=10,
    quick={"budget": 5_000},
    quick_arms=("3 x 2", "3 x 2, after a symbol", "3 x 2, outputs see inputs, Table 10"),
)
