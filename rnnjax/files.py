"""Files that survive a crash and a power cut: written whole, in one move."""

import errno
import os
from pathlib import Path

from rnnjax.errors import UserError


def write_whole(path: Path, content: str | bytes) -> None:
    """Replaces a file in one move: a reader, a crash or a power cut finds the old content or the new one.

    The folder is written through to the disk as well, or the name might be lost with the power.

    Raises:
      UserError: if the file is a directory.
    """
    if path.is_dir():
        raise UserError(f"{path} is a directory, where a file is to be written; move it away")
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_text(path: Path) -> str:
    """Reads a text in UTF-8.

    Raises:
      OSError: if it is no plain file; reading a pipe would wait for its writer.
      ValueError: if it is not UTF-8.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return path.read_text(encoding="utf-8")


def remove_parts(folder: Path) -> None:
    """Removes what a process that was killed while it wrote has left in a folder and below it."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Writes a folder's list of names through to the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
