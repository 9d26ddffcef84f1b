"""Checks of the fields of a dataclass: their types, from its annotations, and their ranges."""

import math
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from rnnjax.errors import UserError

PLAIN = {int: "an integer", float: "a number", str: "a string", bool: "true or false", type(None): "null"}
"""The types of fields in words."""

MOST_SHOWN = 80
"""Characters of a value that a message repeats."""


def check(condition: bool, field_name: str, value: object, demand: str) -> None:
    """Raises UserError, in one line, where a field does not hold what it must."""
    if not condition:
        raise UserError(f"{field_name} is {shown(value)}, but must be {demand}")


def check_options(given: Iterable[str], allowed: Sequence[str]) -> None:
    """Raises UserError for the first option, by name, that is not allowed."""
    for option in given:
        check(option in allowed, "an option", option, f"one of {', '.join(allowed)}")


def shown(value: object) -> str:
    """Writes a value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}… ({len(text):,} characters)"


def typed(record: object, section: str = "") -> None:
    """Raises UserError for the first field of a dataclass that is not of its annotated type.

    Args:
      section: written before the field's name, with a dot between.
    """
    for name, hint in typing.get_type_hints(type(record)).items():
        value = getattr(record, name)
        full = f"{section}.{name}" if section else name
        check(fits(value, hint), full, value, in_words(hint))
        check(not isinstance(value, int) or -(2**31) <= value < 2**31, full, value, "below 2^31, in size")


def fits(value: object, hint: Any) -> bool:
    """True for a value of an annotated type; an integer is a number, a truth value is neither."""
    options = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return any(value == option and type(value) is type(option) for option in options)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in options)
    if hint in (int, float):
        return isinstance(value, int if hint is int else (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) and hint is not Any else True


def in_words(hint: Any) -> str:
    """Writes an annotated type for a message."""
    options = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(str, options))
    if options:
        return " or ".join(map(in_words, options))
    return PLAIN.get(hint, f"a {getattr(hint, '__name__', hint)}")


def at_least(low: float, **fields: float | None) -> None:
    """Raises UserError for a field, given as `section__name`, that is below `low`; None passes."""
    for name, value in fields.items():
        check(value is None or value >= low, name.replace("__", "."), value, f"at least {low}")


MOST_WRITTEN = 10_000_000
"""Most characters that a command writes: an hour's work or less."""


def can_be_written(name: str, length: int, texts: int = 1) -> None:
    """Raises UserError where so many texts of this length have more than MOST_WRITTEN characters."""
    if length * texts > MOST_WRITTEN:
        raise UserError(
            f"{name} asks for {length * texts:,} characters, which would take hours; at most {MOST_WRITTEN:,}"
        )


def more_than_zero(**fields: float) -> None:
    """Raises UserError for a field, given as `section__name`, that is not finite and above 0."""
    for name, value in fields.items():
        check(math.isfinite(value) and value > 0, name.replace("__", "."), value, "a finite number above 0")


def plain_name(**fields: str) -> None:
    """Raises UserError for a field, given as `section__name`, that cannot be the name of one directory."""
    for name, value in fields.items():
        plain = bool(value.strip()) and value not in (".", "..") and not set(value) & set("/\\") and value.isprintable()
        check(plain, name.replace("__", "."), value, "a plain directory name")
