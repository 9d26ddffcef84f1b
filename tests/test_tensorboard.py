"""Event files as TensorBoard reads them, and a disk that is full while they are written."""

import socket
import struct
import time

import pytest

from rnnjax.run.tensorboard import TensorBoard

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")


def read_events(path):
    """Events of a file of records: length, its checksum, the event, its checksum."""
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(event_pb2.Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def test_every_number_of_a_line_is_a_scalar_and_later_events_are_purged(tmp_path):
    board = TensorBoard(tmp_path, 40)
    board.write({"step": 50, "loss": 2.5, "validation_loss": None, "window": 10})
    (path,) = (tmp_path / "tensorboard").iterdir()
    first, start, line = read_events(path)
    assert first.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (41, event_pb2.SessionLog.START)
    assert (line.step, {one.tag: one.simple_value for one in line.summary.value}) == (50, {"loss": 2.5, "window": 10})


def test_the_caller_hears_of_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1700000000.0)
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard/events.out.tfevents.1700000000.here").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        TensorBoard(tmp_path, 0)
