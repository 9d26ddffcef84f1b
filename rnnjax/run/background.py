"""Errors in the background of a save, reported once: by the save that fails.

Orbax saves in threads and event loops of its own. An error there is raised by the next call. Of two errors at once the
second is raised nowhere: asyncio prints its traceback, as it does for work whose event loop is closed.
"""

import logging
import sys
import threading
from traceback import walk_tb
from typing import Any


def forget_abandoned_work() -> None:
    """Silences the work that Orbax abandons after a damaged checkpoint, or on a full disk."""
    for name in ("asyncio", "concurrent.futures"):
        logging.getLogger(name).addFilter(is_of_other_work)  # a function that is there already is not added again
    for owner, name in ((sys, "unraisablehook"), (threading, "excepthook")):
        hook = getattr(owner, name)
        if not getattr(hook, "forgets", False):
            setattr(owner, name, forgetful(hook))


def forgetful(hook: Any) -> Any:
    """Wraps a hook for errors: it is not called for those of abandoned work."""

    def show_others(found: Any) -> None:
        if not is_abandoned(found.exc_value):
            hook(found)

    show_others.forgets = True  # type: ignore[attr-defined]
    return show_others


def is_of_other_work(record: logging.LogRecord) -> bool:
    """False for a record about abandoned work."""
    return not (record.exc_info and is_abandoned(record.exc_info[1]))


def is_abandoned(error: BaseException | None) -> bool:
    """True for an error raised in Orbax's code, which its caller sees too, and for work whose event loop is closed."""
    if error is None:
        return False
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return str(error) == "Event loop is closed" or any(name.startswith("orbax.") for name in modules)
