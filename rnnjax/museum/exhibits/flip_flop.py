"""Sussillo & Barak 2013, the three-bit flip-flop: memories are stable fixed points, and saddles stand between them.

Three inputs are silent but for pulses of 1 and -1, and three outputs say the sign of the last pulse on each:

    s ← tanh(s W + u U + b)      z = s V + c

Without a pulse this is an autonomous system, whose fixed points tell how it works: one stable point for each of the
eight memories, and on the edges of their cube saddles with one unstable direction, over which a pulse carries it.
"""

from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax.analysis.fixed_points import fixed_points
from rnnjax.museum.exhibit import Criterion, Exhibit, Results, Setting

Array = jax.Array
Tree = Any

BITS, BATCH, LENGTH = 3, 32, 60
GAP = 10
"""Mean steps from one pulse of a bit to the next."""

EDGES = {pair for pair in combinations(range(2**BITS), 2) if (pair[0] ^ pair[1]).bit_count() == 1}


def run(seeds: np.ndarray, units: int, updates: int, starts: int) -> dict[str, Any]:
    """Trains a network a seed, and finds its fixed points from states that it visits."""
    weights, visited, right = jax.jit(jax.vmap(lambda seed: train(seed, units, updates)))(jnp.asarray(seeds))
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, float), (weights, visited))
        one = [jax.tree.map(lambda leaf, i=i: leaf[i], wide) for i in range(len(seeds))]
        found = [look(weights, visited, starts) for weights, visited in one]
    learned = np.asarray(right) > 0.99
    counts = {name: np.where(learned, [of[name] for of in found], np.nan) for name in found[0]}
    return {"learned": learned, "outputs right": np.asarray(right), **counts}


def step(weights: Tree, s: Array, u: Array) -> tuple[Array, Array]:
    """One step, and its output."""
    s = jnp.tanh(s @ weights["W"] + u @ weights["U"] + weights["b"])
    return s, s @ weights["V"] + weights["c"]


def draw_task(key: Array) -> tuple[Array, Array]:
    """Inputs and targets [T, B, 3]; each bit begins with a pulse."""
    to_when, to_sign = jax.random.split(key)
    shape = (LENGTH, BATCH, BITS)
    pulses = jax.random.bernoulli(to_when, 1 / GAP, shape).at[0].set(True) * jax.random.rademacher(
        to_sign, shape, float
    )
    last = jax.lax.associative_scan(lambda before, now: jnp.where(now == 0, before, now), pulses)
    return pulses, last


def go(weights: Tree, inputs: Array) -> tuple[Array, Array]:
    """States and outputs of all steps, from the state 0."""

    def body(s: Array, u: Array) -> tuple[Array, tuple[Array, Array]]:
        s, z = step(weights, s, u)
        return s, (s, z)

    return jax.lax.scan(body, jnp.zeros((BATCH, weights["b"].size)), inputs)[1]


def train(seed: Array, units: int, updates: int) -> tuple[Tree, Array, Array]:
    """A trained network, the states that it visits on new sequences, and its share of steps with all outputs right."""
    to_W, to_U, to_V, to_tasks = jax.random.split(jax.random.key(seed), 4)
    weights = {
        "W": jax.random.normal(to_W, (units, units)) / units**0.5,
        "U": jax.random.normal(to_U, (BITS, units)) / BITS**0.5,
        "V": jax.random.normal(to_V, (units, BITS)) / units**0.5,
        "b": jnp.zeros(units),
        "c": jnp.zeros(BITS),
    }
    chain = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(1e-2, updates)))

    def loss_of(weights: Tree, task: tuple[Array, Array]) -> Array:
        return jnp.mean((go(weights, task[0])[1] - task[1]) ** 2)

    def body(loop: tuple, number: Array) -> tuple[tuple, None]:
        weights, state = loop
        grads = jax.grad(loss_of)(weights, draw_task(jax.random.fold_in(to_tasks, number)))
        changes, state = chain.update(grads, state)
        return (optax.apply_updates(weights, changes), state), None

    (weights, _), _ = jax.lax.scan(body, (weights, chain.init(weights)), jnp.arange(updates))
    inputs, targets = draw_task(jax.random.fold_in(to_tasks, updates))
    states, outputs = go(weights, inputs)
    right = jnp.mean(jnp.all(jnp.abs(outputs - targets) < 0.5, axis=-1))
    return weights, states.reshape(-1, units), right


def look(weights: Tree, visited: Array, starts: int) -> dict[str, Any]:
    """The fixed points of one network by their unstable directions, the memories and the edges that they stand for."""
    rng = np.random.default_rng(0)
    one, other = visited[rng.integers(0, len(visited), (2, starts))]
    between = one + rng.uniform(0, 1, (starts, 1)) * (other - one)
    find = lambda states: fixed_points(step, weights, jnp.zeros(BITS), states, slowest=1e-7, apart=0.05)
    points = find(np.concatenate([one, between]))
    stable, saddles = (points.states[points.unstable == count] for count in (0, 1))
    bridged = {tuple(sorted(leads_to(weights, s))) for s in saddles}
    return {
        "stable points": len(stable),
        "memories": len({memory(weights, s) for s in stable}),
        "saddles": len(saddles),
        "edges with a saddle": len(bridged & EDGES),
        "more unstable": int(np.sum(points.unstable > 1)),
        "saddles from visited states alone": int(np.sum(find(one).unstable == 1)),
    }


def memory(weights: Tree, s: Array) -> int:
    """The number whose bits the outputs say."""
    return int(np.sum((np.asarray(s @ weights["V"] + weights["c"]) > 0) << np.arange(BITS)))


def leads_to(weights: Tree, s: Array) -> list[int]:
    """The memories to which a saddle leads, along both ends of its unstable direction."""
    values, vectors = np.linalg.eig(np.asarray(jacobian(weights, s)))
    along = np.real(vectors[:, np.argmax(np.abs(values))])
    return [memory(weights, settle(weights, s + side * along)) for side in (-0.05, 0.05)]


@jax.jit
def jacobian(weights: Tree, s: Array) -> Array:
    """∂s'/∂s without a pulse."""
    return jax.jacfwd(lambda s: step(weights, s, jnp.zeros(BITS))[0])(s)


@jax.jit
def settle(weights: Tree, s: Array) -> Array:
    """The state 1,000 steps later, without a pulse."""
    return jax.lax.fori_loop(0, 1000, lambda _, s: step(weights, s, jnp.zeros(BITS))[0], s)


def draw(figure: Any, results: Results) -> None:
    """The number of points of each kind, a dot a network."""
    axes = figure.subplots()
    names = ("stable points", "memories", "saddles", "edges with a saddle", "more unstable")
    for index, name in enumerate(names):
        counts = np.concatenate([of[name][np.isfinite(of[name])] for of in results.values()])
        shift = np.linspace(-0.3, 0.3, len(counts)) if len(counts) else counts
        axes.plot(index + shift, np.sort(counts), "o", markersize=4)
    axes.set_xticks(range(len(names)), names)
    axes.axhline(8, color="0.6", linestyle="--", linewidth=1)
    axes.set(ylabel="in a network", ylim=(0, None))


NOT_READ = "could not be read here"
ARM = {"units": 24, "updates": 3000, "starts": 400}

EXHIBIT = Exhibit(
    paper="Sussillo & Barak (2013). Opening the black box: low-dimensional dynamics in high-dimensional recurrent "
    "neural networks. Neural Computation 25",
    place="three-bit flip-flop",
    claim="A network that has learned the three-bit flip-flop keeps each of the eight memories in a stable fixed "
    "point, and saddles with one unstable direction stand between neighbours.",
    settings=(
        Setting("Task", "pulses of 1 and -1 on three inputs; each output says the sign of the last on its own"),
        Setting(
            "Network",
            NOT_READ,
            "24 units, s ← tanh(s W + u U + b)",
            "small enough for 30 networks and all of their points",
        ),
        Setting(
            "Training",
            f"{NOT_READ}; a public reimplementation uses FORCE",
            "back-propagation, Adam, 3,000 updates",
            "all weights learn, in a minute",
        ),
        Setting(
            "Pulses", NOT_READ, "one step long, a tenth of all steps", "a task of 60 steps then has several of each"
        ),
        Setting(
            "Search",
            "by minimising q = |F(s) - s|²/2",
            "by Gauss-Newton, from 400 visited states, and 400 between two of them",
            "visited states alone lead to stable points only, as pulses of one step jump over the rest",
        ),
    ),
    arms={"24 units": ARM},
    run=run,
    criteria=(
        Criterion("networks that learn the task", "24 units", "learned", 0.8),
        Criterion("memories in a stable point", "24 units", "memories", 7.5, 8),
        Criterion("stable points", "24 units", "stable points", 7.5, 8.5),
        Criterion(
            "edges of the cube, of 12, with a saddle between their ends", "24 units", "edges with a saddle", 10, 12
        ),
    ),
    picture=draw,
    learned=(
        "The points are as many as a cube has corners, edges, and faces with its centre: eight are stable, twelve have "
        "one unstable direction and seven have more.",
        "The saddles are not where the network goes: from visited states alone the search finds the stable points. "
        "From states between two visited ones it finds the others.",
    ),
    seeds=100,
    quick={"updates": 1500},
)
