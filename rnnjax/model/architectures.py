"""The chapter's four architectures, as pure functions over the same layers: what differs is which steps are given an
input, which are asked for an output, and where the state comes from.

    one to one                x₀ → ŷ₀ = x₁ → ŷ₁ = x₂ …        each output is the next input: `sampling.fed_back`
    one to many               c → s₋₁ → ŷ₀, ŷ₁, …             the one input is the initial state: `one_to_many`
    many to one               x₀ … x_{n-1} → ŷ                one output, after the last step: `many_to_one`
    many to many, aligned     xₜ → ŷₜ                         `rnn.apply`, from the initial state: `many_to_many`
    many to many, unequal     x₀ … x_{n-1} → s → ŷ₀ … ŷ_{m-1}   an encoder and a decoder: `encode`, `decode`

Sequences of unequal lengths lie side by side, padded at their ends: `Batch.valid` holds the state there, so that a
padded sequence gives what it gives alone. `unroll` is how a layer is run over time, and so how it is differentiated:
`rnn.unroll` for autodiff, `gradients.layer_over_time.unroll` for the backward pass written by hand.
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
    """The states that an encoder leaves. The batch comes first here: a decoder reads all of it at each step, and reads
    it as it lies.

    Attributes:
      hs: h at every step of the source [B, S, H].
      valid: true for the steps that are not padding, bool [B, S].
    """

    hs: Array
    valid: Array


def steps_within(length: Array, steps: int) -> Array:
    """True where a step, of T, lies within sequences of the lengths [B]: bool [T, B]."""
    return jnp.arange(steps)[:, None] < length


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
    carry = initial_carry(model, params, batch.shape[1:])
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
    carry = initial_carry(model, params, batch.shape[1:])
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
    carry = initial_carry(model, encoder, batch.shape[1:])
    carry, hs = run_layers(model, encoder, hyper, carry, batch, unroll=unroll)
    valid = jnp.ones(batch.x.shape, bool) if batch.valid is None else batch.valid
    return carry, Memory(jnp.swapaxes(hs, 0, 1), valid.T)


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
    return carry, *say(params, hs, memory)


def say(params: EncoderDecoder, hs: Array, memory: Memory) -> tuple[Array, Array | None]:
    """The logits [T, B, V] of a decoder's h [T, B, H], and where it looked [T, B, S]; None without attention."""
    if params.attention is None:
        return hidden_to_output(params.decoder, hs), None
    mixed, looked = attend(params.attention, hs, memory)
    return hidden_to_output(params.decoder, mixed), looked


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
    scores = jnp.einsum("bsh,tbh->tbs", memory.hs, hs @ attention.score)  # in this order: XLA's product is faster so
    lowest = jnp.finfo(scores.dtype).min
    looked = jax.nn.softmax(jnp.where(memory.valid, scores, lowest), axis=-1)
    context = jnp.einsum("tbs,bsh->tbh", looked, memory.hs)
    return jnp.tanh(jnp.concatenate([context, hs], axis=-1) @ attention.mix + attention.bias), looked
