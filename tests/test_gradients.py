import ast
from functools import partial
from pathlib import Path

import agreement
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from agreement import Case
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

from rnnjax.gradients import manual, textbook
from rnnjax.model import cells, dropout, normalization
from rnnjax.model.cells import Hyper
from rnnjax.model.loss import cross_entropy, weighted_mean
from rnnjax.model.network import Batch, Params
from rnnjax.model.rnn import apply, run_layers, unroll

CASES = [
    Case(1, (), 1, "tanh"),
    Case(1, (1,), 1, "tanh", "0"),
    Case(1, (3,), 2, "relu", "wvr"),
    Case(1, (2, 2), 1, "linear", "w"),
    Case(2, (), 2, "linear", "r", seed=2),
    Case(2, (3,), 2, "tanh", "v"),
    Case(2, (2, 2), 1, "tanh", "wr"),
    Case(7, (), 1, "tanh", "vr", scan_unroll=7),
    Case(7, (1,), 2, "tanh", "01"),
    Case(7, (3,), 2, "linear", "wvr"),
    Case(7, (2, 2), 2, "relu", "vr", scan_unroll=3),
    Case(7, (2, 2), 1, "tanh", "wvr"),
    Case(25, (), 1, "linear", "w"),
    Case(25, (1,), 1, "tanh"),
    Case(25, (3,), 2, "tanh", "wvr"),
    Case(25, (2, 2), 1, "relu", "v1", scan_unroll=4),
]


@pytest.mark.parametrize("name", agreement.NAMES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_method_agrees_with_the_oracle(name, case):
    agreement.check(name, case)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    T=st.integers(1, 5),
    batch=st.lists(st.integers(1, 3), max_size=2).map(tuple),
    masks=st.sets(st.sampled_from("wvr01")).map(sorted).map("".join),
    seed=st.integers(0, 2**31),
)
def test_manual_agrees_with_the_oracle_anywhere(T, batch, masks, seed):
    agreement.check("manual", Case(T, batch, masks=masks, seed=seed))


def test_targets_in_narrow_integers_may_be_of_many_classes():
    """261 would be 5 in the targets' own integers."""
    hs, y = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3), jnp.array([5, 43], jnp.uint8)
    V, by = jnp.sin(jnp.arange(900.0)).reshape(3, 300), jnp.zeros(300)
    expected, d_V = jax.value_and_grad(lambda V: weighted_mean(cross_entropy(hs @ V + by, y)))(V)
    loss, _, found, _ = manual.readout(Params((), V, by), hs, Batch(y, y), "cross_entropy")
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(found, d_V, atol=1e-12)


@pytest.mark.parametrize("mask", ["weight", "valid", "reset"])
@pytest.mark.parametrize("name", agreement.NAMES)
def test_a_mask_that_masks_nothing_changes_nothing(name, mask):
    (params, carry, batch), model = agreement.make(Case(4, (2,), 1))
    neutral = {"weight": jnp.ones((4, 2)), "valid": jnp.ones((4, 2), bool), "reset": jnp.zeros((4, 2), bool)}
    expected = agreement.reference(model, params, carry, batch)
    agreement.compare(agreement.compute(name, model, params, carry, batch._replace(**{mask: neutral[mask]})), expected)


@pytest.mark.parametrize("name", agreement.NAMES)
def test_a_window_of_no_weight_has_loss_and_gradient_zero(name):
    (params, carry, batch), model = agreement.make(Case(3, (2,), 1))
    result = agreement.compute(name, model, params, carry, batch._replace(weight=jnp.zeros((3, 2))))
    for leaf in jax.tree.leaves((result.loss, result.params, result.carry)):
        np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize(
    "case",
    [
        Case(2, (2, 2), 1, "tanh", "wr"),
        Case(7, (3,), 2, "tanh", "wvr"),
        Case(4, (2,), 2, "relu", "wvr", seed=1),
        Case(7, (3,), 1, "linear", "v"),
    ],
    ids=str,
)
def test_manual_agrees_with_central_differences_of_the_loss(case):
    (params, carry, batch), model = agreement.make(case)
    if case.activation == "relu":
        arrays = agreement.to_oracle(params, carry, batch)
        assert oracle.run(*arrays, "relu", with_gradient=False)["kink_distance"] > 1e-3
    point, restore = ravel_pytree((params, carry))

    @jax.jit
    @jax.vmap
    def loss(point):
        params, carry = restore(point)
        return weighted_mean(cross_entropy(apply(model, params, Hyper(), carry, batch)[1], batch.y), batch.weight)

    epsilon = 1e-5
    shifts = epsilon * jnp.eye(point.size)
    numeric = restore((loss(point + shifts) - loss(point - shifts)) / (2 * epsilon))
    result = agreement.compute("manual", model, params, carry, batch)
    for (path, exact), estimate in zip(
        jax.tree_util.tree_flatten_with_path((result.params, result.carry))[0], jax.tree.leaves(numeric), strict=True
    ):
        assert jnp.abs(estimate - exact).max() <= 1e-6 * jnp.abs(exact).max() + 1e-11, jax.tree_util.keystr(path)


def squares_of_last_state(run, model, params, carry, batch):
    """A loss that reads the last state as well as the last h."""
    carry, hs = run_layers(model, params, Hyper(), carry, batch, unroll=run)
    return jnp.sum(hs[-1] ** 2) + sum(jnp.sum(h**3) for h in carry)


def cosines_of_logits(run, model, params, carry, batch):
    return jnp.mean(jnp.cos(apply(model, params, Hyper(), carry, batch, unroll=run)[1]))


@pytest.mark.parametrize("loss", [squares_of_last_state, cosines_of_logits])
@pytest.mark.parametrize("case", [Case(5, (3,), 2, "tanh", "vr"), Case(5, (), 1, "relu")], ids=str)
def test_the_custom_derivative_composes_with_any_loss(loss, case):
    (params, carry, batch), model = agreement.make(case)
    by_hand, plain = (
        jax.jit(jax.grad(partial(loss, run, model), argnums=(0, 1)))(params, carry, batch)
        for run in (manual.unroll, unroll)
    )
    agreement.compare(by_hand, plain)


def test_the_custom_derivative_can_be_vmapped():
    (params, carry, batch), model = agreement.make(Case(3, (2,), 1, masks="vr"))
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    gradients = [
        jax.jit(jax.vmap(jax.grad(partial(cosines_of_logits, run, model)), in_axes=(0, None, None)))
        for run in (manual.unroll, unroll)
    ]
    agreement.compare(*(gradient(many, carry, batch) for gradient in gradients))


BY_HAND = [manual, textbook, cells, normalization, dropout]


@pytest.mark.parametrize("module", BY_HAND, ids=lambda module: module.__name__)
def test_what_is_written_by_hand_calls_no_automatic_differentiation(module):
    automatic = {"grad", "value_and_grad", "vjp", "jvp", "linearize", "linear_transpose", "hessian"}
    automatic |= {"jacrev", "jacfwd", "jacobian", "autodiff", "checkpoint", "ad"}
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        names = []
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [part for alias in node.names for part in alias.name.split(".")]
            names += (getattr(node, "module", None) or "").split(".")
        assert not automatic & set(names), f"line {node.lineno}"


def double_sum_of_dW(params, hs, h0, error, through_V, inner_derivative):
    """The chapter's sum for dL/dW of one tanh layer and one stream, with or without its missing factors."""
    layer = params.layers[0]
    before = np.concatenate([h0[None], hs[:-1]])
    dW = np.zeros(layer.W.shape)
    for j in range(len(hs)):
        for k in range(j + 1):
            delta = error[j] @ params.V.T if through_V else error[j]
            for m in range(j, k, -1):
                delta = (delta * (1 - hs[m] ** 2)) @ layer.W.T
            dW += np.outer(before[k], delta * (1 - hs[k] ** 2) if inner_derivative else delta)
    return dW


@pytest.mark.parametrize("through_V", [False, True])
@pytest.mark.parametrize("inner_derivative", [False, True])
def test_the_printed_double_sum_is_the_gradient_only_with_both_missing_factors(through_V, inner_derivative):
    (params, carry, batch), model = agreement.make(Case(6, (), 1, "tanh", seed=3))
    square = slice(0, agreement.HIDDEN)  # as wide as the hidden layer, or the printed product has no meaning
    params = params._replace(V=params.V[:, square], by=params.by[square])
    batch = batch._replace(y=batch.y % agreement.HIDDEN)
    params, carry, batch = jax.tree.map(np.asarray, (params, carry, batch))
    _, hs = run_layers(model, *jax.tree.map(jnp.asarray, (params, Hyper(), carry, batch)))
    logits = hs @ params.V + params.by
    error = (jax.nn.softmax(logits) - np.eye(agreement.HIDDEN)[batch.y]) / len(hs)
    printed = double_sum_of_dW(params, np.asarray(hs), carry[0], np.asarray(error), through_V, inner_derivative)
    dW = agreement.compute("autodiff", model, params, carry, batch).params.layers[0].W
    relative_error = np.abs(printed - dW).max() / np.abs(dW).max()
    if through_V and inner_derivative:
        assert relative_error < 1e-10
    else:
        assert relative_error > 0.1
