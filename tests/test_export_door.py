"""The door that exports a run: the file, its check in the library itself, and one line for what a user can mend."""

import errno
import os
from pathlib import Path

import agreement
import numpy as np
import pytest
from command import call, message, printed, trained_in
from libraries import require

from rnnjax import export, interop
from rnnjax.trained import load_trained


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a tiny run of a GRU and one that only safetensors can hold."""
    place, short = tmp_path_factory.mktemp("place"), ["--training.steps", "3", "--run.name"]
    trained_in(place, *short, "gru", "--model.cell", "gru", "--model.embedding_size", "3")
    leaky = ["--model.cell", "leaky", "--model.leak", "0.25", "--run.precision", "float64"]
    return trained_in(place, *short, "leaky", *leaky)


@pytest.fixture
def write(place, monkeypatch):
    monkeypatch.chdir(place)
    return lambda *arguments: call(export.main, *arguments)


@pytest.mark.parametrize(("name", "file"), [("torch", "weights.pt"), ("flax", "weights.msgpack")])
def test_a_run_is_exported_and_verified_in_the_library(write, name, file):
    if name == "torch":
        require("torch")
    screen = printed(write("--run", "runs/gru", "--format", name, "--verify"))
    assert f"runs/gru/{file}: " in screen
    assert "1 x 4 gru units of step 3" in screen
    assert screen.splitlines()[-1].endswith("they agree")
    trained = load_trained(Path("runs/gru"))
    loaded = getattr(interop, name).load(Path("runs/gru") / file, trained.model)
    for theirs, ours in zip(loaded.layers, trained.params.layers, strict=True):
        np.testing.assert_array_equal(theirs.W, ours.W)
        np.testing.assert_allclose(theirs.bh + theirs.bz, ours.bh + ours.bz, atol=1e-6)


def test_what_no_library_can_hold_is_exported_to_safetensors(write):
    screen = printed(write("--run", "runs/leaky", "--format", "safetensors", "--verify", "--out", "mine.safetensors"))
    assert "0.0e+00" in screen
    network, trained = interop.safetensors.load("mine.safetensors"), load_trained(Path("runs/leaky"))
    assert (network.model, network.characters) == (trained.model, trained.vocabulary.characters)
    assert float(network.hyper.leak) == 0.25
    agreement.compare(network.params, trained.params, 0)


def test_a_library_that_disagrees_is_told_with_exit_code_1(write, monkeypatch):
    true = interop.flax.logits
    monkeypatch.setattr(interop.flax, "logits", lambda *args: true(*args) + 1e-3)
    answer = write("--run", "runs/gru", "--format", "flax", "--verify")
    assert answer.code == 1
    assert answer.stdout.splitlines()[-1].endswith("they DISAGREE")


def test_a_folder_that_cannot_be_written_to(write, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("rnnjax.files.os.replace", refuse)
    line = message(write("--run", "runs/gru", "--format", "flax", "--out", "theirs"))
    assert "cannot write theirs: Read-only file system; write to another place (--out)" in line
    assert not [*Path().glob("*theirs*")]


def test_what_a_user_can_mend_is_one_line(write, subtests):
    cases = [
        (["--run", "runs/gru", "--format", "onnx"], "--format is 'onnx', but must be one of torch, flax, safetensors"),
        (["--run", "runs/gru", "--format", "flax", "--out", "no/where/a"], "cannot write no/where/a: No such file"),
        (
            ["--run", "runs/gru", "--format", "flax", "--out", "runs"],
            "runs is a directory, where a file is to be written",
        ),
        (["--run", "runs/gru", "--format", "flax", "--checkpoint", "9"], "checkpoint 9: "),
        (["--run", "runs/none", "--format", "flax"], "runs/none is not a run"),
        (
            ["--run", "runs/leaky", "--format", "flax"],
            "model.cell leaky: Flax has vanilla, gru, lstm, and no other; the safetensors format",
        ),
        (
            ["--run", "runs/leaky", "--format", "torch"],
            "model.cell leaky: PyTorch has vanilla, gru, lstm, and no other; ",
        ),
        (["--run", "runs/gru"], "required: format"),
    ]
    for arguments, line in cases:
        with subtests.test(arguments=arguments):
            assert line in message(write(*arguments))
