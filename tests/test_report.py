"""The report of a study: its figures against ones computed here, the page as a browser reads it, what is refused."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from command import call, printed
from scipy import stats
from study_folder import write_study

from rnnjax.report import __main__ as report
from rnnjax.report import figures, summary
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
    return path, printed(call(report.main, str(path)))


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
    assert "Not finished: 1 of 20 runs." in (path / "report.md").read_text()
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


def test_pictures_of_an_earlier_report_are_removed(tmp_path):
    (tmp_path / "axis-old.png").touch()
    (tmp_path / "notes.txt").touch()
    report.write_figures(tmp_path, [])
    assert [file.name for file in Path(tmp_path).iterdir()] == ["notes.txt"]
