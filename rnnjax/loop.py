"""The training loop: the device runs chunks of steps, and between them the host writes (rnnjax/recorder.py)."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax import own_cell
from rnnjax.build import kernel_of, scan_unroll_of
from rnnjax.conclusion import finish
from rnnjax.config import Config
from rnnjax.model.initializers import count_parameters
from rnnjax.recorder import Recorder, is_due
from rnnjax.resumption import resume_together
from rnnjax.run import hosts
from rnnjax.run.checkpoint import Checkpoints
from rnnjax.run.config_file import as_begun
from rnnjax.run.device import describe, environment, unused_accelerator
from rnnjax.run.directory import RunDirectory, write_again
from rnnjax.run.interrupt import INTERRUPTED, Interrupt
from rnnjax.run.metrics import tells_all
from rnnjax.run.origin import origin_of
from rnnjax.run.progress import Reporter
from rnnjax.tasks import make_task
from rnnjax.tasks.task import Task
from rnnjax.training.optimizer import make_schedule
from rnnjax.training.sharding import divide, everywhere, make_mesh, place, shardings, whole
from rnnjax.training.state import TrainState
from rnnjax.training.step import chunk_of
from rnnjax.warm_start import start_from

GOES_ON = "the same command goes on from there"


def train(config: Config, make: Callable[[Config], Task] = make_task, after_interrupt: str = GOES_ON) -> int:
    """Trains to the end, or to an interrupt.

    Args:
      make: makes the task of a config and reads its data.
      after_interrupt: line of advice once it was interrupted.

    Returns:
      The exit code.

    Raises:
      UserError: for unusable data, a config other than the one the run was started with, or a diverging run.
    """
    run = Path(config.run.root) / config.run.name
    config = settled(config, run)
    task = hosts.each(partial(make, config))
    has_begun = bool(hosts.share(np.asarray(any((run / "checkpoints").glob("[0-9]*")))))
    if config.run.init_from and not has_begun:
        task = hosts.each(partial(start_from, task, Path(config.run.init_from)))
    mesh = make_mesh(config.run.devices, config.training.batch_size)  # a config that is refused leaves no directory
    hosts.check_same(config=replace(config, run=replace(config.run, process=0)), data=task.fingerprint)
    with hosts.own_directory(run) as path, ExitStack() as opened:
        directory, checkpoints = hosts.each(partial(open_run, config, task, path, opened))
        data = jax.tree.map(partial(divide, mesh), task.data)
        finished = learn(config, task, data, mesh, directory, checkpoints, after_interrupt)
        if hosts.leads():
            # No single host can read arrays that lie on several.
            finish(config, task, task.data if mesh.is_multi_process else data, directory, checkpoints, finished)
    return 0 if finished else INTERRUPTED


def settled(config: Config, run: Path) -> Config:
    """The config as its run began; in a new run, with the fastest scan_unroll where the config leaves it open."""
    config = as_begun(config, run, origin_of(run).get("config"))
    here = int(hosts.share(scan_unroll_of(config.model)))
    model = replace(config.model, scan_unroll=config.model.scan_unroll or here)
    return replace(config, model=model, gradient=replace(config.gradient, kernel=kernel_of(config)))


def open_run(config: Config, task: Task, path: Path, opened: ExitStack) -> tuple[RunDirectory, Checkpoints]:
    """Opens a run's directory, until `opened` is closed, and pins its config, data and environment."""
    directory = opened.enter_context(RunDirectory(path))
    checkpoints: Checkpoints = hosts.NoCheckpoints()
    if hosts.leads():
        checkpoints = Checkpoints(directory.checkpoints, keep=config.run.keep_checkpoints)
        opened.callback(checkpoints.close)
    kept = checkpoints.kept_origin()
    directory.pin_config(config, kept.get("config"))
    before = (kept.get("config") or asdict(config))["training"]["steps"]
    if before < config.training.steps:
        (path / "result.json").unlink(missing_ok=True)  # of the earlier end
        print(longer(config, before))
    about = environment()
    if own_cell.is_file(config.model.cell):
        about["cell_sha256"] = directory.pin_cell(own_cell.read(config.model.cell), kept.get("cell"))
    directory.pin_data(task.fingerprint, about, kept.get("data"))
    write_again(path / "vocabulary.json", json.dumps(task.names, ensure_ascii=False) + "\n")
    checkpoints.origin = {"config": asdict(config), "data": task.fingerprint, "names": task.names}
    if "cell_sha256" in about:
        checkpoints.origin["cell"] = about["cell_sha256"]
    return directory, checkpoints


def longer(config: Config, before: int) -> str:
    """Line on a run that goes on beyond the steps that it began with, and on its learning rate from there."""
    line = f"training.steps is {config.training.steps:,} now, where it was {before:,}; "
    if config.optimizer.decay == "constant":
        return f"{line}the learning rate stays as it was, and the run is as if it had begun so"
    then, now = (float(make_schedule(config.optimizer, steps)(before)) for steps in (before, config.training.steps))
    return f"{line}the cosine of its rate now ends there: after step {before:,} it is {now:.2g}, not {then:.2g}"


class Programs(NamedTuple):
    """Compiled programs of a run, and their data; None for a program that it does not need.

    Attributes:
      data: data of the task, divided over the devices.
      held_out: validation part, on every device; None without one.
      chunk: (state, data, steps) -> (state, infos), see `chunk_of`.
      sample: (params, hyper, carry, data, step) -> a sample, see `Task.sample`.
      evaluate: (params, hyper, held-out part) -> loss.
      exponent: (params, hyper, held-out part) -> largest Lyapunov exponent.
      start: () -> state before the first step.
    """

    data: Any
    held_out: Any
    chunk: Any
    sample: Any
    evaluate: Any
    exponent: Any
    start: Any


def learn(
    config: Config,
    task: Task,
    data: Any,
    mesh: jax.sharding.Mesh,
    directory: RunDirectory,
    checkpoints: Checkpoints,
    after_interrupt: str = GOES_ON,
) -> bool:
    """Runs the remaining steps. Returns False after an interrupt."""
    resumed, lowest = resume_together(task, checkpoints)
    step, total = int(resumed.step) if resumed else 0, config.training.steps
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
        if hosts.leads():
            tells_all(directory.metrics, step, checkpoints.mark(step))
    began = time.monotonic()
    programs = compile_programs(config, task, mesh, shapes, data, is_new=resumed is None)
    state = place(mesh, programs.start() if resumed is None else resumed)
    reporter.say(f"compiled training, sampling and evaluation in {time.monotonic() - began:.1f} s")
    recorder = Recorder(config, directory, checkpoints, reporter, step, lowest)
    with reporter, Interrupt() as interrupt:
        finished = run_to_end(config, task, programs, state, recorder, interrupt)
    if not finished:
        saved = f", saved at {recorder.saved:,}" if recorder.saved else ", before there was anything to save"
        reporter.say(f"stopped at step {recorder.step:,} of {total:,}{saved}; {after_interrupt}")
    return finished


def run_to_end(
    config: Config, task: Task, programs: Programs, state: TrainState, recorder: Recorder, interrupt: Interrupt
) -> bool:
    """Runs chunks of steps, and what is due between them. Returns False after an interrupt."""

    def write_sample() -> None:
        drawn = programs.sample(state.params, state.hyper, state.carry, programs.data, np.int32(recorder.step))
        recorder.write_sample(task.write(jax.device_get(whole(drawn))))

    def measure() -> bool:
        """Records the validation loss. Returns True if it is the lowest."""
        read = (state.params, state.hyper, programs.held_out)
        loss = programs.evaluate(*read)
        more = {"exponent": float(programs.exponent(*read))} if programs.exponent else {}
        return recorder.measure(float(hosts.share(np.asarray(loss))), **more)

    total = config.training.steps
    if recorder.step == 0 and config.sampling.every_steps:
        write_sample()
    asked = hosts.agree(interrupt.asked)
    while recorder.step < total and not asked:
        count = next_stop(config, recorder.step) - recorder.step
        state, infos = programs.chunk(state, programs.data, np.int32(count))
        recorder.take(infos, count)
        at_end, is_best = recorder.step == total, False
        if is_due(recorder.step, config.sampling.every_steps):
            write_sample()
        if programs.evaluate and (at_end or is_due(recorder.step, config.training.eval_every_steps)):
            is_best = measure()
        asked = hosts.agree(interrupt.asked)
        if is_best or at_end or asked or is_due(recorder.step, config.run.checkpoint_every_steps):
            recorder.save(state)
    recorder.close()
    return not (asked or hosts.agree(interrupt.asked))


def compile_programs(
    config: Config, task: Task, mesh: jax.sharding.Mesh, shapes: TrainState, data: Any, is_new: bool
) -> Programs:
    """Compiles the programs of a run.

    Args:
      shapes: shapes of the training state.
      is_new: True for a run without a checkpoint, which draws its first state.
    """
    held_out = everywhere(mesh, task.held_out)
    on_held_out = (shapes.params, shapes.hyper, held_out)
    return Programs(
        data,
        held_out,
        *compile_together(
            (chunk_of(config, task.step, shardings(mesh, shapes)), (shapes, data, np.int32(0))),
            (task.sample, (shapes.params, shapes.hyper, shapes.carry, data, np.int32(0))),
            (task.evaluate, on_held_out) if held_out is not None else None,
            (task.exponent, on_held_out) if held_out is not None and task.exponent else None,
            (jax.jit(task.start), ()) if is_new else None,
        ),
    )


def compile_together(*programs: tuple | None) -> list:
    """Compiles pairs (jitted function, arguments) in parallel threads, as XLA holds no lock."""
    with ThreadPoolExecutor() as pool:
        pool.submit(import_module, "matplotlib.figure")  # needed at the end, free while the compiler works
        return list(pool.map(lambda program: program and program[0].lower(*program[1]).compile(), programs))


def next_stop(config: Config, step: int) -> int:
    """The step at which the host takes over again: the dispatch is full, or something is due."""
    periods = config.training.eval_every_steps, config.run.checkpoint_every_steps, config.sampling.every_steps
    stops = [step + config.training.steps_per_dispatch, config.training.steps]
    return min(stops + [(step // period + 1) * period for period in periods if period])
