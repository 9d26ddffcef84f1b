"""TensorBoard event files, on request."""

from pathlib import Path

from rnnjax.errors import UserError


class TensorBoard:
    """Writes every number of a metrics line as a scalar of its own, beside metrics.jsonl."""

    def __init__(self, directory: Path, last_step: int) -> None:
        """Opens the event files, and purges events after `last_step`, from which training goes on."""
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UserError("run.tensorboard needs an extra: pip install 'rnnjax[tensorboard]'") from None
        self._writer = SummaryWriter(str(directory / "tensorboard"), purge_step=last_step + 1)

    def write(self, row: dict) -> None:
        for name, value in row.items():
            if name != "step" and value is not None:
                self._writer.add_scalar(name, value, row["step"])
        self._writer.flush()
