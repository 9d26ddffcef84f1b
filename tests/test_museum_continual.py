"""The continual embedded Reber grammar and its network, against their paper."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.museum import lstm_2000, reber, streams
from rnnjax.museum.exhibits import continual_reber
from rnnjax.museum.streams import SHAPE, STREAM, Place, Rule, follow

KEEP = pytest.mark.parametrize("keep", [None, 0.9], ids=["forget gates", "state decay"])


def draw_weights(keep):
    weights = lstm_2000.draw_weights(jax.random.key(0), SHAPE, keep, 1.0)
    return jax.tree.map(lambda w: w.astype(float), weights)


def test_the_network_of_2000_has_424_weights_and_its_gates_the_biases_given():
    weights = lstm_2000.draw_weights(jax.random.key(0), SHAPE, None, 0.2)
    assert lstm_2000.count(SHAPE, weights) == 424
    blocks = [0.5, 1, 1.5, 2]
    np.testing.assert_allclose(weights.hidden[:, -1], [0] * 8 + [-b for b in blocks] + blocks + [-b for b in blocks])
    assert 0.19 < float(jnp.abs(weights.output).max()) <= 0.2


@KEEP
def test_errors_cut_at_the_gates_are_autodiff_with_nothing_going_back_through_net_inputs(keep):
    with jax.enable_x64(True):
        weights, T = draw_weights(keep), 5
        symbols = jax.random.randint(jax.random.key(1), (T,), 0, 7)
        xs = jax.nn.one_hot(symbols, 7, dtype=float)
        targets = jax.random.bernoulli(jax.random.key(2), shape=(T, 7)).astype(float)
        σ = jax.nn.sigmoid

        def loss(weights):
            cells, s, total = jnp.zeros(8), jnp.zeros((4, 2)), 0.0
            for x, target in zip(xs, targets, strict=True):
                net = weights.hidden @ jnp.concatenate([x, jax.lax.stop_gradient(cells), jnp.ones(1)])
                i, o = σ(net[8:12, None]), σ(net[-4:, None])
                f = σ(net[12:16, None]) if keep is None else keep
                s = f * s + i * (4 * σ(net[:8].reshape(4, 2)) - 2)
                cells = (o * (2 * σ(s) - 1)).ravel()
                output = σ(weights.output @ jnp.concatenate([cells, x, jnp.ones(1)]))
                total += jnp.sum((target - output) ** 2) / 2
            return total

        memory, found = lstm_2000.begin(SHAPE, keep), jax.tree.map(jnp.zeros_like, weights)
        for x, target in zip(xs, targets, strict=True):
            memory, seen = lstm_2000.step(SHAPE, weights, memory, x, keep)
            found = jax.tree.map(jnp.add, found, lstm_2000.gradient(SHAPE, weights, memory, seen, target))
        expected = jax.grad(loss)(weights)
        expected = expected._replace(hidden=expected.hidden.at[:8, -1].set(0))  # cells have no bias
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)


def test_a_stream_is_string_after_string_of_the_grammar():
    rng, (state, text, may) = np.random.default_rng(0), (1, "B", [])
    for choice in rng.integers(0, 2, 3000):
        may.append("".join(np.array(list(reber.SYMBOLS))[STREAM.allowed[state] > 0]))
        place = follow(Place(None, state), choice)
        state, text = int(place.state), text + reber.SYMBOLS[int(place.symbol)]
    ends = [t + 1 for t, symbol in enumerate(text) if symbol == "E"][1::2]
    strings = [text[first:end] for first, end in pairwise([0, *ends])]
    for string, end in zip(strings, ends, strict=True):
        expected = [*reber.allowed(string), "B"]
        assert list(map(sorted, may[end - len(string) : end])) == list(map(sorted, expected)), string
    assert len(strings) > 200
    assert np.mean([len(string) for string in strings]) == pytest.approx(11.5, abs=0.7)  # section 4.1
    assert {string[1] for string in strings} == {"T", "P"}


def test_a_symbol_changes_the_weights_by_its_gradient_and_a_wrong_one_ends_the_stream():
    rule = Rule(None, decay=0.5)
    trial = streams.begin(jnp.int32(3), rule) | {"age": jnp.int32(3)}
    x, target = streams.read(trial["place"])
    assert target.tolist() == [symbol in "TP" for symbol in reber.SYMBOLS]
    memory, seen = lstm_2000.step(SHAPE, trial["weights"], trial["memory"], x, None)
    gradient = lstm_2000.gradient(SHAPE, trial["weights"], memory, seen, target)
    after = jax.jit(lambda trial: streams.learn(trial, jnp.int32(1), rule))(trial)
    for new, old, slope in zip(after["weights"], trial["weights"], gradient, strict=True):
        np.testing.assert_allclose(new, old - 0.5**4 * slope, atol=1e-6)
    assert (int(after["streams"]), int(after["age"]), bool(after["new"])) == (1, 0, True)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(after["memory"]))
    assert after["place"] == trial["place"]


def test_the_symbols_of_ten_streams_are_counted_up_to_the_first_wrong_prediction(monkeypatch):
    monkeypatch.setattr(streams, "LONGEST", 200)
    trial = streams.begin(jnp.int32(0), Rule(None)) | {"new": jnp.bool_(True)}
    for bound, length in ((1.1, 200), (0.49, 0)):
        monkeypatch.setattr(streams, "RIGHT", bound)
        assert float(streams.mean_length(trial, Rule(None))) == length
        assert bool(streams.is_perfect(trial, Rule(None))) == (length == 200)
    assert not streams.is_perfect(trial | {"new": jnp.bool_(False)}, Rule(None))


@pytest.mark.slow
def test_a_hundredth_of_the_rate_learns_no_string():
    options = {"keep": 1.0, "reset": "outside", "budget": 30_000}
    right, wrong = (
        continual_reber.run(np.arange(4), **options, rate=rate)["symbols until an error, if not perfect"]
        for rate in (0.5, 0.005)
    )
    assert right.min() > 5
    assert wrong.max() < 4
