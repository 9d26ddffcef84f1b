"""The compiled programs are made for devices that are not here: `jax.export` lowers them for each platform."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from rnnjax.config import Config, GradientConfig, ModelConfig, SamplingConfig, TrainingConfig
from rnnjax.model.network import Model
from rnnjax.training.samples import make_sampler
from rnnjax.training.state import init_state
from rnnjax.training.step import make_chunk

PLATFORMS = ("cpu", "cuda", "tpu")
MODEL = Model(vocabulary=9, hidden=6, layers=2)


@pytest.fixture(autouse=True)
def single_precision():
    """As the command line runs by default."""
    with jax.enable_x64(False):
        yield


def config(method="manual", sampling="stateful"):
    return Config(
        model=ModelConfig(hidden_size=6, layers=2),
        gradient=GradientConfig(method),
        training=TrainingConfig(steps=10, batch_size=3, sequence_length=4, steps_per_dispatch=3),
        sampling=SamplingConfig(sampling, length=12, top_k=3),
    )


def streams():
    return jnp.asarray(np.random.default_rng(0).integers(8, size=(3, 17)), jnp.uint8)


def close(actual, expected):
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.dtype == e.dtype
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-7)


def chunk_arguments(method="manual"):
    return init_state(config(method), MODEL, jnp.float32), streams(), jnp.asarray(2, jnp.int32)


def test_the_training_chunk_is_exported_for_every_platform():
    for method in ["autodiff", "manual", "textbook", "checkpointed", "rtrl", "parallel_scan", "uoro"]:
        shapes = jax.eval_shape(partial(chunk_arguments, method))
        exported = export.export(make_chunk(config(method), MODEL), platforms=PLATFORMS)(*shapes)
        assert exported.platforms == PLATFORMS
        assert exported.in_avals[0].dtype == jnp.int32
        assert exported.in_avals[1].dtype == jnp.float32


def test_the_exported_chunk_trains_like_the_jitted_one():
    chunk = make_chunk(config(), MODEL)
    exported = export.export(chunk, platforms=PLATFORMS)(*jax.eval_shape(chunk_arguments))
    arguments = chunk_arguments()
    state, infos = exported.call(*jax.tree.map(jnp.copy, arguments))
    close((state, infos), chunk(*arguments))
    assert int(state.step) == 2
    assert np.all(np.isfinite(infos.loss))
    assert np.all(infos.loss[:2] > 0)
    assert infos.loss[2] == 0


@pytest.mark.parametrize("method", ["stateful", "textbook"])
def test_the_sampler_is_exported_for_every_platform(method):
    sampler = make_sampler(config(sampling=method), MODEL, np.array([1, 2, 3], np.uint8))
    state = init_state(config(), MODEL, jnp.float32)
    arguments = (state.params, state.hyper, state.carry, streams(), jnp.asarray(5, jnp.int32))
    exported = export.export(sampler, platforms=PLATFORMS)(*arguments)
    assert exported.platforms == PLATFORMS
    ids = sampler(*arguments)
    assert ids.shape == (12,)
    assert np.all(np.asarray(ids) < 8)
    np.testing.assert_array_equal(exported.call(*arguments), ids)
