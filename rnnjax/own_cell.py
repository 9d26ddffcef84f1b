"""A cell of the user's own, in a Python file: `--model.cell path/to/file.py:name`.

The file is run once for each content, as an import would. It stands alone: a run keeps a copy and is read back from it.
"""

import hashlib
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from rnnjax.errors import UserError
from rnnjax.model.cells import Cell


def is_file(cell: str) -> bool:
    """True for path/to/file.py:name, as no built-in cell is called."""
    return ":" in cell


def load(cell: str) -> Cell:
    """The cell path/to/file.py:name.

    Raises:
      UserError: if the file cannot be read or run, or has no such cell.
    """
    path, name = parts(cell)
    defined = run(path.resolve(), read(cell))
    found = defined.get(name)
    if isinstance(found, Cell):
        return found
    has = ", ".join(key for key, value in defined.items() if isinstance(value, Cell))
    what = f"is no Cell but {type(found).__name__}" if found is not None else "is not there"
    raise UserError(f"model.cell {cell}: {name} {what}; the file has {f'the cells {has}' if has else 'no cell'}")


def parts(cell: str) -> tuple[Path, str]:
    """The file and the name of path/to/file.py:name."""
    path, _, name = cell.rpartition(":")
    return Path(path), name


def read(cell: str) -> bytes:
    """The content of a cell's file.

    Raises:
      UserError: if it cannot be read.
    """
    try:
        return parts(cell)[0].read_bytes()
    except OSError as error:
        raise UserError(f"model.cell {cell}: {error.strerror}") from None


def checksum(content: bytes) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@cache
def run(path: Path, content: bytes) -> dict[str, object]:
    """The names that a file defines; the same objects each time, so that programs compiled for a cell are found again.

    Raises:
      UserError: if the file does not run.
    """
    module = ModuleType(f"own_cell_{checksum(content)[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # for whatever looks its own module up, such as dataclasses
    try:
        exec(compile(content, str(path), "exec"), vars(module))
    except Exception as error:
        words = str(error).splitlines() or [""]
        raise UserError(f"model.cell {path}: the file does not run: {type(error).__name__}: {words[0]}") from None
    return vars(module)
