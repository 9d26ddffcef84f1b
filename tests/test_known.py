"""Tasks with known answers, trained: by every gradient method, resumed, asked, and refused."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command import call, check_refusals, message, printed, read_rows, saved_arrays

from rnnjax import predict, sample, train
from rnnjax.build import draw_params
from rnnjax.config import Config, GradientConfig, ModelConfig, TaskConfig, TrainingConfig
from rnnjax.data.known import make_problem
from rnnjax.gradients import METHODS, make_method
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Hyper
from rnnjax.model.network import initial_carry
from rnnjax.model.recurrence import of_network
from rnnjax.resumption import state_from
from rnnjax.run import figures
from rnnjax.tasks import make_task
from rnnjax.tasks.known import make_read, shape_of
from rnnjax.trained import read_checkpoint, read_config
from rnnjax.training.state import init_state
from rnnjax.training.step import make_learn_window, make_update

RUN = [
    *("--model.cell", "gru", "--model.hidden_size", "8", "--run.platform", "cpu", "--task.held_out", "40"),
    *("--training.batch_size", "16", "--training.steps_per_dispatch", "50", "--sampling.every_steps", "0"),
]


def config_of(method, task, **model):
    return Config(
        task=task,
        model=ModelConfig(hidden_size=3, **model),
        gradient=GradientConfig(**method),
        training=TrainingConfig(batch_size=4),
    )


def gradient_of(config):
    """(loss, gradient, batch) of a training step in float64."""
    problem = make_problem(config.task)
    model, method = shape_of(config, problem), make_method(config.gradient)
    state = init_state(config, model, jnp.float64)
    params = draw_params(
        jax.random.key(7), model, ModelConfig(hidden_size=3, init="normal", init_scale=0.6), jnp.float64
    )

    @jax.jit
    def once(params):
        batch, begins = make_read(config, problem)(state, ())
        assert begins is True
        recurrence, carry = of_network(model), initial_carry(model, params, (4,))
        trace = method.init(recurrence, params, carry)
        noise = method.draw(jax.random.key(1), recurrence, params, carry, batch.shape[0])
        window = Window(params, Hyper(leak=jnp.float64(0.5)), carry, batch, trace, noise)
        found = method.gradient(recurrence, window)
        return found.loss, found.params, batch

    return once(params)


def test_a_squared_error_is_the_mean_over_the_asked_steps():
    config = config_of({"method": "autodiff"}, TaskConfig(name="adding", length=22, form="classic"))
    problem = make_problem(config.task)
    model, method = shape_of(config, problem), make_method(config.gradient)
    state = init_state(config, model, jnp.float64)
    params = jax.tree.map(jnp.zeros_like, state.params)._replace(by=jnp.array([0.25]))
    batch, _ = make_read(config, problem)(state, ())
    carry = initial_carry(model, params, (4,))
    found = jax.jit(lambda params: method.gradient(of_network(model), Window(params, Hyper(), carry, batch)))(params)
    targets = [batch.y[int(batch.valid[:, b].sum()) - 1, b] for b in range(4)]
    assert float(found.loss) == pytest.approx(np.mean([(0.25 - float(y)) ** 2 for y in targets]), rel=1e-12)
    assert float(found.params.by[0]) == pytest.approx(np.mean([2 * (0.25 - float(y)) for y in targets]), rel=1e-12)


def test_every_method_takes_real_inputs_and_targets():
    """Traced, not run: all shapes and types fit, and the state keeps its own."""
    for method in METHODS:
        check_types(method)


def check_types(method):
    config = config_of({"method": method}, TaskConfig(name="adding", length=4))
    problem = make_problem(config.task)
    model = shape_of(config, problem)
    step = make_update(config, make_learn_window(model, make_method(config.gradient), make_read(config, problem)))
    state = jax.eval_shape(lambda: init_state(config, model, jnp.float32))
    after, info = jax.eval_shape(step, state, ())
    kinds = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert kinds(after) == kinds(state)
    assert info.loss.shape == ()


def test_truncation_sees_the_letter_if_it_goes_back_further_than_the_lag():
    lag, letters = 5, 3
    task = TaskConfig(name="recall", length=lag, symbols=letters)
    for k, sees in ((lag, False), (lag + 1, True)):
        _, found, _ = gradient_of(config_of({"method": "truncated", "k1_steps": 1, "k2_steps": k}, task))
        assert bool(np.abs(found.layers[0].U[:letters]).max() > 0) is sees
        assert np.abs(found.layers[0].U[letters:]).max() > 0


def test_sequences_follow_from_seed_and_step_and_are_no_held_out_ones():
    config = config_of({"method": "manual"}, TaskConfig(name="copy", length=1, held_out=4))
    problem = make_problem(config.task)
    state = init_state(config, shape_of(config, problem), jnp.float64)
    read = jax.jit(lambda step, seed: make_read(config, problem)(state.replace(step=step, seed=seed), ())[0].x)
    zero, one = jnp.int32(0), jnp.int32(1)
    first = read(zero, zero)
    assert np.array_equal(first, read(zero, zero))
    assert not np.array_equal(first, read(one, zero))
    assert not np.array_equal(first, read(zero, one))
    made = make_task(config)
    validation = np.asarray(made.held_out.x)
    assert validation.shape == (4, problem.steps)
    assert not np.array_equal(validation.T, first)
    assert np.array_equal(validation, make_task(config).held_out.x)


@pytest.mark.slow
def test_a_network_learns_to_recall_and_goes_on_bit_for_bit(here, monkeypatch):
    drawn = {}
    monkeypatch.setattr(figures, "write_figure", lambda path, figure: drawn.update({path.name: figure}))
    options = [
        *("--task.name", "recall", "--task.length", "3", "--task.symbols", "3", "--training.steps", "150"),
        *("--optimizer.learning_rate", "3e-2", "--run.checkpoint_every_steps", "50"),
        *("--training.eval_every_steps", "50"),
    ]
    screen = printed(call(train.main, *RUN, *options))
    run = Path("runs/run")
    result = json.loads((run / "result.json").read_text())
    assert result["floor"] == pytest.approx(np.log(3))
    assert result["test_loss"] < result["floor"] / 5
    assert result["accuracy"] == 1
    assert result["solved"] is True
    assert [row["length"] for row in result["lengths"]] == [3, 6, 12]
    assert (run / "lengths.png").read_bytes().startswith(b"\x89PNG")
    levels = [line for line in drawn["loss.png"].axes[0].lines if "any letter alike" in line.get_label()]
    assert [line.get_ydata()[0] for line in levels] == [result["floor"]]
    assert "without memory, any letter alike: 1.099" in screen
    assert "\nsolved\n" in screen
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len(rows) == 40
    assert all(row["truth"] == row["predicted"] == row["read"][0] and row["right"] for row in rows)
    task = make_task(read_config(run))
    state = state_from(read_checkpoint(run), task)
    measured = lambda params: float(task.measure(params, state.hyper, task.test)["accuracy"])
    assert measured(state.params) == 1
    mute = state.params._replace(V=jnp.zeros_like(state.params.V))  # the same answer to all
    assert 0.1 < measured(mute) < 0.6

    step, straight = saved_arrays(run)
    assert step == 150
    metrics = [row["loss"] for row in read_rows(run)]
    shutil.rmtree(run / "checkpoints" / "150")
    (run / "result.json").unlink()
    assert "going on from step 100" in printed(call(train.main, *RUN, *options))
    assert saved_arrays(run) == (150, straight)
    assert [row["loss"] for row in read_rows(run)] == metrics
    assert json.loads((run / "result.json").read_text()) == result

    ask = lambda text: call(predict.main, "--run", "runs/run", "--input", text)
    assert ask("b__?").stdout.strip()[-1] == "b"
    assert "never saw: 'z'" in message(ask("z__?"))
    assert "task.name is recall" in message(call(sample.main, "--run", "runs/run"))


@pytest.mark.slow
def test_adding_through_the_door(here):
    options = ["--task.name", "adding", "--task.length", "2", "--training.steps", "100"]
    printed(call(train.main, *RUN, *options, "--optimizer.learning_rate", "2e-2"))
    result = json.loads(Path("runs/run/result.json").read_text())
    assert result["floor"] == pytest.approx(1 / 6)
    assert result["mean_squared_error"] == result["test_loss"] < 1 / 60
    assert result["loss_is"] == "squared error"
    rows = [json.loads(line) for line in Path("runs/run/predictions.jsonl").read_text().splitlines()]
    right = [abs(float(row["truth"]) - float(row["predicted"])) for row in rows]
    assert result["accuracy"] == pytest.approx(np.mean(np.array(right) < 0.04), abs=0.03)
    assert np.mean(np.square(right)) == pytest.approx(result["test_loss"], rel=0.05)
    said = call(predict.main, "--run", "runs/run", "--input", "0.5 1 0.4 1").stdout
    assert float(said) == pytest.approx(0.9, abs=0.3)
    line = message(call(predict.main, "--run", "runs/run", "--input", "0.5 1 0.4"))
    assert "must be numbers, each followed by its marker" in line


def test_what_does_not_fit_is_refused(here, subtests):
    cases = [
        (["adding", "--task.length", "1"], "task.length is 1, but must be at least 2 for the task adding"),
        (["adding", "--task.length", "21", "--task.form", "classic"], "at least 22 for the task adding in its classic"),
        (["temporal_order", "--task.length", "9"], "must be at least 10 for the task temporal_order"),
        (["temporal_order", "--task.positions", "4"], "task.positions is 4, but must be 2 or 3"),
        (["anbn", "--task.length", "1"], "must be at least 2 for the task anbn"),
        (["copy", "--task.symbols", "27"], "task.symbols is 27, but must be between 2 and 26"),
        (["recall", "--task.held_out", "0"], "task.held_out is 0, but must be at least 1"),
        (["parity", "--model.bidirectional", "true"], "must be false for the task parity"),
        (["copy", "--model.attention", "general"], "must be none for copy"),
        (["copy", "--data.path", "digits"], "must be another for copy"),
        (["recall", "--run.devices", "2"], "must be 1 for the task recall"),
        (["adding", "--model.embedding_size", "4"], "model.embedding_size is 4, but must be 0 for real inputs"),
        (["parity", "--gradient.method", "rflo", "--model.cell", "lstm"], "gradient.method rflo: "),
    ]
    check_refusals(subtests, train.main, [(["--task.name", *options], line) for options, line in cases])
