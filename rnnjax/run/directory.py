"""A run's directory: who may write in it, what it was started with, and where its parts are.

runs/<name>/
  config.yaml         every field, as resolved
  environment.json    versions, device, git commit, and the fingerprint of the text
  vocabulary.json     the characters in the order of their ids, and a task's labels
  metrics.jsonl       one object a line; see `run.metrics`
  samples/            songs, or what else the task writes, one file each, named by step
  checkpoints/        Orbax: the newest and the best
  loss.png gradient_norm.png
  result.json         the held-out losses and a task's metrics, once the run is complete
  predictions.jsonl   what a task's network says of each held-out example, and the truth
"""

import dataclasses
import fcntl
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.run.yaml_keys import given_twice

FREE_TO_CHANGE = {
    *("run.root", "sampling.show_every_steps", "run.compilation_cache", "run.tensorboard"),
    *("run.coordinator", "run.processes", "run.process"),
}
"""Fields that a resumed run may differ in: they change no number."""


class Lock:
    """Keeps a second process out of a directory, which is made where it is missing."""

    def __init__(self, path: Path, taken: str = "") -> None:
        """Takes the lock; without a word for that it is taken, waits for it.

        Raises:
          UserError: `taken`, if another process has it; or if the directory cannot be made.
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
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def pin_config(self, config: Config) -> None:
        """Writes the config of a new run; for one that exists, checks that it is the same.

        Raises:
          UserError: with the list of fields that differ.
        """
        path = self.path / "config.yaml"
        new = dataclasses.asdict(config)
        if path.exists():
            # A field that was not there when the run began was what it is by default.
            pinned = completed(read_yaml(path), dataclasses.asdict(Config()))
            if changed := changes(pinned, new, FREE_TO_CHANGE):
                raise UserError(
                    f"{self.path} was started with another config ({changed}); choose another run.name, or "
                    "remove the directory to begin anew"
                )
        write_whole(path, yaml.safe_dump(new, sort_keys=False))

    def pin_text(self, environment: dict[str, Any]) -> None:
        """Writes the environment of a new run; for one that exists, checks that it reads the same text.

        The versions of a resumed run are added to a list, since they decide whether its numbers go on bit for bit.
        """
        path = self.path / "environment.json"
        if path.exists() and read_json(path).get("text_sha256") != environment["text_sha256"]:
            raise UserError(f"data.path: the text is not the one that {self.path} was started with")
        write_environment(path, environment)

    def write_sample(self, step: int, text: str) -> Path:
        path = self.samples / f"{step:08d}.txt"
        write_whole(path, text)
        return path


def completed(given: dict, defaults: dict) -> dict:
    """The given fields, and the defaults of those that are missing."""
    return given | {
        key: completed(given.get(key, {}), value) if isinstance(value, dict) else given.get(key, value)
        for key, value in defaults.items()
    }


def changes(old: dict, new: dict, free: Collection[str]) -> str:
    """The differences as words for the screen, those in the free fields apart; empty where there are none."""
    return "; ".join(f"{name}: {before} -> {now}" for name, before, now in differences(old, new) if name not in free)


def write_environment(path: Path, environment: dict[str, Any]) -> None:
    """Writes versions and machine; where a file has others from before, these are kept in its list `earlier`."""
    if path.exists():
        before = read_json(path)
        earlier = before.pop("earlier", [])
        earlier += [before] if before != environment else []
        environment = {**environment, "earlier": earlier} if earlier else environment
    write_whole(path, json.dumps(environment, indent=2) + "\n")


def differences(old: dict, new: dict, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """What differs between two nested mappings: (dotted name, old, new) each, None where it is missing."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append((f"{prefix}{key}", before, after))
    return found


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{path} is missing or damaged: it is no JSON object")
    return content


def write_whole(path: Path, text: str) -> None:
    """Replaces a file in one move: a reader, or a crash, finds the old text or the new one, nothing between."""
    part = path.with_name(f".{path.name}.part")
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
