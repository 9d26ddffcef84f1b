"""The summary of a study's arms: values, lost seeds, differences to the baseline, tuned rates."""

import numpy as np
import pandas as pd
from study_folder import write_study
from test_report import read

from rnnjax.report import tables
from rnnjax.report.read import read_study


def test_more_is_better_turns_the_order_round(tmp_path):
    arms = [
        ("a", {"x": 1}, {0: 0.5, 1: 0.6}),
        ("b", {"x": 2}, {0: 0.9, 1: 0.8}),
        ("c", {"x": 3}, {0: "diverged", 1: 0.9}),
    ]
    _, _, found, differences = read(write_study(tmp_path / "s", arms, "accuracy", "higher"))
    assert list(found) == ["b", "a", "c"]
    assert found["c"].median == -np.inf
    assert differences["b"].better == 2


def test_a_baseline_that_diverged_has_nothing_to_compare_with(tmp_path):
    arms = [("a", {"x": 1}, {0: 1.0, 1: "diverged"}), ("b", {"x": 2}, {0: 1.0, 1: 2.0})]
    differences = read(write_study(tmp_path / "s", arms))[3]
    assert differences["b"].reason == "1 of the baseline's 2 seeds ended without a value"
    assert differences["b"].mean is None


def test_the_same_on_every_seed_is_no_test(tmp_path):
    arms = [("a", {"x": 1}, {0: 1.0, 1: 2.0, 2: 2.5}), ("b", {"x": 2}, {0: 1.0, 1: 2.0, 2: 2.5})]
    one = read(write_study(tmp_path / "s", arms))[3]["b"]
    assert (one.mean, one.reason) == (0, "the same on every seed")
    assert np.isnan([one.p, *one.corrected]).all()


def test_a_seed_without_a_metric_counts_as_lost(tmp_path):
    arms = [("a", {"x": 1}, {0: 1.0, 1: float("nan")}), ("b", {"x": 2}, {0: 1.0, 1: float("inf")})]
    arms = read(write_study(tmp_path / "s", arms))[2]
    assert [(arm.no_value, arm.mean) for arm in arms.values()] == [(1, None), (1, None)]


def test_an_evaluation_done_again_counts_once(tmp_path):
    path = write_study(tmp_path / "s", [("a", {"x": 1}, {0: 1.0, 1: 2.0})])
    again = pd.read_parquet(path / "results" / "part-000000.parquet").query("arm == 0 and step == 100")
    again.assign(test_loss=7.0, arm=[0]).to_parquet(path / "results" / "part-000001.parquet")
    again.assign(arm=99).to_parquet(path / "results" / "part-000002.parquet")
    study, _, arms, _ = read(path)
    assert arms["a"].values == {0: 7.0, 1: 2.0}
    assert len(study.rows) == 6
    assert study.remarks == ("arms 99 are not in arms.json: left out",)


def test_tuning_is_told(tmp_path):
    arms, tune = [("a", {"optimizer.clip": 1}, {0: 1.0, 1: 2.0})], {"learning_rates": [0.1, 0.01], "seeds": [9]}
    study, _, found, _ = read(write_study(tmp_path / "s", arms, "validation_loss", tune=tune))
    texts = [block.text for block in tables.tuning(study, list(found.values()))]
    assert "of 0.1, 0.01 the one with the lowest validation loss, with the seeds 9" in texts[0]
    assert "a better one may lie beyond" in texts[1]
    assert "flatters every arm" in texts[2]
    table = tables.arm_table(study, list(found.values()))
    assert table.rows[0][table.columns.index("learning rate, tuned")] == "0.01 (the lowest tried)"
    study, _, found, _ = read(write_study(tmp_path / "t", arms))
    [block] = tables.tuning(study, list(found.values()))
    assert "was not tuned for each arm: all arms have that of the base config" in block.text
    assert "learning rate, tuned" not in tables.arm_table(study, list(found.values())).columns


def test_an_arm_has_the_base_configs_value_of_an_axis_that_it_does_not_name(tmp_path):
    arms = [("a", {"optimizer.clip": "norm", "model.leak": 2}, {0: 1.0}), ("b", {"optimizer.clip": "value"}, {0: 1.0})]
    study = read_study(write_study(tmp_path / "s", arms, config={"model": {"leak": 7}}))
    assert study.arms[1]["fields"] == {"optimizer.clip": "value", "model.leak": 7}
    assert study.fields == ["optimizer.clip", "model.leak"]
    assert study.values("model.leak") == [2, 7]
