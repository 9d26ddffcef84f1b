"""Gradients of steps of any form, against `jax.grad` of a plain loop in Python, in float64."""

import doctest
import itertools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_cases import CASES, T, close, make, of, truth

import rnnjax
from rnnjax.compare import certify
from rnnjax.errors import UserError
from rnnjax.gradients import arguments, of_step, online, over_time
from rnnjax.gradients.artbp import Cuts
from rnnjax.gradients.method import Window
from rnnjax.lags import forecast
from rnnjax.model import loss as losses
from rnnjax.model.network import Batch

EXACT = {"autodiff": {}, "manual": {}, "textbook": {}, "checkpointed": {}, "parallel_scan": {}, "deer": {}, "rtrl": {}}
EXACT |= {"truncated": {"k1_steps": 2, "k2_steps": 9}, "artbp": {"cut_probability": 0.0}, "snap": {"snap_steps": 9}}
KEY = jax.random.key(3)


def window(case, **options):
    """Arguments of a gradient."""
    return (case.params, case.state, case.xs, case.ys), case.masks | options


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in ("labels", "counter") else name for name in CASES]
)
def test_every_exact_method_gives_the_gradient_of_a_loop(name):
    case = make(name, np.random.default_rng(1))
    loss, (d_params, d_state) = truth(case)
    for method, options in EXACT.items():
        grad = rnnjax.gradient(case.step, case.loss, method, batch_axes=len(case.B), **options)
        arguments, masks = window(case, key=KEY)
        found = jax.jit(grad.window)(*arguments, **masks)
        close((found.loss, found.params, found.carry), (loss, d_params, d_state))
    value, grads = grad(*arguments, **masks)  # outside of jit
    close((value, grads), (loss, d_params))
    grad = rnnjax.gradient(case.step, case.loss, "finite_difference", batch_axes=len(case.B))
    close(grad(*window(case)[0], **case.masks)[1], d_params, 1e-10)


@pytest.mark.parametrize("name", CASES)
def test_steps_forward_in_time_sum_up_to_the_window(name):
    case = make(name, np.random.default_rng(2))
    loss, (d_params, _) = truth(case, "sum")
    axes = len(case.B)
    for method, small in (("rtrl", False), ("snap", True), ("uoro", False)):
        options = {"batch_axes": axes} | ({"snap_steps": 9} if method == "snap" else {})
        forward = rnnjax.online(case.step, case.loss, method, **options)
        state, memory = case.state, forward.init(case.params, case.state, *([of(case.xs, 0)] if small else []))
        grad = rnnjax.gradient(case.step, case.loss, method, reduce="sum", **options)
        first, update = memory, jax.jit(forward.update)
        value, grads, noise = 0.0, jax.tree.map(jnp.zeros_like, d_params), []
        for t in range(T):
            masks = {key: mask[t] for key, mask in case.masks.items()}
            key = jax.random.fold_in(KEY, t)
            found = update(case.params, state, memory, of(case.xs, t), of(case.ys, t), key, **masks)
            state, memory, value = found.state, found.memory, value + found.value
            grads = jax.tree.map(jnp.add, grads, found.grads)
            noise.append(grad.method.draw(key, grad.recurrence, *strong(case.params, case.state), 1))
        assert shapes(memory) == shapes(first)
        expected = d_params
        if method == "uoro":  # the window's own estimate, under the same signs
            params, state, batch = arguments.read(
                case.step, grad.loss, axes, case.params, case.state, case.xs, case.ys, masks_of(case)
            )
            whole = Window(params, (), state, batch, first, jnp.concatenate(noise))
            expected = grad.method.gradient(grad.recurrence, whole).params
        close((value, grads), (loss, expected))


def strong(*trees):
    return jax.tree.map(jnp.asarray, trees)


def shapes(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def masks_of(case):
    return tuple(case.masks.get(name) for name in ("valid", "reset", "weight"))


def test_a_memory_goes_on_into_the_next_window():
    case = make("counter", np.random.default_rng(4))
    loss, (d_params, d_state) = truth(case, "sum")
    grad = rnnjax.gradient(case.step, case.loss, "rtrl", batch_axes=0, reduce="sum")
    first = grad.window(case.params, case.state, case.xs[:1], case.ys[:1])
    second = grad.window(case.params, first.new_carry, case.xs[1:], case.ys[1:], memory=first.trace)
    sums = jax.tree.map(jnp.add, (first.loss, first.params, first.carry), (second.loss, second.params, second.carry))
    close(sums, (loss, d_params, d_state))


def scalar(params, state, x):
    """One unit: two parameters that act on the state, one that does not."""
    state = jnp.tanh(params["u"] * x + params["w"] * state)
    return state, params["v"] * state


SMALL = ({"u": jnp.array(0.7), "w": jnp.array(-0.9), "v": jnp.array(1.3)}, jnp.array(0.4))


def test_artbp_follows_its_printed_equation():
    xs, ys = jnp.array([0.5, -1.0, 0.3, 0.8]), jnp.array([1.0, 0.2, -0.5, 0.1])
    params, s = SMALL
    grad = rnnjax.gradient(scalar, "squared_error", "artbp", batch_axes=0, reduce="sum")
    c = jnp.array([0.0, 0.5, 0.2, 0.4])
    for cut in itertools.product([False], *[[False, True]] * 3):
        # λₜ₋₁ = ∂ℓₜ₋₁/∂sₜ₋₁ + ρₜ λₜ Dₜ, and ∂L/∂w = Σ λₜ ∂sₜ/∂w, with ℓₜ = (v sₜ - yₜ)².
        states = [s]
        for x in xs:
            states.append(jnp.tanh(params["u"] * x + params["w"] * states[-1]))
        adjoint = d_w = 0.0
        for t in reversed(range(4)):
            adjoint = adjoint + 2 * (params["v"] * states[t + 1] - ys[t]) * params["v"]
            slope = 1 - states[t + 1] ** 2
            d_w = d_w + adjoint * slope * states[t]
            adjoint = (0 if cut[t] else 1 / (1 - c[t])) * adjoint * slope * params["w"]
        cuts = Cuts(jnp.array(cut), c)
        found = grad.method.gradient(grad.recurrence, Window(params, (), s, Batch(xs, ys, jnp.ones(4)), None, cuts))
        close((found.params["w"], found.carry), (d_w, adjoint))


@pytest.mark.slow
def test_random_methods_take_a_key_and_differ_by_it():
    case = make("counter", np.random.default_rng(5))
    arguments, masks = window(case)
    for method in ("uoro", "artbp", "forward_gradient", "spsa"):
        grad = rnnjax.gradient(case.step, case.loss, method, batch_axes=0, cut_probability=0.5)
        one, same, other = (grad(*arguments, **masks, key=jax.random.key(seed))[1]["W"] for seed in (0, 0, 8))
        assert jnp.array_equal(one, same)
        assert not jnp.array_equal(one, other)
        with pytest.raises(UserError, match=r"draws random numbers: give it key=jax\.random\.key"):
            grad(*arguments, **masks)


def back(params, state, x, d_state, d_out):
    """The pull-back of `scalar` by hand."""
    new = jnp.tanh(params["u"] * x + params["w"] * state)
    d_a = (d_state + params["v"] * d_out) * (1 - new**2)
    return {"u": d_a * x, "w": d_a * state, "v": d_out * new}, d_a * params["w"]


def test_an_adjoint_by_hand_is_what_manual_uses():
    xs, ys = jnp.array([0.5, -1.0, 0.3]), jnp.array([1.0, 0.2, -0.5])
    wrong = lambda *arguments: (back(*arguments)[0], 1.01 * back(*arguments)[1])
    exact = rnnjax.gradient(scalar, "squared_error", "autodiff", batch_axes=0).window(*SMALL, xs, ys)
    right, planted = (
        rnnjax.gradient(scalar, "squared_error", adjoint=adjoint, batch_axes=0).window(*SMALL, xs, ys)
        for adjoint in (back, wrong)
    )
    close((right.params, right.carry), (exact.params, exact.carry))
    assert abs(planted.params["w"] - exact.params["w"]) > 1e-4
    with pytest.raises(UserError, match="method is 'rtrl', but must be manual where an adjoint is given"):
        rnnjax.gradient(scalar, "squared_error", "rtrl", adjoint=back)


def test_a_state_of_ones_own_is_what_a_reset_leads_to():
    xs, ys = jnp.array([0.5, -1.0, 0.3]), jnp.array([1.0, 0.2, -0.5])
    begin = lambda params, state: params["v"] ** 2 + 0 * state

    def loop(params):
        total, state = 0.0, SMALL[1]
        for t in range(3):
            state, out = scalar(params, params["v"] ** 2 if t == 1 else state, xs[t])
            total = total + (out - ys[t]) ** 2
        return total / 3

    for method in ("manual", "rtrl", "parallel_scan"):
        grad = rnnjax.gradient(scalar, "squared_error", method, initial=begin, batch_axes=0)
        close(grad(*SMALL, xs, ys, reset=[False, True, False]), jax.value_and_grad(loop)(SMALL[0]))


def test_a_padding_that_cannot_be_computed_counts_nothing():
    def step(w, state, x):
        state = jnp.tanh(w * state + x / jnp.abs(x))
        return state, state

    xs, ys = jnp.array([[1.0, -2.0], [3.0, 0.0], [0.0, 0.0]]), jnp.array([[jnp.nan, 1.0], [0.5, jnp.nan], [0.0, 0.0]])
    valid, weight = jnp.array([[True, True], [True, False], [False, False]]), jnp.array([[0.0, 1.0], [1.0, 0], [0, 0]])

    def by_hand(w):
        first, second = jnp.tanh(w * 0.2 + 1), jnp.tanh(w * 0.2 - 1)
        return ((jnp.tanh(w * first + 1) - 0.5) ** 2 + (second - 1) ** 2) / 2

    for method in ("autodiff", "manual", "rtrl", "parallel_scan"):
        found = rnnjax.gradient(step, "squared_error", method)(
            0.7, jnp.full(2, 0.2), xs, ys, valid=valid, weight=weight
        )
        close(found, jax.value_and_grad(by_hand)(0.7))


def test_where_no_step_counts_nothing_is_learned_and_a_held_state_is_carried():
    def step(w, state, x):
        state = jnp.tanh(w * state + jnp.log(x))  # not finite at a padding
        return state, state

    def loss(out, y):
        return jnp.square(jnp.log(y) - out)

    w, before, padding = 0.7, jnp.array([0.2, -0.4]), jnp.array([jnp.nan, -1.0])
    held, no_weight, zero = jnp.zeros(2, bool), jnp.zeros(2), jnp.zeros(())
    for method in ("rtrl", "snap", "uoro"):
        forward, key = rnnjax.online(step, loss, method), jax.random.key(0)
        update = jax.jit(forward.update)
        state, memory, *_ = update(w, before, forward.init(w, before), jnp.ones(2) / 2, jnp.ones(2), key)
        found = update(w, state, memory, padding, padding, key, valid=held)
        close((found.state, found.value, found.grads), (state, zero, zero))
        assert all(map(jnp.array_equal, jax.tree.leaves(found.memory), jax.tree.leaves(memory)))
        found = update(w, state, memory, jnp.ones(2) / 3, padding, key, weight=no_weight)
        close((found.state, found.value, found.grads), (jnp.tanh(w * state + jnp.log(1 / 3)), zero, zero))
        assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(found.memory))
    for method in ("autodiff", "manual", "rtrl", "parallel_scan", "finite_difference", "checkpointed"):
        window = rnnjax.gradient(step, loss, method).window
        found = window(w, before, padding[None], padding[None], valid=held[None])
        close((found.loss, found.params, found.carry, found.new_carry), (zero, zero, jnp.zeros(2), before))


def test_examples_print_what_they_say():
    for module in (of_step, online, losses, over_time, forecast, certify):
        found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        assert found.attempted
        assert not found.failed


def test_the_names_of_the_library_load_nothing_heavy():
    program = """import sys
import rnnjax
assert {"gradient", "online", "losses"} <= set(dir(rnnjax)) & set(rnnjax.__all__) == set(rnnjax.__all__)
rnnjax.gradient, rnnjax.online, rnnjax.losses.bernoulli
heavy = {"optax", "flax", "orbax", "matplotlib", "pandas", "scipy.stats", "jsonargparse", "rich", "yaml"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert all(callable(getattr(rnnjax, name)) for name in rnnjax.__all__ if name != "losses")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
