"""The executor for several machines: a Ray cluster, with a task and its devices for each group.

The nodes share the directory from which the command is given. Data and results are read and written there, so a group
whose worker dies goes on elsewhere from its checkpoint. Only progress reports go through Ray.
"""

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnnjax.errors import UserError
from rnnjax.run.interrupt import Interrupt
from rnnjax.run.lock import Lock
from rnnjax.run.progress import warn
from rnnjax.study.board import Board, GroupProgress
from rnnjax.study.groups import Group, Work, group_folder
from rnnjax.study.training import train_group

DEATHS = 3
"""Number of workers of a group that may die before the study stops."""

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_ANSWER = 10

GPUS = ("gpu", "cuda", "rocm")


def connect(address: str) -> None:
    """Joins a cluster; `auto` is the one of this machine.

    Raises:
      UserError: if Ray is not installed, or no cluster answers.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--executor ray needs an extra: pip install 'rnnjax[ray]'") from None
    try:
        knock(address)
        with silence():
            ray.init(address, log_to_driver=False, logging_level="CRITICAL")
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise UserError(
            f"--address {address}: no Ray cluster answers ({reason}); `ray start --head` begins one here, and says how "
            "other machines join"
        ) from None


@contextmanager
def silence() -> Iterator[None]:
    """Keeps the standard error of Ray's own threads off the screen; errors that matter are raised."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def knock(address: str) -> None:
    """Raises OSError if nothing listens at host:port; Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER).close()


def run(work: Work, groups: list[Group], board: Board) -> bool:
    """Trains all groups, as many at once as the cluster has devices for. Returns False after an interrupt.

    Raises:
      UserError: for an error of a group, or if its workers die again and again; the other groups are saved first.
    """
    import ray

    needs = resources(work, groups[0])
    say_where(board, len(groups), needs)
    desk = open_desk()
    task = ray.remote(max_calls=1, max_retries=DEATHS, retry_exceptions=False, **needs)(train_here)  # JAX starts anew
    under_way = {task.remote(work, group, desk, os.getcwd()): group for group in groups}
    listener, finished, errors = Listener(board), True, []
    with Interrupt() as interrupt:
        while under_way:
            done, _ = ray.wait([*under_way], timeout=SECONDS_BETWEEN_LOOKS)
            listener.hear(ray.get(desk.collect.remote()))
            for reference in done:
                group = under_way.pop(reference)
                try:
                    finished = ray.get(reference) and finished
                except ray.exceptions.TaskCancelledError:
                    finished = False
                except ray.exceptions.RayError as error:
                    if interrupt.asked and not isinstance(getattr(error, "cause", None), UserError):
                        finished = False  # cancelling breaks what has not begun, in ways of its own
                    else:
                        errors.append(what_happened(error, group))
            if interrupt.asked or errors:
                desk.stop.remote()
                for reference, group in under_way.items():
                    if group.index not in listener.begun:
                        ray.cancel(reference)
    if errors:
        raise errors[0]
    return finished


def resources(work: Work, group: Group) -> dict[str, Any]:
    """The resources of a group's task, as options of Ray."""
    platform = platform_of(group)
    if platform in GPUS:
        return {"num_cpus": 1, "num_gpus": work.devices}
    if platform == "tpu":
        return {"num_cpus": 1, "resources": {"TPU": work.devices}}
    return {"num_cpus": work.devices}


def platform_of(group: Group) -> str:
    """The platform of a group; `auto` is the best that the cluster has."""
    import ray

    if group.config.run.platform != "auto":
        return group.config.run.platform
    has = ray.cluster_resources()
    return "gpu" if "GPU" in has else "tpu" if "TPU" in has else "cpu"


def say_where(board: Board, groups: int, needs: dict[str, Any]) -> None:
    """Shows the size of the cluster, and warns if no node is large enough: Ray waits until one joins."""
    import ray

    asked = {"CPU": needs["num_cpus"], "GPU": needs.get("num_gpus", 0), **needs.get("resources", {})}
    words = ", ".join(f"{count} {name}" for name, count in asked.items() if count)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    board.say(f"programs: {groups}, each with {words}; nodes of the cluster: {len(nodes)}")
    if not any(all(node.get(name, 0) >= count for name, count in asked.items()) for node in nodes):
        warn(f"no node of the cluster has {words} yet; waiting for one that has")


class Desk:
    """Actor on the node of the command: takes reports from workers, and tells them when to save and stop."""

    def __init__(self) -> None:
        self._workers: dict[int, str] = {}
        self._words: list[tuple[int, GroupProgress | None]] = []
        self._stop = False

    def begin(self, group: int, worker: str) -> bool:
        """Registers a worker of a group; any earlier one is taken for dead. Returns True if it must stop."""
        self._workers[group] = worker
        self._words.append((group, None))
        return self._stop

    def tell(self, group: int, worker: str, word: GroupProgress) -> bool:
        """Takes a report from a worker. Returns True if it must stop."""
        if self._workers.setdefault(group, worker) != worker:
            return True
        self._words.append((group, word))
        return self._stop

    def collect(self) -> list[tuple[int, GroupProgress | None]]:
        """Hands out the (group, report) pairs since the last call; a report None means that a worker began."""
        words, self._words = self._words, []
        return words

    def stop(self) -> None:
        self._stop = True


def open_desk() -> Any:
    """Starts the desk on this node; it lives as long as the command, and needs no device."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
    return ray.remote(**options)(Desk).remote()


class Listener:
    """Passes reports on to the board, and takes back those of a worker that died.

    Attributes:
      begun: groups that a worker has begun.
    """

    def __init__(self, board: Board) -> None:
        self.begun: set[int] = set()
        self._board = board
        self._told: dict[int, list[GroupProgress]] = {}

    def hear(self, words: list[tuple[int, GroupProgress | None]]) -> None:
        for group, word in words:
            if word is None:
                self._begin(group)
            else:
                self._told[group].append(word)
                self._board.take(word, group)

    def _begin(self, group: int) -> None:
        if group in self.begun:
            warn(f"the worker of group {group} died; another goes on with it from its last checkpoint")
            told = self._told[group]
            over = [word for word in told if not word.running]
            failed, finished = (sum(getattr(word, name) for word in over) for name in ("failed", "finished"))
            self._board.take(
                GroupProgress(-sum(word.steps for word in told), 0, -failed, -finished, fresh=False), group
            )
        self.begun.add(group)
        self._told[group] = []


def train_here(work: Work, group: Group, desk: Any, where: str) -> bool:
    """Trains a group as a task of Ray, in a process of its own. Returns True if it is finished."""
    import ray

    from rnnjax.run.device import set_up

    worker, run = uuid.uuid4().hex, group.config.run
    stop = ray.get(desk.begin.remote(group.index, worker))

    def tell(word: GroupProgress) -> None:
        nonlocal stop
        stop = ray.get(desk.tell.remote(group.index, worker, word))

    enter(where)
    set_up(platform_of(group), run.precision, work.devices, run.products, run.compilation_cache)
    lock = Lock(group_folder(work, group))  # a node that was given up may still be writing
    try:
        return train_group(work, group, lambda: stop, tell)
    finally:
        lock.release()


def enter(where: str) -> None:
    """Enters the directory from which the command was given."""
    try:
        os.chdir(where)
    except OSError as error:
        raise UserError(
            f"--executor ray: the node {socket.gethostname()} cannot enter {where} ({error.strerror}); give the "
            "command in a directory that all nodes share"
        ) from None


def what_happened(error: Any, group: Group) -> BaseException:
    """The error to raise for a group's failure: its own, or that its workers died."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return cause
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return UserError(
        f"group {group.index} ({group.names()[0]}) lost {DEATHS + 1} workers ({reason}); what was saved is intact, and "
        "the same command goes on from there"
    )
