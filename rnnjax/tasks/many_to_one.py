"""A sequence in, one label out: a piece of a song and its band, or the image of a digit, read pixel by pixel.

A song is longer than a gradient reaches, so it is cut into pieces of whole lines, and the network learns the band of
each piece. A song's band is the one with the highest probability over all its pieces together.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import make_model
from rnnjax.config import Config
from rnnjax.data.digits import SIDE, load_digits
from rnnjax.data.labelled import Labelled, cut_into_pieces, draw_parts_within, load_labelled
from rnnjax.data.ngram_classifier import train_classifier
from rnnjax.data.padding import pad
from rnnjax.data.split import Split
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.errors import UserError
from rnnjax.model.architectures import many_to_one, steps_within
from rnnjax.model.cells import Hyper
from rnnjax.model.loss import cross_entropy
from rnnjax.model.network import Batch, Model, Params
from rnnjax.model.rnn import Unroll, unroll
from rnnjax.tasks.examples import (
    check_text,
    conclude,
    draw_all,
    figures,
    make_example_task,
    make_sample,
    measured,
    noise_for,
    report,
)
from rnnjax.tasks.song_pieces import Example, count_pairs, make_pieces
from rnnjax.tasks.task import AnswerOptions, Conclusion, Network, Task
from rnnjax.training.examples import Surprise, in_blocks
from rnnjax.training.state import TrainState

Array = jax.Array


class Data(NamedTuple):
    """Data of the task.

    Attributes:
      examples: examples of each part.
      owner: song or image of each example of a part, numbered from 0 within the part.
      names: content of vocabulary.json.
      baselines: () -> bool `[owners]` by baseline, True where it is right, on the part that is measured.
      source: description of the data, in short.
    """

    examples: Split[Any]
    owner: Split[Any]
    names: dict[str, Any]
    baselines: Callable[[], dict[str, np.ndarray]]
    source: str


def make(config: Config) -> Task:
    """Reads the digits, or the songs and their labels.

    Raises:
      UserError: if they cannot be read, or are too few.
    """
    of_images = config.data.path == "digits"
    data = read_digits(config) if of_images else read_songs(config)
    of, log_p = network(config, data.names), make_log_p(config, data.names)
    unit, whole = ("image", "images") if of_images else ("piece of a song", "songs")
    return make_example_task(
        config,
        of,
        data.examples,
        "images" if of_images else "pieces of songs",
        source=data.source,
        names=data.names,
        unit=unit,
        sample=make_sample(log_p, data.examples),
        write=partial(write, data.names["labels"]),
        conclude=partial(conclude, of, data.examples, partial(score, data, log_p)),
        report=partial(report, f"nats per {unit}", partial(score_lines, whole)),
        figures=partial(figures, partial(draw, whole)),
    )


def read_songs(config: Config) -> Data:
    """Reads the songs and cuts them into pieces."""
    songs = load_labelled(config)
    most = config.task.max_length
    vocabulary, examples, song = make_pieces(songs, most)
    owner = Split(*(np.unique(own, return_inverse=True)[1] for own in song))
    names = {"characters": vocabulary.characters, "labels": songs.names, "steps": most}
    return Data(examples, owner, names, partial(song_baselines, songs, vocabulary), songs.source)


def song_baselines(songs: Labelled, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """True where a baseline is right about a held-out song: the most frequent label, and n-gram models."""
    part = 2 if np.any(songs.part == 2) else 1
    texts = [vocabulary.encode(text) for text in songs.texts]
    held_out = [text for text, own in zip(texts, songs.part, strict=True) if own == part]
    if not held_out:
        return {}
    train = np.flatnonzero(songs.part == 0)
    classifier = train_classifier([texts[i] for i in train], songs.label[train], len(vocabulary))
    truth = songs.label[songs.part == part]
    return {
        "the most frequent label": truth == np.argmax(np.bincount(songs.label[train])),
        "n-gram models, one for each label": truth == classifier.classify(held_out),
    }


def read_digits(config: Config) -> Data:
    """Reads the images, and splits them within each digit."""
    images, label = load_digits()
    part = draw_parts_within(label, config.data.validation_fraction, config.data.test_fraction, config.data.split_seed)
    length = np.full(len(label), images.shape[1], np.int32)
    examples = [
        Example(images[part == p], length[part == p], label[part == p]) if np.any(part == p) else None for p in range(3)
    ]
    owners = [np.arange(np.sum(part == p)) for p in range(3)]
    names = {"labels": [str(digit) for digit in range(10)], "steps": images.shape[1]}
    baselines = partial(image_baselines, Split(*examples))
    return Data(Split(*examples), Split(*owners), names, baselines, "scikit-learn's digits")


def image_baselines(examples: Split[Any]) -> dict[str, np.ndarray]:
    """True where a baseline is right about a held-out image: the most frequent digit, and the nearest mean image."""
    if (found := measured(examples)) is None:
        return {}
    train, held_out = examples.train, found[1]
    means = np.stack([train.x[train.label == digit].mean(axis=0) for digit in range(10)])
    nearest = np.argmin(np.sum((held_out.x[:, None] - means) ** 2, axis=-1), axis=1)
    return {
        "the most frequent label": held_out.label == np.argmax(np.bincount(train.label)),
        "the nearest mean image": held_out.label == nearest,
    }


def shape_of(config: Config, names: dict[str, Any]) -> Model:
    """The network's shape: the input is one pixel or character, with an output for each label."""
    return make_model(config, len(names["labels"]), len(names["characters"]) + 1 if "characters" in names else 1)


def make_logits(config: Config, names: dict[str, Any]) -> Callable[..., Array]:
    """Returns (params, hyper, examples `[B, T]`, key=None, unroll=rnn.unroll) -> logits `[B, labels]`."""
    model, of_images = shape_of(config, names), "characters" not in names

    def logits(params: Params, hyper: Hyper, rows: Example, key: Any = None, unroll: Unroll = unroll) -> Array:
        x = jnp.asarray(rows.x).T
        valid = None
        if of_images:
            x = x[..., None].astype(params.V.dtype)
        else:
            valid = steps_within(rows.length, x.shape[0])
        noise = noise_for(key, model, x.shape[:2], params.V.dtype)
        return many_to_one(model, params, hyper, Batch(x, rows.label, valid=valid, noise=noise), unroll=unroll)

    return logits


def make_log_p(config: Config, names: dict[str, Any]) -> Callable[..., Array]:
    """Returns (params, hyper, examples `[B, T]`) -> log-probabilities `[B, labels]`."""
    logits = make_logits(config, names)
    return lambda params, hyper, rows: jax.nn.log_softmax(logits(params, hyper, rows))


def network(config: Config, names: dict[str, Any]) -> Network:
    logits, log_p, characters = make_logits(config, names), make_log_p(config, names), names.get("characters")

    def surprise(params: Params, hyper: Hyper, rows: Example, key: Array | None, unroll: Unroll) -> Surprise:
        nats = cross_entropy(logits(params, hyper, rows, key, unroll), rows.label)
        return Surprise(nats, jnp.ones_like(nats))

    def answer(params: Params, hyper: Hyper, text: str, asked: AnswerOptions) -> str:
        rows = read_image(text) if characters is None else read_song(text, characters, names["steps"])
        p = np.asarray(jax.nn.softmax(jnp.sum(jax.jit(log_p)(params, hyper, rows), axis=0)))
        return "\n".join(f"{p[label]:7.2%}  {names['labels'][label]}" for label in np.argsort(-p)[:5])

    model = shape_of(config, names)
    return Network(model, partial(draw_all, model, config), surprise, answer)


def read_song(text: str, characters: str, most: int) -> Example:
    """Cuts a song into pieces. Raises UserError if it is empty or has unknown characters."""
    check_text(text.strip("\n"), characters + "\n", len(text))
    pieces = cut_into_pieces(text, most)
    padded = pad([Vocabulary(characters).encode(piece) for piece in pieces], most)
    return Example(padded.ids, padded.length, np.zeros(len(pieces), np.int32))


def read_image(text: str) -> Example:
    """Reads an image from a text of its pixels, row by row.

    Raises:
      UserError: if the text is not 64 numbers from 0 to 16.
    """
    try:
        pixels = np.array([float(word) for word in text.replace(",", " ").split()], np.float32)
    except ValueError:
        raise UserError("--input is no list of numbers; give the 64 pixels of an image, row by row") from None
    if len(pixels) != SIDE * SIDE:
        raise UserError(f"--input has {len(pixels)} numbers; an image is {SIDE * SIDE} of them, from 0 to 16")
    if outside := [f"{pixel:g}" for pixel in pixels if not 0 <= pixel <= 16]:
        raise UserError(f"--input has the pixel {outside[0]}; they go from 0 to 16")
    return Example(pixels[None] / 16, np.array([len(pixels)], np.int32), np.zeros(1, np.int32))


def write(labels: list[str], found: tuple[Example, Array]) -> str:
    """Writes a line for each example of a sample."""
    rows, log_ps = found
    lines = []
    for truth, log_p in zip(np.asarray(rows.label), np.asarray(log_ps), strict=True):
        guess = int(np.argmax(log_p))
        right = "right" if guess == truth else f"wrong, it is {labels[truth]}"
        lines.append(f"{labels[guess]} ({np.exp(log_p[guess]):.0%}): {right}")
    return "\n".join(lines)


def score(data: Data, log_p: Callable[..., Array], state: TrainState, part: str, examples: Example) -> Conclusion:
    """Measures accuracy and confusion on a part, for the examples and for the songs that they are pieces of."""
    labels, owner = data.names["labels"], getattr(data.owner, part)
    found = in_blocks(log_p, state.params, state.hyper, examples)
    together = np.zeros((owner.max() + 1, len(labels)))
    np.add.at(together, owner, found)
    truth = np.zeros(len(together), int)
    truth[owner] = examples.label
    guess = np.argmax(together, axis=1)
    result = {
        "example_accuracy": float(np.mean(np.argmax(found, axis=1) == examples.label)),
        "accuracy": float(np.mean(guess == truth)),
        "count": len(truth),
        "baselines": {name: float(np.mean(right)) for name, right in data.baselines().items()},
        "labels": labels,
        "confusion": count_pairs(truth, guess, len(labels)).tolist(),
    }
    predictions = [
        {"truth": labels[t], "predicted": labels[g], "probability": float(p)}
        for t, g, p in zip(truth, guess, np.max(np.asarray(jax.nn.softmax(together)), axis=1), strict=True)
    ]
    return Conclusion(result, predictions)


def score_lines(whole: str, result: dict[str, Any]) -> list[str]:
    """Lines with the accuracy on images or songs, beside the baselines'."""
    part = result["measured"]
    lines = [f"{part} accuracy on pieces of songs {result['example_accuracy']:.1%}"] * (whole == "songs")
    lines.append(f"{part} accuracy on {result['count']} {whole} {result['accuracy']:.1%}")
    return lines + [f"  baseline, {name}: {value:.1%}" for name, value in result["baselines"].items()]


def draw(whole: str, result: dict[str, Any]) -> dict[str, Any]:
    """Draws the confusion matrix of images or songs."""
    from rnnjax.tasks.figures import confusion

    title = f"many to one: {result['accuracy']:.1%} of {result['count']} held-out {whole} right"
    return {"confusion.png": confusion(result["confusion"], result["labels"], title, f"held-out {whole}")}
