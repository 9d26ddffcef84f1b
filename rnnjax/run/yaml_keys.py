"""Keys that a YAML text repeats: the standard forbids it, and PyYAML takes the last value without a word.

A text is refused as well where its aliases, written out, are more values than memory holds.
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


class RepeatedKey(NamedTuple):
    """Key given twice, such as model.cell, and the lines of both, counted from 1."""

    key: str
    first: int
    again: int

    def __str__(self) -> str:
        return f"{self.key} is given on line {self.first} and again on line {self.again}; keep one"


def repeated_key(text: str) -> RepeatedKey | None:
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
    if count_values(root, {}) > MOST_VALUES:
        raise UserError(f"the YAML has more than {MOST_VALUES:,} keys and values once its aliases are written out")
    return next(_repeated(root, "", set()), None)


def count_values(node: yaml.Node, counts: dict[int, float]) -> float:
    """Counts the keys and values of a node with its aliases written out; infinite for a node that contains itself.

    Args:
      counts: counts of the nodes so far, by identity.
    """
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in counts:
        counts[id(node)] = math.inf  # until its parts are counted
        pairs = isinstance(node, yaml.MappingNode)
        parts = [part for pair in node.value for part in pair] if pairs else node.value
        counts[id(node)] = 1 + sum(count_values(part, counts) for part in parts)
    return counts[id(node)]


def _repeated(node: yaml.Node, prefix: str, seen: set[int]) -> Iterator[RepeatedKey]:
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))  # an alias may be of a node that contains it
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, prefix, seen)
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = f"{prefix}{key.value}", key.start_mark.line + 1
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            if name in lines:
                yield RepeatedKey(name, lines[name], line)
            lines[name] = line
        yield from _repeated(value, f"{name}.", seen)
