"""The training loop: where pure steps meet files, screens and clocks.

The device runs chunks of steps; the host looks in between them (rnnjax/watch.py).
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cli import INTERRUPTED
from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.model.initializers import count_parameters
from rnnjax.run.checkpoint import Checkpoint, Checkpoints
from rnnjax.run.device import describe, environment, unused_accelerator
from rnnjax.run.directory import RunDirectory, read_json, write_figure, write_whole
from rnnjax.run.interrupt import Interrupt
from rnnjax.run.plots import plot_run
from rnnjax.run.progress import Reporter, warn
from rnnjax.run.results import plain
from rnnjax.tasks import make_task
from rnnjax.tasks.task import Task
from rnnjax.training.sharding import divide, make_mesh, place, shardings
from rnnjax.training.state import TrainState, from_arrays
from rnnjax.training.step import chunk_of
from rnnjax.watch import Watch, is_due


def train(config: Config) -> int:
    """Trains to the end, or to an interrupt.

    Returns:
      The exit code.

    Raises:
      UserError: for what the user can mend: the data, another config than the run was started with, a diverging run.
    """
    path = Path(config.run.root) / config.run.name
    task = make_task(config)
    mesh = make_mesh(config.run.devices, config.training.batch_size)  # a config that is refused leaves no directory
    with RunDirectory(path) as directory:
        directory.pin_config(config)
        directory.pin_text({"text_sha256": task.fingerprint, **environment()})
        write_whole(path / "vocabulary.json", json.dumps(task.names, ensure_ascii=False) + "\n")
        data = jax.tree.map(partial(divide, mesh), task.data)
        checkpoints = Checkpoints(directory.checkpoints, keep=config.run.keep_checkpoints)
        try:
            with Interrupt() as interrupt:
                finished = learn(config, task, data, mesh, directory, checkpoints, interrupt)
            if finished:
                result = conclude(task, data, directory, checkpoints)
            plot_run(path, config.run.name, task.unit, task.in_nats, task.levels)
            if finished:
                for name, figure in task.figures(result).items():
                    write_figure(path / name, figure)
                print("\n".join([*task.report(result), f"the run is in {path}"]))
        finally:
            checkpoints.close()
    return 0 if finished else INTERRUPTED


def resume(task: Task, checkpoints: Checkpoints) -> TrainState | None:
    """The state of the newest checkpoint that is whole; None where there is none."""
    checkpoint = newest_whole(checkpoints)
    return state_from(checkpoint, task) if checkpoint else None


def newest_whole(checkpoints: Checkpoints) -> Checkpoint | None:
    """The newest checkpoint that is whole; None where there is none. Damaged ones are put aside, with a warning."""
    found = checkpoints.newest()
    for step, damage in found.damaged.items():
        warn(f"the checkpoint of step {step:,} is damaged: {damage}; it was moved to {checkpoints.put_aside(step)}")
    return found.checkpoint


def state_from(checkpoint: Checkpoint, task: Task) -> TrainState:
    """The training state that a checkpoint holds."""
    try:
        return from_arrays(jax.eval_shape(task.start), checkpoint.arrays)
    except ValueError as error:
        raise UserError(f"the checkpoint of step {checkpoint.step} does not fit the config: {error}") from None


def learn(
    config: Config,
    task: Task,
    data: Any,
    mesh: jax.sharding.Mesh,
    directory: RunDirectory,
    checkpoints: Checkpoints,
    interrupt: Interrupt,
) -> bool:
    """Runs the steps that are left. Returns False where an interrupt came first."""
    resumed = resume(task, checkpoints)
    step = int(resumed.step) if resumed else 0
    total = config.training.steps
    shapes = place(mesh, jax.eval_shape(task.start))
    reporter = Reporter(total, step, task.per_step, task.counted)
    reporter.say(describe(config.run.precision, count_parameters(shapes.params)))
    if accelerator := unused_accelerator():
        reporter.say(accelerator)
    reporter.say(task.summary)
    if step >= total:
        return True
    if step:
        reporter.say(f"going on from step {step:,} of {directory.path}")

    began = time.monotonic()
    chunk, sample, evaluate, begin = compile_together(
        (chunk_of(config, task.step, shardings(mesh, shapes)), (shapes, data, np.int32(0))),
        (task.sample, (shapes.params, shapes.hyper, shapes.carry, data, jnp.int32(0))),
        (task.evaluate, (shapes.params, shapes.hyper, task.held_out)) if task.held_out is not None else None,
        (jax.jit(task.start), ()) if resumed is None else None,
    )
    state = place(mesh, begin() if resumed is None else resumed)
    reporter.say(f"compiled training, sampling and evaluation in {time.monotonic() - began:.1f} s")
    watch = Watch(config, directory, checkpoints, reporter, step)

    def write_sample() -> None:
        drawn = sample(state.params, state.hyper, state.carry, data, jnp.int32(watch.step))
        watch.write_sample(task.write(jax.device_get(drawn)))

    with reporter:
        if step == 0 and config.sampling.every_steps:
            write_sample()
        while watch.step < total and not interrupt.asked:
            count = next_stop(config, watch.step) - watch.step
            state, infos = chunk(state, data, np.int32(count))
            watch.take(infos, count)
            at_end, is_best = watch.step == total, False
            if is_due(watch.step, config.sampling.every_steps):
                write_sample()
            if evaluate is not None and (at_end or is_due(watch.step, config.training.eval_every_steps)):
                is_best = watch.measure(float(evaluate(state.params, state.hyper, task.held_out)))
            if is_best or at_end or interrupt.asked or is_due(watch.step, config.run.checkpoint_every_steps):
                watch.save(state)
        if watch.step != watch.saved:  # the interrupt came after the last look
            watch.save(state)
        watch.close()
    if watch.step < total:
        reporter.say(
            f"stopped at step {watch.step:,} of {total:,}, saved at {watch.saved:,}; "
            "the same command goes on from there"
        )
    return watch.step >= total


def conclude(task: Task, data: Any, directory: RunDirectory, checkpoints: Checkpoints) -> dict:
    """Reads the test part, once, with the best weights, and writes what is found; later only reads it."""
    path = directory.path / "result.json"
    if path.exists():
        return read_json(path)
    found = checkpoints.best()
    for step, damage in found.damaged.items():
        warn(f"the checkpoint of step {step:,} is damaged: {damage}; taking the next best")
    if found.checkpoint is None:
        raise UserError(f"every checkpoint of {directory.path} is damaged")
    concluded = task.conclude(state_from(found.checkpoint, task), data)
    result = plain(concluded.result)
    if concluded.predictions:
        lines = (json.dumps(plain(prediction), ensure_ascii=False) + "\n" for prediction in concluded.predictions)
        write_whole(directory.path / "predictions.jsonl", "".join(lines))
    write_whole(path, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return result


def compile_together(*programs: tuple | None) -> list:
    """Compiles jitted functions for their arguments, (function, arguments) each, side by side: XLA holds no lock."""
    with ThreadPoolExecutor() as pool:
        pool.submit(import_module, "matplotlib.figure")  # needed at the end, free while the compiler works
        return list(pool.map(lambda program: program and program[0].lower(*program[1]).compile(), programs))


def next_stop(config: Config, step: int) -> int:
    """The step after which the host looks in again: when the dispatch is full, or something is due."""
    periods = (
        config.training.eval_every_steps,
        config.run.checkpoint_every_steps,
        config.sampling.every_steps,
    )
    stops = [step + config.training.steps_per_dispatch, config.training.steps]
    return min(stops + [(step // period + 1) * period for period in periods if period])
