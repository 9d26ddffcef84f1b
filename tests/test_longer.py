"""A run trained longer, a run that begins with another's weights, an average of checkpoints, data that moved."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import TINY, call, message, outcome, printed, read_rows, trained_in

from rnnjax import checkpoints, export, load, sample, train
from rnnjax.run.checkpoint import Checkpoints
from rnnjax.tasks import make_task
from rnnjax.trained import read_config
from rnnjax.training.state import to_arrays

RUN = [
    *TINY,
    *("--training.log_every_steps", "5", "--training.eval_every_steps", "10", "--run.checkpoint_every_steps", "10"),
    *("--sampling.every_steps", "0", "--run.keep_checkpoints", "3"),
]


def run(steps, *more):
    return call(train.main, *RUN, "--training.steps", str(steps), *more)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A directory with a run of 40 steps."""
    return trained_in(tmp_path_factory.mktemp("place"), *RUN, "--training.steps", "40")


def test_a_run_of_20_steps_trained_on_to_40_is_the_run_of_40(straight, tmp_path, monkeypatch):
    shutil.copy(straight / "songs.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(20).code == 0
    answer = run(40)
    assert (answer.code, answer.stderr) == (0, "")
    assert "training.steps is 40 now, where it was 20; the learning rate stays as it was" in answer.stdout
    there, here = straight / "runs/run", tmp_path / "runs/run"
    assert outcome(here) == outcome(there)
    assert "training.steps: 40 -> 30" in message(run(30))
    last, result = answer.stdout.split("step 40/40")[1].splitlines()[0], json.loads((here / "result.json").read_text())
    assert f"validation {read_rows(here)[-1]['validation_loss']:#.4g}" in last
    assert result["step"] == 40


def test_a_schedule_that_ends_with_the_run_is_told(straight, tmp_path, monkeypatch):
    shutil.copy(straight / "songs.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    falls = ["--optimizer.decay", "cosine", "--optimizer.learning_rate", "0.01"]
    assert run(10, *falls).code == 0
    assert "the cosine of its rate now ends there: after step 10 it is 0.0046, not 0" in run(20, *falls).stdout


def test_a_run_begins_with_the_weights_of_another(straight, monkeypatch):
    monkeypatch.chdir(straight)
    still = ["--run.name", "warm", "--run.init_from", "runs/run", "--optimizer.learning_rate", "1e-30"]
    assert "; the weights of step 40 of runs/run to begin with" in printed(run(5, *still))
    ours, theirs = (to_arrays(load(f"runs/{name}").params) for name in ("warm", "run"))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    shutil.move("runs/run", "runs/moved")
    try:
        assert run(5, *still).code == 0
    finally:
        shutil.move("runs/moved", "runs/run")
    wide = ["--run.name", "wide", "--run.init_from", "runs/run", "--model.hidden_size", "5"]
    assert "params.layers.0.U is float32[16, 4], where float32[16, 5] is needed" in message(run(5, *wide))
    Path("other.txt").write_text("abcdefgh\n" * 200)
    other = ["--run.name", "other", "--run.init_from", "runs/run", "--data.path", "other.txt"]
    assert "the characters of runs/run are not those of data.path" in message(run(5, *other))
    assert not any(Path("runs", name).exists() for name in ("wide", "other"))
    assert "runs/none has no checkpoint" in message(run(5, "--run.name", "none", "--run.init_from", "runs/none"))


def test_the_average_of_checkpoints(straight, monkeypatch):
    monkeypatch.chdir(straight)
    opened = Checkpoints(Path("runs/run/checkpoints"), read_only=True)
    by_step = {step: opened.restore(step).arrays for step in opened.steps()}
    opened.close()
    assert [*by_step] == [40, 30, 20]
    for which, steps in (("average", (40, 30, 20)), ("average:2", (40, 30))):
        found = to_arrays(load("runs/run", which).params)
        for name, mean in found.items():
            np.testing.assert_allclose(mean, sum(by_step[s][f"params.{name}"] for s in steps) / len(steps), rtol=1e-6)
    answers = {which: call(sample.main, "--run", "runs/run", "--checkpoint", which) for which in ("average", "40")}
    assert answers["average"].code == 0
    assert answers["average"].stdout != answers["40"].stdout
    told = call(export.main, "--run", "runs/run", "--format", "flax", "--checkpoint", "average:2", "--verify")
    assert (told.code, "they agree" in told.stdout) == (0, True)
    line = message(call(sample.main, "--run", "runs/run", "--checkpoint", "average:9"))
    assert "average:9: the run has 3 checkpoints" in line
    for word in ("average:0", "average:", "averages"):
        assert "has best, newest, average" in message(call(sample.main, "--run", "runs/run", "--checkpoint", word))


def test_checkpoints_side_by_side(straight, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(straight, tmp_path / "copy"))
    screen = printed(call(checkpoints.main, "--run", "runs/run"))
    recorded = {row["step"]: row["validation_loss"] for row in read_rows("runs/run") if "validation_loss" in row}
    *kept, average = (line.split() for line in screen.splitlines()[2:])
    assert [(step, old) for step, _, old, *_ in kept] == [(str(s), f"{recorded[s]:.4f}") for s in (20, 30, 40)]
    assert all(float(measured) == pytest.approx(float(old), abs=2e-4) for _, measured, old, *_ in kept)
    assert kept[2][3:] == ["0.0000", "lowest"]
    task = make_task(read_config(Path("runs/run")))
    network = load("runs/run", "average")
    assert average[:2] == ["average", f"{float(task.evaluate(network.params, network.hyper, task.held_out)):.4f}"]
    shutil.rmtree("runs/run/checkpoints/30/state")
    answer = call(checkpoints.main, "--run", "runs/run")
    assert (answer.code, "step 30 is damaged" in answer.stderr) == (0, True)
    Path("songs.csv").write_text("text\n" + "la sun\n" * 200)
    assert "holds other data than runs/run" in message(call(checkpoints.main, "--run", "runs/run"))


def test_the_same_data_elsewhere(straight, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(straight, tmp_path / "copy"))
    shutil.move("songs.csv", "moved.csv")
    answer = run(40, "--data.path", "moved.csv")
    assert (answer.code, answer.stderr) == (0, "")
    assert "longest stretch" in call(sample.main, "--run", "runs/run").stderr
    Path("moved.csv").write_text("text\n" + "la sun\n" * 200)
    assert "the text is not the one" in message(run(40, "--data.path", "moved.csv"))
