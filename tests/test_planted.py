"""Errors planted in each method, such as a pen slips into: the certificate names them all.

A method is judged on one small network, by its row of the matrix and, where that does not tell, by the theory; the
command itself is `test_certificate.py`'s.
"""

import functools
import inspect
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.certificate import certificate, instances, matrix, trial
from rnnjax.certificate.bench import Bench
from rnnjax.config import Config, GradientConfig, ModelConfig, TrainingConfig
from rnnjax.gradients import METHODS
from rnnjax.model.network import Model
from rnnjax.parallel import blocks, layer, newton

pytestmark = pytest.mark.slow


@functools.cache
def bench_of(unit):
    """A network of four units on twelve letters, and what is true of it."""
    config = Config(
        model=ModelConfig(hidden_size=4, cell=unit), training=TrainingConfig(sequence_length=5, batch_size=2)
    )
    model, ids = Model(vocabulary=12, hidden=4, cell=unit), np.random.default_rng(0).integers(12, size=200)
    return Bench(instances.cut(config, model, ids), instances.shorten(config.gradient, 5, 5))


@pytest.fixture
def judge(monkeypatch):
    """(method's name, what takes its place in the table) -> its row, and the numbers of the theory that fail."""
    monkeypatch.setattr(trial, "SECONDS", 0)

    def run(name, planted, unit="vanilla", theory=False):
        monkeypatch.setitem(METHODS, name, planted)
        bench = bench_of(unit)
        bench.programs.pop(name, None)
        bench.trials.pop(name, None)
        row, checks = matrix.row_of(name, bench), []
        if theory or row.verdict != "FAIL":
            checks = list(certificate.all_checks(name, bench, bench.instance.model, bench.config))
        return matrix.settle(row, checks), {check.number for check in checks if check.verdict == "FAIL"}

    return run


def spoiled(name, fault):
    """The method, something done to each of its gradients."""
    right = METHODS[name]

    def method(config):
        return right(config)._replace(gradient=lambda *arguments: fault(right(config).gradient(*arguments)))

    return method


def scaled(gradient, by=1 + 1e-6):
    return gradient._replace(params=jax.tree.map(lambda leaf: leaf * by, gradient.params))


def turned(gradient):
    layer = gradient.params.layers[0]
    return gradient._replace(params=gradient.params._replace(layers=(layer._replace(W=-layer.W),)))


def shifted(gradient):
    return gradient._replace(carry=tuple(state + 1e-6 for state in gradient.carry))


@pytest.mark.parametrize("name", METHODS)
def test_an_error_of_a_millionth_is_told(judge, name):
    assert judge(name, spoiled(name, scaled))[0].verdict == "FAIL"


@pytest.mark.parametrize(
    ("name", "fault", "numbers"),
    [
        ("manual", turned, {1, 4, 8}),
        ("rtrl", shifted, {1}),
        ("uoro", shifted, {7}),
        ("snap", turned, {6}),
        ("artbp", shifted, {7}),
    ],
)
def test_a_wrong_sign_and_a_shift_fail_the_theory_too(judge, name, fault, numbers):
    assert judge(name, spoiled(name, fault), theory=True)[1] >= numbers


@pytest.mark.parametrize(
    ("name", "disguised", "numbers"),
    [("snap", "rtrl", {6}), ("rflo", "rtrl", {6}), ("truncated", "manual", {4}), ("uoro", "rtrl", {7})],
)
def test_an_exact_gradient_in_disguise_is_told(judge, name, disguised, numbers):
    right, exact = METHODS[name](GradientConfig()), METHODS[disguised]
    planted = lambda config: exact(config)._replace(draw=right.draw, claim=right.claim)
    row, failed = judge(name, planted, theory=True)
    assert row.verdict == "FAIL"
    assert failed >= numbers


def test_an_online_method_that_forgets_its_trace_is_told(judge):
    right = METHODS["rtrl"]

    def forgetful(config):
        method = right(config)

        def gradient(recurrence, window):
            fresh = method.init(recurrence, window.params, window.carry)
            return method.gradient(recurrence, window._replace(trace=fresh))

        return method._replace(gradient=gradient)

    assert judge("rtrl", forgetful, theory=True)[1] >= {1, 3}


TOO_LONG = """from rnnjax.gradients.directions import along, price
from rnnjax.gradients.directions import draw as right

def draw(*args, **options):
    return jax.tree.map(lambda v: 3 * v, right(*args, **options))
"""

SLIPS = {  # what a method's file says, and what it says instead
    "autodiff": {"another carry": ("d_params, d_carry, new", "d_params, window.carry, new")},
    "manual": {
        "W is not transposed": ("to_hidden(layer.W, ", "to_hidden(layer.W.T, "),
        "the first h is zero": ("[first[0][None], hs", "[0 * first[0][None], hs"),
        "no bias of the first step": ("bh=total(d_a)", "bh=total(d_a[1:])"),
        "an error passes a reset": ("d_prev = where(~reset_t, d_prev, 0)", "pass"),
        "no error passes a held step": ("d_prev = where(valid_t, d_prev, d_state)", "pass"),
    },
    "textbook": {
        "no error passes a held step": ("(valid[k][..., None], delta @ W.T, error)", "(True, delta @ W.T, 0)"),
        "a lag is missing": ("fori_loop(0, j + 1,", "fori_loop(0, j,"),
        "an error passes a reset": ("jnp.where(reset[k][..., None], 0, error), d", "error, d"),
    },
    "checkpointed": {
        "nothing passes a segment": (
            "jnp.zeros((), dtype), carry)",
            "jnp.zeros((), dtype), jax.lax.stop_gradient(carry))",
        ),
        "nothing passes at the second level": (
            "part(carry, segment)",
            "part(jax.lax.stop_gradient(carry) if len(counts) > 1 else carry, segment)",
        ),
        "halves are rounded down": ("-(-T // 2**levels)", "T // 2**levels"),
    },
    "parallel_scan": {
        "each loss has the same weight": (
            "losses(recurrence, params, out, batch_t) / total",
            "recurrence.loss(out, batch_t) / total",
        ),
        "the Jacobians are not transposed": ("blocks.transpose(D)", "D"),
        "one step too early": ("jnp.concatenate([adjoints[1:], jnp.zeros_like(adjoints[:1])])", "adjoints"),
    },
    "deer": {
        "nothing comes back to the initial state": (
            "window.hyper, carry, window.batch, way",
            "window.hyper, jax.lax.stop_gradient(carry), window.batch, way",
        )
    },
    "rtrl": {
        "D is transposed": ("D_t @ trace.params", "D_t.T @ trace.params"),
        "one step too late": ("d_s @ trace.params", "d_s @ influence.params"),
    },
    "finite_difference": {
        "differences to one side": ("loss_at(point - shift)[0]) / (2 * epsilon)", "loss_at(point)[0]) / epsilon")
    },
    "truncated": {
        "knows no initial state": ("jnp.where(end <= k2, d, 0)", "jnp.where((end <= k2) & (k2 == T), d, 0)"),
        "forgets the steps after the last end": ("jnp.arange(-(-T // k1))", "jnp.arange(T // k1)"),
    },
    "truncated_gates": {
        "lets errors through the gates": ("jax.lax.stop_gradient(h)", "h"),
        "cuts W out of the sum": (
            "return hidden_to_hidden(layer,",
            "return hidden_to_hidden(jax.lax.stop_gradient(layer),",
        ),
    },
    "artbp": {
        "does not make up for its cuts": ("1 / (1 - probability)", "1"),
        "cuts more often than it says": ("< probabilities, prob", "< 2 * probabilities, prob"),
    },
    "snap": {
        "D is transposed": ("mask.params, D_t @ trace.params", "mask.params, D_t.T @ trace.params"),
        "the lower layer runs away": (
            "d_new @ influence.params,",
            "d_new @ influence.params * jnp.where(unit_of(recurrence.model, window.params) < s.size / 2, -5, 1),",
        ),
    },
    "rflo": {
        "has no memory": ("kept[unit] * trace.params + immediate", "immediate"),
        "keeps its own recurrent weight": ("W=0 * layer.W", "W=layer.W * jnp.eye(len(layer.W))"),
        "random feedback is none": ("-(H**-0.5), H**-0.5)", "0.0, 0.0)"),
    },
    "uoro": {
        "one factor knows no sign": ("rho_1 * nu,", "rho_1,"),
        "all signs are the same": (
            "jax.random.rademacher(key, (T, *batch_shape, S), precision(params))",
            "jnp.ones((T, *batch_shape, S), precision(params))",
        ),
    },
    "kf_rtrl": {"one factor knows no sign": ("sign * rho_2 * x", "rho_2 * x")},
    "forward_gradient": {
        "the directions are too long": ("from rnnjax.gradients.directions import along, draw, price\n", TOO_LONG)
    },
    "spsa": {"to one side": ("function(moved(-sigma))", "function(point)")},
}


def rewritten(name, before, after):
    """A method of a file in which a piece of source is another one."""
    module = sys.modules[f"rnnjax.gradients.{name}"]
    source = inspect.getsource(module)
    assert source.count(before) == 1
    scope = {"__name__": module.__name__}
    exec(compile(source.replace(before, after), module.__file__, "exec"), scope)
    return scope["method"]


@pytest.mark.parametrize(("name", "slip"), [(name, slip) for name, slips in SLIPS.items() for slip in slips])
def test_a_slip_of_the_pen_is_told(judge, name, slip):
    row, _ = judge(name, rewritten(name, *SLIPS[name][slip]), "leaky" if name == "rflo" else "vanilla")
    assert row.verdict == "FAIL"
    assert not row.reason.startswith("raised")


IN_PARALLEL = {
    "the adjoint's Jacobians are not transposed": (
        blocks,
        "adjoint",
        lambda D, d: blocks.run(jnp.concatenate([D[1:], jnp.zeros_like(D[:1])]), d, reverse=True),
    ),
    "every guess is taken for the trajectory": (
        newton,
        "follows",
        lambda guess, within: jnp.ones(guess.s.shape[:-1], bool),
    ),
    "an error passes a reset": (
        layer,
        "of_cell",
        lambda *given, right=layer.of_cell: right(*given[:4], given[4]._replace(reset=None), *given[5:]),
    ),
}


@pytest.mark.parametrize("slip", IN_PARALLEL)
def test_a_slip_in_the_solver_over_time_is_told(judge, monkeypatch, slip):
    monkeypatch.setattr(*IN_PARALLEL[slip])
    row, _ = judge("deer", METHODS["deer"])
    assert row.verdict == "FAIL"
    assert not row.reason.startswith("raised")


def test_every_method_has_a_slip():
    assert set(SLIPS) == set(METHODS)
