"""The exact gradient methods against `jax.grad`, and what checkpointing saves."""

import dataclasses
import math

import agreement
import jax
import jax.numpy as jnp
import pytest
from method_cases import Case, compute, make

from rnnjax.config import GradientConfig
from rnnjax.gradients import METHODS, checkpointed
from rnnjax.gradients.claim import ROUNDING
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Model
from rnnjax.model.recurrence import of_network

CASES = {
    "vanilla, two layers, two batch axes": Case(5, (2, 2), "wvr", options=(("layers", 2),)),
    "leaky, one stream, one step": Case(1, (), "", options=(("cell", "leaky"),)),
    "gru, two layers, embedding, residual, dropout": Case(
        6, (2,), "wr", options=(("cell", "gru"), ("layers", 2), ("embedding", 2), ("residual", True), ("dropout", True))
    ),
    "lstm, layer norm, learned state": Case(
        3, (2,), "vr", options=(("cell", "lstm"), ("layer_norm", True), ("learned_state", True))
    ),
}

EXACT = {
    name: claim
    for name, make_one in METHODS.items()
    if (claim := make_one(GradientConfig()).claim).kind == "exact" and claim.tolerance == ROUNDING
}
"""Of the table, those that are exact up to rounding."""

SAME = {name: GradientConfig(name) for name in EXACT if name != "autodiff"}
MORE = {
    **{
        f"{name}, {option} {value}": GradientConfig(name, **{option: value})
        for name, claim in EXACT.items()
        for options in claim.variants
        for option, value in options.items()
        if getattr(GradientConfig(), option) != value
    },
    "truncated at T": GradientConfig("truncated", k1_steps=6, k2_steps=6),
}


def takes(case, config):
    model = Model(vocabulary=5, hidden=case.hidden, **dict(case.options))
    return METHODS[config.method](config).refuse(model, case.T, math.prod(case.batch)) is None


PAIRS = [
    *((case, name) for case in CASES for name, config in SAME.items() if takes(CASES[case], config)),
    *(("gru, two layers, embedding, residual, dropout", name) for name in MORE),
]


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_an_exact_method_is_autodiff(case, name):
    model, arrays, expected = make(CASES[case])
    agreement.compare(compute((SAME | MORE)[name], model, *arrays), expected)


@pytest.mark.parametrize("name", [name for name in EXACT if name not in agreement.NAMES])
def test_an_exact_method_agrees_with_the_oracle(name):
    agreement.check(name, agreement.Case(7, (2,), 2, "relu", "wvr"))


@pytest.mark.parametrize("name", [name for name in EXACT if name != "autodiff"])
def test_an_exact_method_takes_a_loss_of_the_users_own(name):
    arrays, model = agreement.make(agreement.Case(6, (2,), 1, "tanh", "wvr"))
    model = dataclasses.replace(model, loss=lambda out, y: jnp.sum(jnp.cos(out) * (jnp.arange(out.size) - y)))
    expected = agreement.compute("autodiff", model, *arrays)
    agreement.compare(agreement.compute(name, model, *arrays), expected)


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
        program = (
            jax.jit(run, static_argnums=0).lower(of_network(model), Window(params, Hyper(), carry, batch)).compile()
        )
        return program.memory_analysis().temp_size_in_bytes

    everything, some, few = (kept("autodiff"), kept("checkpointed"), kept("checkpointed", segments="recursive"))
    assert few < some < everything / 4
