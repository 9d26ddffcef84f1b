"""n-gram models, the bar that a network must pass: counts of short stretches of text predict held-out text.

A model of order k predicts a character from the k before it. Its probabilities are Kneser-Ney's with three discounts:
R. Kneser & H. Ney (1995), Improved backing-off for m-gram language modeling, ICASSP; S. F. Chen & J. Goodman (1999),
An empirical study of smoothing techniques for language modeling, Computer Speech & Language 13.

With h the context and h' the context without its oldest character,

    P(c | h) = (n(hc) - D(n(hc))) / n(h) + P(c | h') Σ_b D(n(hb)) / n(h),    n(h) = Σ_b n(hb),

where n counts at the model's own order how often a stretch stands in the training text, and at the orders below how
many different characters stand before it there. A context that was never seen gives way to the shorter one; below order
0 all ids are equally likely. What the discounts D take from the stretches seen is what the shorter context hands out:
the probabilities of all ids sum to one. Nothing is tuned on held-out text.

A stretch of k + 1 ids is one number of k + 1 digits, the newest id the last, so that all counting is sorting.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rnnjax.data.split import Split

HIGHEST_ORDER = 5

BLOCK = 1 << 22
"""Characters counted at once; bounds the memory."""

LEAST_DISCOUNT = 0.05
"""Least discount, in occurrences: stretches never seen get a share, even where nothing in the training text is rare."""

Advance = Callable[[int], object]
"""Progress: called with the number of characters read since the last call."""


class Shares(NamedTuple):
    """Shares of probability: of each stretch what it keeps, of each context what it hands to the shorter one.

    Attributes:
      kept: (n - D) / n(h) [G + 1].
      freed: Σ D / n(h) [C + 1].

    The last entries, 0 and 1, are those of a stretch and a context that were never seen.
    """

    kept: np.ndarray
    freed: np.ndarray


class Level(NamedTuple):
    """The stretches of k + 1 ids in the training text.

    Attributes:
      stretches: uint64 [G], sorted.
      contexts: their first k ids, uint64 [C], sorted.
      own: shares in the model of order k.
      lower: shares in models of higher orders.
    """

    stretches: np.ndarray
    contexts: np.ndarray
    own: Shares
    lower: Shares


class NGrams(NamedTuple):
    """Models of all orders up to one, of the same training text.

    Attributes:
      levels: one for each order, from 0.
      base: base of the numbers that stand for stretches, V + 1: the highest digit stands for the places before a text.
    """

    levels: list[Level]
    base: int

    def probabilities(self, stretches: np.ndarray) -> np.ndarray:
        """Probability of the last id of each stretch, given those before it.

        Args:
          stretches: the ids that the highest order reads and the one that it predicts, uint64 [M].

        Returns:
          [orders, M].
        """
        below = np.full(len(stretches), 1 / (self.base - 1))
        found = []
        for k, level in enumerate(self.levels):
            short, place = np.unique(_newest(stretches, k + 1, self.base), return_inverse=True)
            stretch = _find(level.stretches, short)
            context = _find(level.contexts, short // np.uint64(self.base))
            own, lower = (
                shares.kept[stretch][place] + shares.freed[context][place] * below
                for shares in (level.own, level.lower)
            )
            found.append(own)
            below = lower
        return np.array(found)

    def bits(self, ids: np.ndarray, advance: Advance = lambda characters: None) -> list[float]:
        """Cross-entropy of each order on a text, bits per character.

        Every character but the first is predicted, as by the network.

        Args:
          ids: [N], N at least 2.
        """
        stretches, counts = _count(ids, len(self.levels) - 1, self.base, advance, first=1)
        return [float(np.sum(-np.log2(p) * counts) / counts.sum()) for p in self.probabilities(stretches)]


def highest_order(vocabulary_size: int) -> int:
    """Highest order that a vocabulary allows: HIGHEST_ORDER, or less where a stretch would not fit in 64 bits."""
    return next(k for k in range(HIGHEST_ORDER, -1, -1) if (vocabulary_size + 1) ** (k + 1) < 1 << 64)


def count_ngrams(
    ids: np.ndarray, vocabulary_size: int, order: int, advance: Advance = lambda characters: None
) -> NGrams:
    """Counts a training text.

    Args:
      ids: [N], N at least 1.
      vocabulary_size: V, the number of ids, with that of unknown characters.
      order: highest order, at most highest_order(V).
    """
    base = vocabulary_size + 1
    stretches, counts = _count(ids, order, base, advance)
    levels = [_level(stretches, counts, counts, base)]
    for k in range(order, 0, -1):
        # Every stretch has one digit before it, so that the shorter ones are sums over the longer ones.
        stretches, place = np.unique(_newest(stretches, k, base), return_inverse=True)
        counts = np.bincount(place, counts).astype(np.int64)
        levels.append(_level(stretches, counts, np.bincount(place), base))
    return NGrams(levels[::-1], base)


def held_out_bits(
    ids: Split[np.ndarray], vocabulary_size: int, advance: Advance = lambda characters: None
) -> dict[str, dict[str, float]]:
    """Bits per character on each held-out text that is not empty, by text and order; counted on the training text."""
    texts = {name: text for name, text in (("validation", ids.validation), ("test", ids.test)) if text.size}
    if not texts:
        return {}
    model = count_ngrams(ids.train, vocabulary_size, highest_order(vocabulary_size), advance)
    return {
        name: {str(order): bits for order, bits in enumerate(model.bits(text, advance))} for name, text in texts.items()
    }


def best_order(bits: dict[str, dict[str, float]]) -> str:
    """Order with the fewest bits on the validation text, or on the test text where there is no validation text."""
    orders = bits.get("validation") or bits["test"]
    return min(orders, key=lambda order: orders[order])


def _count(ids: np.ndarray, order: int, base: int, advance: Advance, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Different stretches [G] that end at the character `first` or later, sorted, and their counts [G]."""
    blocks = []
    for start in range(first, len(ids), BLOCK):
        stop = min(start + BLOCK, len(ids))
        before = ids[max(start - order, 0) : start]
        digits = np.concatenate([np.full(order - len(before), base - 1), before, ids[start:stop]]).astype(np.uint64)
        blocks.append(np.unique(stretches_of(digits, order, base), return_counts=True))
        advance(stop - start)
    stretches, place = np.unique(np.concatenate([block[0] for block in blocks]), return_inverse=True)
    return stretches, np.bincount(place, np.concatenate([block[1] for block in blocks])).astype(np.int64)


def stretches_of(digits: np.ndarray, order: int, base: int) -> np.ndarray:
    """The number of each order + 1 digits that follow each other, uint64 [N] of digits uint64 [order + N]."""
    stretches = np.zeros(len(digits) - order, np.uint64)
    for digit in range(order + 1):
        stretches = stretches * np.uint64(base) + digits[digit : digit + len(stretches)]
    return stretches


def _level(stretches: np.ndarray, counts: np.ndarray, before: np.ndarray, base: int) -> Level:
    contexts, context = np.unique(stretches // np.uint64(base), return_inverse=True)
    return Level(stretches, contexts, _shares(counts, context), _shares(before, context))


def _shares(counts: np.ndarray, context: np.ndarray) -> Shares:
    """Discounts counts [G] of stretches whose contexts have the indices `context` [G]."""
    discount = _discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(context, counts)
    kept = (counts - discount) / total[context]
    freed = np.bincount(context, discount) / total
    return Shares(np.append(kept, 0.0), np.append(freed, 1.0))


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Discounts of a stretch that was counted 0, 1, 2, and 3 or more times, [4].

    The estimates of Chen and Goodman from how many stretches were counted 1 to 4 times. The half added to each of these
    is ours: a small text may have none of some, and a small alphabet has no rare stretches at all.
    """
    seen = np.bincount(np.minimum(counts, 5), minlength=6) + 0.5
    one_or_two = seen[1] / (seen[1] + 2 * seen[2])
    discounts = [i - (i + 1) * one_or_two * seen[i + 1] / seen[i] for i in (1, 2, 3)]
    return np.array([0.0, *np.clip(discounts, LEAST_DISCOUNT, (1, 2, 3))])


def _newest(stretches: np.ndarray, length: int, base: int) -> np.ndarray:
    """Last ids of each stretch."""
    return stretches % np.uint64(base**length)


def _find(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Places of the wanted numbers among the sorted known ones; len(known) for a number that is not there."""
    place = np.searchsorted(known, wanted)
    return np.where(known[np.minimum(place, len(known) - 1)] == wanted, place, len(known))
