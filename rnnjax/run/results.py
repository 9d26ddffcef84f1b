"""Results of an analysis: a directory, and the findings as JSON."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from rnnjax.errors import UserError
from rnnjax.files import write_whole


def make_directory(path: Path) -> None:
    """Makes the directory of --out.

    Raises:
      UserError: if it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out: cannot make {path}: {error.strerror}") from None


def write_json(path: Path, found: dict) -> None:
    """Writes findings as JSON; a number that is not finite is null."""
    write_whole(path, json.dumps(plain(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """Plain values for JSON: arrays as lists, records as objects, numbers that are not finite as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
