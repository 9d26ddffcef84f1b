"""Clipping of real gradients: the measures against plain NumPy, and the door."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from command import TINY, call, check_refusals, read_rows, trained_in

from rnnjax.analysis.clipping import effect, value_threshold
from rnnjax.clipping import __main__ as clipping
from rnnjax.clipping.measure import measure
from rnnjax.clipping.tables import at_same_length, at_threshold
from rnnjax.config import Config, ModelConfig, OptimizerConfig
from rnnjax.errors import UserError
from rnnjax.training.clipping import make_clip


def clip_of(kind, threshold):
    clip = make_clip(kind, threshold)
    return lambda grads: clip.update(grads, clip.init(grads))[0]


GRADS = {"a": jnp.array([[3.0, 0.0], [0.0, 4.0]]), "b": jnp.array([12.0])}


def test_by_value_turns_the_gradient_and_by_norm_does_not():
    whole, leaves = effect(clip_of("value", 4.0), GRADS)
    np.testing.assert_allclose(whole.before, 13)
    np.testing.assert_allclose(whole.after, np.sqrt(9 + 16 + 16))
    cosine = (9 + 16 + 48) / 13 / np.sqrt(41)
    np.testing.assert_allclose(whole.angle, np.degrees(np.arccos(cosine)))
    np.testing.assert_allclose(whole.changed, 1 / 5)
    np.testing.assert_allclose(leaves.before, [5, 12])
    np.testing.assert_allclose(leaves.after, [5, 4])
    np.testing.assert_allclose(leaves.angle, [0, 0], atol=1e-13)

    whole, leaves = effect(clip_of("global_norm", 6.5), GRADS)
    np.testing.assert_allclose(whole.after, 6.5)
    np.testing.assert_allclose(leaves.after, [2.5, 6])
    np.testing.assert_allclose(whole.angle, 0, atol=1e-13)
    np.testing.assert_allclose(whole.changed, 3 / 5)  # a zero stays zero


def test_by_the_norm_of_each_leaf_turns_the_whole_but_no_leaf():
    whole, leaves = effect(clip_of("per_leaf_norm", 5.0), GRADS)
    np.testing.assert_allclose(leaves.after, [5, 5])
    np.testing.assert_allclose(leaves.angle, 0, atol=1e-13)
    np.testing.assert_allclose(whole.angle, np.degrees(np.arccos((25 + 60) / 13 / np.sqrt(50))))


def test_a_zero_gradient_has_no_angle():
    whole, leaves = effect(clip_of("global_norm", 1.0), jax.tree.map(jnp.zeros_like, GRADS))
    for values in (whole, leaves):
        for value in values:
            np.testing.assert_array_equal(value, 0)


def test_a_small_angle_is_seen():
    grads = {"a": jnp.array([1.0, 1e-9])}
    whole, _ = effect(lambda tree: {"a": jnp.array([1.0, 0.0])}, grads)
    np.testing.assert_allclose(whole.angle, np.degrees(1e-9), rtol=1e-6)


def test_the_threshold_for_a_length_gives_that_length():
    grads = {"a": jnp.asarray(np.random.default_rng(0).normal(size=(5, 7))), "b": jnp.arange(3.0)}
    for share in (0.01, 0.3, 0.99):
        length = share * optax.tree.norm(grads)
        threshold = float(value_threshold(grads, length))
        np.testing.assert_allclose(optax.tree.norm(clip_of("value", threshold)(grads)), length, rtol=1e-12)
    largest = max(float(jnp.abs(leaf).max()) for leaf in grads.values())
    np.testing.assert_allclose(float(value_threshold(grads, 100.0)), largest)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A directory with a text and a run whose weights stand still."""
    still = ["--optimizer.learning_rate", "1e-30", "--model.dropout", "0.3", "--run.precision", "float64"]
    small = ["--training.steps", "4", "--training.log_every_steps", "1", "--sampling.every_steps", "0"]
    return trained_in(tmp_path_factory.mktemp("clipping"), *small, *still, "--run.name", "small", count=20)


def check(out, answer):
    """The findings; checks what must hold of every network."""
    assert answer.code == 0, answer
    assert sorted(path.name for path in out.iterdir()) == ["clipping.json", "clipping.png", "clipping_leaves.png"]
    found = json.loads((out / "clipping.json").read_text())
    for row in found["rows"]:
        whole = row["whole"]
        assert whole["after"] <= whole["before"] * (1 + 1e-12)
        if row["kind"] == "global_norm":
            assert whole["angle"] < 1e-5
            assert whole["after"] <= row["threshold"] * (1 + 1e-12)
        if whole["changed"] == 0:
            assert whole["before"] == whole["after"]
    for kind, angle in (("global_norm", lambda angle: angle < 1e-5), ("value", lambda angle: angle > 1)):
        np.testing.assert_allclose(found["same_length"][kind]["length_kept"], 0.5, rtol=1e-9)
        assert angle(found["same_length"][kind]["angle"])
    assert "the book's formula is not its code" in answer.stdout
    return found


def test_a_run_is_clipped(trained, monkeypatch):
    monkeypatch.chdir(trained)
    answer = call(clipping.main, "--run", "runs/small", "--windows", "3", "--multiples", "0.1", "1")
    found = check(trained / "runs" / "small" / "clipping", answer)
    assert [row["which"] for row in found["rows"]] == 3 * ["config", "0.1 x median", "1 x median"]
    tenth = next(row for row in found["rows"] if (row["kind"], row["which"]) == ("global_norm", "0.1 x median"))
    np.testing.assert_allclose(tenth["whole"]["after"], 0.1 * found["norm"]["median"])
    assert tenth["leaves"].keys() == {"layers.0.U", "layers.0.W", "layers.0.bh", "V", "by"}

    # Its gradients are those that training met: window after window, each from the state that the one before left,
    # under the same dropout.
    norms = [row["grad_norm"] for row in read_rows("runs/small") if row.get("grad_norm") is not None]
    assert len(norms) == 4
    named = [found["norm"][name] for name in ("smallest", "median", "largest")]
    np.testing.assert_allclose(named, np.sort(norms[1:]), rtol=1e-6)


@pytest.mark.slow
def test_a_fresh_network_is_clipped_in_a_directory_of_its_own(trained, monkeypatch):
    monkeypatch.chdir(trained)
    by_value = ["--optimizer.clip", "value", "--optimizer.clip_threshold", "0.01"]
    answer = call(clipping.main, *TINY, "--windows", "2", *by_value)
    found = check(trained / "runs" / "clipping-run", answer)
    assert found["config"] == {"clip": "value", "clip_threshold": 0.01}


def measured(grads, threshold):
    """Findings of the door on gradients [N, ...] at the config's threshold, and its last two sentences."""
    config = Config(optimizer=OptimizerConfig(clip_threshold=threshold), model=ModelConfig(hidden_size=2))
    params = jax.tree.map(lambda leaf: leaf[0], grads)
    network = SimpleNamespace(name="g", trained=SimpleNamespace(config=config, params=params))
    found = measure(network, grads, SimpleNamespace(windows=3, multiples=[1.0]))
    return at_threshold(found), at_same_length(found)


@pytest.mark.slow
def test_the_last_sentences_say_what_the_numbers_say():
    threes = jax.tree.map(lambda leaf: jnp.stack(3 * [leaf]), GRADS)
    at_config, at_half = measured(threes, threshold=100.0)
    assert at_config.endswith("(by norm) changes nothing; its code (by value) changes nothing")
    assert at_half.startswith("the book's formula is not its code: to leave 50% of the length, the formula (threshold")
    angle = np.degrees(np.arccos((9 + 16 + 12 * 4.153) / 13 / 6.5))  # 3² + 4² + 4.153² = 6.5²
    assert f"the code (threshold 4.2) by {angle:.1f} degrees" in at_half

    at_config, _ = measured(threes, threshold=6.5)
    assert (
        "(by norm) leaves 50% of the length and turns a gradient by 0.0 degrees; its code (by value) leaves"
        in at_config
    )

    alone = {
        "a": jnp.zeros((3, 2, 2)),
        "b": jnp.full((3, 1), -7.0),
    }  # one element, of one leaf: there is no way to turn
    at_config, at_half = measured(alone, threshold=3.5)
    assert "(by norm) leaves 50% of the length and turns a gradient by 0.0 degrees" in at_config
    assert "(by value) leaves 50% of the length and turns a gradient by 0.0 degrees" in at_config
    assert at_half.startswith("to these gradients both do the same")


def test_gradients_that_are_zero_have_nothing_to_clip():
    with pytest.raises(UserError, match="half the windows or more are zero"):
        measured({"a": jnp.zeros((3, 2))}, threshold=1.0)


def test_what_a_user_can_mend_is_one_line(trained, monkeypatch, subtests):
    monkeypatch.chdir(trained)
    cases = [
        (["--run", "runs/none"], "runs/none is not a run"),
        (["--run", "runs/small", "--windows", "0"], "--windows is 0"),
        (["--run", "runs/small", "--windows", "100000"], "the training text has"),
        (["--run", "runs/small", "--multiples", "-1"], "--multiples is -1"),
        (["--config", "none.yaml"], "none.yaml"),
        ([*TINY, "--gradient.method", "none"], "gradient.method"),
        ([*TINY, "--gradient.method", "textbook", "--model.cell", "gru"], "derived for the vanilla cell"),
    ]
    check_refusals(subtests, clipping.main, cases)
