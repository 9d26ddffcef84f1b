"""One program over several devices: a process of its own, as a CPU is divided into devices before JAX starts."""

import json
import signal
import subprocess
import sys

import pytest
from command import TINY, door, message, printed, write_songs

PROGRAM = """
import itertools, json
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp, numpy as np
from rnnjax.config import Config, GradientConfig, ModelConfig, OptimizerConfig, TrainingConfig
from rnnjax.build import make_text_model
from rnnjax.training.sharding import divide, make_mesh, place, shardings
from rnnjax.training.state import init_state
from rnnjax.training.step import make_chunk

results = []
ids = jnp.asarray(np.random.default_rng(0).integers(6, size=(4, 25)), jnp.uint8)
for devices, (cell, method) in itertools.product((1, 2), (("lstm", "manual"), ("vanilla", "autodiff"))):
    config = Config(
        model=ModelConfig(cell=cell, hidden_size=5, layers=2, dropout=0.2, learned_state=True),
        gradient=GradientConfig(method),
        training=TrainingConfig(steps=8, batch_size=4, sequence_length=6, steps_per_dispatch=3),
    )
    model = make_text_model(config, range(7))
    mesh = make_mesh(devices, 4)
    state = place(mesh, init_state(config, model, jnp.float64))
    chunk = make_chunk(config, model, shardings(mesh, state))
    streams, losses, norms = divide(mesh, ids), [], []
    for _ in range(3):
        state, infos = chunk(state, streams, np.int32(2))
        losses += infos.loss[:2].tolist()
        norms += infos.grad_norm[:2].tolist()
    placed = [len(leaf.sharding.device_set) for leaf in jax.tree.leaves((state.params, state.carry))]
    split = [leaf.addressable_shards[0].data.shape[0] for leaf in state.carry]
    results.append({"losses": losses, "norms": norms, "weights": float(jnp.sum(jnp.sin(state.params.layers[1].W))),
                    "placed": placed, "split": split, "programs": chunk._cache_size()})
print(json.dumps(results))
"""


def test_two_devices_train_as_one():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    for one, two in zip(found[:2], found[2:], strict=True):
        assert set(one["placed"]) == {1}
        assert set(two["placed"]) == {2}
        assert set(two["split"]) == {2}
        assert one["programs"] == two["programs"] == 1
        assert two["losses"] == pytest.approx(one["losses"], rel=1e-12)
        assert two["norms"] == pytest.approx(one["norms"], rel=1e-11)
        assert two["weights"] == pytest.approx(one["weights"], rel=1e-10)


@pytest.mark.slow
def test_a_run_over_two_devices(tmp_path):
    write_songs(tmp_path / "songs.csv")
    command = [*TINY, "--run.devices", "2", "--training.steps", "14", "--run.checkpoint_every_steps", "7"]
    stopped = door("train", *command, cwd=tmp_path, at=("os.rename", "checkpoints", signal.SIGKILL))
    assert stopped.code == -signal.SIGKILL
    assert "2 devices" in printed(door("train", *command, cwd=tmp_path))


def test_devices_that_do_not_fit_are_one_line(tmp_path):
    """In a process of its own: only one that has not computed yet divides its processor."""
    write_songs(tmp_path / "songs.csv")
    said = message(door("train", *TINY, "--run.devices", "3", cwd=tmp_path))
    assert "training.batch_size is 2, which does not divide over run.devices 3" in said
    assert not (tmp_path / "runs").exists()
