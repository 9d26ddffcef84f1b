"""Tasks with known answers: each file draws sequences of one, and derives the best loss without memory.

Adding one is a file with a `Problem`, a line in PROBLEMS, its name in `config.task.KNOWN`, and the least length of its
sequences beside it.
"""

from collections.abc import Callable

from rnnjax.config import TaskConfig
from rnnjax.data.known import adding, anbn, copy_memory, parity, recall, temporal_order
from rnnjax.data.known.problem import Problem

PROBLEMS: dict[str, Callable[[TaskConfig], Problem]] = {
    "adding": lambda task: (adding.modern if task.form == "modern" else adding.classic)(task.length),
    "copy": lambda task: copy_memory.problem(task.length, task.symbols, task.positions or 10),
    "temporal_order": lambda task: temporal_order.problem(task.length, task.positions or 2),
    "parity": lambda task: (parity.modern if task.form == "modern" else parity.classic)(task.length),
    "anbn": lambda task: anbn.problem(task.length),
    "recall": lambda task: recall.problem(task.length, task.symbols),
}


def make_problem(task: TaskConfig) -> Problem:
    """The problem of a config, at its length."""
    return PROBLEMS[task.name](task)
