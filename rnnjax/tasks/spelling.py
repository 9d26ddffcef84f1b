"""Sequences in words: one character for each step, or the marked numbers of real vectors."""

from typing import Any

import numpy as np

from rnnjax.data.known.problem import Problem, Sequence
from rnnjax.errors import UserError
from rnnjax.tasks.examples import check_text


def read_input(problem: Problem, text: str) -> np.ndarray:
    """Reads a sequence of one character for each step, or of numbers, each followed by its marker.

    Raises:
      UserError: if the text is no such sequence.
    """
    if problem.inputs is not None:
        check_text(text, problem.inputs, len(text))
        return np.array([problem.inputs.index(symbol) for symbol in text], np.int32)
    try:
        return np.array([float(word) for word in text.split()], np.float32).reshape(-1, problem.width)
    except ValueError:
        raise UserError("--input must be numbers, each followed by its marker, such as '0.3 1 0.9 0 0.5 1'") from None


def told(problem: Problem, row: Sequence, answer: np.ndarray, right: bool) -> dict[str, Any]:
    """Describes a sequence in words: the input, and the targets and answers at the steps that count."""
    asked = np.ones(len(row.y), bool) if row.weight is None else row.weight > 0
    read = row.x if row.valid is None else row.x[row.valid]
    if problem.classes is None or problem.inputs is None:
        marked = [f"{number:.3f}" for number, marker in read if marker == 1]
        said = {"read": f"{len(read)} numbers, marked {' and '.join(marked)}"}
        said |= {name: f"{value[asked][0]:.3f}" for name, value in (("truth", row.y), ("predicted", answer))}
    else:
        spell = lambda names, ids: "".join(names[i] for i in ids)
        said = {"read": spell(problem.inputs, read)}
        said |= {n: spell(problem.classes, ids[asked]) for n, ids in (("truth", row.y), ("predicted", answer))}
    return said | {"right": bool(right)}
