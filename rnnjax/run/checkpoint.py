"""Checkpoints: Orbax, atomic, the newest few and the best, with a checksum of our own for every array."""

import errno
import logging
import math
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

Arrays = dict[str, np.ndarray]


class Checkpoint(NamedTuple):
    """What a checkpoint holds: arrays by name, the step, and the validation loss (nats per character), if any."""

    step: int
    arrays: Arrays
    validation_loss: float | None


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be read back as it was written."""


class FoundCheckpoint(NamedTuple):
    """The checkpoint that was looked for, None where none is whole, and the damaged ones that were passed over."""

    checkpoint: Checkpoint | None
    damaged: dict[int, DamagedCheckpoint]


class Checkpoints:
    """The checkpoints of a run."""

    def __init__(self, path: Path, keep: int = 1, read_only: bool = False) -> None:
        """Opens the directory.

        Args:
          keep: the newest n to keep, beside the best.
          read_only: only to read; the directory must exist.
        """
        import orbax.checkpoint as ocp  # late: takes a third of a second
        from orbax.checkpoint import checkpoint_managers as policies

        logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax logs tracebacks of errors that we report
        self._ocp = ocp
        self._path = path.absolute()
        metric = lambda metrics: metrics["validation_loss"]
        # best_fn with max_to_keep alone would keep the best and throw away the newest.
        newest_and_best = policies.AnyPreservationPolicy(
            [
                policies.LatestN(keep),
                policies.BestN(get_metric_fn=metric, reverse=True, n=1, keep_checkpoints_without_metrics=False),
            ]
        )
        alone: dict[str, Any] = {}
        if jax.process_count() > 1:  # of one process's files the others know nothing
            path.mkdir(parents=True, exist_ok=True)
            processes = {"primary_host": jax.process_index(), "active_processes": {jax.process_index()}}
            alone = {"multiprocessing_options": ocp.options.MultiprocessingOptions(**processes)}
        options = ocp.CheckpointManagerOptions(
            best_fn=metric,
            best_mode="min",
            preservation_policy=newest_and_best,
            create=not read_only and not alone,
            read_only=read_only,
            **alone,
        )
        self._manager = ocp.CheckpointManager(self._path, options=options)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, newest first."""
        return sorted(self._manager.all_steps(), reverse=True)

    def save(self, step: int, arrays: Arrays, validation_loss: float | None) -> None:
        """Hands the arrays over and returns; a failure is raised by the next call, or by `close`.

        Raises:
          OSError: if the disk is full.
        """
        args = self._ocp.args
        about = {
            "checksums": {name: checksum(array) for name, array in arrays.items()},
            "validation_loss": validation_loss,
        }
        metrics = None if validation_loss is None else {"validation_loss": validation_loss}
        with _disk_errors():
            self._manager.save(
                step,
                args=args.Composite(state=args.StandardSave(arrays), about=args.JsonSave(about)),
                metrics=metrics,
                force=True,
            )

    def wait(self) -> None:
        """Waits until what was handed over is on disk."""
        with _disk_errors():
            self._manager.wait_until_finished()

    def restore(self, step: int) -> Checkpoint:
        """Reads one checkpoint and compares every array with its checksum.

        Raises:
          DamagedCheckpoint: if it cannot be read, or a checksum differs.
        """
        args = self._ocp.args
        try:
            saved = self._manager.restore(
                step, args=args.Composite(state=args.StandardRestore(), about=args.JsonRestore())
            )
            arrays, about = dict(saved["state"]), saved["about"]
            checksums = about["checksums"]
        except Exception as error:  # a damaged file can make Orbax raise anything
            forget_abandoned_reads()
            reason = str(error).strip().splitlines()
            raise DamagedCheckpoint(
                f"it cannot be read ({reason[0][:100] if reason else type(error).__name__})"
            ) from error
        if arrays.keys() != checksums.keys():
            raise DamagedCheckpoint("arrays are missing")
        for name, array in arrays.items():
            if checksum(array) != checksums[name]:
                raise DamagedCheckpoint(f"the checksum of {name} differs")
        return Checkpoint(step, arrays, about["validation_loss"])

    def validation_losses(self) -> dict[int, float]:
        """The validation loss of every checkpoint that has one, by step."""
        metrics = {step: self._manager.metrics(step) for step in self.steps()}
        return {step: found["validation_loss"] for step, found in metrics.items() if found}

    def newest(self) -> "FoundCheckpoint":
        """The newest checkpoint that is whole."""
        return self._first_whole(self.steps())

    def best(self) -> "FoundCheckpoint":
        """The checkpoint with the lowest validation loss that is whole; the newest where none was ever read."""
        losses = self.validation_losses()
        return self._first_whole(sorted(self.steps(), key=lambda step: (losses.get(step, math.inf), -step)))

    def _first_whole(self, steps: Iterable[int]) -> "FoundCheckpoint":
        damaged: dict[int, DamagedCheckpoint] = {}
        for step in steps:
            try:
                return FoundCheckpoint(self.restore(step), damaged)
            except DamagedCheckpoint as damage:
                damaged[step] = damage
        return FoundCheckpoint(None, damaged)

    def put_aside(self, step: int) -> Path:
        """Moves a damaged checkpoint out of the way, where whoever wants to can still look into it."""
        aside = self._path.parent / "damaged" / str(step)
        aside.parent.mkdir(exist_ok=True)
        number = 1
        while aside.exists():
            number += 1
            aside = aside.with_name(f"{step}-{number}")
        (self._path / str(step)).rename(aside)
        self._manager.reload()
        return aside

    def close(self) -> None:
        with _disk_errors():
            self._manager.close()


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turns what Orbax raises for a full disk into the OSError that it was."""
    try:
        yield
    except ValueError as error:
        if "RESOURCE_EXHAUSTED" in str(error) or "No space left" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def forget_abandoned_reads() -> None:
    """Orbax leaves the other reads of a damaged checkpoint to an event loop that it has closed, and each would print a
    traceback of that."""
    show = sys.unraisablehook
    sys.unraisablehook = lambda found: None if str(found.exc_value) == "Event loop is closed" else show(found)


def checksum(array: np.ndarray) -> str:
    """CRC-32 of an array's bytes, shape and type."""
    array = np.asarray(array)
    head = f"{array.dtype.str}{array.shape}".encode()
    return f"{zlib.crc32(np.ascontiguousarray(array).tobytes(), zlib.crc32(head)):08x}"
