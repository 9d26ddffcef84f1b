"""The likeliest text of a decoder, by beam search (as in Sutskever et al., 2014, "Sequence to sequence learning with
neural networks")."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.model.architectures import EncoderDecoder, Memory, say
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Carry, Model
from rnnjax.model.rnn import run_layers

Array = jax.Array


class Beams(NamedTuple):
    """K beginnings of a text for each of B sources, the likeliest first.

    Attributes:
      t: steps taken.
      carry: the decoder's state after them, [K, B, states·H] for each layer.
      ids: the text so far, `end` after a text's end and where nothing is written yet, integer [T, K, B].
      last: the id written last [K, B].
      ended: true where the text has ended, bool [K, B].
      score: log P(text | source) in nats [K, B]; that of a text that has ended stays.
    """

    t: Array
    carry: Carry
    ids: Array
    last: Array
    ended: Array
    score: Array


class BeamResult(NamedTuple):
    """Result of a beam search.

    Attributes:
      ids: the likeliest text of each source, `end` from its end on, integer [T, B].
      score: log P(text | source) in nats [B].
    """

    ids: Array
    score: Array


def beam_search(
    model: Model,
    params: EncoderDecoder,
    hyper: Hyper,
    carry: Carry,
    memory: Memory,
    end: int,
    length: int,
    width: int,
) -> BeamResult:
    """Follows the `width` likeliest beginnings of a text side by side; at width 1 it is greedy, and the likeliest id is
    taken at every step. The last id, which stands for unknown characters, is never written.

    A text that has ended stays among the others with the probability that it has; scores are not divided by length. As
    no text becomes likelier by growing, the search is over once the likeliest of every source has ended.

    Args:
      carry: the state that the encoder has left, [B, states·H] for each layer.
      end: the id before the first, and after the last of a text.
      length: T, most steps to take; a text that has not ended by then is cut. Static, as is width.
    """

    def goes_on(beams: Beams) -> Array:
        return (beams.t < length) & ~jnp.all(beams.ended[0])

    def body(beams: Beams) -> Beams:
        return extend(model, params, hyper, memory, end, beams)

    beams = jax.lax.while_loop(goes_on, body, begin(carry, memory, end, length, width))
    return BeamResult(beams.ids[:, 0], beams.score[0])


def begin(carry: Carry, memory: Memory, end: int, length: int, width: int) -> Beams:
    """The beams before the first step, all alike: one of them counts, or each text would be found `width` times."""
    B, K = len(memory.hs), width
    return Beams(
        t=jnp.int32(0),
        carry=tuple(jnp.broadcast_to(state, (K, *state.shape)) for state in carry),
        ids=jnp.full((length, K, B), end, jnp.int32),
        last=jnp.full((K, B), end, jnp.int32),
        ended=jnp.zeros((K, B), bool),
        score=jnp.full((K, B), -jnp.inf, memory.hs.dtype).at[0].set(0),
    )


def extend(model: Model, params: EncoderDecoder, hyper: Hyper, memory: Memory, end: int, beams: Beams) -> Beams:
    """Extends every beginning by every id, and keeps the K likeliest."""
    V, (K, B) = model.vocabulary, beams.last.shape
    x = beams.last[None]
    carry, hs = run_layers(model, params.decoder, hyper, beams.carry, Batch(x, x))
    logits, _ = say(params, hs[0], memory)  # the beams of a source look at it as the steps of one text would

    never_unknown = jnp.where(jnp.arange(V) == V - 1, -jnp.inf, 0).astype(logits.dtype)
    only_end = jnp.where(jnp.arange(V) == end, 0, -jnp.inf).astype(logits.dtype)
    log_p = jax.nn.log_softmax(logits + never_unknown)
    log_p = jnp.where(beams.ended[..., None], only_end, log_p)

    scores = jnp.swapaxes(beams.score[..., None] + log_p, 0, 1).reshape(B, K * V)
    score, best = (part.T for part in jax.lax.top_k(scores, K))
    kept, last = (part.astype(jnp.int32) for part in (best // V, best % V))
    source = jnp.arange(B)
    return Beams(
        t=beams.t + 1,
        carry=tuple(state[kept, source] for state in carry),
        ids=beams.ids[:, kept, source].at[beams.t].set(last),
        last=last,
        ended=beams.ended[kept, source] | (last == end),
        score=score,
    )
