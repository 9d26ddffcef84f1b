"""Running a door as a user would: in a process of its own, or in this one where that is enough."""

import contextlib
import csv
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import pytest

from rnnjax import cli, train
from rnnjax.config import Config, DataConfig, ModelConfig, RunConfig, SamplingConfig, TrainingConfig
from rnnjax.errors import UserError
from rnnjax.run.checkpoint import Checkpoints
from rnnjax.run.directory import RunDirectory

TINY = [
    *("--data.path", "songs.csv", "--model.hidden_size", "4"),
    *("--training.batch_size", "2", "--training.sequence_length", "5", "--training.steps_per_dispatch", "7"),
    *("--sampling.length", "20", "--run.platform", "cpu"),
]
"""A network that trains at once, on `write_songs`."""


def saved_arrays(run):
    """The step of a run's newest checkpoint, and its arrays to the bit."""
    opened = Checkpoints(run / "checkpoints", read_only=True)
    try:
        found = opened.restore(opened.steps()[0])
    finally:
        opened.close()
    return found.step, {name: (a.dtype, a.shape, a.tobytes()) for name, a in found.arrays.items()}


class Answer(NamedTuple):
    """Exit code of a command, and the text of its two streams."""

    code: int
    stdout: str
    stderr: str


SIGNAL_AT = """
import os, runpy, sys
event, needle, number, door, *arguments = sys.argv[1:]
sent = False
def watch(name, details):
    global sent
    if name == event and not sent and any(needle in str(detail) for detail in details):
        sent = True
        os.kill(os.getpid(), int(number))
sys.addaudithook(watch)
sys.argv = [door, *arguments]
runpy.run_module(f"rnnjax.{door}", run_name="__main__", alter_sys=True)
"""


def door(name, *arguments, cwd, at=None, optimized=False):
    """Runs `python -m rnnjax.<name>` in a process of its own.

    Args:
      optimized: its programs are compiled as a user's are, and not as those of the tests.
      at: (event, needle, signal): the process sends itself the signal just before Python does something, named by its
        audit event such as os.rename, whose arguments contain the needle.
    """
    if at is None:
        program = ["-m", f"rnnjax.{name}"]
    else:
        event, needle, number = at
        program = ["-c", SIGNAL_AT, event, needle, str(int(number)), name]
    left_out = {"JAX_PLATFORMS", *(["JAX_DISABLE_MOST_OPTIMIZATIONS"] if optimized else [])}
    env = {key: value for key, value in os.environ.items() if key not in left_out}
    done = subprocess.run(
        [sys.executable, *program, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=240
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def call(main, *arguments):
    """Runs a door's main in this process, as `rnnjax.cli.run` does; what it sets for the process is set back."""
    stdout, stderr = io.StringIO(), io.StringIO()
    names = ("jax_enable_x64", "jax_platforms", "jax_default_matmul_precision")
    argv, settings = sys.argv, {name: getattr(jax.config, name) for name in names}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.argv = ["rnnjax", *arguments]
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            cli.run(main)
    except SystemExit as end:
        return Answer(end.code, stdout.getvalue(), stderr.getvalue())
    finally:
        sys.argv = argv
        for name, value in settings.items():
            jax.config.update(name, value)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    raise AssertionError("cli.run came back")


def printed(answer):
    """The screen of a command that ended well."""
    assert answer.code == 0, answer.stderr
    return answer.stdout


def message(answer):
    """The one line with which a command was refused; checks that there is no other."""
    assert answer.code == 2, answer
    assert "Traceback" not in answer.stderr
    noise = re.compile(r"[IWE]\d{4} |WARNING|.*Warning: |  warnings?\.warn")
    lines = [line for line in answer.stderr.splitlines() if line.strip() and not noise.match(line)]
    assert len(lines) == 1, answer.stderr
    assert lines[0].startswith("rnnjax: error: "), answer.stderr
    return lines[0]


def check_refusals(subtests, main, cases):
    """Holds that a door refuses the arguments of each case, (arguments, part of the line), before it makes a file."""
    before = sorted(Path().iterdir())
    for arguments, line in cases:
        with subtests.test(arguments=arguments):
            assert line in message(call(main, *arguments))
            assert sorted(Path().iterdir()) == before


def write_songs(path, count=12, words=12):
    """A CSV file of small songs, the same every time."""
    draw = random.Random(0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["artist", "song", "link", "text"])
        for number in range(count):
            text = " ".join(draw.choice(["la", "sun", "moon", "river", "oh"]) for _ in range(words))
            table.writerow([f"artist {number}", f"song {number}", f"/{number}", text + "\n"])
    return path


def begun_in(place):
    """A directory runs/run in which a run has begun by the config that TINY makes, and saved nothing yet."""
    config = Config(
        data=DataConfig(path="songs.csv"),
        model=ModelConfig(hidden_size=4),
        training=TrainingConfig(batch_size=2, sequence_length=5, steps_per_dispatch=7),
        sampling=SamplingConfig(length=20),
        run=RunConfig(platform="cpu"),
    )
    with RunDirectory(place / "runs" / "run") as directory:
        directory.pin_config(config)
        directory.metrics.write_text('{"step": 1}\n')
    return place / "runs" / "run"


def trained_in(place, *options, count=12):
    """A directory with songs, and a tiny run that was trained on them."""
    write_songs(place / "songs.csv", count)
    with contextlib.chdir(place):
        answer = call(train.main, *TINY, *options)
    assert answer.code == 0, answer.stderr
    return place


def outcome(run):
    """All that two equal runs must share, to the bit: step, arrays, metrics but for the clock, samples, results."""
    run = Path(run)
    step, arrays = saved_arrays(run)
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in read_rows(run)]
    files = [*sorted((run / "samples").iterdir()), *run.glob("result.json"), *run.glob("predictions.jsonl")]
    return {"step": step, "arrays": arrays, "metrics": rows, "files": {file.name: file.read_text() for file in files}}


def complaint(function, *arguments, **options):
    """The one line of the UserError with which a function refuses its arguments."""
    with pytest.raises(UserError) as raised:
        function(*arguments, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def read_rows(run):
    """The lines of a run's metrics."""
    return [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
