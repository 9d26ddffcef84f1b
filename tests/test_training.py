"""The optimiser, one training step, and many of them in one dispatch."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnjax.config import Config, ModelConfig, OptimizerConfig, TrainingConfig
from rnnjax.data.streams import fold_into_streams
from rnnjax.gradients import autodiff
from rnnjax.gradients.method import Window
from rnnjax.model.network import Model
from rnnjax.model.recurrence import of_network
from rnnjax.training.clipping import make_clip, report_clipping
from rnnjax.training.optimizer import make_optimizer, make_schedule
from rnnjax.training.state import StepInfo, from_arrays, init_state, to_arrays
from rnnjax.training.step import make_chunk, make_step, window_at

GRADS = {
    "a": np.array([[3.0, -4.0], [0.1, 0.0]], np.float32),
    "b": np.array([-12.0, 0.5], np.float32),
    "zero": np.zeros(3, np.float32),
}
THRESHOLD = 4.5


def numpy_clip(kind, grads):
    if kind == "value":
        return {name: np.clip(g, -THRESHOLD, THRESHOLD) for name, g in grads.items()}
    norms = {name: math.sqrt((g.astype(np.float64) ** 2).sum()) for name, g in grads.items()}
    if kind == "global_norm":
        norms = dict.fromkeys(grads, math.sqrt(sum(norm**2 for norm in norms.values())))
    if kind == "none":
        norms = dict.fromkeys(grads, 0.0)
    return {name: g * (THRESHOLD / norms[name] if norms[name] > THRESHOLD else 1) for name, g in grads.items()}


def test_clipping_is_the_numpy_one():
    for kind, changed in [("value", 1), ("global_norm", 5), ("per_leaf_norm", 5), ("none", 0)]:
        clip = make_clip(kind, THRESHOLD)
        clipped, _ = clip.update(GRADS, clip.init(GRADS))
        for name, expected in numpy_clip(kind, GRADS).items():
            np.testing.assert_allclose(clipped[name], expected, rtol=1e-6)
        report = report_clipping(clip, jax.tree.map(jnp.asarray, GRADS))
        assert float(report.norm) == pytest.approx(math.sqrt(9 + 16 + 0.01 + 144 + 0.25), rel=1e-6)
        assert float(report.changed) == pytest.approx(changed / 9)


@pytest.mark.parametrize("kind", ["global_norm", "per_leaf_norm"])
@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e19), ("float64", 1e160), ("float32", 1e-25), ("float64", 1e-170)]
)
def test_a_gradient_is_clipped_whose_squares_overflow_or_vanish(kind, dtype, size):
    g = {"W": jnp.array([3 * size, 4 * size, 0.0], dtype)}
    clip = make_clip(kind, size / 1e10)
    clipped = clip.update(g, clip.init(g))[0]["W"]
    np.testing.assert_allclose(clipped, np.array([0.6, 0.8, 0]) * size / 1e10, rtol=1e-6)
    assert float(report_clipping(clip, g).norm) == pytest.approx(5 * size)


def test_a_gradient_is_clipped_whose_norm_no_number_can_hold():
    g = {"W": jnp.full(100, 1e38, jnp.float32)}
    clip = make_clip("global_norm", 5.0)
    np.testing.assert_allclose(clip.update(g, clip.init(g))[0]["W"], 0.5, rtol=1e-6)


def test_small_gradients_are_left_alone():
    for kind in ["value", "global_norm", "per_leaf_norm"]:
        clip = make_clip(kind, 100.0)
        assert float(report_clipping(clip, jax.tree.map(jnp.asarray, GRADS)).changed) == 0


def test_warm_up_then_cosine():
    config = OptimizerConfig(learning_rate=0.8, warmup_steps=4, decay="cosine", final_learning_rate=0.2)
    rates = [float(make_schedule(config, 15)(jnp.int32(count))) for count in (0, 1, 3, 4, 9, 14, 20)]
    np.testing.assert_allclose(rates, [0.2, 0.4, 0.8, 0.8, 0.5, 0.2, 0.2], rtol=1e-6)


def test_a_constant_rate_after_warm_up_and_without():
    warm = make_schedule(OptimizerConfig(learning_rate=0.8, warmup_steps=2), 10)
    np.testing.assert_allclose([float(warm(jnp.int32(count))) for count in (0, 1, 2, 9)], [0.4, 0.8, 0.8, 0.8])
    cold = make_schedule(OptimizerConfig(learning_rate=0.8), 10)
    assert float(cold(jnp.int32(0))) == pytest.approx(0.8)


def test_weight_decay_spares_the_biases():
    optimizer = make_optimizer(OptimizerConfig(learning_rate=0.1, weight_decay=0.5), 10)
    params = {"W": jnp.ones((2, 2)), "b": jnp.ones(2)}
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params)
    np.testing.assert_allclose(updates["W"], -0.05, rtol=1e-6)
    assert not updates["b"].any()


CONFIG = Config(
    model=ModelConfig(hidden_size=6, layers=2, init_scale=0.9),
    optimizer=OptimizerConfig(learning_rate=0.02, clip="value", clip_threshold=0.05, warmup_steps=3),
    training=TrainingConfig(steps=40, batch_size=2, sequence_length=4, steps_per_dispatch=10),
)
MODEL = Model(vocabulary=5, hidden=6, layers=2)
TEXT = np.array([0, 1, 2, 3] * 14 + [2, 1], np.uint8)
STREAMS = fold_into_streams(TEXT, 2, 4)  # [2, 29]: 7 windows a pass


@functools.cache
def chunk_of_steps():
    return make_chunk(CONFIG, MODEL)


@functools.cache
def one_step():
    return jax.jit(make_step(CONFIG, MODEL))


def begin():
    return init_state(CONFIG, MODEL, jnp.dtype("float32"))


def run(state, *counts):
    """Runs chunks of so many steps. Returns the arrays at the end, and the infos of every step."""
    rows = []
    for count in counts:
        state, infos = chunk_of_steps()(state, jnp.asarray(STREAMS), np.int32(count))
        rows.append(jax.tree.map(lambda a, count=count: np.asarray(a)[:count], infos))
    return state, jax.tree.map(lambda *parts: np.concatenate(parts), *rows)


def as_bytes(tree):
    return {name: array.tobytes() for name, array in to_arrays(tree).items()}


def test_how_a_run_is_cut_into_chunks_changes_no_bit_and_compiles_nothing():
    state, infos = run(begin(), 10, 10)
    for counts in ([3, 10, 7], [1] * 20):
        other, other_infos = run(begin(), *counts)
        assert as_bytes(other) == as_bytes(state)
        assert as_bytes(other_infos) == as_bytes(infos)
    assert chunk_of_steps()._cache_size() == 1


def test_a_chunk_is_the_loop_over_single_steps():
    state, rows = begin(), []
    for _ in range(10):
        state, info = one_step()(state, jnp.asarray(STREAMS))
        rows.append(info)
    end, infos = run(begin(), 10)
    for name, array in to_arrays(end).items():
        np.testing.assert_allclose(array, to_arrays(state)[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for name in StepInfo._fields:
        np.testing.assert_allclose(
            getattr(infos, name), [float(getattr(row, name)) for row in rows], rtol=1e-4, err_msg=name
        )


def test_one_step_is_clipping_then_adam_by_hand():
    state = begin()
    batch, _ = window_at(jnp.asarray(STREAMS), jnp.int32(0), 4, "fixed")
    gradient = autodiff.gradient(of_network(MODEL), Window(state.params, state.hyper, state.carry, batch))
    clipped = [np.clip(np.asarray(g, np.float64), -0.05, 0.05) for g in jax.tree.leaves(gradient.params)]
    rate = 0.02 / 3  # the first of three steps of warm-up
    # At Adam's first step both moments, freed of their bias, are the gradient's own.
    expected = [
        np.asarray(p) - rate * g / (np.abs(g) + 1e-8)
        for p, g in zip(jax.tree.leaves(state.params), clipped, strict=True)
    ]
    new, info = one_step()(state, jnp.asarray(STREAMS))
    for array, by_hand, g in zip(jax.tree.leaves(new.params), expected, clipped, strict=True):
        sure = np.abs(g) > 1e-6  # where the gradient is rounding error, so is its sign
        np.testing.assert_allclose(np.asarray(array)[sure], by_hand[sure], rtol=1e-4, atol=1e-6)
    assert float(info.loss) == pytest.approx(float(gradient.loss), rel=1e-5)
    assert float(info.grad_norm) == pytest.approx(float(optax.tree.norm(gradient.params)), rel=1e-4)
    assert float(info.learning_rate) == pytest.approx(rate)
    for carry, after in zip(new.carry, gradient.new_carry, strict=True):
        np.testing.assert_allclose(carry, after, rtol=1e-5, atol=1e-6)


def test_a_chunk_computes_in_float64_where_the_weights_do():
    state = init_state(CONFIG, MODEL, jnp.dtype("float64"))
    state = state.replace(params=jax.tree.map(lambda p: p.astype("float64"), begin().params))
    state, infos = chunk_of_steps.__wrapped__()(state, jnp.asarray(STREAMS), np.int32(2))
    floats = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert {leaf.dtype.name for leaf in [*floats, infos.loss]} == {"float64"}
    assert np.asarray(infos.loss)[:2] == pytest.approx(run(begin(), 2)[1].loss, rel=1e-5)


def test_the_loss_goes_down():
    _, infos = run(begin(), *[10] * 20)
    assert infos.loss[0] > 1.2
    assert infos.loss[-7:].mean() < 0.3
    assert not infos.skipped.any()


def nan_bias(params):
    return params._replace(by=params.by.at[1].set(jnp.nan))


def infinite_logits(params):
    return params._replace(V=params.V * jnp.inf)


@pytest.mark.parametrize("spoil", [nan_bias, infinite_logits])
def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(spoil):
    good, _ = run(begin(), 1)  # no pass ends in the five steps
    spoiled = good.replace(params=spoil(good.params))
    before = as_bytes((spoiled.params, spoiled.opt_state, spoiled.carry))
    healthy = jax.tree.map(jnp.copy, good.params)
    state, infos = run(spoiled, 3, 1)
    assert as_bytes((state.params, state.opt_state, state.carry)) == before
    assert infos.skipped.tolist() == [1, 1, 1, 1]
    assert infos.skipped_in_a_row.tolist() == [1, 2, 3, 4]
    assert (int(state.step), int(state.skipped), int(state.skipped_in_a_row)) == (5, 4, 4)

    state, infos = run(state.replace(params=healthy), 2)
    assert infos.skipped.tolist() == [0, 0]
    assert (int(state.skipped), int(state.skipped_in_a_row)) == (4, 0)


def test_a_step_is_taken_where_the_gradient_is_finite_and_its_square_is_not():
    state = begin()
    steep = state.params._replace(V=state.params.V * -1e25)  # negative: never right, so that no gradient is zero
    _, infos = run(state.replace(params=steep), 1)
    assert infos.skipped.tolist() == [0]
    assert 1e20 < infos.grad_norm[0] < np.inf


def test_a_skipped_step_does_not_move_the_schedule():
    state = begin()
    healthy = jax.tree.map(jnp.copy, state.params)
    state, _ = run(state.replace(params=nan_bias(state.params)), 2)
    _, infos = run(state.replace(params=healthy), 4)
    np.testing.assert_allclose(infos.learning_rate, [0.02 / 3, 0.04 / 3, 0.02, 0.02], rtol=1e-6)


def test_the_carry_is_forgotten_at_the_end_of_a_pass():
    for step, forgets in [(0, True), (3, False), (6, False), (7, True), (14, True)]:
        state = begin().replace(step=jnp.int32(step))
        strange = state.replace(carry=jax.tree.map(lambda h: h + 0.5, state.carry))
        fresh_loss, strange_loss = (float(one_step()(s, jnp.asarray(STREAMS))[1].loss) for s in (state, strange))
        assert (fresh_loss == strange_loss) == forgets


def test_arrays_are_named_and_make_the_tree_again():
    state = begin()
    arrays = to_arrays(state)
    assert {"step", "params.layers.1.W", "params.by", "carry.0", "skipped"} <= arrays.keys()
    assert as_bytes(from_arrays(begin(), arrays)) == as_bytes(state)
    assert as_bytes(from_arrays(state.params, arrays, "params.")) == as_bytes(state.params)


def test_arrays_are_copies():
    state = begin()
    arrays = to_arrays(state)
    kept = {name: array.tobytes() for name, array in arrays.items()}
    run(state, 3)  # donates the buffers of the state
    assert {name: array.tobytes() for name, array in arrays.items()} == kept


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("params.by"), "params.by is missing"),
        (lambda arrays: arrays.update({"params.by": np.zeros(4, np.float32)}), r"params.by is float32\[4\]"),
        (lambda arrays: arrays.update({"step": np.zeros((), np.float32)}), "step is float32"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    arrays = to_arrays(begin())
    change(arrays)
    with pytest.raises(ValueError, match=message):
        from_arrays(begin(), arrays)
