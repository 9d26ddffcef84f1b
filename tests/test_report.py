"""The report of a study: its figures against ones computed here, the page as a browser reads it, what is refused."""

import base64
import dataclasses
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import call, message
from scipy import stats
from study_folder import write_study

from rnnjax.report import __main__ as report
from rnnjax.report import figures, maps, summary, tables
from rnnjax.report.labels import named
from rnnjax.report.page import Code, Paragraph, Table, to_html, to_markdown
from rnnjax.report.read import read_study
from rnnjax.report.rounding import interval, number, small
from rnnjax.report.statistics import Interval

BASE = [2.05, 2.31, 2.18, 2.11, 2.40]
BETTER = [1.55, 1.83, 1.66, 1.62, 1.88]
SKEWED = [2.10, 2.30, 2.20, 2.15, 5.90]
CLIP, BOUND = "optimizer.clip", "optimizer.clip_threshold"


def over_seeds(values):
    return dict(enumerate(values))


ARMS = [
    ("clip=none", {CLIP: "none", BOUND: 1.0}, over_seeds(BASE)),
    ("clip=value", {CLIP: "value", BOUND: 1.0}, over_seeds([2.0, "diverged", 2.1, 2.2, 2.3])),
    ("clip=<norm>", {CLIP: "norm", BOUND: 1.0}, over_seeds([*BETTER[:4], "missing"])),
    ("clip=leaf", {CLIP: "norm", BOUND: 5.0}, over_seeds(SKEWED)),
]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study of 4 arms x 5 seeds with a lost and a missing seed, a damaged part and an unfinished one; its report."""
    path = write_study(tmp_path_factory.mktemp("runs") / "clipping", ARMS)
    results = path / "results"
    (results / ".part-000099.parquet.writing").write_bytes(b"half")
    (results / "part-000100.parquet").write_bytes((results / "part-000000.parquet").read_bytes())
    truncate(results / "part-000100.parquet")
    answer = call(report.main, str(path))
    assert answer.code == 0, answer
    return path, answer.stdout


def read(path):
    """The study, its outcomes, arms by name and differences by name."""
    study = read_study(path)
    outcome = summary.outcomes(study)
    arms = summary.arms(study, outcome)
    found = summary.differences(study, arms)
    return study, outcome, {arm.name: arm for arm in arms}, {one.name: one for one in found}


class Page(HTMLParser):
    """Checks that tags are closed in their order; gathers the attributes, the tables and the text."""

    VOID = ("meta", "img", "source")

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.cells, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1][-1] += data
        elif not self.open or self.open[-1] != "style":
            self.text += data

    def rows(self, name):
        return [row for row in self.cells if row[0] == name]


def test_the_page_is_whole_and_needs_nothing_else(written):
    text = (written[0] / "report.html").read_text()
    page = Page(text)
    links = [(tag, value) for tag, name, value in page.attributes if name in ("src", "srcset", "href")]
    assert len(links) == 2 * 4  # curves, two axes, a map; each for a light and a dark page
    for tag, value in links:
        assert tag in ("img", "source")
        assert base64.b64decode(value.removeprefix("data:image/png;base64,"), validate=True).startswith(b"\x89PNG")
    assert not re.search(r"https?:|@import|url\(|<script|<link", text)
    assert "prefers-color-scheme: dark" in text
    assert ("th", "scope", "row") in page.attributes
    assert all(value for tag, name, value in page.attributes if name == "alt")
    assert "<b>" not in text  # of a sample, and of a name
    assert "clip=<norm>" in page.text + str(page.cells)
    assert "la <b>" in page.text


def test_the_markdown_says_the_same_and_has_its_figures(written):
    path = written[0]
    text = (path / "report.md").read_text()
    pictures = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert sorted(pictures) == sorted(f"figures/{file.name}" for file in (path / "figures").iterdir())
    assert len(pictures) == 4
    rows = Page((path / "report.html").read_text()).cells
    plain = text.replace("\\", "")
    for row in rows:
        assert "| " + " | ".join(row) + " |" in plain
    for line in text.splitlines():
        assert not re.match(r"\|.*[^ |-].*[^\\]<", line)


def test_an_arms_mean_and_interval(written):
    _, _, arms, _ = read(written[0])
    base = arms["clip=none"]
    assert base.values == over_seeds(BASE)
    np.testing.assert_allclose(base.mean, 2.21)
    np.testing.assert_allclose(base.interval, stats.t.interval(0.95, 4, 2.21, stats.sem(BASE)))
    assert base.bca is None
    [row, *_] = Page((written[0] / "report.html").read_text()).rows("clip=none")
    assert row == ["clip=none", "5/5", "2.21", "[2.03, 2.39]", "–", "2.18", "baseline"]


def test_a_skewed_arm_has_bca_beside_t(written):
    arm = read(written[0])[2]["clip=leaf"]
    found = stats.bootstrap((SKEWED,), np.mean, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    np.testing.assert_allclose(arm.bca, found, rtol=0.03)
    assert arm.interval.low < min(SKEWED) < arm.bca.low
    [row, *_] = Page((written[0] / "report.html").read_text()).rows("clip=leaf")
    assert row[3] == "[0.9, 5.0]"
    assert row[4].startswith("[2.2, ")
    assert row[-1] == "skewed"


def test_a_lost_seed_leaves_no_mean(written):
    _, _, arms, differences = read(written[0])
    arm = arms["clip=value"]
    assert (len(arm.values), arm.diverged, arm.planned, arm.mean) == (4, 1, 5, None)
    assert np.isnan(arm.interval).all()
    np.testing.assert_allclose(arm.median, 2.2)  # of 2, 2.1, 2.2, 2.3 and the worst
    one = differences["clip=value"]
    assert one.mean is None
    assert np.isnan([one.p, one.corrected_p, *one.corrected]).all()
    assert one.reason == "1 of its 5 seeds ended without a value"
    row, compared = Page((written[0] / "report.html").read_text()).rows("clip=value")
    assert row[1:4] == ["4/5", "–", "–"]
    assert row[-1] == "1/5 diverged: no mean"
    assert compared[5] == "no test: 1 of its 5 seeds ended without a value"


def test_a_missing_seed_is_counted(written):
    path, stdout = written
    arm = read(path)[2]["clip=<norm>"]
    assert (len(arm.values), arm.unfinished, arm.planned) == (4, 1, 5)
    np.testing.assert_allclose(arm.mean, np.mean(BETTER[:4]))
    [row, *_] = Page((path / "report.html").read_text()).rows("clip=<norm>")
    assert row[-1] == "best, 1/5 not finished"
    assert "1 of 20 runs are not finished" in (path / "report.md").read_text()
    assert "4 arms, 20 runs: 18 finished, 1 diverged, 1 missing" in stdout


def test_differences_are_paired_and_corrected_for_all_arms(written):
    differences = read(written[0])[3]
    assert list(differences) == ["clip=<norm>", "clip=leaf", "clip=value"]
    p = {name: stats.ttest_rel(values, BASE[: len(values)]).pvalue for name, values in
         (("clip=<norm>", BETTER[:4]), ("clip=leaf", SKEWED))}  # fmt: skip
    better, skewed = differences["clip=<norm>"], differences["clip=leaf"]
    assert (better.pairs, better.better) == (4, 4)
    np.testing.assert_allclose(better.mean, np.mean(np.subtract(BETTER[:4], BASE[:4])))
    np.testing.assert_allclose([better.p, skewed.p], list(p.values()))
    np.testing.assert_allclose(better.corrected_p, 3 * p["clip=<norm>"])
    np.testing.assert_allclose(skewed.corrected_p, 2 * p["clip=leaf"])
    np.testing.assert_allclose([better.confidence, skewed.confidence], [1 - 0.05 / 3, 1 - 0.05 / 2])
    low, high = better.corrected
    np.testing.assert_allclose(stats.ttest_rel(BETTER[:4], np.add(BASE[:4], low)).pvalue, 0.05 / 3)
    assert better.interval.high < high < 0
    assert better.corrected.excludes_zero
    assert not skewed.corrected.excludes_zero


def test_a_damaged_part_is_one_line_and_the_rest_is_read(written):
    path, stdout = written
    assert len(re.findall(r"part-000100\.parquet is damaged and left out: .+\n", stdout)) == 1
    assert "writing" not in stdout
    assert "part-000100.parquet is damaged" in (path / "report.md").read_text()


def test_samples_are_of_the_best_and_the_median_arm(written):
    _, outcome, arms, _ = read(written[0])
    shown = summary.shown_samples(list(arms.values()), outcome)
    assert [(word, arm.name, seed) for word, arm, seed, _ in shown] == [
        ("best", "clip=<norm>", 3),  # of 1.55, 1.62, 1.66, 1.83 the lower of the middle two
        ("median", "clip=none", 2),
    ]
    assert [number for *_, number in shown] == [13, 2]
    assert "la <b>13</b> & sun" in (written[0] / "report.md").read_text()


def test_where_a_study_comes_from(written):
    text = (written[0] / "report.md").read_text()
    assert "python -m rnnjax.ablate --config configs/ablations/clipping.yaml\n" in text
    assert f"python -m rnnjax.report {written[0]}" in text
    assert "| packages.jax | 0.10 |" in text
    assert "Cost" in text
    assert "| 0 | clip=none; clip=value | 10 | 100 | 3 min 30 s | 21 s | 12.3 MB |" in text


def test_curves_end_where_a_seed_does(written):
    study, _, arms, _ = read(written[0])
    whole = figures.curve(study, arms["clip=none"], "validation_loss")
    assert list(whole.index) == [0, 50, 100]
    at = study.rows[(study.rows["name"] == "clip=none") & (study.rows["step"] == 50)]["validation_loss"]
    np.testing.assert_allclose(whole["mean"][50], at.mean())
    np.testing.assert_allclose(
        [whole["low"][50], whole["high"][50]], stats.t.interval(0.95, 4, at.mean(), stats.sem(at))
    )
    assert list(figures.curve(study, arms["clip=value"], "validation_loss").index) == [0]
    assert figures.curve_columns(study) == ["training_loss", "validation_loss"]


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


def test_a_study_under_way_and_few_seeds(tmp_path):
    arms = [("a", {"x": 1}, {0: "running", 1: "running"}), ("b", {"x": 2}, {0: "missing", 1: "missing"})]
    path = write_study(tmp_path / "s", arms)
    assert call(report.main, str(path)).code == 0
    text = (path / "report.md").read_text()
    assert "2 unfinished, 2 missing" in text
    assert "Fewer than 5 seeds (2)" in text
    assert "no test: 0 seeds in common so far" in text
    assert "none is best" in text
    assert [file.name for file in (path / "figures").iterdir()] == ["curves.png"]


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


def grid(tmp_path, count):
    """Arms over three axes, of which the last two have `count` values each."""
    arms = [
        (
            f"{method} {rate} {size}",
            {"method": method, "rate": rate, "size": size},
            {0: rate + size, 1: rate + size + 1},
        )
        for method in ("sgd", "adam")
        for rate in range(count)
        for size in range(count)
    ]
    return read(write_study(tmp_path / "s", arms))


def test_a_map_is_over_the_two_largest_axes_with_panels_of_the_rest(tmp_path):
    study, _, arms, _ = grid(tmp_path, 3)
    found = list(arms.values())
    pair = maps.pair_of(study)
    assert pair == ("rate", "size")
    panels = maps.panels_of(study, found, pair)
    assert {name: len(of) for name, of in panels.items()} == {("method=sgd",): 9, ("method=adam",): 9}
    first, second, bar = maps.over(study, found, pair).axes
    for axes in (first, second):
        cells = axes.images[0].get_array()
        np.testing.assert_allclose(cells, np.add.outer(np.arange(3), np.arange(3)) + 0.5)
        assert sorted(text.get_text() for text in axes.texts) == sorted(f"{value:#.3g}" for value in cells.ravel())
    assert bar.get_ylabel() == "test loss"


def test_lines_along_an_axis_stand_in_order_and_side_by_side(tmp_path):
    study, _, arms, _ = grid(tmp_path, 3)
    axes = figures.along(study, list(arms.values()), "rate").axes[0]
    lines = {container.get_label(): container.lines[0].get_xdata() for container in axes.containers}
    assert [*lines] == [f"method={method}, size={size}" for method in ("sgd", "adam") for size in range(3)]
    places = np.array([*lines.values()])
    assert np.all(np.diff(places, axis=0) > 0.05)
    assert np.all(np.abs(places - np.arange(3)) < 0.25)
    arrows = [line for line in axes.lines if line.get_marker() in "^v"]
    assert len(arrows) == 4  # values are from 0 to 5, the picture from -5 to 10, intervals the means -+ 6.4


def test_many_curves_have_no_bands_and_few_seeds_are_drawn_themselves(tmp_path):
    study, _, arms, _ = grid(tmp_path, 2)
    found = list(arms.values())
    axes = figures.curves(study, found[:2], ["validation_loss"]).axes[0]
    assert (len(axes.lines), len(axes.collections)) == (2 * 3, 0)
    axes = figures.curves(study, found, ["validation_loss"]).axes[0]
    assert (len(axes.lines), len(axes.collections)) == (8, 0)
    assert axes.get_ylabel() == "validation loss"
    told = dataclasses.replace(study, about={**study.about, "config": {"task": {"name": "text", "loss": None}}})
    assert named(told, "validation_loss") == "validation loss (nats per character)"
    assert named(told, "accuracy") == "accuracy"


def test_axes_that_are_no_grid_are_points(tmp_path):
    draw = np.random.default_rng(0)
    arms = [(f"{x}", {"rate": 10**x, "size": y}, {0: x, 1: y}) for x, y in draw.uniform(-3, 0, (12, 2)).tolist()]
    study, _, found, _ = read(write_study(tmp_path / "s", arms))
    axes = maps.over(study, list(found.values()), ("rate", "size")).axes[0]
    assert axes.get_xscale() == "log"
    assert len(axes.collections[0].get_offsets()) == 12
    assert not axes.images


def test_the_tasks_floor_is_drawn(tmp_path):
    arms = [("a", {"x": 1}, {0: 0.3, 1: 0.2}), ("b", {"x": 2}, {0: 0.4, 1: 0.3})]
    path = write_study(tmp_path / "s", arms, rows=lambda row: {**row, "floor": 1 / 6})
    study, _, found, _ = read(path)
    arms = list(found.values())
    for figure in (figures.along(study, arms, "x"), figures.curves(study, arms, ["validation_loss"])):
        [floor] = [line for line in figure.axes[0].lines if line.get_label() == figures.FLOOR]
        np.testing.assert_allclose(floor.get_ydata(), 1 / 6)
    assert tables.arm_table(study, arms).rows[0][5] == "0.1667"


def test_the_floor_of_a_loss_is_not_shown_beside_an_accuracy(tmp_path):
    arms = [("a", {"x": 1}, {0: 0.3, 1: 0.2}), ("b", {"x": 2}, {0: 0.4, 1: 0.3})]
    path = write_study(tmp_path / "s", arms, "test_accuracy", rows=lambda row: {**row, "floor": 1.386})
    study, _, found, _ = read(path)
    assert "floor" not in tables.arm_table(study, list(found.values())).columns
    labels = [line.get_label() for line in figures.along(study, list(found.values()), "x").axes[0].lines]
    assert figures.FLOOR not in labels


def test_a_value_out_of_all_proportion_leaves_the_picture(tmp_path):
    arms = [(f"{x} {y}", {"x": x, "y": y}, {0: x, 1: x + 1}) for x, y in ((1, 1), (1, 2), (2, 1))]
    study, _, found, _ = read(write_study(tmp_path / "s", [*arms, ("far", {"x": 2, "y": 2}, {0: 1e20, 1: 2e20})]))
    axes = figures.along(study, list(found.values()), "x").axes[0]
    assert axes.get_title() == "cut off above: up to 2e+20"
    assert axes.get_ylim()[1] < 6
    figure = maps.over(study, list(found.values()), ("x", "y"))
    assert figure.axes[0].images[0].norm.vmax == 2.5
    assert figures.within([1e20, 2e20]) == [1e20, 2e20]
    assert figures.within([-1.0, 1e20]) == [-1.0, 1e20]


def test_numbers_have_the_digits_that_they_deserve():
    assert number(2.20999, Interval(2.03, 2.39)) == "2.21"
    assert number(1234.5, Interval(1000, 1500)) == "1,230"
    assert number(0.123456, Interval(float("nan"), float("nan"))) == "0.1235"
    assert interval(Interval(-0.001234, 0.0114)) == "[-0.0012, 0.0114]"
    assert interval(Interval(-0.00001, 2.0)) == "[0.0, 2.0]"
    assert interval(Interval(-8e-8, 1.8e-7)) == "[-8e-08, 1.8e-07]"
    assert [small(p) for p in (0.03456, 1e-9, 1.0, float("nan"))] == ["0.035", "< 0.0001", "1", "–"]


def test_blocks_cannot_break_out_of_the_page():
    blocks = [Paragraph("a <i> & *b*", True), Code("`c`", "x\n```\ny"), Table("t", ["n|m"], [["a|b"]])]
    assert "a &lt;i&gt; &amp;" in to_html("<t>", blocks)
    Page(to_html("<t>", blocks))
    text = to_markdown("t", blocks, "figures")
    assert "**Warning.** a \\<i\\> & \\*b\\*" in text
    assert "````\nx\n```\ny\n````" in text
    assert "| a\\|b |" in text


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


def test_pictures_of_an_earlier_report_are_removed(tmp_path):
    (tmp_path / "axis-old.png").touch()
    (tmp_path / "notes.txt").touch()
    report.write_figures(tmp_path, [])
    assert [file.name for file in Path(tmp_path).iterdir()] == ["notes.txt"]
