"""A study over a Ray cluster of two nodes, one of which dies on the way."""

import contextlib
import json
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from command import call, check_refusals, door, message, printed
from test_ablate_door import begin, rows

from rnnjax import ablate
from rnnjax.study import estimate
from rnnjax.study.board import Board, GroupProgress
from rnnjax.study.cluster import Listener

LONG = ["--config", "study.yaml", "--training.steps", "2000", "--run.checkpoint_every_steps", "100"]
LONG += ["--training.eval_every_steps", "1000"]


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one processor each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("JAX_PLATFORMS", raising=False)
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.doomed = nodes.add_node(num_cpus=1)
        yield nodes
        nodes.shutdown()


@contextlib.contextmanager
def started(place, nodes):
    """The long study, begun over a cluster, when each of its two groups has a new checkpoint."""
    command = [sys.executable, "-m", "rnnjax.ablate", *LONG, "--executor", "ray", "--address", nodes.address]
    begun = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    saved = place / "runs" / "tiny" / "groups"
    before = {*saved.glob("*/batch-0/checkpoints/*")}
    fresh = lambda group: [s for s in saved.glob(f"{group}/batch-0/checkpoints/[0-9]*") if s not in before]
    try:
        while begun.poll() is None and not (fresh(0) and fresh(1)):
            time.sleep(0.1)
        yield begun
    finally:
        begun.kill()


@pytest.mark.slow
def test_stopped_politely_and_after_a_node_died_a_study_ends_with_the_numbers_of_one_machine(cluster, tmp_path):
    straight, place = begin(tmp_path / "straight"), begin(tmp_path / "place")
    printed(door("ablate", *LONG, cwd=straight))

    with started(place, cluster) as stopped:
        stopped.send_signal(signal.SIGINT)
        said, errors = stopped.communicate(timeout=240)
    assert stopped.returncode == 130, errors
    assert "the same command goes on from there" in said

    with started(place, cluster) as shaken:
        cluster.remove_node(cluster.doomed, allow_graceful=False)
        said, errors = shaken.communicate(timeout=240)
    assert shaken.returncode == 0, errors
    assert len(errors.splitlines()) == 1
    assert "died; another goes on with it from its last checkpoint" in errors
    assert "8 of 8 runs done, 0 running, 0 failed" in said
    pd.testing.assert_frame_equal(rows(place), rows(straight), check_exact=True)


@pytest.mark.slow
def test_what_a_user_can_mend_on_a_worker_is_one_line(cluster, tmp_path):
    place = begin(tmp_path / "place")
    plan = place / "runs" / "tiny" / "groups" / "1" / "plan.json"
    plan.parent.mkdir(parents=True)
    plan.write_text(json.dumps({"data": "others"}))
    answer = door("ablate", "--config", "study.yaml", "--executor", "ray", "--address", cluster.address, cwd=place)
    assert "data.path: the data are not those that runs/tiny/groups/1 was started with" in message(answer)


def test_what_does_not_fit_is_one_line(tmp_path, monkeypatch, subtests):
    pytest.importorskip("ray")
    monkeypatch.chdir(begin(tmp_path / "place"))
    ray = ["--executor", "ray"]
    cases = [
        ([*ray, "--address", "127.0.0.1:1"], "--address 127.0.0.1:1: no Ray cluster answers"),
        ([*ray, "--address", "here"], "--address here: no Ray cluster answers"),
        ([*ray, "--run.devices", "0"], "run.devices is 0, but must be at least 1 with --executor ray"),
        (["--run.coordinator", "auto"], "run.coordinator is 'auto', but must be empty in a study; see --executor ray"),
        (["--address", "127.0.0.1:1"], "--address is of a Ray cluster; add --executor ray"),
    ]
    check_refusals(subtests, ablate.main, [(["--config", "study.yaml", *options], line) for options, line in cases])


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(begin(tmp_path / "place"))
    monkeypatch.setitem(sys.modules, "ray", None)
    said = message(call(ablate.main, "--config", "study.yaml", "--executor", "ray"))
    assert "pip install 'rnnjax[ray]'" in said
    assert not (tmp_path / "place/runs").exists()


def test_a_dry_run_needs_no_cluster(tmp_path, monkeypatch):
    monkeypatch.chdir(begin(tmp_path / "place"))
    monkeypatch.setattr(estimate, "show", lambda study, base, arms: print(f"{len(arms)} arms"))
    answer = call(ablate.main, "--config", "study.yaml", "--executor", "ray", "--address", "127.0.0.1:1", "--dry_run")
    assert (answer.code, answer.stdout) == (0, "8 arms\n"), answer.stderr


def test_what_a_dead_worker_told_is_taken_back(capsys):
    board = Board(6, 60)
    listener = Listener(board)
    listener.hear(
        [
            (0, None),
            (1, None),
            (1, GroupProgress(10, 1, failed=1)),
            (0, GroupProgress(10, 2)),
            (0, GroupProgress(0, 0, 1, 2)),
        ]
    )
    assert "2 of 6 runs done, 1 running, 2 failed; " in capsys.readouterr().out
    listener.hear([(0, None)])
    captured = capsys.readouterr()
    assert "0 of 6 runs done, 1 running, 1 failed; " in captured.out
    assert "the worker of group 0 died" in captured.err
    listener.hear([(0, GroupProgress(10, finished=3, fresh=False)), (1, GroupProgress(50, 0, 1, 1))])
    again, last = capsys.readouterr().out.splitlines()
    assert again.startswith("3 of 6 runs done, 1 running, 1 failed; ")
    assert last == "4 of 6 runs done, 0 running, 1 failed"
