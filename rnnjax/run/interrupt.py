"""Interrupts: one answer to Ctrl-C, SIGTERM and a closed terminal, from a door's first line to its last.

A door run as a program hears these signals in a thread of its own, for which nobody waits: Python's own handlers run
only between two lines of the main thread, which may be inside the compiler for seconds, and the KeyboardInterrupt that
they raise may come up in a library that swallows it, or in one that crashes when it is torn down half-way.
"""

import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SECONDS_TO_FLUSH = 1.0

_NAME = "signals"
"""Name of the thread that listens."""

_under_way: list["Interrupt"] = []
"""Interrupts that are entered; a signal asks the last."""


class Interrupt:
    """Context in which a signal asks the loop to save and stop, and a second one ends the process at once.

    Attributes:
      asked: True once a signal came.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "Interrupt":
        _under_way.append(self)
        in_main_thread = threading.current_thread() is threading.main_thread()
        numbers = SIGNALS if in_main_thread and not _is_listening() else ()
        self._before = {number: signal.signal(number, self._hear) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        if self in _under_way:
            _under_way.remove(self)
        self._put_back()

    def ask(self) -> None:
        self.asked = True
        _say("stopping after the steps under way, and saving; once more ends at once")

    def _hear(self, number: int, frame: object) -> None:
        """Hears a signal without the listening thread, as in a notebook: the next signal does what it did before."""
        self._put_back()
        self.ask()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def listen() -> None:
    """Answers the signals for the rest of the process.

    A signal that the process was told to ignore stays ignored, except Ctrl-C, which a shell turns off in background
    jobs.
    """
    if _is_listening():
        return
    heard, speak = os.pipe()
    os.set_blocking(speak, False)
    for number in SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave_it_to_the_thread)
    signal.set_wakeup_fd(speak, warn_on_full_buffer=False)
    threading.Thread(target=_answer, args=(heard,), name=_NAME, daemon=True).start()


def done() -> None:
    """Ignores the signals from now on: the work is done, and they would end Python on its way out."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _is_listening() -> bool:
    return any(thread.name == _NAME for thread in threading.enumerate())


def _leave_it_to_the_thread(number: int, frame: object) -> None:
    pass


def _answer(heard: int) -> None:
    while True:
        number = os.read(heard, 1)[0]
        if number not in SIGNALS:
            continue
        if number == signal.SIGHUP:
            _turn_the_screen_off()
        if _under_way and not _under_way[-1].asked:
            _under_way[-1].ask()
        else:
            _say("interrupted; what was saved before is intact")
            leave(INTERRUPTED)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"\nrnnjax: {line}\n".encode())


def _turn_the_screen_off() -> None:
    """Sends output to nowhere, so that printing does not fail once the terminal is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for screen in (1, 2):
        if os.isatty(screen) or not _can_be_written(screen):
            os.dup2(nowhere, screen)


def _can_be_written(screen: int) -> bool:
    try:
        return os.write(screen, b"") == 0
    except OSError:
        return False


def leave(code: int) -> NoReturn:
    """Ends the process where it stands. Every file is whole: one being written has a temporary name."""
    flush = threading.Thread(target=sys.stdout.flush, daemon=True)
    flush.start()
    flush.join(SECONDS_TO_FLUSH)  # whoever was to read may have stopped
    os._exit(code)
