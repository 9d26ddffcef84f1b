"""The four architectures against plain loops in float64."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

from rnnjax.model.architectures import (
    Attention,
    Conditioned,
    EncoderDecoder,
    decode,
    encode,
    many_to_many,
    many_to_one,
    one_to_many,
)
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Layer, Model, Params
from rnnjax.model.sampling import fed_back

V, H, LAYERS = 5, 4, 2
LENGTHS = (3, 1, 4)
rng = np.random.default_rng(0)
compiled = lambda function: jax.jit(function, static_argnums=0)
draw = lambda *shape: jnp.asarray(rng.normal(size=shape))


def layer(width):
    return Layer(draw(width, H), draw(H, H) * 0.6, draw(H))


PARAMS = Params((layer(V), layer(H)), draw(H, V), draw(V))
MODEL = Model(V, H, LAYERS)
IDS = rng.integers(V - 1, size=(max(LENGTHS), len(LENGTHS)))
VALID = np.arange(max(LENGTHS))[:, None] < LENGTHS


def read(model, params, carry, ids):
    """The plain loop's logits, last states, and the last layer's h at every step, of one sequence."""
    states, hs, logits = oracle.read(*cases.to_oracle(model, params, carry), ids)
    return logits, states, hs


ZERO = [np.zeros(H)] * LAYERS


def near(actual, expected):
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=1e-12, atol=1e-12)


def test_many_to_one_reads_the_last_real_step():
    found = compiled(many_to_one)(MODEL, PARAMS, Hyper(), Batch(IDS, IDS, valid=VALID))
    for b, length in enumerate(LENGTHS):
        near(found[b], read(MODEL, PARAMS, ZERO, IDS[:length, b])[0][-1])


def test_one_to_many_starts_from_the_labels_state():
    starts = tuple(draw(3, H) for _ in range(LAYERS))
    found = compiled(one_to_many)(
        MODEL, Conditioned(PARAMS, starts), Hyper(), jnp.array([2, 0, 2]), Batch(IDS, IDS, valid=VALID)
    )
    for b, (label, length) in enumerate(zip((2, 0, 2), LENGTHS, strict=True)):
        near(found[:length, b], read(MODEL, PARAMS, [start[label] for start in starts], IDS[:length, b])[0])


BOTH = Params((layer(V), layer(V)), draw(2 * H, 3), draw(3))
BOTH_MODEL = Model(3, H, bidirectional=True, inputs=V)


def test_many_to_many_has_read_the_whole_sequence_at_every_step():
    found = compiled(many_to_many)(BOTH_MODEL, BOTH, Hyper(), Batch(IDS, IDS, valid=VALID))
    for b, length in enumerate(LENGTHS):
        near(found[:length, b], read(BOTH_MODEL, BOTH, ZERO, IDS[:length, b])[0])


def test_many_to_one_both_ways_reads_each_half_where_it_ends():
    found = compiled(many_to_one)(BOTH_MODEL, BOTH, Hyper(), Batch(IDS, IDS, valid=VALID))
    for b, length in enumerate(LENGTHS):
        _, _, hs = read(BOTH_MODEL, BOTH, ZERO, IDS[:length, b])
        near(found[b], np.concatenate([hs[-1, :H], hs[0, H:]]) @ BOTH.V + BOTH.by)


def test_many_to_one_reads_real_vectors():
    x = draw(4, 2, 1)
    one = PARAMS._replace(layers=(layer(1), layer(H)))
    h = np.zeros((LAYERS, 2, H))
    for x_t in x:
        below = x_t
        for index, own in enumerate(one.layers):
            below = h[index] = np.tanh(below @ own.U + h[index] @ own.W + own.bh)
    found = compiled(many_to_one)(Model(V, H, LAYERS, inputs=1), one, Hyper(), Batch(x, np.zeros(2, int)))
    near(found, h[-1] @ one.V + one.by)


PAIR = EncoderDecoder((layer(V), layer(H)), PARAMS, Attention(draw(H, H), draw(2 * H, H), draw(H)))
TARGET = rng.integers(V - 1, size=(3, len(LENGTHS)))


@pytest.mark.parametrize("attention", [True, False])
def test_the_decoder_goes_on_from_the_encoder_and_looks_back_at_what_is_no_padding(attention):
    pair = PAIR if attention else PAIR._replace(attention=None)
    carry, memory = compiled(encode)(MODEL, pair, Hyper(), Batch(IDS, IDS, valid=VALID))
    _, logits, looked = compiled(decode)(MODEL, pair, Hyper(), carry, memory, Batch(TARGET, TARGET))
    assert (looked is not None) == attention
    for b, length in enumerate(LENGTHS):
        _, states, source = read(MODEL, PARAMS._replace(layers=pair.encoder), ZERO, IDS[:length, b])
        expected, _, hs = read(MODEL, PARAMS, states, TARGET[:, b])
        if attention:
            for t, h in enumerate(hs):
                odds = np.array([np.exp(h @ pair.attention.score @ s) for s in source])
                context = sum(o / odds.sum() * s for o, s in zip(odds, source, strict=True))
                mixed = np.tanh(np.concatenate([context, h]) @ pair.attention.mix + pair.attention.bias)
                expected[t] = mixed @ PARAMS.V + PARAMS.by
                near(looked[t, b, :length], odds / odds.sum())
                assert not np.any(looked[t, b, length:])
        near(logits[:, b], expected)


def test_left_to_itself_each_output_is_the_next_input():
    noise = draw(6, 2, V)
    start = tuple(jnp.asarray(draw(2, H)) for _ in range(LAYERS))
    _, logits, ids = compiled(fed_back)(MODEL, PARAMS, Hyper(), start, jnp.array([1, 3]), noise, 0.5)
    for b, x in enumerate((1, 3)):
        carry = [np.asarray(state)[b] for state in start]
        for t in range(6):
            expected, carry, _ = read(MODEL, PARAMS, carry, [x])
            near(logits[t, b], expected[0])
            x = np.argmax(expected[0, : V - 1] + 0.5 * noise[t, b, : V - 1])
            assert ids[t, b] == x
