"""Mistakes made on purpose in the hand-written gradient: the agreement check must see every one of them."""

import functools
from dataclasses import replace

import cases
import jax
import jax.numpy as jnp
import pytest
from agreement import compare
from cases import Case

from rnnjax.gradients import layer_over_time, manual
from rnnjax.model.cells import CELLS

pytestmark = pytest.mark.slow

KIND = ("vanilla", "tanh")
CASE = Case(layers=2, masks="wvr", seed=5)


def patched(name, wrap):
    """A mutant of one function, in both modules that call it by its name: wrap gets the true one."""

    def plant(patch):
        for module in (manual, layer_over_time):
            if hasattr(module, name):
                patch.setattr(module, name, wrap(getattr(module, name)))

    return plant


def forward(change):
    """A mutant of what the forward pass keeps: change(tape, state, hs) gives the tape."""

    def wrap(true):
        def mutant(*args):
            state, hs, tape = true(*args)
            return state, hs, change(tape)

        return mutant

    return patched("forward", wrap)


def backward(before=lambda **args: args, after=lambda *result: result):
    """A mutant of the reverse recurrence, by its arguments or by its results (d_a, d_z, d_state)."""
    names = ("cell", "layer", "hyper", "tape", "d_state", "d_hs", "scan_unroll")

    def wrap(true):
        def mutant(*args):
            given = dict(zip(names, args, strict=True))
            found = true(**given | before(**given))
            return manual.Adjoints(*after(*found[:3]), found.s0, found.own)

        return mutant

    return patched("backward", wrap)


def readout(change):
    """A mutant of the read-out's results (loss, d_hs, dV, dby)."""
    return patched("readout", lambda true: lambda *args: change(*true(*args)))


def adjoint(change):
    """A mutant of the cell's adjoint: change(h, d_h) gives (d_a, d_z, d_state)."""

    def of_parts(hyper, h, d_state):
        d_a, d_z, d_prev = change(h, *d_state)
        return d_a, d_z, (d_prev,)

    mutant = replace(CELLS[KIND], derivatives=lambda hyper, h: h, adjoint=of_parts)
    return lambda patch: patch.setitem(CELLS, KIND, mutant)


def from_derivative(derivative):
    """A mutant of the activation's derivative, as a function of h."""
    return adjoint(lambda h, d_h: (d_h * derivative(h), d_h * derivative(h), jnp.zeros_like(h)))


def backwards_in_time(**args):
    names = ("tape", "d_hs")
    return args | {name: jax.tree.map(lambda leaf: leaf[::-1], args[name]) for name in names}


def masks_back(change):
    """A mutant of the masks that the reverse recurrence reads: change(tape) gives those that are others."""
    return backward(lambda tape, **_: {"tape": tape._replace(**change(tape))})


def masks_there(**changed):
    """A mutant of the masks that each step on the way there reads."""
    return patched("cell_step", lambda true: lambda *args: true(*args[:-1], args[-1]._replace(**changed)))


LOOP = {  # seen by manual and by its custom_vjp
    "dW: sign": forward(lambda tape: tape._replace(h_prev=-tape.h_prev)),
    "dW: h of the same step": forward(lambda tape: tape._replace(h_prev=tape.saved.cell)),
    "dW: h one step too early": forward(lambda tape: tape._replace(h_prev=jnp.roll(tape.h_prev, 1, 0))),
    "dW: the initial state left out": forward(lambda tape: tape._replace(h_prev=tape.h_prev.at[0].set(0))),
    "dW: d_z left out": backward(after=lambda d_a, d_z, d_state: (d_a, 0 * d_z, d_state)),
    "W for its transpose": backward(lambda layer, **_: {"layer": layer._replace(W=layer.W.T)}),
    "no way back through W": backward(lambda layer, **_: {"layer": layer._replace(W=0 * layer.W)}),
    "derivative 1 - h": from_derivative(lambda h: 1 - h),
    "derivative 1 + h^2": from_derivative(lambda h: 1 + h * h),
    "derivative 1": from_derivative(jnp.ones_like),
    "derivative of a relu": from_derivative(lambda h: (h > 0).astype(h.dtype)),
    "derivative of another step": forward(
        lambda tape: tape._replace(saved=jax.tree.map(lambda leaf: jnp.roll(leaf, 1, 0), tape.saved))
    ),
    "state's adjoint passed around W": adjoint(lambda h, d_h: (d_h * (1 - h * h), d_h * (1 - h * h), d_h)),
    "error replaces the adjoint": patched("add_to_hidden", lambda _: lambda state, d_h: (d_h,)),
    "error subtracted": patched("add_to_hidden", lambda _: lambda state, d_h: (state[0] - d_h,)),
    "first error left out": backward(lambda d_hs, **_: {"d_hs": d_hs.at[0].set(0)}),
    "last error twice": backward(lambda d_hs, **_: {"d_hs": d_hs.at[-1].mul(2)}),
    "errors one step late": backward(lambda d_hs, **_: {"d_hs": jnp.roll(d_hs, 1, 0)}),
    "time runs forward": backward(backwards_in_time, lambda d_a, d_z, d_state: (d_a[::-1], d_z[::-1], d_state)),
    "d_carry left out": backward(after=lambda d_a, d_z, d_state: (d_a, d_z, 0 * d_state)),
    "reset ignored on the way back": masks_back(lambda tape: {"reset": None}),
    "valid ignored on the way back": masks_back(lambda tape: {"valid": None}),
    "error of a held step lost": backward(lambda d_hs, tape, **_: {"d_hs": jnp.where(tape.valid[..., None], d_hs, 0)}),
    "valid and reset exchanged": masks_back(lambda tape: {"valid": ~tape.reset, "reset": ~tape.valid}),
    "reset ignored on the way there": masks_there(reset=None),
    "valid ignored on the way there": masks_there(valid=None),
    "outer product: one row left out": patched("outer", lambda true: lambda x, d: true(x[1:], d[1:])),
}

EDGES = {  # what manual does outside the loop
    "read-out: not divided by the weights": readout(lambda loss, d_hs, dV, dby: (loss, 2 * d_hs, 2 * dV, 2 * dby)),
    "read-out: weights ignored": patched(
        "readout", lambda true: lambda params, hs, batch, *rest: true(params, hs, batch._replace(weight=None), *rest)
    ),
    "read-out: mean over steps only": patched("total_weight", lambda true: lambda *args: true(*args) / 3),
    "read-out: h one step early": patched(
        "readout",
        lambda true: (
            lambda params, hs, *rest: (
                *true(params, hs, *rest)[:2],
                *true(params, jnp.roll(hs, 1, 0), *rest)[2:],
            )
        ),
    ),
    "read-out: d_h scaled": readout(lambda loss, d_hs, dV, dby: (loss, 1.001 * d_hs, dV, dby)),
    "read-out: sign of dV": readout(lambda loss, d_hs, dV, dby: (loss, d_hs, -dV, dby)),
    "read-out: dby left out": readout(lambda loss, d_hs, dV, dby: (loss, d_hs, dV, 0 * dby)),
    "read-out: loss in bits": readout(lambda loss, d_hs, dV, dby: (loss / jnp.log(2.0), d_hs, dV, dby)),
    "bias: mean for sum": patched("total", lambda true: lambda d: true(d) / d.shape[0]),
    "bias: first step left out": patched("total", lambda true: lambda d: true(d[1:])),
    "dU: a repeated id counts once": patched(
        "rows", lambda true: lambda table, ids, d: jnp.zeros_like(table).at[ids].set(d)
    ),
    "dU: id of the step before": patched(
        "rows", lambda true: lambda table, ids, d: true(table, jnp.roll(ids, 1, 0), d)
    ),
}


OPTION_MUTANTS = {
    "normalisation: mean of the error kept": patched(
        "normalize_adjoint", lambda true: lambda normalized, d: true(normalized, d) + 0.01
    ),
    "normalisation: over the deviation only": patched(
        "normalize_adjoint",
        lambda _: (
            lambda normalized, d: (
                d.reshape(*normalized.inverse_deviation.shape[:-1], -1) * normalized.inverse_deviation
            ).reshape(d.shape)
        ),
    ),
    "normalisation: left out": patched("normalize_adjoint", lambda _: lambda normalized, d: d),
    "normalisation: over all gates": patched(
        "normalize_adjoint",
        lambda true: (
            lambda normalized, d: true(
                normalized._replace(inverse_deviation=normalized.inverse_deviation.mean(-2, keepdims=True)), d
            )
        ),
    ),
    "gain forgotten on the way back": patched(
        "product_adjoint", lambda true: lambda layer, *args: true(layer._replace(gain_z=layer.gain_z * 0 + 1), *args)
    ),
    "dropout forgotten on the way back": lambda patch: patch.setattr(
        manual, "dropout", type("NoDropout", (), {"mask": staticmethod(lambda noise, rate: jnp.ones_like(noise))})
    ),
    "embedding: a repeated id counts once": patched(
        "rows", lambda _: lambda table, ids, d: jnp.zeros_like(table).at[ids].set(d)
    ),
    "learned state: a tenth too much": patched(
        "backward",
        lambda true: lambda *args: (lambda result: result._replace(s0=1.1 * result.s0))(true(*args)),
    ),
    "learned state: not through W": patched(
        "split", lambda true: lambda state, cell: true(state * (1.0 if state.ndim > 1 else 0.0), cell)
    ),
    "biases of z left out": patched(
        "recurrent_weights",
        lambda true: lambda *args: (lambda layer: layer._replace(bz=0 * layer.bz))(true(*args)),
    ),
}

OPTIONS = Case("gru", layers=2, masks="r", options="enxsd", T=3, batch=(2,))
BOTH_WAYS = Case("vanilla", masks="v", options="b", T=3, batch=(2,))


@pytest.fixture
def fresh():
    """Compiles anew, before for the mutant and afterwards without it."""
    jax.clear_caches()
    yield
    jax.clear_caches()


@functools.cache
def truth(case=CASE):
    """The gradient by autodiff, which shares no code with what the mutants change."""
    arrays, model = cases.make(case)
    return jax.device_get(cases.compute_one("autodiff", model, *arrays))


def check(way, case=CASE):
    """Raises AssertionError where a gradient is not the true one."""
    expected = truth(case)
    arrays, model = cases.make(case)
    compare(cases.compute_one(way, model, *arrays), expected)


def test_without_a_mutation_every_case_passes():
    for way, case in (("manual", CASE), ("custom_vjp", CASE), ("manual", OPTIONS), ("manual", BOTH_WAYS)):
        check(way, case)


@pytest.mark.parametrize("mutate", [pytest.param(m, id=name) for name, m in (LOOP | EDGES).items()])
def test_a_mutant_of_the_manual_gradient_is_caught(mutate, fresh, monkeypatch):
    mutate(monkeypatch)
    with pytest.raises(AssertionError, match=r"off by|exact zero"):
        check("manual")


CUSTOM = ("dW: sign", "W for its transpose", "derivative 1 - h", "d_carry left out", "reset ignored on the way back")


@pytest.mark.parametrize("mutate", [pytest.param(LOOP[name], id=name) for name in CUSTOM])
def test_a_mutant_of_the_custom_derivative_is_caught(mutate, fresh, monkeypatch):
    mutate(monkeypatch)
    with pytest.raises(AssertionError, match=r"off by|exact zero"):
        check("custom_vjp")


def leaf_names():
    """The leaves of a `Gradient` of the case, by name."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(truth())
    return [jax.tree_util.keystr(path) for path, _ in leaves]


@pytest.mark.parametrize("leaf", leaf_names())
def test_a_leaf_that_is_slightly_off_is_caught_and_named(leaf):
    def slightly_off(path, value):
        return value * (1 + 1e-9) if jax.tree_util.keystr(path) == leaf else value

    arrays, model = cases.make(CASE)
    result = jax.tree_util.tree_map_with_path(slightly_off, cases.compute_one("manual", model, *arrays))
    with pytest.raises(AssertionError) as caught:
        compare(result, truth())
    assert str(caught.value).startswith(f"{leaf}: off by")
    assert ";" not in str(caught.value)


def test_a_zero_that_is_not_exact_is_caught():
    expected = truth()
    layer = expected.params.layers[0]
    nearly = layer._replace(U=layer.U + 1e-30 * (layer.U == 0))
    params = expected.params._replace(layers=(nearly, *expected.params.layers[1:]))
    with pytest.raises(AssertionError, match="exact zero"):
        compare(expected._replace(params=params), expected)


@pytest.mark.parametrize("name", OPTION_MUTANTS)
def test_a_mutant_of_an_option_is_caught(name, fresh, monkeypatch):
    truth(OPTIONS)  # before there is a mutant
    OPTION_MUTANTS[name](monkeypatch)
    with pytest.raises(AssertionError, match=r"off by|exact zero"):
        check("manual", OPTIONS)


def test_a_backward_layer_that_forgets_to_turn_around_is_caught(fresh, monkeypatch):
    truth(BOTH_WAYS)
    monkeypatch.setattr(manual, "backward_in_time", manual.unchanged)
    with pytest.raises(AssertionError, match="off by"):
        check("manual", BOTH_WAYS)
