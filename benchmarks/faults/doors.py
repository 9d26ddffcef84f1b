"""Doors in forked processes: what a start imports is there already, so that a thousand of them are cheap."""

import contextlib
import ctypes
import os
import pickle
import runpy
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

TOO_LONG = 120.0
"""Seconds after which a door counts as one that hangs."""


class Answer(NamedTuple):
    """Outcome of a door.

    Attributes:
      code: exit code; minus the signal's number where it ended by one; None where it hung, and was killed.
      seconds: from its start to its end.
    """

    code: int | None
    stdout: str
    stderr: str
    seconds: float


class Door:
    """A door under way in a process of its own."""

    def __init__(self, name: str, arguments: list[str], cwd: Path, before: Callable[[], None] | None = None) -> None:
        """Starts `python -m rnnjax.<name>` in a directory, after `before` in the new process."""
        warm_up()
        self._screens = [tempfile.TemporaryFile() for _ in range(2)]
        self._began = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            _become(name, arguments, cwd, before, [screen.fileno() for screen in self._screens])

    def send(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, seconds: float = TOO_LONG) -> Answer:
        """Waits for the end; kills the process where it does not come in time."""
        code = self._end(seconds)
        for screen in self._screens:
            screen.seek(0)
        stdout, stderr = (screen.read().decode(errors="replace") for screen in self._screens)
        return Answer(code, stdout, stderr, time.monotonic() - self._began)

    def _end(self, seconds: float) -> int | None:
        while time.monotonic() - self._began < seconds:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        self.send(signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


def door(name: str, *arguments: str, cwd: Path, before: Callable[[], None] | None = None) -> Answer:
    """Runs a door to its end."""
    return Door(name, [*arguments], cwd, before).wait()


def apart(work: Callable[[], Any]) -> Any:
    """Result of work in a forked process: the threads that reading a checkpoint starts do not survive later forks."""
    warm_up()
    with tempfile.TemporaryFile() as file:
        pid = os.fork()
        if not pid:
            try:
                found = work()
            except Exception as error:
                found = error
            with contextlib.suppress(BaseException):
                pickle.dump(found, file)
                file.flush()
            os._exit(0)
        os.waitpid(pid, 0)
        file.seek(0)
        found = pickle.load(file)
    if isinstance(found, Exception):
        raise found
    return found


def warm_up() -> None:
    """Imports what the doors need, without a backend of JAX: its threads would not survive a fork."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401
    import orbax.checkpoint  # noqa: F401
    import pandas  # noqa: F401

    import rnnjax.loop
    import rnnjax.trained  # noqa: F401

    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called")


def _become(name: str, arguments: list[str], cwd: Path, before: Callable[[], None] | None, screens: list[int]) -> None:
    """Turns a forked process into a door, and never returns."""
    code = 1
    try:
        for number, screen in enumerate(screens, 1):
            os.dup2(screen, number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.chdir(cwd)
        sys.argv = [name, *arguments]
        if before:
            before()
        runpy.run_module(f"rnnjax.{name}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def give_up_rights() -> None:
    """Makes root a user like others, for whom a folder can be read-only; does nothing for others."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capset(header, none)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory for one fault."""
    with tempfile.TemporaryDirectory(prefix="rnnjax-faults-") as path:
        yield Path(path)
