"""Compiled programs, kept between one start and the next: JAX's persistent compilation cache, in a place of its own.

JAX names a kept program after its code, the versions of jaxlib and of the driver, and XLA's flags. The instructions of
the processor are not all in that name, so each kind of processor has a directory of its own.
"""

import hashlib
import os
import platform
import stat
import warnings
from pathlib import Path

LARGEST = 2**30
"""Most bytes of a directory; beyond them the programs unused for longest go first."""

WORTH_KEEPING = 0.1
"""Least seconds of compilation for a program to be kept."""

PROCESSOR = {
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),  # x86
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),  # Arm
}
"""Lines of /proc/cpuinfo that decide which instructions the compiler may choose."""


def keep_programs(wanted: bool = True) -> None:
    """Loads compiled programs from the user's cache directory, and keeps new ones there.

    A directory that JAX_COMPILATION_CACHE_DIR names comes first. A cache that cannot be used costs time alone.

    Args:
      wanted: False compiles everything anew.
    """
    import jax

    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    if not wanted:
        jax.config.update("jax_enable_compilation_cache", False)
    elif jax.config.values["jax_compilation_cache_dir"] is None and is_ours(path := programs_directory()):
        remove_halves(path)
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_compilation_cache_max_size", LARGEST)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING)


def kept_in() -> str | None:
    """Directory of compiled programs that is in use; None where they are not kept."""
    import jax

    settings = jax.config.values
    return (settings["jax_compilation_cache_dir"] or None) if settings["jax_enable_compilation_cache"] else None


def programs_directory() -> Path:
    """User's directory of programs for processors like this one; ~/.cache/rnnjax/programs/… on Linux."""
    import platformdirs

    kind = hashlib.sha256(processor().encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("rnnjax") / "programs" / f"{platform.machine()}-{kind}"


def processor(table: Path = Path("/proc/cpuinfo")) -> str:
    """Model and instructions of the processor; the machine's name where the system has no such table."""
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return platform.node()
    return "\n".join(sorted({line for line in lines if line.split(":")[0].strip() in PROCESSOR}))


def is_ours(path: Path) -> bool:
    """Makes a missing directory. Returns True if this user, and nobody else, can write in it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError:
        return False
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid == os.getuid() and not shared and os.access(path, os.W_OK | os.X_OK)


def remove_halves(path: Path) -> None:
    """Removes programs that a killed process wrote in part: JAX would neither load nor replace them.

    JAX writes a program, and then the time of its use, both while it holds the lock.
    """
    import filelock

    try:
        with filelock.FileLock(path / ".lockfile", timeout=10):
            for program in path.glob("*-cache"):
                if not program.with_name(program.name.removesuffix("-cache") + "-atime").exists():
                    program.unlink()
    except (OSError, filelock.Timeout):
        pass  # only a slower start
