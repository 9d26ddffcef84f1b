"""Series of the user's own: read from arrays and tables, refused in one line, divided, scaled, and answered naively;
each number against plain NumPy."""

import re
import zipfile

import numpy as np
import pytest

from rnnjax.config import Config, DataConfig, TaskConfig
from rnnjax.data import mackey_glass, naive
from rnnjax.data.arrays import inputs_of, read_npz, series_of
from rnnjax.data.parts import CONTEXT, fold, make_parts
from rnnjax.data.scaling import from_json, learn_scaling, to_json
from rnnjax.data.series import shifted
from rnnjax.data.sources import read_series
from rnnjax.errors import UserError

FORECAST = TaskConfig(name="forecasting")
CLASSES = TaskConfig(name="classification")
TAGS = TaskConfig(name="tagging")
NUMBERS = TaskConfig(name="regression")
LABELS = TaskConfig(name="tagging", loss="bernoulli")


def of(task, path, **data):
    return read_series(Config(task=TaskConfig(name=task), data=DataConfig(path=str(path), **data)))


def write(path, text):
    path.write_text(text)
    return path


def test_arrays_become_series_of_each_task():
    x = np.arange(24.0).reshape(2, 4, 3)
    tags = series_of(TAGS, x, np.array([[0, 1, 2, -9], [1, 1, 0, 2]]), [3, 4])
    assert tags.y.tolist() == [[0, 1, 2, 0], [1, 1, 0, 2]]  # what stands after the end is not read
    assert tags.names.labels == ["0", "1", "2"]
    assert tags.names.each_step
    assert tags.names.outputs == 3
    assert tags.x[0, 3].tolist() == [0, 0, 0]

    words = series_of(CLASSES, x, np.array(["walk", "run"]))
    assert words.y.tolist() == [1, 0]
    assert words.names.labels == ["run", "walk"]
    assert not words.names.each_step

    labels = series_of(TaskConfig(name="classification", loss="bernoulli"), x, [[True, False], [1, 1]])
    assert labels.y.tolist() == [[1, 0], [1, 1]]

    shapes = {(2,): (2, 1), (2, 2): (2, 2), (2, 4): (2, 4, 1), (2, 4, 5): (2, 4, 5)}
    for given, kept in shapes.items():
        found = series_of(NUMBERS, x, np.ones(given))
        assert found.y.shape == kept
        assert found.names.each_step == (len(kept) == 3)

    ids = series_of(TaskConfig(name="forecasting", loss="cross_entropy"), np.array([[0, 3, 1]]))
    assert ids.names.ids == 4
    assert ids.names.outputs == 4
    assert ids.y.tolist() == [[0, 3, 1]]


@pytest.mark.parametrize(
    ("task", "x", "y", "lengths", "says"),
    [
        (TAGS, np.ones((2, 4)), np.ones((2, 4), int), None, r"x is float64\[2, 4\], so must be integer ids"),
        (TAGS, np.ones(4), None, None, r"x is float64\[4\]; it must be real \[N, T, I\]"),
        (TAGS, np.ones((0, 4, 1)), np.ones((0, 4), int), None, r"has no number"),
        (TAGS, np.full((1, 2, 1), "a"), [[0, 1]], None, r"x is <U1\[1, 2, 1\]; it must be of numbers"),
        (TAGS, np.array([[0, -1]]), [[0, 1]], None, r"x\[0, 1\] is -1; an id must be from 0"),
        (TAGS, np.ones((2, 4, 1)), None, None, "there is no y, the targets of the task tagging"),
        (TAGS, np.ones((2, 4, 1)), np.ones((3, 4), int), None, r"y is int64\[3, 4\], but x has 2 series"),
        (TAGS, np.ones((2, 4, 1)), np.ones((2, 3), int), None, r"it must be \[2, 4\]"),
        (TAGS, np.ones((2, 4, 1)), np.ones((2, 4)), None, r"classes must be integers 0 … K - 1, or words"),
        (TAGS, np.ones((1, 3, 1)), [[0, 1, 3]], None, "y has classes up to 3, but none is 2"),
        (TAGS, np.ones((1, 3, 1)), [[0, 0, 0]], None, "y has the one class 0"),
        (TAGS, np.ones((1, 3, 1)), [[0, -1, 1]], None, r"y\[0, 1\] is -1; a class must be from 0"),
        (LABELS, np.ones((1, 2, 1)), [[[0, 1], [2, 0]]], None, r"y\[0, 1, 0\] is 2\.0; .*each label is 0 or 1"),
        (NUMBERS, np.ones((2, 4, 1)), [1, np.nan], None, r"y\[1, 0\] is nan"),
        (
            NUMBERS,
            np.ones((2, 4, 1)),
            np.ones((2, 4, 1, 1)),
            None,
            r"for the task regression .* it must be \[2, 4, K\]",
        ),
        (NUMBERS, np.full((2, 4, 1), np.inf), [1.0, 2.0], None, r"x\[0, 0, 0\] is inf"),
        (NUMBERS, np.ones((2, 4, 1)), [1.0, 2.0], [4, 5], r"lengths\[1\] is 5, but must be from 1 to T = 4"),
        (NUMBERS, np.ones((2, 4, 1)), [1.0, 2.0], [0, 4], r"lengths\[0\] is 0"),
        (NUMBERS, np.ones((2, 4, 1)), [1.0, 2.0], [4.0, 4.0], r"lengths is float64\[2\]; it must be integer \[2\]"),
        (FORECAST, np.ones((2, 4, 1)), np.ones((2, 4)), None, "y is not read in forecasting"),
        (FORECAST, np.ones((2, 4), int), None, None, "to forecast them set task.loss to cross_entropy"),
    ],
)
def test_arrays_that_are_nearly_right_are_refused(task, x, y, lengths, says):
    with pytest.raises(UserError, match=says):
        series_of(task, x, y, lengths)


def test_files_that_are_nearly_npz_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([[1.0], [2.0, 3.0]], dtype=object))
    with pytest.raises(UserError, match="holds Python objects, which are not read"):
        read_npz(path)
    np.savez(path, data=np.ones(3))
    with pytest.raises(UserError, match="has an array 'data'; it may have x, y, lengths"):
        read_npz(path)
    np.savez(path, y=np.ones(3))
    with pytest.raises(UserError, match="has no array x; it has y"):
        read_npz(path)
    as_npy = lambda about: b"\x93NUMPY\x01\0" + len(about).to_bytes(2, "little") + about
    lies = []
    for about in (b"{'descr': '<f8', 'fortran", b"{'descr': 'zz', 'fortran_order': False, 'shape': (2,)}\n"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", as_npy(about))
        lies.append(path.read_bytes())
    for broken in (b"x,y\n1,2\n", zipped(tmp_path)[:-30], *lies):
        path.write_bytes(broken)
        with pytest.raises(UserError, match=r"is no whole \.npz file"):
            read_npz(path)
    with pytest.raises(UserError, match="there is no file"):
        of("tagging", tmp_path / "none.npz")
    with pytest.raises(UserError, match=r"must be a \.npz or \.csv file"):
        of("tagging", write(tmp_path / "a.xlsx", "1"))
    with pytest.raises(UserError, match=r"data.columns is of a table"):
        of("tagging", path, columns="a")


def zipped(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as file:
        file.writestr("x.npy", "a")
    return (tmp_path / "z.zip").read_bytes()


def test_no_number_is_too_small_to_be_scaled_and_one_may_be_too_large():
    wave = np.sin(np.arange(40.0))[None, :, None]
    for size in (1e-300, 1e-30, 1e30, 1e149):
        parts = make_parts(series_of(TaskConfig(name="forecasting"), size * wave), DataConfig(), True, np.float64)
        assert np.std(parts.rows.train.x) == pytest.approx(1)
    with pytest.raises(UserError, match=r"1e\+300 is too large, as squares overflow above 1e\+150"):
        make_parts(series_of(TaskConfig(name="forecasting"), 1e300 * wave), DataConfig(), True, np.float64)


def test_a_single_series_is_divided_in_time_and_scaled_by_its_beginning():
    values = np.random.default_rng(0).normal(3, 2, size=(1, 3000, 2))
    series = series_of(FORECAST, values)
    h = 4
    parts = make_parts(shifted(series, h), DataConfig(validation_fraction=0.1, test_fraction=0.2), True, np.float64)
    N = 3000 - h
    second, first = round(0.2 * N), round(0.1 * N)
    start, middle = N - first - second, N - second
    mean, deviation = values[0, :start].mean(axis=0), values[0, :start].std(axis=0)
    np.testing.assert_allclose(parts.inputs.mean, mean)
    np.testing.assert_allclose(parts.inputs.deviation, deviation)
    # The targets that are trained on lie h steps later, and have a scaling of their own.
    np.testing.assert_allclose(parts.targets.mean, values[0, h : start + h].mean(axis=0))
    for part, a, b in ((parts.of.train, 0, start), (parts.of.validation, start, middle), (parts.of.test, middle, N)):
        places = part.first + np.flatnonzero(part.counted[0])
        assert places.tolist() == list(range(a, b))
        assert part.first == max(0, a - CONTEXT)
        np.testing.assert_allclose(part.rows.x[0], (values[0, part.first : b] - mean) / deviation)
        said = parts.targets.unscale(part.rows.y[part.counted])
        np.testing.assert_allclose(said, values[0, a + h : b + h])

    folded = fold(parts.rows.train, 7, 50)
    S = start // 7
    assert folded.x.shape == (7, S, 2)
    np.testing.assert_array_equal(folded.y[3, 5], parts.rows.train.y[0, 3 * S + 5])
    with pytest.raises(UserError, match=r"the training part has \d+ steps, too few for training.batch_size 7 x"):
        fold(parts.rows.train, 7, S + 1)


def test_several_series_are_divided_whole_and_scaled_without_padding():
    rng = np.random.default_rng(1)
    lengths = rng.integers(2, 6, 30)
    x, y = rng.normal(size=(30, 5, 2)), rng.normal(5, 3, size=(30, 2))
    series = series_of(NUMBERS, x, y, lengths)
    parts = make_parts(series, DataConfig(), True, np.float64)
    drawn = [part.series.tolist() for part in parts.of]
    assert sorted(drawn[0] + drawn[1] + drawn[2]) == list(range(30))
    assert [len(part) for part in drawn] == [24, 3, 3]
    read = np.concatenate([x[n, : lengths[n]] for n in drawn[0]])
    np.testing.assert_allclose(parts.inputs.mean, read.mean(axis=0))
    np.testing.assert_allclose(parts.inputs.deviation, read.std(axis=0))
    np.testing.assert_allclose(parts.targets.mean, y[drawn[0]].mean(axis=0))
    for part in parts.of:
        at = lengths[part.series]
        assert (np.argmax(part.rows.weight, axis=1) == at - 1).all()
        assert (part.rows.weight.sum(axis=1) == 1).all()
        assert (part.rows.valid.sum(axis=1) == at).all()
        np.testing.assert_allclose(parts.targets.unscale(part.rows.y[part.counted]), y[part.series])
    with pytest.raises(UserError, match="has 2 series, too few to hold out 1 for validation and 1 for test"):
        make_parts(series_of(NUMBERS, x[:2], y[:2]), DataConfig(), True, np.float64)
    assert make_parts(series, DataConfig(validation_fraction=0, test_fraction=0), True, np.float64).of[1:] == (
        None,
        None,
    )


def test_a_single_series_too_short_to_divide_is_refused():
    with pytest.raises(UserError, match=r"is one series of 1 step\(s\), too short to hold out"):
        make_parts(shifted(series_of(FORECAST, np.ones((1, 2, 1))), 1), DataConfig(), True, np.float64)


def test_a_constant_column_is_scaled_to_zero_and_back():
    scaling = from_json(to_json(learn_scaling(np.array([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]]))))
    np.testing.assert_allclose(scaling.scale(np.array([0.1, 3.0])), 0, atol=1e-15)
    assert scaling.deviation[0] == 1
    np.testing.assert_allclose(scaling.unscale(scaling.scale(np.array([0.3, 7.0]))), [0.3, 7.0])


def test_naive_forecasts_look_back_and_never_ahead():
    values = np.arange(40.0)[None, :, None]
    series, data = series_of(FORECAST, values), DataConfig(validation_fraction=0.25, test_fraction=0)
    for h, season in ((1, 7), (7, 7), (8, 7), (15, 7)):
        part = make_parts(shifted(series, h), data, True, np.float64).of.validation
        answers = naive.later_values(series, part, h, season)
        last, before = (answer[part.counted][:, 0] for answer in answers.values())
        now = part.first + np.flatnonzero(part.counted[0])
        assert last.tolist() == now.tolist()
        nearest = [max(s for s in range(-40, t + 1) if (t + h - s) % season == 0) for t in now]
        assert before.tolist() == nearest


def test_frequencies_lose_their_cross_entropy():
    train, held_out = np.array([0, 0, 1]), np.array([0, 1, 2])
    p = np.array([3, 2, 1]) / 6
    assert naive.frequencies_loss(train, held_out, 3) == pytest.approx(-np.log(p).mean())
    labels, later = np.array([[0, 1], [1, 1]]), np.array([[1, 0]])
    p = np.array([2, 3]) / 4
    assert naive.usual_labels_loss(labels, later) == pytest.approx(-np.log(p[0]) - np.log(1 - p[1]))


def test_a_network_s_inputs_are_those_it_was_trained_on():
    trained = series_of(NUMBERS, np.ones((2, 3, 2)), [1.0, 2.0]).names
    inputs_of(np.ones((5, 9, 2)), None, "the arrays", trained)
    with pytest.raises(UserError, match="x has 1 inputs at each step, but the network reads 2"):
        inputs_of(np.ones((5, 9, 1)), None, "the arrays", trained)
    ids = series_of(TAGS, np.array([[0, 2]]), [[0, 1]]).names
    with pytest.raises(UserError, match=re.escape("x[0, 1] is 3; an id must be from 0 to 2")):
        inputs_of(np.array([[0, 3]]), None, "the arrays", ids)
    with pytest.raises(UserError, match="x is real, but the network reads ids"):
        inputs_of(np.ones((1, 2, 1)), None, "the arrays", ids)


def test_the_mackey_glass_series_solves_its_equation():
    values = mackey_glass.mackey_glass(60, forgotten=0)
    assert values[0] == mackey_glass.START
    # Up to the delay the delayed value is constant, and so the equation is linear.
    c = 0.2 * 1.2 / (1 + 1.2**10) / 0.1
    t = np.arange(18)
    np.testing.assert_allclose(values[:18], c + (1.2 - c) * np.exp(-0.1 * t), atol=1e-9)
    # Halving the step divides the error by 16: the order is 4.
    exact = mackey_glass.mackey_glass(60, 80, 0)
    coarse, fine = (np.abs(mackey_glass.mackey_glass(60, n, 0) - exact).max() for n in (5, 10))
    assert 10 < coarse / fine < 25
    assert fine < 1e-8
    # And by Euler's method with tiny steps, written anew.
    steps, x = 1000, [1.2] * (17 * 1000 + 1)
    for _ in range(40 * steps):
        late = x[-1 - 17 * steps]
        x.append(x[-1] + (0.2 * late / (1 + late**10) - 0.1 * x[-1]) / steps)
    np.testing.assert_allclose(values[:41], x[17 * steps :: steps], atol=2e-4)
