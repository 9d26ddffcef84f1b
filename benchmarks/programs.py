"""Running workers side by side: started one after another, then timed in turns."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import PEERS

ROOT = Path(__file__).parents[1]

FEWEST_STEPS = 4
"""Fewest steps of a repetition: first touching a program's memory in a call takes up to a fifth of a large step."""


class WorkerFailed(Exception):
    """A worker ended; the message is the end of what it wrote."""

    @property
    def last_line(self) -> str:
        lines = str(self).strip().splitlines()
        return lines[-1] if lines else "ended without a word"


class Worker:
    """A process of `benchmarks.worker`, with settings in its environment."""

    def __init__(self, *arguments: str, settings: dict[str, str]):
        self.cpu = 0.0
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=ROOT,
            env=os.environ | settings,
        )

    def ask(self, do: str, **order) -> dict:
        """Gives an order, and waits for the answer."""
        try:
            self.process.stdin.write(json.dumps({"do": do, **order}) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.errors.seek(0)
            raise WorkerFailed(self.errors.read()[-2000:])
        answer = json.loads(answer)
        self.cpu += answer["cpu"]
        return answer

    def close(self) -> None:
        """Ends the process: it has nothing to save, and some runtimes are slow to say goodbye."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            stream.close()


@dataclass
class Program:
    """Peer in one style, and its measurements.

    Attributes:
      peer: its name in `PEERS`.
      style: see `Peer`.
      status: ok, or the reason for a missing number.
      losses: losses of the first steps.
      build: seconds from the weights to the end of the first step.
      imported_mb: peak memory when the library and the data were loaded; peak_mb: at the end. Of the process on a CPU,
        of its allocations on an accelerator.
      times: seconds a step, one for each repetition.
    """

    peer: str
    style: str
    status: str = "ok"
    losses: list[float] = field(default_factory=list)
    build: float = 0.0
    imported_mb: float = 0.0
    peak_mb: float = 0.0
    times: list[float] = field(default_factory=list)
    worker: Worker | None = None
    steps: int = 1

    @property
    def title(self) -> str:
        peer = PEERS[self.peer]
        return peer.title if len(peer.styles) == 1 else f"{peer.title}, {self.style}"

    def start(self, cell: str, size: str, seconds: float, settings: dict[str, str]) -> None:
        """Starts and builds, and finds how many steps fill some seconds."""
        self.worker = Worker(self.peer, cell, size, self.style, settings=settings)
        answer = self.worker.ask("build")
        self.losses, self.build = answer["losses"], answer["build"]
        self.imported_mb, self.peak_mb = answer["imported_mb"], answer["peak_mb"]
        # Until a block is long enough: the first ones are slower, or too short to tell.
        while (taken := self.worker.ask("steps", count=self.steps)["seconds"]) < seconds / 2:
            self.steps = max(self.steps + 1, min(10 * self.steps, round(self.steps * seconds / taken)))
        self.steps = max(self.steps, FEWEST_STEPS)

    def measure(self) -> None:
        """One repetition."""
        answer = self.worker.ask("steps", count=self.steps)
        self.times.append(answer["seconds"] / self.steps)
        self.peak_mb = answer["peak_mb"]

    def close(self) -> None:
        if self.worker is not None:
            self.worker.close()
            self.worker = None
