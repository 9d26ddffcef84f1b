"""What a network is trained to do, as the loop sees it: pure functions and arrays."""

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
    """What is found at the end of a run.

    Attributes:
      result: the content of result.json.
      predictions: what the network says of each held-out example, and the truth; the lines of predictions.jsonl.
    """

    result: dict[str, Any]
    predictions: list[dict[str, Any]] = []  # noqa: RUF012


class Task(NamedTuple):
    """All that the loop knows of what is trained.

    Attributes:
      summary: one line about the data.
      fingerprint: of the data, to recognise it when a run goes on.
      names: the content of vocabulary.json, which with the config is enough to use the network.
      per_step: how much a step reads, of what is `counted`.
      counted: characters or examples, in short.
      unit: what the loss is a mean over.
      in_nats: whether it is in nats; otherwise it is a squared error.
      levels: losses that are known, by name, to be drawn beside the run's.
      data: what the steps read, a tree of arrays; goes to the device once. Streams lie along the first axis.
      start: (seed) -> the state before the first step; without a seed, with the config's.
      step: (state, data) -> (state, info).
      held_out: what the validation loss is measured on, a tree of arrays; None: there is nothing.
      evaluate: jitted (params, hyper, held_out) -> the loss, a scalar.
      sample: jitted (params, hyper, carry, data, step) -> a tree of arrays, of which
      write: makes the text of a sample.
      conclude: (state, data) -> Conclusion, with the best weights; the only one that may look at the test part.
      report: result -> the lines for the screen.
      figures: result -> pictures of matplotlib by file name.
      test: what the test loss is measured on, as held_out; read at the end alone.
      measure: jitted (params, hyper, held_out or test) -> what else is measured there, scalars by name; None: nothing.
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
    measure: Callable[[Any, Hyper, Any], dict[str, Array]] | None = None


class Network(NamedTuple):
    """A network for examples, as far as it follows from config and names alone: what training and prediction share.

    Attributes:
      model: its shape, or that of each of its networks.
      init: (key, dtype) -> params.
      surprise: the loss.
      answer: (params, hyper, input, AnswerOptions) -> what the network says of one input, as text. Raises UserError
        where the input is not one that it can read.
    """

    model: Model
    init: Callable[[Array, Any], Any]
    surprise: SurpriseOf
    answer: Callable[..., str]


class AnswerOptions(NamedTuple):
    """How a network that writes is to write.

    Attributes:
      length: most characters.
      temperature: 0 takes the likeliest.
      seed: of the draws.
      beam: width of a beam search; 0: the config's.
    """

    length: int = 300
    temperature: float = 0.8
    seed: int = 0
    beam: int = 0
