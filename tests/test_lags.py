"""The lag microscope: the parts of the gradient sum to it, and every number is checked against a slower way to it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.analysis import lyapunov, units
from rnnjax.analysis.lags import by_lag, refuse, steps_for, trajectory
from rnnjax.certificate import theory
from rnnjax.certificate.bench import Bench
from rnnjax.certificate.instances import Instance
from rnnjax.config import GradientConfig
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Batch, Layer, Model, Params, zero_carry
from rnnjax.model.recurrence import of_network

HYPER = Hyper(leak=0.3)
V, H, T, B = 6, 4, 7, 2


def case(cell, layers=1, masks=True, seed=0, **extras):
    """A random network of a kind, and a window with every mask, or with masks that mask nothing."""
    model = Model(V, H, layers, cell=cell, **extras)
    rng = np.random.default_rng(seed)
    params = init_params(jax.random.key(seed), model, "normal", 0.6, jnp.float64)
    params = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), params)
    carry = tuple(jnp.asarray(rng.normal(size=state.shape)) for state in zero_carry(model, (B,), jnp.float64))
    weight, valid, reset = jnp.ones((T, B)), jnp.ones((T, B), bool), jnp.zeros((T, B), bool)
    if masks:
        weight = jnp.asarray(rng.uniform(0.1, 1, (T, B)))
        valid, reset = (jnp.asarray(rng.uniform(size=(T, B)) < share) for share in (0.8, 0.15))
    x, y = (jnp.asarray(rng.integers(V, size=(T, B))) for _ in "xy")
    batch = Batch(x, y, weight, valid, reset)
    if model.dropout:
        batch = batch._replace(noise=tuple(jnp.asarray(rng.uniform(size=(T, B, H))) for _ in range(layers)))
    return model, params, carry, batch


EXTRAS = {"residual": True, "layer_norm": True, "embedding": 3, "learned_state": True, "dropout": True}
KINDS = [
    ("vanilla", 1, {}),
    ("leaky", 1, {}),
    ("gru", 1, {}),
    ("lstm", 2, {}),
    pytest.param("leaky", 3, EXTRAS, marks=pytest.mark.slow),
]
walk = jax.jit(trajectory, static_argnums=0)
analyse = jax.jit(by_lag, static_argnums=0)


@pytest.mark.parametrize(("cell", "layers", "extras"), KINDS)
def test_the_gradient_at_each_lag_its_norms_and_the_bias_of_truncation_are_those_of_the_double_sum(
    cell, layers, extras
):
    model, params, carry, batch = case(cell, layers, **extras)
    windows = jax.tree.map(lambda leaf: leaf[None], batch)
    instance = Instance("a case", of_network(model), params, HYPER._replace(dropout=0.3), carry, windows)
    checks = theory.of_lags(Bench(instance, GradientConfig(), timed=False))
    assert [check.verdict for check in checks] == 4 * ["PASS"], checks


def test_norms_are_those_of_explicit_products_of_jacobians():
    model, params, carry, batch = case("vanilla", masks=False)
    norms = analyse(model, params, HYPER, carry, batch).norms
    W, Vout, by = (np.asarray(leaf) for leaf in (params.layers[0].W, params.V, params.by))
    hs = np.asarray(walk(model, params, HYPER, carry, batch)[1][0])
    for t in range(T):
        for b in range(B):
            logits = hs[t, b] @ Vout + by
            error = np.exp(logits) / np.exp(logits).sum() - np.eye(V)[batch.y[t, b]]
            adjoint = Vout @ error
            for k in range(t + 1):
                np.testing.assert_allclose(norms[k, t, b], np.linalg.norm(adjoint), rtol=1e-10)
                adjoint = W @ np.diag(1 - hs[t - k, b] ** 2) @ adjoint
    np.testing.assert_array_equal(norms[3, :3], 0)


def test_norms_do_not_depend_on_the_weight_of_the_loss_and_are_unknown_at_none():
    model, params, carry, batch = case("vanilla", masks=False)
    plain = analyse(model, params, HYPER, carry, batch).norms
    weight = jnp.ones((T, B)).at[:3].set(0).at[5].set(0.25)
    weighted = analyse(model, params, HYPER, carry, batch._replace(weight=weight)).norms
    np.testing.assert_allclose(weighted[:, 3:], plain[:, 3:], rtol=1e-12)
    assert np.isnan(weighted[:, :3]).all()


def test_nothing_passes_a_reset():
    model, params, carry, batch = case("lstm", 2, masks=False)
    reset = jnp.zeros((T, B), bool).at[4].set(True)
    norms = analyse(model, params, HYPER, carry, batch._replace(reset=reset)).norms
    assert (norms[1, 6] > 0).all()
    assert (norms[2, 6] > 0).all()  # the state after the step of the reset
    np.testing.assert_array_equal(norms[3:, 6], 0)


def test_the_smallest_k_is_the_one_from_which_on_the_bias_is_small():
    bias = np.array([0.9, 0.05, 0.3, 0.1, 0.08])
    assert steps_for(bias, 0.1) == 4
    assert steps_for(bias, 1.0) == 1
    assert steps_for(bias, 0.01) is None


def test_a_window_too_big_is_refused_with_its_size():
    model = Model(70, 256)
    assert refuse(model, 100_000, 128, 8) is None
    assert "products" in refuse(model, 100_000, 20_000, 8)
    assert "GB" in refuse(Model(60_000, 2), 1_000, 600, 32)
    assert lyapunov.refuse(100_000, 256, 64, 128, 8) is None
    assert "exponents" in lyapunov.refuse(10**8, 4096, 4096, 1000, 8)


def linear(W, layers=1):
    width = len(W)
    layer = Layer(jnp.zeros((V, width)), jnp.asarray(W), jnp.zeros(width))
    return Model(V, width, layers, "linear"), Params((layer,) * layers, jnp.zeros((width, V)), jnp.zeros(V))


def exponents(model, params, n, steps=400):
    size = sum(state.shape[-1] for state in zero_carry(model, (), jnp.float64))
    Q = jax.random.orthogonal(jax.random.key(0), size, dtype=jnp.float64)[:, :n]
    batch = Batch(jnp.zeros(steps, int), jnp.zeros(steps, int))
    carry = zero_carry(model, (), jnp.float64)
    run = jax.jit(partial(lyapunov.log_growth, model))
    _, Q, growth = run(params, HYPER, carry, batch, Q)
    np.testing.assert_allclose(Q.T @ Q, np.eye(n), atol=1e-12)
    return np.asarray(growth)[steps // 2 :].mean(0)


def test_exponents_of_a_linear_network_are_the_logarithms_of_its_eigenvalues():
    rng = np.random.default_rng(0)
    eigenvalues = np.array([1.7, -1.1, 0.6, 0.2])
    basis = rng.normal(size=(4, 4))
    W = basis @ np.diag(eigenvalues) @ np.linalg.inv(basis)
    np.testing.assert_allclose(exponents(*linear(W), 4), np.log(np.abs(eigenvalues)), atol=1e-10)
    np.testing.assert_allclose(exponents(*linear(W), 2), np.log([1.7, 1.1]), atol=1e-10)


def test_exponents_of_a_stack_are_those_of_its_layers():
    model, params = linear(np.diag([0.9, 0.3]))
    upper = params.layers[0]._replace(U=jnp.ones((2, 2)), W=jnp.diag(jnp.array([0.5, 0.1])))
    params = params._replace(layers=(params.layers[0], upper))
    model = Model(V, 2, 2, "linear")
    np.testing.assert_allclose(exponents(model, params, 4), np.log([0.9, 0.5, 0.3, 0.1]), atol=1e-10)


def test_radius_and_norm_of_every_block():
    model, params, *_ = case("gru", 2)
    found = {(block.layer, block.name): block for block in units.spectra(model, params, HYPER)}
    assert len(found) == 6
    block = np.asarray(params.layers[1].W)[:, H : 2 * H]
    assert np.isclose(found[1, "W_u"].spectral_radius, np.abs(np.linalg.eigvals(block)).max())
    assert np.isclose(found[1, "W_u"].largest_singular_value, np.sqrt(np.linalg.eigvalsh(block.T @ block).max()))
    model, params, *_ = case("leaky")
    step_matrix = units.spectra(model, params, HYPER)[1]
    expected = np.abs(1 - 0.3 + 0.3 * np.linalg.eigvals(params.layers[0].W)).max()
    assert np.isclose(step_matrix.spectral_radius, expected)


def test_saturated_units_are_counted():
    W = jnp.zeros((4, 4))
    layer = Layer(jnp.zeros((V, 4)), W, jnp.array([-5.0, 5.0, 5.0, 0.5]))
    model = Model(V, 4)
    params = Params((layer,), jnp.zeros((4, V)), jnp.zeros(V))
    batch = Batch(jnp.zeros((3, B), int), jnp.zeros((3, B), int))
    before, _ = walk(model, params, HYPER, zero_carry(model, (B,), jnp.float64), batch)
    assert units.saturation(model, params, HYPER, before, batch) == [units.Saturation(0, "tanh unit", 0.25, 0.5)]


def test_gates_of_every_kind_agree_with_the_step():
    """h' = n + u (h - n) and h' = o tanh c: the gates that are counted are those that made the next state."""
    for unit in ("gru", "lstm"):
        model, params, carry, batch = case(unit, 2, masks=False)
        before, after = walk(model, params, HYPER, carry, batch)
        for level, gates in enumerate(units.values(model, params, HYPER, before, batch)):
            h = before[level][..., :H]
            if unit == "gru":
                made = gates["tanh n"] + gates["gate u"] * (h - gates["tanh n"])
            else:
                made = gates["gate o"] * gates["tanh c"]
            np.testing.assert_allclose(after[level][..., :H], made, atol=1e-14)


def test_orthonormal_directions_of_a_regular_and_of_a_singular_matrix():
    for smallest in [0.5, 1e-13, 0.0]:
        rng = np.random.default_rng(0)
        A = rng.normal(size=(9, 4))
        A[:, 3] = A[:, :3] @ [1, -2, 3] + smallest * rng.normal(size=9)
        Q, lengths = jax.jit(lyapunov.orthonormalise)(jnp.asarray(A))
        exact = np.abs(np.diag(np.linalg.qr(A)[1]))
        np.testing.assert_allclose(Q.T @ Q, np.eye(4), atol=1e-12)
        np.testing.assert_allclose(lengths, exact, rtol=1e-10 if smallest > 0.1 else 0.1, atol=1e-14)
        np.testing.assert_allclose(Q @ (Q.T @ A), A, atol=1e-12)


def test_streams_side_by_side_have_the_exponents_of_each_alone():
    model, params, carry, batch = case("lstm")
    batch = batch._replace(valid=None, reset=None, weight=None)
    warm_up, window = (jax.tree.map(lambda array, part=part: array[part], batch) for part in (slice(3), slice(3, None)))
    Q = jax.random.orthogonal(jax.random.key(0), 2 * H, dtype=jnp.float64)
    both = jax.jit(lyapunov.spectra, static_argnums=0)(model, params, HYPER, carry, warm_up, window, Q)
    alone = jax.tree.map(lambda array: array[:, 1], batch)
    run = jax.jit(partial(lyapunov.log_growth, model))
    _, _, growth = run(params, HYPER, tuple(state[1] for state in carry), alone, Q)
    np.testing.assert_allclose(both[1], growth[3:].mean(0), rtol=1e-9)
