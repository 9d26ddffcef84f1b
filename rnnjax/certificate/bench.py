"""An instance, its truth, and each method's result on it."""

import contextlib
import math
from functools import cached_property
from typing import Any

import jax
import numpy as np

from rnnjax.certificate import amplification, exact
from rnnjax.certificate.difference import difference
from rnnjax.certificate.instances import Instance, on_host
from rnnjax.certificate.trial import Program, Trial, claim_of, compile_for, make, run, walk
from rnnjax.config import GradientConfig
from rnnjax.gradients import limits
from rnnjax.gradients.claim import ROUNDING, Claim
from rnnjax.gradients.influences import acting
from rnnjax.gradients.method import Gradient
from rnnjax.model.leaves import pack, reals, unpack

KEY = 0x7E57
"""Seed of the random methods' noise."""

WORST = 1e-3
"""Largest theoretical error of central differences that are judged."""

LARGEST = 1e100
"""Largest entry of a gradient that can be judged: its square, in norms and influences, is finite too."""


INFLUENCE, MOST_NUMBERS = ("rtrl", "snap", "textbook"), 2**22
"""Methods that hold the influence of every parameter on every number of the state, and their most numbers."""

MOST_DIFFERENCES = 2**14
"""Most numbers that central differences are taken of."""


class Bench:
    """Instance, its truth, and each method's result on it; each computed when first asked for.

    Args:
      timed: False where costs are not asked for, and programs are compiled quickly.
    """

    def __init__(self, instance: Instance, config: GradientConfig, timed: bool = True) -> None:
        self.instance, self.config, self.timed = instance, config, timed
        self.programs: dict[str, Program] = {}
        self.trials: dict[str, Trial] = {}
        self.bounds: dict[tuple[float, float], list[exact.ExactGradient]] = {}

    @property
    def setting(self) -> tuple:
        return self.instance.setting

    @cached_property
    def windows(self) -> list[exact.ExactGradient]:
        """Exact gradient of each window, the state before it constant."""
        carry, found = self.instance.carry, []
        for index in range(self.instance.number):
            found.append(self.instance.truth(carry, self.instance.window(index)))
            carry = found[-1].new_carry
        return on_host(found)

    @cached_property
    def stream(self) -> exact.ExactGradient:
        return on_host(self.instance.truth(self.instance.carry, self.instance.stream))

    @cached_property
    def open_sum(self) -> Any:
        """Terms of the stream's double sum, for the parameters and for the state, each leaf [N·T, N·T, ...]."""
        return jax.device_get(exact.pairs(*self.setting, self.instance.carry, self.instance.stream))

    @property
    def pairs(self) -> Any:
        return self.open_sum[0]

    @property
    def pairs_of_state(self) -> Any:
        """Derivative of the loss of step j by the state before step k [N·T, N·T, B, S], for each layer."""
        return self.open_sum[1]

    @cached_property
    def derivatives(self) -> exact.Derivatives:
        """Derivatives of every step of the stream."""
        return jax.device_get(exact.derivatives(*self.setting, self.instance.carry, self.instance.stream))

    def sum_of_pairs(self, keep: np.ndarray) -> Any:
        """Double sum over the pairs (step of the loss, step of the use) in keep [N·T, N·T]."""
        return jax.tree.map(lambda leaf: np.einsum("jk,jk...->...", keep.astype(float), leaf), self.pairs)

    def of_window(self, index: int, part: Any) -> Any:
        """Gradient of a window's own loss, from the part of the stream's that its losses have."""
        share = self.instance.shares[index]
        return jax.tree.map(lambda leaf: leaf / share, part)

    def restore(self, d_params: Any, d_carry: Any) -> dict[str, Any]:
        """Gradient as trees, from vectors [P] and [N, S]."""
        carry = reals(self.instance.carry)
        streams = d_carry.reshape(*self.instance.shape[1:], -1)
        of_carry = unpack(streams, carry, len(self.instance.shape) - 1)
        return jax.device_get({"params": unpack(d_params, reals(self.instance.params)), "carry": of_carry})

    @cached_property
    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Step of the loss j and step of the use k, for each pair."""
        T = self.instance.number * self.instance.shape[0]
        j, k = np.indices((T, T))
        return j, k

    @cached_property
    def memory(self) -> dict[str, float]:
        """Error of the exact gradient without memory.

        window: a window's gradient without its lags; stream: the stream's without its lags; cut: the stream's without
        the terms from window to window.
        """
        if self.instance.bidirectional:
            return {"window": 1.0, "stream": 1.0, "cut": 1.0}
        (j, k), T = self.steps, self.instance.shape[0]
        nothing, windows, stream = (self.sum_of_pairs(keep) for keep in (j == k, (j // T == k // T) & (k <= j), k <= j))
        apart = {"window": (nothing, windows), "stream": (nothing, stream), "cut": (windows, stream)}
        return {name: difference(*both).error for name, both in apart.items()}

    @cached_property
    def acts(self) -> Any:
        """True for every real parameter that acts on the state; the others are the read-out."""
        state, steps = exact.streams_apart(self.instance.recurrence, self.instance.carry, self.instance.stream)
        one = jax.tree.map(lambda leaf: leaf[0], (state, jax.tree.map(lambda leaf: leaf[0], steps)))
        return acting(self.instance.recurrence, self.instance.params, *one)

    def of_readout(self, params: Any) -> Any:
        """Leaves of a tree of parameters that act on no state; None in place of the others."""
        return jax.tree.map(lambda leaf, acts: None if acts else leaf, reals(params), self.acts)

    @cached_property
    def numbers_that_act(self) -> np.ndarray:
        """True for every number of `leaves.pack` of the parameters that acts on the state [P]."""
        return np.asarray(pack(jax.tree.map(np.full_like, reals(self.instance.params), self.acts)), bool)

    def is_exact(self, name: str) -> bool:
        """True where a method must give the exact gradient of this instance."""
        claim, instance = claim_of(name, self.config), self.instance
        if claim.kind == "exact" or instance.recurrence.model is None:
            return claim.kind == "exact"
        return claim.exact_if(instance.model, instance.params, instance.shape[0], instance.number)

    def tolerance(self, name: str, **options: Any) -> float:
        """Largest error of an exact method; more for central differences, where the loss bends, and for a solver, by
        what a window makes of its residuals."""
        claim = claim_of(name, self.config, **options)
        return max(claim.tolerance, self.amplified(claim)) + self.numerical_error(name)

    def amplified(self, claim: Claim, *parts: str) -> float:
        """Largest error, to first order, that the residuals of a solver make in parts of a window's `ExactGradient`; by
        default in its gradient."""
        if not any(claim.residuals):
            return 0.0
        errors = [0.0]
        for truth, off in zip(self.windows, self.pushed(claim.residuals), strict=True):
            for part in parts or ("params", "carry"):
                exactly = reals(getattr(truth, part))
                errors.append(difference(jax.tree.map(np.add, exactly, getattr(off, part)), exactly).error)
        return max(errors)

    def pushed(self, residuals: tuple[float, float]) -> list[exact.ExactGradient]:
        """Bound of the error of each number of each window, see `amplification.bound`."""
        if residuals not in self.bounds:
            carries = [self.instance.carry, *(truth.new_carry for truth in self.windows)]
            windows = (self.instance.window(index) for index in range(self.instance.number))
            pairs = zip(carries, windows, strict=False)  # the last state is that of no window
            self.bounds[residuals] = on_host([amplification.bound(*self.setting, *pair, *residuals) for pair in pairs])
        return self.bounds[residuals]

    def numerical_error(self, name: str) -> float:
        """Theoretical error of central differences, where it is above their tolerance."""
        claim = claim_of(name, self.config)
        if claim.tolerance == ROUNDING or self.trial_error(name) <= claim.tolerance:
            return 0.0
        errors = [
            difference(off, (t.params, t.carry), claim.floor).error
            for off, t in zip(self.rough, self.windows, strict=True)
        ]
        return max(errors) if all(map(math.isfinite, errors)) else math.inf

    @cached_property
    def overflows(self) -> bool:
        """True where the exact gradient, or the state that it is taken at, is too large to judge anything by."""
        leaves = jax.tree.leaves(reals((self.windows, self.stream)))
        return not all(np.all(np.abs(leaf) < LARGEST) for leaf in leaves)  # nor is what is not a number less

    def nothing_to_judge(self, name: str) -> str | None:
        """Reason why theory says nothing about a method here; None where it does."""
        if self.overflows:
            return "the exact gradient of this network is not finite, or almost so: nothing to judge"
        if (off := self.numerical_error(name)) > WORST:
            return f"the loss bends so that central differences are off by {off:.0e}: nothing to judge"
        if (off := self.amplified(claim_of(name, self.config))) > 1:
            return f"the window amplifies what the solver leaves to {off:.0e} of the gradient: nothing to judge"
        return None

    def trial_error(self, name: str) -> float:
        """Largest error of a method in any window."""
        pairs = zip(self.trial(name).windows, self.windows, strict=True)
        floor = claim_of(name, self.config).floor
        return max(difference((w.params, w.carry), (t.params, t.carry), floor).error for w, t in pairs)

    @cached_property
    def rough(self) -> list[Any]:
        """Largest error of central differences in each window's gradient.

        It is the distance of the slopes within [θᵢ - ε, θᵢ + ε] from the slope at θᵢ, and 3 eps |L| / ε for the
        rounding of four losses.
        """
        eps = float(np.finfo(float).eps)
        reach, found = eps ** (1 / 5), []
        for index, truth in enumerate(self.windows):
            carry = self.windows[index - 1].new_carry if index else self.instance.carry
            bends = jax.device_get(exact.bends(*self.setting, carry, self.instance.window(index), reach))
            rounding = 3 * eps * abs(float(truth.loss)) / reach
            bends = jax.tree.map(lambda bend, most=rounding: np.abs(bend) + most, bends)
            found.append(jax.tree.map(np.add, (truth.params, truth.carry), bends))
        return found

    def refusal(self, name: str) -> str | None:
        method, (T, *streams) = make(name, self.config), self.instance.shape
        if self.instance.recurrence.model is None:
            return method.needs or too_large(name, self.instance)
        return limits.refusal(method, self.instance.model, T, math.prod(streams), "float64")

    def compile(self, name: str) -> None:
        self.programs[name] = compile_for(make(name, self.config), self.instance, jax.random.key(KEY), self.timed)

    def try_to_compile(self, name: str) -> None:
        """Compiles a method, if it applies, ahead of its trial; several threads may do so at once.

        An error is passed over: the trial will raise it again.
        """
        with contextlib.suppress(Exception):
            if not self.refusal(name):
                self.compile(name)

    def trial(self, name: str) -> Trial:
        if name not in self.trials:
            if name not in self.programs:
                self.compile(name)
            self.trials[name] = run(self.programs[name], self.instance)
        return self.trials[name]

    def noise(self, name: str, index: int) -> Any:
        """Noise of a window of a method's trial."""
        self.trial(name)
        return self.programs[name].noises[index]

    def variant(self, name: str, **options: Any) -> list[Gradient]:
        """Gradients of each window by a method with other options than the config's; it takes no noise."""
        method = make(name, self.config, **options)
        return walk(exact.quick(method.gradient, 0), method, self.instance)


def too_large(name: str, instance: Instance) -> str | None:
    """Reason why a method costs too much on any step, whose numbers cannot be cut; None where it does not."""
    P, N = pack(instance.params).size, math.prod(instance.shape[1:])
    S = pack(instance.carry).size // N
    if name in INFLUENCE and N * S * (P + S) > MOST_NUMBERS:
        return f"the influence of {P:,} parameters on {S:,} numbers of the state: certify it with fewer units"
    if name == "finite_difference" and P + N * S > MOST_DIFFERENCES:
        return f"four passes for each of {P + N * S:,} numbers: certify it with fewer units"
    return None
