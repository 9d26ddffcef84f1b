"""Kronecker-factored real-time recurrent learning (Mujika et al., 2018, "Approximating real-time recurrent learning
with random Kronecker factors"): the influence of each weight matrix on the state in one random Kronecker product.

A matrix M acts through a product x̂ M, so its immediate influence is one already, x̂ₜ ⊗ Fₜ with Fₜ = ∂sₜ/∂(x̂ₜ M) [S, C].
With a random sign c the sum of two such products is one of two sums, on average:

    uₜ = ρ₁ uₜ₋₁ + c ρ₂ x̂ₜ      Aₜ = Dₜ Aₜ₋₁ / ρ₁ + c Fₜ / ρ₂      Jₜ = E[uₜ ⊗ Aₜ]

    ∂L/∂M ≈ Σₜ ∂ℓₜ/∂M + uₜ₋₁ᵀ (∂ℓₜ/∂sₜ₋₁ Aₜ₋₁)

with ρ₁² = ‖Dₜ Aₜ₋₁‖ / ‖uₜ₋₁‖ and ρ₂² = ‖Fₜ‖ / ‖x̂ₜ‖, which make the variance least. Of one matrix are a layer's U, W and
bh, x̂ = (x, h, 1); in a GRU, whose reset gate stands between the two products, U with bh and W with bz; and the
embedding, x̂ the one-hot input. The initial state's influence, S by S as one A, is kept as it is.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Cost, Price
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import Step, StepGradient, layers_of, refuse_bidirectional, sizes, structure, walk
from rnnjax.gradients.uoro import balance, norm
from rnnjax.model.leaves import pack
from rnnjax.model.network import Batch, Layer, Model, Params
from rnnjax.model.recurrence import Recurrence
from rnnjax.model.rnn import hidden, upward
from rnnjax.model.shapes import is_ids

Array = jax.Array


class Factors(NamedTuple):
    """For each matrix u [B, rows] and A [B, S, columns]; and the initial state's influence [B, S, S]."""

    u: tuple[Array, ...]
    A: tuple[Array, ...]
    carry: Array


class Shifts(NamedTuple):
    """Where each product x̂ M enters the step, to be differentiated there: added to bh and bz of each layer, and to the
    embedded input."""

    bh: tuple[Array, ...]
    bz: tuple[Array | None, ...]
    x: Array | None


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and one random estimate of the gradient of one window, the way through the trace included.

    Cost: O(T·S²·G·H) time, which is O(T·H³), and O(S·G·H) memory a stream, whatever T is. Unbiased at fixed parameters.

    Args:
      window: its noise is a sign ±1 for each step and matrix [T, B, matrices].

    Returns:
      Its `carry` is ∂L/∂ the state with which the trace began.
    """
    window.check("noise")
    params, hyper, model = window.params, window.hyper, structure(recurrence)

    def visit(
        step: Step, p: Array, readout: Any, s: Array, trace: Factors, batch_t: Batch, signs: Array
    ) -> StepGradient:
        (new, loss), pull = jax.vjp(lambda p, readout, s: step.advance(p, readout, s, batch_t), p, readout, s)
        d_p, d_readout, d_s = pull((jnp.zeros_like(new), jnp.ones_like(loss)))
        past = [jnp.outer(u, d_s @ A) for u, A in zip(trace.u, trace.A, strict=True)]
        d_p = d_p + pack(assemble(model, params, past))

        D_t = jax.jacrev(lambda s: step.advance(p, readout, s, batch_t)[0])(s)
        inputs, F = immediate(step, p, s, new, batch_t)
        us, As = [], []
        for u, A, x, F_t, sign in zip(trace.u, trace.A, inputs, F, signs, strict=True):
            DA = D_t @ A
            rho_1, inverse_1 = balance(norm(DA), norm(u))
            rho_2, inverse_2 = balance(norm(F_t), norm(x))
            us.append(rho_1 * u + sign * rho_2 * x)
            As.append(inverse_1 * DA + sign * inverse_2 * F_t)
        return StepGradient(
            new, Factors(tuple(us), tuple(As), D_t @ trace.carry), loss, d_p, d_readout, d_s @ trace.carry
        )

    def immediate(step: Step, p: Array, s: Array, new: Array, batch_t: Batch) -> tuple[list[Array], list[Array]]:
        """x̂ₜ and Fₜ for each matrix: the products are shifted where they enter one step."""
        one_hot = jax.nn.one_hot(batch_t.x, model.vocabulary, dtype=s.dtype) if is_ids(batch_t.x) else batch_t.x
        x = one_hot if params.embedding is None else one_hot @ params.embedding

        def shifted(shifts: Shifts) -> Array:
            shifted_params, plain = step.params(p), batch_t._replace(x=x if shifts.x is None else x + shifts.x)
            layers = (
                layer._replace(bh=layer.bh + bh, bz=None if layer.bz is None or bz is None else layer.bz + bz)
                for layer, bh, bz in zip(shifted_params.layers, shifts.bh, shifts.bz, strict=True)
            )
            return step.state_of(shifted_params._replace(layers=tuple(layers), embedding=None), s, plain)

        zero = Shifts(
            tuple(jnp.zeros_like(layer.bh) for layer in params.layers),
            tuple(None if layer.bz is None else jnp.zeros_like(layer.bz) for layer in params.layers),
            None if params.embedding is None else jnp.zeros_like(x),
        )
        F = jax.jacrev(shifted)(zero)
        before = s if batch_t.reset is None else jnp.where(batch_t.reset, 0, s)
        inputs, jacobians, below = [], [], x
        one = jnp.ones(1, s.dtype)
        for level, (old, state) in enumerate(zip(layers_of(model, before), layers_of(model, new), strict=True)):
            h_prev = hidden(old, model.hidden)
            if F.bz[level] is None:
                inputs.append(jnp.concatenate([below, h_prev, one]))
                jacobians.append(F.bh[level])
            else:
                inputs += [jnp.concatenate([below, one]), jnp.concatenate([h_prev, one])]
                jacobians += [F.bh[level], F.bz[level]]
            below = upward(model, level, hyper, below, hidden(state, model.hidden), batch_t.noise)
        if params.embedding is not None:
            inputs.append(one_hot)
            jacobians.append(F.x)
        return inputs, jacobians

    return walk(recurrence, window, visit)


def shapes(model: Model) -> Iterator[tuple[int, int]]:
    """Rows and columns of each matrix, in the order of the trace."""
    H, columns = model.hidden, len(model.cell.gates) * model.hidden
    for level in range(model.layers):
        if model.cell.recurrent_bias:
            yield model.input(level) + 1, columns
            yield H + 1, columns
        else:
            yield model.input(level) + H + 1, columns
    if model.embedding:
        yield model.vocabulary, model.embedding


def assemble(model: Model, params: Params, matrices: list[Array]) -> tuple[tuple[Layer, ...], Array | None]:
    """The layers and the embedding, cut from the matrices in the order of the trace."""
    left, layers = iter(matrices), []
    for layer in params.layers:
        M, width = next(left), layer.U.shape[0]
        N = next(left) if model.cell.recurrent_bias else M[width:]
        bz = N[-1] if model.cell.recurrent_bias else None
        layers.append(Layer(U=M[:width], W=N[: model.hidden], bh=M[-1], bz=bz))
    return tuple(layers), next(left) if model.embedding else None


def init(recurrence: Recurrence, params: Params, state: Any, batch_t: Batch | None = None) -> Factors:
    """Nothing has acted yet, and the state is the initial one."""
    model = structure(recurrence)
    (S, _), dtype, batch_shape = sizes(model), params.V.dtype, recurrence.streams(state)
    return Factors(
        tuple(jnp.zeros((*batch_shape, rows), dtype) for rows, _ in shapes(model)),
        tuple(jnp.zeros((*batch_shape, S, columns), dtype) for _, columns in shapes(model)),
        jnp.broadcast_to(jnp.eye(S, dtype=dtype), (*batch_shape, S, S)),
    )


def draw(key: Array, recurrence: Recurrence, params: Params, state: Any, T: int) -> Array:
    """A sign for each step of each stream and each matrix."""
    count = len(list(shapes(structure(recurrence))))
    return jax.random.rademacher(key, (T, *recurrence.streams(state), count), params.V.dtype)


NEEDS = "its factors are those of weight matrices, which a step of its own does not show; take rtrl or uoro"


def method(config: GradientConfig) -> Method:
    claim = Claim("unbiased", "stream", noise="signs", units=("gru",))  # where a matrix is not a layer's
    price = Price(cost, "the factors of all streams", "take uoro, or fewer units (model.hidden_size)")
    return Method(gradient, init, draw, refuse, price, NEEDS, (Factors,), claim)


def cost(model: Model, T: int, B: int) -> Cost:
    """The factors [S, columns] of each stream, multiplied by Dₜ [S, S] at every step; and five vectors of P."""
    S, P = sizes(model)
    columns = S + sum(columns for _, columns in shapes(model))
    return Cost(B * (S * columns + 5 * P), 2 * T * B * S * S * columns, T)


def refuse(model: Model) -> str | None:
    """Every parameter must stand in a matrix of its own product."""
    extras = ("layer_norm", "learned_state")
    if has := [name for name in extras if getattr(model, name)]:
        return f"the factors are derived for weight matrices and their biases, not for {' and '.join(has)}"
    if model.cell.own or model.cell.recurrence != "dense":
        return f"the factors are derived for weights that stand in matrices, not for those of the cell {model.cell}"
    return refuse_bidirectional(model)
