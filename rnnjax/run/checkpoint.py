"""Checkpoints: Orbax, atomic, the newest few and the best, with a checksum of our own for every array."""

import logging
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]


class Checkpoint(NamedTuple):
    """What a checkpoint holds: arrays by name, the step, and the validation loss (nats per character), if any."""

    step: int
    arrays: Arrays
    validation_loss: float | None


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be read back as it was written."""


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
        options = ocp.CheckpointManagerOptions(
            best_fn=metric,
            best_mode="min",
            preservation_policy=newest_and_best,
            create=not read_only,
            read_only=read_only,
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

    def best_step(self) -> int | None:
        """The step with the lowest validation loss; None where it was never read."""
        losses = self.validation_losses()
        return min(losses, key=losses.__getitem__, default=None)

    def newest(self) -> Iterator[Checkpoint | tuple[int, DamagedCheckpoint]]:
        """Checkpoints from the newest back to the first that is whole; for a damaged one, its step and the damage."""
        for step in self.steps():
            try:
                yield self.restore(step)
                return
            except DamagedCheckpoint as damage:
                yield step, damage

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


class _disk_errors:
    """Turns what Orbax raises for a full disk into the OSError that it was."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError) and ("RESOURCE_EXHAUSTED" in str(error) or "No space left" in str(error)):
            raise OSError(28, "No space left on device") from error


def checksum(array: np.ndarray) -> str:
    """CRC-32 of an array's bytes, shape and type."""
    array = np.asarray(array)
    head = f"{array.dtype.str}{array.shape}".encode()
    return f"{zlib.crc32(np.ascontiguousarray(array).tobytes(), zlib.crc32(head)):08x}"
