"""rnnjax.train, rnnjax.load and rnnjax.sample: what the commands do, from Python."""

import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from command import TINY, call, printed, saved_arrays, write_songs

import rnnjax
from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.sample import main as sample_main
from rnnjax.train import main as train_main

QUICK = {
    "task": {"name": "classification"},
    "model": {"hidden_size": 4},
    "training": {"steps": 12, "batch_size": 4, "eval_every_steps": 6},
    "sampling": {"every_steps": 0},
    "run": {"checkpoint_every_steps": 6},
}


@pytest.fixture
def as_a_door_computes():
    """Without 64 bits, where also whole numbers, such as the order of the examples, are drawn with 32."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", before)


def arrays():
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(30, 5, 2)), rng.integers(2, 6, 30)
    return x, (x[:, 0, 0] > 0).astype(int), lengths


def flags(fields):
    """Fields as a command line has them."""
    return [text for name, value in fields.items() for text in (f"--{name}", str(value))]


def test_arrays_train_as_their_file_does(here, as_a_door_computes):
    x, y, lengths = arrays()
    found = rnnjax.train(x, y, lengths, out="runs/mine", **QUICK)
    np.savez("a.npz", x=x, y=y, lengths=lengths)
    fields = {f"{section}.{name}": value for section, given in QUICK.items() for name, value in given.items()}
    printed(call(train_main, *flags(fields), "--data.path", "a.npz", "--run.name", "file", "--run.platform", "cpu"))
    assert saved_arrays(Path("runs/mine")) == saved_arrays(Path("runs/file"))
    assert found.path == Path("runs/mine")
    assert found.metrics["step"].tolist() == [6, 12]
    assert found.metrics["validation_loss"].notna().all()
    assert set(found.result["network"]) == {"accuracy"}
    assert len(found.predictions) == found.result["count"] == 3
    assert found.result["network"]["accuracy"] == np.mean(found.predictions["truth"] == found.predictions["predicted"])
    p = found.network.predict(x, lengths)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    rows = found.predictions["series"].astype(int)
    np.testing.assert_allclose(p[rows].max(axis=1), found.predictions["probability"], rtol=1e-5)
    again = rnnjax.load("runs/mine").predict(x, lengths)
    np.testing.assert_array_equal(p, again)

    # A finished run is read, not trained again; another's fields or arrays are refused.
    before = Path("runs/mine/metrics.jsonl").read_bytes()
    assert rnnjax.train(x, y, lengths, out="runs/mine", **QUICK).result == found.result
    assert Path("runs/mine/metrics.jsonl").read_bytes() == before
    with pytest.raises(UserError, match="the text is not the one"):
        rnnjax.train(x + 1, 1 - y, lengths, out="runs/mine", **QUICK)
    with pytest.raises(UserError, match=r"model\.hidden_size: 4 -> 5"):
        rnnjax.train(x, y, lengths, out="runs/mine", **{**QUICK, "model": {"hidden_size": 5}})


def test_without_a_directory_none_is_left(here, capsys):
    x, y, lengths = arrays()
    found = rnnjax.train(x, y, lengths, config=Config(), **QUICK)
    said = capsys.readouterr().out
    assert "test, 3 answers: " in said
    assert tempfile.gettempdir() not in said
    assert found.path is None
    assert not list(here.iterdir())
    assert found.network.config.model.hidden_size == 4
    assert found.network.step in (6, 12)


def test_fields_from_python_are_checked_as_those_of_a_file_are():
    x, y, _ = arrays()
    with pytest.raises(UserError, match=r"task\.name is 'text', but must be one of forecasting, regression"):
        rnnjax.train(x, y)
    with pytest.raises(UserError, match="hiden_size"):
        rnnjax.train(x, y, **{**QUICK, "model": {"hiden_size": 4}})
    with pytest.raises(UserError, match="a section is 'modle', but must be one of task, data"):
        rnnjax.train(x, y, **QUICK, modle={})
    with pytest.raises(UserError, match="task is 'regression', but must be a dict of its fields"):
        rnnjax.train(x, y, task="regression")
    with pytest.raises(UserError, match=r"model\.cell"):
        rnnjax.train(x, y, **{**QUICK, "model": {"cell": "grru"}})
    with pytest.raises(UserError, match=r"the arrays: y is int64\[29\], but x has 30 series"):
        rnnjax.train(x, y[1:], **QUICK)


def test_a_loaded_network_writes_what_the_command_writes(here):
    write_songs(Path("songs.csv"))
    assert call(train_main, *TINY, "--training.steps", "4", "--run.name", "songs").code == 0
    network = rnnjax.load("runs/songs")
    asked = {"prime": "la", "length": 30, "temperature": 0.5, "top_k": 3, "seed": 2}
    screen = printed(call(sample_main, "--run", "runs/songs", "--num", "2", *flags(asked)))
    texts = rnnjax.sample(network, num=2, **asked)
    assert screen == f"--- 1 of 2 ---\nla{texts[0]}\n\n--- 2 of 2 ---\nla{texts[1]}\n"
    assert rnnjax.sample("runs/songs", num=1, **asked) == texts[:1]
    state, logits = network.apply(network.vocabulary.encode("la")[:, None])
    assert logits.shape == (2, 1, len(network.vocabulary))
    assert state[0].shape == (1, 4)
    with pytest.raises(UserError, match="prime has characters that the network never saw: 'Z'"):
        rnnjax.sample(network, "Z")
    with pytest.raises(UserError, match="length is 0, but must be at least 1"):
        rnnjax.sample(network, length=0)
    with pytest.raises(UserError, match="writes songs; use"):
        network.answer("la")
    with pytest.raises(UserError, match="not of series"):
        network.predict(np.ones((1, 2, 1)))


def test_the_doors_modules_are_called_like_functions_in_any_order():
    """In a process of its own: here the modules have long been imported."""
    for first in ("", "import rnnjax.loop, rnnjax.sample\nfrom rnnjax import train"):
        program = f"""{first}
import rnnjax
for function in (rnnjax.train, rnnjax.sample, rnnjax.load):
    assert callable(function)
for call in (lambda: rnnjax.train(1), lambda: rnnjax.sample("no/such/run"), lambda: rnnjax.load("no/such/run")):
    try:
        call()
    except rnnjax.errors.UserError:
        continue
    raise AssertionError
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
