"""The training loop: where pure steps meet files, screens and clocks.

The device runs chunks of steps; the host looks in between them, and reads the metrics of a chunk only when the next one
is already under way, so that the device never waits.
"""

import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cli import INTERRUPTED
from rnnjax.config import Config
from rnnjax.data.corpus import Corpus, load_corpus
from rnnjax.data.ngrams import best_order, held_out_bits
from rnnjax.data.novelty import longest_copied
from rnnjax.data.streams import fold_into_streams
from rnnjax.errors import UserError
from rnnjax.gradients import make_method
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import count_parameters
from rnnjax.model.loss import NATS_PER_BIT
from rnnjax.model.network import Model, Params
from rnnjax.run.checkpoint import Checkpoint, Checkpoints
from rnnjax.run.device import describe, environment, unused_accelerator
from rnnjax.run.directory import RunDirectory, read_json, write_whole
from rnnjax.run.interrupt import Interrupt
from rnnjax.run.metrics import MetricsLog
from rnnjax.run.plots import plot_run
from rnnjax.run.progress import Reporter, warn
from rnnjax.run.tensorboard import TensorBoard
from rnnjax.trained import make_model
from rnnjax.training.evaluation import fold, make_evaluate
from rnnjax.training.samples import Sampler, make_sampler
from rnnjax.training.sharding import divide, make_mesh, place, shardings
from rnnjax.training.state import StepInfo, TrainState, from_arrays, init_state, to_arrays
from rnnjax.training.step import make_chunk


def train(config: Config) -> int:
    """Trains to the end, or to an interrupt.

    Returns:
      The exit code.

    Raises:
      UserError: for what the user can mend: the data, another config than the run was started with, a diverging run.
    """
    corpus = load_corpus(config.data)
    shape = config.training.sequence_length, config.training.batch_size
    if reason := make_method(config.gradient).refuse(make_model(config, corpus.vocabulary), *shape):
        raise UserError(f"gradient.method {config.gradient.method}: {reason}")
    folded = fold_into_streams(corpus.ids.train, config.training.batch_size, config.training.sequence_length)
    with RunDirectory(Path(config.run.root) / config.run.name) as directory:
        pin(config, corpus, directory)
        model = make_model(config, corpus.vocabulary)
        mesh = make_mesh(config.run.devices, config.training.batch_size)
        streams = divide(mesh, folded)
        sampler = make_sampler(config, model, corpus.vocabulary.song_start(config.data.separator))
        checkpoints = Checkpoints(directory.checkpoints, keep=config.run.keep_checkpoints)
        try:
            with Interrupt() as interrupt:
                finished = learn(config, model, corpus, mesh, streams, sampler, directory, checkpoints, interrupt)
            if finished:
                result = conclude(config, model, corpus, streams, sampler, directory, checkpoints)
            plot_run(directory.path, config.run.name)
            if finished:
                report(result, directory)
        finally:
            checkpoints.close()
    return 0 if finished else INTERRUPTED


def pin(config: Config, corpus: Corpus, directory: RunDirectory) -> None:
    """Ties the directory to config, text and vocabulary."""
    directory.pin_config(config)
    directory.pin_text({"text_sha256": corpus.sha256, **environment()})
    vocabulary = json.dumps({"characters": corpus.vocabulary.characters}, ensure_ascii=False)
    write_whole(directory.path / "vocabulary.json", vocabulary + "\n")


def resume(config: Config, model: Model, checkpoints: Checkpoints) -> TrainState | None:
    """The state of the newest checkpoint that is whole; None where there is none. Damaged ones are put aside."""
    found = checkpoints.newest()
    for step, damage in found.damaged.items():
        warn(f"the checkpoint of step {step:,} is damaged: {damage}; it was moved to {checkpoints.put_aside(step)}")
    return state_from(found.checkpoint, config, model) if found.checkpoint else None


def start(config: Config, model: Model) -> TrainState:
    """The state before the first step, in the run's precision."""
    return init_state(config, model, np.dtype(config.run.precision))


def state_from(checkpoint: Checkpoint, config: Config, model: Model) -> TrainState:
    """The training state that a checkpoint holds."""
    try:
        return from_arrays(jax.eval_shape(partial(start, config, model)), checkpoint.arrays)
    except ValueError as error:
        raise UserError(f"the checkpoint of step {checkpoint.step} does not fit the config: {error}") from None


def learn(
    config: Config,
    model: Model,
    corpus: Corpus,
    mesh: jax.sharding.Mesh,
    streams: jax.Array,
    sampler: Sampler,
    directory: RunDirectory,
    checkpoints: Checkpoints,
    interrupt: Interrupt,
) -> bool:
    """Runs the steps that are left. Returns False where an interrupt came first."""
    resumed = resume(config, model, checkpoints)
    step = int(resumed.step) if resumed else 0
    also = TensorBoard(directory.path, step).write if config.run.tensorboard else None
    total = config.training.steps
    shapes = place(mesh, jax.eval_shape(partial(start, config, model)))
    reporter = Reporter(total, step, streams.shape[0] * config.training.sequence_length)
    reporter.say(describe(config.run.precision, count_parameters(shapes.params)))
    if accelerator := unused_accelerator():
        reporter.say(accelerator)
    reporter.say(corpus.summary)
    if step >= total:
        return True
    if step:
        reporter.say(f"going on from step {step:,} of {directory.path}")

    validation = None
    if corpus.ids.validation.size:
        validation = fold(corpus.ids.validation[: config.training.eval_characters + 1])
    began = time.monotonic()
    chunk, sampler, evaluate, begin = compile_together(
        (make_chunk(config, model, shardings(mesh, shapes)), (shapes, streams, np.int32(0))),
        (sampler, (shapes.params, shapes.hyper, shapes.carry, streams, jnp.int32(0))),
        (make_evaluate(model), (shapes.params, shapes.hyper, validation)) if validation else None,
        (jax.jit(partial(start, config, model)), ()) if resumed is None else None,
    )
    state = place(mesh, begin() if resumed is None else resumed)
    reporter.say(f"compiled training, sampling and evaluation in {time.monotonic() - began:.1f} s")
    lowest = min(checkpoints.validation_losses().values(), default=math.inf)
    log = MetricsLog(directory.metrics, step, config.training.log_every_steps, also)
    saved, in_a_row = step, 0
    under_way: tuple[StepInfo, int] | None = None

    def settle() -> None:
        """Takes in the metrics of the chunk under way, and so waits until the device has run it."""
        nonlocal under_way, in_a_row
        if under_way is None:
            return
        infos, count = under_way
        under_way = None
        rows = {name: np.asarray(values)[:count] for name, values in infos._asdict().items()}
        log.add(rows)
        reporter.update(log.step, float(np.mean(rows["loss"])))
        if skipped := int(rows["skipped"].sum()):
            reporter.say(f"skipped {skipped} of the {count} steps up to {log.step:,}: loss or gradient was not finite")
        in_a_row = int(rows["skipped_in_a_row"][-1])
        if (worst := int(rows["skipped_in_a_row"].max())) >= config.training.max_skipped_steps:
            log.flush()
            checkpoints.wait()
            raise UserError(
                f"loss or gradient was not finite in {worst} steps in a row up to step {log.step:,}; "
                f"{directory.path} keeps its checkpoint of step {next(iter(checkpoints.steps()), 0):,}; lower "
                "optimizer.learning_rate, or clip, under another run.name"
            )

    def write_song() -> None:
        ids = sampler(state.params, state.hyper, state.carry, streams, jnp.int32(step))
        text = corpus.vocabulary.decode(np.asarray(ids))
        directory.write_sample(step, text)
        if is_due(step, config.sampling.show_every_steps):
            reporter.say(f"\n--- a sample at step {step:,} ---\n{text}\n---\n")

    def save(validation_loss: float | None) -> None:
        nonlocal saved
        settle()
        log.flush()
        if in_a_row and step < total:  # a run that is going wrong must not push out the last good checkpoint
            return
        checkpoints.save(step, to_arrays(state), validation_loss)
        saved = step

    with reporter:
        if step == 0 and config.sampling.every_steps:
            write_song()
        while step < total and not interrupt.asked:
            count = next_stop(config, step) - step
            state, infos = chunk(state, streams, np.int32(count))
            settle()  # of the chunk before: the device is already busy with this one
            under_way, step = (infos, count), step + count

            if is_due(step, config.sampling.every_steps):
                write_song()
            loss: float | None = None
            if validation is not None and (is_due(step, config.training.eval_every_steps) or step == total):
                loss = float(evaluate(state.params, state.hyper, validation))
                settle()
                log.flush(validation_loss=loss)
                reporter.show_validation(loss)
                loss = loss if math.isfinite(loss) else None
            is_best = loss is not None and loss < lowest
            if is_best or is_due(step, config.run.checkpoint_every_steps) or step == total or interrupt.asked:
                save(loss)
                lowest = lowest if loss is None else min(loss, lowest)
        if step != saved:  # the interrupt came after the last look
            save(None)
        checkpoints.wait()
        log.close()
    if step < total:
        reporter.say(f"stopped at step {step:,} of {total:,}, saved at {saved:,}; the same command goes on from there")
    return step >= total


def conclude(
    config: Config,
    model: Model,
    corpus: Corpus,
    streams: jax.Array,
    sampler: Sampler,
    directory: RunDirectory,
    checkpoints: Checkpoints,
) -> dict:
    """Reads the test text, once, with the best weights, and writes a song and the result; later only reads it."""
    path = directory.path / "result.json"
    if path.exists():
        return read_json(path)
    found = checkpoints.best()
    for step, damage in found.damaged.items():
        warn(f"the checkpoint of step {step:,} is damaged: {damage}; taking the next best")
    if found.checkpoint is None:
        raise UserError(f"every checkpoint of {directory.path} is damaged")
    state = state_from(found.checkpoint, config, model)
    song = corpus.vocabulary.decode(np.asarray(sampler(state.params, state.hyper, state.carry, streams, state.step)))
    copied = longest_copied(song, corpus.text.train)
    result: dict = {"step": int(state.step), **losses(model, state.params, state.hyper, corpus)}
    result["ngram_bits"] = held_out_bits(corpus.ids, len(corpus.vocabulary))
    result |= {"song": song, "longest_copied": copied, "longest_copied_characters": len(copied)}
    write_whole(path, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return result


def losses(model: Model, params: Params, hyper: Hyper, corpus: Corpus) -> dict[str, float]:
    """The loss of each held-out text that there is, nats per character, each text read whole."""
    evaluate = make_evaluate(model)
    texts = {"validation_loss": corpus.ids.validation, "test_loss": corpus.ids.test}
    return {name: float(evaluate(params, hyper, fold(ids))) for name, ids in texts.items() if ids.size}


def report(result: dict, directory: RunDirectory) -> None:
    """The end of a run, on the screen."""
    print(f"\n--- a song, from the weights of step {result['step']:,} ---\n{result['song']}\n---")
    print(
        f"longest stretch that stands in the training text: {result['longest_copied_characters']} characters, "
        f"{result['longest_copied']!r}"
    )
    ngram_bits = result.get("ngram_bits", {})
    for name in ("validation", "test"):
        if (loss := result.get(f"{name}_loss")) is not None:
            print(f"{name} loss {loss:#.5g} nats per character ({loss / NATS_PER_BIT:#.5g} bits)")
        if name in ngram_bits:
            order = best_order(ngram_bits)
            print(
                f"  n-gram model of order {order} on the same text: {ngram_bits[name][order]:#.5g} bits per character"
            )
    print(f"the run is in {directory.path}")


def compile_together(*programs: tuple | None) -> list:
    """Compiles jitted functions for their arguments, (function, arguments) each, side by side: XLA holds no lock."""
    with ThreadPoolExecutor() as pool:
        pool.submit(import_module, "matplotlib.figure")  # needed at the end, free while the compiler works
        return list(pool.map(lambda program: program and program[0].lower(*program[1]).compile(), programs))


def is_due(step: int, period: int) -> bool:
    """Whether something that happens every `period` steps happens after this one; 0 is never."""
    return period > 0 and step % period == 0


def next_stop(config: Config, step: int) -> int:
    """The step after which the host looks in again: when the dispatch is full, or something is due."""
    periods = (
        config.training.eval_every_steps,
        config.run.checkpoint_every_steps,
        config.sampling.every_steps,
    )
    stops = [step + config.training.steps_per_dispatch, config.training.steps]
    return min(stops + [(step // period + 1) * period for period in periods if period])
