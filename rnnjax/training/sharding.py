"""Data parallelism: the streams of a batch divided over devices, the network on each. XLA adds up the gradients."""

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
    """Mesh with the devices in a row, for the streams of a batch; 0 takes all devices.

    Raises:
      UserError: if there are fewer devices, or the batch cannot be divided evenly.
    """
    mesh = make_row(devices, AXIS)
    if batch_size % mesh.size:
        processes = jax.process_count()
        of_each = f" of each of {processes} processes" if processes > 1 else ""
        field = f"run.devices {mesh.size // processes}{of_each}"
        raise UserError(f"training.batch_size is {batch_size}, which does not divide over {field}")
    return mesh


def make_row(devices: int, axis: str) -> jax.sharding.Mesh:
    """Mesh with the devices of each process in a row; 0 takes all devices.

    Args:
      axis: name of the axis that is divided over the row.

    Raises:
      UserError: if there are fewer devices.
    """
    here = jax.local_device_count()
    if devices > here:
        raise UserError(f"run.devices is {devices}, but {jax.default_backend()} has {here} here")
    row = [d for process in range(jax.process_count()) for d in jax.local_devices(process)[: devices or here]]
    return jax.make_mesh((len(row),), (axis,), devices=row, axis_types=(AxisType.Auto,))


def divide(mesh: jax.sharding.Mesh, streams: np.ndarray | Array) -> Array:
    """Divides streams `[B, ...]` over the devices."""
    return put(streams, NamedSharding(mesh, PartitionSpec(AXIS)))


def put(array: Any, where: NamedSharding) -> Array:
    """Places an array that this host has whole, on several hosts too."""
    if where.is_fully_addressable:
        return jax.device_put(array, where)
    return jax.make_array_from_callback(array.shape, where, lambda index: np.asarray(array)[index])


def everywhere(mesh: jax.sharding.Mesh, tree: Any) -> Any:
    """Copies a tree of arrays to every device."""
    return jax.tree.map(lambda leaf: put(leaf, NamedSharding(mesh, PartitionSpec())), tree)


def whole(tree: Any) -> Any:
    """Gathers a tree of arrays on this host, also from streams on other hosts; every host must call it."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental.multihost_utils import process_allgather

    return jax.tree.map(lambda a: a if a.is_fully_replicated else process_allgather(a, tiled=True), tree)


def shardings(mesh: jax.sharding.Mesh, state: TrainState) -> TrainState:
    """The sharding of each leaf of a training state: leaves of a stream lie with it, all others on every device.

    Args:
      state: training state, or its shapes.
    """
    replicated, by_stream = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (AXIS,)))
    streams = {name: jax.tree.map(lambda _: by_stream, getattr(state, name)) for name in ("carry", "trace", "memory")}
    return replace(jax.tree.map(lambda _: replicated, state), **streams)


def place(mesh: jax.sharding.Mesh, state: TrainState) -> TrainState:
    """Places each leaf of a training state, or of its shapes, by `shardings`."""
    where = shardings(mesh, state)
    if isinstance(state.step, jax.ShapeDtypeStruct):
        return jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), state, where)
    return jax.tree.map(put, state, where)
