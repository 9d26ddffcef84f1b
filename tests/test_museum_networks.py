"""The networks and languages of the museum, against their papers."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.museum import lstm_1997, reber
from rnnjax.museum.exhibits import (
    guessing_two_sequences,
    lstm_1997_adding,
    lstm_1997_long_lags,
    lstm_1997_noise_free,
    lstm_1997_reber,
    lstm_1997_temporal_order,
    lstm_1997_two_sequences,
    weight_guessing,
)
from rnnjax.museum.lstm_1997 import Shape


def test_the_blocks_of_1997_have_as_many_weights_as_its_tables_say():
    assert lstm_1997.count(Shape(7, 4, 1, 7, "gates")) == 264  # Table 1
    assert lstm_1997.count(Shape(7, 3, 2, 7, "gates")) == 276
    assert lstm_1997.count(Shape(54, 2, 1, 2, "none")) == 364  # Table 3
    assert lstm_1997.count(Shape(1, 3, 1, 1, "hidden")) == 102  # Table 4
    assert lstm_1997.count(Shape(2, 2, 2, 1, "all")) == 93  # Table 7
    assert lstm_1997.count(Shape(8, 2, 2, 4, "all")) == 156  # Table 9
    assert lstm_1997.count(Shape(8, 3, 2, 8, "all")) == 308


def test_gates_begin_with_the_biases_given():
    shape = Shape(7, 3, 2, 7, "gates")
    weights = lstm_1997.draw_weights(jax.random.key(0), shape, 0.2, (-4.0, -5.0, -6.0), (-1.0, -2.0, -3.0))
    assert weights.hidden[:, -1].tolist() == [0] * 6 + [-4, -5, -6, -1, -2, -3]
    assert weights.output[:, -1].tolist() == [0] * 7
    assert 0.19 < float(jnp.abs(weights.hidden[:, :-1]).max()) <= 0.2


@pytest.mark.parametrize(
    ("biased", "g", "h", "reads"), [("gates", 2.0, 1.0, "cells"), ("all", 1.0, 2.0, "cells and inputs")]
)
def test_errors_cut_at_the_gates_are_autodiff_with_nothing_going_back_through_net_inputs(biased, g, h, reads):
    with jax.enable_x64(True):
        shape, T = Shape(7, 3, 2, 7, biased, g, h, reads=reads), 9
        weights = jax.tree.map(lambda w: w.astype(float), lstm_1997.draw_weights(jax.random.key(0), shape, 1.0))
        draw = lambda seed: jax.nn.one_hot(jax.random.randint(jax.random.key(seed), (T,), 0, 7), 7, dtype=float)
        xs, targets = draw(1), draw(2)

        def loss(weights):
            y, s, total = jnp.zeros(shape.hidden), jnp.zeros((3, 2)), 0.0
            for x, target in zip(xs, targets, strict=True):
                net = weights.hidden @ jnp.concatenate([x, jax.lax.stop_gradient(y), jnp.ones(1)])
                opened, gate = jax.nn.sigmoid(net[6:9]), jax.nn.sigmoid(net[9:])
                s = s + opened[:, None] * g * (2 * jax.nn.sigmoid(net[:6].reshape(3, 2)) - 1)
                cells = (gate[:, None] * h * (2 * jax.nn.sigmoid(s) - 1)).ravel()
                read = [cells, jnp.ones(1)] if reads == "cells" else [cells, x, jnp.ones(1)]
                output = jax.nn.sigmoid(weights.output @ jnp.concatenate(read))
                total += jnp.sum((target - output) ** 2) / 2
                y = jnp.concatenate([cells, opened, gate])
            return total

        memory, found = lstm_1997.begin(shape), jax.tree.map(jnp.zeros_like, weights)
        for x, target in zip(xs, targets, strict=True):
            memory, seen = lstm_1997.step(shape, weights, memory, x)
            found = jax.tree.map(jnp.add, found, lstm_1997.gradient(shape, weights, memory, seen, target))
        expected = jax.tree.map(jnp.multiply, jax.grad(loss)(weights), lstm_1997.Weights(*lstm_1997.has_bias(shape)))
        for name in ("hidden", "output"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-14)


def test_symbols_read_by_their_rows_are_the_same_as_vectors_with_a_one():
    with jax.enable_x64(True):
        shape, target = Shape(6, 2, 1, 2, "none", reads="cells and inputs"), jnp.array([1.0, 0.0])
        weights = jax.tree.map(lambda w: w.astype(float), lstm_1997.draw_weights(jax.random.key(0), shape, 1.0))
        symbols, length = jnp.array([3, 5, 0, 1, 0, 2, 4, 4]), jnp.int32(6)
        vectors = jax.nn.one_hot(symbols, 6, dtype=float)
        one, other = (
            lstm_1997.gradient(shape, weights, *read(shape, weights, xs, length), target)
            for read, xs in ((lstm_1997.read_symbols, symbols), (lstm_1997.read_to_end, vectors))
        )
        assert np.count_nonzero(one.hidden[:, 4]) == 0  # a symbol after the end
        np.testing.assert_allclose(one.hidden, other.hidden, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(one.output, other.output, rtol=1e-10)
        assert np.flatnonzero(one.output[0, 2:-1]).tolist() == [2]  # of the inputs the last symbol


def test_embedded_reber_strings_follow_their_grammar():
    may = ["TP", "B", "TP", "SX", "XS", "E", "T", "E"]
    assert list(map(sorted, reber.allowed("BTBTXSETE"))) == list(map(sorted, may))
    rng = np.random.default_rng(0)
    training, test = reber.draw_sets(rng, 256)
    assert not set(training) & set(test)
    assert min(map(len, training)) == 9
    for string in training[:50]:
        assert all(symbol in may for symbol, may in zip(string[1:], reber.allowed(string), strict=True)), string
    table = reber.table(["BPBTXSEPE"], 12)
    assert table.allowed[0].sum(1).tolist() == [2, 1, 2, 2, 2, 1, 1, 1, 0, 0, 0, 0]


def test_a_trial_on_reber_strings_changes_its_weights_by_the_summed_gradient_of_a_string():
    strings = lstm_1997_reber.draw_strings(np.array([3]))
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), strings)
    shape = Shape(7, 3, 2, 7, "gates")
    trial = lstm_1997_reber.begin(jnp.int32(3), one, shape)
    weights, row = trial["weights"], int(trial["row"])
    symbols = one.symbols[row, : int(one.length[row])]
    memory, total = lstm_1997.begin(shape), jax.tree.map(jnp.zeros_like, weights)
    for now, following in pairwise(symbols):
        memory, seen = lstm_1997.step(shape, weights, memory, jax.nn.one_hot(now, 7))
        found = lstm_1997.gradient(shape, weights, memory, seen, jax.nn.one_hot(following, 7))
        total = jax.tree.map(jnp.add, total, found)
    advance = jax.jit(lambda trial: lstm_1997_reber.tick(shape, trial, 0.5, "string", "next"))
    for _ in symbols[:-1]:
        assert int(trial["presented"]) == 0
        trial = advance(trial)
    assert int(trial["presented"]) == 1
    np.testing.assert_allclose(trial["weights"].hidden, weights.hidden - 0.5 * total.hidden, atol=1e-6)
    np.testing.assert_allclose(trial["weights"].output, weights.output - 0.5 * total.output, atol=1e-6)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves((trial["memory"], trial["gathered"])))


def test_a_network_whose_outputs_are_all_the_same_predicts_nothing():
    strings = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), lstm_1997_reber.draw_strings(np.array([0])))
    shape = Shape(7, 3, 2, 7, "all")
    nothing = jax.tree.map(jnp.zeros_like, lstm_1997.draw_weights(jax.random.key(0), shape, 0.2))
    assert float(lstm_1997_reber.share_right(shape, nothing, strings, "all")) == 0
    always_b = nothing._replace(output=nothing.output.at[0, -1].set(5.0))  # right after the second symbol alone
    once = 512 / float(jnp.sum(strings.length - 1))
    assert float(lstm_1997_reber.share_right(shape, always_b, strings, "all")) == pytest.approx(once)
    of = lambda steps: strings._replace(symbols=strings.symbols[:, steps], allowed=strings.allowed[:, steps])
    assert bool(lstm_1997_reber.is_solved(shape, always_b, of(slice(1, 2)), "all"))
    assert not bool(lstm_1997_reber.is_solved(shape, always_b, of(slice(1, 3)), "all"))


def test_a_sequence_read_to_its_end_is_the_same_step_after_step():
    with jax.enable_x64(True):
        shape, length = Shape(3, 2, 2, 2, "all", reads="cells and inputs"), 5
        weights = jax.tree.map(lambda w: w.astype(float), lstm_1997.draw_weights(jax.random.key(0), shape, 1.0))
        xs, target = jax.random.normal(jax.random.key(1), (8, 3), float), jnp.array([0.2, 0.9])
        memory = lstm_1997.begin(shape)
        for x in xs[:length]:
            memory, seen = lstm_1997.step(shape, weights, memory, x)
        at_once = lstm_1997.read_to_end(shape, weights, xs, jnp.int32(length))
        for name in ("hidden", "output"):
            one, other = (
                getattr(lstm_1997.gradient(shape, weights, *of, target), name) for of in ((memory, seen), at_once)
            )
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-16)


def test_sequences_with_one_target_are_those_of_the_paper():
    keys = jax.random.split(jax.random.key(0), 500)
    xs, length, target = jax.vmap(lambda key: lstm_1997_adding.draw_sequence(key, 100))(keys)
    assert (int(length.min()), int(length.max())) == (100, 110)
    for x, n, y in zip(np.asarray(xs), length, target, strict=True):
        marked = np.flatnonzero(x[:n, 1] == 1)
        assert x[0, 1] == x[n - 1, 1] == -1
        assert len(marked) == 1 or (len(marked) == 2 and (marked < 10).any())
        assert max(marked.max() / 49, np.abs(x[:n, 0]).max()) < 1
        assert float(y[0]) == pytest.approx(0.5 + x[marked, 0].sum() / 4, abs=1e-6)

    xs, length, target = jax.vmap(lstm_1997_temporal_order.draw_sequence)(keys)
    classes = []
    for x, n, y in zip(np.asarray(xs), length, target, strict=True):
        text = "".join(lstm_1997_temporal_order.SYMBOLS[i] for i in x[:n].argmax(axis=1))
        first, second = (i for i, symbol in enumerate(text) if symbol in "XY")
        assert (text[0], text[-1], 10 <= first <= 20, 50 <= second <= 60) == ("E", "B", True, True)
        assert set(text[1:-1]) <= set("abcdXY")
        classes.append(text[first] + text[second])
        assert ["XX", "XY", "YX", "YY"].index(classes[-1]) == int(y.argmax())
    assert set(classes) == {"XX", "XY", "YX", "YY"}


def test_the_noise_of_a_target_has_the_mean_and_the_variance_of_the_paper_in_either_class():
    keys = jax.random.split(jax.random.key(0), 5000)
    xs, _, targets = jax.vmap(lambda key: lstm_1997_two_sequences.draw_training(key, "3c", 3))(keys)
    for first, target in ((1, 0.2), (-1, 0.8)):
        of_class = np.asarray(targets)[np.asarray(xs)[:, 0, 0] == first]
        assert len(of_class) == pytest.approx(2500, abs=150)
        assert of_class.mean() == pytest.approx(target, abs=0.02)
        assert of_class.var() == pytest.approx(0.1, abs=0.01)


def test_networks_for_noise_free_lags_have_as_many_weights_as_table_2_says_and_learn_all_but_the_last_symbol():
    count = lambda net, p: sum(
        leaf.size for leaf in lstm_1997_noise_free.first(jnp.int32(0), net, p)["weights"].values()
    )
    assert [count("recurrent", p) for p in (4, 10, 100)] == [36, 144, 10_404]
    assert count("LSTM", 100) == 10_504
    trial, update = lstm_1997_noise_free.first(jnp.int32(0), "recurrent", 4), lstm_1997_noise_free.update
    learn = lstm_1997_noise_free.after_sequence
    advance = jax.jit(lambda trial, number: update(trial, number, "recurrent", 4, 1.0, "[0, 1]", learn))
    for number in range(600):
        trial = advance(trial, number)
    for letter in (3, 4):
        errors = lstm_1997_noise_free.errors(trial, trial["weights"], jnp.int32(letter), "recurrent", 4, "[0, 1]")
        largest = np.abs(errors).max(axis=1)
        assert (largest[:-1] < 0.2).all()
        assert largest[-1] > 0.3


def test_weights_change_after_each_symbol_by_derivatives_carried_forward():
    p, rate, sigmoid = 4, 1.7, lambda x: 1 / (1 + np.exp(-x))
    with jax.enable_x64(True):
        for net, g in (("recurrent", "[0, 1]"), ("LSTM", "[-1, 1]")):
            trial = {**lstm_1997_noise_free.first(jnp.int32(0), net, p), "added": jnp.bool_(True)}
            trial["weights"] = jax.tree.map(lambda w: w.astype(float), trial["weights"])
            found, loss = lstm_1997_noise_free.after_symbols(trial, jnp.int32(p), net, p, rate, g)
            w = {name: np.array(of) for name, of in trial["weights"].items()}
            kept, by, total = 0.0, {name: np.zeros_like(w[name]) for name in w if name not in "Vv"}, 0.0
            for symbol, following in zip([p, 0, 1, 2], [0, 1, 2, p], strict=True):
                if net == "LSTM":
                    gate, put = sigmoid(w["G"][symbol]), np.tanh(w["U"][symbol] / 2)
                    by["G"][symbol] += gate * (1 - gate) * put
                    by["U"][symbol] += gate * (1 - put**2) / 2
                    kept += gate * put
                else:
                    new = sigmoid(w["U"][symbol] + w["w"] * kept)
                    by = {name: new * (1 - new) * w["w"] * d for name, d in by.items()}
                    by["U"][symbol] += new * (1 - new)
                    by["w"] += new * (1 - new) * kept
                    kept = new
                output = sigmoid(w["V"][symbol] + kept * w["v"])
                error = np.eye(p + 1)[following] - output
                d_net = -error * output * (1 - output)
                d_kept, total = d_net @ w["v"], total + error @ error / 2
                w["V"][symbol] -= rate * d_net
                w["v"] -= rate * d_net * kept
                for name, d in by.items():
                    w[name] -= rate * d_kept * d
            assert float(loss) == pytest.approx(total)
            for name, of in w.items():
                np.testing.assert_allclose(found[name], of, rtol=1e-12)


@pytest.mark.parametrize(("net", "count"), [("A1", 7), ("A2", 51)])
def test_guessed_nets_have_the_connections_of_their_text_and_read_number_after_number(net, count):
    there = guessing_two_sequences.connections(net)
    assert there.sum() == count
    rng = np.random.default_rng(0)
    weights, kind = 3 * there * rng.normal(size=there.shape), np.array([1.0, -1.0, 1.0, -1.0])
    drawn = weight_guessing.draw_set(jax.random.key(0), 0.2)
    few = weight_guessing.Set(drawn.noise[:, :4], jnp.array([500, 1, 2, 3]), jnp.array(kind))
    squash = lambda net: 1 / (1 + np.exp(-net))
    for order in ("at once", "output last"):
        found = guessing_two_sequences.answers(jnp.asarray(weights), few, order)
        for sequence, length in enumerate(few.length):
            y = np.zeros(len(there))
            for x in [kind[sequence], *np.asarray(few.noise)[1:length, sequence]]:
                new = squash(weights @ [*y, x, 1])
                seen = [*new[:-1], y[-1], x, 1] if order == "output last" else [*y, x, 1]
                y = np.append(new[:-1], squash(weights[-1] @ seen))
            assert float(found[sequence]) == pytest.approx(y[-1], abs=1e-4)


@pytest.mark.slow
def test_weights_a_hundred_times_too_small_are_never_right(monkeypatch):
    search = lambda: guessing_two_sequences.run(np.arange(3), "A1", 0.2, 5000)
    assert search()["solved"].all()
    guessing_two_sequences.draw_guesses.clear_cache()
    monkeypatch.setattr(guessing_two_sequences, "REACH", 1.0)
    assert not search()["solved"].any()
    guessing_two_sequences.draw_guesses.clear_cache()


@pytest.mark.slow
def test_a_network_that_keeps_the_letter_by_hand_is_right_10_000_times_on_end_and_is_not_asked_again():
    q = p = 5
    x, y, e = p + 2, p + 3, p
    shape = Shape(p + 4, 2, 1, 2, "none")
    hidden = jnp.zeros((shape.hidden, shape.seen)).at[0, jnp.array([x, y])].set(jnp.array([5.0, -5.0]))
    hidden = hidden.at[2, : p + 2].set(-20.0).at[2, jnp.array([x, y])].set(10.0).at[4, e].set(10.0)
    right = jnp.zeros((2, 3)).at[:, 0].set(jnp.array([10.0, -10.0]))
    trials = {
        "weights": lstm_1997.Weights(jnp.stack([hidden, hidden]), jnp.stack([right, -right])),
        "key": jax.vmap(lambda seed: jax.random.key_data(jax.random.key(seed)))(jnp.arange(2)),
        "presented": jnp.zeros(2, int),
        "right": jnp.zeros(2, int),
    }
    update = jax.jit(
        jax.vmap(partial(lstm_1997_long_lags.update, shape=shape, q=q, rate=0.0), in_axes=(0, None)),
    )
    looked = update(trials, 499)
    assert update(trials, 498)["right"].tolist() == [0, 0]
    assert looked["right"].tolist() == [10_000, 0]
    swapped = {**looked, "weights": jax.tree.map(lambda w: w[::-1], looked["weights"])}
    assert update(swapped, 999)["right"].tolist() == [10_000, 10_000]
