"""Data parallelism: the streams of a batch divided over devices, the network on each; XLA adds up the gradients."""

from dataclasses import replace

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from rnnjax.errors import UserError
from rnnjax.training.state import TrainState

Array = jax.Array

AXIS = "batch"


def make_mesh(devices: int, batch_size: int) -> jax.sharding.Mesh:
    """The devices in a row, for the streams of a batch; 0 is all that are there.

    Raises:
      UserError: if there are fewer, or the batch cannot be divided evenly.
    """
    mesh = make_row(devices, AXIS)
    if batch_size % mesh.size:
        raise UserError(f"training.batch_size is {batch_size}, which does not divide over run.devices {mesh.size}")
    return mesh


def make_row(devices: int, axis: str) -> jax.sharding.Mesh:
    """The devices in a row, under the name of what is divided over them; 0 is all that are there.

    Raises:
      UserError: if there are fewer.
    """
    devices = devices or jax.device_count()
    if devices > jax.device_count():
        raise UserError(f"run.devices is {devices}, but {jax.default_backend()} has {jax.device_count()} here")
    return jax.make_mesh((devices,), (axis,), devices=jax.devices()[:devices], axis_types=(AxisType.Auto,))


def divide(mesh: jax.sharding.Mesh, streams: np.ndarray | Array) -> Array:
    """Streams [B, ...], a share of them on each device."""
    return jax.device_put(streams, NamedSharding(mesh, PartitionSpec(AXIS)))


def shardings(mesh: jax.sharding.Mesh, state: TrainState) -> TrainState:
    """Where each leaf of a training state lies: what belongs to a stream with its stream, all else everywhere.

    Args:
      state: a training state, or its shapes.
    """
    everywhere, by_stream = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (AXIS,)))
    of_streams = {name: jax.tree.map(lambda _: by_stream, getattr(state, name)) for name in ("carry", "trace")}
    return replace(jax.tree.map(lambda _: everywhere, state), **of_streams)


def place(mesh: jax.sharding.Mesh, state: TrainState) -> TrainState:
    """A training state, or its shapes, with each leaf where it belongs."""
    where = shardings(mesh, state)
    if isinstance(state.step, jax.ShapeDtypeStruct):
        return jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), state, where)
    return jax.device_put(state, where)
