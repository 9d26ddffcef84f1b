"""Parts shared by all tasks that learn from examples."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import draw_params
from rnnjax.config import Config
from rnnjax.data.split import Split
from rnnjax.errors import UserError
from rnnjax.model.architectures import steps_within
from rnnjax.model.dropout import draw_noise
from rnnjax.model.loss import cross_entropy
from rnnjax.model.network import Batch, Model, Params
from rnnjax.tasks.task import Conclusion, Network, Task
from rnnjax.training.examples import Surprise, check_batch, make_learn_examples, make_mean, size
from rnnjax.training.state import TrainState, start_state
from rnnjax.training.step import make_update

Array = jax.Array

SHOWN = 8
"""Number of examples in a sample."""


def make_example_task(config: Config, network: Network, examples: Split[Any], what: str, **rest: Any) -> Task:
    """Makes a task that learns from examples.

    Args:
      examples: padded examples of each part; an empty held-out part is None.
      what: name of the examples, such as images.
      rest: fields of the task that are not the same for all tasks.

    Raises:
      UserError: if there are fewer examples than a batch takes.
    """
    check_batch(examples.train, config.training.batch_size, what)
    counts = {name: size(part) for name, part in examples._asdict().items() if part is not None}
    return Task(
        summary=f"{rest.pop('source')}: {what}, " + ", ".join(f"{name} {count:,}" for name, count in counts.items()),
        fingerprint=fingerprint(examples),
        per_step=config.training.batch_size,
        counted="examples",
        data=examples.train,
        start=partial(start, config, network),
        step=make_update(config, make_learn_examples(config, network.surprise)),
        held_out=None if examples.validation is None else jax.tree.map(jnp.asarray, examples.validation),
        test=None if examples.test is None else jax.tree.map(jnp.asarray, examples.test),
        evaluate=make_mean(network.surprise),
        **rest,
    )


def start(config: Config, network: Network, seed: Array | None = None) -> TrainState:
    """Draws the state before the first step, in the run's precision; the seed is the config's unless given."""
    dtype = np.dtype(config.run.precision)
    seed = jnp.int32(config.training.seed) if seed is None else seed
    return start_state(config, network.init(jax.random.key(seed), dtype), (), None, dtype, seed)


def draw_all(model: Model, config: Config, key: Array, dtype: Any) -> Params:
    """Draws the weights of one network by the config."""
    return draw_params(key, model, config.model, dtype)


def noise_for(key: Array | None, model: Model, shape: tuple[int, ...], dtype: Any) -> tuple[Array, ...] | None:
    """Draws dropout's noise for steps `[T, B]`; None without a key or without dropout."""
    if key is None or not model.dropout:
        return None
    return draw_noise(key, model.layers, (*shape, model.output), dtype)


def shifted(ids: Array, length: Array, edge: int) -> Batch:
    """Batch of a network that writes: the input is the edge, then the text; the target is the text, then the edge.

    Args:
      ids: padded texts `[B, T]`.
      length: characters of each text `[B]`.
      edge: id that stands before and after a text.

    Returns:
      x, y and valid `[T + 1, B]`.
    """
    ids = jnp.asarray(ids).T
    edges = jnp.full_like(ids[:1], edge)
    y = jnp.concatenate([jnp.where(steps_within(length, len(ids)), ids, edge), edges])
    return Batch(jnp.concatenate([edges, ids]), y, valid=steps_within(length + 1, len(ids) + 1))


def surprise_within(logits: Array, y: Array, valid: Array | None) -> Surprise:
    """Surprise of each sequence at its targets `[T, B]`, over its valid steps; None: all steps."""
    counted = jnp.ones(y.shape, bool) if valid is None else valid
    nats = jnp.where(counted, cross_entropy(logits, y), 0)
    return Surprise(jnp.sum(nats, axis=0), jnp.sum(counted, axis=0, dtype=nats.dtype))


def fingerprint(examples: Split[Any]) -> str:
    """A checksum of all arrays."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(examples):
        found.update(f"{leaf.dtype}{leaf.shape}".encode() + np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()


def measured(examples: Split[Any]) -> tuple[str, Any] | None:
    """Name and examples of the part to measure: test, else validation; None if nothing is held out."""
    for name in ("test", "validation"):
        if (part := getattr(examples, name)) is not None:
            return name, part
    return None


def make_sample(respond: Callable[..., Any], examples: Split[Any]) -> Callable[..., tuple[Any, Any]]:
    """Returns the sampler: the first held-out examples, or the first of training without any, and the response to them.

    Args:
      respond: (params, hyper, examples) -> the network's response.
    """
    part = examples.train if examples.validation is None else examples.validation
    rows = jax.tree.map(lambda array: jnp.asarray(array[:SHOWN]), part)
    return jax.jit(lambda params, hyper, carry, data, step: (rows, respond(params, hyper, rows)))


def conclude(
    network: Network,
    examples: Split[Any],
    score: Callable[[TrainState, str, Any], Conclusion],
    state: TrainState,
    _: Any,
    about: dict[str, Any] | None = None,
) -> Conclusion:
    """Measures the held-out losses, and scores the measured part.

    Args:
      score: (state, name of the part, its examples) -> its findings.
      about: further content of result.json.
    """
    result = {"step": int(state.step), **(about or {}), **held_out_losses(network, examples, state)}
    if (found := measured(examples)) is None:
        return Conclusion(result)
    scored = score(state, *found)
    return Conclusion(result | {"measured": found[0]} | scored.result, scored.predictions)


def held_out_losses(network: Network, examples: Split[Any], state: TrainState) -> dict[str, float]:
    """Measures validation_loss and test_loss, mean over the outputs, for the parts that there are."""
    mean = make_mean(network.surprise)
    parts = {"validation_loss": examples.validation, "test_loss": examples.test}
    return {name: float(mean(state.params, state.hyper, part)) for name, part in parts.items() if part is not None}


def report(unit: str, score_lines: Callable[[dict[str, Any]], list[str]], result: dict[str, Any]) -> list[str]:
    """Lines with the held-out losses, then those of the scores if a part was measured."""
    return loss_lines(unit, result) + (score_lines(result) if "measured" in result else [])


def loss_lines(unit: str, result: dict[str, Any]) -> list[str]:
    """Lines with the held-out losses."""
    names = [name for name in ("validation_loss", "test_loss") if name in result]
    return [f"{name.replace('_', ' ')} {result[name]:#.5g} {unit}" for name in names]


def figures(draw: Callable[[dict[str, Any]], dict[str, Any]], result: dict[str, Any]) -> dict[str, Any]:
    """Draws the scores if a part was measured."""
    return draw(result) if "measured" in result else {}


def check_text(text: str, characters: str, most: int) -> None:
    """Raises UserError for a text that is empty, too long, or has characters that the network does not know."""
    if not text.strip():
        raise UserError("--input is empty; give the text to read")
    if len(text) > most:
        raise UserError(f"--input has {len(text)} characters, more than the {most} that the network reads; shorten it")
    if unknown := sorted(set(text) - set(characters)):
        raise UserError(f"--input has characters that the network never saw: {', '.join(map(repr, unknown))}")
