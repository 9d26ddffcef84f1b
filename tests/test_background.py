"""Errors in the background of a save are told once; those of others are told as ever."""

import asyncio
import gc
import logging
import sys
import threading
from types import SimpleNamespace

import pytest

from rnnjax.run.background import forget_abandoned_work

FAILS = """
def fail():
    raise OSError(28, "No space left on device")

async def fail_later():
    fail()
"""


def of_module(name):
    """Functions that fail within a module of this name."""
    namespace = {"__name__": name}
    exec(FAILS, namespace)
    return SimpleNamespace(**namespace)


def abandon(work):
    """Leaves a task behind that has failed, as a gather does with all but the first."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(work())
    loop.run_until_complete(asyncio.sleep(0.01))
    assert task.done()
    loop.close()
    del task
    gc.collect()


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.parametrize(("module", "lines"), [("orbax.checkpoint.path", 0), ("another.orbax", 1)])
def test_an_error_of_orbax_is_not_told_again(module, lines, monkeypatch, caplog):
    shown = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    forget_abandoned_work()
    forget_abandoned_work()
    failing = of_module(module)
    with caplog.at_level(logging.ERROR):
        abandon(failing.fail_later)
    in_a_thread(failing.fail)
    assert (len(caplog.records), len(shown)) == (lines, lines)


def test_work_whose_event_loop_is_closed_is_silent(monkeypatch, caplog):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    forget_abandoned_work()
    for said in ("Event loop is closed", "another"):
        error = RuntimeError(said)
        sys.unraisablehook(SimpleNamespace(exc_value=error))
        logging.getLogger("concurrent.futures").error("exception calling callback", exc_info=error)
    assert [str(found.exc_value) for found in shown] == ["another"]
    assert [str(record.exc_info[1]) for record in caplog.records] == ["another"]
