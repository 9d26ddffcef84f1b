"""The batches of a run, one after the other or side by side in processes of one thread each."""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from time import process_time
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import UserError
from rnnjax.museum.exhibit import load
from rnnjax.run.device import set_up

Run = Callable[..., Mapping[str, Any]]


class Batch(NamedTuple):
    """Seeds of an arm that run as one program, and the options of the arm."""

    arm: str
    options: Mapping[str, Any]
    seeds: list[int]


class Outcome(NamedTuple):
    """The measures of a batch, and its seconds of processor time."""

    batch: Batch
    measures: dict[str, np.ndarray]
    seconds: float


def outcome(run: Run, batch: Batch) -> Outcome:
    """Runs a batch in this process."""
    began = process_time()
    measures = {name: np.asarray(values) for name, values in run(np.asarray(batch.seeds), **batch.options).items()}
    return Outcome(batch, measures, process_time() - began)


def in_turn(run: Run, batches: list[Batch]) -> Iterator[Outcome]:
    """Runs batches in this process, in their order."""
    return (outcome(run, batch) for batch in batches)


def side_by_side(name: str, platform: str, workers: int, batches: list[Batch]) -> Iterator[Outcome]:
    """Runs batches of an exhibit in several processes, each outcome as soon as it is there.

    Raises:
      UserError: if a process is killed.
    """
    if min(workers, len(batches)) < 2:  # nothing stands beside it, and it may have all threads
        yield from in_turn(load(name).run, batches)
        return
    todo = list(batches)
    try:
        busy = [start(name, platform, todo.pop(0)) for _ in range(min(workers, len(batches)))]
        while busy:
            ready = wait(busy)
            for worker in [each for each in busy if each in ready]:
                found = worker.recv()
                if isinstance(found, str):
                    raise RuntimeError(found)
                if isinstance(found, UserError):
                    raise found
                yield found
                if todo:
                    worker.send(todo.pop(0))
                else:
                    busy.remove(worker)
                    worker.close()
    except (EOFError, ConnectionError):
        raise UserError(
            f"a process of {name} ended, killed perhaps for want of memory; the same command goes on, and --workers 1 "
            "takes less"
        ) from None


def start(name: str, platform: str, first: Batch) -> Connection:
    """Starts a process that runs batches of an exhibit, and gives it the first. It leaves Ctrl-C to its parent."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    resource_tracker.ensure_running()  # its own start would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a new process has the mask of its parent
    context.Process(target=serve, args=(name, platform, there), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    there.close()
    here.send(first)
    return here


def serve(name: str, platform: str, parent: Connection) -> None:
    """Runs each batch that comes, and sends its outcome, or what went wrong; ends with its parent."""
    threading.Thread(target=end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    set_up(platform, "float32", threads=1)
    run = load(name).run
    with contextlib.suppress(EOFError, ConnectionError):  # the parent wants no more
        while True:
            parent.send(outcome_or_error(run, parent.recv()))


def outcome_or_error(run: Run, batch: Batch) -> Outcome | UserError | str:
    """The outcome of a batch, or its error: in words, as not every error can be sent."""
    try:
        return outcome(run, batch)
    except UserError as error:
        return error
    except Exception as error:
        return f"{type(error).__name__}: {error}\n{traceback.format_exc()}"


def end_with(parent: Any) -> None:
    """Ends this process when another has ended, however that did."""
    parent.join()
    os._exit(1)
