"""The arguments of a gradient of any step: made arrays, and held against the step before anything is computed."""

from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.errors import UserError
from rnnjax.model.leaves import reals
from rnnjax.model.loss import Loss, cross_entropy
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Step, is_key, precision

Array = jax.Array
Tree = Any


def read(
    step: Step, loss: Loss, batch_axes: int, params: Tree, state: Tree, xs: Tree, ys: Tree, masks: tuple
) -> tuple[Tree, Tree, Batch]:
    """Parameters, state and window as arrays that fit the step.

    Args:
      step: for one stream at one time, as is the loss.
      masks: valid, reset and weight [T, *B], each None where there is none. Without a weight each valid step counts 1.

    Raises:
      UserError: for the first argument that does not fit.
    """
    params, state = arrays("params", params), arrays("state", state)
    for name, tree in (("params", params), ("state", state)):
        check_numbers(name, tree)
    streams = check_streams(state, batch_axes)
    xs, ys = arrays("xs", xs), arrays("ys", ys)
    check_window(xs, ys, streams)
    batch = with_masks(xs, ys, streams, precision(params), *masks)
    if any(mask is not None for mask in masks):
        batch = with_stand_ins(batch)
    (state_of_one,), (x, y) = of_one(batch_axes, state), of_one(batch_axes + 1, xs, ys)
    out = check_step(step, params, state_of_one, x)
    check_loss(loss, out, y)
    check_ids(loss, out, batch)
    return params, state, batch


def arrays(name: str, tree: Tree) -> Tree:
    """The leaves of a tree as arrays whose type is settled."""

    def array(path: tuple, leaf: Any) -> Array:
        try:
            found = jnp.asarray(leaf)
        except TypeError:
            raise UserError(f"{name_of(name, path)} is a {type(leaf).__name__}, not an array") from None
        return found if is_key(found) else found.astype(found.dtype)

    return jax.tree_util.tree_map_with_path(array, tree)


def check_key(key: Any) -> None:
    """Raises UserError for what is no key of `jax.random`."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or not (jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32):
        raise UserError(f"key is {key!r}, but must be a key such as jax.random.key(0)")


def name_of(name: str, path: tuple) -> str:
    """A leaf by its place in an argument, such as state['h']."""
    return name + jax.tree_util.keystr(path)


def check_numbers(name: str, tree: Tree) -> None:
    """Refuses to differentiate trees without floating-point numbers, or with complex ones."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            raise UserError(f"{name_of(name, path)} is {leaf.dtype}: hold its real and imaginary parts as two arrays")
    if not jax.tree.leaves(reals(tree)):
        raise UserError(f"{name} has no array of floating-point numbers to differentiate by")


def check_one_type(params: Tree, state: Tree) -> None:
    """Refuses numbers of several types for a method forward in time, which packs them into one vector."""
    types = sorted({str(leaf.dtype) for leaf in jax.tree.leaves(reals((params, state)))})
    if len(types) > 1:
        raise UserError(f"params and state hold {' and '.join(types)}: forward in time all must be of one type")


def check_streams(state: Tree, batch_axes: int) -> tuple[int, ...]:
    """The batch axes *B, with which every leaf of the state must lead."""
    streams = jax.tree.leaves(state)[0].shape[:batch_axes]
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if len(streams) < batch_axes or leaf.shape[:batch_axes] != streams:
            raise UserError(
                f"{name_of('state', path)} is {list(leaf.shape)}: every array of the state must lead with the same "
                f"{batch_axes} batch axes; batch_axes=0 where there is no batch axis"
            )
    return streams


def check_window(xs: Tree, ys: Tree, streams: tuple[int, ...]) -> None:
    """Checks that inputs and targets lead with time and with the batch axes of the state."""
    leaves = jax.tree.leaves((xs, ys))
    if not leaves or leaves[0].shape[:1] in ((), (0,)):
        raise UserError(
            "xs and ys have no time step: their arrays must lead with [T, *B], T at least 1; "
            "numpy.array(...) makes one array of nested lists"
        )
    for name, tree in (("xs", xs), ("ys", ys)):
        check_leading(name, tree, leaves[0].shape[:1], streams)


def check_leading(name: str, tree: Tree, time: tuple[int, ...], streams: tuple[int, ...]) -> None:
    """Checks that all leaves of a tree lead with [T, *B], or with [*B] where there is no time."""
    axes = "[T, *B]" if time else "[*B]"
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if leaf.shape[: len(time + streams)] != time + streams:
            raise UserError(
                f"{name_of(name, path)} is {list(leaf.shape)}, but must lead with {axes} = {[*time, *streams]}, where "
                f"*B are the batch axes of the state; batch_axes=0 where there is no batch axis"
            )


def with_masks(xs: Tree, ys: Tree, streams: tuple[int, ...], dtype: Any, valid: Any, reset: Any, weight: Any) -> Batch:
    """A window whose weights are always there: they tell its axes."""
    shape = (jax.tree.leaves((xs, ys))[0].shape[0], *streams)
    valid, reset, weight = (None if mask is None else jnp.asarray(mask) for mask in (valid, reset, weight))
    for name, mask in (("valid", valid), ("reset", reset), ("weight", weight)):
        if mask is not None and mask.shape != shape:
            raise UserError(f"{name} is {list(mask.shape)}, but must be [T, *B] = {list(shape)}")
    if weight is not None and not isinstance(weight, jax.core.Tracer) and not jnp.all(weight >= 0):
        raise UserError("weight has a number that is not 0 or more; it is the share of each step in the loss")
    if weight is None:
        weight = jnp.ones(shape) if valid is None else valid
    held, begun = (None if mask is None else mask.astype(bool) for mask in (valid, reset))
    return Batch(xs, ys, weight.astype(dtype), held, begun)


def with_stand_ins(batch: Batch) -> Batch:
    """A window whose steps without a weight read and answer what others do, so that none can make NaN of 0 times it."""
    counts = jnp.asarray(batch.weight) != 0
    xs = batch.x if batch.valid is None else stand_in(batch.x, batch.valid | counts)
    return batch._replace(x=xs, y=stand_in(batch.y, counts))


def stand_in(tree: Tree, counts: Array) -> Tree:
    """A tree whose steps [T, *B] that do not count read what the first that does reads, or zeros where none does.

    A padding at which the step or the loss is not finite would make NaN of 0 times it.
    """
    first, some = jnp.unravel_index(jnp.argmax(counts), counts.shape), jnp.any(counts)
    extended = lambda leaf: counts.reshape(counts.shape + (1,) * (leaf.ndim - counts.ndim))
    other = lambda leaf: leaf[first] if is_key(leaf) else jnp.where(some, leaf[first], jnp.zeros_like(leaf[first]))
    return jax.tree.map(lambda leaf: jnp.where(extended(leaf), leaf, other(leaf)), tree)


def of_one(axes: int, *trees: Tree) -> tuple[Tree, ...]:
    """Shapes and types of one stream at one time."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[axes:], leaf.dtype), trees)


def check_step(step: Step, params: Tree, state: Tree, x: Tree) -> Tree:
    """Checks that a step returns a state like the one that it was given. Returns the type of its output."""
    found = jax.eval_shape(step, params, state, x)
    if not isinstance(found, tuple) or len(found) != 2:
        raise UserError(f"step returns {kind_of(found)}, but must return (state, output)")
    new, out = found
    before, after = str(jax.tree.structure(state)), str(jax.tree.structure(new))
    if before != after:
        raise UserError(f"step must return (state, output): its state was {before} and becomes {after}")
    for (path, old), changed in zip(jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(new), strict=True):
        if (old.shape, old.dtype) != (changed.shape, changed.dtype):
            raise UserError(
                f"step changes its state: {name_of('state', path)} of one stream was {of_type(old)} and becomes "
                f"{of_type(changed)}"
            )
    return out


def check_loss(loss: Loss, out: Tree, y: Tree) -> None:
    """Checks that the loss of one stream at one step is one real number."""
    value = jax.eval_shape(loss, out, y)
    if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise UserError(f"loss must give one real number for one stream at one step, but gives {kind_of(value)}")


def of_type(leaf: Any) -> str:
    """Shape and type, such as float32[3]."""
    return f"{leaf.dtype}{list(leaf.shape)}"


def kind_of(found: Tree) -> str:
    """A returned value in a word: an array's shape and type, or the type of a container."""
    return of_type(found) if hasattr(found, "dtype") else f"a {type(found).__name__}"


def check_ids(loss: Loss, out: Tree, batch: Batch) -> None:
    """Checks that targets of cross_entropy are classes of the output, where they count and their values are known."""
    if loss is not cross_entropy or any(isinstance(leaf, jax.core.Tracer) for leaf in (batch.y, batch.weight)):
        return
    off = (batch.weight != 0) & ((batch.y < 0) | (batch.y >= out.shape[-1]))
    if jnp.any(off):
        wrong = batch.y[off][0]
        raise UserError(f"ys has the id {wrong}, but the output has the classes 0 to {out.shape[-1] - 1}")
