"""The schema of `configs/*.yaml`: what each field means, its unit, its default, and what values it may take.

Every field can also be given on the command line, as in `--model.hidden_size 256`.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from rnnjax.errors import UserError

Platform = Literal["auto", "cpu", "gpu", "cuda", "rocm", "tpu"]


def _check(condition: bool, field_name: str, value: object, demand: str) -> None:
    if not condition:
        raise UserError(f"{field_name} is {value!r}, but must be {demand}")


def _at_least(low: float, **fields: float | None) -> None:
    for name, value in fields.items():
        _check(value is None or value >= low, name.replace("__", "."), value, f"at least {low}")


def _more_than_zero(**fields: float) -> None:
    for name, value in fields.items():
        _check(math.isfinite(value) and value > 0, name.replace("__", "."), value, "a finite number above 0")


@dataclass(frozen=True)
class DataConfig:
    """Where the text comes from, and how it is split.

    Attributes:
      path: 'bundled' (the songs that ship with rnnjax), a CSV file with a text column, a plain .txt file, an http(s)
        address of one of these, or 'recall': lines that show a letter, count, and ask for the letter again. The task
        seq2seq makes its own numbers; 'digits', for many_to_one, is scikit-learn's images of hand-written digits.
      sha256: checksum of the file behind an http(s) address; required there, as it is fetched once and kept.
      text_column: the CSV column that holds the lyrics.
      separator: what stands between two songs when they are joined into one text.
      validation_fraction: share of the songs held out to choose the best checkpoint (of the text, for a .txt file).
      test_fraction: share of the songs read once, at the end of the run.
      split_seed: seed of the draw of the held-out songs, or of the letters of a recall text.
      recall_lag: characters between a letter and its recall.
      recall_lines: lines of a recall text.
    """

    path: str = "bundled"
    sha256: str | None = None
    text_column: str = "text"
    separator: str = ", "
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    split_seed: int = 0
    recall_lag: int = 12
    recall_lines: int = 20_000

    def __post_init__(self) -> None:
        for name in ("validation_fraction", "test_fraction"):
            value = getattr(self, name)
            _check(0 <= value < 1, f"data.{name}", value, "in [0, 1)")
        held_out = self.validation_fraction + self.test_fraction
        _check(held_out < 1, "data.validation_fraction + data.test_fraction", held_out, "below 1")
        _at_least(0, data__split_seed=self.split_seed)
        _at_least(1, data__recall_lag=self.recall_lag, data__recall_lines=self.recall_lines)
        _check(self.recall_lag <= 47, "data.recall_lag", self.recall_lag, "at most 47, the characters to count with")


TaskName = Literal["text", "one_to_one", "one_to_many", "many_to_one", "many_to_many", "seq2seq"]


@dataclass(frozen=True)
class TaskConfig:
    """What the network is trained to do. All but the first two learn from examples, whole sequences of unequal lengths.

    Attributes:
      name: text (write songs, from a stream of text), one_to_one (the same, measured also with its own output fed back
        to it), one_to_many (a label in, a text of it out), many_to_one (a text in, its label out; or the image of a
        digit, where data.path is digits), many_to_many (a line in, a tag for each character out: the first syllables of
        its words), seq2seq (numbers below a million to words, and back).
      label_column: the CSV column that holds the labels of one_to_many and many_to_one.
      labels: keep the songs of so many of the most frequent labels; 0 keeps all.
      max_length: most characters of an example: songs are cut into pieces of whole lines, at most so long.
      numbers: seq2seq: numbers drawn, held-out ones included; each is learned in both directions.
      beam: seq2seq: texts that the beam search follows side by side.
    """

    name: TaskName = "text"
    label_column: str = "artist"
    labels: int = 0
    max_length: int = 200
    numbers: int = 20_000
    beam: int = 4

    def __post_init__(self) -> None:
        _at_least(0, task__labels=self.labels)
        _at_least(1, task__beam=self.beam)
        _at_least(2, task__max_length=self.max_length)
        _check(100 <= self.numbers <= 1_000_000, "task.numbers", self.numbers, "between 100 and 1,000,000")


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Attributes:
      cell: the recurrent unit. vanilla: the textbook's. leaky: it keeps 1 - leak of its state. gru: reset gate after
        the product, as in PyTorch, Keras and cuDNN. lstm: with a forget gate.
      hidden_size: H, units in each recurrent layer.
      layers: L, recurrent layers, each reading the one below.
      activation: the function of a vanilla or leaky unit; those of gru and lstm are fixed, with tanh.
      leak: the share of a leaky unit's state that one step renews.
      embedding_size: E, width of a learned vector for each input character; 0 reads U by character.
      dropout: the share of units silenced in training on the way up, between layers and before the read-out.
      layer_norm: normalise the products with U and with W over the units of each gate.
      residual: each layer but the first adds its input to its output.
      learned_state: the state before the first character is learned; otherwise it is zero.
      bidirectional: each layer also runs backward in time, for the tasks that have a whole sequence at once.
      attention: how the decoder of seq2seq looks back at the encoder's states: none, or general (a bilinear score).
      init: how the weights are drawn. normal: all from N(0, init_scale^2), the textbook's. uniform: +-sqrt(1/n) with n
        the width of the layer's input, biases 0. orthogonal: W orthogonal; identity: W = init_scale * I (IRNN); the
        last two with U and V as in uniform and biases 0.
      init_scale: standard deviation of normal (by default 0.1), factor on W of orthogonal and identity (by default 1);
        unused by uniform.
      forget_bias: added to the bias of the LSTM's forget gate at the start.
      sparsity: share of W's entries that are fixed at zero, drawn at the start; 0 is a dense W.
      scan_unroll: time steps in one turn of the compiled loop; changes speed, not results. More than 1
        takes longer to compile, and on the CPUs measured was no faster.
    """

    cell: Literal["vanilla", "leaky", "gru", "lstm"] = "vanilla"
    hidden_size: int = 100
    layers: int = 1
    activation: Literal["tanh", "relu", "linear"] = "tanh"
    leak: float = 0.5
    embedding_size: int = 0
    dropout: float = 0.0
    layer_norm: bool = False
    residual: bool = False
    learned_state: bool = False
    bidirectional: bool = False
    attention: Literal["none", "general"] = "none"
    init: Literal["normal", "uniform", "orthogonal", "identity"] = "orthogonal"
    init_scale: float | None = None
    forget_bias: float = 1.0
    sparsity: float = 0.0
    scan_unroll: int = 1

    def __post_init__(self) -> None:
        gated = self.cell in ("gru", "lstm")
        _check(not gated or self.activation == "tanh", "model.activation", self.activation, f"tanh in a {self.cell}")
        _check(0 < self.leak <= 1, "model.leak", self.leak, "above 0 and at most 1")
        _check(0 <= self.dropout < 1, "model.dropout", self.dropout, "in [0, 1)")
        _check(0 <= self.sparsity < 1, "model.sparsity", self.sparsity, "in [0, 1)")
        _at_least(0, model__embedding_size=self.embedding_size)
        _check(math.isfinite(self.forget_bias), "model.forget_bias", self.forget_bias, "finite")
        _at_least(
            1,
            model__hidden_size=self.hidden_size,
            model__layers=self.layers,
            model__scan_unroll=self.scan_unroll,
        )
        _more_than_zero(model__init_scale=self.scale)

    @property
    def scale(self) -> float:
        """init_scale, or the usual one of the initialiser."""
        usual = 0.1 if self.init == "normal" else 1.0
        return usual if self.init_scale is None else self.init_scale


GradientMethod = Literal[
    "autodiff",
    "manual",
    "textbook",
    "checkpointed",
    "rtrl",
    "parallel",
    "finite_difference",
    "truncated",
    "artbp",
    "snap",
    "rflo",
    "uoro",
    "kf_rtrl",
    "forward_gradient",
    "spsa",
]


@dataclass(frozen=True)
class GradientConfig:
    """How the gradient of a window is computed. A method reads its own fields, and not the others.

    Attributes:
      method: exact: autodiff (jax.grad through the scan), manual (hand-written back-propagation through time, the fast
        one), textbook (the double sum over steps, corrected: for small cases, as its cost grows with the square of T),
        checkpointed (autodiff that keeps few states), rtrl (forward in time, across windows: for few units), parallel
        (a parallel scan back in time: for few units), finite_difference (for very few).
        truncated: truncated (back k2_steps, every k1_steps), artbp (cut at random, reweighted).
        approximate, forward in time and across windows: snap, rflo (one layer of leaky units), uoro and kf_rtrl (right
        on average). From forward passes: forward_gradient (right on average), spsa (evolution strategies).
      segments: checkpointed: sqrt (the square root of T segments), or recursive (halves of halves).
      k1_steps: truncated: steps after which the errors of as many steps are taken back.
      k2_steps: truncated: steps that they are taken back.
      cut_probability: artbp: how often the error is cut between two steps.
      snap_steps: snap: n, steps within which an influence must arrive to be kept.
      feedback: rflo: what brings the error to the units, readout (V transposed) or random (a fixed random matrix).
      directions: forward_gradient, spsa: random directions averaged in one gradient.
      distribution: forward_gradient, spsa: of the directions, gaussian or rademacher (signs).
      sigma: spsa: how far the parameters are moved along a direction.
    """

    method: GradientMethod = "manual"
    segments: Literal["sqrt", "recursive"] = "sqrt"
    k1_steps: int = 1
    k2_steps: int = 10
    cut_probability: float = 0.1
    snap_steps: int = 1
    feedback: Literal["readout", "random"] = "readout"
    directions: int = 1
    distribution: Literal["gaussian", "rademacher"] = "rademacher"
    sigma: float = 0.01

    def __post_init__(self) -> None:
        _at_least(1, gradient__k1_steps=self.k1_steps, gradient__snap_steps=self.snap_steps)
        _check(self.k2_steps >= self.k1_steps, "gradient.k2_steps", self.k2_steps, "at least gradient.k1_steps")
        _check(0 <= self.cut_probability < 1, "gradient.cut_probability", self.cut_probability, "in [0, 1)")
        _at_least(1, gradient__directions=self.directions)
        _more_than_zero(gradient__sigma=self.sigma)


@dataclass(frozen=True)
class OptimizerConfig:
    """Clipping, then Adam.

    Attributes:
      learning_rate: the step size of Adam, at its peak.
      clip: value (each element, as the book's code does), global_norm (the whole gradient, as the book's formula says),
        per_leaf_norm (each parameter array), or none.
      clip_threshold: the largest element, or the largest norm, that is left alone.
      warmup_steps: steps over which the learning rate grows linearly from 0 to learning_rate.
      decay: constant, or cosine (from learning_rate at the end of the warm-up to final_learning_rate at the last step).
      final_learning_rate: where the cosine ends.
      weight_decay: decoupled weight decay (AdamW), applied to the matrices, not to the biases; 0 is plain Adam.
    """

    learning_rate: float = 1e-3
    clip: Literal["value", "global_norm", "per_leaf_norm", "none"] = "global_norm"
    clip_threshold: float = 5.0
    warmup_steps: int = 0
    decay: Literal["constant", "cosine"] = "constant"
    final_learning_rate: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _more_than_zero(optimizer__learning_rate=self.learning_rate, optimizer__clip_threshold=self.clip_threshold)
        _at_least(
            0,
            optimizer__warmup_steps=self.warmup_steps,
            optimizer__final_learning_rate=self.final_learning_rate,
            optimizer__weight_decay=self.weight_decay,
        )


@dataclass(frozen=True)
class TrainingConfig:
    """The loop.

    Attributes:
      steps: training steps of the whole run, one window of every stream each.
      batch_size: B, parallel streams of text.
      sequence_length: T, characters of a window: the length of truncated back-propagation through time.
      steps_per_dispatch: most training steps that the device runs before the host looks in.
      log_every_steps: steps averaged into one line of metrics.jsonl.
      eval_every_steps: steps between two measurements of the validation loss.
      eval_characters: most characters of the validation text that one measurement reads, from its beginning.
      max_skipped_steps: consecutive non-finite steps after which the run stops; each of them leaves the model alone.
      seed: seed of the weights and of the samples.
    """

    steps: int = 10_000
    batch_size: int = 32
    sequence_length: int = 64
    steps_per_dispatch: int = 100
    log_every_steps: int = 100
    eval_every_steps: int = 1_000
    eval_characters: int = 1_000_000
    max_skipped_steps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            _at_least(0 if name == "seed" else 1, **{f"training__{name}": getattr(self, name)})
        _check(self.seed < 2**31, "training.seed", self.seed, "below 2^31")


@dataclass(frozen=True)
class SamplingConfig:
    """The songs written while the network learns.

    Attributes:
      method: stateful (each character follows from the carried state and the one before), or textbook (the book's: each
        new character re-reads a sliding window of sequence_length characters, from the state the last reading left).
      every_steps: training steps between two samples, the first before training; 0 writes only the one at the end.
      show_every_steps: training steps between two samples shown on the screen; the others are only kept in the run.
      length: characters of a sample.
      temperature: divides the logits; below 1 is more cautious, 0 takes the likeliest character.
      top_k: draw only from the k likeliest characters; 0 draws from all.
    """

    method: Literal["stateful", "textbook"] = "stateful"
    every_steps: int = 1_000
    show_every_steps: int = 5_000
    length: int = 500
    temperature: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        _at_least(
            0,
            sampling__every_steps=self.every_steps,
            sampling__temperature=self.temperature,
            sampling__top_k=self.top_k,
        )
        _at_least(1, sampling__length=self.length, sampling__show_every_steps=self.show_every_steps)
        _check(math.isfinite(self.temperature), "sampling.temperature", self.temperature, "finite")


@dataclass(frozen=True)
class RunConfig:
    """The run's directory and the machine.

    Attributes:
      name: the run is kept in root/name; the same command again goes on where it stopped.
      root: the directory of all runs.
      platform: where to compute; auto takes the best that is there.
      devices: over how many devices the streams of a batch are divided, each with the whole network; 0 takes all that
        are there. On a CPU they are threads of this process, and as many as are asked for.
      precision: float32, or float64.
      products: how precisely the factors of matrix products are read. auto: as the device does it, whole on a CPU;
        float32: whole; bfloat16: rounded, with sums in float32, faster on an accelerator made for it.
      checkpoint_every_steps: training steps between two checkpoints.
      keep_checkpoints: the newest checkpoints to keep, beside the best.
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
    tensorboard: bool = False

    def __post_init__(self) -> None:
        plain = bool(self.name) and self.name not in (".", "..") and not set(self.name) & set("/\\\0")
        _check(plain, "run.name", self.name, "a plain directory name")
        _at_least(0, run__devices=self.devices)
        narrow = self.products != "auto" and self.precision == "float64"
        _check(not narrow, "run.products", self.products, "auto where run.precision is float64")
        _at_least(
            1, run__checkpoint_every_steps=self.checkpoint_every_steps, run__keep_checkpoints=self.keep_checkpoints
        )


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
        task, model = self.task.name, self.model
        both_ways = task in ("many_to_one", "many_to_many")
        _check(both_ways or not model.bidirectional, "model.bidirectional", True, f"false for the task {task}")
        _check(task == "seq2seq" or model.attention == "none", "model.attention", model.attention, f"none for {task}")
        _check(task == "many_to_one" or self.data.path != "digits", "data.path", "digits", f"another for {task}")
        of_text = task in ("text", "one_to_one")
        _check(of_text or self.run.devices == 1, "run.devices", self.run.devices, f"1 for the task {task}")
        _check(
            of_text or self.gradient.method in ("autodiff", "manual"),
            "gradient.method",
            self.gradient.method,
            f"autodiff or manual for the task {task}",
        )
