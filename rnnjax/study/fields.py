"""Fields of a config by their dotted names: reading and setting their values."""

import dataclasses
import difflib
import typing
from functools import cache
from typing import Any

from rnnjax.cli import Parser, make_parser
from rnnjax.config import Config
from rnnjax.errors import UserError

NOT_OF_AN_ARM = {
    "run": "it belongs to the whole study",
    "training.seed": "give seeds instead",
    "sampling.every_steps": "an arm writes one sample, at its end",
    "sampling.show_every_steps": "an arm writes one sample, at its end",
}
"""Fields and sections in which arms cannot differ, with the reason."""


def get(config: Config, name: str) -> Any:
    """The value of a field, such as optimizer.clip."""
    section, leaf = name.split(".")
    return getattr(getattr(config, section), leaf)


def set_fields(config: Config, values: dict[str, Any]) -> Config:
    """The config with some fields set; its checks run again."""
    sections: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, leaf = name.split(".")
        sections.setdefault(section, {})[leaf] = value
    changed = {name: dataclasses.replace(getattr(config, name), **leaves) for name, leaves in sections.items()}
    return dataclasses.replace(config, **changed)


def typed(name: str, value: Any) -> Any:
    """Converts a value from a file to the type of its field.

    Raises:
      UserError: if the field does not exist, or cannot hold the value.
    """
    check_axis(name)
    return parser_of(name).parse_object({name: value})[name]


@cache
def parser_of(name: str) -> Parser:
    """A parser of one field."""
    parser = make_parser("ablate", "")
    parser.add_argument(f"--{name}", type=kinds()[name])
    return parser


def check_axis(name: str) -> None:
    """Raises UserError if there is no such field, or arms cannot differ in it."""
    known = kinds()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise UserError(f"axes: unknown field {name}" + (f"; did you mean {near[0]}?" if near else "; see --help"))
    for refused in (name, name.split(".")[0]):
        if refused in NOT_OF_AN_ARM:
            raise UserError(f"axes: arms cannot differ in {name}: {NOT_OF_AN_ARM[refused]}")


@cache
def kinds() -> dict[str, Any]:
    """The type of every field, by its dotted name."""
    found: dict[str, Any] = {}
    for section, kind in typing.get_type_hints(Config).items():
        found |= {f"{section}.{leaf}": hint for leaf, hint in typing.get_type_hints(kind).items()}
    return found
