"""Cost of one step forward in time over H, and of manual on anybody's step: python -m benchmarks.online.

One update of `rnnjax.online` on a layer of H leaky units, one stream, float32: the least of its times, all sizes of a
method taking turns, and what the compiled update takes of memory beside its arguments. The exponent is that between the
two largest H. Then the gradient of a window of a step that is no network of cells, by the methods manual and autodiff
and by `jax.grad` of a plain scan.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import rnnjax
from benchmarks import saving
from rnnjax.quantities import in_bytes, in_time

SIZES = (16, 32, 64, 128, 256)
WIDTH = 8
"""Inputs and outputs of the layer."""

TURNS, LEAST_SECONDS = 5, 0.02

LAWS = {"rtrl": (4, 3), "snap": (4, 3), "kf_rtrl": (3, 2), "uoro": (2, 2), "rflo": (2, 2)}
"""Exponents of time and memory over H as each method's docstring derives them from its paper; snap stores its zeros."""

WINDOWS = {"book, 1 x 25 x 100": (1, 25, 100), "32 x 64 x 256": (32, 64, 256)}
"""Streams, steps and units of the windows of the second table."""


class Program(NamedTuple):
    """Compiled function, its arguments, and its memory beside them in bytes."""

    run: Callable[..., Any]
    arguments: tuple[Any, ...]
    memory: int


def main() -> None:
    print("\n".join([*of_updates(), "", *of_windows()]))


def of_updates() -> list[str]:
    """Table of one update by each method, its exponents beside the law's."""
    rows = []
    for method, (of_time, of_memory) in LAWS.items():
        programs = [update(method, H) for H in SIZES]
        seconds, memory = take_turns(programs), [program.memory for program in programs]
        cells = [f"{in_time(s)}, {in_bytes(m)}" for s, m in zip(seconds, memory, strict=True)]
        rows.append((method, *cells, f"{slope(seconds)} / {of_time}", f"{slope(memory)} / {of_memory}"))
    head = ("method", *(f"H = {H}" for H in SIZES), "time: H^ measured / law", "memory: H^ measured / law")
    return saving.table(head, rows)


def of_windows() -> list[str]:
    """Table of the gradient of a window of one's own step."""
    rows = []
    for name, (B, T, H) in WINDOWS.items():
        window = draw(B, T, H)
        ways = {way: compiled(rnnjax.gradient(own_step, loss, way), *window) for way in ("manual", "autodiff")}
        ways["jax.grad"] = compiled(jax.value_and_grad(plain), *window)
        seconds = take_turns(list(ways.values()))
        for (way, program), spent in zip(ways.items(), seconds, strict=True):
            rows.append((name, way, in_time(spent), in_bytes(program.memory)))
    return saving.table(("window", "gradient", "time", "memory"), rows)


def update(method: str, H: int) -> Program:
    """One update of a stream, its memory not that of the first step."""
    net = rnnjax.network("leaky", hidden=H, inputs=WIDTH, outputs=WIDTH, leak=0.5)
    params = net.init(jax.random.key(0))
    x, y = jax.random.normal(jax.random.key(1), (2, 1, WIDTH))
    online = rnnjax.online(net.step, "squared_error", method)
    state, memory = net.state(params, 1), online.init(params, net.state(params, 1), x)
    return compiled(online.update, params, state, memory, x, y, jax.random.key(2))


def own_step(params: dict[str, jax.Array], state: tuple, x: jax.Array) -> tuple[tuple, jax.Array]:
    """An LSTM as anybody would write it, one stream at one time."""
    h, c = state
    i, f, g, o = jnp.split(x @ params["U"] + h @ params["W"] + params["b"], 4)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h @ params["V"]


def loss(output: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(output - y))


def plain(params: dict[str, jax.Array], state: tuple, xs: jax.Array, ys: jax.Array) -> jax.Array:
    """The loss of a window by a plain scan."""
    step = jax.vmap(own_step, in_axes=(None, 0, 0))
    _, out = jax.lax.scan(lambda state, x: step(params, state, x), state, xs)
    return jnp.mean(jax.vmap(jax.vmap(loss))(out, ys))


def draw(B: int, T: int, H: int) -> tuple[Any, ...]:
    """Parameters, state, inputs and targets."""
    keys, zero = iter(jax.random.split(jax.random.key(0), 5)), jnp.zeros((B, H))
    weight = lambda *shape: jax.random.normal(next(keys), shape) / math.sqrt(shape[0])
    params = {"U": weight(WIDTH, 4 * H), "W": weight(H, 4 * H), "V": weight(H, WIDTH), "b": jnp.zeros(4 * H)}
    xs, ys = jax.random.normal(next(keys), (2, T, B, WIDTH))
    return params, (zero, zero), xs, ys


def compiled(function: Callable[..., Any], *arguments: Any) -> Program:
    program = jax.jit(function).lower(*arguments).compile()
    plan: Any = program.memory_analysis()
    return Program(program, arguments, plan.temp_size_in_bytes + plan.output_size_in_bytes)


def take_turns(programs: list[Program]) -> list[float]:
    """Least seconds of one call of each program, in turns."""
    least = [math.inf] * len(programs)
    for _ in range(TURNS):
        for index, program in enumerate(programs):
            least[index] = min(least[index], seconds_of(program))
    return least


def seconds_of(program: Program) -> float:
    """Least seconds of a call, of as many as take a while together."""
    least, began = math.inf, time.perf_counter()
    while (start := time.perf_counter()) - began < LEAST_SECONDS or least == math.inf:
        jax.block_until_ready(program.run(*program.arguments))
        least = min(least, time.perf_counter() - start)
    return least


def slope(values: list[float]) -> str:
    """Exponent between the two largest sizes."""
    return f"{math.log(values[-1] / values[-2], SIZES[-1] / SIZES[-2]):.2f}"


if __name__ == "__main__":
    main()
