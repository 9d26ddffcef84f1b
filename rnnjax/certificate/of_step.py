"""The certificate of any step: the claims of `matrix`, `theory` and `enumeration`, on that step and its own data.

The truth is `loops`. The definitions take the derivatives of single steps and of the double sum, as they do of a
network.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from rnnjax.certificate import adjoints, enumeration, exact, theory
from rnnjax.certificate.bench import Bench
from rnnjax.certificate.certificate import Certificate, judge, make_certificate
from rnnjax.certificate.check import DIFFERENT, Check, raised
from rnnjax.certificate.instances import Instance, on_host
from rnnjax.certificate.loops import Loop
from rnnjax.certificate.trial import claim_of
from rnnjax.config import GradientConfig
from rnnjax.errors import UserError
from rnnjax.gradients.arguments import read
from rnnjax.gradients.of_step import StepGradient
from rnnjax.model.leaves import is_real
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Adjoint, Initial
from rnnjax.model.stack import network_of

Tree = Any

MOST = {"windows": 3, "steps": 5, "streams": 2}
"""Largest sizes after the cut; five steps are a number that no method divides evenly."""


@dataclass(frozen=True, eq=False)
class Question:
    """A step with its data, as a certificate is asked for it.

    Attributes:
      grad: the step, its loss and its recurrence.
      params, state: in float64.
      batch: all that was given, [T, *B].
      initial, adjoint: as in `gradients.of_step.gradient`; of a network its own initial state.
      hyper: the numbers of a network that are no weights.
    """

    grad: StepGradient
    params: Tree
    state: Tree
    batch: Batch
    initial: Initial
    adjoint: Adjoint | None
    hyper: Any = ()

    @property
    def loop(self) -> Loop:
        return Loop(self.grad.step, self.grad.loss, self.initial, self.grad.recurrence.reduce)

    def instance(self, steps: int, windows: int) -> Instance:
        """So many windows of the first streams; what was given begins anew where it is too short.

        In the middle the first stream is reset, and after that the last one held for a step. The first loss of each
        window counts half, the last one for both halves.
        """
        T, *streams = self.batch.shape
        part = tuple(slice(0, MOST["streams"]) for _ in streams)
        length = steps * windows
        cut: Any = jax.tree.map(lambda leaf: leaf[(np.arange(length) % T, *part)], on_host(self.batch))
        weight, shape = np.array(cut.weight), np.shape(cut.weight)
        valid = np.ones(shape, bool) if cut.valid is None else np.array(cut.valid)
        reset = np.zeros(shape, bool) if cut.reset is None else np.array(cut.reset)
        if length > 2:
            flat = valid.reshape(length, -1), reset.reshape(length, -1)
            flat[1][length // 2, 0] = True
            flat[0][length // 2 + 1, -1] = False
        halves = weight.reshape(windows, steps, -1)
        halves[:, 0, 0] *= 0.5
        halves[:, -1, -1] *= 1.5
        if self.grad.recurrence.model:  # which reads its output off the held state, where a step puts out its own
            weight *= valid
        batch = cut._replace(weight=weight, valid=valid, reset=reset)
        folded = jax.tree.map(lambda leaf: leaf.reshape(windows, steps, *leaf.shape[1:]), batch)
        state = jax.tree.map(lambda leaf: leaf[part], on_host(self.state))
        return Instance("the step", self.grad.recurrence, on_host(self.params), self.hyper, state, folded, self.loop)


def ask(
    grad: StepGradient,
    params: Tree,
    state: Tree,
    xs: Tree,
    ys: Tree,
    masks: tuple,
    initial: Initial,
    adjoint: Adjoint | None,
) -> Question:
    """Reads the arguments, all real numbers in float64.

    Raises:
      UserError: for an argument that does not fit, and for a step that does not compute in float64.
    """
    params, state, xs, ys = (jax.tree.map(in_float64, tree) for tree in (params, state, xs, ys))
    try:
        params, state, batch = read(grad.step, grad.loss, grad.batch_axes, params, state, xs, ys, masks)
    except UserError as error:
        raise UserError(f"in float64, in which a certificate computes: {error}") from None
    network = network_of(grad.step)
    if network is None:
        return Question(grad, params, state, batch, initial, adjoint)
    hyper = jax.tree.map(np.float64, network.hyper)
    return Question(grad, params, state, batch, lambda params, state: network.state(params), None, hyper)


def in_float64(leaf: Any) -> Any:
    """A leaf of floating-point numbers in float64; any other as it is."""
    return leaf.astype("float64") if hasattr(leaf, "dtype") and is_real(leaf) else leaf


def certify(names: list[str], question: Question, config: GradientConfig) -> Certificate:
    """Holds methods against theory, on any step and its data."""
    T, N = question.batch.shape[0], MOST["windows"]
    count = max(min(N, T // 2), 1)
    steps = min(T // count, MOST["steps"])
    bench = Bench(question.instance(steps, count), config, timed=False)
    rows, checks = judge(names, bench, lambda name: all_checks(name, bench, question))
    if question.adjoint is not None:
        checks += of_adjoint(question, question.adjoint)
    if model := bench.instance.recurrence.model:
        checks += adjoints.of_cell(model.cell)
    return make_certificate(notes(question, bench), bench, rows, checks)


def all_checks(name: str, bench: Bench, question: Question) -> Iterator[Check]:
    """Makes the checks of the theory, and those of a method's noise on a shorter stretch."""
    if bench.refusal(name) or bench.overflows:
        return
    yield from theory.checks([name], bench)
    try:
        if claim_of(name, bench.config).noise != "none":
            memory = min(bench.memory.values()) > DIFFERENT
            yield from enumeration.over_noise(name, question.instance, bench.config, memory)
    except Exception as error:  # as in `matrix.row_of`
        yield Check(7, name, "its draws", "the step", None, reason=raised(error))


def of_adjoint(question: Question, adjoint: Adjoint) -> Iterator[Check]:
    """Checks an adjoint by hand at every step that was given."""
    grad, params, batch = question.grad, question.params, question.batch
    states = exact.states(grad.recurrence, params, (), question.state, batch)
    flat = lambda leaf: leaf.reshape(math.prod(batch.shape), *leaf.shape[len(batch.shape) :])
    yield from adjoints.of_step(grad.step, adjoint, params, *jax.tree.map(flat, (states, batch.x)))


def product(axes: list[int]) -> str:
    """Sizes of axes, such as 2 x 3."""
    return " x ".join(map(str, axes))


def notes(question: Question, bench: Bench) -> list[str]:
    """Cuts, and parts that have no derivative or a zero one, each in a few words."""
    (T, *streams), (steps, *left) = question.batch.shape, bench.instance.shape
    said = []
    if steps * bench.instance.number < T:
        said.append(f"of your {T} steps the first {steps * bench.instance.number}")
    if streams != left:
        said.append(f"of your {product(streams)} streams the first {product(left)}")
    for name, tree in (("params", question.params), ("state", question.state)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if not is_real(leaf):
                said.append(f"{name}{jax.tree_util.keystr(path)} is {leaf.dtype} and has no derivative")
    for path, leaf in jax.tree_util.tree_leaves_with_path(bench.stream.params):
        if not np.any(leaf):
            said.append(f"params{jax.tree_util.keystr(path)} has the derivative 0")
    return said
