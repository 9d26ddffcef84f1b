"""Training by online methods, whose trace is part of the training state; and with a sparse W, which stays so."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command import TINY, call, printed, saved_arrays, write_songs

from rnnjax import train
from rnnjax.config import Config, GradientConfig, ModelConfig, OptimizerConfig, TrainingConfig
from rnnjax.model.cells import Hyper
from rnnjax.model.loss import cross_entropy, weighted_mean
from rnnjax.model.network import Batch, Model, initial_carry
from rnnjax.model.rnn import apply
from rnnjax.training.state import init_state
from rnnjax.training.step import make_chunk

RUN = [
    *TINY,
    *("--gradient.method", "rtrl", "--model.cell", "gru"),
    *("--training.steps", "12", "--run.checkpoint_every_steps", "5", "--sampling.every_steps", "0"),
]


def test_an_online_run_goes_on_with_its_trace_bit_for_bit(here):
    write_songs("songs.csv")
    printed(call(train.main, *RUN))
    run = here / "runs" / "run"
    step, straight = saved_arrays(run)
    assert step == 12
    trace = np.frombuffer(straight["trace.params"][2], np.float32)
    assert np.isfinite(trace).all()
    assert trace.any()

    shutil.rmtree(run / "checkpoints" / "12")
    (run / "result.json").unlink()
    step, before = saved_arrays(run)
    assert before["trace.params"] != straight["trace.params"]
    assert f"going on from step {step}" in printed(call(train.main, *RUN))
    assert 0 < step < 12
    assert saved_arrays(run) == (12, straight)


def test_a_method_that_cannot_be_applied_is_refused_before_the_run_begins(here):
    write_songs("songs.csv")
    answer = call(train.main, *TINY, "--gradient.method", "rflo", "--model.cell", "lstm")
    assert answer.code == 2
    assert answer.stderr.startswith("rnnjax: error: gradient.method rflo: ")
    assert answer.stderr.count("\n") == 1
    assert not (here / "runs").exists()


def few_steps(model_config, model, method, optimizer, steps):
    """Trains on random text, two windows of 3 steps in a pass. Returns (first state, streams, last state, infos)."""
    config = Config(
        model=model_config,
        gradient=GradientConfig(method),
        optimizer=optimizer,
        training=TrainingConfig(steps=steps, batch_size=2, sequence_length=3),
    )
    streams = jnp.asarray(np.random.default_rng(0).integers(5, size=(2, 7)), jnp.uint8)
    first = init_state(config, model, jnp.float64)
    last, infos = make_chunk(config, model)(jax.tree.map(jnp.copy, first), streams, jnp.int32(steps))
    return first, streams, last, infos


def test_a_learned_state_is_also_learned_from_later_windows():
    model = Model(vocabulary=5, hidden=3, cell="gru", learned_state=True)
    optimizer = OptimizerConfig(learning_rate=1e-300, clip="none")
    of_model = ModelConfig(cell="gru", hidden_size=3, learned_state=True, init="normal", init_scale=0.5)
    first, streams, _, infos = few_steps(of_model, model, "rtrl", optimizer, 3)

    @jax.jit
    @jax.grad
    def gradient(params, window):
        batch = Batch(streams.T[:-1], streams.T[1:])
        logits = apply(model, params, Hyper(), initial_carry(model, params, (2,)), batch)[1]
        weight = (jnp.arange(6) // 3 == window)[:, None] * jnp.ones((6, 2))
        return weighted_mean(cross_entropy(logits, batch.y), weight)

    for step, window in enumerate((0, 1, 0)):  # the third step begins a new pass, with a new trace
        squares = [jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient(first.params, window))]
        assert infos.grad_norm[step] == pytest.approx(float(sum(squares)) ** 0.5, rel=1e-10)


def test_the_zeros_of_a_sparse_W_stay():
    model = Model(vocabulary=5, hidden=8, layers=2, sparsity=0.75)
    of_model = ModelConfig(hidden_size=8, layers=2, sparsity=0.75)
    optimizer = OptimizerConfig(learning_rate=0.1, weight_decay=0.1)
    first, _, last, _ = few_steps(of_model, model, "manual", optimizer, 4)
    patterns = []
    for before, after in zip(first.params.layers, last.params.layers, strict=True):
        assert jnp.sum(before.W == 0) == 48
        np.testing.assert_array_equal(before.W == 0, after.W == 0)
        assert jnp.all((before.W != after.W) | (before.W == 0))
        patterns.append(before.W == 0)
    assert jnp.any(patterns[0] != patterns[1])
