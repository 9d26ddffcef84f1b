"""The identities that hold on an instance, the config's own network, cut, or any step: of the exact methods, of
truncation, of the adjoints, the influence matrix and the lags. For networks of another kind than a method is derived
for, see `built_in`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.analysis import lags
from rnnjax.certificate import exact
from rnnjax.certificate.bench import Bench
from rnnjax.certificate.check import Check, compare, raised
from rnnjax.certificate.trial import claim_of, make, mean, of_window, walker
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Carry, Model, Params
from rnnjax.model.recurrence import Recurrence

Array = jax.Array

DIRECTIONS = 3
EARLY = 1e-5
LAGS = 2

Part = Callable[[str, Bench], Iterator[Check]]


def checks(names: list[str], bench: Bench) -> Iterator[Check]:
    """Makes every check of the named methods that the instance of a bench allows."""
    for name in names:
        for part in PARTS:
            yield from guarded(part, name, bench)


def guarded(part: Part, name: str, bench: Bench) -> Iterator[Check]:
    """Makes the checks of one part; one that breaks is a failed check."""
    if make(name, bench.config).claim and not bench.refusal(name):
        try:
            if not bench.nothing_to_judge(name):
                yield from part(name, bench)
        except Exception as error:  # as in `matrix.row_of`
            yield Check(0, name, part.__doc__ or part.__name__, bench.instance.name, None, reason=raised(error))


def exact_in_the_first_window(name: str, bench: Bench) -> Iterator[Check]:
    """Checks the exact gradient of every parameter and of the initial state."""
    on, truth = bench.instance.name, of_window(bench.windows[0])
    claim = claim_of(name, bench.config)
    if claim.kind != "exact":
        return
    found, limits = of_window(bench.trial(name).windows[0]), limits_of(name, bench)
    yield compare(1, name, "the window's exact gradient, initial state included", on, found, truth, **limits)
    if claim.of == "stream":
        sums = f"{bench.instance.number} windows sum up to the stream's exact gradient"
        yield compare(1, name, sums, on, bench.trial(name).mean, of_window(bench.stream))
    for options in claim.variants:
        if any(getattr(bench.config, option) != value for option, value in options.items()):
            words = " and ".join(f"{option} {value}" for option, value in options.items())
            found = of_window(bench.variant(name, **options)[0])
            yield compare(1, name, f"the same with {words}", on, found, truth, **limits_of(name, bench, **options))


def limits_of(name: str, bench: Bench, **options: Any) -> dict[str, Any]:
    """Limits of an exact method's error, with some of its options set."""
    return {"limit": bench.tolerance(name, **options), "floor": claim_of(name, bench.config).floor}


def within_a_tolerance(name: str, bench: Bench) -> Iterator[Check]:
    """Checks a solver that stops early against what the window amplifies its residuals to."""
    claim, truth = claim_of(name, bench.config), of_window(bench.windows[0])
    for options in ({}, *claim.variants) if any(claim.residuals) else ():
        early = options | {"tolerance": EARLY}
        limit = bench.amplified(claim_of(name, bench.config, **early))
        if limit <= 1:
            words = f"with {' and '.join(f'{option} {value}' for option, value in early.items())}"
            statement = f"{words} the error is what the window amplifies, at most {limit / EARLY:.2g} times it"
            found = of_window(bench.variant(name, **early)[0])
            yield compare(1, name, statement, bench.instance.name, found, truth, max(limit, claim.tolerance))


def adjoint_of_each_state(name: str, bench: Bench) -> Iterator[Check]:
    """Checks the adjoint of each state."""
    if not claim_of(name, bench.config).adjoints or bench.instance.bidirectional:
        return
    batch, carry, gradient = bench.instance.window(0), bench.instance.carry, make(name, bench.config).gradient
    T = batch.shape[0]

    def from_step(recurrence: Recurrence, params: Any, hyper: Any, state: Any, batch: Batch, t: Array) -> Any:
        # Held until t and counted from t on, a window begins with the state before step t, whose adjoint is its carry.
        step = jnp.arange(T).reshape(-1, *[1] * (len(batch.shape) - 1))
        weight = jnp.ones(batch.shape) if batch.weight is None else batch.weight
        left = jnp.where(step >= t, weight, 0)
        valid, reset = (step >= t if mask is None else mask & (step >= t) for mask in (batch.valid, batch.reset))
        masked = batch._replace(weight=left, valid=jnp.broadcast_to(valid, batch.shape))
        if batch.reset is not None:
            masked = masked._replace(reset=jnp.broadcast_to(reset, batch.shape))
        found = gradient(recurrence, Window(params, hyper, state, masked))
        share = 1.0 if recurrence.reduce == "sum" else jnp.sum(left) / jnp.sum(weight)
        return jax.tree.map(lambda leaf: leaf * share, found.carry)

    states = exact.states(*bench.setting, carry, batch)
    run = partial(exact.quick(from_step, 0), *bench.setting)
    parts = jax.device_get([run(jax.tree.map(lambda leaf, t=t: leaf[t], states), batch, t) for t in range(T)])
    found = jax.tree.map(lambda *leaves: np.stack(leaves), *parts)
    of_states = jax.tree.map(lambda leaf: leaf[:T, :T].sum(axis=0), bench.pairs_of_state)
    claim = "adjoint of each s_t = autodiff of a zero added to it"
    yield compare(2, name, claim, bench.instance.name, found, bench.of_window(0, of_states))


def influence_matrix(name: str, bench: Bench) -> Iterator[Check]:
    """Checks the influence matrix."""
    claimed = claim_of(name, bench.config)
    if claimed.kind == "exact" and claimed.of == "stream":
        trace = bench.trial(name).windows[-1].trace
        truth = exact.influence(*bench.setting, bench.instance.carry, bench.instance.stream)
        of_params = np.zeros(truth[0].shape)
        of_params[..., bench.numbers_that_act] = trace.params
        claim = f"influence matrix after {bench.instance.number} windows = the Jacobian of s_T"
        yield compare(3, name, claim, bench.instance.name, (of_params, trace.carry), truth)


def one_step_at_a_time(name: str, bench: Bench) -> Iterator[Check]:
    """Checks an online method in windows of one step."""
    instance, claim = bench.instance, claim_of(name, bench.config)
    if claim.of != "stream":
        return
    steps = jax.tree.map(lambda leaf: leaf[:, None], instance.stream)
    apart = instance._replace(windows=steps)
    noises = [bench.noise(name, index) for index in range(instance.number)]
    noise = jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[:, None], *noises)
    found = exact.quick(walker(make(name, bench.config), apart))(instance.params, noise)
    claim_of_sum = "one step at a time, the same noise given, it sums up to the same"
    yield compare(10, name, claim_of_sum, instance.name, found, bench.trial(name).mean)


def truncation(name: str, bench: Bench) -> Iterator[Check]:
    """Checks truncation against the double sum, cut."""
    if claim_of(name, bench.config).kind != "truncated":
        return
    on, T, truth = bench.instance.name, bench.instance.shape[0], bench.windows[0]
    whole = bench.variant(name, k1_steps=T, k2_steps=T)[0]
    yield compare(4, name, "truncated(T, T) = the window's exact gradient", on, of_window(whole), of_window(truth))

    j, k = bench.steps
    inside = (j // T == k // T) & (k <= j)
    for reach in range(1, min(LAGS, T) + 1):
        parts = [window.params for window in bench.variant(name, k1_steps=1, k2_steps=reach)]
        found = mean(parts, bench.instance.shares)
        claim, within = f"truncated(1, {reach}) = the double sum at lags < {reach}", inside & (j - k < reach)
        yield compare(4, name, claim, on, found, bench.sum_of_pairs(within))


def chunks(name: str, bench: Bench) -> Iterator[Check]:
    """Checks the sum over pairs within a chunk."""
    claim = claim_of(name, bench.config)
    if claim.kind != "exact" or claim.of != "window" or bench.instance.bidirectional:
        return
    (j, k), T, on = bench.steps, bench.instance.shape[0], bench.instance.name
    found, limits = bench.trial(name).mean["params"], limits_of(name, bench)
    expected = bench.sum_of_pairs((j // T == k // T) & (k <= j))
    yield compare(4, name, "run in chunks = the double sum over pairs within one chunk", on, found, expected, **limits)


def slopes(name: str, bench: Bench) -> Iterator[Check]:
    """Checks the derivative along random directions."""
    if claim_of(name, bench.config).kind != "exact":
        return
    found = bench.trial(name).windows[0]
    flat, structure = jax.tree.flatten((found.params, found.carry))
    draw = np.random.default_rng(0)
    directions = [draw.normal(size=(DIRECTIONS, *leaf.shape)) for leaf in flat]
    v = jax.tree.unflatten(structure, directions)
    truth = exact.slopes(*bench.setting, bench.instance.carry, bench.instance.window(0), v)
    along = sum(np.tensordot(d, g, axes=g.ndim) for d, g in zip(directions, flat, strict=True))
    claim = f"<gradient, v> = JVP(v) for {DIRECTIONS} random v"
    limits, residuals = limits_of(name, bench), claim_of(name, bench.config).residuals
    if any(residuals):  # the errors of all numbers may add up
        off = bench.pushed(residuals)[0]
        pairs = zip(directions, jax.tree.leaves((off.params, off.carry)), strict=True)
        most = sum(np.tensordot(np.abs(d), bound, axes=bound.ndim) for d, bound in pairs)
        limits["limit"] = max(limits["limit"], float(np.max(most) / np.max(np.abs(truth))))
    yield compare(8, name, claim, bench.instance.name, along, jax.device_get(truth), **limits)


PARTS: tuple[Part, ...] = (
    exact_in_the_first_window,
    within_a_tolerance,
    adjoint_of_each_state,
    influence_matrix,
    one_step_at_a_time,
    truncation,
    chunks,
    slopes,
)


LAGS_OF = "analysis.lags"


def of_lags(bench: Bench) -> list[Check]:
    """Checks `analysis.lags` on the first window, lag by lag, against the terms of the double sum."""
    try:
        return [] if bench.instance.bidirectional or bench.overflows else list(lag_by_lag(LAGS_OF, bench))
    except Exception as error:  # as in `matrix.row_of`
        return [Check(5, LAGS_OF, "the gradient at each lag", bench.instance.name, None, reason=raised(error))]


def lag_by_lag(name: str, bench: Bench) -> Iterator[Check]:
    instance, on = bench.instance, bench.instance.name
    (j, k), T = bench.steps, instance.shape[0]
    network = instance.model, instance.params, instance.hyper
    parts, lengths, biases = jax.device_get(found_by_lags(*network, instance.carry, instance.window(0)))
    inside = (j < T) & (k < T)
    by_lag = [bench.sum_of_pairs(inside & (j - k == lag)) for lag in range(T)]
    expected = bench.of_window(0, jax.tree.map(lambda *leaves: np.stack(leaves), *by_lag))
    yield compare(5, name, "the gradient at each lag = the double sum at that lag", on, parts, expected)
    total = jax.tree.map(lambda leaf: leaf.sum(axis=0), parts)
    yield compare(5, name, "its lags add up to the window's exact gradient", on, total, bench.windows[0].params)
    norms = [norms_at(bench, lag) for lag in range(1, T)]
    if norms:
        lengths = [lengths[lag, lag:] for lag in range(1, T)]
        yield compare(5, name, "‖∂Lₜ/∂sₜ₋ₖ‖ at each lag k > 0 = that of the double sum", on, lengths, norms)
    kept = np.cumsum([np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(part)]) for part in by_lag], axis=0)
    bias = np.linalg.norm(kept - kept[-1], axis=1) / np.linalg.norm(kept[-1])
    yield compare(5, name, "bias of truncation at every k = that of the double sum", on, biases, bias, floor=1.0)


@partial(exact.quick, static=0)
def found_by_lags(
    model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch
) -> tuple[Params, jax.Array, jax.Array]:
    """Gradient at each lag, norms at each lag, and bias of truncation at every k."""
    parts = lags.split(model, params, hyper, carry, batch)
    report = lags.by_lag(model, params, hyper, carry, batch)
    return parts, report.norms, lags.truncation(report.sizes)[0].bias


def norms_at(bench: Bench, lag: int) -> np.ndarray:
    """Norms ‖∂Lₜ/∂sₜ₋ₖ‖ of each loss of the first window and each stream at a lag k > 0, [T - k, B].

    The state after a step is the one before the next.
    """
    t = np.arange(lag, bench.instance.shape[0])
    parts = [leaf[t, t - lag + 1] for leaf in bench.pairs_of_state]
    # The open sum has each loss's share of a mean over all windows, steps and streams.
    given = bench.instance.windows.weight
    weight = np.ones(bench.instance.windows.shape) if given is None else np.asarray(given)
    share = weight[0][t] / weight.sum()
    return np.sqrt(sum((part**2).sum(axis=-1) for part in parts)) / share
