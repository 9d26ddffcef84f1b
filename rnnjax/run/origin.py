"""The origin of a run by its checkpoints: config, data, names and cell, under a checksum of its own."""

from pathlib import Path
from typing import Any

from rnnjax.run.checkpoint import Checkpoints
from rnnjax.run.directory import read_json


def origin_of(run: Path) -> dict[str, Any]:
    """Origin by the newest checkpoint that has one; empty where there is none.

    Keys:
      config: fields, as resolved.
      data: fingerprint of the data.
      names: content of vocabulary.json; its checksum alone in a run older than 0.2.
      cell: SHA-256 of the file of an own cell, if any.
    """
    path = run / "checkpoints"
    if not path.is_dir():
        return {}
    checkpoints = Checkpoints(path, read_only=True)
    try:
        return checkpoints.kept_origin()
    finally:
        checkpoints.close()


def data_of(run: Path) -> str | None:
    """Fingerprint of a run's data, by its checkpoints or else by environment.json."""
    return origin_of(run).get("data") or read_json(run / "environment.json").get("text_sha256")


def cell_of(run: Path) -> str | None:
    """SHA-256 of the file of a run's own cell, by its checkpoints or else by environment.json."""
    return origin_of(run).get("cell") or read_json(run / "environment.json").get("cell_sha256")
