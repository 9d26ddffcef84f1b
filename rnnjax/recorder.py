"""The host's side of a run: it records metrics, samples and checkpoints between two chunks of steps."""

import math

import numpy as np

from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.run.checkpoint import Checkpoints
from rnnjax.run.directory import RunDirectory
from rnnjax.run.metrics import MetricsLog
from rnnjax.run.progress import Reporter
from rnnjax.run.tensorboard import TensorBoard
from rnnjax.training.sharding import whole
from rnnjax.training.state import StepInfo, TrainState, to_arrays


class Recorder:
    """Recorder of metrics, samples, validation losses and checkpoints of a run, from one step on.

    The metrics of a chunk are read only once the next one runs, so the device never waits.

    Attributes:
      step: last step of the latest chunk handed to the device.
      saved: step of the last checkpoint.
    """

    def __init__(
        self,
        config: Config,
        directory: RunDirectory,
        checkpoints: Checkpoints,
        reporter: Reporter,
        step: int,
        lowest: float = math.inf,
    ) -> None:
        """Begins after a step; `lowest` is the lowest validation loss up to it."""
        self.step = self.saved = step
        self._config, self._directory, self._checkpoints, self._reporter = config, directory, checkpoints, reporter
        also = TensorBoard(directory.path, step).write if config.run.tensorboard else None
        self._log = MetricsLog(directory.metrics, step, config.training.log_every_steps, also)
        self._lowest = lowest
        self._loss: float | None = None
        self._skipped_in_a_row = 0
        self._under_way: tuple[StepInfo, int] | None = None

    def take(self, infos: StepInfo, count: int) -> None:
        """Takes a chunk of `count` steps that the device has just begun, and reads the metrics of the one before."""
        self.settle()
        self._under_way = infos, count
        self._loss = None
        self.step += count

    def settle(self) -> None:
        """Waits for the chunk under way, and records its metrics.

        Raises:
          UserError: if too many steps in a row were not finite.
        """
        if self._under_way is None:
            return
        infos, count = self._under_way
        self._under_way = None
        rows = {name: np.asarray(values)[:count] for name, values in infos._asdict().items()}
        self._log.add(rows)
        self._reporter.update(self._log.step, float(np.mean(rows["loss"])))
        if skipped := int(rows["skipped"].sum()):
            self._reporter.say(
                f"skipped {skipped} of the {count} steps up to {self._log.step:,}: loss or gradient was not finite"
            )
        self._skipped_in_a_row = int(rows["skipped_in_a_row"][-1])
        if (worst := int(rows["skipped_in_a_row"].max())) >= self._config.training.max_skipped_steps:
            self._give_up(worst)

    def _give_up(self, in_a_row: int) -> None:
        self._log.flush()
        self._checkpoints.wait()
        saved = next(iter(self._checkpoints.steps()), None)
        kept = "has no checkpoint yet" if saved is None else f"keeps its checkpoint of step {saved:,}"
        clip = "" if self._config.optimizer.clip != "none" else ", or clip"
        raise UserError(
            f"loss or gradient was not finite in {in_a_row} steps in a row up to step {self._log.step:,}; "
            f"{self._directory.path} {kept}; lower optimizer.learning_rate{clip}, under another run.name"
        )

    def write_sample(self, text: str) -> None:
        """Writes the network's sample after this step, and shows it if that is due."""
        self._directory.write_sample(self.step, text)
        if is_due(self.step, self._config.sampling.show_every_steps):
            self._reporter.say(f"\n--- a sample at step {self.step:,} ---\n{text}\n---\n")

    def measure(self, validation_loss: float, **more: float) -> bool:
        """Records the validation loss after this step, and what else was measured. Returns True if it is the lowest."""
        self.settle()
        self._log.flush(validation_loss=validation_loss, **more)
        self._reporter.show_validation(validation_loss)
        self._loss = validation_loss if math.isfinite(validation_loss) else None
        is_lowest = self._loss is not None and self._loss < self._lowest
        if is_lowest:
            self._lowest = validation_loss
        return is_lowest

    def save(self, state: TrainState) -> None:
        """Saves the state after this step."""
        self.settle()
        self._log.flush()
        if self._skipped_in_a_row and self.step < self._config.training.steps:
            return  # a run that is going wrong must not push out the last good checkpoint
        self._log.sync()
        self._checkpoints.save(self.step, to_arrays(whole(state)), self._loss, self._log.mark)
        self.saved = self.step

    def close(self) -> None:
        """Waits until all checkpoints are on the disk."""
        self._checkpoints.wait()
        self._log.close()


def is_due(step: int, period: int) -> bool:
    """True if an event of period `period` happens after this step; a period of 0 is never."""
    return period > 0 and step % period == 0
