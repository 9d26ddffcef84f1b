"""The harness of injected faults: in small, and that it tells what is wrong."""

import os
import subprocess
import sys

import pytest

from benchmarks.faults.__main__ import NAMES
from benchmarks.faults.count import Count
from benchmarks.faults.doors import Answer
from benchmarks.faults.subject import complaint

SMALL = ["--kills", "6", "--signals", "10", "--sizes", "3", "--operations", "6", "--every", "40", "--examples", "15"]


def inject(out, *options):
    """The table of the harness, run in a process of its own: a fork would not survive the threads of this one."""
    command = [sys.executable, "-m", "benchmarks.faults", "--out", str(out), *options]
    env = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    return [line.split(" | ") for line in out.read_text().splitlines() if line.endswith(" |")][1:]


def test_what_is_wrong_with_an_answer_is_told():
    one = "rnnjax: error: no space\n"
    assert [complaint(Answer(code, "", text, 0)) for code, text in ((0, ""), (2, one), (130, "stopping\n"))] == [""] * 3
    wrong = [(None, ""), (1, "x"), (-11, ""), (2, ""), (2, "Traceback (most recent call last):\n" + one), (2, 9 * one)]
    assert all(complaint(Answer(code, "", text, 0)) for code, text in wrong)
    count = Count("a", "b")
    count.take("mended")
    count.take("", "other bytes")
    assert count.row() == "| a | b | 2 | 1 mended | 1 |"


@pytest.mark.slow
def test_made_up_command_lines(tmp_path):
    ((_, _, tried, _, _),) = inject(tmp_path / "faults.md", "--only", "command_lines", "--examples", "8")
    assert int(tried) == 8


@pytest.mark.slow
def test_every_kind_of_fault_in_small(tmp_path):
    kinds = [name for name in NAMES if name not in ("hosts", "workers")]  # test_hosts and test_cluster have these
    assert len(inject(tmp_path / "faults.md", *SMALL, "--only", *kinds)) == len(kinds)
