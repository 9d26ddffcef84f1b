"""The identities of methods on built-in networks.

An approximate method is held to its definition, to the exact gradient where it must be exact, and away from it where
it must not. Exact methods are judged here where the config's network gives nothing to judge them by.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnnjax.certificate import exact
from rnnjax.certificate.bench import Bench
from rnnjax.certificate.check import Check, compare
from rnnjax.certificate.definitions import DEFINITIONS
from rnnjax.certificate.instances import Instance, cut_model, stand_ins, tiny, with_recurrence
from rnnjax.certificate.trial import claim_of, make, mean, of_window, truth_of_stream, walk, walker
from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import ROUNDING
from rnnjax.gradients.method import Gradient
from rnnjax.model.cells import Cell
from rnnjax.model.network import Model

UNITS = 3

ODD = 21
"""Steps of a window that no method divides evenly and that recursive segments halve twice."""

GRAPHS = {
    "W = 0": np.zeros((UNITS, UNITS)),
    "a diagonal W": np.eye(UNITS),
    f"a W that is a chain of {UNITS} units": np.eye(UNITS) + np.eye(UNITS, k=1),  # unit 0 acts on 1, 1 on 2
    "a dense W": np.ones((UNITS, UNITS)),
}

TEN_DIGITS = 1e-10


def checks(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    """Checks of a method on networks that are not the config's."""
    claim, kinds = claim_of(name, config), stand_ins(make(name, config), model)
    if not kinds:
        return
    if claim.kind == "exact":
        yield from of_exact(name, model, config)
    elif claim.kind == "truncated":
        yield from of_truncated(name, kinds[0], config)
    elif claim.kind == "approximate" and claim.of == "window" and claim.definition:
        for kind in kinds:
            yield from without_a_way_through_W(name, kind["cell"], config)
    elif claim.of == "stream" and claim.noise == "none":
        for options in claim.variants or ({},):
            yield from along_graphs(name, kinds[-1], config, options)
        yield from of_stack(name, kinds[-1]["cell"], config)


def of_exact(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    """Checks of exact methods for which the config's network is not enough.

    They are the methods that divide a window, at an odd length; those that do not take the config's network; and
    central differences, which have ten digits where loss and gradient are of one size and nothing is steep.
    """
    method, claim = make(name, config), claim_of(name, config)
    cell = "leaky" if method.refuse(Model(vocabulary=3, hidden=2)) else "vanilla"
    numerical = claim.tolerance > ROUNDING
    for options in () if numerical else claim.variants or ({},):
        instance = tiny(f"tiny {cell}", ODD, 1, cell=cell)
        found = exact.quick(walker(make(name, config, **options), instance))(instance.params)
        words = "".join(f", {option} {value}" for option, value in options.items())
        limit = Bench(instance, config).tolerance(name, **options)
        statement = f"the exact gradient of {ODD} steps{words}"
        yield compare(1, name, statement, instance.name, found, truth_of_stream(instance), limit)
    if numerical or method.refuse(cut_model(model)):
        instance = tiny(f"tiny {cell}", 4, 1, cell=cell)
        found = exact.quick(walker(method, instance))(instance.params)
        words, limit = ("to ten digits", TEN_DIGITS) if numerical else ("initial state included", ROUNDING)
        yield compare(1, name, f"the exact gradient, {words}", instance.name, found, truth_of_stream(instance), limit)


def of_truncated(name: str, kind: dict[str, Any], config: GradientConfig) -> Iterator[Check]:
    """Checks in windows that k₂ does not cover, whatever the config's does."""
    instance = tiny(f"tiny {kind['cell']}", 5, 2, **kind)
    short: dict[str, Any] = {"k1_steps": 2, "k2_steps": 3}  # the last end is not k₁ steps after the one before
    method = make(name, config, **short)
    found = walk(exact.quick(method.gradient, 0), method, instance)
    first, truth = of_window(found[0]), instance.truth(instance.carry, instance.window(0)).gradient
    yield compare(4, name, "truncated(2, 3) ≠ BPTT of 5 steps", instance.name, first, truth, differs=True)
    yield as_defined(4, name, instance, dataclasses.replace(config, **short), found, "truncated(2, 3) as it is defined")


def without_a_way_through_W(name: str, cell: Cell, config: GradientConfig) -> Iterator[Check]:
    """Checks of a method that leaves out what goes back through W: exact where W is 0, and not elsewhere."""
    method, dense = make(name, config), tiny(f"tiny {cell}", 5, 2, hidden=UNITS, cell=cell)
    for graph in ("W = 0", "a dense W"):
        instance = with_recurrence(dense, GRAPHS[graph])
        found = walk(exact.quick(method.gradient, 0), method, instance)
        first, truth = of_window(found[0]), instance.truth(instance.carry, instance.window(0)).gradient
        is_exact = claim_of(name, config).exact_if(instance.model, instance.params, 5, 2)
        words = f"{'=' if is_exact else '≠'} BPTT of 5 steps for {graph}"
        yield compare(6, name, words, instance.name, first, truth, differs=not is_exact)
        yield as_defined(6, name, instance, config, found, f"as it is defined, for {graph}")


def along_graphs(name: str, kind: dict[str, Any], config: GradientConfig, options: dict[str, Any]) -> Iterator[Check]:
    """Checks by the graph of W, from which it follows that a method is exact or not.

    One layer, whose parameters act on one unit each, in windows of two steps, so that a trace must go on.
    """
    own = kind | {"layers": 1, "embedding": 0, "layer_norm": False, "residual": False}
    dense = tiny(f"tiny {kind['cell']}", 2, 3, hidden=UNITS, **own)
    method, claim = make(name, config, **options), claim_of(name, config, **options)
    words = ", ".join(f"{option} {value}" for option, value in options.items())
    gradient = exact.quick(method.gradient, 0)
    graphs = {f"a recurrence that is {dense.model.cell.recurrence}": dense}
    if dense.model.cell.recurrence == "dense":
        graphs = {graph: with_recurrence(dense, keep) for graph, keep in GRAPHS.items()}
    for graph, instance in graphs.items():
        found = walk(gradient, method, instance)
        is_exact = claim.exact_if(instance.model, instance.params, instance.shape[0], instance.number)
        statement, truth = f"with {words} {'=' if is_exact else '≠'} RTRL for {graph}", truth_of_stream(instance)
        total = mean([of_window(window) for window in found], instance.shares)
        yield compare(6, name, statement, instance.name, total, truth, differs=not is_exact)
        if claim.definition:
            defined = dataclasses.replace(config, **options)
            statement = f"with {words} as it is defined, for {graph}"
            yield as_defined(6, name, instance, defined, found, statement)


def of_stack(name: str, cell: Cell, config: GradientConfig) -> Iterator[Check]:
    """Checks of two layers, where the lower one must learn through the upper."""
    method, claim = make(name, config), claim_of(name, config)
    instance = tiny(f"tiny {cell}, two layers", 2, 3, cell=cell, layers=2)
    if claim.definition and not method.refuse(instance.model):
        found = walk(exact.quick(method.gradient, 0), method, instance)
        yield as_defined(6, name, instance, config, found, "as it is defined, both layers")


def as_defined(
    number: int, name: str, instance: Instance, config: GradientConfig, found: list[Gradient], words: str
) -> Check:
    expected = DEFINITIONS[claim_of(name, config).definition](Bench(instance, config), config)
    words = f"{words}, window by window, initial state included"
    return compare(number, name, words, instance.name, [of_window(window) for window in found], expected)
