"""Newton's method over time against the loop over time: states, counts, derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import own_cells
import pytest
from cases import HYPER

from benchmarks.gains import TANH, exponent, iterations, tanh_units
from rnnjax.model.cells import CELLS
from rnnjax.model.network import Layer
from rnnjax.model.rnn import Inputs, unroll
from rnnjax.parallel import layer, newton, smoother
from rnnjax.parallel.layer import InParallel
from rnnjax.parallel.newton import Solver
from rnnjax.parallel.trajectory import Transition, trajectory

SOLVERS = {
    "deer": Solver(),
    "quasi": Solver("quasi"),
    "elk": Solver("elk"),
    "quasi_elk": Solver("quasi_elk"),
    "damped": Solver("deer", damping=0.5),
    "Picard": Solver("deer", damping=1.0),
    "in chunks": Solver("deer", chunk_steps=3),
    "held": Solver("deer", start="held"),
}


def in_sequence(transition, params, first, x):
    body = lambda s, x_t: 2 * (transition.f(params, s, x_t),)
    return jax.lax.scan(body, first, x)[1]


def draw_layer(cell, T, batch, seed=0, units=4, normalised=False):
    """A layer's weights, its state before the window, and what it reads, with masks, in float64."""
    rng = np.random.default_rng(seed)
    gates, width = len(cell.gates) * units, len(cell.states) * units
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape))
    gain = jnp.asarray(rng.uniform(0.5, 1.5, gates)) if normalised else None
    W = {"dense": 0.6 * normal(units, gates), "diagonal": normal(gates), "none": None}[cell.recurrence]
    own = normal(len(cell.own) * units) if cell.own else None
    weights = Layer(normal(1, gates), W, normal(gates), None, gain, gain, normal(width), own)
    reset = rng.uniform(size=(T, *batch)) < 0.2
    masks = jnp.asarray(rng.uniform(size=(T, *batch)) < 0.7), jnp.asarray(reset)
    return weights, normal(*batch, width), Inputs(normal(T, *batch, gates), *masks)


@pytest.mark.parametrize("cell", [*CELLS.values(), own_cells.independent], ids=lambda cell: f"{cell}-{cell.activation}")
def test_a_layer_in_parallel_is_the_layer_in_sequence(cell):
    short = ((1, "deer", ()), (2, "quasi", (2,))) if str(cell) == "lstm" else ()
    for T, solver, batch in (*short, (7, "deer", ()), (64, "quasi", (2, 2))):
        weights, first, x = draw_layer(cell, T, batch)
        last, hs = unroll(cell, weights, HYPER, first, x)
        found = jax.jit(partial(InParallel(SOLVERS[solver]).solve, cell))(weights, HYPER, first, x)
        scale = jnp.maximum(1, jnp.abs(hs))
        assert jnp.max(jnp.abs(found.states[..., :4] - hs) / scale) < 1e-7, (T, solver)
        assert jnp.max(jnp.abs(found.states[-1] - last)) < 1e-7 * jnp.max(scale), (T, solver)
        assert found.iterations.shape == batch
        if str(cell) == "min_gru":  # linear in its state: one scan, and the look that tells so
            assert jnp.all(found.iterations <= 2)


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_finds_the_trajectory_of_an_lstm(name):
    cell, T = CELLS["lstm", "tanh"], 7
    weights, first, x = draw_layer(cell, T, (3,))
    truth = in_sequence(layer.transition_of(cell, False), (weights, HYPER), first, x)
    run = jax.jit(partial(InParallel(SOLVERS[name]).solve, cell))
    found = run(weights, HYPER, first, x)
    np.testing.assert_allclose(found.states, truth, atol=1e-8)
    if name != "elk" and name != "quasi_elk":  # at least one more step exact an iteration
        assert jnp.all(found.iterations <= T + 1 + 3 * (name == "in chunks"))
        assert not jnp.any(found.sequential)
    alone = run(weights, HYPER, first[1], jax.tree.map(lambda leaf: leaf[:, 1], x))
    np.testing.assert_allclose(alone.states, found.states[:, 1], rtol=1e-13)
    assert alone.iterations == found.iterations[1]


@pytest.mark.slow
def test_jacobians_put_together_are_those_of_autodiff():
    for unit, n in (
        (("gru", "tanh"), 1),
        (("leaky", "relu"), 4),
        (("lstm", "tanh"), 2),
        (("lstm", "tanh"), 8),
        (("min_gru", "tanh"), 1),
    ):
        weights, first, x = draw_layer(CELLS[unit], 5, (6,))
        transition, params = layer.transition_of(CELLS[unit], False), (weights, HYPER)
        s = jnp.broadcast_to(first, (5, *first.shape))
        found, pushed = (
            jax.jit(by.blocks_at, static_argnums=3)(params, s, x, n)
            for by in (transition, transition._replace(jacobian=None))
        )
        np.testing.assert_allclose(found, pushed, atol=1e-14)
        t, b = 2, 3
        here = Inputs(*(leaf[t, b] for leaf in x))
        full = jax.jacfwd(transition.f, argnums=1)(params, s[t, b], here).reshape(n, -1, n, s.shape[-1] // n)
        np.testing.assert_allclose(found[t, b], np.einsum("ibjb->bij", full), atol=1e-14)


def test_a_smoothed_step_minimises_what_it_should():
    rng = np.random.default_rng(0)
    D, r = jnp.asarray(0.7 * rng.normal(size=(6, 1, 3, 3))), jnp.asarray(rng.normal(size=(6, 3)))
    for trust in (0.0, 0.3, 5.0):
        system = np.eye(18) - sum(np.kron(np.eye(6)[:, [t]] @ np.eye(6)[[t - 1]], D[t, 0]) for t in range(1, 6))
        expected = np.linalg.solve(system.T @ system + trust * np.eye(18), system.T @ r.ravel())
        found = jax.jit(smoother.smooth)(D, r, jnp.asarray(trust))
        np.testing.assert_allclose(found.ravel(), expected, rtol=1e-10)


PUBLISHED = {  # gain: (exponent, iterations of deer and of quasi at T = 256 and 1,024; None: not in 200)
    0.5: (-0.88, (5, 5), (31, 32)),
    0.9: (-0.35, (6, 6), (100, 113)),
    1.2: (-0.15, (11, 11), (None, None)),
    1.8: (0.05, (97, None), (None, None)),
}


@pytest.mark.slow
def test_iterations_grow_with_the_gain_and_not_with_T():
    for gain, (rate, *counts) in PUBLISHED.items():
        assert exponent(gain, 1024) == pytest.approx(rate, abs=0.05)
        for kind, (short, long) in zip(("deer", "quasi"), counts, strict=True):
            for T, expected in ((256, short), (1024, long)) if gain < 1 else ((256, short),):
                found = iterations(kind, gain, T)
                assert (found is None) == (expected is None), (gain, kind, T)
                assert expected is None or abs(found - expected) <= max(1, 0.25 * expected), (gain, kind, T)
    W, a = tanh_units(1.8, 256)
    found = jax.jit(partial(trajectory, TANH, Solver(tolerance=1e-10, iterations=200)))(W, jnp.zeros(32), a, None)
    np.testing.assert_allclose(found.states, in_sequence(TANH, W, jnp.zeros(32), a), atol=1e-8)


def test_what_does_not_converge_is_finished_in_sequence_and_counted():
    W, a = tanh_units(3.0, 100, units=8, seed=1)  # chaotic
    truth, first = in_sequence(TANH, W, jnp.zeros(8), a), jnp.zeros(8)
    for kind in ("deer", "elk"):
        found = jax.jit(partial(trajectory, TANH, Solver(kind, iterations=10)))(W, first, a, None)
        assert found.iterations == 10
        assert 50 < found.sequential <= 100
        residual = jnp.tanh(a + newton.before(first, found.states) @ W) - found.states
        assert jnp.max(jnp.abs(residual)) < 1e-10
        np.testing.assert_allclose(found.states[:20], truth[:20], atol=1e-6)


def test_a_state_that_overflows_does_so_as_in_sequence():
    linear = Transition(lambda W, s, a: a + s @ W)
    W, a = tanh_units(300.0, 200)
    truth = in_sequence(linear, W, jnp.ones(32), a)
    found = trajectory(linear, Solver(iterations=5), W, jnp.ones(32), a, None)
    assert not jnp.all(jnp.isfinite(truth))
    np.testing.assert_allclose(found.states, truth, rtol=1e-8)


@pytest.mark.parametrize("kind", ["deer", "quasi", "elk"])
def test_derivatives_are_those_of_the_loop(kind):
    cell = CELLS["lstm", "tanh"]
    weights, first, x = draw_layer(cell, 7, (2,), normalised=kind == "elk")
    transition = layer.transition_of(cell, kind == "elk")
    out = jnp.asarray(np.random.default_rng(1).normal(size=(7, *first.shape)))

    def loss(run, weights, first, a):
        return jnp.sum(jnp.sin(out * run((weights, HYPER), first, x._replace(a=a))))

    in_parallel = lambda *given: trajectory(transition, Solver(kind, tolerance=1e-12), *given, None).states
    at = weights, first, x.a
    expected = jax.grad(partial(loss, partial(in_sequence, transition)), argnums=(0, 1, 2))(*at)
    run = partial(loss, in_parallel)
    found = jax.jit(jax.grad(run, argnums=(0, 1, 2)))(*at)
    compare = lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-8, atol=1e-9)
    jax.tree.map(compare, found, expected)
    along = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=float)).reshape(leaf.shape), at)
    slope = jax.jit(lambda: jax.jvp(run, at, along)[1])()
    dot = sum(jnp.vdot(e, v) for e, v in zip(jax.tree.leaves(expected), jax.tree.leaves(along), strict=True))
    compare(slope, dot)
