"""One label in, a text out: the band is the initial state, and the song follows from it.

Counts, not the network, judge the songs. A classifier of n-gram models, trained on songs of the test part that the
network never saw, names the band of each generated song. Chance is one in the number of bands. Its accuracy on real
songs that it never saw shows how far bands can be told apart at all.
"""

import difflib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import draw_params, make_model
from rnnjax.config import Config
from rnnjax.data.labelled import Labelled, load_labelled
from rnnjax.data.ngram_classifier import permutation_p, train_classifier
from rnnjax.data.split import Split
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.errors import UserError
from rnnjax.model.architectures import Conditioned, conditioned_carry, one_to_many
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Model
from rnnjax.model.rnn import Unroll
from rnnjax.model.sampling import generate, gumbel_noise
from rnnjax.tasks.examples import held_out_losses, loss_lines, make_example_task, noise_for, shifted, surprise_within
from rnnjax.tasks.song_pieces import Example, count_pairs, make_pieces
from rnnjax.tasks.task import AnswerOptions, Conclusion, Network, Task
from rnnjax.training.examples import Surprise
from rnnjax.training.randomness import random_key
from rnnjax.training.state import TrainState

Array = jax.Array

START = "\n"
"""Character before the first one of a piece, and after its last."""

SPREAD = 0.5
"""Standard deviation of the initial states before training, large enough to tell them apart from the first step."""

SONGS = 10
"""Number of songs generated for each label, to be judged."""

SHOWN = 4
"""Number of labels in a sample."""


def make(config: Config) -> Task:
    """Reads the songs and their labels.

    Raises:
      UserError: if they cannot be read, or are too few.
    """
    songs = load_labelled(config)
    most = config.task.max_length
    vocabulary, examples, _ = make_pieces(songs, most, also=START)
    names = {"characters": vocabulary.characters, "labels": songs.names, "steps": most}
    of = network(config, names)
    return make_example_task(
        config,
        of,
        examples,
        "pieces of songs",
        source=songs.source,
        names=names,
        unit="character",
        sample=make_sample(config, names, np.arange(min(SHOWN, len(songs.names)))),
        write=partial(write, vocabulary, songs.names),
        conclude=partial(conclude, config, of, songs, vocabulary, examples, names),
        report=report,
        figures=figures,
    )


def shape_of(config: Config, names: dict[str, Any]) -> Model:
    """The network's shape: characters in, characters out."""
    return make_model(config, len(names["characters"]) + 1)


def network(config: Config, names: dict[str, Any]) -> Network:
    model, start = shape_of(config, names), names["characters"].index(START)

    def init(key: Array, dtype: Any) -> Conditioned:
        key_network, key_starts = jax.random.split(key)
        shape = (model.layers, len(names["labels"]), model.state_width)
        starts = SPREAD * jax.random.normal(key_starts, shape, dtype)
        return Conditioned(draw_params(key_network, model, config.model, dtype), tuple(starts))

    def surprise(params: Conditioned, hyper: Hyper, rows: Example, key: Array | None, unroll: Unroll) -> Surprise:
        batch = shifted(rows.x, rows.length, start)
        batch = batch._replace(noise=noise_for(key, model, batch.x.shape, params.network.V.dtype))
        logits = one_to_many(model, params, hyper, rows.label, batch, unroll=unroll)
        return surprise_within(logits, batch.y, batch.valid)

    def answer(params: Conditioned, hyper: Hyper, text: str, asked: AnswerOptions) -> str:
        label = np.array([label_of(text, names["labels"])])
        key = jax.random.key(asked.seed)
        ids = sing(model, start, params, hyper, label, key, asked.length, asked.temperature, 0)
        return Vocabulary(names["characters"]).decode(np.asarray(ids)[:, 0])

    return Network(model, init, surprise, answer)


def label_of(name: str, labels: list[str]) -> int:
    """The index of a label. Raises UserError for an unknown one, and names the nearest."""
    if name in labels:
        return labels.index(name)
    if not name.strip():
        raise UserError(f"--input is empty; give a label, such as {labels[0]}")
    near = difflib.get_close_matches(name, labels, n=1, cutoff=0.3)
    more = f" and {len(labels) - 20:,} more" if len(labels) > 20 else ""
    known = f"did you mean {near[0]}?" if near else f"it knows {', '.join(labels[:20])}{more}"
    raise UserError(f"--input {name!r} is a label that the network never saw; {known}")


def sing(
    model: Model,
    start: int,
    params: Conditioned,
    hyper: Hyper,
    label: Array | np.ndarray,
    key: Array,
    length: int,
    temperature: float,
    top_k: int,
) -> Array:
    """Draws songs of labels `[B]`, as ids `[length, B]`."""
    noise = gumbel_noise(key, 0, length, (len(label), model.vocabulary), params.network.V.dtype)
    carry = conditioned_carry(params, jnp.asarray(label))
    x = jnp.full(len(label), start)
    return generate(model, params.network, hyper, carry, x, noise, temperature, top_k)[1]


def make_sample(config: Config, names: dict[str, Any], label: np.ndarray) -> Any:
    """Returns the sampler: labels `[B]`, and songs as ids `[sampling.length, B]`, drawn by seed and step alone."""
    model, start, drawn = shape_of(config, names), names["characters"].index(START), config.sampling

    def sample(params: Conditioned, hyper: Hyper, carry: Any, data: Any, step: Array) -> tuple[Array, Array]:
        key = random_key(config.training.seed, "sample", step)
        return jnp.asarray(label), sing(
            model, start, params, hyper, label, key, drawn.length, drawn.temperature, drawn.top_k
        )

    return jax.jit(sample)


def write(vocabulary: Vocabulary, names: list[str], found: tuple[Array, Array]) -> str:
    label, ids = map(np.asarray, found)
    return "\n\n".join(f"[{names[own]}]\n{vocabulary.decode(song)}" for own, song in zip(label, ids.T, strict=True))


def conclude(
    config: Config,
    of: Network,
    songs: Labelled,
    vocabulary: Vocabulary,
    examples: Split[Any],
    names: dict[str, Any],
    state: TrainState,
    _: Any,
) -> Conclusion:
    """Draws songs of every label, and measures the classifier's accuracy on them."""
    result: dict[str, Any] = {"step": int(state.step), **held_out_losses(of, examples, state)}
    labels = np.repeat(np.arange(len(songs.names)), SONGS)
    _, ids = make_sample(config, names, labels)(state.params, state.hyper, (), None, state.step)
    texts = [vocabulary.decode(column) for column in np.asarray(ids).T]
    predictions: list[dict[str, Any]] = [
        {"label": songs.names[label], "song": text} for label, text in zip(labels, texts, strict=True)
    ]
    result["song"] = f"[{songs.names[0]}]\n{texts[0]}"
    heard = [np.unique(songs.label[songs.part == part]) for part in (0, 2)]
    if not all(len(own) == len(songs.names) for own in heard):
        return Conclusion(result, predictions)
    judged, guess = judge(songs, texts, labels)
    for row, own in zip(predictions, guess, strict=True):
        row["recognised_as"] = songs.names[own]
    return Conclusion(result | judged, predictions)


def judge(songs: Labelled, texts: list[str], labels: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Judges generated songs by a classifier trained on the test part.

    Args:
      texts: n generated songs.
      labels: labels that they were asked of [n].

    Returns:
      The classifier's accuracy beside chance and that on real songs, as a part of result.json; and its guesses [n].
    """
    everyone = Vocabulary.of("".join(songs.texts))  # of the classifier, which must not share what the network knows
    encoded = [everyone.encode(text) for text in songs.texts]
    held_out, real = (np.flatnonzero(songs.part == part) for part in (2, 0))
    classifier = train_classifier([encoded[i] for i in held_out], songs.label[held_out], len(everyone))
    guess = classifier.classify([everyone.encode(text) for text in texts])
    found = {
        "recognised": float(np.mean(guess == labels)),
        "count": len(labels),
        "p": permutation_p(labels, guess),
        "baselines": {"chance": 1 / len(songs.names)},
        "recognised_real": float(np.mean(classifier.classify([encoded[i] for i in real]) == songs.label[real])),
        "labels": songs.names,
        "confusion": count_pairs(labels, guess, len(songs.names)).tolist(),
    }
    return found, guess


def report(result: dict[str, Any]) -> list[str]:
    """Lines with a song, and the share of songs that were recognised."""
    lines = [f"\n--- a song, from the weights of step {result['step']:,} ---\n{result['song']}\n---"]
    lines += loss_lines("nats per character", result)
    if "recognised" not in result:
        return [*lines, "no test songs of every label: nothing to train a classifier on (data.test_fraction)"]
    lines.append(
        f"a classifier trained on songs that the network never saw gives {result['recognised']:.1%} of "
        f"{result['count']} generated songs to the right label (p = {result['p']:.4g} by permutation)"
    )
    lines += [f"  baseline, {name}: {value:.1%}" for name, value in result["baselines"].items()]
    return [*lines, f"  of the real songs that the network learned from: {result['recognised_real']:.1%}"]


def figures(result: dict[str, Any]) -> dict[str, Any]:
    from rnnjax.tasks.figures import confusion

    if "confusion" not in result:
        return {}
    chance = result["baselines"]["chance"]
    title = f"one to many: {result['recognised']:.0%} of generated songs recognised, chance {chance:.0%}"
    axes = {"rows": "label the song was asked of", "columns": "label the classifier gave it"}
    return {"recognised.png": confusion(result["confusion"], result["labels"], title, "generated songs", **axes)}
