"""The chapter's first forward pass, whose table is 0.1 throughout, and the same pass with the hidden state computed."""

import math

import jax.numpy as jnp
import numpy as np

from rnnjax.textbook.layout import make_console, make_table, numbers
from rnnjax.textbook.network import Case, draw_case, outputs, square_case, trace, with_input, with_input_weights

INPUTS = [10, 12, 14, 16, 18]
"""The chapter's x."""


def show(seed: int) -> int:
    """Prints the three tables."""
    console = make_console()
    case = square_case(seed)
    size, columns = case.model.vocabulary, max(INPUTS) + 1
    console.print(
        f"A {size}-{size}-{size} network: U, W, V uniform in ±sqrt(1/{size}) = ±{size**-0.5:.4f} (seed {seed}), no "
        f"biases, first state 0. The inputs are x = {INPUTS}, {len(INPUTS)} steps.\n"
    )

    y_hat = outputs_without_hidden_state(case)
    console.print(output_table("1. The chapter's table: the hidden state is left at zero", INPUTS, y_hat))
    console.print(
        "In the chapter's loop the line that computes h_t is commented out. Every h_t stays the row of zeros that it "
        f"was made as, so ŷ_t = softmax(V 0) = 1/{size} in each place (smallest of the {y_hat.size} numbers "
        f"{y_hat.min():.15g}, largest {y_hat.max():.15g}), whatever U, W, V and x are. The network has read nothing; "
        f"its loss is ln {size} = {math.log(size):.4f} nats a step, whatever the target.\n"
    )

    console.print(
        "With that line back in, h_t = tanh(U x_t + W h_(t-1)) (the formula prints x_1 for x_t; the code has x[t]) and "
        f"x_t picks column x_t of U. But U has columns 0 to {size - 1}: the loop stops at t = 0, where NumPy says"
    )
    console.print(f"    {refusal(case)}")
    console.print(
        f"For ids up to {columns - 1} there are two ways out: U gets {columns} columns (rows, in this package, which "
        f"writes vectors as rows), or the ids are taken modulo {size}.\n"
    )
    h, y_hat = run_over(with_columns(case, seed, columns), INPUTS)
    wrapped = [x % size for x in INPUTS]
    h_wrapped, y_hat_wrapped = run_over(case, wrapped)
    title = f"2. h_t computed; U with {columns} columns, uniform in ±sqrt(1/{columns}), W and V as in 1"
    console.print(output_table(title, INPUTS, y_hat))
    console.print()
    console.print(output_table(f"3. h_t computed; x modulo {size}, U, W and V as in 1", wrapped, y_hat_wrapped))
    console.print(
        "Now h_t depends on what was read, and no two rows are the same. The entries of h reach "
        f"±{np.abs(h).max():.3f} in 2 and ±{np.abs(h_wrapped).max():.3f} in 3; those of ŷ are up to "
        f"{np.abs(y_hat - 1 / size).max():.3f} and {np.abs(y_hat_wrapped - 1 / size).max():.3f} away from 1/{size}. "
        "Each row still adds up to 1."
    )
    return 0


def outputs_without_hidden_state(case: Case) -> np.ndarray:
    """ŷ [T, V] as the chapter's loop computes it: from hidden states that stay zero, as no line writes them."""
    return np.asarray(outputs(case, jnp.zeros((case.steps, case.model.hidden))))


def with_columns(case: Case, seed: int, columns: int) -> Case:
    """The same network with a U for so many ids; its outputs stay as many."""
    return with_input_weights(case, draw_case(seed, case.model.hidden, columns, INPUTS, INPUTS))


def run_over(case: Case, x: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """h [T, H] and ŷ [T, V] over ids."""
    h = trace(with_input(case, x)).h
    return np.asarray(h), np.asarray(outputs(case, h))


def refusal(case: Case) -> str:
    """NumPy's answer to the chapter's U[:, x[0]]."""
    U = np.asarray(case.params.layers[0].U).T
    try:
        U[:, INPUTS[0]]
    except IndexError as error:
        return f"IndexError: {error}"
    raise AssertionError("the chapter's inputs fit after all")


def output_table(title: str, x: list[int], y_hat: np.ndarray):
    table = make_table("t", "x_t", f"ŷ_t, {y_hat.shape[1]} outputs", title=title)
    for t, (x_t, row) in enumerate(zip(x, y_hat, strict=True)):
        table.add_row(str(t), str(x_t), numbers(row))
    return table
