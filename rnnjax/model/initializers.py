"""Distributions of the weights before training."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnnjax.model.network import Layer, Model, Params

Array = jax.Array
Draw = Callable[[Array, tuple[int, ...]], Array]


def init_params(
    key: Array, model: Model, init: str, scale: float, dtype: jnp.dtype = jnp.float32, forget_bias: float = 1.0
) -> Params:
    """Draws the parameters of a network.

    Args:
      key: a key of `jax.random`.
      init: normal: every weight and bias from N(0, scale²), as the textbook's TensorFlow code.
        uniform: ±sqrt(1/n) with n the width that a matrix reads, as the textbook's NumPy code; biases 0.
        orthogonal: W = scale · Q, Q orthogonal (Saxe et al., 2014, "Exact solutions to the nonlinear dynamics of
        learning in deep linear neural networks"); U, V, biases as in uniform.
        identity: W = scale · I (Le et al., 2015, "A simple way to initialize recurrent networks of rectified linear
        units"); U, V, biases as in uniform.
        An embedding is drawn from N(0, 1), but by normal as all the rest; gains are 1, a learned initial state is 0.
        Where the model is sparse, a share of the entries of each W is then set to zero.
        A diagonal W is drawn by the same names: uniform in ±1, as it reads one number; orthogonal: ±scale; identity:
        scale. A cell's own weights are drawn as biases are.
      forget_bias: added to the bias of the LSTM's forget gate, so that it begins open (Jozefowicz et al., 2015, "An
        empirical exploration of recurrent network architectures").

    Raises:
      KeyError: for another name.
    """
    recurrent: dict[str, Draw] = {
        "normal": lambda key, shape: scale * jax.random.normal(key, shape, dtype),
        "uniform": lambda key, shape: uniform(key, shape, dtype),
        "orthogonal": lambda key, shape: _orthogonal(key, shape, scale, dtype),
        "identity": lambda key, shape: jnp.tile(scale * jnp.eye(shape[0], dtype=dtype), (1, shape[1] // shape[0])),
    }
    draw = recurrent["normal" if init == "normal" else "uniform"]
    draw_W = recurrent[init] if model.cell.recurrence == "dense" else diagonal_draws(scale, dtype)[init]
    draw_bias = draw if init == "normal" else lambda key, shape: jnp.zeros(shape, dtype)

    H, G, V = model.hidden, len(model.cell.gates), model.vocabulary
    *layer_keys, key_V, key_by = jax.random.split(key, model.layers * model.directions + 2)
    # All at once: two factorisations side by side in one program can wait for each other for ever (jaxlib 0.10, CPU).
    keys = jax.vmap(lambda key: jax.random.split(key, 3))(jnp.stack(layer_keys))
    shape_W = {"dense": (H, G * H), "diagonal": (G * H,), "none": None}[model.cell.recurrence]
    Ws = jax.vmap(lambda key: draw_W(key, shape_W))(keys[:, 1]) if shape_W else [None] * len(keys)
    layers = []
    for index, layer_key in enumerate(layer_keys):
        key_U, _, key_bh = keys[index]
        bh = draw_bias(key_bh, (G * H,))
        layer = Layer(
            U=draw(key_U, (model.input(index // model.directions), G * H)),
            W=sparse(jax.random.fold_in(layer_key, 4), Ws[index], model.sparsity),
            bh=opened(bh, model, forget_bias),
            bz=draw_bias(jax.random.fold_in(layer_key, 3), (G * H,)) if model.cell.recurrent_bias else None,
            gain_a=jnp.ones(G * H, dtype) if model.layer_norm else None,
            gain_z=jnp.ones(G * H, dtype) if model.layer_norm else None,
            s0=jnp.zeros(model.state_width, dtype) if model.learned_state else None,
            own=draw_bias(jax.random.fold_in(layer_key, 5), (len(model.cell.own) * H,)) if model.cell.own else None,
        )
        layers.append(layer)
    embedding = None
    if model.embedding:
        deviation = scale if init == "normal" else 1.0
        shape = (model.width, model.embedding)
        embedding = deviation * jax.random.normal(jax.random.fold_in(key, 0), shape, dtype)
    return Params(tuple(layers), draw(key_V, (model.output, V)), draw_bias(key_by, (V,)), embedding)


def diagonal_draws(scale: float, dtype: jnp.dtype) -> dict[str, Draw]:
    """The initialisers of a diagonal W [G·H]."""
    return {
        "normal": lambda key, shape: scale * jax.random.normal(key, shape, dtype),
        "uniform": lambda key, shape: jax.random.uniform(key, shape, dtype, -1, 1),
        "orthogonal": lambda key, shape: scale * jax.random.rademacher(key, shape, dtype),
        "identity": lambda key, shape: jnp.full(shape, scale, dtype),
    }


def opened(bh: Array, model: Model, forget_bias: float) -> Array:
    """bh with the forget gate's part raised, where the cell has such a gate."""
    if not model.cell.forget:
        return bh
    first = model.cell.gates.index(model.cell.forget) * model.hidden
    return bh.at[first : first + model.hidden].add(forget_bias)


def sparse(key: Array, W: Array | None, sparsity: float) -> Array | None:
    """W with a share of its entries, the same number for every key, set to zero."""
    if W is None or not sparsity:
        return W
    kept = jax.random.permutation(key, W.size).reshape(W.shape) >= round(sparsity * W.size)
    return jnp.where(kept, W, 0)


def param_shapes(model: Model, dtype: jnp.dtype = jnp.float32) -> Params:
    """The parameters of a network, with shape and type alone."""
    return jax.eval_shape(lambda: init_params(jax.random.key(0), model, "uniform", 1.0, dtype))


def uniform(key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """Uniform in ±sqrt(1/n), n the width that a matrix reads."""
    bound = (1 / shape[0]) ** 0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def _orthogonal(key: Array, shape: tuple[int, ...], scale: float, dtype: jnp.dtype) -> Array:
    """One orthogonal H x H block for each gate, side by side."""
    blocks = jax.random.orthogonal(key, shape[0], (shape[1] // shape[0],), dtype)
    return scale * jnp.concatenate(list(blocks), axis=1)


def count_parameters(params: Params) -> int:
    """The number of weights and biases."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
