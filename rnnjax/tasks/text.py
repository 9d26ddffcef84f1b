"""The character model, which reads streams of text and writes songs."""

from functools import partial
from typing import Any

import numpy as np

from rnnjax.build import make_text_model
from rnnjax.config import Config
from rnnjax.data.corpus import Corpus, load_corpus
from rnnjax.data.ngrams import best_order, held_out_bits
from rnnjax.data.novelty import longest_copied
from rnnjax.data.streams import fold_into_streams
from rnnjax.errors import UserError
from rnnjax.gradients import make_applicable
from rnnjax.gradients.limits import MOST_BYTES
from rnnjax.model.cells import Hyper
from rnnjax.model.loss import NATS_PER_BIT
from rnnjax.model.network import Model, Params
from rnnjax.quantities import in_bytes
from rnnjax.tasks.task import Conclusion, Task
from rnnjax.training import predictability, windows
from rnnjax.training.evaluation import fold, make_evaluate
from rnnjax.training.samples import Sampler, make_sampler
from rnnjax.training.state import TrainState, init_state
from rnnjax.training.step import make_step


def make(config: Config) -> Task:
    """Reads the text, and folds it into streams.

    Raises:
      UserError: if the text cannot be read or is too short, or the gradient method cannot be applied to the network.
    """
    return of_corpus(config, load_corpus(config.data))


def of_corpus(config: Config, corpus: Corpus) -> Task:
    """Makes the task from a text in memory; see `make`."""
    model = make_text_model(config, corpus.vocabulary)
    B, T = config.training.batch_size, config.training.sequence_length
    make_applicable(config.gradient, model, T, B, config.run.precision)
    sampler = make_sampler(config, model, corpus.vocabulary.song_start(config.data.separator))
    streams, places = fold_into_streams(corpus.ids.train, B, T), config.training.windows
    validation = corpus.ids.validation[: config.training.eval_characters + 1]
    return Task(
        summary=f"{corpus.summary}; {windows.in_words(config.training.steps, streams.shape[1] - 1, T, places)}",
        fingerprint=corpus.sha256,
        names={"characters": corpus.vocabulary.characters},
        per_step=B * T,
        counted="chars",
        unit="character",
        data=streams,
        start=partial(
            init_state, config, model, np.dtype(config.run.precision), stretch=remembered(config, model, streams)
        ),
        step=make_step(config, model),
        held_out=fold(validation) if validation.size else None,
        test=fold(corpus.ids.test) if corpus.ids.test.size else None,
        evaluate=make_evaluate(model),
        exponent=predictability.make_exponent(config, model),
        measure=predictability.make_measure(config, model),
        sample=sampler,
        write=lambda ids: corpus.vocabulary.decode(np.asarray(ids)),
        conclude=partial(conclude, model, corpus, sampler),
        report=report,
    )


def remembered(config: Config, model: Model, streams: np.ndarray) -> int:
    """Places of a stream whose states are kept from pass to pass, for `gradient.start epoch`; 0 without.

    Raises:
      UserError: where they take too much memory.
    """
    if config.gradient.start != "epoch":
        return 0
    B, stretch = streams.shape[0], streams.shape[1] - 1
    needed = B * stretch * model.layers * model.state_width * np.dtype(config.run.precision).itemsize
    if needed > MOST_BYTES and not config.gradient.insist:
        raise UserError(
            f"gradient.start epoch keeps the state at each of {B * stretch:,} places of the text, {in_bytes(needed)}: "
            f"more than {in_bytes(MOST_BYTES)}; take held or zeros, or insist with gradient.insist true"
        )
    return stretch


def conclude(model: Model, corpus: Corpus, sampler: Sampler, state: TrainState, streams: Any) -> Conclusion:
    """Measures the held-out losses, reading the test text once, and writes a song."""
    song = corpus.vocabulary.decode(np.asarray(sampler(state.params, state.hyper, state.carry, streams, state.step)))
    copied = longest_copied(song, corpus.text.train)
    result: dict = {"step": int(state.step), **losses(model, state.params, state.hyper, corpus)}
    result["ngram_bits"] = held_out_bits(corpus.ids, len(corpus.vocabulary))
    return Conclusion(result | {"song": song, "longest_copied": copied, "longest_copied_characters": len(copied)})


def losses(model: Model, params: Params, hyper: Hyper, corpus: Corpus) -> dict[str, float]:
    """Loss of each held-out text, read whole, in nats per character."""
    evaluate = make_evaluate(model)
    texts = {"validation_loss": corpus.ids.validation, "test_loss": corpus.ids.test}
    return {name: float(evaluate(params, hyper, fold(ids))) for name, ids in texts.items() if ids.size}


def report(result: dict[str, Any]) -> list[str]:
    """Lines with a song, its longest copy, and the held-out losses beside the n-gram baseline."""
    lines = [
        f"\n--- a song, from the weights of step {result['step']:,} ---\n{result['song']}\n---",
        f"longest stretch that stands in the training text: {result['longest_copied_characters']} characters, "
        f"{result['longest_copied']!r}",
    ]
    ngram_bits = result.get("ngram_bits", {})
    for name in ("validation", "test"):
        if (loss := result.get(f"{name}_loss")) is not None:
            lines.append(f"{name} loss {loss:#.5g} nats per character ({loss / NATS_PER_BIT:#.5g} bits)")
        if name in ngram_bits:
            order = best_order(ngram_bits)
            bits = ngram_bits[name][order]
            lines.append(f"  n-gram model of order {order} on the same text: {bits:#.5g} bits per character")
    return lines
