"""Time of one training step and of one sample at the textbook's size: python -m benchmarks.textbook.

Hidden 100, sequence 25, batch 1, clipping by value, Adam, metrics and all; K steps a dispatch. Medians over repetitions
that take turns, so that a busy moment of the machine falls on both methods.
"""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.config import Config, GradientConfig, ModelConfig, OptimizerConfig, SamplingConfig, TrainingConfig
from rnnjax.model.network import Model
from rnnjax.training.samples import make_sampler
from rnnjax.training.state import init_state
from rnnjax.training.step import make_chunk

STEPS = 1000
REPEATS = 15
VOCABULARY = 77


def config(method: str) -> Config:
    return Config(
        model=ModelConfig(hidden_size=100, init="normal", init_scale=0.1),
        gradient=GradientConfig(method),
        optimizer=OptimizerConfig(clip="value"),
        training=TrainingConfig(steps=50_001, batch_size=1, sequence_length=25, steps_per_dispatch=STEPS),
        sampling=SamplingConfig(method="textbook"),
    )


def main() -> None:
    model = Model(VOCABULARY, 100)
    ids = np.random.default_rng(0).integers(0, VOCABULARY - 1, (1, 25 * 400 + 1))
    streams = jnp.asarray(ids, jnp.uint8)
    methods = ("manual", "autodiff")
    chunks = {method: make_chunk(config(method), model) for method in methods}
    states = {method: init_state(config(method), model, jnp.dtype("float32")) for method in methods}
    sampler = make_sampler(config("manual"), model, ids[0, :1])
    times: dict[str, list[float]] = {**{method: [] for method in methods}, "sample": []}
    for _ in range(REPEATS + 1):
        for method in methods:
            began = time.perf_counter()
            states[method], _ = jax.block_until_ready(chunks[method](states[method], streams, np.int32(STEPS)))
            times[method].append((time.perf_counter() - began) / STEPS)
        began = time.perf_counter()
        state = states["manual"]
        jax.block_until_ready(sampler(state.params, state.hyper, state.carry, streams, jnp.int32(0)))
        times["sample"].append(time.perf_counter() - began)
    print(f"jax {jax.__version__}, {jax.devices()[0].platform}, unroll {model.scan_unroll}")
    for name, values in times.items():
        _, *rest = values  # the first compiles
        median, low, high = statistics.median(rest), min(rest), max(rest)
        unit, scale = ("ms a sample of 500", 1e3) if name == "sample" else ("us a training step", 1e6)
        print(f"{name:8s} {scale * median:7.1f} {unit} ({scale * low:.1f} to {scale * high:.1f})")


if __name__ == "__main__":
    main()
