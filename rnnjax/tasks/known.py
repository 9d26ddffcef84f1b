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
from rnnjax.gradients import make_applicable, make_method
from rnnjax.model.architectures import many_to_many
from rnnjax.model.cells import Hyper
from rnnjax.model.loss import make_loss
from rnnjax.model.network import Batch, Model, Params
from rnnjax.model.rnn import Unroll
from rnnjax.tasks.examples import draw_all, fingerprint, held_out_losses, shown
from rnnjax.tasks.spelling import read_input, told
from rnnjax.tasks.task import AnswerOptions, Conclusion, Network, Task
from rnnjax.training.examples import ROWS, Surprise, in_blocks, make_mean_surprise
from rnnjax.training.randomness import random_key
from rnnjax.training.state import TrainState, init_state
from rnnjax.training.step import Read, make_learn_window, make_update

Array = jax.Array

FACTORS = (2, 4)
"""Multiples of the training length at which the trained network is measured too."""


def make(config: Config) -> Task:
    """Draws the held-out sequences.

    Raises:
      UserError: if the gradient method cannot be applied to the network.
    """
    problem = make_problem(config.task)
    model, B = shape_of(config, problem), config.training.batch_size
    make_applicable(config.gradient, model, problem.steps, B, config.run.precision)
    examples = Split(None, *held_out(config, problem, "validation", "test"))
    of = network(config)
    step = make_update(config, make_learn_window(model, make_method(config.gradient), make_read(config, problem)))
    return Task(
        summary=f"{config.task.name}: {problem.steps} steps, drawn as they are read; validation and test "
        f"{config.task.held_out:,} sequences each; {problem.floor_is} loses {problem.floor:#.4g}",
        fingerprint=fingerprint(examples),
        names={"inputs": problem.inputs, "classes": problem.classes},
        per_step=B,
        counted="sequences",
        unit="output",
        in_nats=not problem.is_real,
        levels={f"{problem.floor_is}: {problem.floor:#.4g}": problem.floor},
        data=(),
        start=partial(init_state, config, model, np.dtype(config.run.precision)),
        step=step,
        held_out=examples.validation,
        test=examples.test,
        evaluate=make_mean_surprise(of.surprise),
        measure=make_accuracy(config, problem),
        sample=make_sample(config, problem, examples),
        write=partial(write, problem),
        conclude=partial(conclude, config, problem, of, examples),
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
        found = draw_many(problem, key, config.training.batch_size, axis=1)
        return as_batch(found, state.params.V.dtype), True

    return read


def held_out(config: Config, problem: Problem, *parts: str) -> list[Sequence]:
    """Draws the sequences `[N, S]` of each part, by its name in `Split`."""
    draw = jax.jit(partial(draw_many, problem, count=config.task.held_out))
    return [draw(random_key(config.data.split_seed, "held_out", Split._fields.index(part))) for part in parts]


def as_batch(rows: Sequence, dtype: Any) -> Batch:
    """Makes a batch of sequences `[S, B]`, with reals in the network's precision."""
    cast = lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
    return Batch(*jax.tree.map(cast, rows))


def make_logits(config: Config, problem: Problem) -> Callable[..., tuple[Batch, Array]]:
    """Returns (params, hyper, rows `[N, S]`) -> the batch, and the outputs `[S, N, V]`."""
    model = shape_of(config, problem)

    def logits(params: Params, hyper: Hyper, rows: Sequence) -> tuple[Batch, Array]:
        batch = as_batch(jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), rows), params.V.dtype)
        return batch, many_to_many(model, params, hyper, batch)

    return logits


def network(config: Config, _: Any = None) -> Network:
    """The network of a config; it needs no names."""
    problem = make_problem(config.task)
    logits, judge = make_logits(config, problem), make_judge(config, problem)

    def surprise(params: Params, hyper: Hyper, rows: Sequence, key: Array | None, unroll: Unroll) -> Surprise:
        return judge(params, hyper, rows).lost

    def answer(params: Params, hyper: Hyper, text: str, asked: AnswerOptions) -> str:
        x = read_input(problem, text)
        _, out = logits(params, hyper, Sequence(jnp.asarray(x)[None], jnp.zeros((1, len(x)), jnp.int32)))
        found = np.asarray(answers(problem, out)[:, 0])
        return f"{found[-1]:.4f}" if problem.classes is None else "".join(problem.classes[i] for i in found)

    model = shape_of(config, problem)
    return Network(model, partial(draw_all, model, config), surprise, answer)


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
    """Judgement of N sequences.

    Attributes:
      answer: answer at each step, `[N, S]`.
      right: True where all answers that count are right, `[N]`.
      lost: surprise of each sequence.
    """

    answer: Any
    right: Any
    lost: Surprise


def make_judge(config: Config, problem: Problem) -> Callable[[Params, Hyper, Sequence], Judged]:
    """Returns (params, hyper, rows `[N, S]`) -> Judged."""
    logits, loss = make_logits(config, problem), make_loss(shape_of(config, problem).loss)

    def judge(params: Params, hyper: Hyper, rows: Sequence) -> Judged:
        batch, out = logits(params, hyper, rows)
        asked = jnp.ones(batch.y.shape, out.dtype) if batch.weight is None else batch.weight
        right = jnp.all(is_right(problem, out, batch.y) | (asked == 0), axis=0)
        lost = asked * loss(out, batch.y)
        return Judged(answers(problem, out).T, right, Surprise(jnp.sum(lost, axis=0), jnp.sum(asked, axis=0)))

    return judge


def make_accuracy(config: Config, problem: Problem) -> Callable[[Params, Hyper, Sequence], dict[str, Array]]:
    """Returns a jitted (params, hyper, rows `[N, S]`) -> the share of sequences that are right."""
    judge = make_judge(config, problem)

    def accuracy(params: Params, hyper: Hyper, rows: Sequence) -> dict[str, Array]:
        alone = lambda row: judge(params, hyper, jax.tree.map(lambda leaf: leaf[None], row)).right[0]
        return {"accuracy": jnp.mean(jax.lax.map(alone, rows, batch_size=ROWS), dtype=params.V.dtype)}

    return jax.jit(accuracy)


def make_sample(config: Config, problem: Problem, examples: Split[Any]) -> Any:
    """Returns the sampler: some held-out sequences `[N, S]`, and the network's answers."""
    judge, rows = make_judge(config, problem), shown(examples)

    def sample(params: Params, hyper: Hyper, carry: Any, data: Any, step: Array) -> tuple[Sequence, Judged]:
        return rows, judge(params, hyper, rows)

    return jax.jit(sample)


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
    return [told(problem, one(rows, i), judged.answer[i], judged.right[i]) for i in range(len(judged.right))]


def conclude(
    config: Config, problem: Problem, of: Network, examples: Split[Any], state: TrainState, _: Any
) -> Conclusion:
    """Measures loss, floor and accuracy on the held-out parts, and on longer sequences."""
    result: dict[str, Any] = {"step": int(state.step), **held_out_losses(of, examples, state)}
    judged = judge_all(config, problem, examples.test, state)
    accuracy = float(np.mean(judged.right))
    result |= {
        "task": config.task.name,
        "loss_is": "squared error" if problem.is_real else "nats",
        "floor": problem.floor,
        "floor_is": problem.floor_is,
        "accuracy": accuracy,
        "right_is": criterion(problem),
        "count": len(judged.right),
        "solved": accuracy == 1,
    }
    if problem.is_real:
        result["mean_squared_error"] = result["test_loss"]
    here = {"length": config.task.length, "loss": result["test_loss"], "floor": problem.floor, "accuracy": accuracy}
    result["lengths"] = [here, *(at_length(config, factor, state) for factor in FACTORS)]
    return Conclusion(result, tell(problem, examples.test, judged))


def judge_all(config: Config, problem: Problem, rows: Sequence, state: TrainState) -> Judged:
    """Judges sequences `[N, S]`, block by block."""
    blocks = in_blocks(make_judge(config, problem), state.params, state.hyper, rows)
    return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)


def at_length(config: Config, factor: int, state: TrainState) -> dict[str, Any]:
    """Measures loss, floor and accuracy on test sequences of `factor` times the length."""
    config = dataclasses.replace(config, task=dataclasses.replace(config.task, length=factor * config.task.length))
    problem = make_problem(config.task)
    (rows,) = held_out(config, problem, "test")
    found = judge_all(config, problem, rows, state)
    loss, accuracy = float(np.sum(found.lost.nats) / np.sum(found.lost.outputs)), float(np.mean(found.right))
    return {"length": config.task.length, "loss": loss, "floor": problem.floor, "accuracy": accuracy}


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
