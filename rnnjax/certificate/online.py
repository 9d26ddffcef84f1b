"""The identities of methods on built-in networks: where those that leave something out must leave out nothing, and
where they must fail."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnnjax.certificate.check import Check, compare
from rnnjax.certificate.claims import ROUNDING
from rnnjax.certificate.exact import quick
from rnnjax.certificate.instances import Instance, kind_of, tiny, with_recurrence
from rnnjax.certificate.trial import make, truth_of_stream, walker
from rnnjax.config import GradientConfig
from rnnjax.model.network import Model

UNITS = 3


def checks(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    """What theory says of a method, and when it must fail; windows of two steps, so that a trace must go on."""
    if name in ALL:
        yield from ALL[name](name, model, config)


def one_layer(model: Model) -> Instance:
    """A network of the model's kind for SnAp: one layer, whose parameters act on one unit each."""
    options = kind_of(model) | {"layers": 1, "embedding": 0, "layer_norm": False, "residual": False}
    return tiny(f"tiny {model.unit}", 2, 3, hidden=UNITS, **options)


def of_snap(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    dense = one_layer(model)
    diagonal = with_recurrence(dense, np.eye(UNITS))
    chain = with_recurrence(dense, np.eye(UNITS) + np.eye(UNITS, k=1))  # unit 0 acts on 1, 1 on 2
    found = {n: quick(walker(make(name, config, snap_steps=n), dense)) for n in (1, UNITS)}

    def check(claim: str, n: int, instance: Instance, differs: bool = False) -> Check:
        truth = truth_of_stream(instance)
        return compare(6, name, claim, instance.name, found[n](instance.params), truth, differs=differs)

    yield check("SnAp-1 = RTRL for a diagonal W", 1, diagonal)
    yield check(f"SnAp-{UNITS} = RTRL for a W that is a chain of {UNITS} units", UNITS, chain)
    yield check(f"SnAp-{UNITS} = RTRL for a dense W", UNITS, dense)
    yield check("SnAp-1 ≠ RTRL for a dense W", 1, dense, differs=True)
    yield check("SnAp-1 ≠ RTRL for the chain", 1, chain, differs=True)


def of_rflo(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    activation = model.activation if model.unit == "leaky" else "tanh"
    dense = tiny("tiny leaky", 2, 3, hidden=UNITS, unit="leaky", activation=activation)
    empty = with_recurrence(dense, np.zeros((UNITS, UNITS)))
    found = quick(walker(make(name, config, feedback="readout"), dense))
    yield compare(6, name, "RFLO with Vᵀ = RTRL for W = 0", dense.name, found(empty.params), truth_of_stream(empty))
    truth = truth_of_stream(dense)
    yield compare(6, name, "RFLO with Vᵀ ≠ RTRL for W ≠ 0", dense.name, found(dense.params), truth, differs=True)
    random = quick(walker(make(name, config, feedback="random"), dense))(dense.params)
    claim = "RFLO with random feedback ≠ RTRL"
    yield compare(6, name, claim, dense.name, random, truth, differs=True)
    of_readout: list[Any] = [(part["params"].V, part["params"].by) for part in (random, truth)]
    yield compare(6, name, "RFLO with random feedback: V and by are exact", dense.name, *of_readout)


def of_truncated(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    instance = tiny(f"tiny {model.unit}", 4, 1, **kind_of(model))
    found = quick(walker(make(name, config, k1_steps=1, k2_steps=2), instance))(instance.params)
    yield compare(
        4, name, "truncated(1, 2) ≠ BPTT of 4 steps", instance.name, found, truth_of_stream(instance), differs=True
    )


def of_finite_difference(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    """Where loss and gradient are of one size, and nothing is steep, central differences have eight digits."""
    yield on_vanilla(name, config, "the exact gradient to eight digits", 1e-8)


def of_textbook(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    """On a network that it is derived for, whatever the config's is."""
    yield on_vanilla(name, config, "the exact gradient", ROUNDING)


def on_vanilla(name: str, config: GradientConfig, claim: str, limit: float) -> Check:
    instance = tiny("tiny vanilla", 4, 1)
    found = quick(walker(make(name, config), instance))(instance.params)
    return compare(1, name, claim, instance.name, found, truth_of_stream(instance), limit)


ALL = {
    "textbook": of_textbook,
    "finite_difference": of_finite_difference,
    "snap": of_snap,
    "rflo": of_rflo,
    "truncated": of_truncated,
}
