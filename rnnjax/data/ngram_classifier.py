"""Classification by counts alone: a text gets the label whose n-gram model finds it least surprising.

The models are the smoothed ones of `data.ngrams`, one for each label (Peng & Schuurmans, 2003, "Combining naive Bayes
and n-gram language models for text classification"). It shares nothing with a network, and so can judge one.
"""

from typing import NamedTuple

import numpy as np

from rnnjax.data.ngrams import NGrams, count_ngrams, highest_order, stretches_of

ORDER = 4


class NGramClassifier(NamedTuple):
    """n-gram models, one for each label, all of one order."""

    models: list[NGrams]
    order: int

    def log_likelihoods(self, texts: list[np.ndarray]) -> np.ndarray:
        """log P(text | label) in nats [texts, labels]; each text is ids [N], N at least 1."""
        base = self.models[0].base
        padded = (np.concatenate([np.full(self.order, base - 1), text]).astype(np.uint64) for text in texts)
        stretches = np.concatenate([stretches_of(digits, self.order, base) for digits in padded])
        starts = np.cumsum([0, *(len(text) for text in texts[:-1])])
        sums = [np.add.reduceat(np.log(model.probabilities(stretches)[-1]), starts) for model in self.models]
        return np.stack(sums, axis=1)

    def classify(self, texts: list[np.ndarray]) -> np.ndarray:
        """Label of each text [texts], with all labels equally likely before it is read."""
        return np.argmax(self.log_likelihoods(texts), axis=1)


def train_classifier(texts: list[np.ndarray], label: np.ndarray, vocabulary_size: int) -> NGramClassifier:
    """Counts the texts of each label.

    Args:
      texts: ids [N] each.
      label: label of each text, an index [texts]; each label up to the largest has a text.
      vocabulary_size: V, the number of ids, with that of unknown characters.
    """
    order = min(ORDER, highest_order(vocabulary_size))
    of_label = [
        np.concatenate([text for text, own in zip(texts, label, strict=True) if own == value])
        for value in range(label.max() + 1)
    ]
    return NGramClassifier([count_ngrams(text, vocabulary_size, order) for text in of_label], order)


def permutation_p(truth: np.ndarray, guess: np.ndarray, draws: int = 9_999) -> float:
    """p-value of guesses against the truth: share of reorderings of the truth at which they are right as often.

    The true order itself is counted in (Phipson & Smyth, 2010, "Permutation p-values should never be zero").
    """
    rng = np.random.default_rng(0)
    right = np.sum(truth == guess)
    as_good = sum(np.sum(rng.permutation(truth) == guess) >= right for _ in range(draws))
    return float((1 + as_good) / (1 + draws))
