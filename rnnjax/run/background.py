"""Errors in the background of a save: told once, by the save that fails, and not again by what it leaves behind.

Orbax saves in threads and event loops of its own. What fails there comes back from the next call. Where two pieces of
work fail at once, though, only the first comes back; the other one is printed with its traceback when it is forgotten,
and so is work that finds its event loop closed.
"""

import logging
import sys
import threading
from traceback import walk_tb
from typing import Any

LOGGERS = ("asyncio", "concurrent.futures")
"""Loggers of what nobody waits for."""


def forget_abandoned_work() -> None:
    """Silences the work that Orbax abandons after a damaged checkpoint, or on a full disk."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(is_worth_telling)  # the same function counts once
    for owner, name in ((sys, "unraisablehook"), (threading, "excepthook")):
        if not getattr(getattr(owner, name), "forgets", False):
            setattr(owner, name, forgetful(getattr(owner, name)))


def forgetful(show: Any) -> Any:
    """Hook that shows what another one does, but for abandoned work."""

    def show_others(found: Any) -> None:
        if not is_abandoned(found.exc_value):
            show(found)

    show_others.forgets = True  # type: ignore[attr-defined]
    return show_others


def is_worth_telling(record: logging.LogRecord) -> bool:
    """False for a record about abandoned work."""
    return not (record.exc_info and is_abandoned(record.exc_info[1]))


def is_abandoned(error: BaseException | None) -> bool:
    """True for an error out of Orbax, whose caller is told of it, and for work whose event loop is closed."""
    if error is None:
        return False
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return str(error) == "Event loop is closed" or any(name.startswith("orbax.") for name in modules)
