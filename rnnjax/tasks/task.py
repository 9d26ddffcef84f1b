"""A task as the training loop sees it: pure functions and arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from rnnjax.model.cells import Hyper
from rnnjax.model.network import Model
from rnnjax.training.examples import SurpriseOf
from rnnjax.training.state import TrainState
from rnnjax.training.step import Step

Array = jax.Array


class Conclusion(NamedTuple):
    """Findings at the end of a run.

    Attributes:
      result: content of result.json.
      predictions: answer and truth of each held-out example; the lines of predictions.jsonl.
    """

    result: dict[str, Any]
    predictions: list[dict[str, Any]] = []  # noqa: RUF012


class Task(NamedTuple):
    """A task: data, training step, metrics and report.

    Attributes:
      summary: one line about the data.
      fingerprint: checksum of the data, to recognise them when a run goes on.
      names: content of vocabulary.json; with the config it is enough to use the network.
      per_step: number of characters or examples that a step reads.
      counted: name of the things counted by `per_step`, in short.
      unit: name of the thing that the loss is a mean over.
      in_nats: True if the loss is in nats, False if it is a squared error.
      levels: known losses by name, drawn beside the run's.
      data: tree of arrays that the steps read; it goes to the device once. Streams lie along the first axis.
      start: (seed) -> the state before the first step; the seed is the config's unless given.
      step: (state, data) -> (state, info).
      held_out: tree of arrays for the validation loss; None if nothing is held out.
      evaluate: jitted (params, hyper, held_out) -> the loss, a scalar.
      sample: jitted (params, hyper, carry, data, step) -> a sample, a tree of arrays.
      write: (sample) -> its text.
      conclude: (state, data) -> Conclusion; takes the best weights, and alone may read the test part.
      report: (result) -> lines for the screen.
      figures: (result) -> pictures of matplotlib by file name.
      test: tree of arrays for the test loss, read at the end alone; None if nothing is held out.
      exponent: jitted (params, hyper, held_out) -> the largest Lyapunov exponent, nats per step, of a network whose
        windows are solved in parallel over time; None for others.
      measure: jitted (params, hyper, held_out or test) -> further metrics, scalars by name; None without any.
    """

    summary: str
    fingerprint: str
    names: dict[str, Any]
    per_step: int
    counted: str
    unit: str
    data: Any
    start: Callable[..., TrainState]
    step: Step
    held_out: Any
    evaluate: Callable[[Any, Hyper, Any], Array]
    sample: Callable[[Any, Hyper, Any, Any, Array], Any]
    write: Callable[[Any], str]
    conclude: Callable[[TrainState, Any], Conclusion]
    report: Callable[[dict[str, Any]], list[str]]
    figures: Callable[[dict[str, Any]], dict[str, Any]] = lambda result: {}
    in_nats: bool = True
    levels: dict[str, float] = {}  # noqa: RUF012
    test: Any = None
    exponent: Callable[[Any, Hyper, Any], Array] | None = None
    measure: Callable[[Any, Hyper, Any], dict[str, Array]] | None = None


class Network(NamedTuple):
    """A network for examples, as training and prediction share it; it follows from config and names alone.

    Attributes:
      model: shape of the network, or of each of its networks.
      init: (key, dtype) -> params.
      surprise: loss.
      answer: (params, hyper, input, AnswerOptions) -> the answer to one input, as text. Raises UserError for an input
        that the network cannot read.
    """

    model: Model
    init: Callable[[Array, Any], Any]
    surprise: SurpriseOf
    answer: Callable[..., str]


class AnswerOptions(NamedTuple):
    """Options of a network that writes.

    Attributes:
      length: most characters to write.
      temperature: temperature of the draws; 0 takes the likeliest character.
      seed: seed of the draws.
      beam: width of the beam search; 0: the config's.
    """

    length: int = 300
    temperature: float = 0.8
    seed: int = 0
    beam: int = 0
