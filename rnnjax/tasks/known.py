"""Tasks with a known answer: sequences drawn anew at every step, and a fixed held-out set.

The network learns by the gradient method of the config, and is compared with the best one without memory. The sequences
of a step follow from seed and step, the held-out ones from data.split_seed. No file is read, and runs with one seed see
the same sequences whatever else they differ in.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import make_model
from rnnjax.config import Config
from rnnjax.data.known import make_problem
from rnnjax.data.known.problem import Problem, Sequence, draw_many
from rnnjax.data.split import Split
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Model, Params
from rnnjax.tasks.examples import conclude, make_sample
from rnnjax.tasks.sequences import as_batch, make_accuracy, make_network, make_outputs, make_sequence_task, weight_of
from rnnjax.tasks.spelling import read_input, told
from rnnjax.tasks.task import AnswerOptions, Conclusion, Network, Task
from rnnjax.training.examples import Surprise, in_blocks, make_mean
from rnnjax.training.randomness import random_key
from rnnjax.training.state import TrainState
from rnnjax.training.step import Read

Array = jax.Array

FACTORS = (2, 4)
"""Multiples of the training length at which the trained network is measured too."""


def make(config: Config) -> Task:
    """Draws the held-out sequences.

    Raises:
      UserError: if the gradient method cannot be applied to the network.
    """
    problem, of = make_problem(config.task), network(config)
    rows = Split(None, *held_out(config, problem, "validation", "test"))
    judge = make_judge(problem, of.model)
    return make_sequence_task(
        config,
        of,
        rows,
        make_read(config, problem),
        problem.steps,
        summary=f"{config.task.name}: {problem.steps} steps, drawn as they are read; validation and test "
        f"{config.task.held_out:,} sequences each; {problem.floor_is} loses {problem.floor:#.4g}",
        names={"inputs": problem.inputs, "classes": problem.classes},
        counted="sequences",
        unit="output",
        levels={f"{problem.floor_is}: {problem.floor:#.4g}": problem.floor},
        data=(),
        measure=make_accuracy(partial(count_right, judge)),
        sample=make_sample(judge, rows),
        write=partial(write, problem),
        conclude=partial(conclude, of, rows, partial(score, config, problem), about={"task": config.task.name}),
        report=report,
        figures=partial(figures, config),
    )


def shape_of(config: Config, problem: Problem) -> Model:
    """The network's shape and loss: an output for each class, or one for a real target."""
    classes = 1 if problem.classes is None else len(problem.classes)
    model = make_model(config, classes, problem.width if problem.inputs is None else len(problem.inputs))
    return dataclasses.replace(model, loss="squared_error" if problem.is_real else "cross_entropy")


def make_read(config: Config, problem: Problem) -> Read:
    """Returns (state, _) -> the batch of a step, drawn by seed and step, and True: all sequences begin anew."""

    def read(state: TrainState, _: Any) -> tuple[Batch, bool]:
        key = random_key(state.seed, "sequences", state.step)
        return as_batch(draw_many(problem, key, config.training.batch_size), state.params.V.dtype), True

    return read


def held_out(config: Config, problem: Problem, *parts: str) -> list[Sequence]:
    """Draws the sequences `[N, S]` of each part, by its name in `Split`."""
    draw = jax.jit(partial(draw_many, problem, count=config.task.held_out))
    return [draw(random_key(config.data.split_seed, "held_out", Split._fields.index(part))) for part in parts]


def network(config: Config, _: Any = None) -> Network:
    """The network of a config; it needs no names."""
    problem = make_problem(config.task)
    model = shape_of(config, problem)
    outputs = make_outputs(model)

    def answer(params: Params, hyper: Hyper, text: str, asked: AnswerOptions) -> str:
        x = read_input(problem, text)
        out = outputs(params, hyper, Sequence(jnp.asarray(x)[None], jnp.zeros((1, len(x)), jnp.int32)))
        found = np.asarray(answers(problem, out)[0])
        return f"{found[-1]:.4f}" if problem.classes is None else "".join(problem.classes[i] for i in found)

    return make_network(config, model, answer)


def answers(problem: Problem, out: Array) -> Array:
    """The network's answers `[...]` from outputs `[..., V]`: the likeliest class, or the one output."""
    return out[..., 0] if problem.is_real else jnp.argmax(out, axis=-1)


def is_right(problem: Problem, out: Array, y: Array) -> Array:
    """True where an output `[..., V]` is right about its target `[...]`."""
    if problem.is_real:
        return jnp.abs(out[..., 0] - y) < problem.tolerance
    if not problem.tolerance:
        return jnp.argmax(out, axis=-1) == y
    off = jax.nn.softmax(out) - jax.nn.one_hot(y, out.shape[-1], dtype=out.dtype)
    return jnp.max(jnp.abs(off), axis=-1) < problem.tolerance


class Judged(NamedTuple):
    """Answer at each step of N sequences `[N, S]`, and True where all answers that count are right `[N]`."""

    answer: Any
    right: Any


Judge = Callable[[Params, Hyper, Sequence], Judged]


def make_judge(problem: Problem, model: Model) -> Judge:
    """Returns (params, hyper, rows `[N, S]`) -> Judged."""
    outputs = make_outputs(model)

    def judge(params: Params, hyper: Hyper, rows: Sequence) -> Judged:
        out = outputs(params, hyper, rows)
        right = is_right(problem, out, rows.y) | (weight_of(rows, out.dtype) == 0)
        return Judged(answers(problem, out), jnp.all(right, axis=1))

    return judge


def count_right(judge: Judge, params: Params, hyper: Hyper, rows: Sequence) -> Surprise:
    """Counts each sequence as one answer, right or not."""
    right = judge(params, hyper, rows).right.astype(params.V.dtype)
    return Surprise(right, jnp.ones_like(right))


def write(problem: Problem, found: tuple[Sequence, Judged]) -> str:
    """Writes a line for each sequence of a sample."""
    lines = tell(problem, *found)
    return "\n".join(
        f"{line['read']}  {line['predicted']}" + ("" if line["right"] else f", but it is {line['truth']}")
        for line in lines
    )


def tell(problem: Problem, rows: Sequence, judged: Judged) -> list[dict[str, Any]]:
    """Describes each sequence by `told`."""
    rows, judged = jax.device_get((rows, judged))
    one = lambda tree, i: jax.tree.map(lambda leaf: leaf[i], tree)
    return [told(problem, one(rows, i), *one(judged, i)) for i in range(len(judged.right))]


def score(config: Config, problem: Problem, state: TrainState, part: str, rows: Sequence) -> Conclusion:
    """Measures accuracy, and loss, floor and accuracy on longer sequences."""
    here, judged = measure(config, rows, state)
    result = {
        "loss_is": "squared error" if problem.is_real else "nats",
        "floor": problem.floor,
        "floor_is": problem.floor_is,
        "accuracy": here["accuracy"],
        "right_is": criterion(problem),
        "count": len(judged.right),
        "solved": here["accuracy"] == 1,
        "lengths": [here, *(at_length(config, factor, state) for factor in FACTORS)],
    }
    if problem.is_real:
        result["mean_squared_error"] = here["loss"]
    return Conclusion(result, tell(problem, rows, judged))


def at_length(config: Config, factor: int, state: TrainState) -> dict[str, Any]:
    """Measures loss, floor and accuracy on test sequences of `factor` times the length."""
    config = dataclasses.replace(config, task=dataclasses.replace(config.task, length=factor * config.task.length))
    (rows,) = held_out(config, make_problem(config.task), "test")
    return measure(config, rows, state)[0]


def measure(config: Config, rows: Sequence, state: TrainState) -> tuple[dict[str, Any], Judged]:
    """Measures loss, floor and accuracy on sequences of the config's length. Returns them, and the judgements."""
    problem, of = make_problem(config.task), network(config)
    loss = float(make_mean(of.surprise)(state.params, state.hyper, rows))
    judged = in_blocks(make_judge(problem, of.model), state.params, state.hyper, rows)
    accuracy = float(np.mean(judged.right))
    return {"length": config.task.length, "loss": loss, "floor": problem.floor, "accuracy": accuracy}, judged


def criterion(problem: Problem) -> str:
    """The criterion by which a sequence is right, in words."""
    if problem.is_real:
        return f"|error| < {problem.tolerance:g}"
    if not problem.tolerance:
        return "the likeliest class is the target wherever one is asked for"
    return f"every probability is less than {problem.tolerance:g} off"


def report(result: dict[str, Any]) -> list[str]:
    """Lines with loss, floor and accuracy at the training length and at greater ones."""
    unit = result["loss_is"]
    lines = [f"validation loss {result['validation_loss']:#.4g}, test loss {result['test_loss']:#.4g} ({unit})"]
    lines.append(f"  without memory, {result['floor_is']}: {result['floor']:#.4g}")
    lines.append(f"test accuracy on {result['count']:,} sequences {result['accuracy']:.2%} ({result['right_is']})")
    for found in result["lengths"][1:]:
        lines.append(
            f"  at length {found['length']}: {found['accuracy']:.2%}, loss {found['loss']:#.4g}, "
            f"without memory {found['floor']:#.4g}"
        )
    return [*lines, "solved" if result["solved"] else "not solved: that takes all of them"]


def figures(config: Config, result: dict[str, Any]) -> dict[str, Any]:
    from rnnjax.tasks.figures import against_floor

    found, unit = result["lengths"], f"loss ({result['loss_is']})"
    title = f"{result['task']}, trained at length {config.task.length}"
    return {"lengths.png": against_floor(found, result["floor_is"], unit, title)}
