"""Each command of README and documentation, run as it stands there, but on a network so small that it takes seconds;
and the Python of the pages that go on from a run."""

import contextlib
import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from command import call, printed, write_songs
from study_folder import write_study
from test_docs import NEEDS_A_RUN, PAGES, RUNS_ITS_COMMANDS, commands, main_of, make_directory, run_page

from rnnjax.study import estimate

pytestmark = pytest.mark.slow

TRAIN = ["--training.steps", "2", "--model.hidden_size", "8", "--sampling.length", "20", "--run.platform", "cpu"]
SMALLER = {  # appended to the commands of a door
    "train": TRAIN,
    "ablate": ["--dry_run", "--seeds", "1", "--run.devices", "1", "--training.steps", "2", "--model.hidden_size", "4"],
    "compare": ["--methods", "manual,truncated"],
    "lags": ["--window", "8", "--streams", "2"],
    "clipping": ["--windows", "2"],
    "sample": ["--length", "20"],
    "fixed_points": ["--starts", "4", "--steps", "40"],
}
NUMBERS = {"configs/seq2seq.yaml": ["--task.numbers", "200"]}
"""Options by config, for tasks that take long whatever the network."""

NOT_HERE = {
    "--run.coordinator": "several hosts: test_hosts.py",
    "--executor ray": "a cluster: test_cluster.py",
    "rnnjax.museum": "training for minutes: test_museum.py",
    "initial_state": "a tutorial, which runs whole below",
    "tide.csv": "a tutorial, which runs whole below",
}


def door_commands():
    """The commands of the package's doors that have arguments: those that train come first."""
    found = {command for _, command in commands() if command.startswith("python -m rnnjax.") and command.count(" ") > 2}
    found = {command for command in found if not any(sign in command for sign in NOT_HERE)}
    return sorted(found, key=lambda command: (".train " not in command, command))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory in which the runs are that the pages speak of."""
    place = tmp_path_factory.mktemp("place")
    make_directory(place)
    for name in ("songs.csv", "songdata.csv"):
        write_songs(place / name, count=100)
    (place / "song.txt").write_text("la la sun\n" * 9)
    with contextlib.chdir(place):
        for config in ("lyrics", "one_to_many", "many_to_one", "seq2seq"):
            path = f"configs/{config}.yaml"
            printed(call(main_of("rnnjax.train"), "--config", path, *TRAIN, *NUMBERS.get(path, [])))
        for study in {name for text in PAGES.values() for name in re.findall(r"rnnjax\.report runs/(\w+)", text)}:
            write_study(place / "runs" / study, [("a", {"x": 1}, {0: 1.0, 1: 2.0}), ("b", {"x": 2}, {0: 2.0, 1: 2.5})])
    return place


def test_every_command_runs(place, monkeypatch, subtests):
    monkeypatch.chdir(place)
    found = door_commands()
    assert len(found) > 40
    for command in found:
        _, _, module, *words = shlex.split(command)
        if "torch" in words and find_spec("torch") is None:
            continue
        more = SMALLER.get(module.removeprefix("rnnjax."), []) if "--print_config" not in words else []
        if "--config" in words:
            more = [*more, "--model.hidden_size", "8"]
        for word in words:
            more = [*more, *NUMBERS.get(word, [])]
        with subtests.test(command), monkeypatch.context() as patch:
            if "--dry_run" not in words:  # the arms are made, and no program is compiled
                patch.setattr(estimate, "show", lambda study, base, arms: None)
            printed(call(main_of(module), *words, *more))


@pytest.mark.parametrize("page", NEEDS_A_RUN)
def test_its_python_runs_on_a_run(page, place, monkeypatch):
    monkeypatch.chdir(place)
    if "import torch" in PAGES[page]:
        pytest.importorskip("torch")
        assert call(import_module("rnnjax.export").main, "--run", "runs/lyrics", "--format", "torch").code == 0
    run_page(page, place, monkeypatch)


@pytest.mark.parametrize("page", RUNS_ITS_COMMANDS)
def test_its_commands_run(page, tmp_path, monkeypatch):
    run_page(page, tmp_path, monkeypatch, commands=True)


def test_what_runs_elsewhere_does():
    for sign, reason in NOT_HERE.items():
        assert any(sign in command for _, command in commands()), sign
        for file in re.findall(r"test_\w+\.py", reason):
            assert (Path(__file__).parent / file).exists()
