"""Methods with random numbers: exact on average over all of them."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from method_cases import Case, compute, distance, gradient, make, of_recurrent_weights, over_windows

from rnnjax.config import GradientConfig
from rnnjax.gradients.artbp import Cuts
from rnnjax.gradients.directions import Directions


def all_signs(*shape):
    """Every array of signs [2^n, *shape]."""
    return jnp.asarray(list(itertools.product([-1.0, 1.0], repeat=int(np.prod(shape))))).reshape(-1, *shape)


GRU, STACK = (("cell", "gru"),), (("layers", 2), ("residual", True), ("embedding", 2))
UNBIASED = {  # method, case, how many signs a step takes, windows
    "uoro, two layers": (GradientConfig("uoro"), Case(2, (), "w", 2, (*GRU, ("layers", 2))), 4, 1),
    "uoro, windows": (GradientConfig("uoro"), Case(4, (), "", 2, (("cell", "leaky"),)), 2, 2),
    "uoro, masks": (GradientConfig("uoro"), Case(4, (), "vr", 2, (("learned_state", True),)), 2, 1),
    "kf_rtrl, two layers, windows": (GradientConfig("kf_rtrl"), Case(4, (), "", 2, STACK), 3, 2),
    "kf_rtrl, masks": (GradientConfig("kf_rtrl"), Case(6, (), "vr", 2, GRU), 2, 1),
}


@pytest.mark.parametrize("name", UNBIASED)
def test_the_average_over_all_signs_is_the_gradient_of_the_stream(name):
    config, case, numbers, count = UNBIASED[name]
    model, arrays, expected = make(case)
    signs = all_signs(case.T, numbers)
    estimate = partial(over_windows, config, model, *arrays, count=count)
    all_found = jax.jit(jax.vmap(lambda noise: estimate(noise=noise)))(signs)
    average = jax.tree.map(lambda leaf: leaf.mean(0), all_found)
    close(average, (expected.loss, expected.params, expected.carry))
    spread = jnp.std(all_found[1].layers[0].W, axis=0) / jnp.abs(expected.params.layers[0].W).max()
    assert spread.max() > 1e-3  # it is the average that is right, not each


def close(actual, expected):
    """Agreement leaf by leaf, where zeros come out of sums that cancel."""
    for (path, a), e in zip(jax.tree_util.tree_flatten_with_path(actual)[0], jax.tree.leaves(expected), strict=True):
        assert np.abs(a - e).max() <= 1e-10 * max(np.abs(e).max(), 1e-3), jax.tree_util.keystr(path)


def test_the_average_over_all_truncations_is_the_gradient():
    model, arrays, expected = make(Case(5, (), "wv", 2, (("cell", "lstm"), ("layers", 2))))
    probability = jnp.array([0.0, 0.3, 0.5, 0.1, 0.8])
    cuts = jnp.concatenate([jnp.zeros((16, 1), bool), all_signs(4) > 0], axis=1)
    run = partial(gradient, GradientConfig("artbp"), model, *arrays)
    found = jax.vmap(lambda cut: run(Cuts(cut, probability)))(cuts)
    odds = jnp.where(cuts, probability, 1 - probability).prod(1)
    assert odds.sum() == pytest.approx(1)
    close(jax.tree.map(lambda leaf: jnp.tensordot(odds, leaf, 1), found), expected)
    assert jnp.std(found.params.V, axis=0).max() < 1e-10  # only what goes back is random
    assert jnp.std(found.params.layers[0].W, axis=0).max() > 1e-5


def hadamard_directions(params, carry):
    """The rows of a Hadamard matrix, cut to the number of entries: their outer products average to the identity."""

    def rows(tree):
        flat, restore = ravel_pytree(tree)
        H = np.ones((1, 1))
        while len(H) < flat.size:
            H = np.block([[H, H], [H, -H]])
        return jax.vmap(restore)(jnp.asarray(H[:, : flat.size]))

    return Directions(rows(params), rows(carry))


def test_the_forward_gradient_over_hadamard_rows_is_the_gradient():
    model, (params, carry, batch), expected = make(Case(4, (2,), "wvr", 2, (("cell", "leaky"),)))
    found = compute(GradientConfig("forward_gradient"), model, params, carry, batch, hadamard_directions(params, carry))
    close(found, expected)


def test_the_bias_of_spsa_falls_with_the_square_of_sigma():
    model, (params, carry, batch), expected = make(Case(4, (2,), "wvr", 2, (("cell", "leaky"),)))
    directions = hadamard_directions(params, carry)
    errors = []
    for sigma in (0.02, 0.01):
        found = compute(GradientConfig("spsa", sigma=sigma), model, params, carry, batch, directions)
        errors.append([distance(found, expected, part) for part in (of_recurrent_weights, lambda found: found.carry)])
    np.testing.assert_allclose(np.divide(*errors), 4, rtol=0.05)
    assert errors[0][0] > 1e-4
