"""What values a field may take."""

import math

from rnnjax.errors import UserError


def check(condition: bool, field_name: str, value: object, demand: str) -> None:
    """Raises UserError, in one line, where a field does not hold what it must."""
    if not condition:
        raise UserError(f"{field_name} is {value!r}, but must be {demand}")


def at_least(low: float, **fields: float | None) -> None:
    """Each field, written `section__name`, is None or at least low."""
    for name, value in fields.items():
        check(value is None or value >= low, name.replace("__", "."), value, f"at least {low}")


def more_than_zero(**fields: float) -> None:
    """Each field, written `section__name`, is finite and above 0."""
    for name, value in fields.items():
        check(math.isfinite(value) and value > 0, name.replace("__", "."), value, "a finite number above 0")


def plain_name(**fields: str) -> None:
    """Each field, written `section__name`, can be the name of one directory."""
    for name, value in fields.items():
        plain = bool(value) and value not in (".", "..") and not set(value) & set("/\\\0")
        check(plain, name.replace("__", "."), value, "a plain directory name")
