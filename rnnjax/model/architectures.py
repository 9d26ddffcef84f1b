"""The chapter's four architectures, as pure functions over the same layers: what differs is which steps are given an
input, which are asked for an output, and where the state comes from.

    one to one                x₀ → ŷ₀ = x₁ → ŷ₁ = x₂ …        each output is the next input: `sampling.fed_back`
    one to many               c → s₋₁ → ŷ₀, ŷ₁, …             the one input is the initial state: `one_to_many`
    many to one               x₀ … x_{n-1} → ŷ                one output, after the last step: `many_to_one`
    many to many, aligned     xₜ → ŷₜ                         `rnn.apply`, from the initial state: `many_to_many`
    many to many, unequal     x₀ … x_{n-1} → s → ŷ₀ … ŷ_{m-1}   an encoder and a decoder: `encode`, `decode`

Sequences of unequal lengths lie side by side, padded at their ends: `Batch.valid` holds the state there, so that a
padded sequence gives what it gives alone. `unroll` is how a layer is run over time, and so how it is differentiated:
`rnn.unroll` for autodiff, `gradients.manual.unroll` for the backward pass written by hand.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Carry, Layer, Model, Params, initial_carry
from rnnjax.model.rnn import Unroll, apply, hidden_to_output, run_layers, unroll

Array = jax.Array


class Conditioned(NamedTuple):
    """A network, and the initial state that each of K labels puts it in.

    Attributes:
      network: the weights.
      starts: for each layer [K, states·H].
    """

    network: Params
    starts: tuple[Array, ...]


class Attention(NamedTuple):
    """The weights with which a decoder looks back.

    Attributes:
      score: [H, H], between a state of the decoder and one of the encoder.
      mix: [2·H, H], from the context and the decoder's h to what the read-out reads.
      bias: [H].
    """

    score: Array
    mix: Array
    bias: Array


class EncoderDecoder(NamedTuple):
    """Two networks of one shape.

    Attributes:
      encoder: its layers; it reads ids as the decoder does, by the same embedding if there is one.
      decoder: its layers and its read-out.
      attention: None: all that the decoder knows is the state that the encoder has left.
    """

    encoder: tuple[Layer, ...]
    decoder: Params
    attention: Attention | None


class Memory(NamedTuple):
    """What an encoder leaves: its h at every step [S, B, H], and which steps are not padding, bool [S, B]."""

    hs: Array
    valid: Array


def steps_within(length: Array, steps: int) -> Array:
    """Which of T steps lie within sequences of the lengths [B]: bool [T, B]."""
    return jnp.arange(steps)[:, None] < length


def batch_shape(batch: Batch) -> tuple[int, ...]:
    """The batch axes of ids [T, B] or of real vectors [T, B, I]."""
    return batch.x.shape[1:] if jnp.issubdtype(batch.x.dtype, jnp.integer) else batch.x.shape[1:-1]


def conditioned_carry(params: Conditioned, label: Array) -> Carry:
    """The initial states of labels [B]: for each layer [B, states·H]."""
    return tuple(start.at[label].get(mode="promise_in_bounds") for start in params.starts)


def one_to_many(
    model: Model, params: Conditioned, hyper: Hyper, label: Array, batch: Batch, *, unroll: Unroll = unroll
) -> Array:
    """One input, many outputs: the label chooses the initial state, and all that follows is text (as an image chooses
    it in Vinyals et al., 2015, "Show and tell: a neural image caption generator").

    Args:
      label: integer [B].
      batch: x, the text before each target, and valid [T, B].

    Returns:
      The logits [T, B, V].
    """
    return apply(model, params.network, hyper, conditioned_carry(params, label), batch, unroll=unroll)[1]


def many_to_one(model: Model, params: Params, hyper: Hyper, batch: Batch, *, unroll: Unroll = unroll) -> Array:
    """Many inputs, one output, read from h after the last step of each sequence.

    In a bidirectional network the half that reads backward has read everything at the sequence's first step.

    Args:
      batch: x and valid [T, B].

    Returns:
      The logits [B, K].
    """
    carry = initial_carry(model, params, batch_shape(batch))
    _, hs = run_layers(model, params, hyper, carry, batch, unroll=unroll)
    last = hs[-1]  # after the end of a shorter sequence its state is held
    if model.bidirectional:
        last = jnp.concatenate([last[..., : model.hidden], hs[0, ..., model.hidden :]], axis=-1)
    return hidden_to_output(params, last)


def many_to_many(model: Model, params: Params, hyper: Hyper, batch: Batch, *, unroll: Unroll = unroll) -> Array:
    """An output for each input. A bidirectional network has read the whole sequence at each of them (Schuster &
    Paliwal, 1997, "Bidirectional recurrent neural networks").

    Returns:
      The logits [T, B, K].
    """
    carry = initial_carry(model, params, batch_shape(batch))
    return apply(model, params, hyper, carry, batch, unroll=unroll)[1]


def encode(
    model: Model, params: EncoderDecoder, hyper: Hyper, batch: Batch, *, unroll: Unroll = unroll
) -> tuple[Carry, Memory]:
    """Reads the source (Sutskever et al., 2014, "Sequence to sequence learning with neural networks"; Cho et al., 2014,
    "Learning phrase representations using RNN encoder-decoder for statistical machine translation").

    Args:
      batch: x and valid [S, B].

    Returns:
      The state after each sequence's last step, and the memory.
    """
    encoder = params.decoder._replace(layers=params.encoder)
    carry = initial_carry(model, encoder, batch_shape(batch))
    carry, hs = run_layers(model, encoder, hyper, carry, batch, unroll=unroll)
    valid = jnp.ones(batch.x.shape, bool) if batch.valid is None else batch.valid
    return carry, Memory(hs, valid)


def decode(
    model: Model,
    params: EncoderDecoder,
    hyper: Hyper,
    carry: Carry,
    memory: Memory,
    batch: Batch,
    *,
    unroll: Unroll = unroll,
) -> tuple[Carry, Array, Array | None]:
    """Writes the target, from the state that the encoder has left or that an earlier call has; one step or many.

    Args:
      batch: x, the text before each target, and valid [T, B].

    Returns:
      The carry after the last step, the logits [T, B, V], and where each step looked [T, B, S]; None without attention.
    """
    carry, hs = run_layers(model, params.decoder, hyper, carry, batch, unroll=unroll)
    if params.attention is None:
        return carry, hidden_to_output(params.decoder, hs), None
    mixed, looked = attend(params.attention, hs, memory)
    return carry, hidden_to_output(params.decoder, mixed), looked


def attend(attention: Attention, hs: Array, memory: Memory) -> tuple[Array, Array]:
    """Global attention with the general score (Luong et al., 2015, "Effective approaches to attention-based neural
    machine translation", equations 5, 7 and 8):

        aₜₛ = softmaxₛ(hₜ score h̄ₛ)      cₜ = Σₛ aₜₛ h̄ₛ      h̃ₜ = tanh([cₜ, hₜ] mix + bias)

    with h̄ₛ the encoder's states. It comes after the recurrence, so that all steps can look at once.

    Args:
      hs: the decoder's h [T, B, H].

    Returns:
      h̃ [T, B, H] and a [T, B, S].
    """
    scores = jnp.einsum("tbh,sbh->tbs", hs @ attention.score, memory.hs)
    lowest = jnp.finfo(scores.dtype).min
    looked = jax.nn.softmax(jnp.where(memory.valid.T, scores, lowest), axis=-1)
    context = jnp.einsum("tbs,sbh->tbh", looked, memory.hs)
    return jnp.tanh(jnp.concatenate([context, hs], axis=-1) @ attention.mix + attention.bias), looked


class Found(NamedTuple):
    """What a beam search has found.

    Attributes:
      ids: of the likeliest text of each source, `end` from its end on, integer [T, B].
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
) -> Found:
    """Follows the `width` likeliest beginnings of a text side by side; at width 1 it is greedy, and the likeliest id is
    taken at every step. The last id, which stands for unknown characters, is never written.

    A text that has ended stays among the others with the probability that it has; scores are not divided by length.

    Args:
      carry: the state that the encoder has left, [B, states·H] for each layer.
      memory: [S, B, H].
      end: the id before the first, and after the last of a text.
      length: T, steps to take; a text that has not ended by then is cut. Static, as is width.
    """
    B, K, V = memory.hs.shape[1], width, model.vocabulary
    repeat = lambda array, axis: jnp.repeat(array, K, axis=axis)  # the beams of a source stand side by side
    carry = tuple(repeat(state, 0) for state in carry)
    memory = Memory(repeat(memory.hs, 1), repeat(memory.valid, 1))
    dtype = memory.hs.dtype
    only_end = jnp.where(jnp.arange(V) == end, 0, -jnp.inf).astype(dtype)
    never_unknown = jnp.where(jnp.arange(V) == V - 1, -jnp.inf, 0).astype(dtype)

    def body(state: tuple, t: Array) -> tuple[tuple, None]:
        carry, ids, score, x, ended = state
        carry, logits, _ = decode(model, params, hyper, carry, memory, Batch(x.reshape(1, B * K), x.reshape(1, B * K)))
        log_p = jax.nn.log_softmax(logits[0] + never_unknown).reshape(B, K, V)
        log_p = jnp.where(ended[..., None], only_end, log_p)
        score, best = jax.lax.top_k((score[..., None] + log_p).reshape(B, K * V), K)
        beam, x = (part.astype(jnp.int32) for part in (best // V, best % V))
        rows = (jnp.arange(B)[:, None] * K + beam).reshape(-1)
        carry = tuple(part[rows] for part in carry)
        ids = jnp.take_along_axis(ids, beam[..., None], axis=1).at[:, :, t].set(x)
        ended = jnp.take_along_axis(ended, beam, axis=1) | (x == end)
        return (carry, ids, score, x, ended), None

    first = jnp.where(jnp.arange(K) == 0, 0, -jnp.inf).astype(dtype)  # all beams begin alike: one of them counts
    state = (
        carry,
        jnp.full((B, K, length), end, jnp.int32),
        jnp.broadcast_to(first, (B, K)),
        jnp.full((B, K), end, jnp.int32),
        jnp.zeros((B, K), bool),
    )
    (_, ids, score, _, _), _ = jax.lax.scan(body, state, jnp.arange(length))
    return Found(ids[:, 0].T, score[:, 0])
