"""Command lines and YAML files that a property-based tester makes up: taken, or refused in one line."""

import dataclasses
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.faults.count import Count
from benchmarks.faults.doors import Answer, door, scratch
from benchmarks.faults.subject import RUN, complaint, prepare
from rnnjax.config import Config

OURS = ("data.path", "run.root", "run.name", "run.coordinator", "run.compilation_cache")
"""Fields that a made-up command line leaves alone: they say where to read, write and listen."""

FIELDS = {
    f"{section.name}.{field.name}": getattr(getattr(Config(), section.name), field.name)
    for section in dataclasses.fields(Config)
    for field in dataclasses.fields(getattr(Config(), section.name))
    if f"{section.name}.{field.name}" not in OURS
}
"""Defaults of the others."""

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-2, 3),
    st.floats(),
    st.sampled_from([0, -1, 2**31, 2**63, 1e308, math.inf, math.nan]),
)
WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["null", "", "[", "{}", "[1]", "true", "²", "1_0", "0x1", "../x", "\x00", "a" * 3000, "--", "é\udce9"]
    ),
)
VALUES = st.one_of(NUMBERS, WORDS, st.booleans(), st.none(), st.lists(NUMBERS, max_size=2))
NAMES = st.one_of(st.sampled_from(sorted(FIELDS)), st.text(min_size=1, max_size=12))


def command_line(name: str, value: Any) -> str:
    """An option that the system can hand over: no NUL, and bytes that are text."""
    return f"--{name}={value}".replace("\x00", "").encode("utf-8", "replace").decode()


def fuzz_command_lines(examples: int, number: int) -> Count:
    """Makes up options of `train`, some of them known fields."""
    count = Count("a made-up command line", "taken, or exit code 2 and one line")
    options = st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=4)

    def start(given_options: list[tuple[str, Any]], place: Path) -> tuple[Answer, str]:
        arguments = [command_line(name, value) for name, value in given_options]
        return door("train", *RUN, *arguments, cwd=place, before=only_prepare), str(arguments)

    return made_up(count, options, start, examples, number)


def fuzz_yaml(examples: int, number: int) -> Count:
    """Makes up configs: known sections with values of any kind, or any text."""
    count = Count("a made-up YAML file", "taken, or exit code 2 and one line")
    leaves = st.recursive(VALUES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner)))
    sections = st.sampled_from(sorted({name.split(".")[0] for name in FIELDS}))
    fields = st.one_of(
        leaves, st.dictionaries(st.sampled_from([name.split(".")[1] for name in FIELDS]), leaves, max_size=3)
    )
    texts = st.one_of(st.dictionaries(sections, fields, max_size=3).map(dumped), st.text(max_size=60))

    def start(text: str, place: Path) -> tuple[Answer, str]:
        (place / "made.yaml").write_text(text, encoding="utf-8", errors="replace")
        answer = door("train", "--config", "made.yaml", *RUN, cwd=place, before=only_prepare)
        return answer, repr(text)

    return made_up(count, texts, start, examples, number)


def made_up(
    count: Count,
    strategy: st.SearchStrategy,
    start: Callable[[Any, Path], tuple[Answer, str]],
    examples: int,
    number: int,
) -> Count:
    """Starts a door for each example of a strategy."""
    with scratch() as home:
        place = prepare(home / "place")

        @seed(number)
        @settings(
            max_examples=examples,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def each(made: Any) -> None:
            answer, what = start(made, place)
            wrong = complaint(answer)
            count.take("refused" if answer.code else "taken", wrong and f"{what[:200]}: {wrong}")

        each()
    return count


def only_prepare() -> None:
    """Lets `train` read its config and its data, and begin nothing."""
    from rnnjax import loop
    from rnnjax.tasks import make_task

    loop.train = lambda config, make=make_task: make(config) and 0  # type: ignore[assignment]


def dumped(value: Any) -> str:
    return yaml.safe_dump(value, allow_unicode=True)


def draw_of(number: int, kind: str) -> random.Random:
    """Generator of a kind of faults, the same for the same seed."""
    return random.Random(f"{number} {kind}")
