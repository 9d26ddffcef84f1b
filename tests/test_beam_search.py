"""Beam search beside a search by hand through every short text, on a tiny network in float64."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.model.architectures import Attention, EncoderDecoder, decode, encode
from rnnjax.model.beam_search import beam_search, begin, extend
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Layer, Model, Params

V, H, B, S, T, END = 5, 4, 12, 6, 4, 0
IDS = range(V - 1)
"""All that is ever written: the last id stands for the unknown."""

MODEL = Model(V, H)
rng = np.random.default_rng(10)
draw = lambda *shape: jnp.asarray(rng.normal(size=shape))
layer = lambda: Layer(2 * draw(V, H), 1.5 * draw(H, H), draw(H))
PAIR = EncoderDecoder(
    (layer(),), Params((layer(),), 2 * draw(H, V), draw(V)), Attention(draw(H, H), draw(2 * H, H), draw(H))
)


@pytest.fixture(scope="module")
def read():
    """The state and the memory after sources of unequal lengths."""
    x = rng.integers(V - 1, size=(S, B))
    valid = np.arange(S)[:, None] < rng.integers(1, S + 1, size=B)
    return encode(MODEL, PAIR, Hyper(), Batch(x, x, valid=valid))


@pytest.fixture(scope="module")
def log_p(read):
    """For each source, what the decoder says after each beginning: {(ids written): log-probability of each id}."""
    carry, memory = read
    texts = list(itertools.product(IDS, repeat=T - 1))
    repeat = partial(jax.tree.map, lambda array: jnp.repeat(array, len(texts), axis=0))
    x = np.tile(np.array([(END, *text) for text in texts]).T, B)
    _, logits, _ = decode(MODEL, PAIR, Hyper(), repeat(carry), repeat(memory), Batch(x, x))
    known = np.asarray(logits)[..., : V - 1].reshape(T, B, len(texts), V - 1)
    normal = known - np.log(np.sum(np.exp(known), axis=-1, keepdims=True))
    return [{text[:t]: normal[t, b, n] for n, text in enumerate(texts) for t in range(T)} for b in range(B)]


def by_hand(after, width):
    """The texts of the search and their scores, the likeliest first: one that has ended is never touched again."""
    beams = {(): 0.0}
    for _ in range(T):
        grown = {}
        for text, score in beams.items():
            if text and text[-1] == END:
                grown[text] = score
            else:
                grown |= {(*text, i): score + after[text][i] for i in IDS}
        beams = dict(sorted(grown.items(), key=lambda item: -item[1])[:width])
    return beams


def written(ids):
    """Texts [T, ...] up to and with their end, which must not be followed by anything else."""
    texts = []
    for text in np.asarray(ids).reshape(T, -1).T.tolist():
        length = text.index(END) + 1 if END in text else T
        assert set(text[length:]) <= {END}
        texts.append(tuple(text[:length]))
    return texts


def test_a_search_wide_enough_finds_every_text_once_with_its_probability(read, log_p):
    carry, memory = read
    beams = begin(carry, memory, END, T, 130)
    step = jax.jit(partial(extend, MODEL, PAIR, Hyper(), memory, END))
    for _ in range(T):
        beams = step(beams)
    for b in range(B):
        every = by_hand(log_p[b], 1000)
        assert len(every) == 1 + 3 + 9 + 27 + 81
        assert sum(np.exp(list(every.values()))) == pytest.approx(1)
        assert written(beams.ids[:, : len(every), b]) == list(every)
        np.testing.assert_allclose(beams.score[: len(every), b], list(every.values()), rtol=1e-12)
        assert np.all(np.isneginf(beams.score[len(every) :, b]))


def test_a_narrow_search_finds_what_the_same_search_by_hand_finds(read, log_p):
    carry, memory = read
    best = {}
    for width in (1, 2):
        found = beam_search(MODEL, PAIR, Hyper(), carry, memory, END, T, width)
        expected = [next(iter(by_hand(after, width).items())) for after in log_p]
        best[width] = [text for text, _ in expected]
        assert written(found.ids) == best[width]
        np.testing.assert_allclose(found.score, [score for _, score in expected], rtol=1e-12)
    # What the tests above can tell apart: texts that end early, late and never, and widths that matter.
    assert {len(text) for text in best[2]} == {1, 2, 3, T}
    assert any(END not in text for text in best[2])
    assert best[1] != best[2]
