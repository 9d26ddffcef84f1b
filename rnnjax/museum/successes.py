"""The share of trials that succeed, as the number of sequences grows."""

from typing import TYPE_CHECKING

import numpy as np

from rnnjax.museum.exhibit import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_successes(axes: "Axes", results: Results, measure: str, first: float, last: float) -> None:
    """Draws for each arm the share of its trials that have succeeded, as steps from `first` to `last`.

    Args:
      measure: sequences or strings until a trial succeeded [n]; nan for a trial without success.
    """
    for arm, of in results.items():
        ends = np.sort(of[measure][np.isfinite(of[measure])])
        shares = np.arange(len(ends) + 1) / len(of[measure])
        axes.step([first, *ends, last], [*shares, shares[-1]], where="post", label=arm)
