"""Trains a network: python -m rnnjax.train --config configs/lyrics.yaml. The same command goes on where it stopped."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnjax.callable_module import CallableModule
from rnnjax.cli import add_config, config_of, make_parser, run
from rnnjax.config import Config
from rnnjax.config.checks import check
from rnnjax.config.task import SERIES

if TYPE_CHECKING:  # late where it runs, so that --help and a wrong config answer at once
    from rnnjax.finished import Finished

ARRAYS = "arrays"
"""The data.path of a run on arrays."""


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("train", __doc__ or "")
    add_config(parser)
    config = config_of(parser, parser.parse_args(argv))
    devices, task = config.run.devices, config.task
    check(task.is_text or devices == 1, "run.devices", devices, f"1 for the task {task.name}")
    coordinator = config.run.coordinator
    check(task.is_text or not coordinator, "run.coordinator", coordinator, f"empty for the task {task.name}")

    from rnnjax import loop
    from rnnjax.run.device import set_up
    from rnnjax.run.hosts import joined, leads
    from rnnjax.run.threads import threads_for

    with joined(config.run):
        here = config.run
        threads = threads_for(config)
        set_up(here.platform, here.precision, here.devices, here.products, here.compilation_cache, threads)
        code = loop.train(config)
        if not code and leads():
            print(f"the run is in {Path(here.root) / here.name}")
        return code


def train(
    x: Any,
    y: Any = None,
    lengths: Any = None,
    *,
    config: Config | None = None,
    out: str | Path | None = None,
    **sections: dict[str, Any],
) -> Finished:
    """Trains a network on arrays, as `python -m rnnjax.train` does on a file, with JAX's own settings.

    Args:
      x: real inputs `[N, T, I]`, or ids, integer `[N, T]`. A single series, N = 1, is divided in time.
      y: regression: numbers of every step `[N, T]` or `[N, T, K]`, or of a whole series `[N]` or `[N, K]`. tagging:
        classes `[N, T]`, or labels of 0 and 1 `[N, T, K]` with the loss bernoulli. classification: the same without T.
        forecasting: None, as the targets are later steps of x.
      lengths: steps of each series, integer `[N]`; None: all have T.
      config: source of the fields that are not given; None: the defaults.
      out: directory of the run, which goes on where it stopped; None: nothing is kept.
      sections: fields of the config by section, such as task={"name": "tagging"}, model={"hidden_size": 64}.

    Returns:
      The finished run: network, metrics, result, predictions.

    Raises:
      UserError: for arrays or fields of a wrong shape, type or value.
      KeyboardInterrupt: after an interrupt; with `out`, the run is saved and can go on.
    """
    from rnnjax import loop
    from rnnjax.data.arrays import series_of
    from rnnjax.finished import read_finished
    from rnnjax.tasks import series

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "run" if out is None else Path(out)
        config = config_for_arrays(config or Config(), path, sections)
        check(config.task.is_series, "task.name", config.task.name, f"one of {', '.join(SERIES)} for arrays")
        found = series_of(config.task, x, y, lengths)
        then = "nothing is kept; with out= it can go on" if out is None else "the same call goes on from there"
        code = loop.train(config, lambda config: series.of_series(config, found), then)
        if code:
            raise KeyboardInterrupt
        return read_finished(path, keep=out is not None)


def config_for_arrays(base: Config, path: Path, sections: dict[str, dict[str, Any]]) -> Config:
    """The base config with some fields set and checked like those of a file, for a run on arrays in a directory."""
    parser = make_parser("train", "")
    add_config(parser)
    fields = dataclasses.asdict(base)
    here = {"data": {"path": ARRAYS}, "run": {"root": str(path.parent), "name": path.name}}
    for section, values in [*sections.items(), *here.items()]:
        check(section in fields, "a section", section, f"one of {', '.join(fields)}")
        check(isinstance(values, dict), section, values, "a dict of its fields, such as task={'name': 'regression'}")
        fields[section] |= values
    return config_of(parser, parser.parse_object(fields))


if __name__ == "__main__":
    run(main)
else:
    sys.modules[__name__].__class__ = CallableModule
