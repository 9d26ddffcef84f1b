"""A sequence in, one of another length out: numbers below a million to English words, and back, by one network.

It reads `four hundred and seven` and writes 407, character by character, or the other way round. The input shows which
direction is asked for.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import draw_params, make_model
from rnnjax.config import Config
from rnnjax.data.numbers import (
    CHARACTERS,
    DIRECTIONS,
    END,
    MOST,
    STEPS,
    WORDS,
    Pairs,
    decode_texts,
    draw_numbers,
    encode_pairs,
    encode_texts,
    in_words,
    pairs,
)
from rnnjax.data.split import Split
from rnnjax.errors import UserError
from rnnjax.model.architectures import Attention, EncoderDecoder, decode, encode, steps_within
from rnnjax.model.beam_search import beam_search
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import uniform
from rnnjax.model.network import Batch, Model
from rnnjax.model.rnn import Unroll, unroll
from rnnjax.tasks.examples import (
    check_text,
    conclude,
    figures,
    make_example_task,
    make_sample,
    noise_for,
    report,
    shifted,
    surprise_within,
)
from rnnjax.tasks.task import AnswerOptions, Conclusion, Network, Task
from rnnjax.training.examples import Surprise, in_blocks
from rnnjax.training.state import TrainState

Array = jax.Array


def make(config: Config) -> Task:
    """Draws and splits the numbers; a held-out number is held out in both directions.

    Raises:
      UserError: if there are too few.
    """
    numbers = draw_numbers(config.task.numbers, config.data.split_seed)
    first, second = (round(f * len(numbers)) for f in (config.data.validation_fraction, config.data.test_fraction))
    cut = np.split(numbers, [first, first + second])
    parts = Split(cut[2], cut[0], cut[1])
    examples = Split(*(encode_pairs(part) if len(part) else None for part in parts))
    names = {"characters": CHARACTERS, "steps": STEPS}
    of = network(config, names)
    return make_example_task(
        config,
        of,
        examples,
        "pairs",
        source=f"{len(numbers):,} numbers below {MOST:,}, in digits and in words",
        names=names,
        unit="character",
        sample=make_sample(partial(make_search(config), width=1), examples),
        write=write,
        conclude=partial(conclude, of, examples, partial(score, config, parts)),
        report=partial(report, "nats per character", score_lines),
        figures=partial(figures, draw),
    )


def shape_of(config: Config) -> Model:
    """The shape of encoder and decoder: characters in, characters out."""
    return make_model(config, len(CHARACTERS) + 1)


def init(model: Model, config: Config, key: Array, dtype: Any) -> EncoderDecoder:
    """Draws the weights of encoder and decoder by the config, those of attention uniform in ±sqrt(1/n)."""
    key_encoder, key_decoder, key_score, key_mix = jax.random.split(key, 4)
    H = model.hidden
    attention = None
    if config.model.attention == "general":
        attention = Attention(
            uniform(key_score, (H, H), dtype), uniform(key_mix, (2 * H, H), dtype), jnp.zeros(H, dtype)
        )
    encoder, decoder = (draw_params(k, model, config.model, dtype) for k in (key_encoder, key_decoder))
    return EncoderDecoder(encoder.layers, decoder, attention)


def read(
    model: Model, params: EncoderDecoder, hyper: Hyper, rows: Pairs, key: Any = None, unroll: Unroll = unroll
) -> tuple[Any, Any]:
    """Runs the encoder over the sources `[B, S]`. Returns its last state and its memory."""
    source = jnp.asarray(rows.source).T
    valid = steps_within(rows.source_length, len(source))
    noise = noise_for(key, model, source.shape, params.decoder.V.dtype)
    return encode(model, params, hyper, Batch(source, source, valid=valid, noise=noise), unroll=unroll)


def make_logits(config: Config) -> Callable[..., tuple[Array, Any, Batch]]:
    """Returns (params, hyper, examples, key=None, unroll=rnn.unroll) -> (logits, attention, batch).

    The logits are `[T, B, V]`, the attention weights `[T, B, S]` or None, and the batch holds the decoder's inputs and
    targets. T is STEPS + 1, with a step for the end.
    """
    model, end = shape_of(config), CHARACTERS.index(END)

    def logits(
        params: EncoderDecoder, hyper: Hyper, rows: Pairs, key: Any = None, unroll: Unroll = unroll
    ) -> tuple[Array, Any, Batch]:
        key_source, key_target = (None, None) if key is None else jax.random.split(key)
        carry, memory = read(model, params, hyper, rows, key_source, unroll)
        batch = shifted(rows.target, rows.target_length, end)
        batch = batch._replace(noise=noise_for(key_target, model, batch.x.shape, params.decoder.V.dtype))
        _, found, looked = decode(model, params, hyper, carry, memory, batch, unroll=unroll)
        return found, looked, batch

    return logits


def make_search(config: Config) -> Callable[..., Array]:
    """Returns (params, hyper, examples, width) -> the ids `[B, T]` that the network writes."""
    model, end = shape_of(config), CHARACTERS.index(END)

    def search(params: EncoderDecoder, hyper: Hyper, rows: Pairs, width: int) -> Array:
        carry, memory = read(model, params, hyper, rows)
        return beam_search(model, params, hyper, carry, memory, end, STEPS + 1, width).ids.T

    return search


def network(config: Config, names: dict[str, Any]) -> Network:
    logits, search = make_logits(config), make_search(config)

    def surprise(params: EncoderDecoder, hyper: Hyper, rows: Pairs, key: Array | None, unroll: Unroll) -> Surprise:
        found, _, batch = logits(params, hyper, rows, key, unroll)
        return surprise_within(found, batch.y, batch.valid)

    def answer(params: EncoderDecoder, hyper: Hyper, text: str, asked: AnswerOptions) -> str:
        source = encode_texts([plain_number(text)])
        rows = Pairs(*source, *source)  # the targets are not read
        ids = jax.jit(partial(search, width=asked.beam or config.task.beam))(params, hyper, rows)
        return decode_texts(np.asarray(ids))[0]

    return Network(shape_of(config), partial(init, shape_of(config), config), surprise, answer)


def plain_number(text: str) -> str:
    """Normalises an input: lower case, no commas between thousands, no space at the ends.

    Raises:
      UserError: if it is empty, too long, or neither digits nor made of the words of numbers.
    """
    text = text.strip().lower()
    if re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+", text):
        text = text.replace(",", "")
    check_text(text, CHARACTERS.replace(END, ""), STEPS)
    if re.search("[0-9]", text):
        if not re.fullmatch("0|[1-9][0-9]*", text) or int(text) >= MOST:
            raise UserError(f"--input {text} is not a number from 0 to {MOST - 1:,} without leading zeros")
    elif unknown := [word for word in re.split("[ -]", text) if word not in WORDS]:
        raise UserError(f"--input has {unknown[0]!r}, which is no word of a number; write it as in {in_words(407)!r}")
    return text


def write(found: tuple[Pairs, Array]) -> str:
    """Writes a line for each example of a sample."""
    rows, ids = found
    texts = (decode_texts(np.asarray(own)) for own in (rows.source, rows.target, ids))
    return "\n".join(
        f"{source} -> {answer} ({'right' if answer == target else f'wrong, it is {target}'})"
        for source, target, answer in zip(*texts, strict=True)
    )


def write_all(config: Config, state: TrainState, rows: Pairs, width: int) -> list[str]:
    """Writes the network's answer to every example.

    Each direction is a block of its own, as answers in digits end after a few steps.
    """
    search = partial(make_search(config), width=width)
    texts = [""] * len(rows.source)
    for i in range(len(DIRECTIONS)):
        texts[i::2] = decode_texts(in_blocks(search, state.params, state.hyper, Pairs(*(leaf[i::2] for leaf in rows))))
    return texts


def score(config: Config, parts: Split[Any], state: TrainState, part: str, rows: Pairs) -> Conclusion:
    """Measures the share of held-out numbers written without a fault, greedily and by beam search, by direction."""
    asked = pairs(getattr(parts, part))
    sources, targets = zip(*asked, strict=True)
    widths = {"greedy": 1, "beam": config.task.beam}
    written = {name: write_all(config, state, rows, width) for name, width in widths.items()}
    right = {name: np.array(texts) == np.array(targets) for name, texts in written.items()}
    digits = np.array([min(len(source), len(target)) for source, target in asked])
    table = dict(pairs(parts.train))
    result: dict[str, Any] = {
        "attention": config.model.attention,
        "beam": config.task.beam,
        "count": len(asked) // 2,
        "exact_match": {name: by_direction(own) for name, own in right.items()},
        "by_digits": by_digits(right["greedy"], digits),
        "baselines": {"a table of the training numbers": float(np.mean([table.get(s) == t for s, t in asked]))},
    }
    if config.model.attention != "none":
        result["looked"] = look(config, state, rows, digits)
    columns = zip(sources, targets, written["greedy"], written["beam"], strict=True)
    return Conclusion(result, [dict(zip(("source", "truth", "greedy", "beam"), row, strict=True)) for row in columns])


def by_direction(right: np.ndarray) -> dict[str, float]:
    """The share of right answers in each direction."""
    return {direction: float(np.mean(right[i::2])) for i, direction in enumerate(DIRECTIONS)}


def by_digits(right: np.ndarray, digits: np.ndarray) -> dict[str, list[float | None]]:
    """The share of right answers in each direction for numbers of 1 to 6 digits; None where there is no number."""
    shares = [by_direction(right[digits == n]) if np.any(digits == n) else {} for n in range(1, 7)]
    return {direction: [share.get(direction) for share in shares] for direction in DIRECTIONS}


def look(config: Config, state: TrainState, rows: Pairs, digits: np.ndarray) -> list[dict[str, Any]]:
    """The attention weights on a held-out number with most digits, in each direction, under teacher forcing."""
    number = int(np.argmax(digits[::2]))
    two = Pairs(*(jnp.asarray(leaf[2 * number : 2 * number + 2]) for leaf in rows))
    _, looked, _ = jax.jit(make_logits(config))(state.params, state.hyper, two)
    sources, targets = (decode_texts(np.asarray(ids)) for ids in (two.source, two.target))
    return [
        {
            "source": source,
            "target": target + "↵",
            "weights": np.asarray(looked)[: len(target) + 1, i, : len(source)].tolist(),
        }
        for i, (source, target) in enumerate(zip(sources, targets, strict=True))
    ]


def score_lines(result: dict[str, Any]) -> list[str]:
    """Lines with the exact matches in each direction beside the baseline."""
    lines = []
    for name, shares in result["exact_match"].items():
        width = f" of width {result['beam']}" if name == "beam" else ""
        told = ", ".join(f"{direction} {share:.2%}" for direction, share in shares.items())
        lines.append(f"{result['measured']} exact match on {result['count']:,} numbers, {name}{width}: {told}")
    return lines + [f"  baseline, {name}: {value:.2%}" for name, value in result["baselines"].items()]


def draw(result: dict[str, Any]) -> dict[str, Any]:
    """Draws the exact matches by the number's digits, and the attention weights."""
    from rnnjax.tasks.figures import attention, bars

    found = {
        "exact_match.png": bars(
            result["by_digits"],
            [str(n) for n in range(1, 7)],
            xlabel="digits of the number",
            ylabel="written without a fault, greedily (%)",
            title=f"many to many, unequal lengths: numbers, attention: {result['attention']}",
        )
    }
    if "looked" in result:
        found["attention.png"] = attention(result["looked"])
    return found
