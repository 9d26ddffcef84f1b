"""A run's directory: the places of its parts, and the parts that are pinned when it begins.

runs/<name>/
  config.yaml         every field, as resolved
  environment.json    versions, device, git commit, and the fingerprints of the data and of a cell's file
  cell.py             the file of a cell that is the user's own, by which the run is read back
  vocabulary.json     the characters in the order of their ids, and a task's labels
  metrics.jsonl       one object a line; see `run.metrics`
  samples/            songs, or other samples of the task, one file each, named by step
  checkpoints/        Orbax: the newest and the best
  loss.png gradient_norm.png
  result.json         the held-out losses and a task's metrics, once the run is complete
  predictions.jsonl   the answer of a task's network to each held-out example, and the truth
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml

from rnnjax import own_cell
from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.files import read_text, remove_parts, write_whole
from rnnjax.run.config_file import changed_numbers, completed, difference, older_defaults, read_yaml
from rnnjax.run.lock import Lock
from rnnjax.run.progress import warn

CELL = "cell.py"


class RunDirectory:
    """An open run. As a context manager it holds the lock that keeps a second process out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.jsonl"

    def __enter__(self) -> "RunDirectory":
        taken = f"run.name: another process is training in {self.path}; wait, or choose another name"
        self._lock = Lock(self.path, taken)
        self.samples.mkdir(exist_ok=True)
        remove_parts(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def pin_config(self, config: Config, kept: dict[str, Any] | None = None) -> None:
        """Writes the config of a new run; for one that exists, checks that it is the same.

        Args:
          kept: the config by the run's checkpoints, where they know it: config.yaml may have been lost or changed.

        Raises:
          UserError: with the list of fields that differ.
        """
        path = self.path / "config.yaml"
        new = dataclasses.asdict(config)
        pinned = completed(kept, older_defaults()) if kept else self._pinned()
        if pinned and (changed := changed_numbers(pinned, new)):
            raise UserError(
                f"{self.path} was started with another config ({changed}); choose another run.name, or "
                "remove the directory to begin anew"
            )
        if kept and (how := difference(path, kept)):
            warn(f"{path} {how}; it is written anew, as the checkpoints have it")
        write_whole(path, yaml.safe_dump(new, sort_keys=False))

    def _pinned(self) -> dict | None:
        """Config of a run that has begun, fields that it does not record by `older_defaults`."""
        path = self.path / "config.yaml"
        has_begun = any(self.checkpoints.glob("[0-9]*"))
        if not path.exists() and has_begun:
            raise UserError(
                f"{self.path} has checkpoints, but its config.yaml is gone; put it back, or remove the directory to "
                "begin anew"
            )
        try:
            return completed(read_yaml(path), older_defaults()) if path.exists() else None
        except UserError as error:
            if has_begun:
                raise
            warn(f"{error}; the run has no checkpoint yet, and begins anew")
            return None

    def pin_cell(self, content: bytes, kept: str | None = None) -> str:
        """Copies the file of a new run's own cell; for a run that exists, checks that it is the same.

        Args:
          kept: the SHA-256 by the run's checkpoints, where they know it: the copy may have been lost or changed.

        Returns:
          Its SHA-256.

        Raises:
          UserError: if the file is another.
        """
        path, given = self.path / CELL, own_cell.checksum(content)
        has = own_cell.checksum(path.read_bytes()) if path.is_file() else None
        if (kept or has or given) != given:
            raise UserError(
                f"model.cell: the file is not the one that {self.path} was started with, which is kept in {path}; "
                "choose another run.name, or take that file"
            )
        write_again(path, content)
        return given

    def pin_data(self, fingerprint: str, environment: dict[str, Any], kept: str | None = None) -> None:
        """Writes the environment of a new run; for one that exists, checks that it reads the same data.

        The versions of a resumed run are added to a list, since they decide whether its numbers go on bit for bit.

        Args:
          kept: the fingerprint by the run's checkpoints, where they know it.
        """
        path = self.path / "environment.json"
        before = _environment_before(path)
        if (kept or before.get("text_sha256", fingerprint)) != fingerprint:
            raise UserError(f"data.path: the text is not the one that {self.path} was started with")
        _write_environment(path, {"text_sha256": fingerprint, **environment}, before)

    def write_sample(self, step: int, text: str) -> None:
        """Writes the sample of a step."""
        write_whole(self.samples / f"{step:08d}.txt", text)


def write_again(path: Path, content: str | bytes) -> None:
    """Writes a file whose content is known from elsewhere, and says so where it had another."""
    content = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() != content:
        warn(f"{path} was changed; it is written anew")
    write_whole(path, content)


def write_environment(path: Path, environment: dict[str, Any]) -> None:
    """Writes versions and machine; others from before are kept in the file's list `earlier`."""
    _write_environment(path, environment, _environment_before(path))


def _write_environment(path: Path, environment: dict[str, Any], before: dict[str, Any]) -> None:
    earlier = before.pop("earlier", [])
    earlier = earlier if isinstance(earlier, list) else []
    earlier += [before] if before and before != environment else []
    write_whole(path, json.dumps({**environment, "earlier": earlier} if earlier else environment, indent=2) + "\n")


def _environment_before(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return read_json(path)
    except UserError as error:
        warn(f"{error}; it is written anew, and what it said of earlier versions is lost")
        return {}


def read_json(path: Path) -> dict:
    """Reads the object in a JSON file.

    Raises:
      UserError: if it is missing or damaged.
    """
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{path} is missing or damaged: it is no JSON object")
    return content
