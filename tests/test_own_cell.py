"""A cell of the user's own from the command line: trained, gone on with, read back, and refused in one line."""

import shutil
from pathlib import Path

import pytest
from command import TINY, call, check_refusals, door, message, printed, read_rows, trained_in

from rnnjax import ablate, export, own_cell, sample, train
from rnnjax.clipping import __main__ as clipping
from rnnjax.compare import __main__ as compare
from rnnjax.config import Config, ModelConfig
from rnnjax.errors import UserError
from rnnjax.fixed_points import __main__ as fixed_points
from rnnjax.lags import __main__ as lags
from rnnjax.model.cells import CELLS
from rnnjax.report import __main__ as report
from rnnjax.trained import load_trained

HERE = Path(__file__).parent
MINE = ("--model.cell", "mine.py:independent", "--run.name", "mine")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a cell's file and a run of six steps that was started with it."""
    place = tmp_path_factory.mktemp("place")
    shutil.copy(HERE / "own_cells.py", place / "mine.py")
    return trained_in(place, *MINE, "--training.steps", "6")


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


def test_a_run_is_read_back_from_its_own_copy_of_the_file(here):
    assert load_trained(Path("runs/mine")).model.cell.name == "independent"
    hidden = (here / "mine.py").rename(here / "away.py")
    try:
        printed(call(sample.main, "--run", "runs/mine", "--length", "5"))
    finally:
        hidden.rename(here / "mine.py")


def test_a_changed_file_is_refused_when_the_run_goes_on(here):
    file = here / "mine.py"
    before = file.read_text()
    file.write_text(before.replace("jnp.tanh(a + z)", "jnp.tanh(a - z)"))
    try:
        said = message(call(train.main, *TINY, *MINE, "--training.steps", "6"))
        assert "model.cell: the file is not the one that runs/mine was started with" in said
    finally:
        file.write_text(before)
    assert call(train.main, *TINY, *MINE, "--training.steps", "6").code == 0


def test_a_changed_copy_is_refused_when_the_run_is_read(here):
    shutil.copytree("runs/mine", "runs/touched")
    (here / "runs/touched/cell.py").write_text("# not it")
    assert "runs/touched/cell.py is not the cell's file" in message(call(sample.main, "--run", "runs/touched"))


def test_an_own_cell_is_not_exported(here, subtests):
    cases = [
        ("torch", "model.cell independent: PyTorch has vanilla, gru, lstm, and no other; "),
        ("flax", "model.cell independent: Flax has vanilla, gru, lstm, and no other; "),
        ("safetensors", "model.cell independent: a safetensors file holds no code"),
    ]
    for format, line in cases:
        check_refusals(subtests, export.main, [(["--run", "runs/mine", "--format", format], line)])
    assert not list(Path("runs/mine").glob("weights*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["twofold", "independent"])
def test_an_own_cell_goes_through_every_door(tmp_path, monkeypatch, name):
    """Two parts of a state behind gates, and a diagonal recurrence."""
    monkeypatch.chdir(tmp_path)
    file = Path(shutil.copy(HERE / "own_cells.py", "mine.py"))
    cell = ("--model.cell", f"mine.py:{name}")
    trained_in(tmp_path, *cell, "--run.name", "mine", "--training.steps", "14")
    study = f'axes: {{grid: {{model.cell: [vanilla, "mine.py:{name}"]}}}}\nseeds: 2\ntraining: {{steps: 7}}\n'
    Path("study.yaml").write_text(study)
    run = ("--run", "runs/mine")
    for main, *arguments in (
        (train.main, *TINY, *cell, "--run.name", "mine", "--training.steps", "14"),
        (train.main, *TINY, *cell, "--run.name", "uoro", "--training.steps", "7", "--gradient.method", "uoro"),
        (train.main, *TINY, *cell, "--run.name", "deer", "--training.steps", "7", "--gradient.method", "deer"),
        (sample.main, *run, "--length", "20"),
        (lags.main, *run, "--window", "8", "--streams", "2"),
        (clipping.main, *run, "--windows", "2"),
        (fixed_points.main, *run),
        (compare.main, *TINY, *cell, "--methods", "manual,rtrl,uoro"),
        (ablate.main, *TINY, "--config", "study.yaml"),
        (report.main, "runs/study"),
    ):
        printed(call(main, *arguments))
    sharded = ("--model.layers", "2", "--training.steps", "7", "--run.name")
    for count in ("1", "2"):
        printed(door("train", *TINY, *cell, *sharded, f"on_{count}", "--run.devices", count, cwd=tmp_path))
    one, two = (read_rows(f"runs/on_{count}")[-1] for count in ("1", "2"))
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-6)
    file.write_text(file.read_text().replace("a + z", "a - z"))
    assert f"began as another study (cells.mine.py:{name}: " in message(
        call(ablate.main, *TINY, "--config", "study.yaml")
    )


GOOD = (HERE / "own_cells.py").read_text()

BROKEN = {
    "there is no such file": ("", "nowhere.py:cell", "model.cell nowhere.py:cell: No such file or directory"),
    "its syntax": ("def (", "broken.py:cell", "the file does not run: SyntaxError: "),
    "its import": ("import no_such_module", "broken.py:cell", "ModuleNotFoundError: No module named 'no_such_module'"),
    "another name": (GOOD, "broken.py:cell", "cell is not there; the file has the cells "),
    "no cell": (GOOD, "broken.py:not_a_cell", "not_a_cell is no Cell but int; "),
    "a missing field": (
        "from rnnjax.model.cells import Cell\ncell = Cell('mine', ())",
        "broken.py:cell",
        "the file does not run: TypeError: ",
    ),
    "its fields": (
        "from rnnjax.model.cells import Cell\ncell = Cell('mine', (), print)",
        "broken.py:cell",
        "cell mine: gates is (), but must be at least one name",
    ),
    "its forward": (
        "from rnnjax.model.cells import Cell\ncell = Cell('mine', ('a',), lambda hyper, a, z, s: ((a @ z,), {}))",
        "broken.py:cell",
        "cell mine: forward does not run: TypeError: ",
    ),
    "its state": (
        "from rnnjax.model.cells import Cell\ncell = Cell('mine', ('a', 'b'), lambda hyper, a, z, s: ((a + z,), {}))",
        "broken.py:cell",
        "cell mine: forward returns ([2, 3, 8],), but must return the state, a tuple of 1 arrays [..., H]",
    ),
    "no file": ("", "grru", "model.cell is 'grru', but must be one of vanilla, leaky, gru, lstm, "),
}


def test_a_broken_file_is_one_line(here, subtests):
    for text, cell, line in BROKEN.values():
        (here / "broken.py").write_text(text)
        check_refusals(subtests, train.main, [([*TINY, "--model.cell", cell, "--run.name", "broken"], line)])
        assert not Path("runs/broken").exists()


def test_the_config_knows_the_built_in_cells_and_what_they_declare():
    for name, activation in CELLS:
        assert ModelConfig(cell=name, activation=activation).cell == name
    simple = {name for name, activation in CELLS if activation == "relu"}
    for name in {name for name, _ in CELLS} - simple | {"mine.py:independent"}:
        with pytest.raises(UserError, match=r"model\.activation is 'relu', but must be tanh in the cell"):
            ModelConfig(cell=name, activation="relu")
    assert Config().model.cell == "vanilla"


def test_a_file_gives_the_same_cell_each_time(here):
    assert own_cell.load("mine.py:crowded") is own_cell.load(str(here / "mine.py:crowded"))
