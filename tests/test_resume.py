"""A run that was stopped, however roughly, goes on bit for bit. Every part of it is a process of its own."""

import re
import signal

import pytest
from command import TINY, door, outcome, printed, read_rows, write_songs

pytestmark = pytest.mark.slow  # in one process, test_run.py and test_tasks_door.py resume bit for bit too

# 40 steps in dispatches of 7; no period divides another, and the 40 steps are more than a pass through the text.
RUN = [
    *TINY,
    *("--training.steps", "40", "--training.log_every_steps", "2", "--training.eval_every_steps", "16"),
    *("--sampling.every_steps", "13", "--run.checkpoint_every_steps", "15"),
]


def train(place, *options, at=None):
    if not place.exists():
        place.mkdir()
        write_songs(place / "songs.csv")
    return door("train", *RUN, *options, cwd=place, at=at, optimized=True)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The outcome of the run that nothing stopped, and that compiled its programs where the others load them."""
    place = tmp_path_factory.mktemp("straight") / "place"
    printed(train(place, "--run.compilation_cache", "false"))
    return outcome(place / "runs/run")


def test_the_run_is_long_enough_to_prove_something(straight):
    assert straight["step"] == 40
    assert {"params.layers.0.W", "opt_state.1.mu.by", "opt_state.1.nu.V", "carry.0"} <= straight["arrays"].keys()
    assert [*straight["files"]] == [*(f"000000{step}.txt" for step in ("00", "13", "26", "39")), "result.json"]


def test_killed_three_times_and_twice_while_saving_it_ends_in_the_same_bytes(straight, tmp_path):
    place = tmp_path / "place"
    checkpoints = place / "runs" / "run" / "checkpoints"

    # While the first checkpoint is written: nothing to go on from.
    answer = train(place, at=("os.mkdir", "15.orbax-checkpoint-tmp/state", signal.SIGKILL))
    assert answer.code == -signal.SIGKILL
    assert not (checkpoints / "15").exists()
    assert any(checkpoints.glob("15*"))

    # Between checkpoints, with metrics already written that no checkpoint covers.
    answer = train(place, at=("os.rename", "00000026.txt", signal.SIGKILL))
    assert answer.code == -signal.SIGKILL
    assert "going on" not in answer.stdout
    assert read_rows(place / "runs" / "run")[-1]["step"] > 16

    # When a later one is complete but for its name.
    answer = train(place, at=("os.rename", "checkpoints/30.orbax-checkpoint-tmp/state.", signal.SIGKILL))
    assert answer.code == -signal.SIGKILL
    assert re.search("going on from step 1[56] ", answer.stdout)
    assert not (checkpoints / "30").exists()
    assert any(checkpoints.glob("30*"))

    assert re.search("going on from step 1[56] ", printed(train(place)))
    assert outcome(place / "runs/run") == straight


def test_ctrl_c_saves_says_how_to_go_on_and_ends_in_the_same_bytes(straight, tmp_path):
    place = tmp_path / "place"
    answer = train(place, at=("os.rename", "00000026.txt", signal.SIGINT))
    assert answer.code == 130, answer.stderr
    assert "stopped at step 26 of 40, saved at 26; the same command goes on from there" in answer.stdout
    assert "Traceback" not in answer.stderr
    assert not (place / "runs" / "run" / "result.json").exists()

    assert "going on from step 26" in printed(train(place))
    assert outcome(place / "runs/run") == straight
