"""The least memory that a config needs, checked before it is allocated: a mistyped number asks for terabytes."""

import os

from rnnjax.config import Config
from rnnjax.config.model import ModelConfig
from rnnjax.errors import UserError
from rnnjax.quantities import in_bytes

INFOS = 9
"""Numbers that are kept of each training step of a dispatch, the fields of `StepInfo`."""

LINE = 56
"""Bytes of a string without its characters, and of its place in a list."""


def check_weights(model: ModelConfig, precision: str) -> None:
    """Raises UserError for a network whose weights alone are more than the machine's memory."""
    H, L, width = model.hidden_size, model.layers, width_of(precision)
    inputs = model.embedding_size or 1
    check_fits("model.hidden_size and model.layers", width * H * ((H if has_product(model) else 1) + (L - 1) * H))
    check_fits("model.embedding_size and model.hidden_size", width * inputs * H)


def check_training(config: Config) -> None:
    """Raises UserError for a run whose batches, held-out sequences or samples are more than the machine's memory.

    Only what is there for certain is counted, so that nothing is refused that could be computed.
    """
    width, H, T = width_of(config.run.precision), config.model.hidden_size, config.training.sequence_length
    task, training = config.task, config.training
    known = task.length if task.is_known else 0
    batch = "training.batch_size and model.hidden_size"
    check_fits(batch, width * training.batch_size * H)
    if task.is_text:
        check_fits(f"{batch} and training.sequence_length", width * training.batch_size * T * H)
    if known:
        check_fits("task.length and training.batch_size", width * known * training.batch_size * H)
        check_fits("task.held_out and task.length", width * task.held_out * (known + task.positions))
    check_fits("training.steps_per_dispatch", width * INFOS * min(training.steps_per_dispatch, training.steps))
    if config.data.path == "recall":
        check_fits("data.recall_lines", config.data.recall_lines * (LINE + 2 * (config.data.recall_lag + 3)))
    if task.name == "seq2seq":
        check_fits("task.beam", width * task.beam * H)
    if task.name in ("one_to_many", "many_to_one", "many_to_many"):
        check_fits("task.max_length and training.batch_size", width * task.max_length * training.batch_size)


def check_fits(fields: str, needed: int) -> None:
    """Raises UserError where some fields need more bytes than the machine has."""
    if needed > (has := machine_bytes()):
        raise UserError(
            f"{fields} need {in_bytes(needed)} of memory at the least, and this machine has {in_bytes(has)}; lower one"
        )


def machine_bytes() -> int:
    """Memory of this machine in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def width_of(precision: str) -> int:
    """Bytes of a number."""
    return 8 if precision == "float64" else 4


def has_product(model: ModelConfig) -> bool:
    """True for a cell that is known to multiply its state by a matrix."""
    return model.cell != "min_gru" and ":" not in model.cell
