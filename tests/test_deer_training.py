"""Training with trajectories found in parallel: the same run as one step after the other, and what it tells of them."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import HYPER, Case, compute, compute_one, make
from command import TINY, call, message, printed, read_rows, saved_arrays, write_songs

from rnnjax import train
from rnnjax.certificate import instances, matrix, trial
from rnnjax.certificate.bench import Bench
from rnnjax.config import GradientConfig
from rnnjax.errors import UserError
from rnnjax.gradients import METHODS, layer_over_time
from rnnjax.gradients.effort import Noted
from rnnjax.gradients.method import Window
from rnnjax.model import rnn
from rnnjax.model.cells import find
from rnnjax.model.recurrence import of_network
from rnnjax.parallel import newton
from rnnjax.parallel.layer import InParallel
from rnnjax.parallel.newton import Solver
from rnnjax.tasks import text
from rnnjax.training import initial_guess

RUN = [
    *TINY,
    *("--model.cell", "lstm", "--run.precision", "float64", "--training.sequence_length", "20"),
    *("--training.steps", "12", "--training.log_every_steps", "4", "--sampling.every_steps", "0"),
]


def near(found, expected, atol=1e-11, words=""):
    """Two trees agree as far as a solver goes."""
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=atol, err_msg=words), found, expected)


@pytest.mark.slow
def test_a_run_is_the_same_in_parallel_and_logs_its_iterations(here):
    write_songs("songs.csv")
    lines = {}
    ways = {
        "plain": (),
        "deer": ("--gradient.method", "deer"),
        "cut": ("--gradient.method", "deer", "--gradient.iterations", "1"),
        "mixed": ("--gradient.method", "manual", "--model.unroll", "quasi"),
    }
    for name, options in ways.items():
        printed(call(train.main, *RUN, *options, "--run.name", name))
        lines_of = (here / "runs" / name / "metrics.jsonl").read_text()
        lines[name] = [json.loads(line) for line in lines_of.splitlines()]
    plain, found, cut, mixed = lines.values()
    for key in ("loss", "validation_loss"):
        for other in (found, cut, mixed):
            of = lambda rows, key=key: [row[key] for row in rows if key in row]
            np.testing.assert_allclose(of(other), of(plain), rtol=1e-9)
    assert all(row["iterations"] > 2 and row["sequential"] == 0 for row in mixed)
    assert not {"iterations", "sequential", "exponent"} & {*plain[0], *plain[-1]}
    assert [row["exponent"] for row in mixed if "validation_loss" in row] == pytest.approx(
        [cut[-1]["exponent"]], rel=1e-6
    )
    assert -2 < mixed[-1]["exponent"] < 0  # a fresh network forgets
    drawn = {name: (here / "runs" / name / "iterations.png").exists() for name in ways}
    assert drawn == {"plain": False, "deer": True, "cut": True, "mixed": True}
    assert all(2 < row["iterations"] < 12 and row["sequential"] == 0 for row in found)
    assert all(row["iterations"] == 1 and row["sequential"] > 0.9 for row in cut)


OPTIONS = [
    {"solver": "quasi_elk"},
    {"damping": 0.3},
    {"chunk_steps": 4},
    {"start": "held"},
    {"iterations": 2},
    {"solver": "quasi", "iterations": 2},
]


@pytest.mark.slow
def test_no_option_changes_the_gradient():
    arrays, model = make(Case("gru", layers=2, masks="wvr", options="x", T=7, batch=(2,)))
    ways = [GradientConfig("deer", **options) for options in OPTIONS]
    expected, *found = compute(("autodiff", *ways), model, *arrays)[1]
    for way, gradient in zip(ways, found, strict=True):
        near(gradient, expected, 1e-10, str(way))


@pytest.mark.parametrize("cell", ["lstm", "min_gru"])
def test_a_network_that_runs_in_parallel_has_the_same_gradient(cell):
    (params, carry, batch), model = make(Case(cell, layers=2, masks="wvr", options="xs", T=7, batch=(2,)))
    window = Window(params, HYPER, carry, batch)
    expected = jax.jit(lambda: METHODS["manual"](GradientConfig()).gradient(of_network(model), window))()
    assert expected.spent is None
    for name, kind in (("manual", "quasi"), ("autodiff", "deer")):
        at_once = dataclasses.replace(model, over_time=InParallel(Solver(kind)))
        found = jax.jit(
            lambda name=name, model=at_once: METHODS[name](GradientConfig()).gradient(of_network(model), window)
        )()
        assert 1 < found.spent.iterations <= (2 if cell == "min_gru" else 8)
        near(found._replace(spent=None), expected)
    sum_of = lambda unroll, at: jnp.sum(jnp.sin(rnn.apply(model, *at, carry, batch, unroll=unroll)[1]))
    by_hand, at_once = (
        jax.jit(jax.grad(partial(sum_of, way)))
        for way in (layer_over_time.unroll, layer_over_time.unroll_by(Noted(InParallel(Solver()))))
    )
    near(at_once((params, HYPER))[0], by_hand((params, HYPER))[0])


def test_layers_back_in_time_are_solved_too():
    (params, carry, batch), model = make(Case(masks="wv", options="b", T=7, batch=(2,)))
    method = METHODS["deer"](GradientConfig("deer"))
    found = jax.jit(method.gradient, static_argnums=0)(of_network(model), Window(params, HYPER, carry, batch))
    assert 1 < found.spent.iterations <= 8
    expected = compute_one("autodiff", model, params, carry, batch)
    near(found.params, expected.params, 1e-12)


def by_loop(instance):
    """(residuals [T, B, H]) -> the gradient of a window of simple units that are pushed by them; and their states."""
    (layer,), V, by = instance.params.layers, instance.params.V, instance.params.by
    batch, (first,) = instance.window(0), instance.carry

    def run(weights, h, r):
        U, W, bh, V, by = weights
        loss, states = 0.0, []
        for t in range(len(batch.x)):
            h = jnp.tanh(U[batch.x[t]] + jnp.where(batch.reset[t][:, None], 0, h) @ W + bh) + r[t]
            logits = h @ V + by
            picked = jnp.take_along_axis(logits, batch.y[t][:, None], axis=1)[:, 0]
            loss += jnp.mean(jax.nn.logsumexp(logits, axis=1) - picked)
            states.append(h)
        return loss / len(batch.x), jnp.stack(states)

    given = (layer.U, layer.W, layer.bh, V, by), first
    gradient = lambda r: jax.grad(lambda *given: run(*given, r)[0], argnums=(0, 1))(*given)
    return gradient, run(*given, jnp.zeros((*batch.shape, first.shape[1])))[1]


@pytest.mark.slow
def test_the_certificate_allows_a_solver_what_the_window_amplifies_and_no_more(monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0)
    tolerance, instance = 1e-5, instances.tiny("tiny", 6, 1, hidden=3)
    bench = Bench(instance, GradientConfig(tolerance=tolerance))
    gradient, states = by_loop(instance)
    allowed = tolerance * jnp.maximum(1, jnp.abs(states))
    exactly, moved = gradient(0 * states), jax.jacfwd(gradient)(0 * states)
    bounds = jax.tree.map(lambda leaf: jnp.sum(jnp.abs(leaf) * allowed, axis=(-3, -2, -1)), moved)
    (off,) = bench.pushed((tolerance, 0.0))
    near(jax.tree.leaves((off.params, off.carry)), jax.tree.leaves(bounds), 1e-18)

    shares = [
        float(jnp.max(b) / jnp.max(jnp.abs(g))) for b, g in zip(*map(jax.tree.leaves, (bounds, exactly)), strict=True)
    ]
    worst = int(np.argmax(shares))
    assert bench.tolerance("deer") == pytest.approx(shares[worst])
    assert 3 * tolerance < shares[worst] < 1e-2
    place = jnp.argmax(jax.tree.leaves(bounds)[worst])
    signs = jnp.sign(jax.tree.leaves(moved)[worst].reshape(-1, *states.shape)[place])

    def sloppy(f, jacobian, first, x, solver, start=None, *, share):
        body = lambda s, at: 2 * (f(s, at[0]) + at[1],)
        states = jax.lax.scan(body, first, (x, share * signs * allowed))[1]
        return newton.Solution(states, jnp.ones(first.shape[:1], int), jnp.zeros(first.shape[:1], int))

    for share, verdict in ((0.98, "PASS"), (1.02, "FAIL")):
        monkeypatch.setattr(newton, "solve", partial(sloppy, share=share))
        assert matrix.row_of("deer", Bench(instance, bench.config)).verdict == verdict
    assert matrix.row_of("deer", Bench(instance, GradientConfig())).verdict == "FAIL"  # which asks for 1e-12


@pytest.mark.slow
def test_a_solver_that_stops_early_keeps_to_the_bound_on_steps_and_on_networks(monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0)
    instance = instances.tiny("tiny lstm", 9, 1, cell=find("lstm"), layers=2, layer_norm=True)
    step = instance._replace(recurrence=dataclasses.replace(instance.recurrence, model=None))
    errors = []
    for options in ({}, {"solver": "quasi"}, {"solver": "quasi_elk", "damping": 0.2}):
        config = GradientConfig(tolerance=1e-5, **options)
        for bench in (Bench(instance, config), Bench(step, config)):
            row = matrix.row_of("deer", bench)
            assert row.verdict == "PASS", row
            assert row.tolerance < 0.1, row
            errors.append(row.window.error)
    assert max(errors) > 1e-8  # it did stop early


def test_options_of_the_solver_out_of_range_are_refused():
    for option, value in {"tolerance": -1e-3, "iterations": 0, "damping": 1.5, "chunk_steps": -1}.items():
        with pytest.raises(UserError, match=f"gradient.{option}"):
            GradientConfig("deer", **{option: value})


@pytest.mark.slow
def test_to_begin_where_the_pass_before_ended_saves_iterations_and_resumes_bit_for_bit(here):
    write_songs("songs.csv")
    options = [
        *(*TINY, "--run.precision", "float64", "--training.sequence_length", "40", "--training.log_every_steps", "6"),
        *("--model.cell", "gru", "--model.layers", "2", "--model.init", "orthogonal", "--model.init_scale", "3"),
        *("--model.hidden_size", "8"),
        *("--gradient.method", "deer", "--gradient.tolerance", "1e-6", "--optimizer.learning_rate", "1e-4"),
        *("--sampling.every_steps", "0", "--optimizer.decay", "constant"),
    ]

    def train_for(name, steps, start):
        last = ("--training.steps", steps, "--gradient.start", start, "--run.name", name)
        printed(call(train.main, *options, *last))
        return {row["step"]: row for row in read_rows(here / "runs" / name)}

    zeros, straight = train_for("zeros", "18", "zeros"), train_for("straight", "18", "epoch")
    train_for("stopped", "8", "epoch")
    train_for("stopped", "18", "epoch")  # from the second pass on
    states, goes_on = (saved_arrays(here / "runs" / name)[1] for name in ("straight", "stopped"))
    assert states == goes_on
    assert {"memory.0", "memory.1"} <= states.keys()
    assert states["memory.0"][1][::2] == (2, 8)  # streams and units
    assert straight[6]["iterations"] == zeros[6]["iterations"]  # nothing is remembered yet
    assert straight[18]["iterations"] < 0.7 * zeros[18]["iterations"]
    for step in (6, 18):
        assert straight[step]["loss"] == pytest.approx(zeros[step]["loss"], rel=1e-5)


def test_the_same_states_are_recalled_that_were_kept():
    (_, carry, _), _ = make(Case("gru", T=7, batch=(2,)))
    memory = initial_guess.begin(carry, 20)
    expected = np.zeros(memory[0].shape)
    for place, good in ((0, True), (9, True), (4, False), (6, True)):
        states = (jnp.asarray(np.random.default_rng(place).normal(size=(7, *carry[0].shape))),)
        seen = initial_guess.recall(memory, jnp.asarray(place), 7)._replace(found=states)
        memory = initial_guess.keep(memory, seen, jnp.asarray(good))
        if good:
            expected[:, place : place + 7] = np.swapaxes(states[0], 0, 1)
    np.testing.assert_array_equal(memory[0], expected)
    np.testing.assert_array_equal(
        initial_guess.recall(memory, jnp.asarray(3), 7).before[0], np.swapaxes(expected[:, 3:10], 0, 1)
    )


def test_a_memory_of_the_pass_before_is_for_windows_of_a_text_that_are_solved(here, monkeypatch):
    write_songs("songs.csv")
    assert "gradient.start is 'epoch', but must be zeros or held" in message(
        call(train.main, *TINY, "--gradient.start", "epoch")
    )
    monkeypatch.setattr(text, "MOST_BYTES", 100)
    solved = ("--gradient.method", "deer", "--gradient.start", "epoch")
    assert "keeps the state at each of" in message(call(train.main, *TINY, *solved))
