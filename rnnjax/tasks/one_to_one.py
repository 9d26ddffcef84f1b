"""One character in, one out: the character model, measured also while it reads its own output.

In training, and in the usual held-out loss, the network reads the true character after each of its guesses (teacher
forcing; Williams & Zipser, 1989, "A learning algorithm for continually running fully recurrent neural networks"). When
it writes a song it reads its own characters. Both losses are measured on the same held-out text: the surprise at the
true character k steps after a stretch of true text, once with the true characters in between, once with its own draws.
The second rises with k, towards the loss without any knowledge of the last k characters. The faster it rises, the
sooner a song has left its beginning behind.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import make_text_model
from rnnjax.config import Config
from rnnjax.data.corpus import load_corpus
from rnnjax.model.cells import Hyper
from rnnjax.model.loss import NATS_PER_BIT, cross_entropy
from rnnjax.model.network import Batch, Model, Params, initial_carry
from rnnjax.model.rnn import apply
from rnnjax.model.sampling import absorb, fed_back, gumbel_noise
from rnnjax.tasks import text
from rnnjax.tasks.task import Conclusion, Task
from rnnjax.training.randomness import random_key
from rnnjax.training.state import TrainState

Array = jax.Array

TOLD = 64
"""Number of true characters before the network reads its own."""

ALONE = 64
"""Number of characters for which it reads its own."""

PLACES = 256
"""Most places of the held-out text at which both losses are measured."""

DRAWS = 8
"""Number of texts drawn at each place."""


def make(config: Config) -> Task:
    """Makes the character model's task, with both losses at its end; raises as `text.make`."""
    corpus = load_corpus(config.data)
    task, model = text.of_corpus(config, corpus), make_text_model(config, corpus.vocabulary)
    held_out = corpus.ids.test if corpus.ids.test.size else corpus.ids.validation
    return task._replace(conclude=partial(conclude, task, model, held_out), report=report, figures=figures)


def conclude(task: Task, model: Model, held_out: np.ndarray, state: TrainState, streams: Any) -> Conclusion:
    """Concludes a text run, and measures both losses on held-out ids `[N]`, if there are enough."""
    result = task.conclude(state, streams).result
    if held_out.size > TOLD + ALONE:
        key = random_key(state.seed, "sample", state.step)
        told, alone = compare(model, state.params, state.hyper, cut(held_out), key)
        result |= {"teacher_forcing": np.asarray(told).tolist(), "free_running": np.asarray(alone).tolist()}
    return Conclusion(result)


def cut(ids: np.ndarray) -> np.ndarray:
    """Cuts stretches from a text, evenly spread: `[TOLD + 1 + ALONE, places]`."""
    length = TOLD + 1 + ALONE
    places = min(PLACES, max(1, (len(ids) - length) // ALONE))
    starts = np.linspace(0, len(ids) - length, places).astype(int)
    return ids[starts + np.arange(length)[:, None]]


def compare(model: Model, params: Params, hyper: Hyper, stretches: np.ndarray, key: Array) -> tuple[Array, Array]:
    """Mean surprise at the true character k = 0 … ALONE - 1 steps after the true stretch, in nats per character.

    Returns:
      The surprise `[ALONE]` after true characters, and after the network's own, drawn at temperature 1 (mean over
      DRAWS draws).
    """

    @jax.jit
    def both(params: Params, hyper: Hyper, ids: Array, key: Array) -> tuple[Array, Array]:
        carry = absorb(model, params, hyper, initial_carry(model, params, ids.shape[1:]), ids[:TOLD])
        x, y = ids[TOLD:-1], ids[TOLD + 1 :]
        _, logits = apply(model, params, hyper, carry, Batch(x, y))
        noise = gumbel_noise(key, 0, ALONE, (ids.shape[1], model.vocabulary), params.V.dtype)
        _, free, _ = fed_back(model, params, hyper, carry, x[0], noise)
        told, alone = (jnp.mean(cross_entropy(found, y), axis=1) for found in (logits, free))
        return told, alone

    return both(params, hyper, jnp.asarray(np.tile(stretches, (1, DRAWS))), key)


def report(result: dict[str, Any]) -> list[str]:
    """Lines of the text's report, and both losses."""
    lines = text.report(result)
    if "free_running" not in result:
        return [*lines, "the held-out text is too short to compare teacher forcing with free running"]
    told, alone = (float(np.mean(result[name])) for name in ("teacher_forcing", "free_running"))
    lines.append(
        f"over the {ALONE} characters after {TOLD} true ones: teacher forcing {told:.3f}, free running {alone:.3f} "
        f"nats per character ({told / NATS_PER_BIT:.3f} and {alone / NATS_PER_BIT:.3f} bits)"
    )
    if bits := unigram_bits(result):
        lines.append(
            f"  baseline, characters by their frequency alone: {bits * NATS_PER_BIT:.3f} nats ({bits:.3f} bits)"
        )
    return lines


def unigram_bits(result: dict[str, Any]) -> float | None:
    """Held-out loss of the training text's character frequencies, in bits per character."""
    orders = result["ngram_bits"].get("test") or result["ngram_bits"].get("validation") or {}
    return orders.get("0")


def figures(result: dict[str, Any]) -> dict[str, Any]:
    from rnnjax.tasks.figures import curves

    if "free_running" not in result:
        return {}
    told, alone = result["teacher_forcing"], result["free_running"]
    bits = unigram_bits(result)
    level = {"characters by their frequency": bits * NATS_PER_BIT} if bits else {}
    return {
        "free_running.png": curves(
            {"told the true characters (teacher forcing)": told, "reading its own (free running)": alone},
            level,
            xlabel="characters since the last true one it was told",
            ylabel="loss at the true character (nats per character)",
            title="one to one: what feeding back its own output costs",
        )
    }
