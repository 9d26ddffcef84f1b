"""Disks that are full at every size, folders that cannot be written to, and every file operation failed in turn."""

import errno
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.faults.count import Count
from benchmarks.faults.doors import Answer, door, give_up_rights, scratch
from benchmarks.faults.subject import RUN, complaint, outcome, prepare

LARGEST = 320
"""Kilobytes in which the whole run has room."""

EVENTS = {"open", "os.mkdir", "os.rename"}


def fill_disks(sizes: int) -> Count:
    """Runs on file systems of rising size until it is full, then again with room; needs the right to mount."""
    count = Count("a disk that is full at some size, then room", "one line; goes on to the same bytes")
    with scratch() as home:
        disk = home / "disk"
        disk.mkdir()
        if not mount(disk, "8m"):
            return count
        unmount(disk)
        straight = undisturbed(home)
        for turn in range(sizes):
            size = 4 + turn * (LARGEST - 4) // max(sizes - 1, 1)
            mount(disk, f"{size}k")
            try:
                first = door("train", *RUN, "--data.path", str(home / "straight/songs.csv"), cwd=disk)
                subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
                take(count, first, disk, straight, f"{size} kB", "--data.path", str(home / "straight/songs.csv"))
            finally:
                unmount(disk)
    return count


def fail_operations(most: int) -> Count:
    """Fails the n-th file operation of Python's and all after it, for each n; then lets them succeed again."""
    count = Count("the n-th file operation and all after it fail, then none", "one line; goes on to the same bytes")
    with scratch() as home:
        straight = undisturbed(home)
        for turn in range(most):
            place = prepare(home / f"run-{turn}")
            first = door("train", *RUN, cwd=place, before=lambda turn=turn: fail_from(turn))
            if first.code == 0:
                break
            take(count, first, place, straight, f"operation {turn}")
    return count


def lock_folders() -> Count:
    """Takes the right to write from each folder of a run that is half done, and gives it back."""
    count = Count("a folder that cannot be written to, then can", "one line; goes on to the same bytes")
    with scratch() as home:
        straight = undisturbed(home)
        for folder in (".", "samples", "checkpoints", "checkpoints/20"):
            place = prepare(home / folder.replace("/", "-").replace(".", "all"))
            half = door("train", *RUN, "--training.steps", "20", cwd=place)
            assert half.code == 0, half.stderr
            locked = place / "runs/run" / folder
            locked.chmod(0o555)
            first = door("train", *RUN, cwd=place, before=give_up_rights)
            locked.chmod(0o755)
            take(count, first, place, straight, folder)
    return count


def take(count: Count, first: Answer, place: Path, straight: dict, where: str, *more: str) -> None:
    """Takes a fault and the run that goes on after it into the count."""
    wrong = complaint(first)
    again = door("train", *RUN, *more, cwd=place)
    if not wrong and (again.code or complaint(again)):
        wrong = f"does not go on: {complaint(again) or again.stderr[-160:]}"
    if not wrong and outcome(place / "runs/run") != straight:
        wrong = "other bytes at the end"
    if not wrong and [*(place / "runs").rglob("*.part")]:
        wrong = "a .part file stays"
    count.take("one line" if first.code else "had room", wrong and f"{where}: {wrong}")


def undisturbed(home: Path) -> dict:
    """Outcome of the run that nothing disturbs."""
    answer = door("train", *RUN, cwd=prepare(home / "straight"))
    assert answer.code == 0, answer.stderr
    return outcome(home / "straight/runs/run")


def fail_from(first: int) -> None:
    """Lets the operations in the run's directory fail from the n-th on, as on a full disk."""
    seen = 0

    def watch(event: str, details: tuple) -> None:
        nonlocal seen
        if event not in EVENTS or not any("runs" in str(detail) for detail in details[:2]):
            return
        if event == "open" and not (isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        seen += 1
        if seen > first:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sys.addaudithook(watch)


def mount(place: Path, size: str) -> bool:
    """Mounts a file system of a size in memory. Returns False where that is not allowed."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True)
    return done.returncode == 0


def unmount(place: Path) -> None:
    subprocess.run(["umount", str(place)], check=True)
