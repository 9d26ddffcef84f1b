"""The four architectures against plain loops in float64, alone and padded, by hand and by autodiff."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from agreement import compare

from rnnjax.config import Config, ModelConfig, TaskConfig, TrainingConfig
from rnnjax.data.numbers import Pairs
from rnnjax.gradients import manual
from rnnjax.model import rnn
from rnnjax.model.architectures import (
    Attention,
    Conditioned,
    EncoderDecoder,
    decode,
    encode,
    many_to_many,
    many_to_one,
    one_to_many,
    steps_within,
)
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Layer, Model, Params
from rnnjax.model.sampling import fed_back
from rnnjax.tasks import NETWORKS
from rnnjax.tasks import many_to_many as tagging
from rnnjax.tasks import many_to_one as labelling
from rnnjax.tasks import one_to_many as singing
from rnnjax.training.examples import batch_at, make_mean_surprise
from rnnjax.training.shuffle import shuffled

V, H, LAYERS = 5, 4, 2
LENGTHS = (3, 1, 4)
rng = np.random.default_rng(0)
draw = lambda *shape: jnp.asarray(rng.normal(size=shape))


def layer(width):
    return Layer(draw(width, H), draw(H, H) * 0.6, draw(H))


PARAMS = Params((layer(V), layer(H)), draw(H, V), draw(V))
MODEL = Model(V, H, LAYERS)
IDS = rng.integers(V - 1, size=(max(LENGTHS), len(LENGTHS)))
VALID = np.arange(max(LENGTHS))[:, None] < LENGTHS


def plain(params):
    """The weights as the oracle has them."""
    layers, V, by, _ = jax.tree.map(np.asarray, params)
    return {"layers": [own._asdict() for own in layers], "V": V, "by": by}


def read(params, carry, ids):
    """The oracle's logits, last states, and the last layer's h at every step, of one sequence."""
    yes, no = np.ones(len(ids), bool), np.zeros(len(ids), bool)
    logits, states, tape = oracle.forward_stream(plain(params), carry, ids, yes, no, "tanh")
    return logits, states, np.array([top for _, top in tape])


ZERO = [np.zeros(H)] * LAYERS


def near(actual, expected):
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=1e-12, atol=1e-12)


def test_many_to_one_reads_the_last_real_step():
    found = many_to_one(MODEL, PARAMS, Hyper(), Batch(IDS, IDS, valid=VALID))
    for b, length in enumerate(LENGTHS):
        near(found[b], read(PARAMS, ZERO, IDS[:length, b])[0][-1])


def test_one_to_many_starts_from_the_labels_state():
    starts = tuple(draw(3, H) for _ in range(LAYERS))
    found = one_to_many(MODEL, Conditioned(PARAMS, starts), Hyper(), jnp.array([2, 0, 2]), Batch(IDS, IDS, valid=VALID))
    for b, (label, length) in enumerate(zip((2, 0, 2), LENGTHS, strict=True)):
        near(found[:length, b], read(PARAMS, [start[label] for start in starts], IDS[:length, b])[0])


def both_ways(params, ids):
    """One bidirectional level, then the read-out, for one sequence: the reading backward is of the reversed one."""
    halves = []
    for own, order in zip(params.layers, (1, -1), strict=True):
        one = Params((own,), np.eye(H), np.zeros(H))
        halves.append(read(one, [np.zeros(H)], ids[::order])[0][::order])
    return np.concatenate(halves, axis=1)


BOTH = Params((layer(V), layer(V)), draw(2 * H, 3), draw(3))
BOTH_MODEL = Model(3, H, bidirectional=True, inputs=V)


def test_many_to_many_has_read_the_whole_sequence_at_every_step():
    found = many_to_many(BOTH_MODEL, BOTH, Hyper(), Batch(IDS, IDS, valid=VALID))
    for b, length in enumerate(LENGTHS):
        near(found[:length, b], both_ways(BOTH, IDS[:length, b]) @ BOTH.V + BOTH.by)


def test_many_to_one_both_ways_reads_each_half_where_it_ends():
    found = many_to_one(BOTH_MODEL, BOTH, Hyper(), Batch(IDS, IDS, valid=VALID))
    for b, length in enumerate(LENGTHS):
        hs = both_ways(BOTH, IDS[:length, b])
        near(found[b], np.concatenate([hs[-1, :H], hs[0, H:]]) @ BOTH.V + BOTH.by)


def test_many_to_one_reads_real_vectors():
    x = draw(4, 2, 1)
    one = PARAMS._replace(layers=(layer(1), layer(H)))
    h = np.zeros((LAYERS, 2, H))
    for x_t in x:
        below = x_t
        for index, own in enumerate(one.layers):
            below = h[index] = np.tanh(below @ own.U + h[index] @ own.W + own.bh)
    found = many_to_one(Model(V, H, LAYERS, inputs=1), one, Hyper(), Batch(x, np.zeros(2, int)))
    near(found, h[-1] @ one.V + one.by)


PAIR = EncoderDecoder((layer(V), layer(H)), PARAMS, Attention(draw(H, H), draw(2 * H, H), draw(H)))
TARGET = rng.integers(V - 1, size=(3, len(LENGTHS)))


@pytest.mark.parametrize("attention", [True, False])
def test_the_decoder_goes_on_from_the_encoder_and_looks_back_at_what_is_no_padding(attention):
    pair = PAIR if attention else PAIR._replace(attention=None)
    carry, memory = encode(MODEL, pair, Hyper(), Batch(IDS, IDS, valid=VALID))
    _, logits, looked = decode(MODEL, pair, Hyper(), carry, memory, Batch(TARGET, TARGET))
    assert (looked is not None) == attention
    for b, length in enumerate(LENGTHS):
        _, states, source = read(PARAMS._replace(layers=pair.encoder), ZERO, IDS[:length, b])
        expected, _, hs = read(PARAMS, states, TARGET[:, b])
        if attention:
            for t, h in enumerate(hs):
                odds = np.array([np.exp(h @ pair.attention.score @ s) for s in source])
                context = sum(o / odds.sum() * s for o, s in zip(odds, source, strict=True))
                mixed = np.tanh(np.concatenate([context, h]) @ pair.attention.mix + pair.attention.bias)
                expected[t] = mixed @ PARAMS.V + PARAMS.by
                near(looked[t, b, :length], odds / odds.sum())
                assert not np.any(looked[t, b, length:])
        near(logits[:, b], expected)


def test_left_to_itself_each_output_is_the_next_input():
    noise = draw(6, 2, V)
    start = tuple(jnp.asarray(draw(2, H)) for _ in range(LAYERS))
    _, logits, ids = fed_back(MODEL, PARAMS, Hyper(), start, jnp.array([1, 3]), noise, 0.5)
    for b, x in enumerate((1, 3)):
        carry = [np.asarray(state)[b] for state in start]
        for t in range(6):
            expected, carry, _ = read(PARAMS, carry, [x])
            near(logits[t, b], expected[0])
            x = np.argmax(expected[0, : V - 1] + 0.5 * noise[t, b, : V - 1])
            assert ids[t, b] == x


class Task(NamedTuple):
    """A task's examples, of unequal lengths."""

    name: str
    names: dict
    rows: object
    options: dict


def padded(*shape):
    return rng.integers(3, size=shape).astype(np.uint8)


LENGTH_ARRAY = np.array(LENGTHS, np.int32)
CHARACTERS = {"characters": "\nab", "labels": ["x", "y", "z"], "steps": 4}
TASKS = [
    Task("many_to_one", CHARACTERS, labelling.Example(padded(3, 4), LENGTH_ARRAY, np.array([2, 0, 1])), {}),
    Task(
        "many_to_one",
        CHARACTERS,
        labelling.Example(padded(3, 4), LENGTH_ARRAY, np.array([2, 0, 1])),
        {"bidirectional": True, "residual": True, "layers": 2},
    ),
    Task("one_to_many", CHARACTERS, singing.Example(padded(3, 4), LENGTH_ARRAY, np.array([2, 0, 1])), {"cell": "lstm"}),
    Task(
        "many_to_many", CHARACTERS, tagging.Example(padded(3, 4), LENGTH_ARRAY, padded(3, 4)), {"bidirectional": True}
    ),
    Task(
        "seq2seq",
        {},
        Pairs(padded(3, 4), LENGTH_ARRAY, padded(3, 4), np.array([1, 4, 2], np.int32)),
        {"attention": "general", "cell": "gru", "embedding_size": 2, "learned_state": True},
    ),
    Task(
        "seq2seq",
        {},
        Pairs(padded(3, 4), LENGTH_ARRAY, padded(3, 4), np.array([1, 4, 2], np.int32)),
        {"layer_norm": True, "layers": 2},
    ),
]
IDENTITIES = [f"{task.name} {' '.join(map(str, task.options.values()))}" for task in TASKS]


def network(task):
    config = Config(task=TaskConfig(name=task.name), model=ModelConfig(hidden_size=3, **task.options))
    of = NETWORKS[task.name](config, task.names)
    params = of.init(jax.random.key(1), jnp.float64)
    nonzero = jax.tree.map(lambda leaf: leaf + 0.1 * draw(*leaf.shape), params)
    return of, nonzero


def loss_and_gradient(of, params, rows, unroll):
    def total(params):
        found = of.surprise(params, Hyper(), rows, None, unroll)
        return jnp.sum(found.nats), found.outputs

    (nats, count), grads = jax.jit(jax.value_and_grad(total, has_aux=True))(params)
    return nats, count, grads


def alone(task, index):
    """One example without its padding."""
    fields = {}
    for name, value in task.rows._asdict().items():
        value = value[index : index + 1]
        if value.ndim == 2:
            length = getattr(task.rows, "target_length" if name == "target" else "source_length", None)
            length = task.rows.length if length is None else length
            value = value[:, : length[index]]
        fields[name] = value
    return type(task.rows)(**fields)


@pytest.mark.parametrize("task", TASKS, ids=IDENTITIES)
def test_by_hand_and_by_autodiff_padded_and_alone(task):
    """The gradient of the backward pass written by hand is autodiff's, and that of a padded batch is the sum of those
    of its sequences, each alone and without padding."""
    of, params = network(task)
    nats, count, grads = loss_and_gradient(of, params, task.rows, rnn.unroll)
    by_hand = loss_and_gradient(of, params, task.rows, manual.unroll)
    assert float(by_hand[0]) == pytest.approx(float(nats), rel=1e-12)
    compare(by_hand[2], grads, 1e-10)
    each = [loss_and_gradient(of, params, alone(task, index), rnn.unroll) for index in range(3)]
    assert float(sum(one[0] for one in each)) == pytest.approx(float(nats), rel=1e-12)
    assert np.array_equal(np.concatenate([one[1] for one in each]), count)
    compare(jax.tree.map(lambda *leaves: sum(leaves), *(one[2] for one in each)), grads, 1e-10)


def test_what_stands_in_the_padding_counts_nothing():
    for task in TASKS[:1] + TASKS[2:5]:
        of, params = network(task)
        full = [value for value in task.rows if value.ndim == 2]
        other = task.rows._replace(
            **{
                name: np.where(np.arange(4) < length[:, None], value, (value + 1) % 3).astype(np.uint8)
                for name, value in task.rows._asdict().items()
                if value.ndim == 2
                for length in [task.rows.target_length if name == "target" else task.rows[1]]
            }
        )
        assert any(not np.array_equal(a, b) for a, b in zip(full, [v for v in other if v.ndim == 2], strict=True))
        found, again = (of.surprise(params, Hyper(), rows, None, rnn.unroll) for rows in (task.rows, other))
        assert np.array_equal(found.nats, again.nats)


def test_an_epoch_reads_every_example_once_in_an_order_of_its_own():
    examples = (jnp.arange(7), jnp.arange(7) * 10)
    at = jax.jit(lambda step, seed: batch_at(examples, step, 3, seed))
    batches = [at(jnp.int32(step), jnp.int32(5)) for step in range(8)]
    for one, ten in batches:
        assert np.array_equal(one * 10, ten)
    epochs = [np.concatenate([batches[s][0] for s in (e, e + 1)]) for e in (0, 2, 4, 6)]
    for epoch in epochs:
        assert len(set(epoch.tolist())) == 6
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 4
    assert not np.array_equal(at(jnp.int32(0), jnp.int32(6))[0], batches[0][0])


@pytest.mark.parametrize("N", [1, 2, 5, 12, 1000, 1023])
def test_a_shuffle_loses_no_row(N):
    rows = shuffled(jax.random.key(N), jnp.arange(N), N)
    assert sorted(rows.tolist()) == list(range(N))


def test_every_order_is_as_likely_as_any_other():
    """All 24 orders of four rows, and at 30 rows where each row lies."""
    orders = jax.vmap(lambda key: shuffled(key, jnp.arange(4), 4))(jax.random.split(jax.random.key(0), 2_400))
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert np.sum((counts - 100) ** 2 / 100) < 23 + 5 * np.sqrt(2 * 23)  # χ²
    rows = jax.vmap(lambda key: shuffled(key, jnp.arange(30), 30))(jax.random.split(jax.random.key(1), 3_000))
    found = np.stack([np.bincount(place, minlength=30) for place in np.asarray(rows).T])
    assert np.sum((found - 100) ** 2 / 100) < 29**2 + 5 * np.sqrt(2 * 29**2)


def test_the_held_out_loss_is_the_mean_of_all_outputs_in_whatever_blocks(monkeypatch):
    task = TASKS[3]
    of, params = network(task)
    found = of.surprise(params, Hyper(), task.rows, None, rnn.unroll)
    expected = float(found.nats.sum() / sum(LENGTHS))
    for rows in (1, 2, 3, 4):
        monkeypatch.setattr("rnnjax.training.examples.ROWS", rows)
        assert float(make_mean_surprise(of.surprise)(params, Hyper(), task.rows)) == pytest.approx(expected, rel=1e-12)


def test_steps_within():
    assert np.array_equal(steps_within(jnp.array([0, 2]), 2), [[False, True], [False, True]])


def test_dropout_thins_the_training_loss_alone():
    task = TASKS[0]._replace(options={"dropout": 0.5})
    of, params = network(task)
    hyper = Hyper(dropout=0.5)
    quiet = of.surprise(params, hyper, task.rows, None, rnn.unroll).nats
    one, same, other = (
        of.surprise(params, hyper, task.rows, jax.random.key(seed), rnn.unroll).nats for seed in (0, 0, 1)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, quiet)


def test_the_config_of_the_training_is_not_read_here():
    """A task's mathematics follows from config and names; how long it is trained changes nothing."""
    task = TASKS[0]
    config = Config(task=TaskConfig(name=task.name), model=ModelConfig(hidden_size=3), training=TrainingConfig(steps=5))
    of, params = network(task)
    other = NETWORKS[task.name](config, task.names)
    found, again = (one.surprise(params, Hyper(), task.rows, None, rnn.unroll).nats for one in (of, other))
    assert np.array_equal(found, again)
