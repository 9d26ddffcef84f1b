"""The certificate on steps and cells of one's own: right ones pass, and errors in what is hand-written are named."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command import complaint
from step_cases import Lstm, lstm

import rnnjax
from rnnjax.certificate import adjoints
from rnnjax.gradients import METHODS
from rnnjax.model.cells import find

real = lambda *shape: np.random.default_rng(sum(shape) + len(shape)).normal(size=shape)


def two_states(params, state, x):
    """Units h and slow traces c in a dict; a step whose own input says that it is off leaves them as they are."""
    h = jnp.tanh(x["u"] @ params["U"] + state["h"] @ params["W"] + params["b"])
    new = {"h": h, "c": 0.9 * state["c"] + params["k"] * h}
    new = jax.tree.map(lambda new, old: jnp.where(x["on"], new, old), new, state)
    return new, {"read": new["h"] @ params["V"], "trace": new["c"]}


def back(params, state, x, d_state, d_out):
    """The pull-back of `two_states`, by hand."""
    h = jnp.tanh(x["u"] @ params["U"] + state["h"] @ params["W"] + params["b"])
    on = x["on"].astype(h.dtype)
    new_h = jnp.where(x["on"], h, state["h"])
    d_h = d_state["h"] + d_out["read"] @ params["V"].T
    d_c = d_state["c"] + d_out["trace"]
    d_a = on * (d_h + params["k"] * d_c) * (1 - h**2)
    d_params = {
        "U": jnp.outer(x["u"], d_a),
        "W": jnp.outer(state["h"], d_a),
        "b": d_a,
        "k": on * d_c * h,
        "V": jnp.outer(new_h, d_out["read"]),
    }
    held = 1 - on
    return d_params, {"h": d_a @ params["W"].T + held * d_h, "c": (0.9 * on + held) * d_c}


def squares(out, y):
    return jnp.sum((out["read"] - y) ** 2) + jnp.sum(out["trace"] ** 4)


T, B, H = 12, 3, 3
PARAMS = {"U": real(2, H), "W": 0.5 * real(H, H), "b": real(H), "k": real(H), "V": real(H, 2)}
STATE = {"h": real(B, H), "c": 0.5 * real(B, H)}
XS = {"u": real(T, B, 2), "on": np.arange(T * B).reshape(T, B) % 5 > 0}
OF_TWO = (two_states, squares, PARAMS, STATE, XS, real(T, B, 2))


def changed(**parts):
    """The pull-back with some of what it returns changed: (params, state, x, d_state, d_out, right) -> wrong."""

    def adjoint(params, state, x, d_state, d_out):
        d_params, d_before = back(params, state, x, d_state, d_out)
        for name, change in parts.items():
            tree = d_before if name in d_before else d_params
            tree[name] = change(params, state, x, d_state, d_out, tree[name])
        return d_params, d_before

    return adjoint


def transposed(params, state, x, d_state, d_out):
    return back({**params, "W": params["W"].T}, state, x, d_state, d_out)[1]["h"]


PLANTED = {  # what is wrong: (the adjoint, the leaf that is named)
    "a sign": (changed(U=lambda *given: -given[-1]), "U"),
    "a term is missing": (changed(k=lambda p, s, x, d_s, d_o, d: d - d_o["trace"] * jnp.tanh(s["h"])), "k"),
    "W is not transposed": (changed(h=lambda p, s, x, d_s, d_o, d: d + 0.1 * (d_s["h"] @ (p["W"] - p["W"].T))), "h"),
    "one state of two is left out": (changed(c=lambda *given: 0 * given[-1]), "c"),
    "only where the step is off": (changed(h=lambda p, s, x, *_: jnp.where(x["on"], 1, 0.99) * _[-1]), "h"),
    "only in the bias": (changed(b=lambda *given: 1.01 * given[-1]), "b"),
    "by a millionth": (changed(W=lambda *given: (1 + 1e-6) * given[-1]), "W"),
    "one entry by a millionth": (changed(W=lambda *given: given[-1].at[0, 1].multiply(1 + 1e-6)), "W"),
    "the output is forgotten": (changed(c=lambda p, s, x, d_s, d_o, d: d - d_o["trace"]), "c"),
    "the state after the step for the one before": (
        changed(W=lambda p, s, x, d_s, d_o, d: d * (1 + 0.1 * two_states(p, s, x)[0]["h"][:, None])),
        "W",
    ),
    "weights that decay by themselves": (changed(V=lambda p, s, x, d_s, d_o, d: d + 1e-8 * p["V"]), "V"),
    "not a number, once": (
        changed(U=lambda p, s, x, d_s, d_o, d: jnp.where(x["u"][0] == XS["u"][7, 1, 0], jnp.nan, d)),
        "U",
    ),
}


def of_adjoint(adjoint, step=two_states):
    """The checks of an adjoint at all steps of the data."""
    flat = lambda leaf: jnp.asarray(leaf).reshape(-1, *leaf.shape[2:])
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (T, *leaf.shape)).reshape(-1, *leaf.shape[1:]), STATE)
    return list(adjoints.of_step(step, adjoint, PARAMS, states, jax.tree.map(flat, XS)))


def test_an_adjoint_by_hand_that_is_right_passes():
    assert [check.verdict for check in of_adjoint(back)] == ["PASS", "PASS"]


def test_an_error_in_an_adjoint_by_hand_is_named():
    for fault, (adjoint, leaf) in PLANTED.items():
        failed = [check.claim for check in of_adjoint(adjoint) if check.verdict == "FAIL"]
        assert len(failed) == 1, fault
        assert f": {leaf} at step " in failed[0], fault


def test_what_is_no_derivative_is_told():
    (check,) = of_adjoint(lambda params, state, x, d_state, d_out: (d_state, d_state))
    assert check.verdict == "FAIL"
    assert check.reason.startswith("raised UserError: adjoint must give a d_params like params")


def test_a_certificate_that_shows_nothing_has_not_passed():
    lost = rnnjax.certify(*OF_TWO[:4], jax.tree.map(lambda leaf: jnp.nan * leaf, OF_TWO[4]), OF_TWO[5], "manual")
    assert (lost.failed, lost.passed) == ([], False)


def test_every_method_passes_on_a_step_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    report = rnnjax.certify(*OF_TWO, adjoint=back, valid=np.arange(T)[:, None] < [T, 9, T])
    text = str(report)
    assert report.passed, report.text()
    assert [row.method for row in report.found.rows] == list(METHODS)
    assert {row.method for row in report.found.rows if row.verdict == "n/a"} == {"rflo", "kf_rtrl", "truncated_gates"}
    assert {check.number for check in report.found.checks} == {1, 2, 3, 4, 7, 8, 9, 10}
    assert "two_states, in float64: 3 windows in a row, each of 4 steps of 2 streams" in text
    assert "of your 3 streams the first 2" in text
    assert "\x1b" not in text  # a notebook forces colours
    assert "unbiased (enumerated)" in text
    report.save(tmp_path / "certificate.json")
    kept = json.loads((tmp_path / "certificate.json").read_text())
    assert kept["failed"] == []
    assert len(kept["matrix"]) == len(METHODS)


def test_a_wrong_adjoint_fails_the_whole_certificate():
    report = rnnjax.certify(*OF_TWO, "manual", adjoint=PLANTED["by a millionth"][0])
    assert not report.passed
    assert report.failed == ["manual", "adjoint"]
    assert "FAIL in manual, adjoint" in str(report)
    assert "W at step" in " ".join(str(report).split())


def lstm_of_trees(params, state, x):
    """An LSTM whose output is a tuple of trees."""
    state, out = lstm(params, state, x)
    return state, (out, {"c": state.c})


def counting(params, state, x):
    """A scalar state without a batch axis, a counter, a key, and a parameter that nothing reads."""
    key, drawn = jax.random.split(state["key"])
    s = jnp.sin(params["w"] * state["s"] + x) + 0.01 * state["count"] + 0.1 * jax.random.normal(drawn)
    return {"s": s, "count": state["count"] + 1, "key": key}, params["v"] * s


STEPS = {
    "an LSTM of ids": (
        (
            lstm_of_trees,
            lambda out, y: rnnjax.losses.cross_entropy(out[0], y) + jnp.sum(out[1]["c"] ** 2),
            [real(4, 8), real(2, 8), real(2, 5)],
            Lstm(real(2, 2), real(2, 2)),
            np.arange(16).reshape(8, 2) % 4,
            np.arange(16).reshape(8, 2) % 5,
        ),
        {},
        "",
    ),
    "no batch axis": (
        (
            counting,
            "squared_error",
            {"w": 0.7, "v": 1.2, "of none": 1.0},
            {"s": 0.3, "count": 0, "key": jax.random.key(1)},
            real(5),
            real(5),
        ),
        {"batch_axes": 0, "reduce": "sum", "snap_steps": 2},
        "state['count'] is int64 and has no derivative",
    ),
    "several batch axes": (
        (
            lambda params, state, x: (jnp.tanh(params["w"] * state + x), state + params["v"]),
            "squared_error",
            {"w": real(3), "v": real(3)},
            real(2, 1, 3),
            real(6, 2, 1, 3),
            real(6, 2, 1, 3),
        ),
        {"batch_axes": 2, "initial": lambda params, state: 0.1 + 0 * state},
        "",
    ),
}


METHODS_OF = {
    "an LSTM of ids": ["manual", "artbp"],
    "no batch axis": ["snap"],
    "several batch axes": ["rtrl"],
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_many_kinds_pass(name):
    data, options, note = STEPS[name]
    report = rnnjax.certify(*data, METHODS_OF[name], **options)
    assert report.passed, report.text()
    assert {row.verdict for row in report.found.rows} == {"PASS"}
    assert note in str(report)


@pytest.mark.slow
def test_where_there_are_too_many_signs_the_mean_of_a_sample_is_held(monkeypatch):
    step = lambda params, state, x: (jnp.tanh(params["w"] * state + x), state @ params["v"])
    data = {"w": real(14), "v": real(14)}, real(1, 14), real(6, 1, 14), real(6, 1)
    samples = lambda: [
        check.verdict
        for check in rnnjax.certify(step, "squared_error", *data, "uoro").found.checks
        if "2,048 draws" in check.claim
    ]
    assert samples() == ["PASS"]
    right = METHODS["uoro"]

    def biased(config):
        method = right(config)
        larger = lambda tree: jax.tree.map(lambda leaf: 1.3 * leaf, tree)

        def gradient(recurrence, window):
            found = method.gradient(recurrence, window)
            return found._replace(params=larger(found.params))

        return method._replace(gradient=gradient)

    monkeypatch.setitem(METHODS, "uoro", biased)
    assert samples() == ["FAIL"]


@jax.custom_jvp
def wrong_tanh(x):
    return jnp.tanh(x)


wrong_tanh.defjvp(lambda given, d: (jnp.tanh(given[0]), 0.9 * (1 - jnp.tanh(given[0]) ** 2) * d[0]))


def test_a_wrong_derivative_in_the_step_itself_is_told_by_differences():
    step = lambda params, state, x: (wrong_tanh(params * state + x), state)
    report = rnnjax.certify(
        step, "squared_error", 0.7, 0.2, real(6), real(6), ["manual", "finite_difference"], batch_axes=0
    )
    assert report.failed == ["finite_difference"]


WRONG = {
    "in float64, in which a certificate computes: step changes its state": (
        (lambda p, s, x: ((p * s).astype("float32"), s), "squared_error", 0.5, np.zeros(2), real(4, 2), real(4, 2)),
        {},
    ),
    "a step is certified with its loss, params, state": ((two_states, squares), {}),
    "methods: there is no magic": ((*OF_TWO, "magic"), {}),
    "an option is 'snap_step'": (OF_TWO, {"snap_step": 2}),
    "must be left out of a cell or a network": ((find("gru"), squares), {}),
}


def test_what_does_not_fit_is_told_in_one_line():
    for message, (data, options) in WRONG.items():
        assert message in complaint(rnnjax.certify, *data, **options)
