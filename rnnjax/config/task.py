"""The fields `task.*` of a config."""

from dataclasses import dataclass
from typing import Literal

from rnnjax.config.checks import at_least, check

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
        at_least(0, task__labels=self.labels)
        at_least(1, task__beam=self.beam)
        at_least(2, task__max_length=self.max_length)
        check(100 <= self.numbers <= 1_000_000, "task.numbers", self.numbers, "between 100 and 1,000,000")
