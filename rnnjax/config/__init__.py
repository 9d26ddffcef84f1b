"""The schema of `configs/*.yaml`: meaning, unit, default and range of every field.

Every field can also be given on the command line, as in `--model.hidden_size 256`.
"""

from dataclasses import dataclass, field

from rnnjax.config.checks import check, typed
from rnnjax.config.data import DataConfig
from rnnjax.config.gradient import GradientConfig
from rnnjax.config.model import ModelConfig
from rnnjax.config.optimizer import OptimizerConfig
from rnnjax.config.run import Platform, RunConfig
from rnnjax.config.sampling import SamplingConfig
from rnnjax.config.task import SERIES, TaskConfig, TaskName
from rnnjax.config.training import TrainingConfig

OLDER = {"training": {"windows": "fixed"}, "gradient": {"kernel": "none"}}
"""Fields that configs of older versions lack, each with what was done before there was a choice."""

RENAMED = {("method", "parallel"): "parallel_scan"}
"""Values that configs of older versions call otherwise, by field and value."""

__all__ = [
    "OLDER",
    "RENAMED",
    "Config",
    "DataConfig",
    "GradientConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Platform",
    "RunConfig",
    "SamplingConfig",
    "TaskConfig",
    "TaskName",
    "TrainingConfig",
]


@dataclass(frozen=True)
class Config:
    """Everything that decides a run."""

    task: TaskConfig = field(default_factory=TaskConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    gradient: GradientConfig = field(default_factory=GradientConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        typed(self)
        task, model = self.task.name, self.model
        both_ways = task in ("many_to_one", "many_to_many", "tagging")
        check(both_ways or not model.bidirectional, "model.bidirectional", True, f"false for the task {task}")
        check(task == "seq2seq" or model.attention == "none", "model.attention", model.attention, f"none for {task}")
        check(task == "many_to_one" or self.data.path != "digits", "data.path", "digits", f"another for {task}")
        of_arrays = f"one of {', '.join(SERIES)} for the arrays of data.path {self.data.path}"
        check(self.task.is_series or not self.data.path.lower().endswith(".npz"), "task.name", task, of_arrays)
        is_real = task == "adding" or self.data.path == "digits"
        width = model.embedding_size
        check(not is_real or width == 0, "model.embedding_size", width, "0 for real inputs")
        self._check_gradient()

    def _check_gradient(self) -> None:
        """Raises UserError for a gradient method, or a first guess of its solver, that the task does not have."""
        task, method = self.task, self.gradient.method
        reads_windows = task.is_text or task.is_known or task.is_series
        of_examples = f"autodiff or manual for the task {task.name}"
        check(reads_windows or method in ("autodiff", "manual"), "gradient.method", method, of_examples)
        solves = method == "deer" or (self.model.unroll != "sequential" and method in ("manual", "autodiff"))
        of_others = "zeros or held but for a text whose windows are solved: gradient.method deer, or model.unroll"
        check(self.gradient.start != "epoch" or (task.is_text and solves), "gradient.start", "epoch", of_others)

    @property
    def ahead(self) -> int:
        """Steps from what is read to what is predicted: data.horizon in forecasting, else 0."""
        return self.data.horizon if self.task.name == "forecasting" else 0
