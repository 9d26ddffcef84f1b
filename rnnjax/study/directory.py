"""A study's directory.

runs/<study>/
  study.yaml        study, shared config and command; a command that changes them is refused
  arms.json         every arm: number, name, seed, values of the axes, baseline or not, tuning
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

from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.files import remove_parts, write_whole
from rnnjax.run.directory import FREE_TO_CHANGE as FREE_IN_A_RUN
from rnnjax.run.directory import Lock, as_then, changes, completed, read_yaml, write_environment
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

    def pin(self, study: Study, base: Config, environment: dict[str, Any]) -> None:
        """Writes study.yaml, or checks that a study that has begun is the same.

        Raises:
          UserError: if fields differ; the message lists them.
        """
        path = self.path / "study.yaml"
        # Through JSON: what YAML gives back is to be compared with what it was given.
        new = json.loads(json.dumps({**dataclasses.asdict(study), "config": dataclasses.asdict(base)}))
        new = {"name": new.pop("name"), **new, "command": command()}
        if path.exists():
            # A field that was not there when the study began was what it is by default.
            pinned = completed(read_yaml(path), {"config": as_then()})
            if changed := changes(pinned, new, FREE_TO_CHANGE):
                raise UserError(
                    f"{self.path} began as another study ({changed}); choose another name, or remove the "
                    "directory to begin anew"
                )
        else:
            write_whole(path, yaml.safe_dump(new, sort_keys=False, allow_unicode=True))
        write_environment(self.path / "environment.json", environment)

    def write_arms(self, arms: list[Arm]) -> None:
        write_whole(self.path / "arms.json", json.dumps([to_json(arm) for arm in arms], indent=1) + "\n")


def command() -> str:
    """The command line of this process, ready to be repeated."""
    import shlex

    return shlex.join(["python", "-m", "rnnjax.ablate", *sys.argv[1:]])
