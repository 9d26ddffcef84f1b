"""What theory says of each method. A new method gets a line here beside its line in `gradients.METHODS`."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import numpy as np

from rnnjax.certificate.instances import Instance
from rnnjax.config import GradientConfig

Kind = Literal["exact", "truncated", "approximate", "unbiased"]
Case = Callable[[Instance, GradientConfig], bool]

ROUNDING = 1e-10


def never(instance: Instance, config: GradientConfig) -> bool:
    return False


class Claim(NamedTuple):
    """What theory says of a method.

    Attributes:
      kind: exact; truncated: drops what lies further back; approximate: drops something else; unbiased: right on
        average over its noise.
      of: window: its gradient is that of one window, the state before it constant. stream: its trace goes on, and the
        gradients of consecutive windows sum up to that of the whole stream.
      tolerance: of an exact method, and of one that is exact in this case.
      floor: see `difference`: what rounding alone may be off by is tolerance x floor.
      exact_if: when a method that is not exact must give the exact gradient nevertheless.
      readout: whether V and by, which act on no state, get their exact gradient in any case.
      noise: what is random. steps: what goes from step to step; directions: everything.
      bias: in words, where a method that is random is not unbiased.
    """

    kind: Kind
    of: Literal["window", "stream"] = "window"
    tolerance: float = ROUNDING
    floor: float = 0.0
    exact_if: Case = never
    readout: bool = True
    noise: Literal["none", "steps", "directions"] = "none"
    bias: str = ""


def whole_window(instance: Instance, config: GradientConfig) -> bool:
    return config.k2_steps >= instance.shape[0] and config.k1_steps <= config.k2_steps


def covers(instance: Instance, config: GradientConfig) -> bool:
    """Whether every influence that can ever arrive arrives within n steps."""
    once, step = graph(instance)
    reached = once
    for _ in range(min(config.snap_steps, len(step)) - 1):
        reached = reached @ step > 0
    closure = reached
    for _ in range(len(step)):
        closure = closure @ step > 0
    return bool(np.array_equal(reached, closure))


def graph(instance: Instance) -> tuple[np.ndarray, np.ndarray]:
    """Which unit, of all layers side by side, acts on which: within a step, and with the next one [L·H, L·H]."""
    L, H = instance.model.layers, instance.model.hidden
    once, recurrent = np.eye(L * H, dtype=bool), np.eye(L * H, dtype=bool)
    for level, layer in enumerate(instance.params.layers):
        here, above = slice(level * H, (level + 1) * H), slice((level + 1) * H, None)
        once[here, above] = True
        recurrent[here, here] |= np.any(np.asarray(layer.W).reshape(H, -1, H) != 0, axis=1)
    return once, (recurrent @ once) > 0


def no_recurrence(instance: Instance, config: GradientConfig) -> bool:
    return config.feedback == "readout" and not any(np.any(layer.W) for layer in jax.device_get(instance.params.layers))


def no_cuts(instance: Instance, config: GradientConfig) -> bool:
    return config.cut_probability == 0


CLAIMS: dict[str, Claim] = {
    "autodiff": Claim("exact"),
    "manual": Claim("exact"),
    "textbook": Claim("exact"),
    "checkpointed": Claim("exact"),
    "rtrl": Claim("exact", "stream"),
    "parallel": Claim("exact"),
    "finite_difference": Claim("exact", tolerance=1e-6, floor=1e-3, readout=False),
    "truncated": Claim("truncated", exact_if=whole_window),
    "artbp": Claim("unbiased", exact_if=no_cuts, noise="steps"),
    "snap": Claim("approximate", "stream", exact_if=covers),
    "rflo": Claim("approximate", "stream", exact_if=no_recurrence),
    "uoro": Claim("unbiased", "stream", noise="steps"),
    "kf_rtrl": Claim("unbiased", "stream", noise="steps"),
    "forward_gradient": Claim("unbiased", readout=False, noise="directions"),
    "spsa": Claim("approximate", readout=False, noise="directions", bias="O(σ²)"),
}
