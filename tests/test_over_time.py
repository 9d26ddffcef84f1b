"""A step over a window, all steps at once, against a plain loop in Python: states, outputs, counts, derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command import complaint
from step_cases import CASES, T, listed, make, steps

import rnnjax


def by_a_loop(case, stream):
    """States and outputs of one stream, step by step."""
    params = jax.tree.map(jnp.asarray, case.params)
    found = [(state, out) for *_, state, out in steps(case, params, case.state, stream)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)


WAYS = {
    "counter": ("elk", {"start_steps": 2}),
    "labels": ("deer", {"start": "held"}),
    "ids": ("deer", {"iterations": 1}),
    "trees": ("quasi", {"chunk_steps": 3}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_of_ones_own_runs_as_in_a_loop(name):
    case, (method, options) = make(name, np.random.default_rng(1)), WAYS[name]
    masks = {name: mask for name, mask in case.masks.items() if name != "weight"}
    run = lambda method, **options: jax.jit(
        lambda *given: rnnjax.unroll(case.step, *given, method, batch_axes=len(case.B), **masks, **options)
    )(case.params, case.state, case.xs)
    at_once, in_turn = run(method, **options), run("sequential")
    for found in (at_once, in_turn):
        for stream in np.ndindex(*case.B):
            here = jax.tree.map(lambda leaf, s=stream: leaf[:, *s], (found.states, found.outs))
            compare(here, by_a_loop(case, stream))
        compare(found.state, jax.tree.map(lambda leaf: leaf[-1], found.states))
        assert found.iterations.shape == found.sequential.shape == case.B
    assert jnp.all(at_once.iterations > 0)
    assert jnp.all((at_once.sequential > 0) == ("iterations" in options))  # one iteration is not enough
    assert jnp.all(in_turn.sequential == T)


def compare(found, expected):
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-10), found, expected)


def two_streams(gains):
    """Units of which each stream has a gain of its own, in its state."""
    rng = np.random.default_rng(0)
    W = jnp.asarray(np.linalg.qr(rng.normal(size=(8, 8)))[0])

    def step(W, state, x):
        h = jnp.tanh(state["gain"] * (state["h"] @ W) + x)
        return {"h": h, "gain": state["gain"]}, h[0]

    return (
        step,
        W,
        {"h": jnp.zeros((2, 8)), "gain": jnp.asarray(gains)},
        jnp.asarray(0.5 * rng.normal(size=(150, 2, 8))),
    )


def test_a_chaotic_stream_falls_back_alone_and_says_so():
    step, W, state, xs = two_streams([0.5, 3.0])
    found = rnnjax.unroll(step, W, state, xs, iterations=12)
    truth = rnnjax.unroll(step, W, state, xs, "sequential")
    assert found.iterations[0] < 12
    assert found.sequential[0] == 0
    assert found.iterations[1] == 12
    assert found.sequential[1] > 50
    np.testing.assert_allclose(found.outs[:, 0], truth.outs[:, 0], atol=1e-10)
    before = jnp.concatenate([state["h"][None, 1], found.states["h"][:-1, 1]])
    np.testing.assert_allclose(found.states["h"][:, 1], jnp.tanh(3 * before @ W + xs[:, 1]), atol=1e-10)


def test_the_states_of_the_epoch_before_are_a_better_start():
    step, W, state, xs = two_streams([0.9, 1.2])
    old = rnnjax.unroll(step, W, state, xs)
    new = W + 1e-3 * jnp.sin(jnp.arange(64.0)).reshape(8, 8)
    fresh, warm = (rnnjax.unroll(step, new, state, xs, start=start) for start in ("zeros", old.states))
    assert jnp.all(warm.iterations < fresh.iterations)
    np.testing.assert_allclose(warm.outs, fresh.outs, atol=1e-10)


def test_derivatives_run_through_the_solver():
    case = make("trees", np.random.default_rng(3))

    def loss(params, state, method):
        found = rnnjax.unroll(listed, params, state, case.xs, method, batch_axes=2, reset=case.masks["reset"])
        return jnp.sum(jnp.sin(found.outs["sum"])) + jnp.sum(found.state[1] ** 2)

    derivatives = jax.jit(jax.grad(loss, argnums=(0, 1)), static_argnums=2)
    expected = derivatives(case.params, case.state, "sequential")
    for method in ("deer", "quasi"):
        compare(derivatives(case.params, case.state, method), expected)


def fed_back(params, state, x):
    """A state of which a whole number depends on the real one."""
    h = jnp.tanh(params["w"] * state["h"] + x + state["word"])
    return {"h": h, "word": (h > 0).astype(int)}, h


def test_what_does_not_fit_is_told_in_one_line():
    given = (lambda w, h, x: (jnp.tanh(w * h + x), h), 0.5, 0.0, jnp.ones(3))
    run = lambda *arguments, **options: rnnjax.unroll(*arguments, batch_axes=0, **options)
    for message, call in {
        "method is 'newton', but must be one of sequential, deer": lambda: run(*given, "newton"),
        "an option is 'steps', but must be one of tolerance": lambda: run(*given, steps=3),
        "gradient.start is 'last'": lambda: run(*given, start="last"),
        "start is [2], but must lead with [T, *B] = [3]": lambda: run(*given, start=jnp.zeros(2)),
        "state['word'] is int64 and depends on real numbers of the state": lambda: run(
            fed_back, {"w": 0.5}, {"h": 0.0, "word": 0}, jnp.ones(3)
        ),
    }.items():
        assert message in complaint(call)


def two_layers(params, state, x):
    """Two layers of chaotic units."""
    low = jnp.tanh(x + state[0] @ params)
    high = jnp.tanh(low + state[1] @ params)
    return (low, high), high


@pytest.mark.parametrize("steps", [1, 30])
def test_chaos_missing_numbers_and_masked_streams_end_as_in_a_loop(steps):
    draw = np.random.default_rng(3)
    W, state = 3 * draw.normal(size=(5, 5)), tuple(draw.normal(size=(2, 4, 5)))
    xs = draw.normal(size=(steps, 4, 5))
    xs[steps // 2, 1] = np.nan
    valid, reset = np.ones((steps, 4), bool), np.zeros((steps, 4), bool)
    valid[:, 2], valid[steps // 3 : steps // 2, 3], reset[steps // 2, 3] = False, False, True
    run = lambda method, **options: jax.jit(
        lambda *given: rnnjax.unroll(two_layers, *given, method, valid=valid, reset=reset, **options)
    )(W, state, xs)
    expected = run("sequential")
    np.testing.assert_array_equal(jnp.isnan(expected.state[1]).all(axis=1), [False, True, False, False])
    for method, options in (
        ("deer", {}),
        ("elk", {"iterations": 12}),
        ("quasi", {"iterations": 1}),
        ("deer", {"tolerance": 1e-300, "iterations": 40}),
    ):
        found = run(method, **options)
        compare((found.states, found.outs), (expected.states, expected.outs))
        assert found.sequential[1] >= steps - steps // 2, options  # from the number that is none
        if options.get("iterations") == 1:
            assert jnp.all(found.sequential == steps)
        elif method == "deer":
            assert found.sequential[2] == 0, options  # a state that is held is found at once
            assert found.iterations[2] <= 3, options
