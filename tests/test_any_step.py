"""Gradients of steps that anybody may write, against `jax.grad` of a plain loop in Python, in float64."""

import doctest
import itertools
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax
from rnnjax.config import GradientConfig
from rnnjax.errors import UserError
from rnnjax.gradients import arguments, make_method, of_step, online
from rnnjax.gradients.artbp import Cuts
from rnnjax.gradients.method import Window
from rnnjax.model import loss as losses
from rnnjax.model.leaves import put, reals
from rnnjax.model.network import Batch

EXACT = {"autodiff": {}, "manual": {}, "textbook": {}, "checkpointed": {}, "parallel_scan": {}, "deer": {}, "rtrl": {}}
EXACT |= {"truncated": {"k1_steps": 2, "k2_steps": 9}, "artbp": {"cut_probability": 0.0}, "snap": {"snap_steps": 9}}
T = 4
KEY = jax.random.key(3)


class Lstm(NamedTuple):
    h: jax.Array
    c: jax.Array


def counting(params, state, x):
    """A dict with a whole number that the output reads."""
    h = jnp.tanh(x @ params["U"] + state["h"] @ params["W"] + 0.1 * state["seen"])
    return {"h": h, "seen": state["seen"] + 1}, h @ params["V"]


def lstm(params, state, x):
    """A tuple with names, parameters in a list, input of ids."""
    gates = params[0][x] + state.h @ params[1]
    i, f, o, g = jnp.split(gates, 4)
    c = jax.nn.sigmoid(f) * state.c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return Lstm(jax.nn.sigmoid(o) * jnp.tanh(c), c), c @ params[2]


def listed(params, state, x):
    """A list of a scalar and a vector, an input and an output that are trees, parameters that are no layers."""
    slow, fast = state
    slow = 0.5 * slow + params["a"] * jnp.sum(fast) + x["u"]
    fast = jnp.sin(params["b"] * fast + slow) + x["v"]
    return [slow, fast], {"sum": slow * params["c"] + jnp.sum(fast), "fast": fast}


def own_loss(out, y):
    return (out["sum"] - y) ** 2 * jnp.cosh(out["fast"][0])


def sample(rng, *shape):
    return jnp.asarray(rng.normal(size=shape))


class Case(NamedTuple):
    step: object
    loss: object
    B: tuple
    params: object
    state: object
    xs: object
    ys: object
    masks: dict


def make(name, rng):
    """Steps of several kinds on windows [T, *B], with masks of several kinds."""
    real = lambda *shape: jnp.asarray(0.6 * rng.normal(size=shape))
    below = lambda high, *shape: rng.integers(0, high, shape)
    if name == "counter":
        B, weights = (), {"U": real(2, 3), "W": real(3, 3), "V": real(3, 2), "unused": 3}
        state = {"h": real(3), "seen": 1}
        return Case(counting, "squared_error", B, weights, state, real(T, 2), real(T, 2), {})
    if name == "labels":
        B, weights = (2,), {"U": real(2, 3), "W": real(3, 3), "V": real(3, 2)}
        state = {"h": real(*B, 3), "seen": jnp.ones(B, int)}
        masks = {"valid": below(4, T, *B) > 0, "reset": below(3, T, *B) == 0, "weight": rng.uniform(size=(T, *B))}
        return Case(counting, rnnjax.losses.bernoulli, B, weights, state, real(T, *B, 2), below(2, T, *B, 2), masks)
    if name == "ids":
        B, weights = (2,), [real(4, 8), real(2, 8), real(2, 5)]
        masks = {"valid": np.arange(T)[:, None] < np.array([T, 2])}
        state = Lstm(real(*B, 2), real(*B, 2))
        return Case(lstm, "cross_entropy", B, weights, state, below(4, T, *B), below(5, T, *B), masks)
    B, weights = (2, 1), {"a": real(), "b": real(2), "c": real()}
    masks = {"reset": below(3, T, *B) == 0, "weight": rng.uniform(size=(T, *B))}
    xs = {"u": real(T, *B), "v": real(T, *B, 2)}
    return Case(listed, own_loss, B, weights, [real(*B), real(*B, 2)], xs, real(T, *B), masks)


CASES = ("counter", "labels", "ids", "trees")


def by_a_loop(case, params, state, reduce="mean"):
    """The loss of a window: loops over streams and steps, and nothing of the library but a loss with a name."""
    loss = getattr(rnnjax.losses, case.loss) if isinstance(case.loss, str) else case.loss
    valid, reset, weight = (case.masks.get(name) for name in ("valid", "reset", "weight"))
    total = divisor = 0.0
    for stream in itertools.product(*map(range, case.B)):
        now = of(state, stream)
        for t in range(T):
            at = (t, *stream)
            if reset is not None and reset[at]:
                now = jax.tree.map(jnp.zeros_like, now)
            new, out = case.step(params, now, of(case.xs, at))
            holds = valid is not None and not valid[at]
            w = float(not holds) if weight is None else weight[at]
            total, divisor = total + w * loss(out, of(case.ys, at)), divisor + w
            now = now if holds else new
    return total / divisor if reduce == "mean" else total


def of(tree, index):
    """One stream of a tree, at one time or before the first; a number is that of the one stream that there is."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], tree)


def truth(case, reduce="mean"):
    """The loss, and its derivatives by the parameters and by the initial state."""
    params, state = jax.tree.map(jnp.asarray, (case.params, case.state))
    of_reals = lambda p, s: by_a_loop(case, put(p, params), put(s, state), reduce)
    return jax.value_and_grad(of_reals, argnums=(0, 1))(reals(params), reals(state))


def close(found, expected, tolerance=1e-10):
    """Two trees of the same structure agree, relative to the largest entry of each leaf."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        assert jnp.max(jnp.abs(a - b)) <= tolerance * max(1e-3, float(jnp.max(jnp.abs(b))))


def window(case, **options):
    """Arguments of a gradient."""
    return (case.params, case.state, case.xs, case.ys), case.masks | options


@pytest.mark.parametrize("name", CASES)
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


WINDOW = (*SMALL, jnp.zeros(3), jnp.zeros(3))
WRONG = {
    "gradient.method is 'rtlr', but must be one of autodiff, manual": lambda: of_scalar("rtlr"),
    "an option is 'snap_step', but must be one of insist, segments, k1_steps": lambda: of_scalar("snap", snap_step=2),
    "gradient.k1_steps is 0": lambda: of_scalar("truncated", k1_steps=0),
    "reduce is 'all', but must be mean or sum": lambda: of_scalar("rtrl", reduce="all"),
    "method rflo: its eligibilities are those of leaky units": lambda: of_scalar("rflo"),
    "method kf_rtrl: its factors": lambda: of_scalar("kf_rtrl"),
    "method manual looks at a whole window": lambda: rnnjax.online(scalar, "squared_error", "manual"),
    "memory is None: init": lambda: rnnjax.online(scalar, "squared_error", batch_axes=0).update(*SMALL, None, 1.0, 1.0),
    "memory is of the type ArrayImpl, but must be OuterProduct, from the window or the step before; in": (
        lambda: rnnjax.online(scalar, "squared_error", batch_axes=0).update(SMALL[0], object(), SMALL[1], 1.0, 1.0)
    ),
    "memory is of the type tuple, but must be None, as this method has none": lambda: of_scalar(
        "manual", batch_axes=0
    ).window(*WINDOW, memory=()),
    "x_t is []": lambda: rnnjax.online(scalar, "squared_error").init(SMALL[0], jnp.zeros(2), 1.0),
    "loss is 'mse': it must be one of cross_entropy": lambda: rnnjax.gradient(scalar, "mse"),
    "state is []: every array of the state must lead with the same 1 batch axes": lambda: of_scalar("manual")(*WINDOW),
    "xs is [3], but must lead with [T, *B] = [3, 2]": lambda: of_scalar("manual")(
        SMALL[0], jnp.zeros(2), jnp.zeros(3), jnp.zeros((3, 2))
    ),
    "ys is [2], but must lead with [T, *B] = [3]": lambda: of_scalar("manual", batch_axes=0)(
        *SMALL, jnp.zeros(3), jnp.zeros(2)
    ),
    "xs and ys have no time step": lambda: of_scalar("manual", batch_axes=0)(*SMALL, 1.0, 1.0),
    "numpy.array(...) makes one array of nested lists": lambda: of_scalar("manual", batch_axes=0)(
        *SMALL, [1.0, 2.0], [0.0, 0.0]
    ),
    "adjoint must give a d_params like params: ": lambda: by_hand(lambda p, s, x, d_s, d_o: (d_s, d_s)),
    "adjoint: the derivative by state is [2], not []": lambda: by_hand(lambda p, s, x, d_s, d_o: (p, jnp.zeros(2))),
    "adjoint returns a dict, but must return (d_params": lambda: by_hand(lambda p, s, x, d_s, d_o: p),
    "valid is [2], but must be [T, *B] = [3]": lambda: of_scalar("manual", batch_axes=0)(*WINDOW, valid=[True, True]),
    "params['w'] is a str, not an array": lambda: of_scalar("manual", batch_axes=0)({"w": "one"}, *WINDOW[1:]),
    "params has no array of floating-point numbers": lambda: of_scalar("manual", batch_axes=0)({"w": 1}, *WINDOW[1:]),
    "state is complex128: hold its real": lambda: of_scalar("manual", batch_axes=0)(SMALL[0], 1j, *WINDOW[2:]),
    "params and state hold float32 and float64: forward in time": lambda: rnnjax.gradient(
        lambda p, s, x: ((p["u"] * s).astype(s.dtype), s), "squared_error", "rtrl", batch_axes=0
    )(SMALL[0], jnp.float32(0.4), *WINDOW[2:]),
    "state['h'] of one stream was float64[] and becomes float64[2]": lambda: rnnjax.gradient(
        lambda params, state, x: ({"h": jnp.zeros(2)}, x), "squared_error", batch_axes=0
    )(SMALL[0], {"h": 0.0}, *WINDOW[2:]),
    "its state was PyTreeDef(*) and becomes PyTreeDef((*, *))": lambda: rnnjax.gradient(
        lambda params, state, x: ((x, x), x), "squared_error", batch_axes=0
    )(*WINDOW),
    "step returns float64[], but must return (state, output)": lambda: rnnjax.gradient(
        lambda p, s, x: s, "squared_error", batch_axes=0
    )(*WINDOW),
    "one stream at one step, but gives float64[1]": lambda: rnnjax.gradient(
        scalar, lambda out, y: y[None], batch_axes=0
    )(*WINDOW),
    "squared_error: the output is [] and y [2]": lambda: of_scalar("manual", batch_axes=0)(
        *WINDOW[:3], jnp.zeros((3, 2))
    ),
    "ys has the id 2, but the output has the classes 0 to 1": lambda: rnnjax.gradient(
        lambda p, s, x: (s, p["u"] * jnp.stack([s, s])), "cross_entropy", batch_axes=0
    )(*WINDOW[:3], jnp.array([0, 1, 2])),
}


def of_scalar(method, **options):
    return rnnjax.gradient(scalar, "squared_error", method, **options)


def by_hand(adjoint):
    return of_scalar("manual", batch_axes=0, adjoint=adjoint)(*WINDOW)


def test_what_does_not_fit_is_told_in_one_line():
    for message, call in WRONG.items():
        with pytest.raises(UserError) as error:
            call()
        assert message in str(error.value), str(error.value)
        assert "\n" not in str(error.value)


def test_a_window_without_trace_or_noise_is_told_so():
    recurrence = of_scalar("rtrl", batch_axes=0).recurrence
    bare = Window(*SMALL[:1], (), SMALL[1], Batch(jnp.zeros(3), jnp.zeros(3), jnp.ones(3)))
    for name in ("rtrl", "snap"):
        with pytest.raises(UserError, match=r"needs the trace of a window, which is None: it comes from Method\.init"):
            make_method(GradientConfig(name)).gradient(recurrence, bare)
    for name in ("uoro", "artbp", "forward_gradient", "spsa"):
        with pytest.raises(UserError, match=r"needs the noise of a window, which is None: it comes from Method\.draw"):
            make_method(GradientConfig(name)).gradient(recurrence, bare)


def test_examples_print_what_they_say():
    for module in (of_step, online, losses):
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
