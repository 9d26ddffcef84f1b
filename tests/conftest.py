"""Every test computes in float64 where its arrays ask for it, and in full precision on every device. What one process
has compiled the others need not compile again."""

import os
import shutil
import tempfile
from importlib.metadata import version

# In the environment, before JAX is imported: it is there for the workers, and for the doors that tests open.
OWNS_PROGRAMS = "JAX_COMPILATION_CACHE_DIR" not in os.environ
if OWNS_PROGRAMS:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="rnnjax-programs-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# Programs are tiny and run once here: compiling them is what takes the time.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
if version("jaxlib").startswith("0.10."):  # which has two ways of compiling a fusion; this one takes half of the time
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_default_matmul_precision", "highest")

LONGEST = ["test_cluster.py", "test_certificate.py", "test_planted.py", "test_hosts.py", "test_notebook.py"]
"""They come first, so that two workers end together."""


def pytest_collection_modifyitems(items):
    place = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def pytest_unconfigure():
    if OWNS_PROGRAMS:
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
