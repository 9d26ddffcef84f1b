"""Trials: a method run as in training, window after window, at parameters that stay as they are."""

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.certificate import exact
from rnnjax.certificate.instances import Instance, on_host
from rnnjax.config import GradientConfig
from rnnjax.gradients import METHODS
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.model.network import Batch

Array = jax.Array

NOTHING = "nothing is claimed: its Method has no Claim"

SECONDS, MOST_RUNS = 0.3, 50
"""Seconds, and most runs, over which a method is timed."""


class MeasuredCost(NamedTuple):
    """Seconds to compile, median seconds of a window's gradient, bytes of temporary memory and of the trace that goes
    on into the next window (None: not known)."""

    compile: float
    seconds: float
    memory: int | None


class Program(NamedTuple):
    """Method compiled for the windows of an instance, its first trace, and the noise of each window."""

    run: Callable[..., Gradient]
    trace: Any
    noises: list[Any]
    seconds: float
    memory: int | None
    timed: bool


class Trial(NamedTuple):
    """Gradients of each window of an instance by a method, its trace handed on, the shares of the windows in the loss
    of the stream, and the cost of one window."""

    windows: list[Gradient]
    shares: np.ndarray
    cost: MeasuredCost | None

    @property
    def mean(self) -> dict[str, Any]:
        """Gradient of the stream's loss: params and carry."""
        return mean([of_window(window) for window in self.windows], self.shares)


def of_window(window: Gradient | exact.ExactGradient) -> dict[str, Any]:
    """Gradient by the parameters and by the initial state."""
    return {"params": window.params, "carry": window.carry}


def mean(trees: list[Any], shares: np.ndarray) -> Any:
    """Mean of trees, leaf by leaf, each with its share."""
    return jax.tree.map(lambda *leaves: sum(s * leaf for s, leaf in zip(shares, leaves, strict=True)), *trees)


def make(name: str, config: GradientConfig, **options: Any) -> Method:
    """Makes a method of the table, with some of its options set; the certificate has no other way to a method."""
    fields: dict[str, Any] = {"method": name, **options}
    return METHODS[name](dataclasses.replace(config, **fields))


def claim_of(name: str, config: GradientConfig, **options: Any) -> Claim:
    """Claim of a method, with some of its options set."""
    claim = make(name, config, **options).claim
    if claim is None:
        raise ValueError(NOTHING)
    return claim


def compile_for(method: Method, instance: Instance, key: Array, timed: bool = True) -> Program:
    """Compiles one program for one window: as training would, or quickly where it is not timed."""
    recurrence, params, carry = instance.recurrence, instance.params, instance.carry
    trace, T = first_trace(method, instance), instance.shape[0]
    noises: list[Any] = [None] * instance.number
    if method.random:
        draw = exact.quick(method.draw, (1, 4))
        noises = [draw(jax.random.fold_in(key, i), recurrence, params, carry, T) for i in range(instance.number)]
    window = Window(params, instance.hyper, carry, instance.window(0), trace, noises[0])
    began = time.perf_counter()
    lowered = jax.jit(method.gradient, static_argnums=0).lower(recurrence, window)
    program = lowered.compile() if timed else lowered.compile(exact.QUICK)
    seconds = time.perf_counter() - began
    memory = getattr(program.memory_analysis(), "temp_size_in_bytes", None)
    if memory is not None:
        memory += sum(leaf.nbytes for leaf in jax.tree.leaves(trace))
    return Program(program, trace, noises, seconds, memory, timed)


def first_trace(method: Method, instance: Instance) -> Any:
    """Trace of an online method before the first window, which follows the parameters that act on the state."""
    if not method.online:
        return None
    first = jax.tree.map(lambda leaf: leaf[0], instance.window(0))
    return exact.quick(method.init, 0)(instance.recurrence, instance.params, instance.carry, first)


def run(program: Program, instance: Instance) -> Trial:
    """Calls the program for each window, and then until its time is known."""
    carry, trace = instance.carry, program.trace
    found, times = [], []
    for index, noise in enumerate(program.noises):
        window = Window(instance.params, instance.hyper, carry, instance.window(index), trace, noise)
        result, seconds = timed(program.run, window)
        times.append(seconds)
        found.append(on_host(result))
        carry, trace = result.new_carry, result.trace
    if not program.timed:
        return Trial(found, instance.shares, None)
    while sum(times) < SECONDS and len(times) < MOST_RUNS:
        times.append(timed(program.run, window)[1])
    return Trial(
        found, instance.shares, MeasuredCost(program.seconds, float(np.median(times[1:] or times)), program.memory)
    )


def timed(program: Callable, window: Window) -> tuple[Gradient, float]:
    began = time.perf_counter()
    result = jax.block_until_ready(program(window))
    return result, time.perf_counter() - began


def walk(gradient: Callable[..., Gradient], method: Method, instance: Instance) -> list[Gradient]:
    """Gradients of each window by a method without noise, its trace handed on.

    Args:
      gradient: the method's, compiled.
    """
    carry, found = instance.carry, []
    trace = first_trace(method, instance)
    for index in range(instance.number):
        window = Window(instance.params, instance.hyper, carry, instance.window(index), trace)
        found.append(gradient(instance.recurrence, window))
        carry, trace = found[-1].new_carry, found[-1].trace
    return on_host(found)


def walker(method: Method, instance: Instance) -> Callable[..., dict[str, Any]]:
    """Returns (params, noise) -> the mean of the gradients over the windows, in one program without timing.

    The noise of a window, if there is any, is stacked [N, ...].
    """
    return partial(
        _walk,
        method.gradient,
        method.init,
        instance.recurrence,
        instance.hyper,
        instance.carry,
        instance.windows,
        instance.shares,
    )


def _walk(gradient, init, recurrence, hyper, carry, windows: Batch, shares, params, noise: Any = None) -> dict:
    def body(loop: tuple[Any, Any], window: tuple[Batch, Any]) -> tuple[tuple[Any, Any], dict]:
        carry, trace = loop
        batch, noise_of_window = window
        found = gradient(recurrence, Window(params, hyper, carry, batch, trace, noise_of_window))
        return (found.new_carry, found.trace), of_window(found)

    trace = init(recurrence, params, carry, jax.tree.map(lambda leaf: leaf[0, 0], windows))
    parts = jax.lax.scan(body, (carry, trace), (windows, noise))[1]
    return jax.tree.map(lambda leaf: jnp.tensordot(shares, leaf, axes=1), parts)


def truth_of_stream(instance: Instance) -> dict[str, Any]:
    """Exact gradient of the whole stream."""
    return instance.truth(instance.carry, instance.stream).gradient
