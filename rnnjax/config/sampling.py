"""The fields `sampling.*` of a config."""

import math
from dataclasses import dataclass
from typing import Literal

from rnnjax.config.checks import at_least, can_be_written, check, typed


@dataclass(frozen=True)
class SamplingConfig:
    """The songs written while the network learns.

    Attributes:
      method: stateful (each character follows from the carried state and the one before), or textbook (the book's: each
        new character re-reads a sliding window of sequence_length characters, from the state the last reading left).
      every_steps: training steps between two samples, the first before training; 0 writes only the one at the end.
      show_every_steps: training steps between two samples shown on the screen; the others are only kept in the run.
      length: characters of a sample.
      temperature: divides the logits; below 1 is more cautious, 0 takes the likeliest character.
      top_k: draw only from the k likeliest characters; 0 draws from all.
    """

    method: Literal["stateful", "textbook"] = "stateful"
    every_steps: int = 1_000
    show_every_steps: int = 5_000
    length: int = 500
    temperature: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        typed(self, "sampling")
        at_least(
            0,
            sampling__every_steps=self.every_steps,
            sampling__temperature=self.temperature,
            sampling__top_k=self.top_k,
        )
        at_least(1, sampling__length=self.length, sampling__show_every_steps=self.show_every_steps)
        can_be_written("sampling.length", self.length)
        check(math.isfinite(self.temperature), "sampling.temperature", self.temperature, "finite")
