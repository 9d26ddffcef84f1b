"""The certificate passes what is right, and names what is wrong, however small."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command import TINY, call, message, write_songs

from rnnjax.certificate import difference, draws, instances, trial
from rnnjax.certificate.check import Check
from rnnjax.compare import __main__ as compare
from rnnjax.config import Config, GradientConfig, ModelConfig, TrainingConfig
from rnnjax.gradients import METHODS, artbp
from rnnjax.model.network import Model

OF_LSTM = ["manual", "rtrl", "truncated", "rflo", "uoro"]
"""One of a kind of claim, and one that does not take the network."""

RIGHT = {
    "vanilla": (list(METHODS), []),  # which every method takes
    "lstm": (
        OF_LSTM,
        [
            *("--model.cell=lstm", "--model.layers=2", "--model.layer_norm=true", "--model.embedding_size=3"),
            *("--model.dropout=0.2", "--model.learned_state=true", "--model.residual=true"),
        ],
    ),
}


@pytest.fixture(autouse=True)
def untimed(monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    place = tmp_path_factory.mktemp("certificate")
    write_songs(place / "songs.csv")
    return place


@pytest.fixture
def certify(songs, monkeypatch):
    monkeypatch.chdir(songs)

    def run(name, *arguments):
        answer = call(compare.main, *TINY, "--out", name, *arguments)
        path = songs / name / "certificate.json"
        return answer, json.loads(path.read_text()) if path.exists() else None

    return run


@pytest.mark.parametrize("kind", ["vanilla", pytest.param("lstm", marks=pytest.mark.slow)])
def test_what_is_right_passes(certify, songs, kind):
    methods, options = RIGHT[kind]
    answer, found = certify(kind, *options, "--methods", ",".join(methods))
    assert answer.code == 0, answer.stdout + answer.stderr
    assert found["failed"] == []
    assert [row["method"] for row in found["matrix"]] == methods
    verdicts = {row["method"]: row["verdict"] for row in found["matrix"]}
    n_a = {name for name, verdict in verdicts.items() if verdict == "n/a"}
    assert n_a == ({"rflo"} if kind == "lstm" else set())
    for row in found["matrix"]:
        assert row["reason"]
        if row["verdict"] == "PASS" and row["kind"] == "exact":
            assert row["exact_error"] <= 1e-6
    assert {check["number"] for check in found["theory"]} == set(range(1, 11))
    assert (songs / kind / "certificate.png").read_bytes().startswith(b"\x89PNG")
    assert f"{kind}/certificate.json" in answer.stdout


@pytest.mark.slow
def test_what_leaves_nothing_out_here_must_be_exact(certify):
    options = ["--model.activation=relu", "--model.init=identity", "--gradient.k2_steps=5"]
    answer, found = certify("irnn", *options, "--methods", "truncated,snap")
    assert answer.code == 0, answer.stdout
    assert all("nothing is left out" in row["reason"] and row["exact_error"] < 1e-10 for row in found["matrix"])


def test_what_weighs_nothing_need_not_differ(certify):
    options = ["--model.init_scale=1e-4", "--gradient.k2_steps=4"]
    answer, found = certify("vanishing", *options, "--methods", "truncated")
    assert answer.code == 0, answer.stdout
    assert "weighs" in found["matrix"][0]["reason"]


def test_central_differences_are_not_judged_where_the_loss_bends(certify):
    answer, found = certify(
        "growing", "--model.activation=linear", "--model.init_scale=5", "--methods", "finite_difference"
    )
    assert answer.code == 0, answer.stdout
    (row,) = found["matrix"]
    assert (row["verdict"], "bends" in row["reason"]) == ("n/a", True)


@pytest.mark.slow
def test_nothing_is_judged_where_the_exact_gradient_overflows(certify, recwarn):
    options = ["--model.activation=relu", "--model.init=normal", "--model.init_scale=1e12", "--methods=uoro,kf_rtrl"]
    answer, found = certify("overflow", *options)
    assert answer.code == 0, answer.stdout
    assert all(row["verdict"] == "n/a" and "not finite" in row["reason"] for row in found["matrix"])
    assert {check["verdict"] for check in found["theory"]} == {"PASS"}  # on built-in networks
    assert not [warning.message for warning in recwarn if warning.category is RuntimeWarning]


def test_another_task_is_refused_before_its_data_is_looked_for(certify):
    answer, _ = certify("task", "--task.name=seq2seq", "--data.path=numbers")
    assert "task.name is seq2seq" in message(answer)


def test_what_cannot_be_is_not_applicable(certify):
    _, found = certify("n_a", "--model.cell=lstm", "--methods", "textbook,rflo")
    assert [(row["method"], row["verdict"]) for row in found["matrix"]] == [("textbook", "n/a"), ("rflo", "n/a")]
    assert all("lstm" in row["reason"] for row in found["matrix"])


def not_finite(gradient):
    layer = gradient.params.layers[0]
    return gradient._replace(
        params=gradient.params._replace(layers=(layer._replace(W=jnp.full_like(layer.W, jnp.nan)),))
    )


def too_large(gradient):
    """Its length is not a number of float64."""
    return gradient._replace(params=gradient.params._replace(V=jnp.full_like(gradient.params.V, 1e200)))


def test_what_is_not_a_number_is_told_without_a_warning(certify, monkeypatch, recwarn):
    for name, fault in (("rflo", too_large), ("uoro", not_finite)):
        right = METHODS[name](GradientConfig())
        spoiled = right._replace(gradient=lambda *all, right=right, fault=fault: fault(right.gradient(*all)))
        monkeypatch.setitem(METHODS, name, lambda config, spoiled=spoiled: spoiled)
    answer, found = certify("not_finite", "--methods", "rflo,uoro")
    assert answer.code == 1
    assert found["failed"] == ["rflo", "uoro"]
    assert "FAIL in rflo, uoro" in answer.stdout
    assert not [warning.message for warning in recwarn if warning.category is RuntimeWarning]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"refuse": lambda model: "not today"}, "not today"),
        ({"claim": None}, "nothing is claimed"),
    ],
)
def test_a_method_that_cannot_be_judged_has_failed(certify, monkeypatch, change, reason):
    right = METHODS["manual"]
    monkeypatch.setitem(METHODS, "manual", lambda config: right(config)._replace(**change))
    answer, found = certify("silent", "--methods", "manual")
    assert answer.code == 1, answer.stdout + answer.stderr
    assert found["failed"] == ["manual"]
    assert "FAIL in manual" in answer.stdout
    assert reason in found["matrix"][0]["reason"]


def test_a_method_that_breaks_has_failed_and_the_others_go_on(certify, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("nothing left")

    right = METHODS["parallel_scan"]
    monkeypatch.setitem(METHODS, "parallel_scan", lambda config: right(config)._replace(gradient=broken))
    answer, found = certify("broken", "--methods", "manual,parallel_scan")
    assert answer.code == 1
    assert found["failed"] == ["parallel_scan"]
    assert "nothing left" in found["matrix"][1]["reason"]
    assert found["matrix"][0]["verdict"] == "PASS"


def test_a_method_that_does_not_exist(certify):
    answer, _ = certify("none", "--methods", "manual,magic")
    assert (answer.code, answer.stdout) == (2, "")
    assert "--methods: there is no magic" in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert certify("none", "--methods", ",")[0].code == 2


def test_the_methods_that_are_asked_for():
    assert compare.methods_of("all,manual") == compare.methods_of("all") == list(METHODS)
    assert compare.methods_of("snap, manual") == ["manual", "snap"]


def test_every_method_has_a_claim():
    for name in METHODS:
        assert METHODS[name](GradientConfig()).claim


# --- the parts


def test_a_difference_is_that_of_the_worst_leaf():
    truth = {"a": np.array([1.0, 2.0]), "b": np.array([100.0]), "c": np.zeros(2)}
    measure = partial(difference.difference, truth=truth)
    assert measure(truth)[:2] == (0.0, "a")
    found = measure({**truth, "a": np.array([1.0, 2.2])})
    assert found.error == pytest.approx(0.1)
    assert found.leaf == "a"
    assert measure({**truth, "c": np.array([0.0, 1e-9])}).error == np.inf  # an exact zero must be one
    assert measure({**truth, "c": np.array([0.0, 1e-13])}).error == 0  # up to rounding
    assert measure({**truth, "b": np.array([np.nan])}).error == np.inf
    assert measure(jax.tree.map(lambda leaf: -leaf, truth)).cosine == pytest.approx(-1)
    with pytest.raises(ValueError, match="instead of"):
        measure({"a": truth["a"]})


def test_the_verdict_of_a_check():
    for value, differs, verdict in [
        (1e-11, False, "PASS"),
        (1e-3, False, "FAIL"),
        (np.nan, False, "FAIL"),
        (1e-3, True, "PASS"),
        (0, True, "FAIL"),
    ]:
        assert Check(1, "m", "c", "i", value, differs=differs).verdict == verdict


def test_a_truncation_that_covers_a_part_of_the_window_covers_a_part_of_the_cut_one():
    for full, T in ((64, 8), (25, 8), (9, 8), (8, 8), (3, 3), (1000, 8)):
        for k2 in (1, 2, 10, full - 1, full, full + 5):
            if k2 < 1:
                continue
            short = instances.shorten(GradientConfig(k1_steps=1, k2_steps=k2), full, T)
            assert 1 <= short.k1_steps <= short.k2_steps
            assert (short.k2_steps >= T) == (k2 >= full)


def test_what_is_cut_is_said():
    config = Config(model=ModelConfig(hidden_size=20), training=TrainingConfig(sequence_length=30, batch_size=1))
    model = Model(vocabulary=130, hidden=20)
    small = instances.cut(config, model, np.arange(1000) % 130)
    assert small.windows.y.shape == (3, 8, 1)
    gradient = instances.shorten(config.gradient, 30, 8)
    said = instances.what_was_cut(config, model, small, gradient)
    assert said == ["hidden_size 20 -> 8", "characters 130 -> 100", "sequence_length 30 -> 8", "k2_steps 10 -> 3"]


@pytest.mark.parametrize(
    ("W", "exact_from"), [(np.eye(3), 1), (np.eye(3) + np.eye(3, k=1), 3), (np.ones((3, 3)), 2), (np.zeros((3, 3)), 1)]
)
def test_when_snap_covers_the_graph(W, exact_from):
    instance = instances.with_recurrence(instances.tiny("tiny", 2, 1, hidden=3, cell="gru"), W)
    for n in (1, 2, 3):
        for steps in (1, 2, 3):
            claim = METHODS["snap"](GradientConfig(snap_steps=n)).claim
            # What has not arrived by the end of the stream can be left out.
            assert claim.exact_if(instance.model, instance.params, 1, steps) == (n >= min(exact_from, steps))


def test_draws_are_judged_by_what_chance_allows():
    noise = np.random.default_rng(0)
    signs, normal = noise.choice([-1.0, 1.0], (draws.COUNT, 6)), noise.normal(size=(draws.COUNT, 6))
    assert draws.of_numbers(signs, True) < 1
    assert draws.of_numbers(normal, False) < 1
    for wrong in (np.ones_like(signs), signs[:, :1] + 0 * signs, 1.1 * signs, np.where(signs > 0, 1, 0)):
        assert draws.of_numbers(wrong, True) > 1
    for wrong in (signs, 1.1 * normal, normal + 0.1, normal[:, :1] + 0 * normal):
        assert draws.of_numbers(wrong, False) > 1
    shape = (draws.COUNT, 3, 2)
    inner = np.broadcast_to(np.arange(3)[:, None] > 0, shape)
    cuts = artbp.Cuts((noise.uniform(size=shape) < 0.1) & inner, np.where(inner, 0.1, 0.0))
    assert draws.of_cuts(cuts, 0.1) < 1
    assert draws.of_cuts(cuts, 0.12) > 1
    assert draws.of_cuts(cuts._replace(cut=cuts.cut | (noise.uniform(size=shape) < 0.02) & inner), 0.1) > 1
    assert draws.of_cuts(cuts._replace(cut=cuts.cut[:, :, :1] & inner), 0.1) > 1
    assert draws.of_cuts(cuts._replace(cut=cuts.cut | ~inner), 0.1) > 1
