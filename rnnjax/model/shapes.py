"""Checks of what a network is given: shapes, which hold inside `jax.jit` too, and ids, where they are known."""

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.errors import UserError
from rnnjax.model.network import Batch, Carry, Model, Params

Array = jax.Array


def is_ids(x: Array) -> bool:
    """True for ids, false for real vectors."""
    return jnp.issubdtype(x.dtype, jnp.integer)


def check_given(model: Model, params: Params, carry: Carry, batch: Batch) -> None:
    """Checks a window, or a single step where the arrays have no axis of time.

    Raises:
      UserError: in one line, for a shape that does not fit the network, or an id out of range outside `jax.jit`.
    """
    check_params(model, params)
    table = params.layers[0].U if params.embedding is None else params.embedding
    if is_ids(batch.x):
        check_ids("x", batch.x, len(table))
    elif params.embedding is not None:
        raise UserError(f"x is {batch.x.dtype}, but must be ids where the network has an embedding")
    elif batch.x.shape[-1:] != table.shape[:1]:
        raise UserError(
            f"x has the shape {list(batch.x.shape)}, but must have {len(table)} numbers in the last axis, the inputs "
            "of the network"
        )
    shape = batch.x.shape if is_ids(batch.x) else batch.x.shape[:-1]
    for name in ("valid", "reset"):
        mask = getattr(batch, name)
        if mask is not None and mask.shape != shape:
            raise UserError(f"{name} has the shape {list(mask.shape)}, but must have {list(shape)}, as x has")
    check_carry(model, params, carry)


def check_params(model: Model, params: Params) -> None:
    """Raises UserError for weights that are not those of the network's layers."""
    if not isinstance(params, Params):
        raise UserError(f"params is a {type(params).__name__}, but must be the Params that the network was begun with")
    layers, gates = model.layers * model.directions, len(model.cell.gates) * model.hidden
    if len(params.layers) != layers:
        raise UserError(f"params has {len(params.layers)} layers, but the network {layers}")
    expected = {"dense": (model.hidden, gates), "diagonal": (gates,), "none": None}[model.cell.recurrence]
    for index, layer in enumerate(params.layers):
        found = None if layer.W is None else layer.W.shape
        if found != expected or layer.U.shape[-1] != gates:
            what = f"U {list(layer.U.shape)} and W {found and list(found)}"
            raise UserError(
                f"params.layers[{index}] has {what}, but the cell {model.cell} with {model.hidden} units has U "
                f"[..., {gates}] and W {expected and list(expected)}"
            )


def check_carry(model: Model, params: Params, carry: Carry) -> None:
    """Raises UserError for a state that is not one array [..., states·H] for each layer."""
    parts = len(params.layers)
    if len(carry) != parts:
        raise UserError(f"the state has {len(carry)} parts, but must have {parts}, one for each layer")
    for layer, state in enumerate(carry):
        expected = [*state.shape[:-1], model.state_width]
        if list(state.shape) != expected:
            raise UserError(f"the state of layer {layer} has the shape {list(state.shape)}, but must have {expected}")


def check_ids(name: str, ids: Array, count: int) -> None:
    """Raises UserError for an id that is not in [0, count); does nothing while tracing, where ids are unknown."""
    if isinstance(ids, jax.core.Tracer) or ids.size == 0:
        return
    if isinstance(ids, jax.Array) and not ids.is_fully_addressable:
        return  # parts of it lie with other hosts, each of which has read its own ids
    values = np.asarray(ids)  # known also where a function that is being traced closes over them
    for extreme in (int(values.min()), int(values.max())):
        if not 0 <= extreme < count:
            raise UserError(f"{name} has the id {extreme}, but must have ids from 0 to {count - 1}")
