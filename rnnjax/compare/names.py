"""Gradient methods by their names."""

from collections.abc import Sequence

from rnnjax.errors import UserError


def methods_of(asked: str | Sequence[str], where: str = "--methods") -> list[str]:
    """Methods named in a list, or in a text with commas between, in the table's order; all of them for `all`.

    Raises:
      UserError: for an unknown name.
    """
    from rnnjax.gradients import METHODS

    given = asked.split(",") if isinstance(asked, str) else asked
    names = [name.strip() for name in given if name.strip()]
    if wrong := [name for name in names if name not in METHODS and name != "all"]:
        raise UserError(f"{where}: there is no {', '.join(wrong)}; there are all, {', '.join(METHODS)}")
    if not names:
        raise UserError(f"{where} names none; there are all, {', '.join(METHODS)}")
    return [name for name in METHODS if name in names or "all" in names]
