"""The verdict on each method, on the config's own network: equal where theory says equal, different where it says
different.

Two meanings of exact are kept apart: the gradient of each window, the state before it constant, and the gradient of the
whole stream, to which an online method's windows sum up.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from rnnjax.certificate.bench import Bench
from rnnjax.certificate.check import DIFFERENT, Check, raised
from rnnjax.certificate.definitions import DEFINITIONS
from rnnjax.certificate.difference import Difference, difference
from rnnjax.certificate.instances import stand_ins
from rnnjax.certificate.trial import NOTHING, MeasuredCost, Trial, make, mean, of_window
from rnnjax.gradients.claim import ROUNDING, Claim
from rnnjax.model.recurrence import is_key


@dataclass(frozen=True)
class Row:
    """Findings of one method; None where a value was not measured.

    Attributes:
      window, stream: difference from each of the two exact gradients.
      bias: bias in words.
      tolerance: largest error of an exact method.
      verdict: PASS, FAIL or n/a.
    """

    method: str
    kind: str
    of: str = ""
    window: Difference | None = None
    stream: Difference | None = None
    bias: str = ""
    cost: MeasuredCost | None = None
    tolerance: float = ROUNDING
    verdict: str = "n/a"
    reason: str = ""

    @property
    def target(self) -> Difference | None:
        """Difference from the exact gradient that the method is about."""
        return self.stream if self.of == "stream" else self.window


def row_of(name: str, bench: Bench) -> Row:
    """Runs a method and judges it, without the checks of the theory."""
    claim = make(name, bench.config).claim
    if claim is None:
        return Row(name, "?", verdict="FAIL", reason=NOTHING)
    try:
        if reason := bench.refusal(name):
            model = bench.instance.recurrence.model
            none = model and not stand_ins(make(name, bench.config), model)
            verdict, and_others = ("FAIL", "it refuses every small plain network too: ") if none else ("n/a", "")
            return Row(name, claim.kind, claim.of, verdict=verdict, reason=and_others + reason)
        if bench.overflows:
            return Row(name, claim.kind, claim.of, reason=bench.nothing_to_judge(name) or "")
        return judge(name, claim, bench, bench.trial(name))
    except Exception as error:  # whatever it is, it is the method's fault, and the others go on
        return Row(name, claim.kind, claim.of, verdict="FAIL", reason=raised(error))


def judge(name: str, claim: Claim, bench: Bench, trial: Trial) -> Row:
    """Holds a trial against theory."""
    found = trial.mean
    window = difference(found, mean([truth.gradient for truth in bench.windows], trial.shares), claim.floor)
    if claim.of == "window":  # window by window is stricter than their mean
        parts = [
            difference(of_window(w), truth.gradient, claim.floor)
            for w, truth in zip(trial.windows, bench.windows, strict=True)
        ]
        worst = max(parts, key=lambda part: part.error if math.isfinite(part.error) else math.inf)
        window = window._replace(error=worst.error, leaf=worst.leaf)
    stream = difference(strip(found, claim), strip(bench.stream.gradient, claim))
    row = Row(name, claim.kind, claim.of, window, stream, cost=trial.cost)
    row = replace(row, tolerance=max(claim.tolerance, bench.amplified(claim)))
    target, other = (window, stream) if claim.of == "window" else (stream, window)
    if reason := bench.nothing_to_judge(name):
        return replace(row, reason=reason)
    is_exact, faults = bench.is_exact(name), faults_of(claim, bench, trial)
    row = replace(row, bias="0" if is_exact else bias_of(claim, target))
    if claim.definition:
        expected = DEFINITIONS[claim.definition](bench, bench.config)
        faults += faults_of_definition(trial, expected)
    if is_exact:
        note = f"equal to the {claim.of}'s" if claim.kind == "exact" else "equal, as nothing is left out here"
        if not target.error <= bench.tolerance(name):
            faults.append(f"not the exact gradient of the {claim.of} ({target.leaf})")
        if bench.memory["cut"] > DIFFERENT and not other.error > DIFFERENT:
            faults.append("the window's and the stream's gradient are different, it cannot be both")
    elif claim.noise in ("signs", "cuts"):
        note = "one random draw of many"  # the enumeration shows that a draw alone is not exact
    else:
        least = apart(claim, bench, expected) if claim.definition else bench.memory[claim.of]
        if claim.noise == "directions":
            least = math.inf
        note = "one random draw of many" if claim.noise != "none" else f"differs from the {claim.of}'s, as it must"
        if least <= DIFFERENT:
            note = f"what it leaves out weighs {least:.0e} here"
        elif not target.error > DIFFERENT:
            faults.append("the exact gradient, where theory says that it is not")
    return replace(row, verdict="FAIL" if faults else "PASS", reason="; ".join(faults) or note)


def apart(claim: Claim, bench: Bench, expected: list[dict[str, Any]]) -> float:
    """Error of an approximate method's definition against the exact gradient that it is about."""
    if claim.of == "stream":
        return difference(mean(expected, bench.instance.shares), bench.stream.gradient).error
    pairs = zip(expected, bench.windows, strict=True)
    return max(difference(parts, truth.gradient).error for parts, truth in pairs)


def faults_of_definition(trial: Trial, expected: list[dict[str, Any]]) -> list[str]:
    """Faults of windows whose gradient, initial state included, is not the method's definition."""
    parts = [difference(of_window(w), truth) for w, truth in zip(trial.windows, expected, strict=True)]
    wrong = [f"{part.leaf} of window {index}" for index, part in enumerate(parts) if not part.error <= ROUNDING]
    return [f"not what it is defined to be ({wrong[0]})"] if wrong else []


def faults_of(claim: Claim, bench: Bench, trial: Trial) -> list[str]:
    """Faults in the parts common to all methods: finite numbers, loss, last state, and the read-out where claimed."""
    faults = []
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(trial.mean)):
        faults.append("its gradient is not finite")
    for part in ("loss", "new_carry"):
        pairs = [
            tuple(numbers(getattr(window, part)) for window in both)
            for both in zip(trial.windows, bench.windows, strict=True)
        ]
        limit = max(ROUNDING, bench.amplified(claim, part))
        if not max(difference(a, e).error for a, e in pairs) <= limit:
            faults.append(f"its {part} is not that of the window")
    if claim.readout and not all(jax.tree.leaves(bench.acts)):
        of_readout = [
            difference(bench.of_readout(w.params), bench.of_readout(t.params)).error
            for w, t in zip(trial.windows, bench.windows, strict=True)
        ]
        if not max(of_readout) <= max(ROUNDING, bench.amplified(claim)):
            faults.append("the read-out acts on no state, and its gradient is not exact")
    return faults


def numbers(tree: Any) -> Any:
    """The tree without keys of random numbers, which have no distance."""
    return jax.tree.map(lambda leaf: None if is_key(leaf) else leaf, tree)


def strip(found: dict[str, Any], claim: Claim) -> dict[str, Any]:
    """Leaves out the carry of a method of windows: it belongs to another state in each window of a stream."""
    return found if claim.of == "stream" else {"params": found["params"]}


def bias_of(claim: Claim, target: Difference) -> str:
    """Bias in words: without noise the difference itself; with noise see the theory."""
    if claim.vanishes_with:
        return f"O({claim.vanishes_with}²)"
    return "" if claim.kind == "unbiased" else f"{target.bias:.1%}"


def settle(row: Row, checks: list[Check]) -> Row:
    """Settles the verdict: a method that fails one check of the theory has failed."""
    own = [check for check in checks if check.method == row.method]
    failed = sorted({check.number for check in own if check.verdict == "FAIL"})
    if row.kind == "unbiased" and not row.bias:
        proved = any(check.number == 7 and check.verdict == "PASS" for check in own)
        row = replace(row, bias="unbiased (enumerated)" if proved and 7 not in failed else "not shown unbiased")
    if failed:
        theory = f"theory {', '.join(map(str, failed))} fails"
        reason = f"{row.reason}; {theory}" if row.verdict == "FAIL" else theory
        row = replace(row, verdict="FAIL", reason=reason)
    return row
