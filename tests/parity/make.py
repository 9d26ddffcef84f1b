"""Writes the reference values of tests/test_parity.py: python tests/parity/make.py, with torch and flax installed.

They are what the libraries themselves compute, in float64, by the code of tests/libraries.py; nothing of rnnjax runs.
"""

import importlib.metadata
import platform
import sys
from pathlib import Path

import jax

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import libraries  # noqa: E402


def main():
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    for name, packages in (("torch", ["torch", "numpy"]), ("flax", ["flax", "jax", "jaxlib", "numpy"])):
        versions = {package: importlib.metadata.version(package) for package in packages}
        results = {case: libraries.run(case) for case in libraries.CASES if case.library == name}
        path = HERE / f"{name}.npz"
        libraries.write(path, results, versions | {"python": platform.python_version()})
        print(f"{path}: {path.stat().st_size:,} bytes, {len(results)} networks")


if __name__ == "__main__":
    main()
