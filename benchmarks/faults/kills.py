"""Runs and studies killed at random moments, and signals; what was killed goes on, and must end in the same bytes."""

import random
import signal
import time
from pathlib import Path

from benchmarks.faults.count import Count
from benchmarks.faults.doors import Door, door, scratch
from benchmarks.faults.subject import RUN, complaint, outcome, prepare, results

MOST_KILLS = 4
"""Times that one run is killed before it is left alone."""


def kill_runs(kills: int, draw: random.Random) -> Count:
    """Kills a run at random moments of its life, several times, and lets it end."""
    count = Count("kill -9 of a run", "goes on, and ends in the same bytes")
    with scratch() as home:
        straight, seconds = straight_run(prepare(home / "straight"))
        while count.tried < kills:
            place = prepare(home / f"run-{count.tried}")
            for _ in range(min(MOST_KILLS, kills - count.tried)):
                kill_once("train", RUN, place, draw.uniform(0, seconds), count)
            last = door("train", *RUN, cwd=place)
            judge(count, last.code == 0 and outcome(place / "runs/run") == straight, complaint(last))
    return count


def kill_studies(kills: int, draw: random.Random) -> Count:
    """Kills a study at random moments, and lets it end."""
    count, study = Count("kill -9 of a study", "goes on, and ends in the same rows"), ["--config", "study.yaml"]
    with scratch() as home:
        prepare(home / "straight")
        first = door("ablate", *study, cwd=home / "straight")
        second = door("ablate", *study, "--name", "warm", cwd=home / "straight")
        assert first.code == second.code == 0, first.stderr + second.stderr
        straight = results(home / "straight/runs/tiny")
        while count.tried < kills:
            place = prepare(home / f"study-{count.tried}")
            for _ in range(min(MOST_KILLS, kills - count.tried)):
                kill_once("ablate", study, place, draw.uniform(0, second.seconds), count)
            last = door("ablate", *study, cwd=place)
            judge(count, last.code == 0 and results(place / "runs/tiny") == straight, complaint(last))
    return count


def send_signals(sends: int, draw: random.Random) -> Count:
    """Sends polite signals at random moments, or stops a run for a while; it goes on, and ends in the same bytes."""
    count = Count("Ctrl-C, SIGTERM, SIGHUP, SIGSTOP", "130 or the end, within seconds; the same bytes at last")
    with scratch() as home:
        straight, seconds = straight_run(prepare(home / "straight"))
        for turn in range(sends):
            number = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGSTOP)[turn % 4]
            place = prepare(home / f"run-{turn}")
            under_way = Door("train", RUN, place)
            time.sleep(draw.uniform(0, seconds))
            under_way.send(number)
            if number == signal.SIGSTOP:
                time.sleep(0.5)
                under_way.send(signal.SIGCONT)
            answer = under_way.wait()
            wrong = complaint(answer)
            if not wrong and answer.code not in ((0,) if number == signal.SIGSTOP else (0, 130)):
                wrong = f"exit code {answer.code} after {number.name}"
            if not wrong and answer.code == 130 and not answer.stderr.strip():
                wrong = f"no word after {number.name}"
            last = door("train", *RUN, cwd=place)
            if not wrong and (last.code or but_lines(outcome(place / "runs/run")) != but_lines(straight)):
                wrong = f"other bytes after {number.name}: {last.stderr[-120:]}"
            count.take(f"ended with {answer.code}", wrong)
    return count


def but_lines(found: dict) -> dict:
    """An outcome without its metrics: where a run saves and stops, a line ends."""
    return {name: value for name, value in found.items() if name != "metrics"}


def straight_run(place: Path) -> tuple[dict, float]:
    """Outcome of a run that nothing disturbs, and the seconds of one whose programs are compiled."""
    for name in ("run", "warm"):
        answer = door("train", *RUN, "--run.name", name, cwd=place)
        assert answer.code == 0, answer.stderr
    return outcome(place / "runs/run"), answer.seconds


def kill_once(name: str, arguments: list[str], place: Path, seconds: float, count: Count) -> None:
    """Kills a door after some seconds."""
    under_way = Door(name, arguments, place)
    time.sleep(seconds)
    under_way.send(signal.SIGKILL)
    answer = under_way.wait()
    wrong = "" if answer.code == -signal.SIGKILL else complaint(answer)
    count.take("killed" if answer.code else "ended before", wrong)


def judge(count: Count, equal: bool, wrong: str) -> None:
    """Takes the end of what was killed into the count, without another try."""
    if not equal or wrong:
        count.wrong.append(wrong or "other bytes at the end")
