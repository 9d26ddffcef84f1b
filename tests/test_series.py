"""Networks on series of the user's own through the doors: trained, resumed, asked, compared in a study, and refused."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import call, check_refusals, message, printed, read_rows, saved_arrays

from rnnjax import ablate, predict, train
from rnnjax.trained import load

RUN = [
    *("--model.hidden_size", "6", "--run.platform", "cpu", "--training.batch_size", "4"),
    *("--optimizer.learning_rate", "2e-2", "--training.steps_per_dispatch", "50", "--sampling.every_steps", "0"),
    *("--training.eval_every_steps", "30", "--run.checkpoint_every_steps", "30", "--training.steps", "60"),
]


TINY = ("--training.batch_size", "1", "--training.sequence_length", "5")


def result_of(run="runs/run"):
    """The result, and the predictions as a table."""
    lines = [json.loads(line) for line in (Path(run) / "predictions.jsonl").read_text().splitlines()]
    return json.loads((Path(run) / "result.json").read_text()), pd.DataFrame(lines)


def test_a_table_is_forecast_in_its_units(here):
    t = np.arange(400)
    table = pd.DataFrame({"day": t, "tide": 300 + 40 * np.sin(t / 3), "wind": 5 + np.cos(t / 7)})
    table.to_csv("tides.csv", index=False)
    options = [
        *(*RUN, "--task.name", "forecasting", "--data.path", "tides.csv", "--data.columns", "tide,wind"),
        *("--data.targets", "tide", "--data.horizon", "3", "--data.season", "19", "--training.sequence_length", "20"),
    ]
    screen = printed(call(train.main, *options))
    result, said = result_of()
    # 397 steps have one three later; the last 40 are the test part, and tell of the rows that they are about.
    assert said["step"].tolist() == list(range(360, 400))
    np.testing.assert_allclose(said["truth"], table["tide"][360:], rtol=1e-5)
    off = said["predicted"] - table["tide"][360:].to_numpy()
    assert result["network"]["rmse"] == pytest.approx([np.sqrt(np.mean(off**2))], rel=1e-4)
    assert result["network"]["mae"] == pytest.approx([np.mean(np.abs(off))], rel=1e-4)
    train_part = table["tide"][3 : 397 - 80 + 3]
    assert result["test_loss"] == pytest.approx(np.mean(off**2) / train_part.var(ddof=0), rel=1e-3)
    rmse = lambda guess: pytest.approx([np.sqrt(np.mean((guess - table["tide"][360:].to_numpy()) ** 2))], rel=1e-4)
    assert {name: found["rmse"] for name, found in result["baselines"].items()} == {
        "the training mean": rmse(train_part.mean()),
        "the last value": rmse(table["tide"][357:397].to_numpy()),
        "the value 19 step(s) before": rmse(table["tide"][341:381].to_numpy()),
    }
    assert Path("runs/run/forecast.png").read_bytes().startswith(b"\x89PNG")
    assert "baseline, the last value: NRMSE" in screen

    # Resumed, it is the same to the bit.
    step, straight = saved_arrays(Path("runs/run"))
    metrics = [row["loss"] for row in read_rows("runs/run")]
    shutil.rmtree("runs/run/checkpoints/60")
    Path("runs/run/result.json").unlink()
    answer = call(train.main, *options)
    assert "going on from step 30" in answer.stdout
    assert saved_arrays(Path("runs/run")) == (step, straight)
    assert [row["loss"] for row in read_rows("runs/run")] == metrics

    # Of the same file, whole, it says the same; and what it needs is the inputs alone.
    table.drop(columns="day").to_csv("new.csv", index=False)
    answers = pd.read_csv(io.StringIO(printed(call(predict.main, "--run", "runs/run", "--file", "new.csv"))))
    assert answers.columns.tolist() == ["series", "step", "tide"]
    assert answers["step"].tolist() == list(range(3, 403))
    np.testing.assert_allclose(answers["tide"][357:397], said["predicted"], rtol=1e-5)
    table.drop(columns="wind").to_csv("calm.csv", index=False)
    assert "--file: calm.csv has no column 'wind'" in message(
        call(predict.main, "--run", "runs/run", "--file", "calm.csv")
    )
    assert "give the .csv or .npz file" in message(call(predict.main, "--run", "runs/run", "--input", "1 2"))


def test_classes_at_every_step_are_tagged_both_ways(here):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, size=(80, 6))
    lengths = rng.integers(2, 7, 80)
    y = np.array(["low", "high"])[(np.roll(x, -1, axis=1) > 1).astype(int)]  # what the next one is
    np.savez("tags.npz", x=x, y=y, lengths=lengths)
    options = [*RUN, "--task.name", "tagging", "--data.path", "tags.npz", "--model.bidirectional", "true"]
    printed(call(train.main, *options))
    result, said = result_of()
    assert result["labels"] == ["high", "low"]
    assert result["count"] == len(said) == np.sum(result["confusion"])
    assert result["network"]["accuracy"] == pytest.approx(np.mean(said["truth"] == said["predicted"]))
    assert result["network"]["accuracy"] > result["baselines"]["the most frequent class"]["accuracy"]
    frequent = said["truth"].mode()[0]
    assert result["baselines"]["the most frequent class"]["accuracy"] <= np.mean(said["truth"] == frequent) + 1e-9
    for n, step, truth in said[["series", "step", "truth"]].itertuples(index=False):
        assert step < lengths[int(n)]
        assert y[int(n), step] == truth
    np.savez("new.npz", x=x[:2], lengths=lengths[:2])
    answers = pd.read_csv(io.StringIO(call(predict.main, "--run", "runs/run", "--file", "new.npz").stdout))
    assert answers.columns.tolist() == ["series", "step", "predicted", "probability"]
    assert len(answers) == lengths[:2].sum()
    assert set(answers["predicted"]) <= {"low", "high"}


@pytest.mark.slow
def test_a_study_compares_methods_on_series(here):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 4, 1))
    np.savez("sums.npz", x=x, y=(x.sum(axis=(1, 2)) > 0).astype(int))
    Path("study.yaml").write_text(
        """
name: methods
axes: {grid: {gradient.method: [manual, rtrl]}}
seeds: 1
metric: test_accuracy
direction: higher
task: {name: classification}
data: {path: sums.npz}
model: {hidden_size: 4}
training: {steps: 6, batch_size: 4, eval_every_steps: 3}
run: {platform: cpu}
"""
    )
    printed(call(ablate.main, "--config", "study.yaml"))
    found = pd.read_parquet("runs/methods/results").sort_values(["arm", "step"])
    manual, rtrl = (found[found["gradient.method"] == method] for method in ("manual", "rtrl"))
    np.testing.assert_allclose(manual["training_loss"], rtrl["training_loss"], rtol=1e-4)
    assert found["test_accuracy"].dropna().between(0, 1).all()
    assert np.allclose(found["floor"], np.log(2), atol=0.2)


def test_what_does_not_fit_is_refused(here, subtests):
    Path("short.csv").write_text("a\n1\n2\n")
    Path("long.csv").write_text("a\n" + "\n".join(map(str, range(40))))
    np.savez("a.npz", x=np.ones((3, 4, 1)))
    forecast, long = ["--task.name", "forecasting"], ["--data.path", "long.csv"]
    cases = [
        (["--task.name", "tagging", "--task.loss", "squared_error"], "must be cross_entropy or bernoulli or null for"),
        (
            ["--task.name", "text", "--task.loss", "bernoulli"],
            "task.loss is 'bernoulli', but must be null for the task",
        ),
        ([*forecast, "--data.horizon", "0"], "data.horizon is 0, but must be at least 1"),
        ([*forecast, "--model.bidirectional", "true"], "false for the task forecasting"),
        ([*forecast, "--data.path", "short.csv"], "too short to hold out"),
        ([*forecast, *long], "the training part has 31 steps, too few for"),
        ([*forecast, *long, *TINY, "--model.embedding_size", "2"], "0 for real inputs"),
        ([*forecast, *long, "--run.devices", "2"], "1 for the task forecasting"),
        (["--data.path", "a.npz"], "task.name"),
    ]
    check_refusals(subtests, train.main, [([*options, "--run.platform", "cpu"], line) for options, line in cases])


def test_a_loaded_network_says_what_its_run_says(here):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5, 2)), rng.normal(size=(30,))
    np.savez("a.npz", x=x, y=y)
    assert call(train.main, *RUN, "--task.name", "regression", "--data.path", "a.npz").code == 0
    _, said = result_of()
    network = load("runs/run")
    numbers = network.predict(x)
    assert numbers.shape == (30, 1)
    np.testing.assert_allclose(numbers[said["series"].astype(int), 0], said["predicted"], rtol=1e-5)
    scaling = network.names["scaling"]
    scaled = (x - scaling["x"]["mean"]) / scaling["x"]["deviation"]
    state, first = network.apply(np.swapaxes(scaled, 0, 1)[:2].astype(np.float32))
    _, rest = network.apply(np.swapaxes(scaled, 0, 1)[2:].astype(np.float32), state)
    out = np.asarray(rest[-1]) * scaling["y"]["deviation"] + scaling["y"]["mean"]
    np.testing.assert_allclose(out, numbers, rtol=1e-4, atol=1e-6)
    assert first.shape == (2, 30, 1)
