"""The machine: choice of platform and precision, and its description."""

import importlib.metadata
import os
import platform as machine
import subprocess
from pathlib import Path

from rnnjax.cores import cores
from rnnjax.errors import UserError
from rnnjax.quantities import number_of
from rnnjax.run.programs import keep_programs, kept_in
from rnnjax.run.threads import use_threads

PRODUCTS = {"float32": "highest", "bfloat16": "BF16_BF16_F32"}
"""JAX's names of the products."""


def set_up(
    platform: str,
    precision: str,
    devices: int = 1,
    products: str = "auto",
    compilation_cache: bool = True,
    threads: int = 0,
) -> None:
    """Chooses JAX's platform and precision, before any array is made.

    Args:
      devices: number of devices to divide a CPU into.
      products: precision of the factors of a matrix product, see `RunConfig`.
      compilation_cache: True to keep compiled programs, see `run.programs`.
      threads: threads of a CPU; 0: all that it has.

    Raises:
      UserError: if the platform is not there.
    """
    import jax

    keep_programs(compilation_cache)
    use_threads(threads)
    jax.config.update("jax_enable_x64", precision == "float64")
    if products != "auto":
        jax.config.update("jax_default_matmul_precision", PRODUCTS[products])
    if devices > 1:
        jax.config.update("jax_num_cpu_devices", devices)  # says nothing about other platforms
    if platform != "auto":
        jax.config.update("jax_platforms", platform)
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # for cuda without its plugin an assertion, and without a word
        reason = (str(error).strip() or "JAX has no plugin for it").splitlines()[0][:160]
        raise UserError(f"run.platform: no {platform} here ({reason}); {advice(platform)}") from None


def advice(platform: str) -> str:
    """Advice on the package to install for a platform."""
    packages = {"gpu": "cuda13", "cuda": "cuda13", "rocm": "rocm7-local", "tpu": "tpu"}
    if platform in packages:
        return f"pip install 'jax[{packages[platform]}]' adds support, or set run.platform to auto"
    return "set run.platform to auto"


def describe(precision: str, parameters: int) -> str:
    """Describes device, precision, versions and parameter count in one line."""
    import jax

    devices = jax.devices()
    count = f"{len(devices)} x {devices[0].device_kind}"
    if devices[0].platform == "cpu":
        count = number_of(cores(), "core") + (f", {len(devices)} devices" if len(devices) > 1 else "")
    return (
        f"rnnjax {importlib.metadata.version('rnnjax')} on {devices[0].platform} ({count}), {precision}, "
        f"jax {jax.__version__}, python {machine.python_version()}, {parameters:,} parameters"
    )


def unused_accelerator() -> str | None:
    """A line that names an accelerator that JAX does not see, and the fix; None where there is none."""
    import jax

    if jax.default_backend() != "cpu" or os.environ.get("JAX_PLATFORMS"):
        return None
    if Path("/proc/driver/nvidia/version").exists():
        return "an NVIDIA GPU is present but unused; pip install 'jax[cuda13]' to compute on it"
    if Path("/dev/kfd").exists():
        return "an AMD GPU is present but unused; pip install 'jax[rocm7-local]' to compute on it"
    if Path("/dev/accel0").exists():
        return "a TPU is present but unused; pip install 'jax[tpu]' to compute on it"
    return None


def environment() -> dict:
    """Versions, device, git commit and kept programs, on which a repetition bit for bit depends."""
    import jax

    packages = ("rnnjax", "jax", "jaxlib", "optax", "flax", "orbax-checkpoint", "numpy", "pandas")
    return {
        "python": machine.python_version(),
        "machine": f"{machine.system()} {machine.machine()}",
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "platform": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "threads": os.environ.get("PJRT_NPROC", "all"),
        "compilation_cache": kept_in(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    """Commit of the checkout that the package comes from, with a + where it has changes; None outside a checkout."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    git = ["git", "-C", str(here)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True).returncode != 0
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changed else "")
