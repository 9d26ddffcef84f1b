"""Every cell and option: the equations against an independent loop, the hand-written gradient against two others."""

import ast
import inspect

import cases
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import own_cells
import pytest
from agreement import compare
from cases import HYPER, Case

from rnnjax.config import Config, ModelConfig, OptimizerConfig, TrainingConfig
from rnnjax.model import dropout
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Batch, Model, initial_carry
from rnnjax.model.rnn import apply, step
from rnnjax.training.evaluation import fold, make_evaluate
from rnnjax.training.state import init_state
from rnnjax.training.step import add_to_learned_state, make_step

CASES = [
    Case("vanilla", "tanh", 2, "wvr", "enxsd"),
    Case("vanilla", "relu", 1, "r", "s", seed=1),
    Case("vanilla", "linear", 1, "w", "b"),
    Case("leaky", "tanh", 2, "wvr", "enxsd", seed=3),
    Case("leaky", "relu", 1, "v", "n", seed=4),
    Case("leaky", "linear"),
    Case("gru"),
    Case("gru", layers=2, masks="wvr", options="enxsd", seed=5),
    Case("gru", layers=1, masks="v", options="b", batch=(1,)),
    Case("gru", layers=2, masks="r", options="s", T=1),
    Case("lstm"),
    Case("lstm", layers=2, masks="wvr", options="enxsd", seed=6),
    Case("lstm", layers=2, masks="wv", options="enxsdb"),
    Case("lstm_peephole", layers=2, masks="wvr", options="enxsd", seed=7),
    Case("lstm_1997", layers=2, masks="wvr", options="enxsd", seed=8),
    Case("minimal_gated", layers=2, masks="wvr", options="enxsd", seed=9),
    Case("min_gru", layers=2, masks="wvr", options="exsd", seed=10),
    Case(own_cells.independent, layers=2, masks="wv", options="exsdb", seed=11),
    Case(own_cells.crowded, layers=2, masks="wvr", options="enxsd", seed=12),
]
NAMES = ("autodiff", "manual", "custom_vjp")


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, filter(None, case[:5]))))
def case(request):
    """A case: its name, its arrays, its model, its logits, its gradient by every name."""
    arrays, model = cases.make(request.param)
    logits, results = cases.compute(NAMES, model, *arrays)
    return request.param, arrays, model, logits, dict(zip(NAMES, results, strict=True))


def test_the_forward_pass_is_that_of_the_plain_loop(case):
    _, arrays, model, logits, results = case
    loss, states, expected = cases.by_oracle(model, *arrays)
    for result in results.values():
        compare((result.new_carry, logits), (tuple(states), expected), 1e-12)
        assert result.loss == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("name", ["manual", "custom_vjp"])
def test_the_hand_written_gradient_is_that_of_autodiff(case, name):
    *_, results = case
    compare(results[name], results["autodiff"])


def test_the_hand_written_gradient_is_the_slope_of_the_plain_loop_s_loss(case):
    """Along a random direction of every leaf, by a complex step."""
    _, (params, carry, batch), model, _, results = case
    rng, epsilon = np.random.default_rng(0), 1e-30
    leaves, structure = jax.tree_util.tree_flatten_with_path((params, carry))
    slopes = jax.tree.leaves((results["manual"].params, results["manual"].carry))
    for index, ((path, leaf), slope) in enumerate(zip(leaves, slopes, strict=True)):
        direction, moved = rng.normal(size=leaf.shape), [array for _, array in leaves]
        moved[index] = leaf + 1j * epsilon * direction
        loss, _, _ = cases.by_oracle(model, *jax.tree.unflatten(structure, moved), batch)
        size = np.linalg.norm(slope) * np.linalg.norm(direction)
        off = abs(loss.imag / epsilon - np.sum(np.asarray(slope) * direction))
        assert off <= 1e-12 * size + 1e-14, jax.tree_util.keystr(path)


def test_the_plain_loop_imports_numpy_alone():
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(oracle))) if isinstance(node, ast.Import)]
    assert [alias.name for node in imports for alias in node.names] == ["numpy"]
    assert "from " not in "".join(line for line in inspect.getsource(oracle).splitlines() if "import" in line)


def test_repeated_steps_are_apply(case):
    which, (params, carry, batch), model, logits, results = case
    walk = jax.jit(step, static_argnums=0)
    if model.bidirectional:
        with pytest.raises(ValueError, match="no single step"):
            walk(model, params, HYPER, carry, jax.tree.map(lambda leaf: leaf[0], batch))
        return
    rows = []
    for t in range(which.T):
        carry, row = walk(model, params, HYPER, carry, jax.tree.map(lambda leaf, t=t: leaf[t], batch))
        rows.append(row)
    compare((carry, jnp.stack(rows)), (results["autodiff"].new_carry, logits), 1e-13)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_weights_have_the_cell_s_shapes_and_only_the_forget_gate_begins_open(cell):
    model = Model(6, 4, 2, cell=cell, embedding=3, layer_norm=True, learned_state=True, bidirectional=True)
    draw = jax.jit(lambda key: init_params(key, model, "orthogonal", 1.0, jnp.float64, forget_bias=0.7))
    params = draw(jax.random.key(0))
    (expected, _, _), _ = cases.make(Case(cell, layers=2, options="ensb"))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, expected)
    for layer in params.layers:
        opened = np.zeros(layer.bh.shape)
        opened[4:8] = 0.7 if cell == "lstm" else 0
        np.testing.assert_array_equal(layer.bh, opened)
        for gate in np.split(np.asarray(layer.W), len(model.cell.gates), axis=1):
            np.testing.assert_allclose(gate.T @ gate, np.eye(4), atol=1e-12)
        assert not np.any(0 if layer.bz is None else layer.bz)
        np.testing.assert_array_equal([layer.gain_a, layer.gain_z], np.ones((2, *layer.bh.shape)))
        np.testing.assert_array_equal(layer.s0, 0)
    assert np.std(params.embedding) == pytest.approx(1, rel=0.5)


# A learned initial state


def starting_loss(model, params, batch):
    """The loss of a window that begins a pass: from the learned state."""
    return cases.loss(model, params, initial_carry(model, params, batch.x.shape[1:]), batch)


@pytest.mark.parametrize("starts_pass", [True, False])
def test_the_learned_state_has_the_gradient_of_its_resets_and_of_the_start_of_a_pass(starts_pass):
    (params, carry, batch), model = cases.make(Case("lstm", layers=1 + starts_pass, masks="r", options="s"))
    if starts_pass:
        carry = initial_carry(model, params, batch.x.shape[1:])
        expected = jax.jit(jax.grad(starting_loss, argnums=1), static_argnums=0)(model, params, batch)
    else:
        expected = jax.jit(jax.grad(cases.loss, argnums=1), static_argnums=0)(model, params, carry, batch)
    assert all(np.any(layer.s0) for layer in expected.layers)
    found = cases.compute_one("manual", model, params, carry, batch)
    compare(add_to_learned_state(found.params, found.carry, starts_pass), expected)


def has_moment(part):
    return hasattr(part, "mu")


def test_training_moves_the_learned_state_at_the_start_of_a_pass():
    config = Config(
        model=ModelConfig(cell="gru", hidden_size=3, learned_state=True),
        optimizer=OptimizerConfig(clip="none"),
        training=TrainingConfig(steps=9, batch_size=2, sequence_length=4),
    )
    model = Model(5, 3, cell="gru", learned_state=True)
    streams = jnp.asarray(np.random.default_rng(0).integers(4, size=(2, 13)))  # three windows a pass
    state = init_state(config, model, jnp.dtype("float64"))
    train_step = jax.jit(make_step(config, model))
    slope = jax.jit(jax.grad(starting_loss, argnums=1), static_argnums=0)
    for number, begins in ((0, True), (1, False), (3, True)):
        new, _ = train_step(state.replace(step=jnp.int32(number)), streams)
        (adam,) = (part for part in jax.tree.leaves(new.opt_state, is_leaf=has_moment) if has_moment(part))
        window = streams[:, number % 3 * 4 : number % 3 * 4 + 5].T
        expected = slope(model, state.params, Batch(window[:-1], window[1:])).layers[0].s0
        # After Adam's first step its first moment is a tenth of the gradient.
        np.testing.assert_allclose(adam.mu.layers[0].s0, 0.1 * expected if begins else np.zeros(3), rtol=1e-10)


# Dropout


def test_a_dropout_mask_silences_its_share_and_keeps_the_mean():
    for rate in [0.0, 0.25, 0.5, 0.9]:
        noise = dropout.draw_noise(jax.random.key(0), 2, (50, 40, 50), jnp.float64)
        masks = [np.asarray(dropout.mask(level, rate)) for level in noise]
        for mask in masks:
            assert set(np.unique(mask)) <= {0, 1 / (1 - rate)}
            assert np.mean(mask == 0) == pytest.approx(rate, abs=0.01)
            assert mask.mean() == pytest.approx(1, abs=4 * (rate / (1 - rate) / mask.size) ** 0.5)
        assert rate == 0 or not np.array_equal(*masks)


def dropping(rate, seed=0):
    """A training step with dropout; its config and its model."""
    config = Config(
        model=ModelConfig(cell="lstm", hidden_size=8, dropout=rate),
        training=TrainingConfig(steps=9, batch_size=2, sequence_length=4, seed=seed),
    )
    return config, Model(5, 8, cell="lstm", dropout=rate > 0)


def test_dropout_follows_from_seed_and_step_alone():
    config, model = dropping(0.5)
    streams = jnp.zeros((2, 5), jnp.int32)  # every step reads the same window
    train_step = jax.jit(make_step(config, model))
    state = init_state(config, model, jnp.dtype("float64"))
    loss = lambda state: float(train_step(state, streams)[1].loss)
    assert loss(state) == loss(state)
    assert loss(state) != loss(state.replace(step=jnp.int32(1)))
    assert loss(state) != loss(state.replace(seed=jnp.int32(1)))


def test_evaluation_drops_nothing():
    config, model = dropping(0.5)
    params = init_state(config, model, jnp.dtype("float64")).params
    text = fold(np.arange(60, dtype=np.int32) % 5)
    evaluate = make_evaluate(model)
    losses = [float(evaluate(params, Hyper(dropout=rate), text)) for rate in (0.0, 0.5)]
    assert losses[0] == losses[1]


# Both directions of time


def test_a_network_of_both_directions_has_no_resets():
    (params, carry, batch), model = cases.make(Case("gru", options="b", masks="r"))
    with pytest.raises(ValueError, match="no resets"):
        apply(model, params, HYPER, carry, batch)
