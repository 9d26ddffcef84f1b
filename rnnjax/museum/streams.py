"""On-line learning of streams without marked ends, as Gers, Schmidhuber & Cummins, 2000, "Learning to forget: continual
prediction with LSTM", have it on the embedded Reber grammar.

Weights change after each symbol of a training stream, and it ends with the first wrong prediction. After it the network
is tested with ten streams, its weights frozen: it is perfect if it errs nowhere in 100,000 symbols of each.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.museum import lstm_1997, lstm_2000, reber
from rnnjax.museum.lstm_1997 import Seen, Shape, Weights
from rnnjax.museum.lstm_2000 import Keep

Array = jax.Array
Tree = Any

SHAPE = Shape(7, 4, 2, 7, "gates", reads="cells and inputs")
RIGHT = 0.49
LONGEST, TESTS, AT_ONCE = 100_000, 10, 100
STREAM = reber.stream()


class Rule(NamedTuple):
    """Settings of a trial.

    Attributes:
      keep: the share of their state that cells keep at each step; None: forget gates say it.
      reset: the memory is set to zero at the beginning of each string from outside, or never within a stream.
      decay: factor of the learning rate at each step of a training stream, which begins with the full rate.
      rate: the learning rate.
      streams: the most training streams.
      longest: the most symbols of a training stream.
    """

    keep: Keep
    reset: Literal["outside", "never"] = "never"
    decay: float = 1.0
    rate: float = 0.5
    streams: int = 30_000
    longest: int = LONGEST


class Place(NamedTuple):
    """The symbol that is read, and the state of the grammar after it."""

    symbol: Array
    state: Array


FIRST = Place(jnp.int32(reber.SYMBOLS.index("B")), jnp.int32(1))
"""The first symbol of a string."""


def follow(place: Place, choice: Array) -> Place:
    """The first or the second of the two symbols that may be next."""
    return Place(*(jnp.asarray(of)[place.state, choice] for of in (STREAM.symbols, STREAM.following)))


def choices(key: Array, *shape: int) -> Array:
    """0 or 1 for the first or the second of two symbols, one as likely as the other."""
    return jax.random.bernoulli(key, shape=shape).astype(jnp.int32)


def read(place: Place) -> tuple[Array, Array]:
    """Input of a step, and its target [7]: a 1 for each symbol that may be next."""
    return jax.nn.one_hot(place.symbol, 7), jnp.asarray(STREAM.allowed)[place.state]


def is_right(weights: Weights, seen: Seen, target: Array) -> Array:
    """True where all outputs are within 0.49 of their targets."""
    return jnp.max(jnp.abs(lstm_1997.output(SHAPE, weights, seen) - target)) < RIGHT


def begin(seed: Array, rule: Rule) -> Tree:
    """A trial before its first stream; `after` are the weights after its last one, `new` if it ended in this block."""
    to_weights, to_streams = jax.random.split(jax.random.key(seed))
    weights = lstm_2000.draw_weights(to_weights, SHAPE, rule.keep, 0.2)
    return {
        "weights": weights,
        "after": weights,
        "new": jnp.bool_(False),
        "key": jax.random.key_data(to_streams),
        "memory": lstm_2000.begin(SHAPE, rule.keep),
        "place": FIRST,
        "age": jnp.int32(0),
        "streams": jnp.int32(0),
    }


def read_block(trial: Tree, number: Array, rule: Rule, symbols: int) -> Tree:
    """A number of symbols of a trial."""
    key = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), number)
    one = lambda trial, choice: (learn(trial, choice, rule), None)
    return jax.lax.scan(one, {**trial, "new": jnp.bool_(False)}, choices(key, symbols))[0]


def learn(trial: Tree, choice: Array, rule: Rule) -> Tree:
    """One symbol: a step, the weights changed by its gradient, and a new stream if the prediction was wrong."""
    weights, place, age = trial["weights"], trial["place"], trial["age"]
    x, target = read(place)
    memory, seen = lstm_2000.step(SHAPE, weights, trial["memory"], x, rule.keep)
    gradient = lstm_2000.gradient(SHAPE, weights, memory, seen, target)
    rate = rule.rate * rule.decay ** age.astype(float)
    changed = jax.tree.map(lambda w, d: w - rate * d, weights, gradient)
    ends = ~is_right(weights, seen, target) | (age + 1 == rule.longest)
    return {
        **trial,
        "weights": changed,
        "after": jax.tree.map(partial(jnp.where, ends), changed, trial["after"]),
        "new": trial["new"] | ends,
        "memory": cleared(memory, ends | is_reset(place, rule)),
        "place": jax.tree.map(partial(jnp.where, ends), FIRST, follow(place, choice)),
        "age": jnp.where(ends, 0, age + 1),
        "streams": trial["streams"] + ends,
    }


def is_reset(place: Place, rule: Rule) -> Array:
    """True where the memory is set to zero from outside before the next symbol, the first of a string."""
    return (place.state == 0) & (rule.reset == "outside")


def cleared(memory: Tree, clears: Array) -> Tree:
    """The memory, or zeros."""
    return jax.tree.map(lambda leaf: jnp.where(clears, 0, leaf), memory)


def test(trial: Tree, rule: Rule, goes_on: Callable[[Array], Array]) -> Array:
    """Symbols of each of ten new streams before the first wrong prediction, up to 100,000 [10].

    Args:
      goes_on: bool [10], the streams that are still free of errors -> True to read on.
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), 2**31 - 1)
    key = jax.random.fold_in(key, trial["streams"])

    def one(state: tuple, place: Place, choice: Array) -> tuple:
        x, target = read(place)
        cells, s = state
        s, seen, _ = lstm_2000.forward(SHAPE, trial["after"], cells, s, x, rule.keep)
        state = cleared((seen.cells, s), is_reset(place, rule))
        return state, follow(place, choice), is_right(trial["after"], seen, target)

    def step(streams: tuple, choice: Array) -> tuple[tuple, None]:
        state, place, is_free, length = streams
        state, place, right = jax.vmap(one)(state, place, choice)
        return (state, place, is_free & right, length + (is_free & right)), None

    def read_on(carry: tuple) -> tuple:
        number, streams = carry
        drawn = choices(jax.random.fold_in(key, number), AT_ONCE, TESTS)
        return number + 1, jax.lax.scan(step, streams, drawn)[0]

    memory = lstm_2000.begin(SHAPE, rule.keep)
    each = lambda leaf: jnp.broadcast_to(leaf, (TESTS, *jnp.shape(leaf)))
    streams = jax.tree.map(each, ((memory.cells, memory.s), FIRST, jnp.bool_(True), jnp.int32(0)))
    is_left = lambda carry: goes_on(carry[1][2]) & (carry[0] < LONGEST // AT_ONCE)
    return jax.lax.while_loop(is_left, read_on, (jnp.int32(0), streams))[1][3]


def is_perfect(trial: Tree, rule: Rule) -> Array:
    """True where a stream has just ended, and after it the network errs nowhere in ten test streams.

    Trials are tested one after the other, as most of them err soon.
    """
    one = lambda trial: jnp.min(test(trial, rule, lambda is_free: trial["new"] & jnp.all(is_free))) == LONGEST
    return jax.custom_batching.sequential_vmap(one)(trial)


def mean_length(trial: Tree, rule: Rule) -> Array:
    """The mean over ten test streams of the symbols before the first wrong prediction."""
    return jax.custom_batching.sequential_vmap(lambda trial: jnp.mean(test(trial, rule, jnp.any)))(trial)
