"""Every byte region of every file of a run flipped, cut, emptied, removed, unreadable: found, or the same as before."""

import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.faults.count import Count
from benchmarks.faults.doors import apart, door, give_up_rights, scratch
from benchmarks.faults.subject import RUN, complaint, outcome, prepare
from benchmarks.faults.writes import undisturbed
from rnnjax.run.checkpoint import Checkpoints, DamagedCheckpoint

REGION = 256
"""Bytes of a region in which one bit is flipped."""

SAID = ("rnnjax: ",)

NOT_READ = (".lock", ".png", "commit_success.txt")
"""Ends of names of files that nothing reads back."""


def ways_for(content: bytes, draw: random.Random) -> dict[str, Callable[[Path], None]]:
    """Ways to damage a file, by name: each changes the file at a path."""
    ways: dict[str, Callable[[Path], None]] = {
        "removed": Path.unlink,
        "emptied": lambda path: path.write_bytes(b""),
        "unreadable": lambda path: path.chmod(0),
        "halved": lambda path: path.write_bytes(content[: len(content) // 2]),
    }
    for first in range(0, len(content), REGION):
        place, bit = draw.randrange(first, min(first + REGION, len(content))), 1 << draw.randrange(8)
        flipped = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
        ways[f"bit {bit} of byte {place} flipped"] = lambda path, flipped=flipped: path.write_bytes(flipped) and None
    return ways


def damage_checkpoints(draw: random.Random) -> Count:
    """Damages each file of the newest checkpoint in every way; the newest whole one must hold what it held."""
    with scratch() as home:
        undisturbed(home)
        return apart(partial(_damage_checkpoints, home, draw))


def _damage_checkpoints(home: Path, draw: random.Random) -> Count:
    count = Count("a damaged file of a checkpoint", "the same arrays, or found and the one before taken")
    kept = home / "straight/runs/run/checkpoints"
    held = {step: contents(kept, step) for step in steps_of(kept)}
    for file in sorted(path for path in (kept / str(max(held))).rglob("*") if path.is_file()):
        content = file.read_bytes()
        for name, change in ways_for(content, draw).items():
            if name == "unreadable":  # root reads it still
                continue
            change(file)
            count.take(*judge(kept, held, f"{file.name} {name}"))
            file.write_bytes(content)
    return count


def steps_of(checkpoints: Path) -> list[int]:
    opened = Checkpoints(checkpoints, read_only=True)
    try:
        return opened.steps()
    finally:
        opened.close()


def contents(checkpoints: Path, step: int) -> dict[str, bytes]:
    """Arrays of a checkpoint, as bytes."""
    opened = Checkpoints(checkpoints, read_only=True)
    try:
        return {name: array.tobytes() for name, array in opened.restore(step).arrays.items()}
    finally:
        opened.close()


def judge(checkpoints: Path, held: dict[int, dict[str, bytes]], what: str) -> tuple[str, str]:
    """Outcome of reading the newest whole checkpoint, and what is wrong with it."""
    opened = Checkpoints(checkpoints, read_only=True)
    try:
        found, damaged = opened.newest()
        opened.best()
    except DamagedCheckpoint as damage:
        return "", f"{what}: {damage} came up"
    except Exception as error:
        return "", f"{what}: {type(error).__name__} {str(error)[:80]}"
    finally:
        opened.close()
    if found is None:
        return "", f"{what}: no checkpoint is found"
    if {name: array.tobytes() for name, array in found.arrays.items()} != held[found.step]:
        return "", f"{what}: other arrays were accepted"
    return ("the one before" if damaged or found.step != max(held) else "the same arrays"), ""


def damage_side_files(draw: random.Random, every: int) -> Count:
    """Damages the other files of a finished run in every n-th way, gives the command again, and compares."""
    count = Count("a damaged side file of a run", "mended and said, or one line; the weights as they were")
    with scratch() as home:
        straight = undisturbed(home)
        whole = home / "straight/runs/run"
        files = [path for path in sorted(whole.iterdir()) if path.is_file() and not path.name.endswith(NOT_READ)]
        cases = [(file, *way) for file in files for way in ways_for(file.read_bytes(), draw).items()]
        for file, name, change in cases[draw.randrange(every) :: every]:
            place = prepare(home / "copy")
            run = shutil.copytree(whole, place / "runs/run")
            change(run / file.name)
            answer = door("train", *RUN, cwd=place, before=give_up_rights)
            wrong, same = complaint(answer), outcome_or_none(run) == straight
            told = answer.stderr.strip().startswith(SAID)
            if not wrong and not answer.code and not same and not told:
                wrong = "accepted without a word"
            count.take("mended" if same else "told" if told else "", wrong and f"{file.name} {name}: {wrong}")
            shutil.rmtree(place)
    return count


def outcome_or_none(run: Path) -> dict | None:
    try:
        return outcome(run)
    except (OSError, ValueError):
        return None
