"""The user's own series: forecasting, regression, tagging and classification, by the gradient method of the config.

A step reads a batch of whole series. A single series is cut into a batch of stretches instead: a step reads a window of
each, and their states go on from window to window.
"""

import csv
import dataclasses
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import make_model
from rnnjax.config import Config
from rnnjax.config.checks import check
from rnnjax.data.arrays import inputs_of, read_npz
from rnnjax.data.known.problem import Sequence
from rnnjax.data.parts import Parts, as_read, fold, make_parts
from rnnjax.data.scaling import Scaling, from_json, to_json
from rnnjax.data.series import Names, Series, shifted
from rnnjax.data.songs import is_table, read_file
from rnnjax.data.sources import check_npz, read_series
from rnnjax.data.table import inputs_of_table
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Model, Params
from rnnjax.tasks.examples import conclude, figures, make_sample, report
from rnnjax.tasks.sequences import as_batch, make_accuracy, make_network, make_outputs, make_sequence_task, weight_of
from rnnjax.tasks.series_result import draw, level, loss_unit, said, score, score_lines, write
from rnnjax.tasks.task import AnswerOptions, Network, Task
from rnnjax.training import windows
from rnnjax.training.examples import Surprise, batch_at, check_batch, in_blocks
from rnnjax.training.state import TrainState

Array = jax.Array


def make(config: Config) -> Task:
    """Reads the series of data.path.

    Raises:
      UserError: if they cannot be read or are too few, or the gradient method cannot be applied to the network.
    """
    return of_series(config, read_series(config))


def of_series(config: Config, series: Series) -> Task:
    """Makes the task from series in memory; see `make`."""
    B, each_step = config.training.batch_size, series.names.each_step
    placed = shifted(series, config.ahead)
    parts = make_parts(placed, config.data, config.task.series_loss == "squared_error", np.dtype(config.run.precision))
    is_folded = series.is_single and each_step
    T = config.training.sequence_length if is_folded else placed.x.shape[1]
    data = fold(parts.rows.train, B, T) if is_folded else parts.rows.train
    if not is_folded:
        check_batch(data, B, "series")
    names = names_json(series, parts)
    of, outputs = network(config, names), make_outputs(shape_of(config, series.names))
    places = config.training.windows
    read = f"; {windows.in_words(config.training.steps, data.x.shape[1], T, places)}" if is_folded else ""
    about = {"task": config.task.name, "loss_is": config.task.series_loss}
    return make_sequence_task(
        config,
        of,
        parts.rows,
        partial(read_window, T, places) if is_folded else partial(read_batch, B),
        T,
        summary=f"{summary(config, series, parts)}{read}",
        names=names,
        counted="windows" if is_folded else "series",
        unit="step" if each_step else "series",
        levels=level(config, series, parts),
        data=data,
        measure=make_measure(config, outputs),
        sample=make_sample(outputs, parts.rows),
        write=partial(write, config, series, parts),
        conclude=partial(conclude, of, parts.rows, partial(score, config, series, parts, outputs), about=about),
        report=partial(report, loss_unit(config), score_lines),
        figures=partial(figures, draw),
    )


def summary(config: Config, series: Series, parts: Parts) -> str:
    """Summary of the data in one line: inputs, targets, and the number of answers that count in each part."""
    counts = {name: int(part.counted.sum()) for name, part in parts.of._asdict().items() if part is not None}
    names = series.names
    reads = f"{names.ids} ids" if names.ids else f"{len(names.inputs or [])} number(s)"
    asks = f"{len(names.targets)} number(s)" if names.labels is None else f"one of {len(names.labels)} classes"
    when = "at every step" if names.each_step else "at its end"
    later = f", {config.ahead} step(s) later" if config.ahead else ""
    count = "one series" if series.is_single else f"{len(series.length):,} series"
    return f"{series.source}: {count} of {reads}; {asks} {when}{later}: " + ", ".join(
        f"{name} {count:,}" for name, count in counts.items()
    )


def names_json(series: Series, parts: Parts) -> dict[str, Any]:
    """The content of vocabulary.json: with the config, all that the network needs for other series."""
    return {**series.names._asdict(), "scaling": {"x": to_json(parts.inputs), "y": to_json(parts.targets)}}


def names_of(found: dict[str, Any]) -> tuple[Names, Scaling | None, Scaling | None]:
    """Reads the names, the scaling of inputs and that of targets; the inverse of `names_json`."""
    names = Names(*(found[name] for name in Names._fields))
    return names, from_json(found["scaling"]["x"]), from_json(found["scaling"]["y"])


def shape_of(config: Config, names: Names) -> Model:
    """The network's shape, with an output for each class, number or label, and the loss of the task."""
    real = names.ids == 0
    width = config.model.embedding_size
    check(not real or not width, "model.embedding_size", width, "0 for real inputs")
    model = make_model(config, names.outputs, names.ids or len(names.inputs or []))
    return dataclasses.replace(model, loss=config.task.series_loss)


def read_window(T: int, places: str, state: TrainState, data: Sequence) -> tuple[Batch, Array]:
    """Reads the window of a step from every stretch `[B, S]`. Returns it, and True if the stretches begin anew."""
    start, starts_pass = windows.window_start(state.step, data.x.shape[1], T, places)
    cut = lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, T, axis=1)
    return as_batch(jax.tree.map(cut, data), state.params.V.dtype), starts_pass


def read_batch(B: int, state: TrainState, data: Sequence) -> tuple[Batch, bool]:
    """Reads the whole series of a step. Returns them, and True: each begins anew."""
    return as_batch(batch_at(data, state.step, B, state.seed), state.params.V.dtype), True


def network(config: Config, found: dict[str, Any]) -> Network:
    """The network of a config and of `names_json`; its answer is a table in the units of the file."""
    names = names_of(found)[0]

    def answer(params: Params, hyper: Hyper, path: str, asked: AnswerOptions) -> str:
        x, length, keys = read_inputs(config, names, path)
        return as_csv(names, keys, length, config.ahead, predict(config, found, params, hyper, x, length))

    return make_network(config, shape_of(config, names), answer)


def predict(
    config: Config, found: dict[str, Any], params: Params, hyper: Hyper, x: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """Predicts from series, in the units of their file.

    Args:
      found: result of `names_json`.
      x: real inputs `[N, T, I]`, or ids `[N, T]`.
      length: steps of each series `[N]`.

    Returns:
      An answer for each step `[N, T, ...]`, or for each series `[N, ...]`: numbers `[K]`, probabilities of the labels
      `[K]`, or of the classes `[V]`.
    """
    names, inputs, targets = names_of(found)
    N, T = x.shape[:2]
    rows = as_read(
        Sequence(x, np.zeros((N, T)), None, np.arange(T) < length[:, None]),
        inputs,
        None,
        np.dtype(config.run.precision),
    )
    out = in_blocks(make_outputs(shape_of(config, names)), params, hyper, rows)
    answers = said(config.task.series_loss, out, targets)
    return answers if names.each_step else answers[np.arange(N), length - 1]


def read_inputs(config: Config, names: Names, path: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Reads a new file. Returns x and length for `predict`, and the names of the series.

    Raises:
      UserError: if the file cannot be read, or has other inputs than the network.
    """
    data = dataclasses.replace(config.data, path=path)

    def read(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
        if is_table(path):
            return inputs_of_table(data, names, path)
        check_npz(config, path)
        arrays = read_npz(path)
        x, length = inputs_of(arrays["x"], arrays.get("lengths"), f"--file {path}", names)
        return x, length, [str(n) for n in range(len(x))]

    return read_file(data, read)


def as_csv(names: Names, keys: list[str], length: np.ndarray, horizon: int, answers: np.ndarray) -> str:
    """Writes predictions as a CSV table, a line for each step or for each series.

    Args:
      answers: result of `predict`.
    """
    columns = names.targets if names.labels is None else ["predicted", "probability"]
    heads = ["series", *(["step"] if names.each_step else []), *columns]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(heads)
    for n, key in enumerate(keys):
        for t, answer in enumerate(answers[n][: length[n]] if names.each_step else answers[n : n + 1]):
            best = int(np.argmax(answer))
            told = [f"{value:.7g}" for value in answer]
            if names.labels is not None:
                told = [names.labels[best], f"{answer[best]:.4f}"]
            table.writerow([key, *([t + horizon] if names.each_step else []), *told])
    return text.getvalue().rstrip("\n")


def make_measure(config: Config, outputs: Callable[..., Array]) -> Callable[..., dict[str, Array]] | None:
    """Returns a jitted (params, hyper, rows) -> the share of right answers; None if answers are numbers."""
    loss = config.task.series_loss
    if loss == "squared_error":
        return None

    def count_right(params: Params, hyper: Hyper, rows: Sequence) -> Surprise:
        out = outputs(params, hyper, rows)
        is_class = loss == "cross_entropy"
        right = jnp.argmax(out, axis=-1) == rows.y if is_class else jnp.mean((out > 0) == rows.y, axis=-1)
        weight = weight_of(rows, out.dtype)
        return Surprise(jnp.sum(right * weight, axis=1), jnp.sum(weight, axis=1))

    return make_accuracy(count_right)
