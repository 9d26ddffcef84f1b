"""Ctrl-C and a closed terminal, from a door's first line to its last. Every test is a process of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest

DEAF = "import ctypes, os, signal\nos.kill(os.getpid(), signal.SIGINT)\nctypes.CDLL(None).sleep(30)\n"
"""A signal, and then nothing that lets Python run a handler, as in the compiler."""


def program(text, **more):
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=20, **more)


def test_a_process_inside_foreign_code_ends_at_once():
    began = time.monotonic()
    done = program(f"from rnnjax.run.interrupt import listen\nlisten()\nprint('said before')\n{DEAF}")
    assert (done.returncode, done.stdout) == (130, "said before\n")
    assert done.stderr.strip() == "rnnjax: interrupted; what was saved before is intact"
    assert time.monotonic() - began < 20


def test_a_door_that_still_imports_ends_at_once(tmp_path):
    (tmp_path / "jsonargparse.py").write_text(DEAF)
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "rnnjax.train"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


EARLY = """
import os, sys
class Finder:
    def find_spec(name, *_):
        if name == "rnnjax.run.interrupt":
            os.kill(os.getpid(), int(sys.argv[1]))
sys.orig_argv, sys.meta_path[:0] = ["python", "-m", "rnnjax.train"], [Finder]
sys.argv.insert(0, sys.argv.pop(0).replace("-c", "-m"))
import rnnjax
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_a_door_can_listen_ends_it_with_a_word(number):
    done = subprocess.run([sys.executable, "-c", EARLY, str(int(number))], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr.strip()) == (130, "rnnjax: interrupted before it began")


def test_the_package_in_somebody_elses_program_leaves_signals_alone():
    read = "signal.getsignal(signal.SIGINT)"
    done = program(f"import signal\nbefore = {read}\nimport rnnjax.run.interrupt\nprint({read} is before)")
    assert done.stdout == "True\n", done.stderr


LOOP = """
import os, signal, sys, time
from rnnjax.cli import prepare_screen
from rnnjax.run.interrupt import Interrupt, listen
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who ran the tests may have turned it off, as nohup does
listen()
prepare_screen()
with Interrupt() as interrupt:
    print("under way", flush=True)
    while not interrupt.asked:
        print(".", end="", flush=True)
        time.sleep(0.01)
    if sys.argv[1] == "twice":
        time.sleep(30)
open(sys.argv[2], "w").write("saved")
os._exit(7)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_loop_saves_and_a_second_signal_ends_it(tmp_path, number):
    for how, code in (("once", 7), ("twice", 130)):
        saved = tmp_path / f"{how}.txt"
        loop = subprocess.Popen(
            [sys.executable, "-c", LOOP, how, saved], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert loop.stdout.readline() == "under way\n"
        loop.send_signal(number)
        if how == "twice":
            while "stopping" not in loop.stderr.readline():
                pass
            loop.send_signal(number)
        loop.communicate(timeout=20)
        assert loop.returncode == code
        assert saved.exists() == (how == "once")


TERMINAL = """
import os, pty, sys
child, terminal = pty.fork()
if not child:
    os.execv(sys.executable, [sys.executable, "-c", os.environ["LOOP"], "once", os.environ["SAVED"]])
assert os.read(terminal, 9) == b"under way"
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_loop_whose_terminal_is_closed_saves(tmp_path):
    saved = tmp_path / "saved.txt"
    done = program(TERMINAL, env={**os.environ, "LOOP": LOOP, "SAVED": str(saved)})
    assert done.returncode == 7, done.stderr
    assert saved.read_text() == "saved"
