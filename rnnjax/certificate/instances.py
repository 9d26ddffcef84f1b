"""Instances to try methods on: a network, its state, and a stream of windows."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import draw_params
from rnnjax.certificate import exact
from rnnjax.config import Config, GradientConfig
from rnnjax.gradients.method import Method
from rnnjax.model.cells import Hyper, find, with_tanh
from rnnjax.model.dropout import draw_noise
from rnnjax.model.initializers import param_shapes
from rnnjax.model.network import Batch, Model, initial_carry
from rnnjax.model.recurrence import Recurrence, is_key, of_network

Array = jax.Array

MOST = {"units": 8, "layers": 3, "embedding": 8, "streams": 2, "steps": 8, "ids": 100}
"""Largest sizes after the cut, at which methods take a second each: the cost of some grows with the fourth power of the
units, and others walk through all parameters one by one."""

WINDOWS = 3


class Instance(NamedTuple):
    """Recurrence and a stream of N windows.

    Attributes:
      name: name in the tables.
      recurrence: a network's, or that of any step.
      params, hyper, carry, windows: in float64, on the host, where cutting a window compiles nothing; each leaf of
        windows is [N, T, *B, ...].
      loop: (params, carry, batch) -> the exact gradient of a window by other means than a scan over the recurrence;
        None where this scan is the truth.
    """

    name: str
    recurrence: Recurrence
    params: Any
    hyper: Any
    carry: Any
    windows: Batch
    loop: Callable[[Any, Any, Batch], exact.ExactGradient] | None = None

    @property
    def model(self) -> Model:
        """Network of the instance.

        Raises:
          ValueError: where the recurrence is of a step that is no network.
        """
        if self.recurrence.model is None:
            raise ValueError(f"{self.name} is no network of cells")
        return self.recurrence.model

    @property
    def bidirectional(self) -> bool:
        """True of a network that has no single steps."""
        return self.recurrence.model is not None and self.recurrence.model.bidirectional

    @property
    def setting(self) -> tuple:
        """Recurrence, parameters and hyper: the first arguments of the functions of `exact`."""
        return self.recurrence, self.params, self.hyper

    @property
    def number(self) -> int:
        return self.windows.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """[T, *B] of a window."""
        return self.windows.shape[1:]

    @property
    def stream(self) -> Batch:
        """All windows as one, [N·T, *B]."""
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), self.windows)

    def window(self, index: int) -> Batch:
        return jax.tree.map(lambda leaf: leaf[index], self.windows)

    def truth(self, carry: Any, batch: Batch) -> exact.ExactGradient:
        """Exact gradient of a window, the state before it constant."""
        return self.loop(self.params, carry, batch) if self.loop else exact.gradient(*self.setting, carry, batch)

    @property
    def shares(self) -> np.ndarray:
        """Share of each window in the loss of the stream [N]: the gradients of windows, so weighted, sum up to its."""
        if self.recurrence.reduce == "sum":
            return np.ones(self.number)
        weight = np.ones(self.windows.shape) if self.windows.weight is None else self.windows.weight
        return np.sum(weight, axis=tuple(range(1, np.ndim(weight)))) / np.sum(weight)


def on_host(tree: Any) -> Any:
    """Arrays of NumPy, which are cut without compiling; keys of random numbers stay as they are."""
    return jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.asarray(leaf), tree)


def cut_model(model: Model) -> Model:
    """A small network of the same kind."""
    return dataclasses.replace(
        model,
        vocabulary=min(model.vocabulary, MOST["ids"]),
        hidden=min(model.hidden, MOST["units"]),
        layers=min(model.layers, MOST["layers"]),
        embedding=min(model.embedding, MOST["embedding"]),
        scan_unroll=1,
    )


def cut(config: Config, model: Model, ids: np.ndarray) -> Instance:
    """Cuts the config's network and data to a size that takes a minute.

    Args:
      ids: the training text [at least 2].
    """
    small = cut_model(model)
    T = min(config.training.sequence_length, MOST["steps"])
    B = min(config.training.batch_size, MOST["streams"])
    return on_text("the config, cut", config, small, np.minimum(ids, small.vocabulary - 1), T, B, WINDOWS)


def on_text(name: str, config: Config, model: Model, ids: np.ndarray, T: int, B: int, count: int) -> Instance:
    """Instance of a network drawn as for training, after the window before, which gives it a state.

    In the middle of the second window the first stream starts anew, as at a new song, and the last one holds its state
    after that, as at padding. The first loss of each window counts half, the last one for both halves.
    """
    key = jax.random.key(config.training.seed)
    params = exact.quick(draw_params, (1, 2, 3))(key, model, config.model, jnp.float64)
    hyper = Hyper(config.model.leak, config.model.dropout)
    length = (count + 1) * T
    stretch = max((len(ids) - 1) // B, 1)
    streams = np.stack([ids[(b * stretch + np.arange(length + 1)) % len(ids)] for b in range(B)], axis=1)
    x, y = (jnp.asarray(part.reshape(count + 1, T, B), jnp.int32) for part in (streams[:-1], streams[1:]))
    noise = None
    if model.dropout:
        shape = (count + 1, T, B, model.output)
        noise = exact.quick(draw_noise, (1, 2, 3))(jax.random.fold_in(key, 1), model.layers, shape, jnp.float64)
    reset = valid = weight = None
    if count > 1 and not model.bidirectional:
        place = np.arange(x.size).reshape(x.shape)
        reset = jnp.asarray(place == (2 * T + T // 2) * B)
        valid = jnp.asarray(place != (2 * T + T // 2 + 2) * B - 1)
        weight = jnp.ones(x.shape).at[:, 0, 0].add(-0.5).at[:, -1, -1].add(0.5)
    windows = jax.device_get(Batch(x, y, weight=weight, reset=reset, valid=valid, noise=noise))
    first, rest = (jax.tree.map(lambda leaf, part=part: leaf[part], windows) for part in (0, slice(1, None)))
    recurrence, zero = of_network(model), initial_carry(model, params, (B,))
    carry, _ = exact.quick(exact.loss, 0)(recurrence, params, hyper, zero, first)
    params, carry = jax.device_get((params, carry))
    return Instance(name, recurrence, params, jax.tree.map(np.asarray, hyper), carry, rest)


def what_was_cut(config: Config, model: Model, small: Instance, gradient: GradientConfig) -> list[str]:
    """Numbers that are not the config's own, such as 'hidden_size 256 -> 8'."""
    T, B = small.shape
    pairs: list[tuple[str, Any, Any]] = [
        ("hidden_size", model.hidden, small.model.hidden),
        ("layers", model.layers, small.model.layers),
        ("embedding_size", model.embedding, small.model.embedding),
        ("characters", model.vocabulary, small.model.vocabulary),
        ("batch_size", config.training.batch_size, B),
        ("sequence_length", config.training.sequence_length, T),
        ("k1_steps", config.gradient.k1_steps, gradient.k1_steps),
        ("k2_steps", config.gradient.k2_steps, gradient.k2_steps),
    ]
    return [f"{name} {full:,} -> {less:,}" for name, full, less in pairs if full != less]


def shorten(config: GradientConfig, full: int, T: int) -> GradientConfig:
    """Config with k1 and k2 in proportion to a window that was cut from `full` steps to T."""
    k1, k2 = (min(max(round(k * T / full), 1), k) for k in (config.k1_steps, config.k2_steps))
    if config.k2_steps < full:
        k2 = min(
            max(k2, 2), config.k2_steps, max(T - 1, 1)
        )  # what does not cover the window must not cover the cut one
    return dataclasses.replace(config, k1_steps=min(k1, k2), k2_steps=k2)


def tiny(name: str, steps: int, windows: int, *, hidden: int = 2, **options: Any) -> Instance:
    """A built-in network with random weights and data, two streams, of which the second restarts half-way.

    Args:
      steps: T of a window.
      options: fields of `Model`.
    """
    model = Model(vocabulary=3, hidden=hidden, **options)
    draw, B = np.random.default_rng(0), 2
    params = jax.tree.map(lambda leaf: 0.7 * draw.normal(size=leaf.shape), param_shapes(model))
    carry: Any = tuple(draw.normal(size=(B, model.state_width)) for _ in range(model.layers))
    shape = (windows, steps, B)
    x, y = (jnp.asarray(draw.integers(3, size=shape), jnp.int32) for _ in range(2))
    reset = np.zeros((windows * steps, B), bool)
    reset[windows * steps // 2, 1] = True
    noise = None
    if model.dropout:
        noise = tuple(jnp.asarray(draw.uniform(size=(*shape, hidden))) for _ in range(model.layers))
    batch = Batch(x, y, reset=jnp.asarray(reset.reshape(shape)), noise=noise)
    hyper = jax.tree.map(np.asarray, Hyper(leak=0.6, dropout=0.3))
    return Instance(name, of_network(model), params, hyper, carry, jax.device_get(batch))


def kind_of(model: Model) -> dict[str, Any]:
    """Options of a tiny network of the same kind; not with relu, by which few units could all be silent."""
    cell = with_tanh(model.cell) if model.activation == "relu" else model.cell
    return {
        "cell": cell,
        "layers": min(model.layers, 1 if len(model.cell.states) > 1 else 2),
        "embedding": min(model.embedding, 2),
        "layer_norm": model.layer_norm,
        "residual": model.residual,
        "learned_state": model.learned_state,
        "dropout": model.dropout,
    }


def stand_ins(method: Method, model: Model) -> list[dict[str, Any]]:
    """Options of tiny networks to judge a method on.

    They are the first that the method takes of the model's kind, a plain one of the same cell, and a plain vanilla or
    leaky one; and plain ones of the cells that its claim names.
    """
    takes = lambda options: not method.refuse(Model(vocabulary=3, hidden=2, **options))
    kinds: list[dict[str, Any]] = [
        kind_of(model),
        {"cell": kind_of(model)["cell"]},
        {"cell": find("vanilla")},
        {"cell": find("leaky")},
    ]
    found = [options for options in kinds if takes(options)][:1]
    named = method.claim.units if method.claim else ()
    others = [{"cell": find(name)} for name in named if name != found[0]["cell"].name]
    return found + [options for options in others if takes(options)]


def with_recurrence(instance: Instance, keep: np.ndarray) -> Instance:
    """Instance with each W multiplied entry by entry by `keep` [H, H], in every gate.

    Raises:
      ValueError: for a cell without a matrix W.
    """
    if instance.model.cell.recurrence != "dense":
        raise ValueError(f"the cell {instance.model.cell} has no matrix W")
    mask = np.tile(keep, len(instance.model.cell.gates))
    layers = tuple(layer._replace(W=layer.W * mask) for layer in instance.params.layers)
    return instance._replace(params=instance.params._replace(layers=layers))


def narrow(instance: Instance, dtype: str) -> Instance:
    """Instance in another precision; ids and masks as they are."""

    def cast(leaf: Any) -> Any:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    params, hyper, carry, windows = jax.tree.map(cast, tuple(instance)[2:6])
    return Instance(instance.name, instance.recurrence, params, hyper, carry, windows)
