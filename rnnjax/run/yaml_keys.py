"""Keys that a YAML text gives twice: the standard forbids them, and PyYAML takes the last without a word.

Aliases are looked into as well: a few lines can stand for more values than any memory holds, or for themselves.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from rnnjax.errors import UserError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

DEEPEST = 50
"""Most mappings and lists within each other; libyaml's own recursion ends the process at some thousands."""


MOST_VALUES = 100_000
"""Most keys and values, once every alias is written out."""


class Twice(NamedTuple):
    """Key given twice, such as model.cell, and the lines of both, counted from 1."""

    key: str
    first: int
    again: int

    def __str__(self) -> str:
        return f"{self.key} is given on line {self.first} and again on line {self.again}; keep one"


def given_twice(text: str) -> Twice | None:
    """First key that a text gives twice in one mapping; None where there is none.

    Raises:
      yaml.YAMLError: for a text that is no YAML.
      UserError: for a text nested too deep, or too large once its aliases are written out.
    """
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise UserError(f"the YAML has more than {DEEPEST} lists or mappings in each other")
    root = yaml.compose(text, Loader=LOADER)
    if not root:
        return None
    if values(root, {}) > MOST_VALUES:
        raise UserError(f"the YAML has more than {MOST_VALUES:,} keys and values once its aliases are written out")
    return next(_twice(root, "", set()), None)


def values(node: yaml.Node, known: dict[int, float]) -> float:
    """Number of keys and values of a node, aliases written out; infinite where one stands within what it stands for."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf  # as long as it is open
        pairs = isinstance(node, yaml.MappingNode)
        parts = [part for pair in node.value for part in pair] if pairs else node.value
        known[id(node)] = 1 + sum(values(part, known) for part in parts)
    return known[id(node)]


def _twice(node: yaml.Node, prefix: str, seen: set[int]) -> Iterator[Twice]:
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))  # an alias may lead back to where it stands
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item, prefix, seen)
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = f"{prefix}{key.value}", key.start_mark.line + 1
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            if name in lines:
                yield Twice(name, lines[name], line)
            lines[name] = line
        yield from _twice(value, f"{name}.", seen)
