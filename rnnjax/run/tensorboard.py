"""TensorBoard event files, on request."""

import time
from pathlib import Path

from rnnjax.errors import UserError


class TensorBoard:
    """Writes every number of a metrics line as a scalar of its own, beside metrics.jsonl.

    It writes in the thread of its caller, who then hears of a full disk; `SummaryWriter` has one that would print it.
    """

    def __init__(self, directory: Path, last_step: int) -> None:
        """Opens an event file, and purges events after `last_step`, from which training goes on."""
        try:
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto import event_pb2, summary_pb2
        except ImportError:
            raise UserError("run.tensorboard needs an extra: pip install 'rnnjax[tensorboard]'") from None
        folder = directory / "tensorboard"
        folder.mkdir(exist_ok=True)
        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._writer = EventsWriter(str(folder / "events"))
        begins = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._writer.write_event(self._event(wall_time=time.time(), step=last_step + 1, session_log=begins))
        self._writer.flush()

    def write(self, row: dict) -> None:
        """Writes one line of metrics through to the file."""
        numbers = {name: value for name, value in row.items() if name != "step" and value is not None}
        values = [self._summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self._writer.write_event(
            self._event(wall_time=time.time(), step=row["step"], summary=self._summary(value=values))
        )
        self._writer.flush()
