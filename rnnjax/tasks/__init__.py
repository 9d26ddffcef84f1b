"""The tasks: what each network reads, what it is asked for, how well it does and against what.

Adding one is a file with `make(config) -> Task`, a line in TASKS, and its name in `config.TaskName`; one that learns
from examples also has `network(config, names) -> Network`, by which `rnnjax.predict` uses it.
"""

from collections.abc import Callable
from typing import Any

from rnnjax.config import Config
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
"""The tasks that learn from examples, by their name."""


def make_task(config: Config) -> Task:
    """The task of a config, its data read.

    Raises:
      UserError: if the data cannot be read, or the config does not fit it.
    """
    return TASKS[config.task.name](config)
