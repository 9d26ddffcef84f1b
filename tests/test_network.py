"""Networks of cells by `rnnjax.network`, through the doors of any step."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_cases import close

import rnnjax
from rnnjax.errors import UserError
from rnnjax.gradients import arguments, manual
from rnnjax.gradients.method import Window
from rnnjax.model import recurrence, stack
from rnnjax.model.network import Batch

T, B, H = 4, 2, 3
NET = rnnjax.network(cell="leaky", hidden=H, layers=1, outputs=2, inputs=2, leak=0.3)
PARAMS = NET.init(jax.random.key(0), "float64")
XS, YS = (jax.random.normal(jax.random.key(seed), (T, B, 2), "float64") for seed in (1, 2))
RESET = jnp.zeros((T, B), bool).at[2, 1].set(True)


def written_out(params):
    """The summed loss of the leaky network, from its equation."""
    layer, h, total = params.layers[0], jnp.zeros((B, H)), 0.0
    for x, y, reset in zip(XS, YS, RESET, strict=True):
        h = jnp.where(reset[:, None], 0, h)
        h = 0.7 * h + 0.3 * jnp.tanh(x @ layer.U + layer.bh + h @ layer.W)
        total += jnp.sum((h @ params.V + params.by - y) ** 2)
    return total


@pytest.mark.slow
def test_a_network_goes_through_the_doors_of_a_step():
    loss, d_params = jax.value_and_grad(written_out)(PARAMS)
    _, outputs = NET.apply(PARAMS, XS, reset=RESET)
    close(jnp.sum((outputs - YS) ** 2), loss)
    window = PARAMS, NET.state(PARAMS, B), XS, YS
    for method in ("autodiff", "manual", "checkpointed", "parallel_scan", "rtrl"):
        for reduce, share in (("sum", 1), ("mean", 1 / (T * B))):
            grad = rnnjax.gradient(NET.step, "squared_error", method, reduce=reduce)
            close(jax.jit(grad)(*window, reset=RESET), jax.tree.map(lambda leaf: share * leaf, (loss, d_params)))  # noqa: B023
    by_function = rnnjax.gradient(NET.step, lambda out, y: jnp.sum((out - y) ** 2), reduce="sum")
    close(by_function(*window, reset=RESET), (loss, d_params))


@pytest.mark.slow
def test_steps_forward_in_time_of_a_network_sum_up_to_its_window():
    for method in ("rtrl", "snap", "rflo", "kf_rtrl"):
        online = rnnjax.online(NET.step, "squared_error", method)
        grad = rnnjax.gradient(NET.step, "squared_error", method, reduce="sum")
        state, total, noise = NET.state(PARAMS, B), jax.tree.map(jnp.zeros_like, PARAMS), []
        first = memory = online.init(PARAMS, state)
        update = jax.jit(online.update)
        for t in range(T):
            key = jax.random.key(t)
            state, memory, _, grads = update(PARAMS, state, memory, XS[t], YS[t], key, reset=RESET[t])
            total = jax.tree.map(jnp.add, total, grads)
            noise.append(grad.method.draw(key, grad.recurrence, PARAMS, state, 1))
        given = arguments.read(NET.step, grad.loss, 1, PARAMS, NET.state(PARAMS, B), XS, YS, (None, RESET, None))
        draws = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *noise)
        whole = grad.method.gradient(grad.recurrence, Window(given[0], NET.hyper, *given[1:], first, draws))
        close(total, whole.params)
        assert np.abs(total.layers[0].W).max() > 1e-3


def test_the_examples_of_a_network():
    with jax.enable_x64(False):
        found = doctest.testmod(stack)
    assert found.attempted > 8
    assert not found.failed


WRONG = {
    "hidden is -8, but must be at least 1": {"hidden": -8},
    "hidden is '8', but must be an integer": {"hidden": "8"},
    "outputs is 2.0, but must be an integer": {"outputs": 2.0},
    "an argument is 'hiden', but must be one of cell, hidden": {"hiden": 3},
    "init is 'normall', but must be one of normal": {"init": "normall"},
    "leak is 0, but must be above 0": {"leak": 0},
    "init_scale is inf, but must be a finite": {"init_scale": np.inf},
    "cell": {"cell": "grru"},
    "an argument is 'hidden_size', but must be one of cell, hidden": {"hidden_size": 3},
    "inputs is 0, but must be said where outputs is 1: the width of real": {},
}


def test_a_wrong_network_is_one_line():
    for words, arguments_ in WRONG.items():
        with pytest.raises(UserError, match=words) as raised:
            rnnjax.network(**arguments_)
        assert "\n" not in str(raised.value)
    gru = rnnjax.network("gru", 3, outputs=2)
    weights = gru.init(jax.random.key(0))
    window = weights, gru.state(weights, 1), jnp.zeros((2, 1), int), jnp.zeros((2, 1), int)
    for words, method, options in (
        ("gradient.method rflo: the eligibility is derived for", "rflo", {}),
        ("gradient.method textbook: the double sum is derived for the vanilla cell, not for gru", "textbook", {}),
        ("initial", "manual", {"initial": lambda params, state: state}),
    ):
        with pytest.raises(UserError, match=words):
            rnnjax.gradient(gru.step, "cross_entropy", method, **options)(*window)
    of_lstm = rnnjax.network("lstm", 3, outputs=2).init(jax.random.key(0))
    other = r"params.layers\[0\] has U \[2, 12\] and W \[3, 12\], but the cell gru"
    for words, call in (
        ("xs has no axis of time", lambda: gru.apply(weights, 1)),
        ("params is a dict", lambda: gru.apply({}, window[2])),
        (other, lambda: gru.apply(of_lstm, window[2])),
        ("key is 0, but must be a key", lambda: gru.init(0)),
        ("dtype is 'int32', but must be a type of floating", lambda: gru.init(jax.random.key(0), "int32")),
        (r"streams is \(-1,\), but must be counts", lambda: gru.state(weights, -1)),
    ):
        with pytest.raises(UserError, match=words):
            call()


def test_what_does_not_fit_a_network_and_its_loss_is_one_line():
    two = rnnjax.network("gru", 3, outputs=2, inputs=2)
    weights = two.init(jax.random.key(0), "float64")
    state, ids = two.state(weights, B), jnp.zeros((T, B), jnp.int32)
    for words, loss, ys, options in (
        (r"the output is \[2\] and y \[\]; both", "squared_error", YS[..., 0], {}),
        (r"the output is \[2\] and y \[1\]; both", "bernoulli", YS[..., :1], {}),
        (r"the output is \[2\] and y \[1\]; y is", "cross_entropy", ids[..., None], {}),
        ("loss is None: it must be one of cross_entropy", None, YS, {}),
        ("weight has a number that is not 0 or more", "squared_error", YS, {"weight": -jnp.ones((T, B))}),
        ("key is 3, but must be a key", "squared_error", YS, {"key": 3}),
    ):
        with pytest.raises(UserError, match=words):
            rnnjax.gradient(two.step, loss, "uoro" if "key" in options else "manual")(weights, state, XS, ys, **options)
    for y in (ids[..., None], ids.astype(float)):  # the door of networks of cells: no broadcast, no cast
        of_network = recurrence.of_network(two.model)
        with pytest.raises(UserError, match="cross_entropy: "):
            manual.gradient(of_network, Window(weights, two.hyper, state, Batch(XS, y)))
