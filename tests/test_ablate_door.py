"""A study as a user runs it: from its file to its results, killed and gone on with, changed, twice at once."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from command import call, door, message, printed, write_songs

from rnnjax import ablate
from rnnjax.report import __main__ as report
from rnnjax.study import results

STUDY = """
name: tiny
axes:
  grid: {optimizer.clip: [value, none], optimizer.learning_rate: [0.01, 0.1]}
baseline: {optimizer.clip: none, optimizer.learning_rate: 0.01}
seeds: 2
metric: test_loss
data: {path: songs.csv, validation_fraction: 0.2, test_fraction: 0.2}
model: {hidden_size: 4, dropout: 0.1}
training: {steps: 12, batch_size: 2, sequence_length: 5, steps_per_dispatch: 5, eval_every_steps: 6}
sampling: {length: 20}
run: {checkpoint_every_steps: 4, platform: cpu}
"""

RECALL = """
name: recall
axes: {grid: {optimizer.clip: [none]}}
seeds: 2
metric: test_loss
task: {name: recall, length: 2, symbols: 3, held_out: 40}
model: {hidden_size: 4}
training: {steps: 4, batch_size: 4}
run: {platform: cpu}
"""


def begin(place):
    if not place.exists():
        place.mkdir()
        write_songs(place / "songs.csv")
        (place / "study.yaml").write_text(STUDY)
    return place


def rows(place):
    """All rows of a study but for what the clock says."""
    table = pd.read_parquet(place / "runs" / "tiny" / "results")
    return table.drop(columns="seconds").sort_values(["arm", "step"], ignore_index=True)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The directory of a study that nothing stopped."""
    place = begin(tmp_path_factory.mktemp("straight") / "place")
    with contextlib.chdir(place):
        answer = call(ablate.main, "--config", "study.yaml")
    assert answer.code == 0, answer.stderr
    assert "8 of 8 runs done" in answer.stdout
    return place


def test_a_study_leaves_a_row_for_each_arm_and_evaluation(straight):
    found = rows(straight)
    assert found.groupby("step")["arm"].apply(list).to_dict() == {6: list(range(8)), 12: list(range(8))}
    assert found[["optimizer.clip", "optimizer.learning_rate", "seed"]].iloc[[0, -1]].values.tolist() == [
        ["value", 0.01, 0],
        ["none", 0.1, 1],
    ]
    last = found[found["step"] == 12]
    assert last["final"].all()
    assert last[["training_loss", "validation_loss", "test_loss", "grad_norm"]].notna().all(axis=None)
    # Where nothing was clipped, arms that clip and arms that do not differ by rounding: they are two programs.
    assert last["test_loss"].round(4).nunique() == (8 if last["clipped"].any() else 4)
    assert found.loc[found["step"] == 6, "test_loss"].isna().all()
    run = straight / "runs" / "tiny"
    arms = json.loads((run / "arms.json").read_text())["arms"]
    assert [arm["baseline"] for arm in arms] == [False] * 4 + [True] * 2 + [False] * 2
    assert arms[5]["name"] == "clip=none, learning_rate=0.01"
    assert sorted(path.name for path in (run / "samples").iterdir()) == [f"arm-{i}.txt" for i in range(8)]
    assert not list(run.glob("groups/*/*/checkpoints"))
    assert "python -m rnnjax.ablate --config study.yaml" in (run / "study.yaml").read_text()


@pytest.mark.slow
def test_killed_in_the_middle_and_stopped_politely_it_ends_with_the_same_numbers(straight, tmp_path):
    place = begin(tmp_path / "place")
    # In the second group, when its checkpoint of step 8 is complete but for its name.
    killed = door("ablate", "--config", "study.yaml", cwd=place, at=("os.rename", "groups/1/batch-0/checkpoints/8", 9))
    assert killed.code == -signal.SIGKILL
    before = (place / "runs/tiny/results/part-0-00002.parquet").stat().st_mtime_ns
    stopped = door(
        "ablate", "--config", "study.yaml", cwd=place, at=("os.rename", "part-1-00001.parquet", int(signal.SIGINT))
    )
    assert stopped.code == 130, stopped.stderr
    assert "the same command goes on from there" in stopped.stdout
    printed(door("ablate", "--config", "study.yaml", cwd=place))
    pd.testing.assert_frame_equal(rows(place), rows(straight), check_exact=True)
    assert (place / "runs/tiny/results/part-0-00002.parquet").stat().st_mtime_ns == before


def test_a_changed_study_is_refused_with_the_differences(straight, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(straight, tmp_path / "place"))
    pinned = Path("runs/tiny/study.yaml")
    without = yaml.safe_load(pinned.read_text())  # as if from before there was such a field, or a checksum
    del without["config"]["task"]["positions"], without["checksum"]
    pinned.write_text(yaml.safe_dump(without))
    said = message(call(ablate.main, "--config", "study.yaml", "--seeds", "3", "--model.hidden_size", "5"))
    line = message(call(ablate.main, "--config", "study.yaml", "--run.init_from", "runs/other"))
    assert "whose arms draw weights by their seeds; train each arm as a run of its own" in line
    assert "began as another study (config.model.hidden_size: 4 -> 5; seeds: 2 -> 3)" in said


def test_changed_side_files_of_a_study_are_told_and_written_anew(straight, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(straight, tmp_path / "place"))
    for name, old, new in (("arms.json", '"optimizer.learning_rate": 0.1', '"optimizer.learning_rate": 0.3'),
                           ("study.yaml", "metric: test_loss", "metric: grad_norm")):  # fmt: skip
        path = Path("runs/tiny", name)
        before = path.read_text()
        path.write_text(before.replace(old, new))
        assert path.read_text() != before, name
        assert f"{name} was changed: its checksum differs" in message(call(report.main, "runs/tiny"))
        path.write_text(before)
    path.write_text(before.replace("checksum: ", "checksum: x"))
    answer = call(ablate.main, "--config", "study.yaml")
    assert (answer.code, "study.yaml was changed; it is written anew" in answer.stderr) == (0, True)
    assert call(report.main, "runs/tiny").code == 0


def test_damaged_results_are_told_and_trained_again(straight, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(straight, tmp_path / "place"))
    halved, gone = (Path(f"runs/tiny/results/part-{group}-00002.parquet") for group in (0, 1))
    early = Path("runs/tiny/results/part-0-00001.parquet")
    content = early.read_bytes()
    early.unlink()
    assert "runs with an evaluation missing: a part is gone" in call(report.main, "runs/tiny").stdout
    early.write_bytes(content)
    halved.write_bytes(halved.read_bytes()[:900])
    gone.unlink()
    said = call(report.main, "runs/tiny").stdout
    assert "part-0-00002.parquet is damaged and left out" in said
    assert "8 runs: 8 unfinished" in said
    answer = call(ablate.main, "--config", "study.yaml")
    assert answer.code == 0, answer.stderr
    assert answer.stderr.count("arms are trained again") == 2
    assert "8 of 8 runs done" in answer.stdout
    pd.testing.assert_frame_equal(rows(Path()), rows(straight), check_exact=True)
    again = call(ablate.main, "--config", "study.yaml")
    assert (again.code, again.stderr) == (0, "")


def test_no_flipped_bit_of_a_part_is_read_as_another_value(straight, tmp_path):
    whole = straight / "runs/tiny/results/part-0-00002.parquet"
    content, rows = whole.read_bytes(), results.read_part(whole)
    changed = tmp_path / "part.parquet"
    draw, found = np.random.default_rng(0), 0
    for place in draw.integers(len(content), size=200):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(draw.integers(8))
        changed.write_bytes(flipped)
        try:
            pd.testing.assert_frame_equal(results.read_part(changed), rows, check_exact=True)
        except results.DamagedPart:
            found += 1
    assert found > 100


def test_a_second_process_on_the_same_study_is_refused(straight, monkeypatch):
    monkeypatch.chdir(straight)
    with open("runs/tiny/.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process runs the study in runs/tiny" in message(call(ablate.main, "--config", "study.yaml"))


def test_a_full_disk_is_one_line_and_finished_arms_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(begin(tmp_path / "place"))
    write = results.write_part

    def full(folder, group, number, *rest):
        if group == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(folder, group, number, *rest)

    monkeypatch.setattr(results, "write_part", full)
    assert "No space left on device; what was saved before is intact" in message(
        call(ablate.main, "--config", "study.yaml")
    )
    kept = pd.read_parquet("runs/tiny/results")
    assert sorted(kept.loc[kept["final"], "arm"]) == [0, 1, 2, 3]


def test_tuned_arms_keep_the_rate_with_the_lowest_validation_loss(tmp_path, monkeypatch):
    monkeypatch.chdir(begin(tmp_path / "place"))
    tuned = ["--axes", "{grid: {optimizer.clip: [value]}}", "--baseline", "{}", "--tune.learning_rates", "[1e-5, 0.1]"]
    printed(call(ablate.main, "--config", "study.yaml", *tuned, "--seeds", "1"))
    (arm,) = json.loads((tmp_path / "place/runs/tiny/arms.json").read_text())["arms"]
    trials = pd.read_parquet("runs/tiny/tuning/results").query("final").sort_values("arm")
    assert arm["tuned"]["optimizer.learning_rate"] == 0.1
    assert [*arm["tuned"]["validation_loss"].values()] == trials["validation_loss"].tolist()
    assert len(pd.read_parquet("runs/tiny/results").query("final")) == 1


def test_an_arm_that_diverges_with_every_rate_keeps_the_lowest_and_is_counted_once(tmp_path, monkeypatch):
    monkeypatch.chdir(begin(tmp_path / "place"))
    wild = ["--axes", "{grid: {optimizer.clip: [none]}}", "--baseline", "{}", "--tune.learning_rates", "[1e38, 1e37]"]
    wild += ["--optimizer.weight_decay", "1", "--training.max_skipped_steps", "2", "--seeds", "1"]
    answer = call(ablate.main, "--config", "study.yaml", *wild)
    assert answer.code == 0, answer.stderr
    assert "the arm clip=none diverged with each of them; it keeps the lowest" in answer.stderr
    assert "0 of 3 runs done, 0 running, 3 failed" in answer.stdout
    (arm,) = json.loads(Path("runs/tiny/arms.json").read_text())["arms"]
    assert arm["tuned"]["optimizer.learning_rate"] == 1e37


def test_a_task_with_a_known_answer_is_measured_beside_its_floor(here):
    Path("recall.yaml").write_text(RECALL)
    printed(call(ablate.main, "--config", "recall.yaml"))
    last = pd.read_parquet("runs/recall/results").query("final")
    np.testing.assert_allclose(last["floor"], np.log(3))
    assert last["test_accuracy"].between(0, 1).all()
    assert call(report.main, "runs/recall").code == 0
    assert "| floor |" in Path("runs/recall/report.md").read_text()


def test_a_dry_run_shows_arms_and_programs_and_trains_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(begin(tmp_path / "place"))
    screen = printed(call(ablate.main, "--config", "study.yaml", "--dry_run"))
    assert "clip=none, learning_rate=0.01" in screen
    assert "8 runs: about" in screen
    assert not (tmp_path / "place/runs").exists()
