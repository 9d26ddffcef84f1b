"""The fields `gradient.*` of a config."""

from dataclasses import dataclass
from typing import Literal

from rnnjax.config.checks import at_least, check, more_than_zero, typed

GradientMethod = Literal[
    "autodiff",
    "manual",
    "textbook",
    "checkpointed",
    "rtrl",
    "parallel_scan",
    "deer",
    "finite_difference",
    "truncated",
    "truncated_gates",
    "artbp",
    "snap",
    "rflo",
    "uoro",
    "kf_rtrl",
    "forward_gradient",
    "spsa",
]

Kernel = Literal["auto", "none", "numba"]


@dataclass(frozen=True)
class GradientConfig:
    """Method of a window's gradient, and its options. A method reads its own fields, and not the others.

    Attributes:
      method: exact: autodiff (jax.grad through the scan), manual (hand-written back-propagation through time, the fast
        one), textbook (the double sum over steps, corrected: for small cases, as its cost grows with the square of T),
        checkpointed (autodiff that keeps few states), rtrl (forward in time, across windows: for few units),
        parallel_scan (back in time as one parallel scan: for few units), deer (Newton's method on the whole trajectory,
        forward and back: for few units and long windows), finite_difference (for very few).
        truncated: truncated (back k2_steps, every k1_steps), artbp (cut at random, reweighted), truncated_gates (back
        along the memory of an LSTM alone, nothing through W: one layer).
        approximate, forward in time and across windows: snap, rflo (one layer of leaky units), uoro and kf_rtrl (right
        on average). From forward passes: forward_gradient (right on average), spsa (evolution strategies).
      insist: go on where a method is refused for the memory or the time that it is estimated to take.
      kernel: manual: the program of a layer's loops over time. none: XLA's. numba: a kernel for plain layers of LSTM or
        simple tanh units on a CPU, in float32 and without masks (pip install 'rnnjax[kernels]'); others take XLA's.
        auto: numba where it is installed and pays, else none; a run keeps what it began with.
      segments: checkpointed: sqrt (the square root of T segments), or recursive (halves of halves).
      k1_steps: truncated: steps after which the errors of as many steps are taken back.
      k2_steps: truncated: steps that they are taken back.
      cut_probability: artbp: how often the error is cut between two steps.
      snap_steps: snap: n, steps within which an influence must arrive to be kept.
      feedback: rflo: what brings the error to the units, readout (V transposed) or random (a fixed random matrix).
      directions: forward_gradient, spsa: random directions averaged in one gradient.
      distribution: forward_gradient, spsa: of the directions, gaussian or rademacher (signs).
      sigma: spsa: how far the parameters are moved along a direction.
      solver: deer: with whole Jacobians (deer), with what each unit does to itself (quasi), or with either in a trust
        region (elk, quasi_elk).
      tolerance: deer, and model.unroll: of each step, as a share of max(1, |state|); 0 is that of run.precision, 1e-12
        or 3e-6.
      iterations: the same: after as many, steps that are not within the tolerance are computed one after the other.
      damping: the same: the share of the Jacobian that is left out, from 0 to 1.
      chunk_steps: the same: steps that are solved at once, for what they take of memory; 0 is the whole window.
      start: the same: the first guess: zeros; held, the state before the window throughout; or epoch, for a text, the
        states that were found at the same places in the pass before, which are kept, in checkpoints too.
      start_steps: the same: first steps of that guess that are computed one after the other; held then holds the last.
    """

    method: GradientMethod = "manual"
    insist: bool = False
    kernel: Kernel = "auto"
    segments: Literal["sqrt", "recursive"] = "sqrt"
    k1_steps: int = 1
    k2_steps: int = 10
    cut_probability: float = 0.1
    snap_steps: int = 1
    feedback: Literal["readout", "random"] = "readout"
    directions: int = 1
    distribution: Literal["gaussian", "rademacher"] = "rademacher"
    sigma: float = 0.01
    solver: Literal["deer", "quasi", "elk", "quasi_elk"] = "deer"
    tolerance: float = 0.0
    iterations: int = 100
    damping: float = 0.0
    chunk_steps: int = 0
    start: Literal["zeros", "held", "epoch"] = "zeros"
    start_steps: int = 0

    def __post_init__(self) -> None:
        typed(self, "gradient")
        at_least(1, gradient__k1_steps=self.k1_steps, gradient__snap_steps=self.snap_steps)
        check(self.k2_steps >= self.k1_steps, "gradient.k2_steps", self.k2_steps, "at least gradient.k1_steps")
        check(0 <= self.cut_probability < 1, "gradient.cut_probability", self.cut_probability, "in [0, 1)")
        at_least(1, gradient__directions=self.directions)
        more_than_zero(gradient__sigma=self.sigma)
        check(0 <= self.tolerance < 1, "gradient.tolerance", self.tolerance, "in [0, 1)")
        check(0 <= self.damping <= 1, "gradient.damping", self.damping, "in [0, 1]")
        at_least(1, gradient__iterations=self.iterations)
        at_least(0, gradient__chunk_steps=self.chunk_steps, gradient__start_steps=self.start_steps)
