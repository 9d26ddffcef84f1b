"""Checkpoints: Orbax, atomic, the newest few and the best, with checksums of our own over all that they hold."""

import errno
import json
import logging
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.run.background import forget_abandoned_work

Arrays = dict[str, np.ndarray]


class About(NamedTuple):
    """Record that a checkpoint keeps beside its arrays.

    Attributes:
      step: step after which it was saved.
      checksums: checksums of its arrays, by name.
      validation_loss: in nats per character; None where it was not measured.
      origin: the run's config and the fingerprint of its data; empty in a study, and in checkpoints older than it.
    """

    step: int
    checksums: dict[str, str]
    validation_loss: float | None
    origin: dict[str, Any]


class Checkpoint(NamedTuple):
    """Content of a checkpoint: arrays by name, step, validation loss (nats per character), if any, and origin."""

    step: int
    arrays: Arrays
    validation_loss: float | None
    origin: dict[str, Any] = {}  # noqa: RUF012

    @property
    def weights(self) -> Arrays:
        """Weights among the arrays."""
        return {name: array for name, array in self.arrays.items() if name.startswith("params.")}


class DamagedCheckpoint(Exception):
    """Error of a checkpoint that cannot be read back as it was written."""


class FoundCheckpoint(NamedTuple):
    """Checkpoint found, None where none is whole, and the damaged ones that were passed over."""

    checkpoint: Checkpoint | None
    damaged: dict[int, DamagedCheckpoint]


class NewestAndBest:
    """Policy of Orbax that keeps the newest n checkpoints, and the one with the lowest validation loss.

    Orbax's own policy reads the losses from a file without a checksum.
    """

    def __init__(self, newest: int, losses: dict[int, float]) -> None:
        self._newest, self._losses = newest, losses

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        steps = [info.step for info in checkpoints]
        best = min((step for step in steps if step in self._losses), key=self._losses.__getitem__, default=None)
        return [step in steps[-self._newest :] or step == best for step in steps]


class Checkpoints:
    """Checkpoints of a run.

    Attributes:
      origin: config and fingerprint of the run; saved with every checkpoint.
    """

    def __init__(self, path: Path, keep: int = 1, read_only: bool = False) -> None:
        """Opens the directory.

        Args:
          keep: number of newest checkpoints to keep, beside the best.
          read_only: True to read only; the directory must exist.
        """
        import orbax.checkpoint as ocp  # late: takes a third of a second

        logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax logs tracebacks of errors that we report
        forget_abandoned_work()
        self._ocp = ocp
        self._path = path.absolute()
        self._failed = False
        self._losses: dict[int, float] = {}
        self.origin: dict[str, Any] = {}
        alone: dict[str, Any] = {}
        if jax.process_count() > 1:  # each process saves alone, and waits for no other
            path.mkdir(parents=True, exist_ok=True)
            processes = {"primary_host": jax.process_index(), "active_processes": {jax.process_index()}}
            alone = {"multiprocessing_options": ocp.options.MultiprocessingOptions(**processes)}
        self._options = ocp.CheckpointManagerOptions(
            preservation_policy=NewestAndBest(keep, self._losses),
            create=not read_only and not alone,
            read_only=read_only,
            lightweight_initialize=True,  # what Orbax says of a step is not needed, and may be damaged
            **alone,
        )
        self._manager = ocp.CheckpointManager(self._path, options=self._options)
        self._losses |= self.validation_losses()

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, newest first."""
        return sorted(self._manager.all_steps(), reverse=True)

    def save(self, step: int, arrays: Arrays, validation_loss: float | None, metrics: str = "") -> None:
        """Hands the arrays over and returns; a failure is raised by the next call, or by `close`.

        Args:
          metrics: mark of the lines of metrics.jsonl up to the step, if there are any.

        Raises:
          OSError: if the disk is full.
        """
        args = self._ocp.args
        checksums = {name: checksum(array) for name, array in arrays.items()}
        origin = self.origin | ({"metrics": metrics} if metrics else {})
        about = About(step, checksums, validation_loss, origin)
        if validation_loss is not None:
            self._losses[step] = validation_loss
        with self._disk_errors():
            self._manager.save(
                step,
                args=args.Composite(state=args.StandardSave(arrays), about=args.JsonSave(signed(about))),
                force=True,
            )

    def wait(self) -> None:
        """Waits until all that was handed over is on disk."""
        with self._disk_errors():
            self._manager.wait_until_finished()

    def restore(self, step: int) -> Checkpoint:
        """Reads one checkpoint and compares all of it with its checksums.

        Raises:
          DamagedCheckpoint: if it cannot be read, or a checksum differs.
        """
        about, arrays = self.about(step), self._read(step, state=self._ocp.args.StandardRestore())
        if not isinstance(arrays, dict) or arrays.keys() != about.checksums.keys():
            raise DamagedCheckpoint("arrays are missing")
        for name, array in arrays.items():
            if checksum(array) != about.checksums[name]:
                raise DamagedCheckpoint(f"the checksum of {name} differs")
        return Checkpoint(step, arrays, about.validation_loss, about.origin)

    def about(self, step: int) -> About:
        """Reads the record of a checkpoint; raises as `restore` does."""
        return verified(step, self._read(step, about=self._ocp.args.JsonRestore()))

    def mark(self, step: int) -> str | None:
        """Mark of the lines of metrics.jsonl up to a step; None where its checkpoint has none."""
        try:
            return self.about(step).origin.get("metrics")
        except DamagedCheckpoint:
            return None

    def _read(self, step: int, **item: Any) -> Any:
        for folder, _, names in os.walk(self._path / str(step)):  # its run may remove it meanwhile
            for name in names:
                if not Path(folder, name).is_file():  # a pipe would be waited for
                    raise DamagedCheckpoint(f"{name} is no plain file")
        try:
            (content,) = self._manager.restore(step, args=self._ocp.args.Composite(**item)).values()
            return content
        except Exception as error:  # a damaged file can make Orbax raise anything
            reason = str(error).strip().splitlines()
            raise DamagedCheckpoint(
                f"it cannot be read ({reason[0][:100] if reason else type(error).__name__})"
            ) from error

    def abouts(self) -> dict[int, About | DamagedCheckpoint]:
        """Records of all checkpoints, newest first, or their damage."""
        found: dict[int, About | DamagedCheckpoint] = {}
        for step in self.steps():
            try:
                found[step] = self.about(step)
            except DamagedCheckpoint as damage:
                found[step] = damage
        return found

    def validation_losses(self) -> dict[int, float]:
        """Validation loss of every checkpoint that has one, by step."""
        abouts = {step: about for step, about in self.abouts().items() if isinstance(about, About)}
        return {step: about.validation_loss for step, about in abouts.items() if about.validation_loss is not None}

    def kept_origin(self) -> dict[str, Any]:
        """Origin of the run by its newest checkpoint that has one; empty where none does."""
        abouts = (about for about in self.abouts().values() if isinstance(about, About))
        return next((about.origin for about in abouts if about.origin), {})

    def newest(self) -> FoundCheckpoint:
        """Finds the newest checkpoint that is whole."""
        return self._first_whole(self.steps())

    def best(self) -> FoundCheckpoint:
        """Finds the whole checkpoint with the lowest validation loss; the newest where no loss was ever measured."""
        abouts = self.abouts()
        damaged = {step: about for step, about in abouts.items() if isinstance(about, DamagedCheckpoint)}
        losses = {step: about.validation_loss for step, about in abouts.items() if isinstance(about, About)}
        order = lambda step: (math.inf if losses[step] is None else losses[step], -step)
        return self._first_whole(sorted(losses, key=order), damaged)

    def _first_whole(
        self, steps: Iterable[int], damaged: dict[int, DamagedCheckpoint] | None = None
    ) -> FoundCheckpoint:
        damaged = damaged or {}
        for step in steps:
            try:
                return FoundCheckpoint(self.restore(step), damaged)
            except DamagedCheckpoint as damage:
                damaged[step] = damage
        return FoundCheckpoint(None, damaged)

    def put_aside(self, step: int) -> Path:
        """Moves a damaged checkpoint out of the way, and keeps it there to be looked into."""
        aside = self._path.parent / "damaged" / str(step)
        aside.parent.mkdir(exist_ok=True)
        number = 1
        while aside.exists():
            number += 1
            aside = aside.with_name(f"{step}-{number}")
        (self._path / str(step)).rename(aside)
        self._manager.close()  # its `reload` reads what Orbax says of the other steps
        self._manager = self._ocp.CheckpointManager(self._path, options=self._options)
        return aside

    def close(self) -> None:
        """Waits for saves under way; not where one has failed, for which Orbax would wait five minutes."""
        if not self._failed:
            with self._disk_errors():
                self._manager.close()

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turns Orbax's error for a full disk into the OSError that it was."""
        try:
            yield
        except Exception as error:
            self._failed = True
            if isinstance(error, ValueError) and ("RESOURCE_EXHAUSTED" in str(error) or "No space left" in str(error)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise


def signed(about: About) -> dict[str, Any]:
    """Record of a checkpoint as it is written, with a checksum over it."""
    content = json.loads(json.dumps(about._asdict()))
    return {**content, "checksum": text_checksum(content)}


def verified(step: int, content: Any) -> About:
    """The inverse of `signed`.

    Raises:
      DamagedCheckpoint: if it is not the record that was written for this step.
    """
    if isinstance(content, dict) and content.keys() == {"checksums", "validation_loss"}:  # older than its checksum
        content = {"step": step, "origin": {}, **content}
    elif not isinstance(content, dict) or content.pop("checksum", None) != text_checksum(content):
        raise DamagedCheckpoint("the checksum of its record differs")
    if content.keys() != set(About._fields) or content["step"] != step:
        raise DamagedCheckpoint(f"it is not what was saved after step {step:,}")
    return About(**content)


def text_checksum(content: Any) -> str:
    """CRC-32 of a value that JSON can hold."""
    return f"{zlib.crc32(json.dumps(content, sort_keys=True).encode()):08x}"


def checksum(array: np.ndarray) -> str:
    """CRC-32 of an array's bytes, shape and type."""
    array = np.asarray(array)
    head = f"{array.dtype.str}{array.shape}".encode()
    return f"{zlib.crc32(np.ascontiguousarray(array).tobytes(), zlib.crc32(head)):08x}"
