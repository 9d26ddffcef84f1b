"""Training on examples: what stands in the padding, by hand and by autodiff, in which order, in whatever blocks."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import compare

from rnnjax.config import Config, GradientConfig, ModelConfig, TaskConfig, TrainingConfig
from rnnjax.data.numbers import Pairs
from rnnjax.gradients import layer_over_time
from rnnjax.model import rnn
from rnnjax.model.architectures import steps_within
from rnnjax.model.cells import Hyper
from rnnjax.tasks import NETWORKS
from rnnjax.tasks import many_to_many as tagging
from rnnjax.tasks import many_to_one as labelling
from rnnjax.tasks import one_to_many as singing
from rnnjax.training.examples import UNROLLS, batch_at, make_learn_examples, make_mean
from rnnjax.training.shuffle import shuffled
from rnnjax.training.state import start_state

rng = np.random.default_rng(0)


class Task(NamedTuple):
    """A task's three examples, all padded to five steps.

    Attributes:
      lengths: by the name of the field that they are of.
    """

    name: str
    rows: Any
    lengths: dict[str, np.ndarray]
    options: dict[str, Any]


def padded():
    return rng.integers(3, size=(3, 5)).astype(np.uint8)


LENGTH, OTHER = np.array([3, 1, 3], np.int32), np.array([1, 4, 1], np.int32)
LABEL = np.array([2, 0, 1])
ONE, MANY, UNEQUAL = {"x": LENGTH}, {"x": LENGTH, "y": LENGTH}, {"source": LENGTH, "target": OTHER}
NAMES = {"characters": "\nab", "labels": ["x", "y", "z"], "steps": 5}
TASKS = {
    task.name: task
    for task in (
        Task("many_to_one", labelling.Example(padded(), LENGTH, LABEL), ONE, {"bidirectional": True}),
        Task("one_to_many", singing.Example(padded(), LENGTH, LABEL), ONE, {"cell": "lstm"}),
        Task("many_to_many", tagging.Example(padded(), LENGTH, padded()), MANY, {}),
        Task(
            "seq2seq",
            Pairs(padded(), LENGTH, padded(), OTHER),
            UNEQUAL,
            {"attention": "general", "cell": "gru", "embedding_size": 2, "learned_state": True},
        ),
    )
}


def network(task, **options):
    config = Config(task=TaskConfig(name=task.name), model=ModelConfig(hidden_size=3, **task.options, **options))
    of = NETWORKS[task.name](config, NAMES)
    params = of.init(jax.random.key(1), jnp.float64)
    return of, jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), params)


def make_gradient(of, unroll):
    """(params, examples) -> ((nats, outputs of each), gradient)."""

    def total(params, rows):
        found = of.surprise(params, Hyper(), rows, None, unroll)
        return jnp.sum(found.nats), found.outputs

    return jax.jit(jax.value_and_grad(total, has_aux=True))


@pytest.mark.slow
def test_a_step_in_parallel_has_the_same_gradient_and_tells_its_effort():
    task = TASKS["seq2seq"]
    of, params = network(task)
    expected = None
    for method, unroll, most in (
        ("manual", "sequential", 100),
        *((m, "deer", most) for m in UNROLLS for most in (100, 1)),
    ):
        config = Config(
            task=TaskConfig(name="seq2seq"),
            model=ModelConfig(hidden_size=3, unroll=unroll, **task.options),
            gradient=GradientConfig(method, iterations=most),
            training=TrainingConfig(batch_size=3),
        )
        state = start_state(config, params, (), None, jnp.float64, jnp.int32(0))
        found = jax.jit(make_learn_examples(config, of.surprise))(state, task.rows)
        expected = found if expected is None else expected
        compare(found.grads, expected.grads, 1e-9)
        assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-10)
        if unroll == "sequential":
            assert found.spent is None
        elif most == 1:
            assert (found.spent.iterations, found.spent.sequential > 0.9) == (1, True)
        else:
            assert (1 < found.spent.iterations <= 6, found.spent.sequential) == (True, 0)


def alone(task, index):
    """One example without its padding."""
    rows = {name: value[index : index + 1] for name, value in task.rows._asdict().items()}
    return type(task.rows)(**rows | {name: rows[name][:, : own[index]] for name, own in task.lengths.items()})


def with_other_padding(task):
    return task.rows._replace(
        **{
            name: np.where(np.arange(5) < own[:, None], value, (value + 1) % 3).astype(np.uint8)
            for name, own in task.lengths.items()
            for value in [getattr(task.rows, name)]
        }
    )


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_by_hand_and_by_autodiff_padded_and_alone(task):
    """The gradient of the backward pass written by hand is autodiff's; that of a padded batch is the sum of those of
    its sequences, each alone and without padding; and it does not depend on what stands in the padding."""
    of, params = network(task)
    by_autodiff = make_gradient(of, rnn.unroll)
    (nats, count), grads = by_autodiff(params, task.rows)

    (nats_by_hand, _), by_hand = make_gradient(of, layer_over_time.unroll)(params, task.rows)
    assert float(nats_by_hand) == pytest.approx(float(nats), rel=1e-12)
    compare(by_hand, grads, 1e-10)

    each = [by_autodiff(params, alone(task, index)) for index in range(3)]
    assert float(sum(own for (own, _), _ in each)) == pytest.approx(float(nats), rel=1e-12)
    assert np.array_equal(np.concatenate([outputs for (_, outputs), _ in each]), count)
    compare(jax.tree.map(lambda *leaves: sum(leaves), *(own for _, own in each)), grads, 1e-10)

    again = by_autodiff(params, with_other_padding(task))
    assert all(map(np.array_equal, jax.tree.leaves(again), jax.tree.leaves(((nats, count), grads))))


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


def test_a_shuffle_loses_no_row():
    for N in [1, 2, 5, 12, 1000, 1023]:
        rows = shuffled(jax.random.key(N), jnp.arange(N), N)
        assert sorted(rows.tolist()) == list(range(N))


@pytest.mark.slow
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
    task = TASKS["many_to_many"]
    of, params = network(task)
    found = jax.jit(lambda: of.surprise(params, Hyper(), task.rows, None, rnn.unroll).nats)()
    expected = float(found.sum() / LENGTH.sum())
    for rows in (2, 4):
        monkeypatch.setattr("rnnjax.training.examples.ROWS", rows)
        assert float(make_mean(of.surprise)(params, Hyper(), task.rows)) == pytest.approx(expected, rel=1e-12)


def test_steps_within():
    assert np.array_equal(steps_within(jnp.array([0, 2]), 2), [[False, True], [False, True]])


def test_dropout_thins_the_training_loss_alone():
    of, params = network(TASKS["many_to_many"], dropout=0.5)
    nats = jax.jit(lambda key: of.surprise(params, Hyper(dropout=0.5), TASKS["many_to_many"].rows, key, rnn.unroll)[0])
    quiet, one, same, other = (nats(key) for key in (None, *map(jax.random.key, (0, 0, 1))))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, quiet)
