"""The numbers of an exhibit: one JSON file, written whole after each batch of seeds; a killed run goes on from it."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.errors import UserError
from rnnjax.files import write_whole
from rnnjax.museum.exhibit import Exhibit, Results
from rnnjax.museum.source import checksum
from rnnjax.museum.workers import Batch, Outcome, in_turn
from rnnjax.quantities import number_of
from rnnjax.run.directory import read_json
from rnnjax.run.results import plain

Record = dict[str, Any]
"""Name of the exhibit, quick or not, options of each arm, checksum of the code, machine; and for each arm its seeds,
seconds of processor time, the versions of rnnjax and the machines that ran it, and its measures."""


def carry_out(
    name: str,
    exhibit: Exhibit,
    path: Path,
    seeds: list[int],
    quick: bool,
    machine: dict,
    tell: Callable[[str], None],
    work: Callable[[list[Batch]], Iterable[Outcome]] | None = None,
) -> Record:
    """Runs every arm on the seeds that the file at `path` does not have yet.

    Args:
      work: batches -> outcomes in any order; by default one after the other in this process.
    """
    record = open_record(name, exhibit, path, quick, machine)
    for done in (work or partial(in_turn, exhibit.run))(missing(record, exhibit, seeds)):
        add(record, done, machine)
        write_whole(path, json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        arm = record["arms"][done.batch.arm]
        tell(f"{done.batch.arm}: {number_of(len(arm['seeds']), 'seed')}, {arm['seconds']:.0f} s")
    return record


def missing(record: Record, exhibit: Exhibit, seeds: list[int]) -> list[Batch]:
    """The batches that a record does not have yet."""
    batches = []
    for arm, options in exhibit.plan(record["quick"]).items():
        todo = [seed for seed in seeds if seed not in record["arms"].get(arm, {"seeds": ()})["seeds"]]
        firsts = range(0, len(todo), exhibit.batch)
        batches += [Batch(arm, options, todo[first : first + exhibit.batch]) for first in firsts]
    return batches


def add(record: Record, done: Outcome, machine: dict) -> None:
    """Adds the numbers of a batch to its arm, and notes of the machine that ran it."""
    arms, batch = record["arms"], done.batch
    arm = arms.setdefault(batch.arm, {"seeds": [], "seconds": 0.0, "measures": {}})
    for field, words in ABOUT.items():
        before = arm.get(field, [words(record["machine"])] if arm["seeds"] else [])
        arm[field] = list(dict.fromkeys([*before, words(machine)]))
    for measure, values in done.measures.items():
        arm["measures"].setdefault(measure, []).extend(to_json(values))
    arm["seeds"] += batch.seeds
    arm["seconds"] += done.seconds
    record["arms"] = {name: arms[name] for name in record["options"] if name in arms}


def version(machine: dict) -> str:
    """The version of rnnjax in the description of a machine."""
    return machine.get("packages", {}).get("rnnjax", "unknown")


def versions(record: Record) -> list[str]:
    """The versions of rnnjax that made the numbers of a record."""
    return sorted(made_with("versions", record))


def in_words(machine: dict) -> str:
    """System, cores, device and versions of a machine."""
    processor = number_of(machine.get("cores", 0), "core")
    about = f"{machine.get('machine')} ({processor}, {machine.get('device', machine.get('platform'))})"
    return f"{about}, python {machine.get('python')}, jax {machine.get('packages', {}).get('jax')}"


def machines(record: Record) -> list[str]:
    """The machines that made the numbers of a record."""
    return made_with("machines", record)


ABOUT = {"versions": version, "machines": in_words}
"""Notes of an arm about each machine that ran a part of it, in words."""


def made_with(field: str, record: Record) -> list[str]:
    """Notes of all arms, in the order of their coming; an arm without a note was run by the machine of the record."""
    arms, else_words = record["arms"].values(), [ABOUT[field](record["machine"])]
    return list(dict.fromkeys(words for of in arms for words in of.get(field, else_words)))


def open_record(name: str, exhibit: Exhibit, path: Path, quick: bool, machine: dict) -> Record:
    """Reads the record of an earlier run, or makes an empty one.

    Raises:
      UserError: if the file has numbers of another exhibit, of other options or of other code, which may not be mixed
        with these.
    """
    options = {arm: {key: str(value) for key, value in of.items()} for arm, of in exhibit.plan(quick).items()}
    code = checksum(exhibit.run)
    if not path.exists():
        return {"exhibit": name, "quick": quick, "options": options, "code": code, "machine": machine, "arms": {}}
    record = read(path)
    away = "move it away, or take another --out"
    if (record["exhibit"], record["quick"]) != (name, quick):
        raise UserError(f"{path} has numbers of {record['exhibit']}{' --quick' if record['quick'] else ''}; {away}")
    for arm in record["arms"]:
        if arm not in options:
            raise UserError(f"{path} has numbers of {arm}, which {name} has not; {away}")
        if record["options"].get(arm) != options[arm]:
            raise UserError(f"{path} has numbers of other settings of {arm}; {away}")
    if record["arms"] and record["code"] != code:
        raise UserError(f"{path} has numbers of other code of {name}; {away}")
    return {**record, "options": options, "code": code}


def read(path: Path) -> Record:
    """Reads a record.

    Raises:
      UserError: if the file is not one.
    """
    record = read_json(path)
    fields = {"exhibit": str, "quick": bool, "options": dict, "code": str, "machine": dict, "arms": dict}
    if not (has(record, fields) and all(is_arm(arm) for arm in record["arms"].values())):
        raise UserError(f"{path} is no record of an exhibit; move it away")
    return record


def has(found: Any, fields: dict[str, type]) -> bool:
    """True for a dictionary with these fields, of these types."""
    return isinstance(found, dict) and all(isinstance(found.get(name), kind) for name, kind in fields.items())


def is_arm(arm: Any) -> bool:
    """True for the numbers of an arm: seeds, each once, and as many values of each measure."""
    if not has(arm, {"seeds": list, "seconds": float, "measures": dict}):
        return False
    seeds, measures = arm["seeds"], arm["measures"].values()
    are_seeds = all(isinstance(seed, int) for seed in seeds) and len(set(seeds)) == len(seeds)
    return are_seeds and all(isinstance(values, list) and len(values) == len(seeds) for values in measures)


def results(record: Record) -> Results:
    """Measures of each arm as arrays, of the seeds that all arms have, in their order; a missing number is nan."""
    arms = record["arms"]
    common = sorted(set.intersection(*(set(of["seeds"]) for of in arms.values())))
    places = {arm: [of["seeds"].index(seed) for seed in common] for arm, of in arms.items()}
    return {
        arm: {name: array(values)[places[arm]] for name, values in of["measures"].items()} for arm, of in arms.items()
    }


def to_json(values: np.ndarray) -> list:
    """Converts values for JSON, which has no infinity; curves [n, ...] keep four digits, as only the picture reads
    them."""
    if values.ndim > 1 and values.dtype.kind == "f":
        values = np.vectorize(lambda value: float(f"{value:.4g}"))(values)
    if values.ndim == 1 and values.dtype.kind == "f":
        return ["inf" if np.isposinf(value) else plain(value) for value in values]
    return plain(values)


def array(values: list) -> np.ndarray:
    """Converts values of JSON to an array of booleans, or of floats."""
    found = np.asarray(values)
    return found if found.dtype == bool else np.asarray(values, float)  # null becomes nan, "inf" infinity
