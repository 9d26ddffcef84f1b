"""The tasks: inputs, targets, metrics and baselines of each.

A new task is a file with `make(config) -> Task`, a line in TASKS, and its name in `config.TaskName`. One that learns
from examples also has `network(config, names) -> Network`, which `rnnjax.predict` uses.
"""

from collections.abc import Callable
from typing import Any

from rnnjax.config import Config
from rnnjax.config.memory import check_training
from rnnjax.config.task import KNOWN, SERIES
from rnnjax.tasks import known, many_to_many, many_to_one, one_to_many, one_to_one, seq2seq, series, text
from rnnjax.tasks.task import Network, Task

TASKS: dict[str, Callable[[Config], Task]] = {
    "text": text.make,
    "one_to_one": one_to_one.make,
    "one_to_many": one_to_many.make,
    "many_to_one": many_to_one.make,
    "many_to_many": many_to_many.make,
    "seq2seq": seq2seq.make,
    **dict.fromkeys(KNOWN, known.make),
    **dict.fromkeys(SERIES, series.make),
}

NETWORKS: dict[str, Callable[[Config, dict[str, Any]], Network]] = {
    "one_to_many": one_to_many.network,
    "many_to_one": many_to_one.network,
    "many_to_many": many_to_many.network,
    "seq2seq": seq2seq.network,
    **dict.fromkeys(KNOWN, known.network),
    **dict.fromkeys(SERIES, series.network),
}
"""Tasks that learn from examples, by name."""


def make_task(config: Config) -> Task:
    """Makes the task of a config and reads its data.

    Raises:
      UserError: if the data cannot be read, the config does not fit them, or it does not fit into memory.
    """
    check_training(config)
    return TASKS[config.task.name](config)
