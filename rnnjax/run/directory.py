"""A run's directory: its lock, its config, and the places of its parts.

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
import fcntl
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from rnnjax.config import OLDER, Config
from rnnjax.errors import UserError
from rnnjax.files import remove_parts, write_whole
from rnnjax.run.progress import warn
from rnnjax.run.yaml_keys import given_twice

FREE_TO_CHANGE = {
    *("data.path", "run.root", "sampling.show_every_steps"),
    *("run.compilation_cache", "run.threads", "run.tensorboard"),
    *("run.coordinator", "run.processes", "run.process"),
}
"""Fields that a resumed run may differ in: they change no number, as the data are known by their checksum."""


CELL = "cell.py"


class Lock:
    """Keeps a second process out of a directory, which is made where it is missing."""

    def __init__(self, path: Path, taken: str = "") -> None:
        """Takes the lock; waits for it where `taken` is empty.

        Raises:
          UserError: with the message `taken`, if another process has it; or if the directory cannot be made.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._file = open(path / ".lock", "a")
        except OSError as error:
            raise UserError(f"run.root, run.name: cannot make {path}: {error.strerror}") from None
        try:
            # The kernel drops this lock with the process, however it ends: no stale lock can stay behind.
            fcntl.flock(self._file, fcntl.LOCK_EX | (fcntl.LOCK_NB if taken else 0))
        except BlockingIOError:
            self._file.close()
            raise UserError(taken) from None

    def release(self) -> None:
        self._file.close()


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
        pinned = completed(kept, as_then()) if kept else self._pinned()
        if pinned and (changed := changed_numbers(pinned, new)):
            raise UserError(
                f"{self.path} was started with another config ({changed}); choose another run.name, or "
                "remove the directory to begin anew"
            )
        if kept and (how := difference(path, kept)):
            warn(f"{path} {how}; it is written anew, as the checkpoints have it")
        write_whole(path, yaml.safe_dump(new, sort_keys=False))

    def _pinned(self) -> dict | None:
        """Config of a run that has begun. A field that did not exist then is `as_then`."""
        path = self.path / "config.yaml"
        has_begun = any(self.checkpoints.glob("[0-9]*"))
        if not path.exists() and has_begun:
            raise UserError(
                f"{self.path} has checkpoints, but its config.yaml is gone; put it back, or remove the directory to "
                "begin anew"
            )
        try:
            return completed(read_yaml(path), as_then()) if path.exists() else None
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
        path, given = self.path / CELL, hashlib.sha256(content).hexdigest()
        has = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
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

    def write_sample(self, step: int, text: str) -> Path:
        path = self.samples / f"{step:08d}.txt"
        write_whole(path, text)
        return path


def difference(path: Path, kept: dict[str, Any]) -> str:
    """Difference of a config file to the kept one, in words; empty where no number would change."""
    if not path.exists():
        return "is gone"
    try:
        changed = changed_numbers(completed(kept, as_then()), completed(read_yaml(path), as_then()))
    except UserError:
        return "is damaged"
    return f"was changed ({changed})" if changed else ""


def changed_numbers(old: dict, new: dict) -> str:
    """Differences in words without those that change no number of the steps so far: free fields, and more steps."""
    steps, more = old["training"]["steps"], new["training"]["steps"]
    longer = isinstance(steps, int) and isinstance(more, int) and more > steps
    return changes(old, new, FREE_TO_CHANGE | ({"training.steps"} if longer else set()))


def with_free_fields(kept: dict[str, Any], path: Path) -> dict[str, Any]:
    """A kept config with the free fields that a config file has: the data may have moved since it was kept."""
    try:
        now = completed(read_yaml(path), as_then())
    except UserError:
        return kept
    found = {section: dict(fields) for section, fields in completed(kept, as_then()).items()}
    for section, _, name in (name.partition(".") for name in FREE_TO_CHANGE):
        found[section][name] = now[section][name]
    return found


def write_again(path: Path, content: str | bytes) -> None:
    """Writes a file whose content is known from elsewhere, and says so where it had another."""
    content = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() != content:
        warn(f"{path} was changed; it is written anew")
    write_whole(path, content)


def as_begun(config: Config, run: Path, kept: dict[str, Any] | None = None) -> Config:
    """Config that goes on with a run: what it leaves open, or the run is too old to say, is as the run began.

    Args:
      kept: the run's own by its checkpoints, where they know it.
    """
    path = run / "config.yaml"
    try:
        said = kept or (read_yaml(path) if path.exists() else {})
        begun = completed(said, as_then())
    except UserError:
        return config  # said where it is pinned
    if not said:
        return config
    for section, fields in OLDER.items():
        then = {name: value for name, value in fields.items() if name not in said.get(section, {})}
        for name, value in then.items():
            if getattr(getattr(config, section), name) != value:
                warn(f"{run} is older than {section}.{name}; it goes on with {value}, as it began")
        config = dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **then)})
    unroll = begun["model"]["scan_unroll"]
    chosen = config.model.scan_unroll or (unroll if isinstance(unroll, int) and unroll > 0 else 0)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, scan_unroll=chosen))


def as_then() -> dict:
    """Fields of a config, each as it is in a run that is too old to say."""
    return completed(OLDER, dataclasses.asdict(Config()))


def completed(given: dict, defaults: dict) -> dict:
    """Given fields, and the defaults of those that are missing."""
    filled = dict(given)
    for key, value in defaults.items():
        has = given.get(key, value)
        if isinstance(value, dict) and not isinstance(has, dict):
            raise UserError(f"config.yaml is damaged: {key} is {str(has)[:40]!r}, but must be a group of fields")
        filled[key] = completed(has, value) if isinstance(value, dict) else has
    return filled


def changes(old: dict, new: dict, free: Collection[str]) -> str:
    """Differences in words, without those in the free fields; empty where there are none."""
    return "; ".join(f"{name}: {before} -> {now}" for name, before, now in differences(old, new) if name not in free)


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


def differences(old: dict, new: dict, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Differences between two nested mappings: (dotted name, old, new) each, None where a value is missing."""
    found = []
    for key in sorted(old.keys() | new.keys(), key=str):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append((f"{prefix}{key}", before, after))
    return found


def read_yaml(path: Path) -> dict:
    """Reads the mapping in a YAML file.

    Raises:
      UserError: if it is missing, damaged, or gives a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        twice = given_twice(text)
        content = yaml.safe_load(text)
    except (OSError, yaml.YAMLError, ValueError):  # one of these is that it is not UTF-8
        content = twice = None
    if twice:
        raise UserError(f"{path}: {twice}")
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it is no YAML mapping")
    return content


def read_json(path: Path) -> dict:
    """Reads the object in a JSON file.

    Raises:
      UserError: if it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{path} is missing or damaged: it is no JSON object")
    return content
