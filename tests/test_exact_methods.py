"""The exact gradient methods against `jax.grad`, beyond the certificate's network; and what checkpointing saves."""

import dataclasses

import cases
import jax
import jax.numpy as jnp
import pytest
from agreement import compare
from cases import Case

from rnnjax.config import GradientConfig
from rnnjax.gradients import METHODS, checkpointed, make_method
from rnnjax.gradients.claim import ROUNDING
from rnnjax.gradients.method import Window
from rnnjax.model.recurrence import of_network

EXACT = [
    GradientConfig(**{"method": name, **options})
    for name in METHODS
    if (claim := make_method(GradientConfig(name)).claim).kind == "exact" and claim.tolerance == ROUNDING
    for options in claim.variants or ({},)
]
"""Methods that are exact up to rounding, with each of their options."""

CASES = {
    "two layers, two batch axes, a loss of one's own": Case(layers=2, masks="wvr", batch=(2, 2)),
    "one stream, one step": Case("leaky", T=1, batch=()),
    "gru with everything": Case("gru", layers=2, masks="wvr", options="enxsd", T=6, batch=(2,)),
    "lstm": Case("lstm", masks="vr", options="ns", T=3, batch=(2,)),
}


def own_loss(out, y):
    return jnp.sum(jnp.cos(out) * (jnp.arange(out.size) - y))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if "everything" in name else name for name in CASES]
)
def test_every_exact_method_is_autodiff(name):
    case = CASES[name]
    arrays, model = cases.make(case)
    if "own" in name:
        model = dataclasses.replace(model, loss=own_loss)
    ways = EXACT if "everything" in name else [way for way in EXACT if way == GradientConfig(way.method)]
    ways = [way for way in ways if make_method(way).refuse(model) is None]
    ways.append(GradientConfig("truncated", k1_steps=case.T, k2_steps=case.T))
    assert len(ways) >= 5
    exact, *found = cases.compute(("autodiff", *ways), model, *arrays)[1]
    for way, gradient in zip(ways, found, strict=True):
        try:
            compare(gradient, exact)
        except AssertionError as error:
            raise AssertionError(way) from error


def test_central_differences_are_near_autodiff():
    arrays, model = cases.make(Case("gru", options="s", masks="vr"))
    compare(*cases.compute(("finite_difference", "autodiff"), model, *arrays)[1], 1e-6)


def test_segments_cover_the_window_without_much_padding():
    for T in [*range(1, 40), 63, 64, 65, 1000]:
        (count,), length = checkpointed.cut_sqrt(T)
        assert T <= count * length < T + length
        assert max(count, length) <= T**0.5 + 1
        halves, length = checkpointed.cut_in_halves(T)
        assert T <= 2 ** len(halves) * length < 1.25 * T + 1
        assert length <= 2 * checkpointed.SHORTEST


def test_checkpointing_keeps_less():
    (params, carry, batch), model = cases.make(Case(T=1024, batch=(8,)))

    def kept(name, **options):
        run = make_method(GradientConfig(name, **options)).gradient
        window = Window(params, cases.HYPER, carry, batch)
        program = jax.jit(run, static_argnums=0).lower(of_network(model), window).compile()
        return program.memory_analysis().temp_size_in_bytes

    everything, some, few = (kept("autodiff"), kept("checkpointed"), kept("checkpointed", segments="recursive"))
    assert few < some < everything / 4
