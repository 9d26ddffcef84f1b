"""The fields `training.*` of a config."""

from dataclasses import dataclass
from typing import Literal

from rnnjax.config.checks import at_least, typed


@dataclass(frozen=True)
class TrainingConfig:
    """The loop.

    Attributes:
      steps: training steps of the whole run, one window of every stream each.
      batch_size: B, parallel streams of text, stretches of a single series, or whole examples.
      sequence_length: T, characters of a window, or steps of one of a single series: the length of truncated
        back-propagation through time. Examples, several series among them, are read whole.
      windows: places of the windows in the text, or in a single series. shifted: what does not fill a window at the end
        is read in the next pass, as the windows move from pass to pass. fixed: the same in every pass, as in the book.
      steps_per_dispatch: most training steps that the device runs before the host looks in.
      log_every_steps: steps averaged into one line of metrics.jsonl.
      eval_every_steps: steps between two measurements of the validation loss.
      eval_characters: most characters of the validation text that one measurement reads, from its beginning.
      max_skipped_steps: consecutive non-finite steps after which the run stops; each of them leaves the model alone.
      seed: seed of the weights and of the samples.
    """

    steps: int = 10_000
    batch_size: int = 32
    sequence_length: int = 64
    windows: Literal["shifted", "fixed"] = "shifted"
    steps_per_dispatch: int = 100
    log_every_steps: int = 100
    eval_every_steps: int = 1_000
    eval_characters: int = 1_000_000
    max_skipped_steps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        typed(self, "training")
        for name, value in vars(self).items():
            if name != "windows":
                at_least(0 if name == "seed" else 1, **{f"training__{name}": value})
