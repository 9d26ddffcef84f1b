"""The door of the lag microscope: what it writes, and what it refuses."""

import json
import shutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command import TINY, call, check_refusals, message, printed, trained_in, write_songs

from rnnjax import text_network
from rnnjax.config import Config, DataConfig, ModelConfig
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.lags import __main__ as lags
from rnnjax.training.state import init_state


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A directory with a text and a trained run of two layers."""
    return trained_in(tmp_path_factory.mktemp("lags"), *SMALL, "--model.layers", "2", "--model.cell", "gru", count=20)


SMALL = ["--training.steps", "4", "--sampling.every_steps", "0", "--run.name", "small"]
WINDOW = ["--window", "8", "--streams", "2", "--exponents", "3"]


def test_a_run_is_analysed(trained, monkeypatch):
    monkeypatch.chdir(trained)
    screen = printed(call(lags.main, "--run", "runs/small", *WINDOW, "--bias", "0.5"))
    assert "that have all 4 earlier steps inside the analysed window of 8" in " ".join(screen.split())
    out = trained / "runs" / "small" / "lags"
    assert sorted(path.name for path in out.iterdir()) == [
        *("gradient_by_lag.png", "lags.json", "lyapunov.png", "truncation.png")
    ]
    found = json.loads((out / "lags.json").read_text())
    (network,) = found["networks"]
    assert network["parts_against_bptt"] < 1e-12
    assert "in parallel over time (T = 16, 2 streams): largest exponent -" in screen
    assert found["forecast"]["iterations"] > 1
    assert len(network["gradient_norm"]["mean"]) == 5
    assert len(network["truncation"]["bias"]) == 8
    assert network["leaves"].keys() >= {"layers.0.W", "layers.1.bz", "V", "by"}
    assert [len(network[name]) for name in ("recurrent_weights", "saturation")] == [6, 6]
    exponents = network["lyapunov"]["exponents"]
    assert exponents == sorted(exponents, reverse=True)
    wanted = network["wanted"]["k"]
    assert wanted is None or network["truncation"]["bias"][wanted - 1] <= 0.5


@pytest.mark.slow
def test_a_config_is_shown_beside_three_initialisations_and_one_that_overflows_is_left_out(trained, monkeypatch):
    monkeypatch.chdir(trained)
    fresh = ["--model.init", "normal", "--model.activation", "linear", "--model.hidden_size", "8", "--out", "found"]
    screen = printed(call(lags.main, *TINY, *WINDOW, *fresh, "--scales", "0.01", "1.0", "4.0", "1e60"))
    assert "left out of the comparison: W = 1e+60 x orthogonal, fresh: the gradient of 8 steps is too" in screen
    networks = json.loads((trained / "found" / "lags.json").read_text())["networks"]
    assert [network["name"].split(",")[0] for network in networks] == [
        "run at initialisation",
        *(f"W = {scale} x orthogonal" for scale in ("0.01", "1", "4")),
    ]
    radii = [network["recurrent_weights"][0]["spectral_radius"] for network in networks[1:]]
    np.testing.assert_allclose(radii, [0.01, 1, 4], rtol=1e-5)
    assert (trained / "found" / "side_by_side.png").read_bytes().startswith(b"\x89PNG")
    assert "vanishing" in screen


@pytest.mark.parametrize(
    ("options", "reason", "count"),
    [
        (["--model.cell", "gru"], "in a gated cell the gates decide", 1),
        (
            ["--model.layer_norm", "true", "--model.init", "orthogonal", "--side_by_side", "--scales", "2"],
            "takes the scale of W out again",
            2,
        ),
    ],
)
def test_where_the_scale_of_W_says_little_the_door_says_so(trained, monkeypatch, options, reason, count):
    monkeypatch.chdir(trained)
    assert reason in printed(call(lags.main, *TINY, *WINDOW, *options, "--model.hidden_size", "8", "--out", "scaled"))
    networks = json.loads((trained / "scaled" / "lags.json").read_text())["networks"]
    assert len(networks) == count
    if count == 2:  # and so it is
        np.testing.assert_allclose(*(network["gradient_norm"]["mean"] for network in networks), rtol=0.1)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_units_that_are_all_off_are_no_warning(trained, monkeypatch):
    """A relu network in which some direction of the state dies: a Lyapunov exponent of minus infinity."""
    monkeypatch.chdir(trained)
    dead = ["--model.activation", "relu", "--model.hidden_size", "8", "--no_side_by_side", "--out", "dead"]
    printed(call(lags.main, *TINY, "--window", "8", "--streams", "2", "--exponents", "8", *dead))
    exponents = json.loads((trained / "dead" / "lags.json").read_text())["networks"][0]["lyapunov"]
    assert None in exponents["exponents"]
    assert [s is None for s in exponents["standard_error"]] == [e is None for e in exponents["exponents"]]


def test_fresh_weights_are_those_that_training_begins_with():
    config = Config(data=DataConfig(path="bundled"), model=ModelConfig(hidden_size=5))
    vocabulary = SimpleNamespace(vocabulary=Vocabulary("abc"))
    fresh = text_network.fresh(config, vocabulary)
    begun = init_state(config, fresh.model, jnp.dtype("float32"))
    jax.tree.map(np.testing.assert_array_equal, fresh.params, begun.params)
    assert {leaf.dtype for leaf in jax.tree.leaves(fresh.params)} == {jnp.dtype("float64")}


def test_what_a_user_can_mend_is_one_line(trained, monkeypatch, subtests):
    monkeypatch.chdir(trained)
    small = ["--run", "runs/small"]
    cases = [
        (["--run", "runs/none"], "runs/none is not a run"),
        ([*small, "--checkpoint", "none"], "checkpoint none: "),
        ([*small, "--config", "c.yaml"], "give one of them"),
        ([*small, "--window", "4000"], "the validation text has"),
        ([*small, "--window", "8", "--lags", "8"], "--lags is 8"),
        ([*small, "--lags", "0"], "--lags is 0"),
        ([*small, "--bias", "-0.1"], "--bias is -0.1"),
        ([*small, "--bias", "nan"], "bias"),
        ([*small, "--streams", "0"], "--streams is 0"),
        ([*small, "--exponents", "x"], "exponents"),
        ([*small, "--scales", "0"], "--scales is 0"),
        ([*small, "--platform", "none"], "--platform is 'none'"),
        ([*small, *WINDOW, "--out", "songs.csv"], "--out: cannot make songs.csv"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--model.hiden_size", "3"], "model.hidden_size"),
        (["--wndow", "3"], "window"),
    ]
    check_refusals(subtests, lags.main, cases)


def test_another_text_than_the_run_was_started_with_is_refused(trained, monkeypatch, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    write_songs(tmp_path / "copy" / "songs.csv", count=21)
    assert "not the one that runs/small was started with" in message(call(lags.main, "--run", "runs/small", *WINDOW))


def test_too_much_is_refused_before_it_is_begun(trained, monkeypatch):
    monkeypatch.chdir(trained)
    (trained / "long.txt").write_text("la la oh moon\n" * 60_000)
    answer = call(lags.main, *TINY, "--data.path", "long.txt", "--window", "30000", "--streams", "1")
    assert "--window 30000 x --streams 1 take about" in message(answer)
