"""The fields `task.*` of a config."""

from dataclasses import dataclass
from typing import Literal

from rnnjax.config.checks import at_least, check, typed

TaskName = Literal[
    "text",
    "one_to_one",
    "one_to_many",
    "many_to_one",
    "many_to_many",
    "seq2seq",
    "adding",
    "copy",
    "temporal_order",
    "parity",
    "anbn",
    "recall",
    "forecasting",
    "regression",
    "tagging",
    "classification",
]

KNOWN = ("adding", "copy", "temporal_order", "parity", "anbn", "recall")
"""The tasks with known answers."""

LossName = Literal["cross_entropy", "squared_error", "bernoulli"]

SERIES: dict[str, tuple[LossName, ...]] = {
    "forecasting": ("squared_error", "cross_entropy", "bernoulli"),
    "regression": ("squared_error",),
    "tagging": ("cross_entropy", "bernoulli"),
    "classification": ("cross_entropy", "bernoulli"),
}
"""The tasks on the user's own series, each with the losses that it takes; the first is its own."""

LEAST_LENGTH = {"adding": 2, "copy": 1, "temporal_order": 10, "parity": 2, "anbn": 2, "recall": 1}
"""Least task.length of a task with a known answer."""

LEAST_CLASSIC_ADDING = 22
"""Least length of adding in its classic form: its first half has the ten pairs of which one is marked, and one more."""


@dataclass(frozen=True)
class TaskConfig:
    """The task of the network. All but the first two learn from examples, whole sequences of unequal lengths.

    Attributes:
      name: text (write songs, from a stream of text), one_to_one (the same, measured also with its own output fed back
        to it), one_to_many (a label in, a text of it out), many_to_one (a text in, its label out; or the image of a
        digit, where data.path is digits), many_to_many (a line in, a tag for each character out: the first syllables of
        its words), seq2seq (numbers below a million to words, and back). With a known answer, and sequences drawn anew
        at every step: adding (the sum of two marked numbers), copy (symbols, after a delay), temporal_order (of two or
        three symbols), parity (of bits), anbn (as many b's as a's), recall (one letter, after a delay). On the series
        of data.path, a .npz or a table of numbers: forecasting (each series some rows later), regression (numbers, of
        every step or of a whole series), tagging (a class at every step), classification (a class of a whole series).
      loss: for series, squared_error (targets are numbers), cross_entropy (a class each), bernoulli (0 or 1
        for each of several labels); null: cross_entropy for tagging and classification, else squared_error.
      label_column: the CSV column that holds the labels of one_to_many and many_to_one.
      labels: keep the songs of so many of the most frequent labels; 0 keeps all.
      max_length: most characters of an example: songs are cut into pieces of whole lines, at most so long.
      numbers: seq2seq: numbers drawn, held-out ones included; each is learned in both directions.
      beam: seq2seq: texts that the beam search follows side by side.
      length: known answers: T, steps of a sequence; copy and recall: steps to remember for; anbn: most a's.
      form: adding: modern (numbers in [0, 1], their sum) or classic (of 1997). parity: modern (asked at every step) or
        classic (once, at the end).
      symbols: copy, recall: K, different symbols.
      positions: copy: symbols to keep, 0 is 10; temporal_order: symbols that matter, 2 or 3, 0 is 2.
      held_out: known answers: sequences to choose the best checkpoint on, and as many to test it on.
    """

    name: TaskName = "text"
    loss: LossName | None = None
    label_column: str = "artist"
    labels: int = 0
    max_length: int = 200
    numbers: int = 20_000
    beam: int = 4
    length: int = 20
    form: Literal["modern", "classic"] = "modern"
    symbols: int = 8
    positions: int = 0
    held_out: int = 2_000

    def __post_init__(self) -> None:
        typed(self, "task")
        at_least(0, task__labels=self.labels, task__positions=self.positions)
        at_least(1, task__beam=self.beam, task__held_out=self.held_out)
        at_least(2, task__max_length=self.max_length)
        check(100 <= self.numbers <= 1_000_000, "task.numbers", self.numbers, "between 100 and 1,000,000")
        check(2 <= self.symbols <= 26, "task.symbols", self.symbols, "between 2 and 26")
        losses = SERIES.get(self.name, ())
        demand = " or ".join((*losses, "null")) + f" for the task {self.name}"
        check(self.loss is None or self.loss in losses, "task.loss", self.loss, demand)
        if not self.is_known:
            return
        is_old = self.name == "adding" and self.form == "classic"
        least = LEAST_CLASSIC_ADDING if is_old else LEAST_LENGTH[self.name]
        of = f"the task {self.name}" + (" in its classic form" if is_old else "")
        check(self.length >= least, "task.length", self.length, f"at least {least} for {of}")
        if self.name == "temporal_order":
            check(self.positions in (0, 2, 3), "task.positions", self.positions, "2 or 3 for the task temporal_order")

    @property
    def is_text(self) -> bool:
        """True where the network reads a stream of text."""
        return self.name in ("text", "one_to_one")

    @property
    def is_known(self) -> bool:
        """True where the answer is known: the task is one of `rnnjax.data.known`."""
        return self.name in KNOWN

    @property
    def is_series(self) -> bool:
        """True where the network learns from series of the user's own."""
        return self.name in SERIES

    @property
    def series_loss(self) -> LossName:
        """The loss of a task on series: `loss`, or the task's own."""
        return self.loss or SERIES[self.name][0]
