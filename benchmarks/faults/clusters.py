"""Processes of a run over two hosts, and workers and nodes of a Ray cluster, killed; what is left goes on."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.count import Count
from benchmarks.faults.doors import TOO_LONG, Answer, apart, scratch
from benchmarks.faults.subject import RUN, complaint, outcome, prepare, rows_of

HOSTS = [*RUN, "--training.steps", "30", "--run.processes", "2"]

LONG = ["--config", "study.yaml", "--training.steps", "600", "--training.eval_every_steps", "300"]
LONG += ["--run.checkpoint_every_steps", "50", "--executor", "ray", "--address"]


def kill_hosts(kills: int, draw: random.Random) -> Count:
    """Kills a process of a run over two, or both, at random moments, and lets the run end over two."""
    count = Count("kill -9 of a run over two hosts", "the other ends too; goes on, and ends in the same bytes")
    with scratch() as home:
        seconds = 0.0
        for name in ("cold", "straight"):
            led, _ = both(prepare(home / name))
            assert led.code == 0, led.stderr
            seconds = led.seconds
        straight = outcome(home / "straight/runs/run")
        while count.tried < kills:
            place = prepare(home / f"run-{count.tried}")
            for _ in range(min(2, kills - count.tried)):
                doomed = ((0,), (1,), (0, 1))[count.tried % 3]
                answers = both(place, doomed, draw.uniform(0, seconds))
                hung = [process for process, answer in enumerate(answers) if answer.code is None]
                ended = "ended before" if not any(answer.code for answer in answers) else "killed"
                count.take(
                    ended, f"process {hung} went on for {TOO_LONG:.0f} s after a kill of {doomed}" if hung else ""
                )
            led, followed = both(place)
            if led.code or followed.code or outcome(place / "runs/run") != straight:
                count.wrong.append(complaint(led) or complaint(followed) or "other bytes at the end")
    return count


def both(place: Path, doomed: tuple[int, ...] = (), after: float = 0.0) -> list[Answer]:
    """Trains in two processes that meet, kills some of them after some seconds, and waits for both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = f"127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    started = [
        program(place, "train", *HOSTS, "--run.coordinator", meeting, "--run.process", str(process))
        for process in range(2)
    ]
    if doomed:
        time.sleep(after)
    for process in doomed:
        started[process].kill()
    return [ending(process, began) for process in started]


def program(place: Path, name: str, *arguments: str) -> subprocess.Popen:
    """A door as a program of its own."""
    command = [sys.executable, "-m", f"rnnjax.{name}", *arguments]
    return subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ending(process: subprocess.Popen, began: float) -> Answer:
    """Answer of a program, which is killed where it hangs."""
    try:
        said, code = process.communicate(timeout=TOO_LONG), process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        said, code = process.communicate(), None
    return Answer(code, *said, time.monotonic() - began)


def kill_workers(kills: int, draw: random.Random) -> Count:
    """Kills workers and nodes of a Ray cluster while a study runs over it; needs the extra `ray`."""
    try:
        import ray  # noqa: F401
    except ImportError:
        return Count("kill -9 of a Ray worker or node", "the study ends in the same rows; Ray is not installed")
    return apart(partial(_kill_workers, kills, draw))  # Ray's threads would not survive a later fork


def _kill_workers(kills: int, draw: random.Random) -> Count:
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    count = Count("kill -9 of a Ray worker or node", "the study ends in the same rows, in one command")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        with scratch() as home:
            alone = program(prepare(home / "straight"), "ablate", *LONG[: LONG.index("--executor")])
            assert ending(alone, 0.0).code == 0
            straight = rows_of(home / "straight/runs/tiny")
            while count.tried < kills:
                count.take(*strike(nodes, prepare(home / f"study-{count.tried}"), count.tried % 2 == 0, draw, straight))
    finally:
        nodes.shutdown()
    return count


def strike(nodes: Any, place: Path, at_node: bool, draw: random.Random, straight: list) -> tuple[str, str]:
    """Kills a node, or one worker, of a study under way. Returns the outcome, and what is wrong with it."""
    doomed, began = nodes.add_node(num_cpus=1), time.monotonic()
    study = program(place, "ablate", *LONG, nodes.address)
    while study.poll() is None and not any(place.glob("runs/tiny/groups/*/batch-0/checkpoints/[0-9]*")):
        time.sleep(0.05)
    time.sleep(draw.uniform(0, 3))
    under_way = study.poll() is None
    if at_node:
        nodes.remove_node(doomed, allow_graceful=False)
    else:
        for worker in workers()[:1]:
            os.kill(worker, signal.SIGKILL)
    answer = ending(study, began)
    if not at_node:
        nodes.remove_node(doomed)
    if wrong := complaint(answer):
        return "", wrong
    if answer.code or rows_of(place / "runs/tiny") != straight:
        return "", f"exit code {answer.code}, or other rows: {answer.stderr[-160:]}"
    return ("a node died" if at_node else "a worker died") if under_way else "ended before", ""


def workers() -> list[int]:
    """Ray's workers on this machine that train a group."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (place / "cmdline").read_bytes().startswith(b"ray::train_here"):
                found.append(int(place.name))
    return found
