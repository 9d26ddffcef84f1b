"""Folders that the report of a study refuses, each in one line."""

import json
import sys

import pytest
from command import call, message
from study_folder import write_study
from test_report import truncate

from rnnjax.report import __main__ as report


def refused(path):
    return message(call(report.main, str(path)))


@pytest.fixture
def small_study(tmp_path):
    return write_study(tmp_path / "s", [("a", {"x": 1}, {0: 1.0, 1: 2.0}), ("b", {"x": 2}, {0: 1.0, 1: 2.0})])


def rewrite(path, change):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content)))


def test_what_is_no_study_is_one_line(tmp_path, small_study):
    assert f"there is no folder {tmp_path / 'none'}" in refused(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "is not a study: it has no study.yaml" in refused(tmp_path / "empty")
    (small_study / "arms.json").unlink()
    assert "is not a study: it has no arms.json" in refused(small_study)


def test_no_results_yet_is_one_line(small_study):
    for part in (small_study / "results").iterdir():
        truncate(part)
    line = refused(small_study)
    assert "has no results yet (part-000000.parquet is damaged" in line
    for part in (small_study / "results").iterdir():
        part.unlink()
    assert refused(small_study).endswith("has no results yet; wait for the first evaluation")
    assert not (small_study / "report.html").exists()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "metric: test_loss",
            "metric: acuracy",
            "metric acuracy is no column of the results; there are training_loss,",
        ),
        ("metric: test_loss", "metrics: test_loss", "names no metric"),
        ("direction: lower", "direction: down", "direction is 'down', but must be lower or higher"),
        ("name: s", "name: [", "is no YAML mapping"),
    ],
)
def test_a_wrong_study_file_is_one_line(small_study, old, new, complaint):
    file = small_study / "study.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    assert complaint in refused(small_study)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda arms: [], "is no list of arms"),
        (lambda arms: [{"arm": 0}], "is no list of arms"),
        (lambda arms: [{**arm, "baseline": True} for arm in arms], "there may be one baseline, but there are a, b"),
        (lambda arms: [{**arm, "seed": 0} for arm in arms], "two arms have the same name and seed"),
    ],
)
def test_a_wrong_list_of_arms_is_one_line(small_study, change, complaint):
    rewrite(small_study / "arms.json", change)
    assert complaint in refused(small_study)


def test_a_metric_without_a_value_is_one_line(tmp_path):
    path = write_study(tmp_path / "s", [("a", {"x": 1}, {0: float("nan"), 1: float("nan")})])
    assert "no arm ended with a finite test_loss" in refused(path)


def test_without_pyarrow_the_extra_is_named(small_study, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "needs an extra for its results: pip install 'rnnjax[study]'" in refused(small_study)
