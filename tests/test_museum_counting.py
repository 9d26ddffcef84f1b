"""The museum's exhibits on counting, against plain loops."""

from functools import reduce
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.model.network import Model
from rnnjax.museum.exhibits import chomsky, counting_gates, counting_peepholes
from rnnjax.museum.exhibits.counting_gates import CELLS, EMBEDDING, UNITS

σ = lambda x: 1 / (1 + np.exp(-x))


def network(cell, letters, seed=0, sharp=1.0):
    """A network with weights of float64; `sharp` scales the logits, so that some words are refused."""
    model = Model(letters + 1, UNITS, cell=CELLS[cell], embedding=EMBEDDING, learned_state=True, inputs=letters)
    params = counting_gates.draw_params(jax.random.key(seed), model)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), params)
    return model, params._replace(V=sharp * params.V)


def log_p(cell, params, text):
    """The log-probabilities of all symbols before the first of a word, and after each, symbol by symbol."""
    P = jax.tree.map(np.asarray, params)
    (layer,) = P.layers
    h, c = layer.s0[:UNITS], layer.s0[-UNITS:]
    found = []
    for symbol in [*text, None]:
        logits = h @ P.V + P.by
        found.append(logits - np.log(np.sum(np.exp(logits))))
        if symbol is None:
            return np.array(found)
        a, z = P.embedding["abc".index(symbol)] @ layer.U + layer.bh, h @ layer.W
        if cell == "LSTM":
            i, f, g, o = np.split(a + z, 4)
            c = σ(f) * c + σ(i) * np.tanh(g)
            h = σ(o) * np.tanh(c)
        else:
            (a_r, a_u, a_n), (z_r, z_u, z_n) = np.split(a, 3), np.split(z + layer.bz, 3)
            u = σ(a_u + z_u)
            h = (1 - u) * np.tanh(a_n + σ(a_r + z_r) * z_n) + u * h


def surprise(cell, params, text, letters):
    """-log p of a word and its end."""
    ids = ["abc".index(symbol) for symbol in text] + [letters]
    return -log_p(cell, params, text)[np.arange(len(ids)), ids].sum()


def is_accepted(cell, params, text, letters):
    ids = ["abc".index(symbol) for symbol in text] + [letters]
    return bool((log_p(cell, params, text)[np.arange(len(ids)), ids] > np.log(0.01)).all())


@pytest.mark.slow
def test_words_are_spelt_and_judged_as_one_by_one():
    assert "".join("abc"[i] for i in counting_gates.word(3, 3, 11)) == "aaabbbccccc"
    verdicts = set()
    with jax.enable_x64(True):
        for cell, letters, seed in (("LSTM", 3, 0), ("GRU", 2, 1)):
            model, params = network(cell, letters, seed, sharp=4.0)
            right, refused = counting_gates.judge(params, model, 7)
            for n in range(1, 7):
                word = "".join(letter * n for letter in "abc"[:letters])
                near = [is_accepted(cell, params, other, letters) for other in (word[:-1], word + word[-1])]
                assert bool(right[n]) == is_accepted(cell, params, word, letters), (cell, n)
                assert bool(refused[n]) == (not any(near)), (cell, n)
                verdicts |= {(bool(right[n]), bool(refused[n]))}
    assert len(verdicts) > 1


def test_the_gradient_of_a_word_is_that_of_its_surprise():
    with jax.enable_x64(True):
        model, params = network("LSTM", 2)
        found = counting_gates.gradient(params, jnp.int32(3), model, 10)
        flat, tree = jax.tree.flatten(params)
        for index, (leaf, slope) in enumerate(zip(flat, jax.tree.leaves(found), strict=True)):
            way = np.random.default_rng(index).normal(size=leaf.shape)
            moved = lambda e, leaf=leaf, way=way, at=index: tree.unflatten(
                [*flat[:at], leaf + e * way, *flat[at + 1 :]]
            )
            ends = [surprise("LSTM", moved(e), "aaabbb", 2) for e in (1e-6, -1e-6)]
            assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(float(jnp.sum(slope * way)), rel=1e-5, abs=1e-7)


@pytest.mark.slow
def test_an_lstm_that_is_trained_tells_numbers_apart_and_one_that_is_not_does_not():
    options = {"letters": 2, "longest": 20, "far": 24, "tested": 40}
    trained = counting_gates.run(np.arange(5), "LSTM", epochs=400, **options)
    hardly = counting_gates.run(np.arange(5), "LSTM", epochs=1, **options)
    assert trained["words told"].mean() > 0.5
    assert hardly["words told"].max() < 0.1


ANSWERS = {
    "parity check": lambda s: [s.count(1) % 2],
    "even pairs": lambda s: [sum(pair in ((0, 1), (1, 0)) for pair in pairwise(s)) % 2],
    "cycle navigation": lambda s: [reduce(lambda at, way: (at + (0, 1, -1)[way - 1]) % 5, s, 0)],
    "bucket sort": sorted,
}


def test_strings_are_followed_by_empty_symbols_at_which_their_answer_is_due():
    for name, answer in ANSWERS.items():
        task = chomsky.TASKS[name]
        for length in (1, 7, 12):
            batch = chomsky.draw_batch(jax.random.key(length), task, jnp.int32(length), 12, 8)
            for x, y, weight in zip(*(np.asarray(leaf).T for leaf in batch[:3]), strict=True):
                string, expected = x[:length].tolist(), answer(x[:length].tolist())
                assert set(string) <= set(range(task.symbols))
                assert set(x[length:]) == {task.symbols}
                assert np.flatnonzero(weight).tolist() == list(range(length, length + len(expected))), name
                assert y[weight == 1].tolist() == expected, name
    drawn = chomsky.draw_batch(jax.random.key(0), chomsky.TASKS["cycle navigation"], jnp.int32(40), 40, 500)
    shares = np.bincount(np.asarray(drawn.x[:40]).ravel()) / 20_000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.01)


@pytest.mark.slow
def test_a_network_that_is_hardly_trained_does_not_solve_even_pairs():
    arm = {**chomsky.EXHIBIT.arms["LSTM, even pairs"], "updates": 2000}
    assert chomsky.run(np.arange(3), **arm)["score"].max() > 0.9
    assert chomsky.run(np.arange(3), **{**arm, "updates": 1})["score"].max() < 0.7


def may_follow(text, n, letters):
    """The symbols that may follow a beginning of a word of n, found by trying every word of the language."""
    words = ["S" + "".join(letter * m for letter in "abc"[:letters]) + "T" for m in range(1, n + 2)]
    return {word[len(text)] for word in words if word.startswith(text)}


def test_words_say_what_may_follow_each_of_their_symbols():
    for letters in (2, 3):
        names = "abc"[:letters]
        for n in (1, 2, 5):
            symbols, may, weight = (np.asarray(of) for of in counting_peepholes.word(jnp.int32(n), letters, 5))
            text = "".join((names + "S")[i] for i in symbols[weight == 1])
            assert text == "S" + "".join(letter * n for letter in names)
            for t in range(len(text)):
                found = {(names + "T")[i] for i in np.flatnonzero(may[t])}
                assert found == may_follow(text[: t + 1], n, letters), (text, t)


def test_one_cell_with_peepholes_has_38_weights_and_the_gates_see_it():
    model = Model(3, 1, cell=counting_peepholes.CELLS["peepholes"])
    weights = counting_peepholes.draw_weights(jax.random.key(0), model)
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == 38
    numbers = iter(np.random.default_rng(0).normal(size=9))
    a, z, c, p_i, p_f, p_o = (np.array([next(numbers)] * size) for size in (4, 4, 1, 1, 1, 1))
    a = a + np.arange(4)
    (h, new), _ = model.cell.forward(None, a, z, (0.0, c), p_i, p_f, p_o)
    i, f, g, o = a + z
    expected = σ(f + p_f * c) * c + σ(i + p_i * c) * (4 * σ(g) - 2)
    np.testing.assert_allclose(new, expected, rtol=1e-5)
    np.testing.assert_allclose(h, σ(o + p_o * expected) * expected, rtol=1e-5)


@pytest.mark.slow
def test_a_hundred_times_too_small_a_rate_learns_no_word():
    arm = {**counting_peepholes.EXHIBIT.arms["aⁿbⁿ"], "words": 60_000}
    assert counting_peepholes.run(np.arange(4), **arm)["solved"].mean() > 0.5
    assert not counting_peepholes.run(np.arange(4), **{**arm, "rate": arm["rate"] / 100})["solved"].any()
