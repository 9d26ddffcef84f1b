"""Compiled programs that are kept: where, for whom, how many, and what damage to them costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from rnnjax.run import programs
from rnnjax.run.device import environment, set_up

SETTINGS = [
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
]

loaded = []
jax.monitoring.register_event_listener(lambda name, **_: name.endswith("/cache_hits") and loaded.append(name))


def start_again():
    """Forgets what this process has compiled, and how it has kept programs."""
    jax.clear_caches()
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", None)
    loaded.clear()


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    """A user with an empty home, whose programs are all worth keeping."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    for name, place in {"HOME": tmp_path, "XDG_CACHE_HOME": tmp_path / "cache"}.items():
        monkeypatch.setenv(name, str(place))
    monkeypatch.setattr(programs, "WORTH_KEEPING", 0)
    start_again()
    yield
    start_again()
    for name, value in before.items():
        jax.config.update(name, value)


def answer():
    """Forty steps of a small network, by a program that is compiled anew or loaded."""
    W = jnp.asarray(np.random.default_rng(0).normal(size=(8, 8)), jnp.float32)
    return jax.jit(lambda h: jax.lax.fori_loop(0, 40, lambda _, h: jnp.tanh(h @ W), h))(W).tobytes()


def test_a_program_is_loaded_from_the_users_cache_and_computes_the_same_bits(tmp_path):
    set_up("auto", "float32")
    compiled = answer()
    assert not loaded
    kept = programs.programs_directory()
    assert tmp_path / "cache" / "rnnjax" / "programs" in kept.parents
    assert environment()["compilation_cache"] == str(kept)
    assert list(kept.glob("*-cache"))
    assert kept.stat().st_mode & 0o777 == 0o700
    assert jax.config.jax_compilation_cache_max_size == programs.LARGEST

    start_again()
    set_up("auto", "float32")
    assert answer() == compiled
    assert loaded


def test_one_setting_switches_it_off_and_another_directory_comes_first(tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    set_up("auto", "float32")
    assert environment()["compilation_cache"] == str(tmp_path / "mine")
    assert not (tmp_path / "cache").exists()

    set_up("auto", "float32", compilation_cache=False)
    assert environment()["compilation_cache"] is None
    answer()
    assert not (tmp_path / "mine").exists()


def test_damage_costs_time_alone(recwarn):
    set_up("auto", "float32")
    compiled, kept = answer(), programs.programs_directory()
    whole = {file.name: file.read_bytes() for file in kept.glob("*-cache")}

    for file in kept.glob("*-cache"):
        file.write_bytes(bytes([file.read_bytes()[0] ^ 255]) + file.read_bytes()[1:])
    start_again()
    set_up("auto", "float32")
    assert answer() == compiled
    assert not loaded

    # Half written by a process that was killed: removed and written again.
    for file in kept.glob("*-cache"):
        file.write_bytes(whole[file.name][:100])
        file.with_name(file.name.removesuffix("-cache") + "-atime").unlink()
    start_again()
    set_up("auto", "float32")
    assert answer() == compiled
    assert not loaded
    start_again()
    set_up("auto", "float32")
    assert answer() == compiled
    assert loaded
    assert not [warning for warning in recwarn if "cache" in str(warning.message)]


def test_a_directory_that_is_not_this_users_alone_is_left(tmp_path):
    kept = programs.programs_directory()
    assert programs.is_ours(kept)
    kept.chmod(0o777)  # who can write programs there can have us run them
    set_up("auto", "float32")
    assert environment()["compilation_cache"] is None
    answer()
    assert not list(kept.iterdir())

    kept.rmdir()
    kept.write_text("no directory")
    set_up("auto", "float32")
    assert environment()["compilation_cache"] is None


def test_processors_with_other_instructions_share_nothing(tmp_path, monkeypatch):
    core = "processor\t: {}\nmodel name\t: A\ncpu MHz\t\t: {}\nflags\t\t: fpu avx2{}\n\n"
    tables = {
        "one": core.format(0, 900, ""),
        "later": core.format(0, 2400, "") + core.format(1, 900, ""),
        "wider": core.format(0, 900, " avx512f"),
        "arm": "processor\t: 0\nFeatures\t: fp asimd\n",
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    found = {name: programs.processor(tmp_path / name) for name in [*tables, "no table"]}
    assert found["one"] == found["later"]
    assert len(set(found.values())) == 4
    assert all(found.values())

    here = programs.programs_directory()
    monkeypatch.setattr(programs, "processor", lambda: found["wider"])
    assert programs.programs_directory().name != here.name
