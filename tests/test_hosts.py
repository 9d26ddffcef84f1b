"""One run in two processes, as if on two hosts: the numbers of one process, saved and gone on with by both."""

import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from command import SIGNAL_AT, TINY, Answer, check_refusals, door, message, read_rows, saved_arrays, write_songs

from rnnjax import train
from rnnjax.run.lock import Lock

LONG = [*TINY, "--model.dropout", "0.2"]
LONG += ["--run.precision", "float64", "--training.steps", "21", "--training.log_every_steps", "1"]
LONG += ["--training.eval_every_steps", "10", "--run.checkpoint_every_steps", "10"]
LONG += ["--sampling.every_steps", "10", "--sampling.method", "textbook"]

IMPATIENT = """
import runpy, sys
import rnnjax.run.hosts
rnnjax.run.hosts.SECONDS_TO_MEET = 1
sys.argv = ["train", *sys.argv[1:]]
runpy.run_module("rnnjax.train", run_name="__main__", alter_sys=True)
"""


def both(place, *command, at=None):
    """Trains in two processes, and waits for both. At an audit event, as in `door`, the second interrupts itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = ["--run.coordinator", f"127.0.0.1:{free.getsockname()[1]}", "--run.processes", "2"]
    env = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    started = []
    for process in range(2):
        watched = ["-c", SIGNAL_AT, *at, str(int(signal.SIGINT)), "train"] if at and process == 1 else None
        program = [*(watched or ["-m", "rnnjax.train"]), *command, *meeting, "--run.process", str(process)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([sys.executable, *program], cwd=place, env=env, **pipes))
    try:
        said = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    return [Answer(process.returncode, *words) for process, words in zip(started, said, strict=True)]


@pytest.mark.slow
def test_two_processes_train_as_one_and_stop_and_go_on_together(tmp_path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        write_songs(tmp_path / place / "songs.csv")
    alone = door("train", *LONG, cwd=tmp_path / "one")
    assert alone.code == 0, alone.stderr

    stopped = both(tmp_path / "two", *LONG, at=("os.rename", "00000010.txt"))
    assert [answer.code for answer in stopped] == [130, 130], stopped
    assert "stopped at step 10 of 21, saved at 10" in stopped[0].stdout
    led, followed = both(tmp_path / "two", *LONG)
    assert led.code == followed.code == 0, (led, followed)
    assert "going on from step 10" in led.stdout
    assert "step" not in followed.stdout

    runs = [tmp_path / place / "runs" / "run" for place in ("one", "two")]
    one, two = (read_rows(run) for run in runs)
    assert [row["step"] for row in two] == [*range(1, 22)]
    for name in ("loss", "grad_norm"):
        assert [row[name] for row in two] == pytest.approx([row[name] for row in one], rel=1e-9), name
    of_validation = [[row["validation_loss"] for row in rows if "validation_loss" in row] for rows in (one, two)]
    assert of_validation[1] == pytest.approx(of_validation[0], rel=1e-9)
    (step, ours), (same, theirs) = map(saved_arrays, runs)
    assert step == same == 21
    assert ours.keys() == theirs.keys()
    for name, (dtype, shape, content) in ours.items():
        assert theirs[name][:2] == (dtype, shape), name
        np.testing.assert_allclose(
            np.frombuffer(theirs[name][2], dtype), np.frombuffer(content, dtype), rtol=1e-7, atol=1e-12, err_msg=name
        )
    assert sorted(path.name for path in runs[1].iterdir()) == sorted(path.name for path in runs[0].iterdir())


@pytest.mark.slow
def test_where_the_first_process_cannot_begin_the_other_ends_too(tmp_path):
    write_songs(tmp_path / "songs.csv")
    lock = Lock(tmp_path / "runs" / "run", "taken")
    led, followed = both(tmp_path, *TINY)
    lock.release()
    assert "another process is training in runs/run" in message(led)
    assert "another process of the run cannot begin, and says why" in message(followed)


@pytest.mark.slow
@pytest.mark.parametrize("process", ["0", "1"])
def test_a_process_that_waits_in_vain_says_so(tmp_path, process):
    write_songs(tmp_path / "songs.csv")
    command = [*TINY, "--run.coordinator", "127.0.0.1:1", "--run.processes", "2", "--run.process", process]
    answer = subprocess.run([sys.executable, "-c", IMPATIENT, *command], cwd=tmp_path, capture_output=True, text=True)
    assert "the 2 processes did not meet at 127.0.0.1:1" in message(Answer(answer.returncode, "", answer.stderr))
    assert not (tmp_path / "runs").exists()


def test_what_does_not_fit_is_one_line(here, subtests):
    write_songs(here / "songs.csv")
    cases = [
        (["--run.coordinator", "127.0.0.1"], "run.coordinator is '127.0.0.1', but must be host:port, or auto"),
        (["--run.processes", "2"], "run.processes is 2, but must be 1 without run.coordinator host:port"),
        (["--run.process", "1"], "run.process is 1, but must be at least 0 and below run.processes 1"),
        (["--run.coordinator", "auto", "--task.name", "parity"], "must be empty for the task parity"),
        (["--run.devices", "-1"], "run.devices is -1, but must be at least 0"),
    ]
    check_refusals(subtests, train.main, [([*TINY, *options], line) for options, line in cases])
