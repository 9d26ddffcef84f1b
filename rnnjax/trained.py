"""A trained network, read back from its run directory."""

import json
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import jsonargparse

from rnnjax.config import Config
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.errors import UserError
from rnnjax.model.initializers import init_params
from rnnjax.model.rnn import Model, Params
from rnnjax.run.checkpoint import Checkpoints, DamagedCheckpoint
from rnnjax.run.directory import read_yaml
from rnnjax.training.state import from_arrays


@dataclass(frozen=True)
class Trained:
    """A network and what it takes to use it."""

    config: Config
    vocabulary: Vocabulary
    model: Model
    params: Params
    step: int


def make_model(config: Config, vocabulary: Vocabulary) -> Model:
    """The shape of the network that a config describes."""
    return Model(
        vocabulary=len(vocabulary),
        hidden=config.model.hidden_size,
        layers=config.model.layers,
        activation=config.model.activation,
        scan_unroll=max(config.model.scan_unroll, 1),
    )


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
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Config, as_group=False)
    try:
        return Config(**vars(parser.instantiate(parser.parse_object(read_yaml(path)))))
    except (jsonargparse.ArgumentError, TypeError) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from None


def read_vocabulary(run: Path) -> Vocabulary:
    path = run / "vocabulary.json"
    try:
        return Vocabulary(json.loads(path.read_text(encoding="utf-8"))["characters"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path} is missing or damaged") from None


def load_trained(run: Path, which: str = "best") -> Trained:
    """Reads a network from a run.

    Args:
      which: best (lowest validation loss, or the newest where none was measured), newest, or a step.

    Raises:
      UserError: if there is no such run or checkpoint, or it is damaged.
    """
    config = read_config(run)
    vocabulary = read_vocabulary(run)
    model = make_model(config, vocabulary)
    if not (run / "checkpoints").is_dir():
        raise UserError(f"--run: {run} has no checkpoint yet")
    checkpoints = Checkpoints(run / "checkpoints", read_only=True)
    steps = checkpoints.steps()
    if not steps:
        raise UserError(f"--run: {run} has no checkpoint yet")
    if which == "newest":
        step = steps[0]
    elif which == "best":
        best = checkpoints.best_step()
        step = steps[0] if best is None else best
    elif which.isdigit() and int(which) in steps:
        step = int(which)
    else:
        raise UserError(f"--checkpoint {which}: {run} has best, newest, and steps {', '.join(map(str, sorted(steps)))}")
    try:
        checkpoint = checkpoints.restore(step)
    except DamagedCheckpoint as damage:
        others = ", ".join(str(s) for s in sorted(steps) if s != step) or "none"
        raise UserError(f"the checkpoint of step {step} in {run} is damaged: {damage}; others: {others}") from None
    finally:
        checkpoints.close()
    params = params_from(config, model, checkpoint.arrays)
    return Trained(config, vocabulary, model, params, step)


def params_from(config: Config, model: Model, arrays: dict) -> Params:
    """The weights among a checkpoint's arrays."""
    dtype = jnp.dtype(config.run.precision)
    template = jax.eval_shape(lambda key: init_params(key, model, "uniform", 1.0, dtype), jax.random.key(0))
    try:
        return from_arrays(template, arrays, "params.")
    except ValueError as error:
        raise UserError(f"the checkpoint does not fit the run's config.yaml: {error}") from None
