"""Data parallelism: the streams of a batch divided over devices, the network on each; XLA adds up the gradients."""

from dataclasses import replace
from typing import Any

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
        processes = jax.process_count()
        of_each = f" of each of {processes} processes" if processes > 1 else ""
        raise UserError(
            f"training.batch_size is {batch_size}, which does not divide over run.devices {mesh.size // processes}"
            + of_each
        )
    return mesh


def make_row(devices: int, axis: str) -> jax.sharding.Mesh:
    """The devices of each process in a row, under the name of what is divided over them; 0 is all that are there.

    Raises:
      UserError: if there are fewer.
    """
    here = jax.local_device_count()
    if devices > here:
        raise UserError(f"run.devices is {devices}, but {jax.default_backend()} has {here} here")
    row = [d for process in range(jax.process_count()) for d in jax.local_devices(process)[: devices or here]]
    return jax.make_mesh((len(row),), (axis,), devices=row, axis_types=(AxisType.Auto,))


def divide(mesh: jax.sharding.Mesh, streams: np.ndarray | Array) -> Array:
    """Streams [B, ...], a share of them on each device."""
    return put(streams, NamedSharding(mesh, PartitionSpec(AXIS)))


def put(array: Any, where: NamedSharding) -> Array:
    """An array that this host has whole, where it belongs, on several hosts too."""
    if where.is_fully_addressable:
        return jax.device_put(array, where)
    return jax.make_array_from_callback(array.shape, where, lambda index: np.asarray(array)[index])


def everywhere(mesh: jax.sharding.Mesh, tree: Any) -> Any:
    """A tree of arrays, whole on every device."""
    return jax.tree.map(lambda leaf: put(leaf, NamedSharding(mesh, PartitionSpec())), tree)


def whole(tree: Any) -> Any:
    """A tree of arrays whole on this host, those too whose streams lie on several; all hosts must ask."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental.multihost_utils import process_allgather

    return jax.tree.map(lambda a: a if a.is_fully_replicated else process_allgather(a, tiled=True), tree)


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
    return jax.tree.map(put, state, where)
