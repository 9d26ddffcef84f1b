"""Decisions of the benchmarks that need no measurement: who disagrees, who has failed, what can be measured here."""

import pytest

from benchmarks import report, scaling, training
from benchmarks.programs import Program, WorkerFailed


class Dead:
    """A worker whose process has ended."""

    closed = False

    def ask(self, do, **order):
        raise WorkerFailed("Traceback ...\nMemoryError: out of memory\n")

    def close(self):
        self.closed = True


def case(**losses):
    programs = [Program("rnnjax", "manual", losses=[4.0, 3.9], times=[1.0])]
    programs += [Program(peer, "best", losses=found, times=[2.0]) for peer, found in losses.items()]
    return report.Case("rnn", "S", 1e11, 1e-7, 0.0, programs)


def test_losses_that_differ_are_told_by_name():
    assert training.disagreements(case(torch=[4.0 + 9e-6, 3.9 + 1e-3], flax=[4.0, 3.9]), "float32") == []
    found = training.disagreements(case(torch=[4.0 + 2e-5, 3.9], flax=[4.0, 4.0], keras=[4.0, float("nan")]), "float32")
    assert [line.split(":")[1].split(",")[0].strip() for line in found] == ["PyTorch", "Flax", "Keras on TensorFlow"]
    assert training.disagreements(case(torch=[4.01, 3.9]), "bfloat16") == []


def test_a_program_that_ends_late_costs_itself_alone():
    worker = Dead()
    measured = case(torch=[4.0, 3.9])
    measured.programs[1].worker = worker
    training.measure_once(measured.programs[1])
    training.measure_once(measured.programs[1])
    assert worker.closed
    assert measured.notes == ["PyTorch, best: failed: MemoryError: out of memory"]
    assert training.disagreements(measured, "float32") == ["rnn S, PyTorch, best failed: MemoryError: out of memory"]
    assert measured.reference == 1.0


def test_on_a_gpu_none_takes_all_of_the_memory():
    settings = training.settings_of("cuda", "bfloat16")
    assert settings["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert settings["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert "XLA_PYTHON_CLIENT_PREALLOCATE" not in training.settings_of("cpu", "float32")


@pytest.mark.parametrize(("batch", "there", "expected"), [(32, 2, [1, 2]), (32, 1, [1]), (1, 2, [1])])
def test_only_devices_that_are_there_and_divide_the_batch_are_measured(monkeypatch, batch, there, expected):
    monkeypatch.setattr(scaling.jax, "device_count", lambda: there)
    assert scaling.along({"batch": batch, "devices": 1}, "devices") == expected
