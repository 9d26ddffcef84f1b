"""A study's arms, how they share programs, and that each arm of a program is its run alone."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from command import check_refusals, write_songs

from rnnjax import ablate
from rnnjax.config import Config, DataConfig, ModelConfig, OptimizerConfig, RunConfig, TaskConfig, TrainingConfig
from rnnjax.errors import UserError
from rnnjax.study.arms import Arm, make_arms, make_trials, with_learning_rate
from rnnjax.study.compiled import arms_at_once
from rnnjax.study.fields import set_fields
from rnnjax.study.groups import Group, make_groups
from rnnjax.study.program import is_frozen, make_chunk, make_mesh, one_arm, place, start_arms
from rnnjax.study.results import Means
from rnnjax.study.study import Axes, Range, Study, Tune
from rnnjax.tasks import make_task
from rnnjax.training.state import StepInfo

GRID = Axes(grid={"optimizer.clip": ["value", "none"], "optimizer.clip_threshold": [1, 0.1]})


def test_a_grid_has_every_choice_for_every_seed():
    arms = make_arms(Study(GRID, seeds=[3, 5]), Config())
    assert [arm.index for arm in arms] == list(range(8))
    assert [arm.seed for arm in arms] == [3, 5] * 4
    assert [arm.name for arm in arms[::2]] == [
        "clip=value, clip_threshold=1",
        "clip=value, clip_threshold=0.1",
        "clip=none, clip_threshold=1",
        "clip=none, clip_threshold=0.1",
    ]
    assert arms[2].config == set_fields(
        Config(),
        {"optimizer.clip": "value", "optimizer.clip_threshold": 0.1, "training.seed": 3} | {"sampling.every_steps": 0},
    )


def test_zip_goes_row_by_row_and_beside_it_stand_single_arms():
    axes = Axes(
        zip={"model.cell": ["gru", "lstm"], "model.hidden_size": [7, 6]},
        grid={"training.batch_size": [1, 2]},
        also=[{"model.cell": "vanilla"}],
    )
    arms = make_arms(Study(axes, seeds=1, baseline={"model.cell": "vanilla"}), Config())
    shapes = [(a.config.model.cell, a.config.model.hidden_size, a.config.training.batch_size) for a in arms]
    assert shapes == [("gru", 7, 1), ("lstm", 6, 1), ("gru", 7, 2), ("lstm", 6, 2), ("vanilla", 100, 32)]
    assert [arm.baseline for arm in arms] == [False] * 4 + [True]
    assert arms[-1].fields == {"model.cell": "vanilla"}


def test_a_baseline_may_name_what_an_arm_has_from_the_base():
    axes = Axes(grid={"model.cell": ["gru", "lstm"]}, also=[{"model.cell": "gru", "optimizer.clip": "none"}])
    wanted = {"model.cell": "gru", "optimizer.clip": Config().optimizer.clip}
    arms = make_arms(Study(axes, seeds=1, baseline=wanted), Config())
    assert [arm.baseline for arm in arms] == [True, False, False]


def test_draws_lie_in_their_ranges_and_follow_from_their_seed():
    ranges = {"optimizer.learning_rate": Range(1e-4, 1e-1, "log"), "model.hidden_size": Range(3, 9)}
    axes = Axes(random=ranges, draws=100)
    arms = make_arms(Study(axes, seeds=1), Config())
    rates = np.array([arm.config.optimizer.learning_rate for arm in arms])
    assert np.all((rates >= 1e-4) & (rates <= 1e-1))
    assert 0.35 < np.mean(rates < 10**-2.5) < 0.65  # half of the draws on each side of the middle of the logarithms
    assert {arm.config.model.hidden_size for arm in arms} == set(range(3, 10))
    assert arms == make_arms(Study(axes, seeds=1), Config())
    assert arms != make_arms(Study(replace(axes, draw_seed=1), seeds=1), Config())


def test_arms_that_differ_in_numbers_share_a_program():
    numbers = {
        "optimizer.learning_rate": [0.1, 0.2],
        "optimizer.clip_threshold": [1.0, 2.0],
        "optimizer.warmup_steps": [0, 3],
        "optimizer.weight_decay": [0.0, 0.1],
        "model.init_scale": [0.5, 1.5],
        "model.leak": [0.5, 0.9],
        "model.dropout": [0.1, 0.2],
    }
    axes = Axes(zip=numbers)
    assert len(make_groups(make_arms(Study(axes), Config()))) == 1
    other = {"model.hidden_size": [3, 4], "optimizer.clip": ["none", "value"], "model.dropout": [0.0, 0.5]}
    for name, values in other.items():
        groups = make_groups(make_arms(Study(Axes(grid={name: values}), seeds=3), Config()))
        assert [len(group.arms) for group in groups] == [3, 3]
        assert [group.index for group in groups] == [0, 1]


def test_each_arm_tries_the_learning_rates_on_seeds_of_its_own():
    study = Study(GRID, seeds=2, tune=Tune([0.1, 0.01], seeds=[77]))
    arms = make_arms(study, Config())
    trials = make_trials(study, arms)
    assert [(t.name, t.config.optimizer.learning_rate) for t in trials[:3]] == [
        (arms[0].name, 0.1),
        (arms[0].name, 0.01),
        (arms[2].name, 0.1),
    ]
    assert len(trials) == 8
    assert {t.seed for t in trials} == {77}
    tuned = with_learning_rate(arms[0], 0.01, {0.1: 2.0, 0.01: 1.0})
    assert tuned.config.optimizer.learning_rate == 0.01
    assert tuned.tuned == {"optimizer.learning_rate": 0.01, "validation_loss": {"0.1": 2.0, "0.01": 1.0}}


def test_what_cannot_be_run_is_one_line_before_anything_runs(here, subtests):
    cases = [
        ("axes: {grid: {optimizer.clip_treshold: [1]}}", "unknown field optimizer.clip_treshold; did you mean optim"),
        ("axes: {grid: {optimizer.clip: []}}", "axes.grid has no values for optimizer.clip"),
        ("axes: {grid: {}}", "axes names no field"),
        ("name: x", "axes names no field; give a study with --config"),
        ("axes: null", "axes is null, but must have a value"),
        (
            "{axes: {grid: {model.leak: [0.1]}}, tune: {learning_rates: [0.1, 0.1]}}",
            "tune.learning_rates is [0.1, 0.1]",
        ),
        (
            "{axes: {grid: {model.leak: [0.1]}}, seeds: 3, tune: {learning_rates: [0.1], seeds: [2]}}",
            "tune.seeds: 2 is one of seeds too",
        ),
        ("axes: {grid: {model.cell: [gru, brick]}}", "model.cell is 'brick', but must be one of"),
        ("axes: {grid: {model.hidden_size: [4, 0]}}", "the arm hidden_size=0: model.hidden_size is 0, but must be"),
        (
            "{axes: {grid: {gradient.method: [rflo]}}, model: {layers: 2}}",
            "the arm method=rflo: gradient.method rflo: ",
        ),
        ("axes: {grid: {training.seed: [1, 2]}}", "arms cannot differ in training.seed: give seeds instead"),
        ("axes: {grid: {run.precision: [float64]}}", "arms cannot differ in run.precision"),
        (
            "axes: {zip: {model.leak: [0.1], model.dropout: [0, 0.1]}}",
            "axes.zip has different numbers of values: model",
        ),
        ("axes: {grid: {model.leak: [0.1]}, zip: {model.leak: [0.1]}}", "axes has model.leak twice"),
        ("axes: {grid: {model.leak: [0.5, 0.50]}}", "two arms are the same: leak=0.5"),
        ("axes: {random: {model.leak: {low: 0.1, high: 0.2}}}", "axes.draws is 0, but must be above 0"),
        ("axes: {draws: 1, random: {model.leak: {low: 0.3, high: 0.2}}}", "low is 0.3, but must be below high"),
        ("{axes: {grid: {model.leak: [0.1]}}, baseline: {model.leak: 0.2}}", "baseline: no arm has leak=0.2"),
        ("{axes: {grid: {model.leak: [0.1]}}, seeds: [1, 1]}", "seeds is [1, 1], but must be one seed or more"),
        ("{axes: {grid: {model.leak: [0.1]}}, seeds: [-1]}", "the arm leak=0.1: training.seed is -1"),
        ("{axes: {grid: {model.leak: [0.1]}}, name: a/b}", "name is 'a/b', but must be a plain directory name"),
        ("{axes: {grid: {optimizer.learning_rate: [1]}}, tune: {learning_rates: [1]}}", "is an axis already"),
        ("{axes: {grid: {model.leak: [0.1]}}, base: none.yaml}", "none.yaml"),
        ("{axes: {grid: {model.leak: [0.1]}}, metric: accuracy}", "metric: the task has no accuracy; it has training"),
        (
            "{axes: {grid: {model.leak: [0.1]}}, metric: test_loss, data: {test_fraction: 0}}",
            "metric: there is no test_loss, as nothing is held out; raise data.test_fraction",
        ),
        *(
            (f"{{axes: {{grid: {{model.leak: [0.1]}}}}, {name}: 5}}", f"{name} is 5, but must be")
            for name in ("tune", "model", "run")
        ),
        ("axes: 5", "axes is 5, but must be a group of fields"),
        *(
            (f"{{axes: {axes}, seeds: 2000000}}", "the number of runs, arms times seeds, is 2000000")
            for axes in ("{grid: {model.leak: [0.1]}}", "{also: [{model.leak: 0.1}]}")
        ),
        (
            "{axes: {draws: 50000, random: {model.leak: {low: 0.1, high: 0.2}}, zip: {seed: [1, 2]}}, seeds: [1, 2]}",
            "arms times seeds, is 200000, but must be at most 100,000",
        ),
        ("{axes: {grid: {model.leak: [0.1]}}, model: {hiden_size: 3}}", "unknown field model.hiden_size"),
        ("{axes: {gird: {model.leak: [0.1]}}}", "gird"),
    ]
    for text, line in cases:
        (here / "study.yaml").write_text(text)
        with subtests.test(text):
            check_refusals(subtests, ablate.main, [(["--config", "study.yaml"], line)])


def test_as_many_arms_run_side_by_side_as_fit_into_memory():
    assert arms_at_once(30, needed=100, free=100, devices=1) == 30
    assert arms_at_once(30, needed=100, free=50, devices=1) == 15
    assert arms_at_once(30, needed=100, free=30, devices=2) == 8  # four batches, each a multiple of the devices
    assert arms_at_once(3, needed=100, free=1, devices=2) == 2
    assert arms_at_once(5, needed=1, free=9, devices=2) == 6


def test_means_leave_out_skipped_steps_and_begin_anew():
    infos = np.zeros((2, 2, len(StepInfo._fields)))
    infos[..., StepInfo._fields.index("loss")] = [[1.0, np.nan], [3.0, np.nan]]
    infos[:, 1, StepInfo._fields.index("skipped")] = 1
    means = Means(2)
    means.add(infos)
    found = means.take()["training_loss"]
    assert found[0] == 2
    assert np.isnan(found[1])
    assert np.isnan(means.take()["training_loss"]).all()


TEXT = Config(
    data=DataConfig(path="songs.csv"),
    model=ModelConfig(cell="leaky", hidden_size=5, dropout=0.2),
    optimizer=OptimizerConfig(decay="cosine", clip_threshold=0.5),
    training=TrainingConfig(steps=8, batch_size=2, sequence_length=6, steps_per_dispatch=4, max_skipped_steps=2),
    run=RunConfig(precision="float64"),
)
NUMBERS = (
    {"optimizer.learning_rate": 0.1, "optimizer.warmup_steps": 3, "model.init_scale": 0.5},
    {"optimizer.learning_rate": 0.1, "optimizer.warmup_steps": 3, "model.init_scale": 0.5, "training.seed": 1},
    {"optimizer.clip_threshold": 0.01, "optimizer.weight_decay": 0.3, "model.leak": 0.9, "model.dropout": 0.6},
)
EXAMPLES = replace(
    TEXT, task=TaskConfig("seq2seq", numbers=100), model=ModelConfig(hidden_size=4, cell="gru", dropout=0.2)
)


@pytest.mark.parametrize("base", [TEXT, pytest.param(EXAMPLES, marks=pytest.mark.slow)], ids=["text", "examples"])
def test_each_arm_of_a_program_is_its_run_alone(here, base):
    write_songs(here / "songs.csv")
    configs = [set_fields(base, numbers) for numbers in NUMBERS]
    arms = [Arm(i, str(i), config, {}) for i, config in enumerate(configs)]
    assert len(make_groups(arms)) == 1
    task, mesh = make_task(configs[0]), make_mesh(1)
    states, infos = make_chunk(configs[0], task.step, mesh)(place(mesh, start_arms(task, arms)), task.data, np.int32(4))
    told = dict(zip(StepInfo._fields, np.moveaxis(np.asarray(infos), -1, 0), strict=True))
    for index, config in enumerate(configs):
        alone = make_task(config)
        state, step = alone.start(), jax.jit(alone.step)
        for i in range(4):
            state, info = step(state, alone.data)
            for name, value in info._asdict().items():
                np.testing.assert_allclose(told[name][i, index], value, rtol=1e-5, atol=1e-12, err_msg=name)
        found = one_arm(states, index)
        assert jax.tree.structure(found) == jax.tree.structure(jax.device_get(state))
        for a, b in zip(*map(jax.tree.leaves, (found, jax.device_get(state))), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * np.max(np.abs(b), initial=1e-9))
    first, second = (one_arm(states, index).params for index in (0, 1))
    assert all(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (first, second)), strict=True))


def test_an_arm_that_diverges_is_frozen_and_the_others_go_on(here):
    write_songs(here / "songs.csv")
    sound = set_fields(TEXT, {"optimizer.learning_rate": 0.1})
    configs = [set_fields(TEXT, {"optimizer.learning_rate": 1e308, "optimizer.weight_decay": 1.0}), sound]
    arms = tuple(Arm(i, str(i), config, {}) for i, config in enumerate(configs))
    task, mesh = make_task(sound), make_mesh(1)
    chunk = make_chunk(Group(0, arms).config, task.step, mesh)
    states = place(mesh, start_arms(task, list(arms)))
    for _ in range(2):
        states, infos = chunk(states, task.data, np.int32(4))
    assert is_frozen(sound, states).tolist() == [True, False]
    assert states.skipped_in_a_row.tolist() == [2, 0]  # counted no further than where its run alone would end
    assert np.asarray(infos)[:, :, StepInfo._fields.index("skipped")].mean(0).tolist() == [1, 0]
    alone, step = make_task(sound).start(), jax.jit(make_task(sound).step)
    for _ in range(8):
        alone, _ = step(alone, task.data)
    np.testing.assert_allclose(one_arm(states, 1).params.V, alone.params.V, rtol=1e-5, atol=1e-6)


def test_a_field_of_the_base_is_checked_with_its_arms():
    with pytest.raises(UserError, match=r"the arm activation=relu: model.activation is 'relu', but must be tanh"):
        make_arms(Study(Axes(grid={"model.activation": ["tanh", "relu"]})), Config(model=ModelConfig(cell="gru")))
