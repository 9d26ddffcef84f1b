"""Each formula of the chapter for a gradient: its value, and the value by autodiff."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from rnnjax.gradients import manual, printed
from rnnjax.gradients.printed import AS_PRINTED, CORRECTED, Reading
from rnnjax.gradients.textbook import DERIVATIVES
from rnnjax.model.loss import cross_entropy
from rnnjax.model.network import Params
from rnnjax.textbook.formula import AGREES, DIFFERS, NO_VALUE, Formula, judge
from rnnjax.textbook.layout import as_in_the_book, lines, make_console, make_table, numbers
from rnnjax.textbook.network import Case, Trace, gradient, small_case, square_case, summed_loss, trace

WRONG = 1
"""Exit code where a formula's outcome is not the one claimed."""

EPSILON = 1e-5
"""Step of the central differences."""

READINGS = {
    "as printed": (AS_PRINTED, NO_VALUE),
    "as printed, the error a row on the left": (Reading(from_left=True), NO_VALUE),
    "with diag(1 - h_k²) put in": (Reading(inner_factor=True), NO_VALUE),
    "with Vᵀ put in": (Reading(through_V=True), DIFFERS),
    "with both": (CORRECTED, AGREES),
}
"""Readings of ∂L/∂W, each with its outcome where there are not as many outputs as units."""

LETTERS = "abc"


class References(NamedTuple):
    """Gradient of the summed loss, in two ways that use none of the formulas."""

    autodiff: Params
    central_differences: Params


def show(seed: int) -> int:
    """Prints the hand-sized case, its formulas, and the readings of ∂L/∂W. Returns the exit code."""
    console = make_console()
    small, square = small_case(seed), square_case(seed)
    steps = trace(small)

    console.print(
        f"A network to follow with pencil and paper (float64, seed {seed}): 3 inputs, the letters a, b, c; 2 hidden "
        "units; 3 outputs; no biases; first state 0; weights uniform in ±sqrt(1/n), rounded to two digits. It reads "
        "the text abac: given a, b, a it is to answer b, a, c. Vectors are columns, as in the chapter, and U x_t is "
        "the column of U that the letter x_t names.\n"
    )
    console.print(weight_table(small.params))
    console.print()
    console.print(step_table(small, steps))
    total = float(summed_loss(small, small.params))
    console.print(
        f"L is the sum of the L_t in the chapter's formula, {total:.4f} nats, and their average in its code "
        f"(reduce_mean), {total / small.steps:.4f}. The formulas below are gradients of the sum; those of the code are "
        f"these divided by T = {small.steps}: both are right, each of its own loss.\n"
    )
    truth = true_gradient(small)
    readings = make_readings(small, steps, truth), make_readings(square, trace(square), true_gradient(square))
    formulas = make_formulas(small, steps, truth, as_printed=readings[0][0])
    console.print(formula_table(formulas))
    console.print("Distances are the largest difference, as a share of the largest entry of the reference.\n")
    console.print(term_table(small, steps))
    console.print(
        "d_jk = diag(1 - h_k²) [∏_m=k+1..j Wᵀ diag(1 - h_m²)] Vᵀ (ŷ_j - y_j) is what the error of step j is worth at "
        "step k. ∂L/∂W is the sum of d_jk ⊗ h_(k-1), to which k = 0 adds nothing, as h_(-1) = 0; for ∂L/∂U, add each "
        "d_jk to the column of x_k.\n"
    )
    console.print(reading_table(*readings))
    console.print(
        "Two factors are missing. Vᵀ turns the error, one number for each output, into one for each unit; without it "
        "the shapes do not fit, unless there are as many outputs as units. That is so in the chapter's 10-10-10 "
        "network, where a wrong number comes out and no error message. diag(1 - h_k²) is the derivative of the units "
        "at step k, where W is used; the printed product begins one step later and leaves it out. Neither factor mends "
        "the formula without the other.\n"
    )
    broken = [claim for claim in (*formulas, *readings[0], *readings[1]) if not judge(claim).holds]
    for claim in broken:
        console.print(f"NOT AS CLAIMED: {claim.text}: {judge(claim).text}, claimed: {claim.claim}")
    if not broken:
        console.print("Each formula does what is claimed of it.")
    return WRONG if broken else 0


def true_gradient(case: Case) -> References:
    """Gradient of the summed loss by autodiff, and as (L(w + ε) - L(w - ε)) / 2ε for each weight w on its own."""
    point, restore = ravel_pytree(case.params)
    loss = jax.jit(jax.vmap(lambda weights: summed_loss(case, restore(weights))))
    shifts = EPSILON * jnp.eye(point.size)
    differences = (loss(point + shifts) - loss(point - shifts)) / (2 * EPSILON)
    return References(of_the_sum(case, "autodiff"), restore(differences))


def of_the_sum(case: Case, method: str) -> Params:
    """Gradient of the summed loss by a method."""
    return jax.tree.map(lambda leaf: case.steps * leaf, gradient(case, method))


def make_formulas(case: Case, steps: Trace, truth: References, as_printed: Formula) -> list[Formula]:
    """Lists the chapter's formulas in the order in which a hand calculation needs them."""
    y, corrected = case.batch.y, of_the_sum(case, "textbook")
    error = printed.output_error(steps.logits, y)
    d_logits = jax.grad(lambda logits: jnp.sum(cross_entropy(logits, y)))(steps.logits)
    d_tanh = jax.grad(lambda argument: jnp.sum(jnp.tanh(argument)))(steps.argument)
    dV = manual.readout(case.params, steps.h, case.batch, case.model.loss, divisor=1.0)[2]
    true_V = [as_in_the_book(one.V) for one in truth]
    true_W, true_U = ([as_in_the_book(getattr(one.layers[0], name)) for one in truth] for name in "WU")
    return [
        Formula("∂L_j/∂(V h_j) = ŷ_j - y_j\n(row j: step j)", error, [d_logits]),
        Formula("tanh' =\n  1 - tanh²(W h_(m-1) + U x_m)\n(row m: step m)", DERIVATIVES["tanh"](steps.h), [d_tanh]),
        Formula("∂L/∂V = Σ_j (ŷ_j - y_j) ⊗ h_j", as_in_the_book(dV), true_V),
        Formula(
            "the same, as the gradient of the\n  code's loss, the average",
            as_in_the_book(dV),
            [dV_sum / case.steps for dV_sum in true_V],
            DIFFERS,
        ),
        as_printed._replace(
            text="∂L/∂W as printed =\n  Σ_j Σ_k≤j (ŷ_j - y_j)\n  ∏_m=k+1..j Wᵀ diag(1 - h_m²)\n  ⊗ h_(k-1)"
        ),
        Formula(
            "∂L/∂W corrected =\n  Σ_j Σ_k≤j diag(1 - h_k²)\n  [∏_m=k+1..j Wᵀ diag(1 - h_m²)]\n"
            "  Vᵀ (ŷ_j - y_j) ⊗ h_(k-1)",
            as_in_the_book(corrected.layers[0].W),
            true_W,
        ),
        Formula(
            "∂L/∂U, not in the chapter:\n  the same with x_k for h_(k-1)",
            as_in_the_book(corrected.layers[0].U),
            true_U,
        ),
    ]


def make_readings(case: Case, steps: Trace, truth: References) -> list[Formula]:
    """Lists ∂L/∂W in each of its readings. With as many outputs as units, a missing value turns into a wrong one."""
    error = printed.output_error(steps.logits, case.batch.y)
    true_W = [as_in_the_book(one.layers[0].W) for one in truth]
    square = case.model.hidden == case.model.vocabulary
    claims = []
    for text, (reading, claim) in READINGS.items():
        try:
            dW = as_in_the_book(printed.recurrent_weights(case.params, steps.before, steps.h, error, reading))
            reason = ""
        except ValueError as unfit:
            dW, reason = None, str(unfit)
        claims.append(Formula(text, dW, true_W, DIFFERS if square and claim == NO_VALUE else claim, reason))
    return claims


def weight_table(params: Params):
    layer = params.layers[0]
    table = make_table("U", "W", "V", title="Weights")
    table.add_row(*(numbers(as_in_the_book(matrix), 2) for matrix in (layer.U, layer.W, params.V)))
    return table


def step_table(case: Case, steps: Trace):
    columns = ("t", "x_t", "U x_t + W h_(t-1)", "h_t, its tanh", "V h_t", "ŷ_t, its softmax", "y_t", "L_t")
    table = make_table(*columns, title="Forward; L_t = -log of the ŷ_t of the letter y_t")
    surprise = cross_entropy(steps.logits, case.batch.y)
    arrays = (steps.argument, steps.h, steps.logits, jax.nn.softmax(steps.logits), surprise[:, None])
    letters = ([LETTERS[i] for i in ids.tolist()] for ids in (case.batch.x, case.batch.y))
    for t, (x, y, *cells, loss) in enumerate(zip(*letters, *map(lines, arrays), strict=True)):
        table.add_row(str(t), x, *cells, y, loss)
    return table


def formula_table(formulas: list[Formula]):
    table = make_table("formula", "gives", "autodiff", "verdict", title="The chapter's formulas", lines=True)
    table.columns[0].no_wrap = True
    for formula in formulas:
        gives = formula.reason if formula.gives is None else numbers(formula.gives)
        table.add_row(formula.text, gives, numbers(formula.references[0]), judge(formula).text)
    return table


def term_table(case: Case, steps: Trace):
    """Table of the corrected double sum, one line for each j and k."""
    columns = ("j", "k", "d_jk", "h_(k-1)", "d_jk ⊗ h_(k-1), row after row", "x_k")
    table = make_table(*columns, title="The corrected double sum, term by term")
    error = printed.output_error(steps.logits, case.batch.y)
    pairs = [(j, k) for j in range(case.steps) for k in range(j + 1)]
    d = np.stack([printed.carried_back(case.params, steps.h, error, j, k, CORRECTED) for j, k in pairs])
    before = np.stack([steps.before[k] for _, k in pairs])
    products = np.einsum("ni,nj->nij", d, before).reshape(len(pairs), -1)
    for (j, k), *cells in zip(pairs, *map(lines, (d, before, products)), strict=True):
        table.add_row(str(j), str(k), *cells, LETTERS[int(case.batch.x[k])])
    table.add_row("sum", "", "", "", *lines(products.sum(0)), "", style="bold")
    return table


def reading_table(small: list[Formula], square: list[Formula]):
    columns = ("∂L/∂W", "2 units, 3 outputs", "10 units, 10 outputs")
    table = make_table(*columns, title="The printed ∂L/∂W, mended step by step")
    for claims in zip(small, square, strict=True):
        table.add_row(claims[0].text, *(judge(claim).text + (claim.reason and f": {claim.reason}") for claim in claims))
    return table
