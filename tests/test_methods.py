"""Every gradient method against `jax.grad`: exactly, exactly on average over all of its noise, or not at all where it
leaves something out."""

import itertools
import re
from functools import cache, partial
from typing import NamedTuple

import agreement
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from rnnjax.config import GradientConfig
from rnnjax.errors import UserError
from rnnjax.gradients import EXACT, METHODS, autodiff, checkpointed, snap
from rnnjax.gradients.artbp import Cuts
from rnnjax.gradients.directions import Directions
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Batch, Model, zero_carry
from rnnjax.model.rnn import apply

HYPER = Hyper(leak=0.6, dropout=0.3)


class Case(NamedTuple):
    """masks holds w (weight), v (valid) and r (reset); options are fields of `Model`."""

    T: int
    batch: tuple
    masks: str = ""
    hidden: int = 3
    options: tuple = ()


def shapes_of(model):
    return jax.eval_shape(lambda: init_params(jax.random.key(0), model, "normal", 1.0, jnp.float64))


@cache
def make(case):
    """A random network and window in float64, and the gradient by autodiff. Returns (model, arrays, reference)."""
    model = Model(vocabulary=5, hidden=case.hidden, **dict(case.options))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.7 * rng.normal(size=leaf.shape)), shapes_of(model))
    carry = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), zero_carry(model, case.batch, float))
    shape = (case.T, *case.batch)
    valid, reset = (rng.uniform(size=(case.T, int(np.prod(case.batch)))) < share for share in (0.8, 0.2))
    steps = np.arange(case.T)
    valid[:, 0], reset[:, 0] = steps != 1, steps == case.T // 2  # the first stream is held once, and restarts once
    reset[0] = False  # or the initial state would not matter
    batch = Batch(
        jnp.asarray(rng.integers(4, size=shape)),
        jnp.asarray(rng.integers(5, size=shape)),
        jnp.asarray(rng.uniform(size=shape) + 0.01) if "w" in case.masks else None,
        jnp.asarray(valid.reshape(shape)) if "v" in case.masks else None,
        jnp.asarray(reset.reshape(shape)) if "r" in case.masks else None,
        tuple(jnp.asarray(rng.uniform(size=(*shape, case.hidden))) for _ in range(model.layers))
        if model.dropout
        else None,
    )
    return model, (params, carry, batch), reference(model, params, carry, batch)


@partial(jax.jit, static_argnums=0)
def reference(model, params, carry, batch):
    return autodiff.gradient(model, params, HYPER, carry, batch)


@partial(jax.jit, static_argnums=(0, 1))
def gradient(config, model, params, carry, batch, noise):
    method = METHODS[config.method](config)
    trace = method.init(model, params, batch.y.shape[1:])
    return method.gradient(model, params, HYPER, carry, batch, trace, noise)


def compute(config, model, params, carry, batch, noise=None):
    """A method's gradient from its initial trace, without that afterwards."""
    return gradient(config, model, params, carry, batch, noise)._replace(trace=None)


def distance(actual, expected, part):
    """Largest difference in a part of the gradient, as a share of its largest entry."""
    a, e = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(part(found))]) for found in (actual, expected))
    return np.abs(a - e).max() / np.abs(e).max()


def of_recurrent_weights(found):
    return [layer.W for layer in found.params.layers]


CASES = {
    "vanilla, two layers, two batch axes": Case(5, (2, 2), "wvr", options=(("layers", 2),)),
    "leaky, one stream, one step": Case(1, (), "", options=(("unit", "leaky"),)),
    "gru, two layers, embedding, residual, dropout": Case(
        6, (2,), "wr", options=(("unit", "gru"), ("layers", 2), ("embedding", 2), ("residual", True), ("dropout", True))
    ),
    "lstm, layer norm, learned state": Case(
        3, (2,), "vr", options=(("unit", "lstm"), ("layer_norm", True), ("learned_state", True))
    ),
}

SAME = {
    "checkpointed": GradientConfig("checkpointed"),
    "checkpointed, recursive": GradientConfig("checkpointed", segments="recursive"),
    "rtrl": GradientConfig("rtrl"),
    "parallel": GradientConfig("parallel"),
    "truncated at T": GradientConfig("truncated", k1_steps=6, k2_steps=6),
}


PAIRS = [
    *(("vanilla, two layers, two batch axes", name) for name in ("checkpointed", "rtrl", "parallel", "truncated at T")),
    *(("leaky, one stream, one step", name) for name in ("checkpointed, recursive", "rtrl", "parallel")),
    *(("gru, two layers, embedding, residual, dropout", name) for name in SAME if "T" not in name),
    *(("lstm, layer norm, learned state", name) for name in ("rtrl", "parallel", "truncated at T")),
]


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_an_exact_method_is_autodiff(case, name):
    model, arrays, expected = make(CASES[case])
    agreement.compare(compute(SAME[name], model, *arrays), expected)


@pytest.mark.parametrize("name", ["checkpointed", "rtrl", "parallel"])
def test_an_exact_method_agrees_with_the_oracle(name):
    agreement.check(name, agreement.Case(7, (2,), 2, "relu", "wvr"))


def test_the_exact_methods_are_those_tested_here_and_beside_the_oracle():
    assert {*agreement.NAMES, "checkpointed", "rtrl", "parallel"} - {"custom_vjp"} == EXACT
    assert METHODS.keys() > EXACT


def test_central_differences_are_near_autodiff():
    model, arrays, expected = make(CASES["gru, two layers, embedding, residual, dropout"])
    agreement.compare(compute(GradientConfig("finite_difference"), model, *arrays), expected, 1e-6)


@pytest.mark.parametrize("T", [*range(1, 40), 63, 64, 65, 1000])
def test_segments_cover_the_window_without_much_padding(T):
    (count,), length = checkpointed.cut_sqrt(T)
    assert T <= count * length < T + length
    assert max(count, length) <= T**0.5 + 1
    halves, length = checkpointed.cut_in_halves(T)
    assert T <= 2 ** len(halves) * length < 1.25 * T + 1
    assert length <= 2 * checkpointed.SHORTEST


def test_checkpointing_keeps_less():
    (params, carry, batch), model = agreement.make(agreement.Case(1024, (8,), 1))

    def kept(name, **options):
        run = METHODS[name](GradientConfig(name, **options)).gradient
        program = jax.jit(run, static_argnums=0).lower(model, params, Hyper(), carry, batch).compile()
        return program.memory_analysis().temp_size_in_bytes

    everything, some, few = (kept("autodiff"), kept("checkpointed"), kept("checkpointed", segments="recursive"))
    assert few < some < everything / 4


# --- online: what the trace carries


def windows_of(batch, count):
    """The stream cut into windows of equal length."""
    return [jax.tree.map(lambda leaf, i=i: jnp.split(leaf, count)[i], batch) for i in range(count)]


def over_windows(config, model, params, carry, batch, noise, count):
    """The sum of the windows' gradients, each weighted by its share of the stream, parameters unchanged."""
    method = METHODS[config.method](config)
    trace = method.init(model, params, batch.y.shape[1:])
    parts = []
    for window, noise_of_window in zip(windows_of(batch, count), windows_of(noise, count), strict=True):
        found = method.gradient(model, params, HYPER, carry, window, trace, noise_of_window)
        carry, trace = found.new_carry, found.trace
        parts.append((found.loss, found.params, found.carry))
    return jax.tree.map(lambda *leaves: sum(leaves) / count, *parts)


STREAM = Case(6, (2,), "vr", options=(("unit", "gru"), ("layers", 2)))
DIAGONAL = Case(6, (2,), "vr", options=(("unit", "leaky"), ("learned_state", True)))


def without_recurrence(params, keep):
    """The parameters with each W multiplied entry by entry, in every gate."""
    gates = params.layers[0].W.shape[1] // params.layers[0].W.shape[0]
    return params._replace(layers=tuple(layer._replace(W=layer.W * np.tile(keep, gates)) for layer in params.layers))


def test_windows_of_rtrl_sum_up_to_the_stream():
    model, arrays, expected = make(STREAM)
    found = jax.jit(partial(over_windows, GradientConfig("rtrl"), model, noise=None, count=3))(*arrays)
    agreement.compare(found, (expected.loss, expected.params, expected.carry))


def test_windows_of_snap_with_a_diagonal_W_sum_up_to_the_stream():
    model, (params, carry, batch), _ = make(DIAGONAL)
    params = without_recurrence(params, np.eye(3))
    found = jax.jit(partial(over_windows, GradientConfig("snap"), model, noise=None, count=3))(params, carry, batch)
    expected = reference(model, params, carry, batch)
    agreement.compare(found, (expected.loss, expected.params, expected.carry))


def test_the_influence_of_rtrl_is_the_derivative_of_the_last_state():
    model, (params, carry, batch), _ = make(STREAM)
    p, restore = ravel_pytree((params.layers, params.embedding))

    def last(p, carry):
        layers, _ = restore(p)
        return jnp.concatenate(apply(model, params._replace(layers=layers), HYPER, carry, batch)[0], axis=-1)

    of_params, of_carry = jax.jit(jax.jacfwd(last, argnums=(0, 1)))(p, carry)
    trace = gradient(GradientConfig("rtrl"), model, params, carry, batch, None).trace
    of_carry = jnp.concatenate(of_carry, axis=-1)[jnp.arange(2), :, jnp.arange(2)]
    agreement.compare(trace, type(trace)(of_params, of_carry))


def test_truncated_at_lags():
    """Against the double sum in plain NumPy, whose pairs (error at j, weight used at k) are chosen one by one."""
    case = Case(5, (), "")
    model, (params, carry, batch), whole = make(case)
    layer, V, by = params.layers[0], params.V, params.by
    U, W, bh = (np.asarray(w) for w in (layer.U, layer.W, layer.bh))
    h, hs = np.asarray(carry[0]), []
    for x in batch.x:
        before, h = h, np.tanh(U[x] + h @ W + bh)
        hs.append((before, h))

    def d_W(reaches):
        total = np.zeros(W.shape)
        for j in range(5):
            error = np.asarray(jax.nn.softmax(hs[j][1] @ V + by) - np.eye(5)[batch.y[j]]) @ np.asarray(V).T / 5
            for k in range(j, -1, -1):
                delta = error * (1 - hs[k][1] ** 2)
                if reaches(j, k):
                    total += np.outer(hs[k][0], delta)
                error = delta @ W.T
        return total

    def truncated(k1, k2):
        config = GradientConfig("truncated", k1_steps=k1, k2_steps=k2)
        return compute(config, model, params, carry, batch)

    np.testing.assert_allclose(d_W(lambda j, k: True), whole.params.layers[0].W, rtol=1e-10)
    found = truncated(1, 3)
    np.testing.assert_allclose(found.params.layers[0].W, d_W(lambda j, k: j - k < 3), rtol=1e-10)
    assert distance(found, whole, of_recurrent_weights) > 1e-3
    ends = [2, 2, 4, 4, 5]  # of the chunk that each error belongs to
    np.testing.assert_allclose(truncated(2, 3).params.layers[0].W, d_W(lambda j, k: k >= ends[j] - 3), rtol=1e-10)


# --- online: what is left out


CHAIN = Case(6, (2,), "wr", 4, (("unit", "gru"), ("learned_state", True)))


@pytest.mark.parametrize("n", [1, 3, 4])
def test_snap_is_exact_once_n_covers_the_graph(n):
    model, (params, carry, batch), _ = make(CHAIN)
    params = without_recurrence(params, np.eye(4, k=1) + np.eye(4))  # unit 0 acts on 1, 1 on 2, 2 on 3
    found = compute(GradientConfig("snap", snap_steps=n), model, params, carry, batch)
    expected = reference(model, params, carry, batch)
    if n == 4:
        agreement.compare(found, expected)
        return
    assert distance(found, expected, of_recurrent_weights) > 1e-5
    for part in (lambda found: found.carry, lambda found: found.params.layers[0].s0):
        # A state's own first step goes along W already, where a weight's ends in its unit.
        assert distance(found, expected, part) > 1e-5 if n == 1 else distance(found, expected, part) < 1e-10
    agreement.compare((found.params.V, found.params.by), (expected.params.V, expected.params.by))


def test_the_pattern_of_snap_grows_along_the_graph():
    model = Model(vocabulary=5, hidden=4)
    params = without_recurrence(jax.tree.map(lambda leaf: np.ones(leaf.shape), shapes_of(model)), np.eye(4, k=1))
    b = slice(-4, None)  # the biases, one for each unit, come last
    for n in (1, 2, 3):
        expected = sum(np.eye(4, k=-lag) for lag in range(n))
        found = jax.jit(snap.pattern, static_argnums=(0, 2))(model, params, n)
        np.testing.assert_array_equal(found.params[:, b], expected)


LEAKY = Case(5, (2,), "wvr", options=(("unit", "leaky"), ("dropout", True)))


@pytest.mark.parametrize("W", [0.0, 1.0])
def test_rflo_is_exact_without_recurrent_weights_alone(W):
    model, (params, carry, batch), _ = make(LEAKY)
    params = without_recurrence(params, W)
    found = compute(GradientConfig("rflo"), model, params, carry, batch)
    expected = reference(model, params, carry, batch)
    if W == 0:
        agreement.compare(found, expected)
    else:
        assert distance(found, expected, of_recurrent_weights) > 1e-3
        assert distance(found, expected, lambda found: found.carry) > 1e-3


def test_rflo_is_the_equations_of_the_paper():
    """In plain NumPy: for each weight of W its own eligibility, which forgets with the leak and knows nothing of W."""
    model, (params, carry, batch), expected = make(Case(5, (), "", options=(("unit", "leaky"),)))
    U, W, bh = (np.asarray(w) for w in (params.layers[0].U, params.layers[0].W, params.layers[0].bh))
    V, h, e, dW = np.asarray(params.V), np.asarray(carry[0]), 0, 0
    for x, y in zip(batch.x, batch.y, strict=True):
        value = np.tanh(U[x] + h @ W + bh)
        e = (1 - HYPER.leak) * e + HYPER.leak * np.outer(h, 1 - value**2)
        h = (1 - HYPER.leak) * h + HYPER.leak * value
        dW = dW + (np.asarray(jax.nn.softmax(h @ V + params.by)) - np.eye(5)[y]) / 5 @ V.T * e
    found = compute(GradientConfig("rflo"), model, params, carry, batch)
    np.testing.assert_allclose(found.params.layers[0].W, dW, rtol=1e-10)
    assert distance(found, expected, of_recurrent_weights) > 1e-3


def test_random_feedback_changes_the_hidden_weights_alone():
    model, (params, carry, batch), expected = make(LEAKY)
    found = compute(GradientConfig("rflo", feedback="random"), model, params, carry, batch)
    agreement.compare((found.params.V, found.params.by), (expected.params.V, expected.params.by))
    assert distance(found, expected, of_recurrent_weights) > 0.1


# --- random: the average over all of the noise


def all_signs(*shape):
    """Every array of signs [2^n, *shape]."""
    return jnp.asarray(list(itertools.product([-1.0, 1.0], repeat=int(np.prod(shape))))).reshape(-1, *shape)


GRU, STACK = (("unit", "gru"),), (("layers", 2), ("residual", True), ("embedding", 2))
UNBIASED = {  # method, case, how many signs a step takes, windows
    "uoro, two layers": (GradientConfig("uoro"), Case(2, (), "w", 2, (*GRU, ("layers", 2))), 4, 1),
    "uoro, windows": (GradientConfig("uoro"), Case(4, (), "", 2, (("unit", "leaky"),)), 2, 2),
    "uoro, masks": (GradientConfig("uoro"), Case(4, (), "vr", 2, (("learned_state", True),)), 2, 1),
    "kf_rtrl, two layers, windows": (GradientConfig("kf_rtrl"), Case(4, (), "", 2, STACK), 3, 2),
    "kf_rtrl, masks": (GradientConfig("kf_rtrl"), Case(6, (), "vr", 2, GRU), 2, 1),
}


@pytest.mark.parametrize("name", UNBIASED)
def test_the_average_over_all_signs_is_the_gradient_of_the_stream(name):
    config, case, numbers, count = UNBIASED[name]
    model, arrays, expected = make(case)
    signs = all_signs(case.T, numbers)
    estimate = partial(over_windows, config, model, *arrays, count=count)
    all_found = jax.jit(jax.vmap(lambda noise: estimate(noise=noise)))(signs)
    average = jax.tree.map(lambda leaf: leaf.mean(0), all_found)
    close(average, (expected.loss, expected.params, expected.carry))
    spread = jnp.std(all_found[1].layers[0].W, axis=0) / jnp.abs(expected.params.layers[0].W).max()
    assert spread.max() > 1e-3  # it is the average that is right, not each


def close(actual, expected):
    """Agreement leaf by leaf, where zeros come out of sums that cancel."""
    for (path, a), e in zip(jax.tree_util.tree_flatten_with_path(actual)[0], jax.tree.leaves(expected), strict=True):
        assert np.abs(a - e).max() <= 1e-10 * max(np.abs(e).max(), 1e-3), jax.tree_util.keystr(path)


def test_the_average_over_all_truncations_is_the_gradient():
    model, arrays, expected = make(Case(5, (), "wv", 2, (("unit", "lstm"), ("layers", 2))))
    probability = jnp.array([0.0, 0.3, 0.5, 0.1, 0.8])
    cuts = jnp.concatenate([jnp.zeros((16, 1), bool), all_signs(4) > 0], axis=1)
    run = partial(gradient, GradientConfig("artbp"), model, *arrays)
    found = jax.vmap(lambda cut: run(Cuts(cut, probability)))(cuts)
    odds = jnp.where(cuts, probability, 1 - probability).prod(1)
    assert odds.sum() == pytest.approx(1)
    close(jax.tree.map(lambda leaf: jnp.tensordot(odds, leaf, 1), found), expected)
    assert jnp.std(found.params.V, axis=0).max() < 1e-10  # only what goes back is random
    assert jnp.std(found.params.layers[0].W, axis=0).max() > 1e-5


def hadamard_directions(params, carry):
    """The rows of a Hadamard matrix, cut to the number of entries: their outer products average to the identity."""

    def rows(tree):
        flat, restore = ravel_pytree(tree)
        H = np.ones((1, 1))
        while len(H) < flat.size:
            H = np.block([[H, H], [H, -H]])
        return jax.vmap(restore)(jnp.asarray(H[:, : flat.size]))

    return Directions(rows(params), rows(carry))


def test_the_forward_gradient_over_hadamard_rows_is_the_gradient():
    model, (params, carry, batch), expected = make(Case(4, (2,), "wvr", 2, (("unit", "leaky"),)))
    found = compute(GradientConfig("forward_gradient"), model, params, carry, batch, hadamard_directions(params, carry))
    close(found, expected)


def test_the_bias_of_spsa_falls_with_the_square_of_sigma():
    model, (params, carry, batch), expected = make(Case(4, (2,), "wvr", 2, (("unit", "leaky"),)))
    directions = hadamard_directions(params, carry)
    errors = []
    for sigma in (0.02, 0.01):
        found = compute(GradientConfig("spsa", sigma=sigma), model, params, carry, batch, directions)
        errors.append([distance(found, expected, part) for part in (of_recurrent_weights, lambda found: found.carry)])
    np.testing.assert_allclose(np.divide(*errors), 4, rtol=0.05)
    assert errors[0][0] > 1e-4


# --- what is drawn, and what is refused


def test_draws_have_the_shape_and_the_odds_that_they_should():
    model = Model(vocabulary=5, hidden=3, unit="gru")
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes_of(model))
    key, shape = jax.random.key(0), (50, 40)

    def draw(name, **options):
        drawn = METHODS[name](GradientConfig(name, **options)).draw
        return jax.jit(drawn, static_argnums=(1, 3))(key, model, params, shape)

    of_uoro, of_kf_rtrl = draw("uoro"), draw("kf_rtrl")
    assert of_uoro.shape == (50, 40, 3)
    assert of_kf_rtrl.shape == (50, 40, 2)
    for signs in (of_uoro, of_kf_rtrl, draw("forward_gradient").params.V):
        assert set(np.unique(signs)) == {-1.0, 1.0}
    cuts = draw("artbp", cut_probability=0.25)
    assert cuts.cut.shape == cuts.probability.shape == shape
    assert not cuts.cut[0].any()
    assert not cuts.probability[0].any()
    assert cuts.cut[1:].mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(cuts.probability[1:], 0.25)
    gaussian = draw("spsa", directions=500, distribution="gaussian")
    assert gaussian.carry[0].shape == (500, 40, 3)
    assert gaussian.params.V.shape == (500, 3, 5)
    assert gaussian.params.V.std() == pytest.approx(1, abs=0.05)
    assert gaussian.params.V.mean() == pytest.approx(0, abs=0.05)


BIG, BOTH = Model(vocabulary=80, hidden=2000), Model(vocabulary=5, hidden=3, bidirectional=True)


@pytest.mark.parametrize(
    ("name", "model", "reason"),
    [
        ("rtrl", BIG, r"takes 1\.1e\+12 bytes"),
        ("rtrl", Model(vocabulary=80, hidden=200), "products"),
        ("snap", BIG, "bytes"),
        ("snap", Model(vocabulary=5, hidden=3, layer_norm=True), "layer normalisation"),
        ("snap", Model(vocabulary=5, hidden=3, embedding=2), "embedding"),
        ("kf_rtrl", Model(vocabulary=80, hidden=20_000), "bytes"),
        ("kf_rtrl", Model(vocabulary=5, hidden=3, learned_state=True), "learned_state"),
        ("parallel", BIG, "bytes"),
        ("finite_difference", Model(vocabulary=80, hidden=100), "products"),
        ("rflo", Model(vocabulary=5, hidden=3, unit="gru"), "gru"),
        ("rflo", Model(vocabulary=5, hidden=3, layers=2), "one layer"),
        ("rflo", Model(vocabulary=5, hidden=3, embedding=2), "embedding"),
        *((name, BOTH, "bidirectional|backward") for name in ("rtrl", "snap", "rflo", "uoro", "kf_rtrl", "parallel")),
        *((name, BOTH, "bidirectional|backward") for name in ("checkpointed", "truncated", "artbp")),
    ],
)
def test_what_a_method_cannot_do_is_refused_before_anything_is_computed(name, model, reason):
    answer = METHODS[name](GradientConfig()).refuse(model, 64, 32)
    assert answer is not None
    assert re.search(reason, answer), answer


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_can_do_is_not_refused(name):
    assert METHODS[name](GradientConfig()).refuse(Model(vocabulary=5, hidden=3), 5, 2) is None


@pytest.mark.parametrize(
    "options",
    [
        {"k1_steps": 0},
        {"k1_steps": 3, "k2_steps": 2},
        {"cut_probability": 1.0},
        {"snap_steps": 0},
        {"directions": 0},
        {"sigma": 0.0},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UserError, match=f"gradient.{list(options)[-1]}"):
        GradientConfig(**options)
