"""The lock of a directory, which two processes may not write at once."""

import fcntl
from pathlib import Path

from rnnjax.errors import UserError


class Lock:
    """Keeps a second process out of a directory, which is made where it is missing."""

    def __init__(self, path: Path, taken: str = "", name: str = ".lock") -> None:
        """Takes the lock, a file of this name; waits for it where `taken` is empty.

        Raises:
          UserError: with the message `taken`, if another process has it; or if the directory cannot be made.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._file = open(path / name, "a")
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
