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
from rnnjax.certificate.claims import CLAIMS, ROUNDING, Claim
from rnnjax.certificate.difference import Difference, difference
from rnnjax.certificate.trial import Cost, Trial, mean


@dataclass(frozen=True)
class Row:
    """What was found of one method. What was not measured is None.

    Attributes:
      window, stream: how far it is from each of the two exact gradients.
      bias: in words.
      verdict: PASS, FAIL or n/a.
    """

    method: str
    kind: str
    of: str = ""
    window: Difference | None = None
    stream: Difference | None = None
    bias: str = ""
    cost: Cost | None = None
    verdict: str = "n/a"
    reason: str = ""

    @property
    def target(self) -> Difference | None:
        """The difference from the exact gradient that the method is about."""
        return self.stream if self.of == "stream" else self.window


def row_of(name: str, bench: Bench) -> Row:
    """Runs a method and judges it, without the checks of the theory."""
    claim = CLAIMS.get(name)
    if claim is None:
        return Row(name, "?", reason="certificate.claims does not say what theory says of it")
    if reason := bench.refusal(name):
        return Row(name, claim.kind, claim.of, reason=reason)
    try:
        return judge(name, claim, bench, bench.trial(name))
    except Exception as error:  # whatever it is, it is the method's fault, and the others go on
        return Row(name, claim.kind, claim.of, verdict="FAIL", reason=raised(error))


def judge(name: str, claim: Claim, bench: Bench, trial: Trial) -> Row:
    """Holds a trial against what theory says."""
    found = trial.mean
    window = difference(found, mean([truth.gradient for truth in bench.windows]), claim.floor)
    if claim.of == "window":  # window by window is stricter than their mean
        parts = [
            difference({"params": w.params, "carry": w.carry}, truth.gradient, claim.floor)
            for w, truth in zip(trial.windows, bench.windows, strict=True)
        ]
        worst = max(parts, key=lambda part: part.error if math.isfinite(part.error) else math.inf)
        window = window._replace(error=worst.error, leaf=worst.leaf)
    stream = difference(strip(found, claim), strip(bench.stream.gradient, claim))
    row = Row(name, claim.kind, claim.of, window, stream, cost=trial.cost)
    target, other = (window, stream) if claim.of == "window" else (stream, window)
    is_exact = claim.kind == "exact" or claim.exact_if(bench.instance, bench.config)
    row = replace(row, bias="0" if is_exact else claim.bias or bias_of(claim, target))
    faults = faults_of(name, claim, bench, trial)
    if is_exact:
        note = f"equal to the {claim.of}'s" if claim.kind == "exact" else "equal, as nothing is left out here"
        if not target.error <= bench.tolerance(name):
            faults.append(f"not the exact gradient of the {claim.of} ({target.leaf})")
        if bench.memory["cut"] > DIFFERENT and not other.error > DIFFERENT:
            faults.append("the window's and the stream's gradient are different, it cannot be both")
    elif claim.noise == "directions" or bench.memory[claim.of] > DIFFERENT:
        note = f"differs from the {claim.of}'s, as it must" if claim.noise == "none" else "one random draw of many"
        if not target.error > DIFFERENT:
            faults.append("the exact gradient, where theory says that it is not")
    else:
        note = "this network remembers nothing that could be left out"
    return replace(row, verdict="FAIL" if faults else "PASS", reason="; ".join(faults) or note)


def faults_of(name: str, claim: Claim, bench: Bench, trial: Trial) -> list[str]:
    """What every method must get right: numbers, the loss, the state that it leaves, and where claimed V and by."""
    faults = []
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(trial.mean)):
        faults.append("its gradient is not finite")
    for part in ("loss", "new_carry"):
        pairs = [(getattr(w, part), getattr(t, part)) for w, t in zip(trial.windows, bench.windows, strict=True)]
        if not max(difference(a, e).error for a, e in pairs) <= ROUNDING:
            faults.append(f"its {part} is not that of the window")
    if claim.readout:
        of_readout = [
            difference((w.params.V, w.params.by), (t.params.V, t.params.by)).error
            for w, t in zip(trial.windows, bench.windows, strict=True)
        ]
        if not max(of_readout) <= ROUNDING:
            faults.append("V and by act on no state, and their gradient is not exact")
    if name == "truncated" and not bench.instance.model.bidirectional:
        expected = truncated_sum(bench)
        if not difference(trial.mean["params"], expected).error <= ROUNDING:
            faults.append("not the double sum over the pairs within reach")
    return faults


def truncated_sum(bench: Bench) -> Any:
    """The double sum over the pairs that truncation with the config's k1 and k2 keeps in each window."""
    (j, k), T = bench.steps, bench.instance.shape[0]
    k1 = min(bench.config.k1_steps, T)
    end = np.minimum((j % T // k1 + 1) * k1, T)
    return bench.sum_of_pairs((j // T == k // T) & (k <= j) & (k % T >= end - bench.config.k2_steps))


def strip(found: dict[str, Any], claim: Claim) -> dict[str, Any]:
    """Against the stream, the carry of a method of windows belongs to another state in each window."""
    return found if claim.of == "stream" else {"params": found["params"]}


def bias_of(claim: Claim, target: Difference) -> str:
    """Of a method without noise the difference itself; of another see the theory."""
    return "" if claim.kind == "unbiased" else f"{target.bias:.1%}"


def settle(row: Row, checks: list[Check]) -> Row:
    """The verdict, the checks of the theory included: what fails one of them has failed."""
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
