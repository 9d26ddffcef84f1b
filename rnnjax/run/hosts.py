"""One run over several hosts, by `jax.distributed`: each process computes a share of every batch, process 0 leads.

The leader has the run's directory and the screen; the others follow step by step and leave nothing behind. The leader
shares all that it alone knows. On all that any process may learn, such as an interrupt, they agree before they act.
With one process none of this happens.
"""

import atexit
import os
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import jax
import numpy as np

from rnnjax.cli import BAD_INPUT
from rnnjax.config import RunConfig
from rnnjax.errors import UserError
from rnnjax.run.checkpoint import Arrays, Checkpoints, FoundCheckpoint
from rnnjax.run.interrupt import INTERRUPTED

Result = TypeVar("Result")

SECONDS_TO_MEET = 60
SECONDS_WITHOUT_A_SIGN = 60
"""Seconds without a sign after which a process counts as lost, and JAX ends the others."""

SECONDS_TO_FINISH = 7 * 24 * 3600
"""Most seconds that the others wait at their end for the leader, which still measures and draws."""

SECONDS_TO_FOLLOW = 3
"""Seconds that a failing leader leaves the others to end by themselves; otherwise JAX ends them with a stack trace."""


@contextmanager
def joined(run: RunConfig) -> Iterator[None]:
    """Joins the processes of a run into one while it is entered, before JAX has made any array.

    Raises:
      UserError: if not all processes come, or one is lost on the way.
    """
    if not run.coordinator:
        yield
        return
    meet(run)
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        leave_at_exit(BAD_INPUT)
        reason = str(error).splitlines()[0][:160]
        raise UserError(
            f"another process of the run has ended ({reason}); what was saved is intact, and the same commands go on"
        ) from error
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        leave_at_exit(INTERRUPTED if interrupted else BAD_INPUT if isinstance(error, UserError | OSError) else 1)
        raise


def meet(run: RunConfig) -> None:
    """Waits until all processes are there."""
    place = {"coordinator_address": run.coordinator, "num_processes": run.processes, "process_id": run.process}
    complaint = f"run.coordinator: the {run.processes} processes did not meet at {run.coordinator}"
    if run.coordinator == "auto":
        place, complaint = {}, "run.coordinator: the processes of this cluster did not meet"
    # JAX, where it waits in vain, aborts.
    late = threading.Timer(SECONDS_TO_MEET, give_up, [f"{complaint} within {SECONDS_TO_MEET} s; start each of them"])
    late.daemon = True
    late.start()
    try:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(
            **place,  # type: ignore[arg-type]
            initialization_timeout=10 * SECONDS_TO_MEET,
            heartbeat_timeout_seconds=SECONDS_WITHOUT_A_SIGN,
            shutdown_timeout_seconds=SECONDS_TO_FINISH,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{complaint} ({str(error).splitlines()[0][:160]})") from None
    finally:
        late.cancel()


def give_up(message: str) -> NoReturn:
    """Ends the process from any thread, as `rnnjax.cli.run` does for a UserError."""
    print(f"rnnjax: error: {message}", file=sys.stderr, flush=True)
    os._exit(BAD_INPUT)


def leave_at_exit(code: int) -> None:
    """Lets the process end with this code without the others, for which JAX would wait."""

    def leave() -> NoReturn:
        sys.stdout.flush()
        sys.stderr.flush()
        if leads():
            time.sleep(SECONDS_TO_FOLLOW)
        os._exit(code)

    atexit.register(leave)


def leads() -> bool:
    """True in process 0."""
    return jax.process_index() == 0


def gather(number: int) -> np.ndarray:
    """Gathers a whole number of every process [processes], on each of them."""
    from jax.experimental.multihost_utils import process_allgather

    return process_allgather(np.int32(number))


def agree(asked: bool) -> bool:
    """True, on every process, where any of them asks."""
    return asked if jax.process_count() == 1 else bool(gather(asked).any())


def each(work: Callable[[], Result]) -> Result:
    """Does work on every process before any goes on; where one fails, all do."""
    if jax.process_count() == 1:
        return work()
    try:
        result = work()
    except Exception:
        agree(True)
        raise
    if agree(False):
        raise UserError("another process of the run cannot begin, and says why")
    return result


def share(tree: Any) -> Any:
    """Shares the leader's arrays with every process; each must give arrays of the same shapes."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return broadcast_one_to_all(tree)


def check_same(**values: object) -> None:
    """Raises UserError, on every process, where these are not the same on all."""
    for name, value in values.items():
        if jax.process_count() > 1 and len(set(gather(zlib.crc32(repr(value).encode()) >> 1).tolist())) > 1:
            raise UserError(f"the processes of the run differ in {name}; start all with the same command and files")


@contextmanager
def own_directory(path: Path) -> Iterator[Path]:
    """The run's directory for the leader; for another process a temporary directory and a silent screen."""
    if leads():
        yield path
        return
    with tempfile.TemporaryDirectory() as scratch, open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield Path(scratch)


class NoCheckpoints(Checkpoints):
    """Checkpoints of a process that does not lead: it saves nothing."""

    def __init__(self) -> None:
        self.origin = {}

    def kept_origin(self) -> dict[str, Any]:
        return {}

    def steps(self) -> list[int]:
        return []

    def save(self, step: int, arrays: Arrays, validation_loss: float | None, metrics: str = "") -> None:
        pass

    def wait(self) -> None:
        pass

    def mark(self, step: int) -> None:
        return None

    def newest(self) -> FoundCheckpoint:
        return FoundCheckpoint(None, {})

    def validation_losses(self) -> dict[int, float]:
        return {}

    def close(self) -> None:
        pass
