"""Tallec & Ollivier 2018, influence balancing: a parameter that first helps and then harms.

Units in a chain, each with half of itself and half of its neighbour; one parameter θ drives the first p of them upwards
and the rest downwards, and the loss sees the first unit only:

    sᵢ ← sᵢ/2 + sᵢ₊₁/2 ± θ      ℓ = (s₁ - 1)²/2      ∂s₁/∂θ = Σₖ ± (shares of the units that reach it in k steps)

In the long run ∂s₁/∂θ = 2 (10 - 13) = -6, but the 10 units nearby are felt first: cut after k steps, the sum is
positive through k = 40.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.museum.exhibit import Criterion, Exhibit, Published, Results, Setting

Array = jax.Array

UNITS, UPWARDS = 23, 10
SIGNS = np.where(np.arange(UNITS) < UPWARDS, 1.0, -1.0).astype(np.float32)
START = 0.5
POINTS = 50
"""Points of a learning curve."""


def step(theta: Array, state: Array, x: Array) -> tuple[Array, Array]:
    """One step of the chain; there is no input."""
    del x
    state = state / 2 + jnp.append(state[1:], 0) / 2 + theta * SIGNS
    return state, state[0]


def loss(output: Array, target: Array | float) -> Array:
    """Half the squared error of the first unit."""
    return (output - target) ** 2 / 2


def long_run(theta: Array | float) -> Array:
    """The loss where the chain has settled, at s₁ = -6 θ."""
    return loss(jnp.asarray(2 * SIGNS.sum() * theta), 1.0)


def run(seeds: np.ndarray, method: str, steps: int, rate: float, span: int = 1, counted: str = "all") -> dict[str, Any]:
    """Trains θ along one stream; each seed draws the initial state and the method's random numbers."""
    if method == "truncated":
        update, memory_of, size = truncated(span, counted)
    else:
        update, memory_of, size = forward_in_time(method)

    def learn(seed: Array) -> Array:
        to_state, to_noise = jax.random.split(jax.random.key(seed))
        state = jax.random.normal(to_state, (UNITS,))

        def body(loop: tuple, t: Array) -> tuple[tuple, Array]:
            theta, *inner = loop
            d_theta, *inner = update(theta, *inner, jax.random.fold_in(to_noise, t))
            theta = theta - rate * d_theta
            return (theta, *inner), long_run(theta)

        first = (jnp.asarray(START, state.dtype), state, memory_of(START, state))
        return jax.lax.scan(body, first, jnp.arange(steps // size))[1]

    losses = np.asarray(jax.jit(jax.vmap(learn))(seeds), float)
    last = np.nan_to_num(losses[:, -1], nan=np.inf)
    begin = float(long_run(jnp.float32(START)))
    every = max(1, losses.shape[1] // POINTS)
    return {"converged": last < begin / 100, "diverged": last > begin, "curve": losses[:, every - 1 :: every]}


def truncated(span: int, counted: str) -> tuple:
    """Truncated back-propagation, an update after each window of `span` steps; all losses count, or the last."""
    gradient = rnnjax.gradient(step, loss, "manual", batch_axes=0, reduce="sum")
    weight = np.ones(span) if counted == "all" else (np.arange(span) == span - 1).astype(float)

    def update(theta: Array, state: Array, memory: None, key: Array) -> tuple:
        found = gradient.window(theta, state, jnp.zeros(span), jnp.ones(span), weight=weight)
        return found.params, found.new_carry, memory

    return update, lambda theta, state: None, span


def forward_in_time(method: str) -> tuple:
    """A method that goes forward in time, an update at each step."""
    online = rnnjax.online(step, loss, method, batch_axes=0)

    def update(theta: Array, state: Array, memory: Any, key: Array) -> tuple:
        found = online.update(theta, state, memory, jnp.zeros(()), jnp.ones(()), key)
        return found.grads, found.state, found.memory

    return update, partial(online.init, x_t=jnp.zeros(())), 1


def draw(figure: Any, results: Results) -> None:
    """The long-run loss against the steps, the median of the seeds and their range, as in the paper's figure."""
    axes = figure.subplots()
    for arm, of in results.items():
        steps = np.linspace(0, 1, of["curve"].shape[1] + 1)[1:] * STEPS
        shown = np.clip(np.nan_to_num(of["curve"], nan=1e6, posinf=1e6), 1e-6, 1e6)
        (line,) = axes.plot(steps, np.median(shown, axis=0), label=arm)
        axes.fill_between(steps, shown.min(axis=0), shown.max(axis=0), alpha=0.2, color=line.get_color())
    axes.set(xlabel="steps", ylabel="long-run loss", yscale="log", xlim=(0, STEPS), ylim=(1e-6, 1e6))
    figure.legend(fontsize="small", loc="outside right upper")


STEPS = 20_000
COMMON = {"steps": STEPS, "rate": 1e-5}
NOT_READ = "could not be read here"

EXHIBIT = Exhibit(
    paper="Tallec & Ollivier (2018). Unbiased online recurrent optimization. ICLR",
    place="influence balancing",
    claim="Where a parameter helps at first and harms in the long run, truncated back-propagation diverges unless it "
    "goes back far beyond the range of the interactions, while UORO, whose gradient is unbiased, converges.",
    settings=(
        Setting("Units", "23, of which θ drives 10 upwards and 13 downwards"),
        Setting("Chain", "each unit: half of itself, half of its neighbour, and ± θ"),
        Setting("Loss", "(s₁ - 1)²/2 at every step"),
        Setting("Truncation", "1, 10, 100", "1, 10, 100, and 200", "to have one beyond the step where the sign turns"),
        Setting(
            "Losses of a window",
            "not said in what could be read",
            "all, or the last alone",
            "the sign turns at 110 or 41",
        ),
        Setting("Initial θ", NOT_READ, "0.5", "as in a public reimplementation (Vicol et al. 2021)"),
        Setting(
            "Initial state",
            NOT_READ,
            "standard normal, one a seed",
            "so that seeds differ where the method draws nothing",
        ),
        Setting(
            "Learning rate",
            NOT_READ,
            "1e-5 for all",
            "that reimplementation's for UORO; one for all makes them comparable",
        ),
        Setting("Steps", NOT_READ, "20,000", "seven times the time constant 1 / (36 · 1e-5) of the exact gradient"),
    ),
    arms={
        "truncated at 1": {"method": "truncated", "span": 1, **COMMON},
        "truncated at 10": {"method": "truncated", "span": 10, **COMMON},
        "truncated at 100": {"method": "truncated", "span": 100, **COMMON},
        "truncated at 200": {"method": "truncated", "span": 200, **COMMON},
        "truncated at 100, last loss": {"method": "truncated", "span": 100, "counted": "last", **COMMON},
        "RTRL": {"method": "rtrl", **COMMON},
        "UORO": {"method": "uoro", **COMMON},
        "RTRL, rate 1e-4": {"method": "rtrl", **COMMON, "rate": 1e-4},
        "UORO, rate 1e-4": {"method": "uoro", **COMMON, "rate": 1e-4},
    },
    run=run,
    criteria=(
        Criterion("UORO converges", "UORO", "converged", low=0.8, published=Published("yes", "abstract")),
        Criterion("RTRL converges", "RTRL", "converged", low=0.8),
        Criterion(
            "truncation at 1 diverges", "truncated at 1", "diverged", low=0.8, published=Published("yes", "abstract")
        ),
        Criterion(
            "truncation at 10 diverges", "truncated at 10", "diverged", low=0.8, published=Published("yes", "abstract")
        ),
        Criterion("truncation at 100 diverges", "truncated at 100", "diverged", low=0.8),
        Criterion("truncation at 200 does not", "truncated at 200", "diverged", high=0.2),
    ),
    picture=draw,
    learned=(
        "The step where the sign turns can be computed: ∂s₁/∂θ over k steps is positive through k = 40, with a "
        "maximum of 16.5, and goes to -6. A window of k steps that counts all of its losses averages these sums, and "
        "its gradient has the right sign only from k = 110 on: truncation at 100 still diverges, unless only its last "
        "loss counts.",
        "UORO's gradient is right on average, and far from it at a single step: at ten times the learning rate it "
        "diverges, where RTRL still converges.",
    ),
    seeds=100,
    quick_seeds=30,
    quick_arms=("truncated at 1", "truncated at 10", "truncated at 100", "truncated at 200", "RTRL", "UORO"),
)
