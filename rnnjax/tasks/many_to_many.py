"""An output for each input: the network tags the end of the first syllable of every word, as `data.tags` has it.

A tag depends as much on the characters after it as on those before; `--model.bidirectional false` shows how much.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import make_model
from rnnjax.config import Config
from rnnjax.data.corpus import load_corpus
from rnnjax.data.labelled import cut_into_pieces
from rnnjax.data.padding import pad
from rnnjax.data.split import Split
from rnnjax.data.tags import END, TAGS, bigram_tags, mark, tag
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.model.architectures import many_to_many, steps_within
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Model, Params
from rnnjax.model.rnn import Unroll, unroll
from rnnjax.tasks.examples import (
    check_text,
    conclude,
    draw_all,
    figures,
    make_example_task,
    make_sample,
    noise_for,
    report,
    surprise_within,
)
from rnnjax.tasks.task import AnswerOptions, Conclusion, Network, Task
from rnnjax.training.examples import Surprise, in_blocks
from rnnjax.training.state import TrainState

Array = jax.Array


class Example(NamedTuple):
    """N lines and their tags: x and y `[N, T]`, length `[N]`."""

    x: Any
    length: Any
    y: Any


def make(config: Config) -> Task:
    """Reads the lines of the songs, and tags them.

    Raises:
      UserError: if they cannot be read, or are too few.
    """
    corpus = load_corpus(dataclasses.replace(config.data, separator="\n"))
    most = config.task.max_length
    lines = Split(*(lines_of(part, most) for part in corpus.text))
    examples = Split(*(encode(part, corpus.vocabulary, most) if part else None for part in lines))
    names = {"characters": corpus.vocabulary.characters, "labels": list(TAGS), "steps": most}
    of, tagger = network(config, names), make_tagger(config, names)
    return make_example_task(
        config,
        of,
        examples,
        "lines",
        source=corpus.songs.source,
        names=names,
        unit="character",
        sample=make_sample(tagger, examples),
        write=partial(write, corpus.vocabulary),
        conclude=partial(conclude, of, examples, partial(score, lines, tagger)),
        report=partial(report, "nats per character", score_lines),
        figures=partial(figures, draw),
    )


def lines_of(text: str, most: int) -> list[str]:
    """The lines of a text with a letter in them, cut at `most` characters."""
    return [piece for line in text.splitlines() if line.strip() for piece in cut_into_pieces(line, most)]


def encode(lines: list[str], vocabulary: Vocabulary, most: int) -> Example:
    padded = pad([vocabulary.encode(line) for line in lines], most)
    return Example(padded.ids, padded.length, pad([tag(line) for line in lines], most).ids)


def shape_of(config: Config, names: dict[str, Any]) -> Model:
    """The network's shape: characters in, tags out."""
    return make_model(config, len(names["labels"]), len(names["characters"]) + 1)


def make_logits(config: Config, names: dict[str, Any]) -> Callable[..., Array]:
    """Returns (params, hyper, examples `[B, T]`, key=None, unroll=rnn.unroll) -> logits `[T, B, tags]`."""
    model = shape_of(config, names)

    def logits(params: Params, hyper: Hyper, rows: Example, key: Any = None, unroll: Unroll = unroll) -> Array:
        x = jnp.asarray(rows.x).T
        noise = noise_for(key, model, x.shape, params.V.dtype)
        batch = Batch(x, x, valid=steps_within(rows.length, len(x)), noise=noise)
        return many_to_many(model, params, hyper, batch, unroll=unroll)

    return logits


def make_tagger(config: Config, names: dict[str, Any]) -> Callable[..., Array]:
    """Returns (params, hyper, examples `[B, T]`) -> the likeliest tags `[B, T]`."""
    logits = make_logits(config, names)
    return lambda params, hyper, rows: jnp.argmax(logits(params, hyper, rows), axis=-1).T


def network(config: Config, names: dict[str, Any]) -> Network:
    logits, tagger, characters = make_logits(config, names), make_tagger(config, names), names["characters"]

    def surprise(params: Params, hyper: Hyper, rows: Example, key: Array | None, unroll: Unroll) -> Surprise:
        y = rows.y.T
        return surprise_within(logits(params, hyper, rows, key, unroll), y, steps_within(rows.length, len(y)))

    def answer(params: Params, hyper: Hyper, text: str, asked: AnswerOptions) -> str:
        check_text(text, characters.replace("\n", ""), names["steps"])
        ids = Vocabulary(characters).encode(text)
        rows = Example(ids[None], np.array([len(ids)], np.int32), ids[None])
        return mark(text, np.asarray(jax.jit(tagger)(params, hyper, rows))[0])

    model = shape_of(config, names)
    return Network(model, partial(draw_all, model, config), surprise, answer)


def write(vocabulary: Vocabulary, found: tuple[Example, Array]) -> str:
    """Writes each line of a sample as the network divides it, and as the rule does if they differ."""
    rows, tags = jax.device_get(found)
    lines = []
    for x, length, y, guess in zip(*rows, tags, strict=True):
        text = vocabulary.decode(x[:length])
        given, right = mark(text, guess[:length]), mark(text, y[:length])
        lines.append(given if given == right else f"{given}\n    where the rule has {right}")
    return "\n".join(lines)


def score(lines: Split[Any], tagger: Callable[..., Array], state: TrainState, part: str, rows: Example) -> Conclusion:
    """Scores the tags of a part, for the network and for the bigram baseline."""
    texts = getattr(lines, part)
    truth = [tag(line) for line in texts]
    guess = in_blocks(tagger, state.params, state.hyper, rows)
    network_tags = [row[: len(line)] for row, line in zip(guess, texts, strict=True)]
    bigram = bigram_tags(lines.train, [tag(line) for line in lines.train], texts)
    result = {
        "labels": list(TAGS),
        "network": scores(truth, network_tags),
        "baselines": {"most frequent tag after the same two characters": scores(truth, bigram)},
    }
    predictions = [
        {
            "line": line,
            "predicted": mark(line, own),
            "truth": mark(line, right),
            "wrong_tags": int(np.sum(own != right)),
        }
        for line, own, right in zip(texts, network_tags, truth, strict=True)
    ]
    return Conclusion(result, predictions)


def scores(truth: list[np.ndarray], guess: list[np.ndarray]) -> dict[str, Any]:
    """Scores of tags: accuracy by character and by line; precision, recall and F1 of END; recall of each tag."""
    t, g = np.concatenate(truth), np.concatenate(guess)
    both = np.sum((t == END) & (g == END))
    precision, recall = (float(both / max(np.sum(tags == END), 1)) for tags in (g, t))
    lines_right = [np.array_equal(a, b) for a, b in zip(truth, guess, strict=True)]
    return {
        "accuracy": float(np.mean(t == g)),
        "line_accuracy": float(np.mean(lines_right)),
        "end_precision": precision,
        "end_recall": recall,
        "end_f1": 2 * precision * recall / max(precision + recall, 1e-12),
        "recall": [float(np.mean(g[t == tag] == tag)) if np.any(t == tag) else None for tag in range(len(TAGS))],
    }


def score_lines(result: dict[str, Any]) -> list[str]:
    """Lines with the scores beside the baseline's."""
    told = lambda s: (
        f"{s['accuracy']:.2%} of characters, {s['line_accuracy']:.1%} of whole lines right; "
        f"ends of first syllables F1 {s['end_f1']:.2%}"
    )
    baselines = [f"  baseline, {name}: {told(value)}" for name, value in result["baselines"].items()]
    return [f"{result['measured']}: {told(result['network'])}", *baselines]


def draw(result: dict[str, Any]) -> dict[str, Any]:
    """Draws the recall of each tag beside the baseline's."""
    from rnnjax.tasks.figures import bars

    series = {"the network": result["network"]["recall"]}
    series |= {name: value["recall"] for name, value in result["baselines"].items()}
    return {
        "tags.png": bars(
            series,
            result["labels"],
            xlabel="the character's true tag",
            ylabel="characters that are given it (%)",
            title="many to many: where first syllables end",
        )
    }
