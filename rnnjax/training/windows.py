"""Places of the windows in contiguous streams, from step to step and from pass to pass."""

import jax

Array = jax.Array

FIXED = "fixed"
"""Windows that stand at the same places in every pass, as in the book's loop; `shifted` ones are read otherwise."""


def window_start(step: Array, stretch: int, length: int, kind: str) -> tuple[Array, Array]:
    """First target of a step's window in every stream.

    S // T windows fit into a stream of S targets, and S mod T = r targets are left over: at its end in the first pass,
    at its beginning in the second, and then at every place between, r + 1 passes in turn. So two passes read all.

    Args:
      stretch: S.
      length: T.
      kind: fixed, or shifted.

    Returns:
      The place, and True if a new pass begins.
    """
    windows = stretch // length
    index, turn = step % windows, step // windows
    shift = 0 if kind == FIXED else (-turn) % (stretch - windows * length + 1)
    return index * length + shift, index == 0


def share_read(steps: int, stretch: int, length: int, kind: str) -> float:
    """Share of a stream's targets that so many steps read at least once."""
    windows = stretch // length
    if steps >= 2 * windows and kind != FIXED:
        return 1.0
    return min(steps, windows) * length / stretch


def in_words(steps: int, stretch: int, length: int, kind: str) -> str:
    """Share that a run reads, and what to do where windows at fixed places leave some out."""
    share = share_read(steps, stretch, length, kind)
    more = share_read(steps, stretch, length, "shifted")
    advice = f" (training.windows shifted: {more:.1%})" if more > share + 0.01 else ""
    return f"{steps:,} steps read {share:.1%} of the training part{advice}"
