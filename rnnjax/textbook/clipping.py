"""Clipping by norm (the chapter's formula) and by value (its code) on the same gradients."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from rnnjax.analysis.clipping import compare
from rnnjax.textbook.layout import as_in_the_book, make_console, make_table, numbers
from rnnjax.textbook.network import gradient, small_case
from rnnjax.training.clipping import clipped_by, make_clip

THRESHOLD = 5.0
"""Threshold of the chapter."""

EXAMPLE = (8.0, 2.0)
"""A gradient that can be drawn on paper: one element above the threshold, one far below."""

Way = Literal["global_norm", "value"]
WAYS: dict[Way, str] = {"global_norm": "by norm (the formula)", "value": "by value (the code)"}


def show(seed: int) -> int:
    """Prints both clips of a gradient of two numbers, then of the small network's."""
    console = make_console()
    console.print(
        "The chapter's formula clips by norm: where the length ‖g‖ exceeds the threshold, g becomes "
        "g · threshold / ‖g‖. Its code clips by value (clip_by_value): each element is cut to ±threshold on its own. "
        "The two do different things.\n"
    )
    example = jnp.asarray(EXAMPLE)
    console.print(summary_table(f"1. g = {EXAMPLE}, threshold {THRESHOLD:g}, the chapter's", example, THRESHOLD, True))
    console.print(
        f"By norm g keeps its direction and ends with length {THRESHOLD:g}. By value it turns, as only the large "
        f"element shrinks, and may stay longer than {THRESHOLD:g}: up to {THRESHOLD:g} · sqrt(n) for n elements.\n"
    )

    case = small_case(seed)
    whole = gradient(case, "autodiff")
    flat, _ = ravel_pytree(whole)
    threshold = float(jnp.abs(flat).max()) / 2
    console.print(
        f"The same on a real gradient, of the network of python -m rnnjax.textbook gradients --seed {seed}: all "
        f"{flat.size} elements, biases too, for the average loss. Its largest element is {2 * threshold:.4f}, far "
        f"below the chapter's {THRESHOLD:g}, so the threshold here is half of the largest element, {threshold:.4f}.\n"
    )
    console.print(summary_table(f"2. The small network's gradient, threshold {threshold:.4f}", whole, threshold))
    console.print()
    console.print(element_table(whole, threshold))
    console.print(
        "Elements that are exactly 0 stay 0 either way: the letter c is never read, so its column of ∂L/∂U is 0. "
        "The norm is that of the whole gradient, all arrays together."
    )
    return 0


def clip(grads, way: Way, threshold: float):
    """Gradient as the training step would hand it to Adam."""
    return clipped_by(make_clip(way, threshold), grads)


def angle(a, b) -> float:
    """Angle between two vectors, degrees."""
    return float(compare(jnp.asarray(a), jnp.asarray(b)).angle)


def summary_table(title: str, grads, threshold: float, with_elements: bool = False):
    """Length, angle to the gradient before, and number of changed elements, for each way to clip."""
    columns = ("length", "largest element", "turned by (degrees)", "elements changed")
    table = make_table("", *(("g",) if with_elements else ()), *columns, title=title)
    before = np.asarray(ravel_pytree(grads)[0])
    rows = {"before": before}
    rows |= {text: np.asarray(ravel_pytree(clip(grads, way, threshold))[0]) for way, text in WAYS.items()}
    for text, g in rows.items():
        elements = (numbers(g),) if with_elements else ()
        is_before = text == "before"
        turned = "" if is_before else f"{angle(before, g):.2f}"
        changed = "" if is_before else f"{np.sum(g != before)} of {g.size}"
        table.add_row(text, *elements, numbers(np.linalg.norm(g)), numbers(np.abs(g).max()), turned, changed)
    return table


def element_table(grads, threshold: float):
    """Each array before and after, with a star at every changed element."""
    title = "Its elements, as the chapter has the matrices; * where changed"
    table = make_table("", "before", *WAYS.values(), title=title, lines=True)
    clipped = [clip(grads, way, threshold) for way in WAYS]
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(grads)[0]]
    for path, before, *after in zip(paths, *map(jax.tree.leaves, (grads, *clipped)), strict=True):
        name = jax.tree_util.keystr(path[-1:], simple=True)
        before = as_in_the_book(before)
        cells = [numbers(as_in_the_book(g), marked=as_in_the_book(g) != before) for g in after]
        table.add_row(f"∂L/∂{name}", numbers(before), *cells)
    return table
