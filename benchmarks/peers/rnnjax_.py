"""This package, through its own training step: clipping report, skipping of non-finite steps and all."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import DIVIDED, KERNEL, Run
from benchmarks.problem import CLIP_NORM, LEARNING_RATE, STEPS_PER_DISPATCH, VOCABULARY, Size, Text
from benchmarks.weights import Weights
from rnnjax.build import make_text_model
from rnnjax.config import Config, GradientConfig, ModelConfig, OptimizerConfig, RunConfig, TrainingConfig
from rnnjax.model.network import Layer, Params
from rnnjax.run.device import set_up
from rnnjax.run.threads import threads_for
from rnnjax.training.sharding import divide, make_mesh, place, shardings
from rnnjax.training.state import init_state
from rnnjax.training.step import make_chunk

CELLS = {"rnn": "vanilla", "gru": "gru", "lstm": "lstm"}


def make(cell: str, size: Size, weights: Weights, text: Text, style: str) -> Run:
    """The style is a gradient method, with settings or none, as manual scan_unroll=4 threads=1; DIVIDED; or KERNEL."""
    devices = 2 if style == DIVIDED else 1
    method, *settings = style.partition(",")[0].split()
    chosen = {name: int(value) for name, value in (setting.split("=") for setting in settings)}
    threads = chosen.pop("threads", 0)
    config = make_config(cell, size, method, devices=devices, threads=threads)
    kernel = "numba" if style == KERNEL else "none"
    config = replace(config, model=replace(config.model, **chosen), gradient=replace(config.gradient, kernel=kernel))
    set_up("auto", "float32", devices, compilation_cache=False, threads=threads_for(config))
    model = make_text_model(config, range(VOCABULARY))  # of a vocabulary it asks the length alone
    state = init_state(config, model, jnp.dtype("float32"))
    mesh = make_mesh(devices, size.batch)
    state = place(mesh, state.replace(params=jax.tree.map(jnp.asarray, make_params(cell, weights))))
    chunk = make_chunk(config, model, shardings(mesh, state))
    streams = divide(mesh, text.streams)

    def run(steps: int) -> np.ndarray:
        nonlocal state
        losses = []
        for done in range(0, steps, STEPS_PER_DISPATCH):
            now = min(STEPS_PER_DISPATCH, steps - done)
            state, info = jax.block_until_ready(chunk(state, streams, np.int32(now)))
            losses.append(np.asarray(info.loss)[:now])
        return np.concatenate(losses)

    return run


def make_config(cell: str, size: Size, method: str, layers: int = 1, **run) -> Config:
    """The config of a benchmark's network; the method may be followed by its segments: checkpointed,recursive."""
    model = ModelConfig(cell=CELLS[cell], hidden_size=size.hidden, layers=layers)
    training = TrainingConfig(
        steps=10**9, batch_size=size.batch, sequence_length=size.length, steps_per_dispatch=STEPS_PER_DISPATCH
    )
    optimizer = OptimizerConfig(learning_rate=LEARNING_RATE, clip="global_norm", clip_threshold=CLIP_NORM)
    run_config = RunConfig(**run)
    return Config(
        model=model, gradient=GradientConfig(*method.split(",")), optimizer=optimizer, training=training, run=run_config
    )


def make_params(cell: str, weights: Weights) -> Params:
    """The shared weights in the package's own tree: by name, as only a GRU's layer has bz."""
    names = ("U", "W", "bh", "bz") if cell == "gru" else ("U", "W", "bh")
    return Params((Layer(**{name: getattr(weights, name) for name in names}),), weights.V, weights.by)
