"""The executor for more than one machine: a Ray cluster, a task for each group, with the devices that a group needs.

The nodes share the directory from which the command is given: the data and the study are read and written there, so
that a group whose worker dies goes on elsewhere, from its checkpoint. Only words go through Ray.
"""

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnnjax.errors import UserError
from rnnjax.run.directory import Lock
from rnnjax.run.interrupt import Interrupt
from rnnjax.run.progress import warn
from rnnjax.study.board import Board, GroupProgress
from rnnjax.study.groups import Group, Work, group_folder
from rnnjax.study.training import train_group

DEATHS = 3
"""How many workers of a group may die before the study stops."""

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_ANSWER = 10

GPUS = ("gpu", "cuda", "rocm")


def connect(address: str) -> None:
    """Joins a cluster: auto is the one of this machine.

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
    """Keeps off the screen what Ray's own threads write to standard error; what matters is raised."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def knock(address: str) -> None:
    """Raises OSError where nobody listens at host:port; Ray itself would try for long, and say much."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER).close()


def run(work: Work, groups: list[Group], board: Board) -> bool:
    """Trains all groups, as many at once as the cluster has devices for. Returns False where an interrupt came first.

    Raises:
      UserError: of a group, or where its workers die again and again; the others are saved first.
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
    """What a task of one group asks for, in Ray's words."""
    platform = platform_of(group)
    if platform in GPUS:
        return {"num_cpus": 1, "num_gpus": work.devices}
    if platform == "tpu":
        return {"num_cpus": 1, "resources": {"TPU": work.devices}}
    return {"num_cpus": work.devices}


def platform_of(group: Group) -> str:
    """Where a group computes; auto is the best that the cluster has."""
    import ray

    if group.config.run.platform != "auto":
        return group.config.run.platform
    has = ray.cluster_resources()
    return "gpu" if "GPU" in has else "tpu" if "TPU" in has else "cpu"


def say_where(board: Board, groups: int, needs: dict[str, Any]) -> None:
    """Tells how large the cluster is, and warns where no node is large enough: Ray waits until one joins."""
    import ray

    asked = {"CPU": needs["num_cpus"], "GPU": needs.get("num_gpus", 0), **needs.get("resources", {})}
    words = ", ".join(f"{count} {name}" for name, count in asked.items() if count)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    board.say(f"programs: {groups}, each with {words}; nodes of the cluster: {len(nodes)}")
    if not any(all(node.get(name, 0) >= count for name, count in asked.items()) for node in nodes):
        warn(f"no node of the cluster has {words} yet; waiting for one that has")


class Desk:
    """Where workers leave word, and learn whether to save and stop. An actor, beside whoever gave the command."""

    def __init__(self) -> None:
        self._workers: dict[int, str] = {}
        self._words: list[tuple[int, GroupProgress | None]] = []
        self._stop = False

    def begin(self, group: int, worker: str) -> bool:
        """A worker begins with a group; any other of the group is taken for dead. Returns whether to stop."""
        self._workers[group] = worker
        self._words.append((group, None))
        return self._stop

    def tell(self, group: int, worker: str, word: GroupProgress) -> bool:
        """Takes a word. Returns whether to stop."""
        if self._workers.setdefault(group, worker) != worker:
            return True
        self._words.append((group, word))
        return self._stop

    def collect(self) -> list[tuple[int, GroupProgress | None]]:
        """All words since the last time: (group, word), None where a worker began with it."""
        words, self._words = self._words, []
        return words

    def stop(self) -> None:
        self._stop = True


def open_desk() -> Any:
    """The desk, on this node, which lives as long as the study's command; it needs no device."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
    return ray.remote(**options)(Desk).remote()


class Listener:
    """Passes on to the board what groups tell, but for what a worker told that has died since.

    Attributes:
      begun: the groups that a worker has begun with.
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
    """A task: trains a group, in a process that has done nothing else. Returns whether it is finished."""
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
    """Makes the directory from which the command was given the worker's own."""
    try:
        os.chdir(where)
    except OSError as error:
        raise UserError(
            f"--executor ray: the node {socket.gethostname()} cannot enter {where} ({error.strerror}); give the "
            "command in a directory that all nodes share"
        ) from None


def what_happened(error: Any, group: Group) -> BaseException:
    """What a group's failure is for whoever gave the command: its own error, or the end of its workers."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return cause
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return UserError(
        f"group {group.index} ({group.names()[0]}) lost {DEATHS + 1} workers ({reason}); what was saved is intact, and "
        "the same command goes on from there"
    )
