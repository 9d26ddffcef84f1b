"""The certificate: the matrix, the theory, the full size, and the verdict."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from rnnjax.certificate import built_in, enumeration, full_size, instances, matrix, theory
from rnnjax.certificate.bench import Bench
from rnnjax.certificate.check import Check, raised
from rnnjax.certificate.full_size import FullRow
from rnnjax.certificate.matrix import Row
from rnnjax.certificate.trial import make
from rnnjax.config import Config, GradientConfig
from rnnjax.model.network import Model


class Certificate(NamedTuple):
    """Findings of the certificate, and the cut and shape of its instance."""

    cut: list[str]
    shape: tuple[int, int, int]
    rows: list[Row]
    checks: list[Check]
    full: list[FullRow]

    @property
    def failed(self) -> list[str]:
        """Methods that have failed, each once."""
        everything: list[Row | Check | FullRow] = [*self.rows, *self.checks, *self.full]
        return list(dict.fromkeys(part.method for part in everything if part.verdict == "FAIL"))


def certify(
    names: list[str], config: Config, model: Model, ids: np.ndarray, tell: Callable[[str], None] = lambda what: None
) -> Certificate:
    """Holds methods against theory, on the config's network and text.

    Args:
      names: names of the methods.
      ids: training text.
      tell: function called with a line about each stage before it begins.
    """
    small = instances.cut(config, model, ids)
    T, B = small.shape
    gradient = instances.shorten(config.gradient, config.training.sequence_length, T)
    bench, rows = Bench(small, gradient), []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tell("compiling")
        list(pool.map(bench.try_to_compile, names))
        for name in names:  # one after the other, as they are timed
            tell(name)
            rows.append(matrix.row_of(name, bench))
        tell("the theory")
        found = pool.map(lambda name: list(all_checks(name, bench, model, gradient)), names)
        checks = [*(check for of_method in found for check in of_method), *theory.of_lags(bench)]
    tell("the config's own size")
    full = full_size.rows(names, config, model, ids)
    cut = instances.what_was_cut(config, model, small, gradient)
    checks.sort(key=lambda check: check.number)
    return Certificate(cut, (small.number, T, B), [matrix.settle(row, checks) for row in rows], checks, full)


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
