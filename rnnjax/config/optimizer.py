"""The fields `optimizer.*` of a config."""

from dataclasses import dataclass
from typing import Literal

from rnnjax.config.checks import at_least, more_than_zero, typed


@dataclass(frozen=True)
class OptimizerConfig:
    """Clipping, then Adam or plain gradient descent.

    Attributes:
      algorithm: adam, or sgd (stochastic gradient descent, without momentum).
      learning_rate: the step size, at its peak.
      clip: value (each element, as the book's code does), global_norm (the whole gradient, as the book's formula says),
        per_leaf_norm (each parameter array), or none.
      clip_threshold: the largest element, or the largest norm, that is left alone.
      warmup_steps: steps over which the learning rate grows linearly from 0 to learning_rate.
      decay: constant, or cosine (from learning_rate at the end of the warm-up to final_learning_rate at the last step).
      final_learning_rate: where the cosine ends.
      weight_decay: decoupled weight decay (AdamW), applied to the matrices, not to the biases; 0 is plain Adam.
    """

    algorithm: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    clip: Literal["value", "global_norm", "per_leaf_norm", "none"] = "global_norm"
    clip_threshold: float = 5.0
    warmup_steps: int = 0
    decay: Literal["constant", "cosine"] = "constant"
    final_learning_rate: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        typed(self, "optimizer")
        more_than_zero(optimizer__learning_rate=self.learning_rate, optimizer__clip_threshold=self.clip_threshold)
        at_least(
            0,
            optimizer__warmup_steps=self.warmup_steps,
            optimizer__final_learning_rate=self.final_learning_rate,
            optimizer__weight_decay=self.weight_decay,
        )
