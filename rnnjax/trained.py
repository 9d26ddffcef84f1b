"""A trained network, read back from its run directory."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax import own_cell
from rnnjax.build import check_writes_text, make_hyper, make_text_model
from rnnjax.cli import add_config, config_of, make_parser
from rnnjax.config import Config
from rnnjax.data.arrays import inputs_of
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.errors import UserError
from rnnjax.model import rnn
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import param_shapes
from rnnjax.model.network import Batch, Carry, Model, initial_carry
from rnnjax.run.average import average, count_of
from rnnjax.run.checkpoint import Checkpoint, Checkpoints, DamagedCheckpoint, FoundCheckpoint, text_checksum
from rnnjax.run.config_file import completed, difference, older_defaults, read_yaml, with_free_fields
from rnnjax.run.directory import CELL, read_json
from rnnjax.run.origin import cell_of, origin_of
from rnnjax.run.progress import warn
from rnnjax.tasks import NETWORKS, series
from rnnjax.tasks.task import AnswerOptions, Network
from rnnjax.training.state import from_arrays

Array = jax.Array


@dataclass(frozen=True)
class Trained:
    """Network with everything that it takes to use it.

    Attributes:
      config: config that it was trained with.
      vocabulary: characters of a network that writes text; empty for others.
      model: shape of the network.
      params: weights, `Params` or a task's own tree.
      hyper: numbers that are neither weights nor shape.
      step: training steps taken.
      names: content of the run's vocabulary.json.
      carry: state in which training left the first stream of a text: [1, states·H] for each layer; None without one.
    """

    config: Config
    vocabulary: Vocabulary
    model: Model
    params: Any
    hyper: Hyper
    step: int
    names: dict[str, Any] = field(default_factory=dict)
    carry: Carry | None = None

    def start(self, *batch: int) -> Carry:
        """State before the first step, for streams with these batch axes: [*batch, states·H] for each layer."""
        return initial_carry(self.model, self.params, batch)

    def left_off(self, count: int) -> Carry:
        """State in which training left off, for streams side by side: [count, states·H] for each layer.

        A network that has only ever read the midst of a text knows no state of zeros, and may never leave it.
        """
        if self.carry is None:
            return self.start(count)
        return jax.tree.map(lambda h: jnp.broadcast_to(h, (count, *h.shape[1:])), self.carry)

    def apply(self, x: Any, state: Carry | None = None) -> tuple[Carry, Array]:
        """Reads a window of streams.

        Args:
          x: ids, integer [T, *B], or real vectors [T, *B, I]; series must be scaled, as `predict` does it.
          state: state before the window; None: the one before the first step.

        Returns:
          The state after it, and the outputs [T, *B, V].
        """
        batch = Batch(jnp.asarray(x), jnp.asarray(x))
        axes = batch.x.shape[1:] if jnp.issubdtype(batch.x.dtype, jnp.integer) else batch.x.shape[1:-1]
        return rnn.apply(self.model, self.params, self.hyper, self.start(*axes) if state is None else state, batch)

    def answer(self, text: str, **options: Any) -> str:
        """Answer of a network trained on examples to one input, as `python -m rnnjax.predict` prints it.

        Args:
          text: the input; for series, the path of a file.
          options: fields of `AnswerOptions`.

        Raises:
          UserError: if the network writes text, or cannot read the input.
        """
        if self.config.task.name not in NETWORKS:
            raise UserError(
                f"the network is of the task {self.config.task.name}, which writes songs; use python -m rnnjax.sample "
                "or rnnjax.sample"
            )
        network = NETWORKS[self.config.task.name](self.config, self.names)
        return network.answer(self.params, self.hyper, text, AnswerOptions(**options))

    def predict(self, x: Any, lengths: Any = None) -> np.ndarray:
        """Answers of a network trained on series to other series.

        Args:
          x: real [N, T, I], in the units of the training series, or ids, integer [N, T].
          lengths: steps of each series, integer [N]; None: all have T.

        Returns:
          Numbers [K] in the units of the training targets, or probabilities of the classes [V] or of the labels [K]:
          for each step [N, T, ...] or each series [N, ...]. In forecasting the answer of step t is about step
          t + `data.horizon`.

        Raises:
          UserError: if the network is of another task, or cannot read x.
        """
        if not self.config.task.is_series:
            raise UserError(f"the network is of the task {self.config.task.name}, not of series; use answer, or sample")
        x, length = inputs_of(x, lengths, "the arrays", series.names_of(self.names)[0])
        return series.predict(self.config, self.names, self.params, self.hyper, x, length)


def read_config(run: Path) -> Config:
    """Reads the config that a run was started with, by its checkpoints where they know it.

    Raises:
      UserError: if there is no such run.
    """
    path, kept = run / "config.yaml", origin_of(run).get("config")
    if kept and (how := difference(path, kept)):
        warn(f"{path} {how}; the checkpoints say what it was")
    if not kept and not path.is_file():
        runs = sorted(p.parent.name for p in run.parent.glob("*/config.yaml")) if run.parent.is_dir() else []
        known = f"; {run.parent} has {', '.join(runs)}" if runs else ""
        raise UserError(f"run: {run} is not a run (it has no config.yaml){known}")
    parser = make_parser("train", "")
    add_config(parser)
    try:
        fields = with_free_fields(kept, path) if kept else completed(read_yaml(path), older_defaults())
        config = config_of(parser, parser.parse_object(fields))
    except UserError as error:
        raise UserError(f"{path} is damaged: {error}") from None
    return with_kept_cell(config, run)


def with_kept_cell(config: Config, run: Path) -> Config:
    """The config with the run's copy of an own cell in place of the file that it was started with.

    Raises:
      UserError: if the copy is not the file that was pinned.
    """
    if not own_cell.is_file(config.model.cell):
        return config
    _, name = own_cell.parts(config.model.cell)
    kept = f"{run / CELL}:{name}"
    if own_cell.checksum(own_cell.read(kept)) != cell_of(run):
        raise UserError(
            f"{run / CELL} is not the cell's file that the run was started with; put it back, or give the run's own "
            "command again, which does"
        )
    return replace(config, model=replace(config.model, cell=kept))


def read_names(run: Path, kept: Any) -> dict[str, Any]:
    """Content of a run's vocabulary.json.

    Args:
      kept: the same by a checkpoint; its checksum, or None, in an older run.

    Raises:
      UserError: if it is lost or changed, and stands nowhere else.
    """
    path = run / "vocabulary.json"
    try:
        names = read_json(path)
    except UserError:
        if not isinstance(kept, dict):
            raise
        names = {}
    if kept is None or kept in (names, text_checksum(names)):
        return names
    if not isinstance(kept, dict):
        raise UserError(f"{path} was changed; put it back, or give the run's own command again, which does")
    warn(f"{path} was lost or changed; the checkpoint says what it was")
    return kept


def vocabulary_of(names: dict[str, Any], run: Path) -> Vocabulary:
    """Vocabulary of a network that writes text."""
    characters = names.get("characters")
    if not isinstance(characters, str):
        raise UserError(f"{run / 'vocabulary.json'} is damaged: it has no characters")
    return Vocabulary(characters)


def load(run: str | Path, checkpoint: str = "best", config: Config | None = None) -> Trained:
    """Reads a network of any task from a run's directory.

    Args:
      run: such as runs/lyrics.
      checkpoint: best (lowest validation loss, or the newest where none was measured), newest, a step, average (mean of
        the weights of all checkpoints that were kept), or average:N (of the newest N).
      config: from `read_config`; None: it is read.

    Returns:
      The network: `predict` for series, `answer` for other examples, `rnnjax.sample` for text, and `apply` for all that
      have one network.

    Raises:
      UserError: if there is no such run or checkpoint, it is damaged, or was trained in float64 where JAX has it off.
    """
    run = Path(run)
    config = config or read_config(run)
    dtype = np.dtype(config.run.precision)
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise UserError(f"{run} was trained in float64: first call jax.config.update('jax_enable_x64', True)")
    found = read_checkpoint(run, checkpoint)
    names = read_names(run, found.origin.get("names"))
    vocabulary = vocabulary_of(names, run) if config.task.is_text else Vocabulary("")
    if config.task.is_text:
        model = make_text_model(config, vocabulary)
        template = param_shapes(model, dtype)
    else:
        network = network_of(config, names, run)
        model, template = network.model, jax.eval_shape(lambda: network.init(jax.random.key(0), dtype))
    try:
        params = from_arrays(template, found.arrays, "params.")
    except ValueError as error:
        raise UserError(f"the checkpoint does not fit the run's config.yaml: {error}") from None
    carry = first_stream(model, params, found.arrays) if config.task.is_text else None
    return Trained(config, vocabulary, model, params, make_hyper(config, dtype), found.step, names, carry)


def first_stream(model: Model, params: Any, arrays: dict[str, np.ndarray]) -> Carry | None:
    """State of the first stream in a checkpoint's arrays; None where they have no such state."""
    first = {name: array[:1] for name, array in arrays.items() if name.startswith("carry.") and array.ndim}
    try:
        return from_arrays(jax.eval_shape(lambda: initial_carry(model, params, (1,))), first, "carry.")
    except ValueError:
        return None


def network_of(config: Config, names: dict[str, Any], run: Path) -> Network:
    """Network of a task on examples. Raises UserError where the run's names are not those of its task."""
    try:
        return NETWORKS[config.task.name](config, names)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{run / 'vocabulary.json'} is damaged: {error!r}") from None


def load_trained(run: Path, which: str = "best", config: Config | None = None) -> Trained:
    """Reads a network that writes text, as `load` does; raises UserError for others."""
    config = config or read_config(run)
    check_writes_text(config)
    return load(run, which, config)


def read_checkpoint(run: Path, which: str = "best") -> Checkpoint:
    """Reads a checkpoint of a run; takes and raises what `load` does."""
    checkpoints = Checkpoints(run / "checkpoints", read_only=True) if (run / "checkpoints").is_dir() else None
    if checkpoints is None or not (steps := checkpoints.steps()):
        raise UserError(f"run: {run} has no checkpoint yet; wait for its first, or go on training it")
    try:
        if which in ("best", "newest"):
            found = checkpoints.best() if which == "best" else checkpoints.newest()
        elif (count := count_of(which, len(steps))) is not None:
            found = average(checkpoints, count)
        elif which.isascii() and which.isdigit() and int(which) in steps:
            found = FoundCheckpoint(checkpoints.restore(int(which)), {})
        else:
            has = ", ".join(map(str, sorted(steps)))
            raise UserError(f"checkpoint {which}: {run} has best, newest, average, and steps {has}")
    except DamagedCheckpoint as damage:
        raise UserError(f"the checkpoint of step {which} in {run} is damaged: {damage}") from None
    finally:
        checkpoints.close()
    for step, reason in found.damaged.items():
        warn(f"the checkpoint of step {step:,} is damaged: {reason}; passed over")
    if found.checkpoint is None:
        raise UserError(f"every checkpoint of {run} is damaged; train again, or copy the run from where it is whole")
    return found.checkpoint
