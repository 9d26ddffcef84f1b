"""The doors: each opens from outside, helps, and writes to any screen."""

import io
from pathlib import Path

import pytest
from command import begun_in, call, door, message, printed

import rnnjax
from rnnjax import cli, export, sample, train
from rnnjax.clipping import __main__ as clipping
from rnnjax.compare import __main__ as compare
from rnnjax.explore import __main__ as explore
from rnnjax.lags import __main__ as lags
from rnnjax.textbook import __main__ as textbook

PACKAGE = Path(rnnjax.__file__).parent
DOORS = sorted(
    path.parent.name if path.stem == "__main__" else path.stem
    for path in PACKAGE.rglob("*.py")
    if "\n    run(main)\n" in path.read_text(encoding="utf-8")
)


@pytest.mark.slow
def test_every_door_opens_from_outside(tmp_path, subtests):
    assert {"train", "museum"} < set(DOORS)
    for name in DOORS:
        with subtests.test(name):
            assert f"rnnjax.{name}" in printed(door(name, "--help", cwd=tmp_path))


def test_help_is_no_error(tmp_path, subtests):
    run = ["--run", str(begun_in(tmp_path))]
    doors = {main: [[]] for main in (train.main, sample.main, compare.main, explore.main, export.main)}
    doors |= {lags.main: [[], run], clipping.main: [[], run]}
    doors |= {textbook.main: [[], ["forward"], ["gradients"], ["clipping"]]}
    for main, choices in doors.items():
        for chosen in choices:
            with subtests.test(main.__module__, chosen=chosen):
                answer = call(main, *chosen, "--help")
                assert (answer.code, answer.stderr) == (0, "")
                assert "usage" in answer.stdout
                if main is textbook.main:
                    assert ("--seed" in answer.stdout) == bool(chosen)


def test_a_screen_that_lacks_a_character(monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", screen)
    cli.prepare_screen()
    print("It\u2019s \udce9")
    screen.flush()
    assert screen.buffer.getvalue() == b"It?s ?\n"


def test_a_command_line_that_is_not_utf_8():
    assert "not UTF-8" in message(call(explore.main, "--run", "\udcff"))
    assert "plain directory name" in message(call(train.main, "--run.name", "\udcff"))
