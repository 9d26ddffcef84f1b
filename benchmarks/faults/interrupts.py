"""Signals to a door from its first second to its last: a word at once, exit code 130, and the same bytes at last."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.count import Count
from benchmarks.faults.doors import TOO_LONG, Answer, door, scratch
from benchmarks.faults.kills import but_lines, straight_run
from benchmarks.faults.subject import RUN, STEPS, complaint, outcome, prepare

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

AT_ONCE = 2.0
"""Seconds until the word, on a busy machine."""


def interrupt_starts(sends: int, draw: random.Random, seconds: float = 1.5) -> Count:
    """Interrupts a run that starts as a program of its own, at moments spread evenly over its first seconds."""
    moments = [seconds * (turn + draw.random()) / sends for turn in range(sends)]
    wait = lambda turn, place: time.sleep(moments[turn])
    return interrupt(Count("a signal in a command's first 1.5 s", MEANT), sends, wait)


def interrupt_ends(sends: int, draw: random.Random) -> Count:
    """Interrupts a run that measures its best weights and draws its pictures."""

    def wait(turn: int, place: Path) -> None:
        last, began = place / f"runs/run/checkpoints/{STEPS}", time.monotonic()
        while not last.exists() and time.monotonic() - began < TOO_LONG:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.3))

    return interrupt(Count("a signal while a run concludes", MEANT), sends, wait)


MEANT = "a word at once and 130, or its end; the same bytes at last"


def interrupt(count: Count, sends: int, wait: Callable[[int, Path], None]) -> Count:
    """Interrupts as many runs, each with another signal than the one before, and lets them go on."""
    with scratch() as home:
        straight, _ = straight_run(prepare(home / "straight"))
        for turn in range(sends):
            number, place = SIGNALS[turn % len(SIGNALS)], prepare(home / f"run-{turn}")
            heard, word, answer = interrupted(number, place, lambda turn=turn, place=place: wait(turn, place))
            wrong = fault_of(number, heard, word, answer)
            last = door("train", *RUN, cwd=place)
            if not wrong and (last.code or but_lines(outcome(place / "runs/run")) != but_lines(straight)):
                wrong = f"other bytes: {last.stderr[-120:]}"
            count.take("before the package's first line" if not heard else f"ended with {answer.code}", wrong)
    return count


def interrupted(number: signal.Signals, place: Path, wait: Callable[[], None]) -> tuple[bool, float | None, Answer]:
    """Starts a run and sends a signal after a wait.

    Returns:
      True if the package already listened; the seconds until a word came, None without one; the answer.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        started = subprocess.Popen([sys.executable, "-m", "rnnjax.train", *RUN], cwd=place, stdout=out, stderr=errors)
        began = time.monotonic()
        wait()
        heard, before = listens(started.pid), os.fstat(errors.fileno()).st_size
        started.send_signal(number)
        sent, word = time.monotonic(), None
        while started.poll() is None and time.monotonic() - sent < TOO_LONG:
            if word is None and os.fstat(errors.fileno()).st_size > before:
                word = time.monotonic() - sent
            time.sleep(0.002)
        if word is None and os.fstat(errors.fileno()).st_size > before:
            word = time.monotonic() - sent
        code = started.poll()
        if code is None:
            started.kill()
            started.wait()
        for screen in (out, errors):
            screen.seek(0)
        said = (screen.read().decode(errors="replace") for screen in (out, errors))
        return heard, word, Answer(code, *said, time.monotonic() - began)


def listens(pid: int) -> bool:
    """True if a process catches SIGTERM, as Python alone does not, or ignores it, or has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return True
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigCgt", "SigIgn"))]
    return not masks or any(mask >> (signal.SIGTERM - 1) & 1 for mask in masks)


def fault_of(number: signal.Signals, heard: bool, word: float | None, answer: Answer) -> str:
    """Fault in the answer to a signal; empty where there is none."""
    if not heard:  # Python itself ended it, or the package had come to its first line by then
        return "it hung" if answer.code is None else ""
    if wrong := complaint(answer):
        return f"{number.name} after {answer.seconds:.1f} s: {wrong}"
    if answer.code not in (0, 130):
        return f"exit code {answer.code} after {number.name}"
    if answer.code == 130 and (word is None or word > AT_ONCE):
        return f"{number.name}: {'no word' if word is None else f'a word after {word:.1f} s'}"
    return ""
