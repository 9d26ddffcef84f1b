"""Baselines: answers to held-out steps without a network."""

import numpy as np

from rnnjax.data.parts import Part
from rnnjax.data.series import Series

Answers = dict[str, np.ndarray]
"""Answers by the name of the baseline: numbers [n, T, K] in the units of the file, or classes [n, T]."""


def later_values(series: Series, part: Part, horizon: int, season: int) -> Answers:
    """Baselines of forecasting: the last value read, and the value one season before the target.

    Where the series had not begun a season before, the second is the first.

    Args:
      series: the series, not shifted.
      season: steps of a season; 0: there is none.
    """
    steps = part.first + np.arange(part.rows.x.shape[1])
    answers = {"the last value": series.y[part.series][:, steps]}
    if season:
        seasons = -(-horizon // season)  # so many back is the nearest that has been read
        before = steps + horizon - seasons * season
        name = f"the value {season} step(s) before" if seasons == 1 else f"the value {seasons} x {season} steps before"
        answers[name] = series.y[part.series][:, np.where(before < 0, steps, before)]
    return answers


def mean_of(train: np.ndarray, part: Part) -> Answers:
    """Mean of the training part's targets [n, K], everywhere."""
    return {"the training mean": np.broadcast_to(train.mean(axis=0), (*part.rows.x.shape[:2], train.shape[1]))}


def most_frequent(train: np.ndarray, part: Part) -> Answers:
    """Most frequent class of the training part [n], everywhere."""
    return {"the most frequent class": np.full(part.rows.x.shape[:2], np.argmax(np.bincount(train)))}


def frequencies_loss(train: np.ndarray, held_out: np.ndarray, classes: int) -> float:
    """Loss of the training part's frequencies of the classes on held-out ones, nats each.

    Each class is counted once more than it was seen, so that none is impossible.
    """
    counts = np.bincount(train, minlength=classes) + 1
    return float(-np.mean(np.log(counts / counts.sum())[held_out]))


def usual_labels(train: np.ndarray, part: Part) -> Answers:
    """More frequent value, 0 or 1, of each label in the training part [n, K], everywhere."""
    usual = train.mean(axis=0) > 0.5
    return {"each label's usual value": np.broadcast_to(usual, (*part.rows.x.shape[:2], train.shape[1]))}


def usual_labels_loss(train: np.ndarray, held_out: np.ndarray) -> float:
    """Loss of the training part's frequencies of the labels [n, K] on held-out ones, nats for all labels of an answer.

    0 and 1 are counted once more than they were seen.
    """
    p = (train.sum(axis=0) + 1) / (len(train) + 2)
    return float(-np.mean(np.sum(np.where(held_out > 0.5, np.log(p), np.log1p(-p)), axis=-1)))
