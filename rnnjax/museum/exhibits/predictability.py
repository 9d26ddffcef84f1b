"""Gonzalez et al. 2025, figure 2: a recurrent network can be run in parallel over time if it is predictable.

A mean-field network with weights from N(0, g²/D), none of a unit to itself, and a sinusoid on each unit,

    sₜ = W tanh(sₜ₋₁) + uₜ      uₜ = A sin(ω t + φ)

forgets where g is small and is chaotic where it is large. Newton's method on the whole trajectory (DEER) needs few
iterations, whatever the length, where the largest Lyapunov exponent is below zero, and above it a number that grows
with the length.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.museum.exhibit import Criterion, Exhibit, Published, Results, Setting

Array = jax.Array

SHORT, LONG = 50, 200
GAINS = (0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.75, 2.0)
NEAR_ZERO = 0.05
"""Exponents nearer to zero are of neither kind: 200 steps measure them to about as much."""


def run(seeds: np.ndarray, units: int) -> dict[str, Any]:
    """Solves a network a seed at each gain, the gain alone differing, over SHORT and LONG windows.

    Returns:
      Of each seed: iterations of the long windows by sign of the exponent, the factor by which they grow from the
      short windows, and the share of networks that grow at least twofold if, and only if, the exponent is positive.
    """
    with jax.enable_x64(True):
        found = np.array([[solve(int(seed), gain, units) for gain in GAINS] for seed in seeds])
    exponent, short, long = np.moveaxis(found, -1, 0)
    calm, wild = exponent < -NEAR_ZERO, exponent > NEAR_ZERO
    mean = lambda values, chosen: np.array(
        [v[c].mean() if c.any() else np.nan for v, c in zip(values, chosen, strict=True)]
    )
    return {
        "iterations where calm": mean(long, calm),
        "iterations where chaotic": mean(long, wild),
        "growth where calm": mean(long / short, calm),
        "growth where chaotic": mean(long / short, wild),
        "told by the sign": mean((long >= 2 * short) == wild, calm | wild),
        "exponents": exponent,
        "iterations": long,
    }


def step(W: Array, s: Array, u: Array) -> tuple[Array, Array]:
    """One step; the state is the output."""
    s = W @ jnp.tanh(s) + u
    return s, s


def solve(seed: int, gain: float, units: int) -> tuple[float, int, int]:
    """The exponent over the long window, and the iterations over both."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(units, units)) * gain / units**0.5
    np.fill_diagonal(W, 0)
    A, omega, phi = rng.uniform(0, 0.2, units), rng.uniform(0.5, 3, units), rng.uniform(0, 2 * np.pi, units)
    inputs = A * np.sin(omega * np.arange(LONG)[:, None] + phi)
    state, guess = rng.uniform(-1, 1, units), rng.uniform(-1, 1, (LONG, units))
    short, long = (int(iterations(W, state, inputs[:T], guess[:T])) for T in (SHORT, LONG))
    return float(exponent(W, state, inputs)), short, long


@jax.jit
def iterations(W: Array, state: Array, inputs: Array, guess: Array) -> Array:
    """Iterations of Newton's method from a guess, at most as many as there are steps."""
    solver = partial(rnnjax.unroll, batch_axes=0, tolerance=1e-10, iterations=len(inputs))
    return solver(step, W, state, inputs, "deer", start=guess).iterations


@jax.jit
def exponent(W: Array, state: Array, inputs: Array) -> Array:
    """The largest Lyapunov exponent, nats per step: how fast a small change of the first state grows."""

    def body(loop: tuple[Array, Array], u: Array) -> tuple[tuple[Array, Array], Array]:
        s, v = loop
        s, v = jax.jvp(lambda s: step(W, s, u)[0], (s,), (v,))
        length = jnp.linalg.norm(v)
        return (s, v / length), jnp.log(length)

    first = jnp.ones_like(state) / len(state) ** 0.5
    return jnp.mean(jax.lax.scan(body, (state, first), inputs)[1])


def draw(figure: Any, results: Results) -> None:
    """Iterations against the exponent, a dot a network, as in the paper's figure."""
    axes = figure.subplots()
    for arm, of in results.items():
        axes.plot(of["exponents"].ravel(), of["iterations"].ravel(), "o", markersize=3, alpha=0.6, label=arm)
    axes.axvline(0, color="0.5", linestyle="--", linewidth=1)
    axes.axhline(LONG, color="0.5", linewidth=1)
    axes.set(xlabel="largest Lyapunov exponent (nats per step)", ylabel=f"iterations, T = {LONG}", yscale="log")
    figure.legend(fontsize="small", loc="outside right upper")


def claims(arm: str) -> tuple[Criterion, ...]:
    """The claims on networks of one size; the paper states them without these numbers."""
    growth = "iterations at T = 200 over those at 50"
    return (
        Criterion(
            f"{arm}, exponent below -{NEAR_ZERO}: {growth}",
            arm,
            "growth where calm",
            0.8,
            1.5,
            published=Published("hardly", "abstract"),
        ),
        Criterion(
            f"{arm}, exponent above {NEAR_ZERO}: {growth}",
            arm,
            "growth where chaotic",
            2,
            4,
            published=Published("with T", "abstract"),
        ),
        Criterion(
            f"{arm}: share of networks whose iterations double if and only if the exponent is positive",
            arm,
            "told by the sign",
            0.9,
            1,
        ),
    )


EXHIBIT = Exhibit(
    paper="Gonzalez, Kozachkov, Zoltowski, Clarkson & Linderman (2025). Predictability enables parallelization of "
    "nonlinear state space models. NeurIPS",
    place="Figure 2, mean-field networks",
    claim="Newton's method on a whole trajectory needs a few iterations whatever the length where the largest Lyapunov "
    "exponent is negative, and ever more where it is positive.",
    settings=(
        Setting("Network", "sₜ = W tanh(sₜ₋₁) + uₜ, W from N(0, g²/D) with a diagonal of zero (the authors' code)"),
        Setting(
            "Units",
            "D = 100",
            "32; 64 is an arm",
            "an iteration takes T D³ operations: the paper's would take a day of two cores",
        ),
        Setting("Inputs", "A sin(ω t + φ), A in [0, 0.2], ω in [0.5, 3], φ in [0, 2π]"),
        Setting("Initial state", "uniform in [-1, 1]"),
        Setting("First guess", "uniform in [-1, 1]"),
        Setting("Gain g", "50 values in 0.5 to 2", "8 values", "time"),
        Setting("Length T", "50 values in 10 to 10,000", "50 and 200", "time"),
        Setting(
            "Converged",
            "steps change by less than 1e-10, in float64",
            "each step follows within 1e-10",
            "a trajectory that is returned is one",
        ),
        Setting(
            "Exponent",
            "growth of a random direction over the T steps, mean of three",
            "of one direction",
            "200 steps turn it into place",
        ),
        Setting("Seeds", "20", "100", "for intervals"),
    ),
    arms={
        "D = 32": {"units": 32},
        "D = 64": {"units": 64},
    },
    run=run,
    criteria=(*claims("D = 32"), *claims("D = 64")),
    picture=draw,
    learned=(
        "With 64 units the sign of the exponent tells almost every network: below zero four times the length takes as "
        "many iterations, above it three and a half times as many.",
        "With 32 units one network in eighteen is told wrongly. A small network may be chaotic for a while before it "
        "settles; the iterations count that time, and the exponent, a mean over the whole window, does not show it.",
    ),
    seeds=100,
    quick_arms=("D = 32",),
)
