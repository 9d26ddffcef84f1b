"""Checkpoints of a run: which are kept, and that a damaged one is found."""

import os

import numpy as np
import pytest

from rnnjax.run.checkpoint import Checkpoint, Checkpoints, DamagedCheckpoint, checksum


def arrays(step):
    draw = np.random.default_rng(step)
    return {"params.W": draw.normal(size=(64, 64)).astype(np.float32), "step": np.array(step, np.int32)}


@pytest.fixture
def checkpoints(tmp_path):
    """Six checkpoints, of which the newest two and the best are kept."""
    opened = Checkpoints(tmp_path / "run" / "checkpoints", keep=2)
    for step, loss in [(1, 2.0), (2, 1.0), (3, None), (4, 1.5), (5, None), (6, 1.2)]:
        opened.save(step, arrays(step), loss)
    opened.wait()
    yield opened
    opened.close()


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)


def files_of(checkpoint):
    return [file for file in (checkpoint / "state").rglob("*") if file.is_file() and file.stat().st_size > 100]


def test_the_newest_checkpoints_and_the_best_are_kept(checkpoints):
    assert checkpoints.steps() == [6, 5, 2]
    assert checkpoints.best().checkpoint.step == 2
    assert checkpoints.validation_losses() == {6: 1.2, 2: 1.0}
    for step, loss in [(6, 1.2), (5, None), (2, 1.0)]:
        found = checkpoints.restore(step)
        assert (found.step, found.validation_loss) == (step, loss)
        assert {name: a.tobytes() for name, a in found.arrays.items()} == {
            n: a.tobytes() for n, a in arrays(step).items()
        }


@pytest.mark.parametrize("which", ["every file", "the largest file"])
def test_a_flipped_bit_is_found_and_the_checkpoint_before_is_used(checkpoints, tmp_path, which):
    files = files_of(tmp_path / "run" / "checkpoints" / "6")
    for file in files if which == "every file" else [max(files, key=lambda file: file.stat().st_size)]:
        flip(file)
    whole, damaged = checkpoints.newest()
    ((step, damage),) = damaged.items()
    assert step == 6
    assert isinstance(damage, DamagedCheckpoint)
    assert isinstance(whole, Checkpoint)
    assert whole.step == 5
    aside = checkpoints.put_aside(6)
    assert aside.is_dir()
    assert checkpoints.steps() == [5, 2]
    checkpoints.save(6, arrays(6), None)
    checkpoints.wait()
    assert checkpoints.restore(6).step == 6


@pytest.mark.parametrize("name", ["about/metadata", "state/manifest.ocdbt", "_CHECKPOINT_METADATA"])
def test_nobody_waits_for_a_pipe_in_a_checkpoint(checkpoints, tmp_path, name):
    path = tmp_path / "run" / "checkpoints" / "6" / name
    path.unlink()
    os.mkfifo(path)
    whole, damaged = checkpoints.newest()
    assert (whole.step, str(damaged[6])) == (5, f"{path.name} is no plain file")


def test_a_run_is_opened_whatever_orbax_said_of_a_step(checkpoints, tmp_path):
    path = tmp_path / "run" / "checkpoints" / "6" / "_CHECKPOINT_METADATA"
    for content in (b"", b"[]", b"5", b"[" * 99_999, b'{"commit_timestamp_nsecs": "x", "metrics": 3}', b"\xff"):
        path.write_bytes(content)
        opened = Checkpoints(tmp_path / "run" / "checkpoints", read_only=True)
        assert opened.steps() == [6, 5, 2]
        assert opened.best().checkpoint.step == 2
        opened.close()
    checkpoints.put_aside(5)
    assert checkpoints.steps() == [6, 2]


def test_a_checksum_covers_bytes_shape_and_type():
    array = np.arange(6, dtype=np.int32)
    other = array.copy()
    other.view(np.uint8)[9] ^= 1
    sums = [checksum(a) for a in (array, other, array.reshape(2, 3), array.view(np.uint32), array.view(np.float32))]
    assert len(set(sums)) == 5
    assert checksum(array.copy()) == sums[0]
