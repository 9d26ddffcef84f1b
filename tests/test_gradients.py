"""The gradients that are written by hand, against one that shares nothing with them: that of `jax.grad`, which
`test_cells.py` holds against plain NumPy."""

import ast
from functools import partial
from pathlib import Path

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import compare
from cases import HYPER, Case

from rnnjax.gradients import layer_over_time, manual, textbook
from rnnjax.gradients.method import Window
from rnnjax.model import cells, dropout, layer_norm, loss_derivatives, product, streams
from rnnjax.model.cells import derived
from rnnjax.model.loss import cross_entropy, weighted_mean
from rnnjax.model.network import Batch, Params
from rnnjax.model.recurrence import of_network
from rnnjax.model.rnn import apply, run_layers, unroll

CASES = [
    Case(T=1, batch=(1,)),
    Case(activation="linear", layers=2, masks="r", T=2, batch=(), seed=2),
    Case(layers=2, masks="wvr", T=7),
    Case(activation="relu", layers=2, masks="vr", T=7, batch=(2, 2), scan_unroll=3),
    Case(masks="v", T=7, batch=(), scan_unroll=7),
    Case(activation="linear", masks="w", T=25, batch=(1,)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_gradient_written_out_is_autodiff(case):
    arrays, model = cases.make(case)
    exact, *found = cases.compute(("autodiff", *cases.BY_HAND), model, *arrays)[1]
    for gradient in found:
        compare(gradient, exact)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_streams_in_chains_have_the_gradient_of_streams_in_one(cell, monkeypatch):
    case = Case(cell=cell, layers=2, options="snd" if cell == "gru" else "s", masks="wvr", T=7, batch=(6,))
    arrays, model = cases.make(case)
    one = manual.gradient(of_network(model), Window(arrays[0], HYPER, *arrays[1:]))
    monkeypatch.setattr(streams, "chains_for", lambda *_: 3)
    divided = manual.gradient(of_network(model), Window(arrays[0], HYPER, *arrays[1:]))
    compare(divided, one)
    compare(divided, cases.compute_one("autodiff", model, *arrays))


def test_streams_are_divided_where_it_pays_alone():
    W = jnp.zeros((256, 1024))
    expected = 2 if jax.default_backend() == "cpu" and jax.device_count() == 1 else 1
    assert [streams.chains_for(batch, W) for batch in ((8,), (32,))] == [expected, expected]
    assert {streams.chains_for(batch, W) for batch in ((), (4,), (9,), (64,), (2, 32))} == {1}
    other = (None, W[0], W[:, :256], jnp.zeros((512, 2048)))
    assert {streams.chains_for((32,), matrix) for matrix in other} == {1}


def test_a_window_of_no_weight_has_loss_and_gradient_zero():
    (params, carry, batch), model = cases.make(Case(T=3, batch=(2,)))
    batch = batch._replace(weight=jnp.zeros((3, 2)))
    for result in cases.compute(("autodiff", *cases.BY_HAND), model, params, carry, batch)[1]:
        for leaf in jax.tree.leaves((result.loss, result.params, result.carry)):
            np.testing.assert_array_equal(leaf, 0)


def test_targets_in_narrow_integers_may_be_of_many_classes():
    """261 would be 5 in the targets' own integers."""
    hs, y = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3), jnp.array([5, 43], jnp.uint8)
    V, by = jnp.sin(jnp.arange(900.0)).reshape(3, 300), jnp.zeros(300)
    expected, d_V = jax.value_and_grad(lambda V: weighted_mean(cross_entropy(hs @ V + by, y)))(V)
    loss, _, found, _ = manual.readout(Params((), V, by), hs, Batch(y, y), "cross_entropy", y.size)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(found, d_V, atol=1e-12)


def squares_of_last_state(run, model, params, carry, batch):
    """A loss that reads the last state as well as the last h."""
    carry, hs = run_layers(model, params, HYPER, carry, batch, unroll=run)
    return jnp.sum(hs[-1] ** 2) + sum(jnp.sum(h**3) for h in carry)


def cosines_of_logits(run, model, params, carry, batch):
    return jnp.mean(jnp.cos(apply(model, params, HYPER, carry, batch, unroll=run)[1]))


@pytest.mark.parametrize(
    ("loss", "case"),
    [(squares_of_last_state, Case(layers=2, masks="vr", T=5)), (cosines_of_logits, Case(T=5, batch=()))],
)
def test_the_custom_derivative_composes_with_any_loss(loss, case):
    (params, carry, batch), model = cases.make(case)
    by_hand, plain = (
        jax.jit(jax.grad(partial(loss, run, model), argnums=(0, 1)))(params, carry, batch)
        for run in (layer_over_time.unroll, unroll)
    )
    compare(by_hand, plain)


def test_the_custom_derivative_can_be_vmapped():
    (params, carry, batch), model = cases.make(Case(masks="vr", T=3, batch=(2,)))
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    gradients = [
        jax.jit(jax.vmap(jax.grad(partial(cosines_of_logits, run, model)), in_axes=(0, None, None)))
        for run in (layer_over_time.unroll, unroll)
    ]
    compare(*(gradient(many, carry, batch) for gradient in gradients))


def test_what_is_written_by_hand_calls_no_automatic_differentiation():
    automatic = {"grad", "value_and_grad", "vjp", "jvp", "linearize", "linear_transpose", "hessian"}
    automatic |= {"jacrev", "jacfwd", "jacobian", "autodiff", "checkpoint", "ad"}
    by_hand = (manual, layer_over_time, textbook, layer_norm, dropout, loss_derivatives, product)
    files = [Path(module.__file__) for module in by_hand]
    files += {*Path(cells.__file__).parent.glob("*.py")} - {Path(derived.__file__)}
    assert len(files) > 12
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Attribute):
                names = [node.attr]
            elif isinstance(node, ast.Name):
                names = [node.id]
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [part for alias in node.names for part in alias.name.split(".")]
                names += (getattr(node, "module", None) or "").split(".")
            assert not automatic & set(names), f"{file}:{node.lineno}"
