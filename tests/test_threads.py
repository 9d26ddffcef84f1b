"""Choices of the machine, which a run keeps: threads for a small network, steps in a turn of the loop."""

import os
from dataclasses import replace

import pytest
import yaml

from benchmarks import machine
from rnnjax import build, loop
from rnnjax.config import Config, ModelConfig, RunConfig, TrainingConfig
from rnnjax.cores import cores
from rnnjax.run.config_file import as_begun
from rnnjax.run.device import describe
from rnnjax.run.threads import threads_for, use_threads


def config(root="runs", batch=1, hidden=100, **run):
    return Config(
        model=ModelConfig(hidden_size=hidden),
        training=TrainingConfig(batch_size=batch),
        run=RunConfig(root=str(root), name="r", **run),
    )


def test_a_small_network_has_one_thread_unless_another_number_is_asked_for(monkeypatch):
    assert threads_for(config()) == 1  # the book's size
    assert threads_for(config(batch=32, hidden=256)) == 0
    assert threads_for(config(batch=2, devices=2)) == 0  # each device has a share of the threads
    assert threads_for(config(threads=3)) == 3
    monkeypatch.delenv("PJRT_NPROC", raising=False)
    use_threads(0)
    use_threads(3)
    assert os.environ["PJRT_NPROC"] == "3"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system binds no process to cores")
def test_a_process_bound_to_one_core_counts_one(monkeypatch):
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
        assert "(1 core)" in describe("float32", 1)
        assert machine.describe()["cores"] == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores() == len(allowed)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == os.cpu_count()


def test_a_run_keeps_the_steps_in_a_turn_with_which_it_began(tmp_path, monkeypatch):
    asked = config(tmp_path)
    assert asked.model.scan_unroll == 0
    settled = lambda asked: loop.settled(asked, tmp_path / "r")
    assert settled(asked).model.scan_unroll == 1
    monkeypatch.setitem(build.SCAN_UNROLL, "cpu", 16)
    assert settled(asked).model.scan_unroll == 16
    assert build.make_model(asked, 5).scan_unroll == 16
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "config.yaml").write_text(yaml.safe_dump({"model": {"scan_unroll": 4}}))
    assert settled(asked).model.scan_unroll == 4
    chosen = replace(asked, model=replace(asked.model, scan_unroll=8))
    assert settled(chosen).model.scan_unroll == 8  # which `pin_config` then refuses
    (tmp_path / "r" / "config.yaml").write_text("{")
    assert settled(asked).model.scan_unroll == 16
    by_checkpoints = {"model": {"scan_unroll": 4}}  # where config.yaml was lost
    assert as_begun(asked, tmp_path / "gone", by_checkpoints).model.scan_unroll == 4
