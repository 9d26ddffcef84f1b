"""Files of a run that were changed, lost, or are of another kind: found, or mended from where the truth stands, or one
line; never another value without a word."""

import json
import os
import shutil

import numpy as np
import pytest
from command import TINY, call, message, saved_arrays, trained_in

from rnnjax import sample, train
from rnnjax.errors import UserError
from rnnjax.finished import read_predictions
from rnnjax.run.checkpoint import About, Checkpoints, DamagedCheckpoint, signed, verified
from rnnjax.run.config_file import read_yaml
from rnnjax.run.directory import read_json
from rnnjax.run.metrics import read_metrics

RUN = [
    *TINY,
    *("--training.steps", "30", "--training.log_every_steps", "5", "--training.eval_every_steps", "10"),
    *("--sampling.every_steps", "0", "--run.checkpoint_every_steps", "10"),
]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A directory with a tiny run that was trained to its end."""
    return trained_in(tmp_path_factory.mktemp("place"), *RUN)


@pytest.fixture
def run(straight, tmp_path, monkeypatch):
    """A copy of the run, to be damaged."""
    shutil.copytree(straight, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy" / "runs" / "run"


def again(*more):
    return call(train.main, *RUN, *more)


def test_no_bit_of_what_a_checkpoint_says_of_itself_changes_unseen():
    about = About(80, {"W": "0f3a"}, 3.1, {"config": {"model": {"leak": 0.5}}, "data": "ab"})
    content = json.dumps(signed(about)).encode()
    unseen = []
    for place in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            try:
                found = verified(80, json.loads(changed))
            except (ValueError, DamagedCheckpoint):
                continue
            unseen += [] if found == about else [changed]
    assert not unseen
    with pytest.raises(DamagedCheckpoint):
        verified(81, json.loads(content))


def test_a_checkpoint_whose_words_of_itself_are_lost_is_passed_over(tmp_path):
    opened = Checkpoints(tmp_path / "checkpoints", keep=3)
    for step, loss in ((1, 1.0), (2, 2.0), (3, 3.0)):
        opened.save(step, {"W": np.full(3, step)}, loss)
    opened.wait()
    opened.close()
    for file in (tmp_path / "checkpoints" / "1" / "about").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    opened = Checkpoints(tmp_path / "checkpoints", read_only=True)
    best, newest = opened.best(), opened.newest()
    opened.close()
    assert (best.checkpoint.step, list(best.damaged)) == (2, [1])
    assert newest.checkpoint.step == 3


def test_another_best_checkpoint_is_told(run):
    """A loss that was measured is held against the one that was recorded."""
    opened = Checkpoints(run / "checkpoints", keep=2)
    found = opened.restore(20)
    opened.origin = found.origin
    shutil.rmtree(run / "checkpoints" / "20")
    opened._manager.reload()
    opened.save(20, found.arrays, found.validation_loss - 1)
    opened.close()
    (run / "result.json").unlink()
    answer = again()
    assert answer.code == 0, answer.stderr
    assert "weights of step 20 have the validation loss" in answer.stderr


def test_lost_lines_of_metrics_are_told_and_pictures_stay(run):
    picture = (run / "loss.png").read_bytes()
    written = (run / "metrics.jsonl").read_text()
    halved = "".join(written.splitlines(keepends=True)[:3])
    changed = written.replace('"loss": 2.', '"loss": 6.', 1)
    for left, said in (("", "tells of 0 of the 30"), (changed, "was changed"), (halved, "tells of 15 of the 30")):
        (run / "metrics.jsonl").write_text(left)
        answer = again()
        assert answer.code == 0
        assert said in answer.stderr
        assert (run / "loss.png").read_bytes() == picture
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints" / "30")
    assert "metrics.jsonl tells of 15 of the 20 steps so far" in again().stderr


def write():
    return call(sample.main, "--run", "runs/run", "--length", "30")


def test_the_characters_of_a_run_are_what_its_checkpoints_say(run):
    path, text = run / "vocabulary.json", write().stdout
    written = path.read_text()
    swapped = {"characters": json.loads(written)["characters"][::-1]}
    for damage in (None, "[]", json.dumps(swapped)):
        path.unlink(missing_ok=True)
        if damage is not None:
            path.write_text(damage)
        answer = write()
        assert answer.stdout == text
        assert "vocabulary.json was lost or changed; the checkpoint says what it was" in answer.stderr
    answer = again()
    assert "vocabulary.json was changed; it is written anew" in answer.stderr
    assert path.read_text() == written


def test_the_config_of_a_run_is_what_its_checkpoints_say(run):
    written = (run / "config.yaml").read_text()
    for damage in (None, written.replace("learning_rate: 0.00", "learning_rate: 0.10"), "model: x\n"):
        (run / "config.yaml").unlink()
        if damage is not None:
            assert damage != written
            (run / "config.yaml").write_text(damage)
        assert "optimizer.learning_rate" in message(again("--optimizer.learning_rate", "0.5"))
        assert "the checkpoints say what it was" in write().stderr
        answer = again()
        assert answer.code == 0
        assert "written anew" in answer.stderr
        assert (run / "config.yaml").read_text() == written


def test_what_a_killed_process_wrote_in_part_is_removed(run):
    (run / "samples" / ".00000000.txt.part").write_text("la")
    (run / ".result.json.part").write_text("{")
    assert again().code == 0
    assert not [*run.rglob("*.part")]


def test_a_changed_result_is_measured_again(run):
    written = (run / "result.json").read_bytes()
    result = json.loads(written)
    (run / "result.json").write_text(json.dumps({**result, "test_loss": result["test_loss"] - 1}))
    answer = again()
    assert "measuring again" in answer.stderr
    assert (run / "result.json").read_bytes() == written


def test_nobody_waits_for_a_pipe_in_place_of_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_yaml, read_json, read_predictions):
        with pytest.raises(UserError, match="damaged"):
            read(tmp_path / "pipe")
    assert [*read_metrics(tmp_path / "pipe")] == []


WAYS = {
    "missing": None,
    "empty": b"",
    "a list": b"[]",
    "a word": b'"x"',
    "another table": b'{"model": "x", "earlier": 3, "text_sha256": 5, "step": "a", "window": [], "characters": 7}\n',
    "no text": bytes(range(256)),
    "deep": b"[" * 100_000,
    "a directory": "directory",
    "a pipe": "pipe",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.yaml", "environment.json", "vocabulary.json", "metrics.jsonl", "result.json"])
def test_side_files_of_the_wrong_kind(straight, run, name):
    arrays = saved_arrays(run)
    for content in WAYS.values():
        path = run / name
        path.unlink()
        if content == "directory":
            path.mkdir()
        elif content == "pipe":
            os.mkfifo(path)
        elif content is not None:
            path.write_bytes(content)
        for answer in (call(sample.main, "--run", "runs/run", "--length", "5"), again()):
            assert answer.code == (2 if path.is_dir() and answer.code else 0)
            if answer.code:
                assert name in answer.stderr.splitlines()[-1]
            assert "Traceback" not in answer.stderr
            assert len(answer.stderr.splitlines()) <= 3
        assert saved_arrays(run) == arrays
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        shutil.copy(straight / "runs" / "run" / name, path)
