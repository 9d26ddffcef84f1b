"""Every test computes in float64 where its arrays ask for it, and in full precision on every device. What one process
has compiled the others need not compile again."""

import gc
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

# In the environment, before JAX is imported: it is there for the workers, and for the doors that tests open.
OWNS_PROGRAMS = "JAX_COMPILATION_CACHE_DIR" not in os.environ
if OWNS_PROGRAMS:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="rnnjax-programs-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# Programs are tiny and run once here: tracing and compiling them is what takes the time.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"
flags = ["--xla_cpu_parallel_codegen_split_count=1"]
if version("jaxlib").startswith("0.10."):  # which has two ways of compiling a fusion; this one takes half of the time
    flags.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags])
gc.set_threshold(100_000, 50, 100)  # a trace is many objects, of which few are garbage

import jax  # noqa: E402
import pytest  # noqa: E402

SETTINGS = {
    "jax_enable_x64": True,
    "jax_default_matmul_precision": "highest",
    "jax_platforms": jax.config.jax_platforms,
}
for setting, wanted in SETTINGS.items():
    jax.config.update(setting, wanted)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory, in which the test works."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _settings():
    """Sets JAX back after a test, so that the next one computes as if alone."""
    yield
    for setting, wanted in SETTINGS.items():
        jax.config.update(setting, wanted)


MAPPED = Path("/proc/self/maps")
"""The pieces of memory of this process, of which Linux allows 65,530 and each compiled program takes several."""


@pytest.fixture(autouse=True, scope="module")
def _programs():
    """Forgets compiled programs before there are so many that compiling another one would crash the process."""
    yield
    if MAPPED.exists() and MAPPED.read_bytes().count(b"\n") > 25_000:
        jax.clear_caches()


LEFT_OUT = {"slow": 0}
"""The slow tests that `-m "not slow"` leaves out."""


def pytest_deselected(items):
    """Counts them, in a process of several for that process: each collects all tests."""
    counted = getattr(items[0].config, "workeroutput", LEFT_OUT)
    counted["slow"] = sum("slow" in item.keywords for item in items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    LEFT_OUT.update(getattr(node, "workeroutput", {}))


def pytest_terminal_summary(terminalreporter):
    if LEFT_OUT["slow"]:
        terminalreporter.write_line(f"{LEFT_OUT['slow']} slow tests left out; `make test-all` runs them too")


def pytest_unconfigure():
    if OWNS_PROGRAMS:
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
