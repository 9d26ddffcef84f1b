"""The truth about any step: `jax.grad` of loops over streams and steps in Python, which obey masks by `if`.

Nothing is shared with the recurrence that the methods are given: no scan, no map over streams, no masked state.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.certificate.exact import ExactGradient
from rnnjax.model.leaves import put, reals
from rnnjax.model.loss import Loss
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Initial, Step

Tree = Any


@dataclass(frozen=True, eq=False)
class Loop:
    """A step and its loss, each of one stream at one time, and how the losses are reduced: see `Recurrence`."""

    step: Step
    loss: Loss
    initial: Initial
    reduce: Literal["mean", "sum"]

    def __call__(self, params: Tree, carry: Tree, batch: Batch) -> ExactGradient:
        """Exact gradient of a window [T, *B] whose masks and weights are known numbers."""

        def of(real_params: Tree, real_carry: Tree) -> tuple[jax.Array, Tree]:
            return self.run(put(real_params, params), put(real_carry, carry), batch)

        (value, new_carry), found = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)(reals(params), reals(carry))
        d_params, d_carry = found
        return ExactGradient(value, d_params, d_carry, new_carry)

    def run(self, params: Tree, carry: Tree, batch: Batch) -> tuple[jax.Array, Tree]:
        """Loss of a window, and the state after it."""
        (T, *streams), total, after = batch.shape, jnp.zeros(()), []
        weight = np.ones(batch.shape) if batch.weight is None else np.asarray(batch.weight)
        for stream in np.ndindex(*streams):
            state = at(carry, stream)
            for t in range(T):
                now = (t, *stream)
                if batch.reset is not None and batch.reset[now]:
                    state = self.initial(params, state)
                new, lost = self.one(params, state, at(batch.x, now), at(batch.y, now))
                total = total + weight[now] * lost
                if batch.valid is None or batch.valid[now]:
                    state = new
            after.append(state)
        new_carry = jax.tree.map(lambda *leaves: jnp.stack(leaves).reshape(*streams, *leaves[0].shape), *after)
        return total / weight.sum() if self.reduce == "mean" else total, new_carry

    @cached_property
    def one(self) -> Any:
        """One step and its loss; compiled alone, so that a loop is quick."""

        def step_and_loss(params: Tree, state: Tree, x: Tree, y: Tree) -> tuple[Tree, jax.Array]:
            new, out = self.step(params, state, x)
            return new, self.loss(out, y)

        return jax.jit(step_and_loss)


def at(tree: Tree, index: tuple[int, ...]) -> Tree:
    """One place of the leading axes of a tree."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], tree)
