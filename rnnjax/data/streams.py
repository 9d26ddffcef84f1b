"""Folding a text into contiguous parallel streams, so that the state carries from window to window."""

import numpy as np

from rnnjax.errors import UserError


def fold_into_streams(ids: np.ndarray, batch_size: int, sequence_length: int) -> np.ndarray:
    """Cuts a text into B stretches of S characters, each with the first character of the next as its last target.

    Args:
      ids: [N].
      batch_size: B.
      sequence_length: T, at most S.

    Returns:
      ids [B, S + 1], S = (N - 1) // B.

    Raises:
      UserError: if the text is too short for one window of every stream.
    """
    stretch = (len(ids) - 1) // batch_size
    if stretch < sequence_length:
        raise UserError(
            f"data.path: the training text has {len(ids)} characters, too short for training.batch_size {batch_size} x "
            f"training.sequence_length {sequence_length}, which need {batch_size * sequence_length + 1}; lower one"
        )
    starts = stretch * np.arange(batch_size)[:, None]
    return ids[starts + np.arange(stretch + 1)]
