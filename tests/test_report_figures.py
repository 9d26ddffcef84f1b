"""The pictures of a study's report: what is drawn where, against the numbers."""

import dataclasses

import numpy as np
from study_folder import write_study
from test_report import read

from rnnjax.report import drawing, figures, maps, tables
from rnnjax.report.labels import named


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
    assert drawing.within([1e20, 2e20]) == [1e20, 2e20]
    assert drawing.within([-1.0, 1e20]) == [-1.0, 1e20]
