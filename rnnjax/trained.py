"""A trained network, read back from its run directory."""

from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp

from rnnjax.build import check_writes_text, make_hyper, make_text_model
from rnnjax.cli import add_config, config_of, make_parser
from rnnjax.config import Config
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.errors import UserError
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import param_shapes
from rnnjax.model.network import Model, Params
from rnnjax.run.checkpoint import Checkpoint, Checkpoints, DamagedCheckpoint, FoundCheckpoint
from rnnjax.run.directory import read_json, read_yaml
from rnnjax.run.progress import warn
from rnnjax.training.state import from_arrays


@dataclass(frozen=True)
class Trained:
    """A network and what it takes to use it."""

    config: Config
    vocabulary: Vocabulary
    model: Model
    params: Params
    hyper: Hyper
    step: int


def read_config(run: Path) -> Config:
    """The config that a run was started with.

    Raises:
      UserError: if there is no such run.
    """
    path = run / "config.yaml"
    if not path.is_file():
        runs = sorted(p.parent.name for p in run.parent.glob("*/config.yaml")) if run.parent.is_dir() else []
        known = f"; {run.parent} has {', '.join(runs)}" if runs else ""
        raise UserError(f"--run: {run} is not a run (it has no config.yaml){known}")
    parser = make_parser("train", "")
    add_config(parser)
    try:
        return config_of(parser, parser.parse_object(read_yaml(path)))
    except UserError as error:
        raise UserError(f"{path} is damaged: {error}") from None


def read_vocabulary(run: Path) -> Vocabulary:
    characters = read_json(run / "vocabulary.json").get("characters")
    if not isinstance(characters, str):
        raise UserError(f"{run / 'vocabulary.json'} is damaged: it has no characters")
    return Vocabulary(characters)


def load_trained(run: Path, which: str = "best") -> Trained:
    """Reads a network from a run.

    Args:
      which: best (lowest validation loss, or the newest where none was measured), newest, or a step.

    Raises:
      UserError: if there is no such run or checkpoint, or it is damaged.
    """
    config = read_config(run)
    check_writes_text(config)
    vocabulary = read_vocabulary(run)
    model = make_text_model(config, vocabulary)
    checkpoint = read_checkpoint(run, which)
    params = params_from(config, model, checkpoint.arrays)
    hyper = make_hyper(config, jnp.dtype(config.run.precision))
    return Trained(config, vocabulary, model, params, hyper, checkpoint.step)


def read_checkpoint(run: Path, which: str = "best") -> Checkpoint:
    """Reads a checkpoint of a run; takes and raises what `load_trained` does."""
    checkpoints = Checkpoints(run / "checkpoints", read_only=True) if (run / "checkpoints").is_dir() else None
    if checkpoints is None or not (steps := checkpoints.steps()):
        raise UserError(f"--run: {run} has no checkpoint yet; wait for its first, or go on training it")
    try:
        if which in ("best", "newest"):
            found = checkpoints.best() if which == "best" else checkpoints.newest()
        elif which.isdigit() and int(which) in steps:
            found = FoundCheckpoint(checkpoints.restore(int(which)), {})
        else:
            has = ", ".join(map(str, sorted(steps)))
            raise UserError(f"--checkpoint {which}: {run} has best, newest, and steps {has}")
    except DamagedCheckpoint as damage:
        raise UserError(f"the checkpoint of step {which} in {run} is damaged: {damage}") from None
    finally:
        checkpoints.close()
    for step, reason in found.damaged.items():
        warn(f"the checkpoint of step {step:,} is damaged: {reason}; passed over")
    if found.checkpoint is None:
        raise UserError(f"every checkpoint of {run} is damaged; train again, or copy the run from where it is whole")
    return found.checkpoint


def params_from(config: Config, model: Model, arrays: dict) -> Params:
    """The weights among a checkpoint's arrays."""
    template = param_shapes(model, jnp.dtype(config.run.precision))
    try:
        return from_arrays(template, arrays, "params.")
    except ValueError as error:
        raise UserError(f"the checkpoint does not fit the run's config.yaml: {error}") from None
