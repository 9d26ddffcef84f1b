"""The certificate: the matrix, the theory, the full size, and the verdict."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.certificate import adjoints, built_in, enumeration, full_size, instances, matrix, theory
from rnnjax.certificate.bench import Bench
from rnnjax.certificate.check import Check, raised
from rnnjax.certificate.full_size import FullRow
from rnnjax.certificate.matrix import Row
from rnnjax.certificate.trial import make
from rnnjax.config import Config, GradientConfig
from rnnjax.cores import cores
from rnnjax.model.network import Model

Tell = Callable[[str], None]


class Certificate(NamedTuple):
    """Findings of the certificate; what was cut, in words, and the shape [N, T, *B] of its instance."""

    cut: list[str]
    shape: tuple[int, ...]
    rows: list[Row]
    checks: list[Check]
    full: list[FullRow]

    @property
    def failed(self) -> list[str]:
        """Methods that have failed, each once."""
        everything: list[Row | Check | FullRow] = [*self.rows, *self.checks, *self.full]
        return list(dict.fromkeys(part.method for part in everything if part.verdict == "FAIL"))


def certify(
    names: list[str], config: Config, model: Model, ids: np.ndarray, tell: Tell = lambda what: None, timed: bool = True
) -> Certificate:
    """Holds methods against theory, on the config's network and text.

    Args:
      names: names of the methods.
      ids: training text.
      tell: function called with a line about each stage before it begins.
      timed: True where costs are measured, those of the config at its own size too.
    """
    small = instances.cut(config, model, ids)
    gradient = instances.shorten(config.gradient, config.training.sequence_length, small.shape[0])
    bench = Bench(small, gradient, timed)
    rows, checks = judge(names, bench, lambda name: all_checks(name, bench, model, gradient), tell)
    checks += [*theory.of_lags(bench), *adjoints.of_cell(model.cell)]
    tell("the config's own size")
    full = full_size.rows(names, config, model, ids) if timed else []
    return make_certificate(instances.what_was_cut(config, model, small, gradient), bench, rows, checks, full)


def judge(
    names: list[str], bench: Bench, checks_of: Callable[[str], Iterable[Check]], tell: Tell = lambda what: None
) -> tuple[list[Row], list[Check]]:
    """Runs the methods on an instance, and makes the checks of each."""
    rows = []
    with ThreadPoolExecutor(cores()) as pool:
        tell("compiling")
        list(pool.map(in_float64(bench.try_to_compile), names))
        for name in names:  # one after the other, as they are timed
            tell(name)
            rows.append(matrix.row_of(name, bench))
        tell("the theory")
        found = pool.map(in_float64(lambda name: list(checks_of(name))), names)
        return rows, [check for of_method in found for check in of_method]


def in_float64(function: Callable) -> Callable:
    """The function in float64 and full precision, in whichever thread it is called."""

    def call(*arguments: Any) -> Any:
        with jax.enable_x64(True), jax.default_matmul_precision("highest"):
            return function(*arguments)

    return call


def make_certificate(
    cut: list[str], bench: Bench, rows: list[Row], checks: list[Check], full: Sequence[FullRow] = ()
) -> Certificate:
    """Settles the verdict of each method by all checks of it."""
    checks.sort(key=lambda check: check.number)
    shape = bench.instance.number, *bench.instance.shape
    return Certificate(cut, shape, [matrix.settle(row, checks) for row in rows], checks, list(full))


def all_checks(name: str, bench: Bench, model: Model, gradient: GradientConfig) -> Iterator[Check]:
    """Makes the checks on the config's network, and those on built-in ones."""
    if make(name, gradient).claim is None:
        return
    yield from theory.checks([name], bench)
    for part in (built_in, enumeration):
        try:
            yield from part.checks(name, model, gradient)
        except Exception as error:  # as in `matrix.row_of`
            number = 7 if part is enumeration else 6
            yield Check(number, name, "on a built-in network", "tiny", None, reason=raised(error))
