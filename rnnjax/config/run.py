"""The fields `run.*` of a config."""

from dataclasses import dataclass
from typing import Literal

from rnnjax.config.checks import at_least, check, plain_name, typed

Platform = Literal["auto", "cpu", "gpu", "cuda", "rocm", "tpu"]

MOST_DEVICES = 1024
"""Most devices of one process; on a CPU each is a thread."""


@dataclass(frozen=True)
class RunConfig:
    """The run's directory and the machine.

    Attributes:
      name: the run is kept in root/name; the same command again goes on where it stopped.
      root: the directory of all runs.
      platform: where to compute; auto takes the best that is there.
      devices: number of devices over which the streams of a batch are divided, each with the whole network; 0 takes all
        that are there. On a CPU they are threads of this process, and as many as are asked for.
      precision: float32, or float64.
      products: the precision of the factors of matrix products. auto: as the device does it, whole on a CPU;
        float32: whole; bfloat16: rounded, with sums in float32, faster on an accelerator made for it.
      checkpoint_every_steps: training steps between two checkpoints.
      keep_checkpoints: the newest checkpoints to keep, beside the best.
      init_from: the directory of a run whose best weights a new run begins with; empty: they are drawn.
      coordinator: meeting place of the processes of one run over several hosts: host:port of process 0, given to all of
        them, or auto, as SLURM, MPI, Kubernetes or a TPU pod has it; empty: the run has one process.
      processes: number of processes of the run; not with auto. The streams of a batch are divided over all of them, on
        run.devices of each.
      process: number of this one of them, counted from 0; not with auto.
      threads: threads of this process that a CPU computes a program with; 0: as many as pay. One thread is faster for a
        network as small as the book's, by a tenth to a third, and slower for a large one.
      compilation_cache: keep compiled programs for the next start, at most 1 GiB in the user's cache directory
        (~/.cache/rnnjax/programs on Linux); JAX_COMPILATION_CACHE_DIR names another. false: compile at every start.
      tensorboard: also write TensorBoard event files (needs the extra: pip install 'rnnjax[tensorboard]').
    """

    name: str = "run"
    root: str = "runs"
    platform: Platform = "auto"
    devices: int = 1
    precision: Literal["float32", "float64"] = "float32"
    products: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint_every_steps: int = 1_000
    keep_checkpoints: int = 2
    init_from: str = ""
    coordinator: str = ""
    processes: int = 1
    process: int = 0
    threads: int = 0
    compilation_cache: bool = True
    tensorboard: bool = False

    def __post_init__(self) -> None:
        typed(self, "run")
        plain_name(run__name=self.name)
        at_least(0, run__devices=self.devices, run__threads=self.threads)
        check(self.devices <= MOST_DEVICES, "run.devices", self.devices, f"at most {MOST_DEVICES:,}")
        at_least(1, run__processes=self.processes)
        named = self.coordinator not in ("", "auto")
        host, _, port = self.coordinator.rpartition(":")
        check(not named or bool(host and port.isdigit()), "run.coordinator", self.coordinator, "host:port, or auto")
        check(named or self.processes == 1, "run.processes", self.processes, "1 without run.coordinator host:port")
        in_range = 0 <= self.process < self.processes
        check(in_range, "run.process", self.process, f"at least 0 and below run.processes {self.processes}")
        narrow = self.products != "auto" and self.precision == "float64"
        check(not narrow, "run.products", self.products, "auto where run.precision is float64")
        at_least(
            1, run__checkpoint_every_steps=self.checkpoint_every_steps, run__keep_checkpoints=self.keep_checkpoints
        )
