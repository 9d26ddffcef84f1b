"""A study's directory.

runs/<study>/
  study.yaml        study, shared config, checksums of own cells, command; a command that changes them is refused
  arms.json         every arm: number, name, seed, values of the axes, baseline or not, tuning
                    both have a checksum
  environment.json  versions, device, git commit
  results/          parquet part files; see `study.results`
  samples/          a sample from the network of each finished arm
  groups/<n>/       for each program: plan.json, and its batches, each with a checkpoint until it is finished
  tuning/           the same for the trials of learning rates, if there are any
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from rnnjax import own_cell
from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.files import remove_parts, write_whole
from rnnjax.run.checkpoint import text_checksum
from rnnjax.run.config_file import FREE_TO_CHANGE as FREE_IN_A_RUN
from rnnjax.run.config_file import changes, completed, older_defaults, read_yaml
from rnnjax.run.directory import write_environment
from rnnjax.run.lock import Lock
from rnnjax.run.progress import warn
from rnnjax.study.arms import Arm, to_json
from rnnjax.study.study import Study

FREE_TO_CHANGE = {"command", "config.run.devices", *(f"config.{name}" for name in FREE_IN_A_RUN)}
"""Fields that may differ when a study goes on, as they change no arm."""


class StudyDirectory:
    """An open study. As a context manager it holds the lock that keeps a second process out."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> "StudyDirectory":
        self._lock = Lock(self.path, f"name: another process runs the study in {self.path}; wait, or choose another")
        remove_parts(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def pin(self, study: Study, base: Config, arms: list[Arm], environment: dict[str, Any]) -> None:
        """Writes study.yaml, or checks that a study that has begun is the same, the files of its own cells included.

        Raises:
          UserError: if fields differ; the message lists them.
        """
        path = self.path / "study.yaml"
        # Through JSON: what YAML gives back is to be compared with what it was given.
        new = json.loads(json.dumps({**dataclasses.asdict(study), "config": dataclasses.asdict(base)}))
        new = {"name": new.pop("name"), **new, "cells": cells_of(arms), "command": command()}
        pinned, whole = unsigned(read_yaml(path)) if path.exists() else (None, True)
        unrecorded = {"config": older_defaults(), "cells": new["cells"]}
        if pinned and (changed := changes(completed(pinned, unrecorded), new, FREE_TO_CHANGE)):
            began = "began as another study" if whole else "began as another study, or its study.yaml was changed"
            raise UserError(
                f"{self.path} {began} ({changed}); choose another name, or remove the directory to begin anew"
            )
        if not whole:
            warn(f"{path} was changed; it is written anew")
        if pinned is None or not whole:
            write_whole(path, yaml.safe_dump(signed(new), sort_keys=False, allow_unicode=True))
        write_environment(self.path / "environment.json", environment)

    def write_arms(self, arms: list[Arm]) -> None:
        content = signed({"arms": [to_json(arm) for arm in arms]})
        write_whole(self.path / "arms.json", json.dumps(content, indent=1) + "\n")


def cells_of(arms: list[Arm]) -> dict[str, str]:
    """Own cells of the arms, path/to/file.py:name, each with the beginning of its file's SHA-256."""
    cells = sorted({arm.config.model.cell for arm in arms})
    return {cell: own_cell.checksum(own_cell.read(cell))[:16] for cell in cells if own_cell.is_file(cell)}


def signed(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a file, with a checksum over it."""
    return {**content, "checksum": text_checksum(content)}


def unsigned(content: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The content of a file without its checksum, and False where the two differ; older files have none."""
    rest = {name: value for name, value in content.items() if name != "checksum"}
    return rest, content.get("checksum", text_checksum(rest)) == text_checksum(rest)


def command() -> str:
    """The command line of this process, ready to be repeated."""
    import shlex

    return shlex.join(["python", "-m", "rnnjax.ablate", *sys.argv[1:]])
