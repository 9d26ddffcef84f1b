"""The chapter in numbers: what `python -m rnnjax.textbook` prints, against plain NumPy that starts from its weights."""

import re

import jax
import numpy as np
import pytest
from command import call, check_refusals

from rnnjax.gradients import METHODS, autodiff, printed
from rnnjax.gradients.method import Method
from rnnjax.textbook import forward
from rnnjax.textbook.__main__ import main
from rnnjax.textbook.formula import AGREES, DIFFERS, NO_VALUE, Formula, judge
from rnnjax.textbook.network import small_case, square_case, trace

LAST_DIGIT = 0.51e-4


def show(name, seed=0):
    answer = call(main, name, "--seed", str(seed))
    assert not answer.stderr
    assert max(map(len, answer.stdout.splitlines())) <= 120
    return answer


@pytest.fixture(scope="module")
def forward_text():
    return show("forward").stdout


@pytest.fixture(scope="module")
def gradients_text():
    answer = show("gradients", 1)
    assert answer.code == 0, answer.stdout
    return answer.stdout


def tables(text):
    """The lines of cells of each table of an output, without its head."""
    found = []
    for line in text.splitlines():
        if line.startswith("┏"):
            found.append([])
        elif line.startswith("│"):
            found[-1].append(cells(line))
    return found


def cells(line):
    """The cells of a line of a table."""
    return [cell.strip() for cell in line.strip("│").split("│")]


def floats(cell):
    return [float(number) for number in re.findall(r"-?\d+\.\d+", cell)]


def matrix(cells):
    return np.array([floats(cell) for cell in cells if floats(cell)])


def loop_of_the_book(U, W, V, x):
    """The chapter's loop with the line that it comments out; there too the last row of states is the first state."""
    states, y_hat = np.zeros((len(x) + 1, len(W)), U.dtype), []
    for t in range(len(x)):
        states[t] = np.tanh(U[:, x[t]] + W.dot(states[t - 1]))
        odds = np.exp(V.dot(states[t]))
        y_hat.append(odds / odds.sum())
    return states[:-1], np.array(y_hat)


def derivative(weights, name, x, y):
    """∂ΣL_t/∂ one of the matrices U, W, V by complex steps: exact, and with no back-propagation in it."""
    result = np.zeros(weights[name].shape)
    for index in np.ndindex(*result.shape):
        shifted = {key: value.astype(complex) for key, value in weights.items()}
        shifted[name][index] += 1e-30j
        _, y_hat = loop_of_the_book(**shifted, x=x)
        result[index] = -np.log(y_hat[range(len(y)), y]).sum().imag / 1e-30
    return result


def weights_of(case):
    layer = case.params.layers[0]
    return {"U": np.asarray(layer.U).T, "W": np.asarray(layer.W).T, "V": np.asarray(case.params.V).T}


def test_the_table_of_the_book_is_a_tenth_everywhere(forward_text):
    np.testing.assert_array_equal(matrix(row[2] for row in tables(forward_text)[0]), np.full((5, 10), 0.1))
    assert "index 10 is out of bounds for axis 1 with size 10" in forward_text
    assert "2.3026" in forward_text


@pytest.mark.parametrize(("table", "columns", "x"), [(1, 19, [10, 12, 14, 16, 18]), (2, 10, [0, 2, 4, 6, 8])])
def test_the_right_tables(forward_text, table, columns, x):
    case = square_case(0) if columns == 10 else forward.with_columns(square_case(0), 0, columns)
    weights = weights_of(case)
    assert {name: w.shape for name, w in weights.items()} == {"U": (10, columns), "W": (10, 10), "V": (10, 10)}
    assert np.abs(weights["U"]).max() <= columns**-0.5
    _, y_hat = loop_of_the_book(**weights, x=x)
    rows = tables(forward_text)[table]
    assert [row[1] for row in rows] == [str(x_t) for x_t in x]
    np.testing.assert_allclose(matrix(row[2] for row in rows), y_hat, rtol=0, atol=LAST_DIGIT)
    assert np.abs(y_hat - 0.1).max() > 0.005
    assert len({row[2] for row in rows}) == 5


def hand_calculation(text):
    """The weights as printed."""
    rows = tables(text)[0]
    weights = {name: matrix(row[column] for row in rows) for column, name in enumerate("UWV")}
    assert {name: w.shape for name, w in weights.items()} == {"U": (2, 3), "W": (2, 2), "V": (3, 2)}
    return weights


def test_the_forward_pass_can_be_followed_by_hand(gradients_text):
    h, y_hat = loop_of_the_book(**hand_calculation(gradients_text), x=[0, 1, 0])
    rows = tables(gradients_text)[1]
    assert [row[1] + row[6] for row in rows] == ["ab", "ba", "ac"]
    for column, expected in [(2, np.arctanh(h)), (3, h), (5, y_hat)]:
        np.testing.assert_allclose(matrix(row[column] for row in rows), expected, rtol=0, atol=LAST_DIGIT)
    surprise = -np.log(y_hat[range(3), [1, 0, 2]])
    np.testing.assert_allclose([float(row[7]) for row in rows], surprise, rtol=0, atol=LAST_DIGIT)
    assert f"{surprise.sum():.4f} nats" in gradients_text
    assert f"{surprise.mean():.4f}." in gradients_text


def test_each_formula_gives_what_it_should(gradients_text):
    weights = hand_calculation(gradients_text)
    h, y_hat = loop_of_the_book(**weights, x=[0, 1, 0])
    dU, dW, dV = (derivative(weights, name, [0, 1, 0], [1, 0, 2]) for name in "UWV")
    right = [y_hat - np.eye(3)[[1, 0, 2]], 1 - h**2, dV]
    expected = [*((a, a, AGREES) for a in right), (dV, dV / 3, DIFFERS), (None, dW, NO_VALUE)]
    expected += [(dW, dW, AGREES), (dU, dU, AGREES)]
    blocks = formula_blocks(gradients_text)
    assert len(blocks) == len(expected)
    for block, (gives, truth, verdict) in zip(blocks, expected, strict=True):
        assert block[0][3].startswith(verdict)
        np.testing.assert_allclose(matrix(row[2] for row in block), truth, rtol=0, atol=LAST_DIGIT)
        if gives is None:
            assert not matrix(row[1] for row in block).size
        else:
            np.testing.assert_allclose(matrix(row[1] for row in block), gives, rtol=0, atol=LAST_DIGIT)
    assert "200.0%" in blocks[3][0][3]


def formula_blocks(text):
    """The rows of the table of formulas, of several lines each."""
    table = text[text.index("The chapter's formulas") :].split("└")[0]
    blocks = re.split(r"├[─┼]*┤", table.split("┩")[1])
    return [[cells(line) for line in block.strip().splitlines()] for block in blocks]


def test_the_terms_add_up(gradients_text):
    *terms, total = tables(gradients_text)[3]
    assert [row[:2] for row in terms] == [["0", "0"], ["1", "0"], ["1", "1"], ["2", "0"], ["2", "1"], ["2", "2"]]
    d, before = (matrix(row[column] for row in terms) for column in (2, 3))
    weights = hand_calculation(gradients_text)
    dW, dU = (derivative(weights, name, [0, 1, 0], [1, 0, 2]) for name in "WU")
    np.testing.assert_allclose(d.T @ before, dW, rtol=0, atol=5e-4)
    np.testing.assert_allclose(floats(total[4]), dW.ravel(), rtol=0, atol=LAST_DIGIT)
    for letter, column in zip("abc", dU.T, strict=True):
        np.testing.assert_allclose(d[[row[5] == letter for row in terms]].sum(0), column, rtol=0, atol=5e-4)


def printed_dW(weights, x, y, through_V, inner_factor, from_left):
    """The chapter's sum, in columns and matrices, with each factor written out."""
    h, y_hat = loop_of_the_book(**weights, x=x)
    error, V = y_hat - np.eye(len(weights["V"]))[y], weights["V"]
    dW = np.zeros(weights["W"].shape)
    for j in range(len(x)):
        for k in range(j + 1):
            product = np.eye(len(h[0]))
            for m in range(k + 1, j + 1):
                product = product @ weights["W"].T @ np.diag(1 - h[m] ** 2)
            e = V.T @ error[j] if through_V else error[j]
            e = e @ product if from_left else product @ e
            e = np.diag(1 - h[k] ** 2) @ e if inner_factor else e
            dW += np.outer(e, h[k - 1] if k else 0 * h[0])
    return dW


READINGS = [
    (False, False, False),
    (False, False, True),
    (False, True, False),
    (True, False, False),
    (True, True, False),
]


def test_readings_of_the_printed_formula(subtests):
    case, x, y = square_case(3), [0, 2, 4, 6, 8], [2, 4, 6, 8, 0]
    steps, weights = trace(case), weights_of(case)
    error = printed.output_error(steps.logits, case.batch.y)
    truth = derivative(weights, "W", x, y)
    for reading in READINGS:
        with subtests.test(reading):
            found = printed.Reading(*reading)
            ours = printed.recurrent_weights(case.params, steps.before, steps.h, error, found).T
            np.testing.assert_allclose(ours, printed_dW(weights, x, y, *reading), rtol=0, atol=1e-13)
            difference = np.abs(ours - truth).max() / np.abs(truth).max()
            assert (difference < 1e-12) if reading == (True, True, False) else (difference > 0.01)


def test_what_the_readings_are_said_to_do(gradients_text):
    """Seed 1: the percentages of the 10-10-10 network, and no value where the shapes do not fit."""
    rows = tables(gradients_text)[4][:5]
    weights, x, y = weights_of(square_case(1)), [0, 2, 4, 6, 8], [2, 4, 6, 8, 0]
    truth = derivative(weights, "W", x, y)
    for row, reading in zip(rows, READINGS, strict=True):
        share = np.abs(printed_dW(weights, x, y, *reading) - truth).max() / np.abs(truth).max()
        assert row[2] == (AGREES if reading == (True, True, False) else f"{DIFFERS} by {share:.1%}")
    assert [row[1].split()[0] for row in rows] == ["no", "no", "no", "differs", "agrees"]
    assert "3 errors meet a 2 x 2 matrix" in rows[0][1]


def test_a_printed_formula_that_fits_no_shape_is_refused():
    case = small_case(0)
    steps = trace(case)
    error = printed.output_error(steps.logits, case.batch.y)
    with pytest.raises(ValueError, match="3 errors meet a 2 x 2 matrix"):
        printed.recurrent_weights(case.params, steps.before, steps.h, error)


def test_the_printed_formula_is_no_gradient_method():
    assert "printed" not in METHODS


def test_a_corrected_formula_that_is_wrong_is_told(monkeypatch):
    def wrong(*arguments):
        result = autodiff.gradient(*arguments)
        return result._replace(params=jax.tree.map(lambda leaf: leaf * (1 + 1e-8), result.params))

    monkeypatch.setitem(METHODS, "textbook", lambda config: Method(wrong))
    answer = show("gradients")
    assert answer.code == 1
    assert "NOT AS CLAIMED: ∂L/∂W corrected" in answer.stdout


def test_a_printed_formula_that_is_right_is_told(monkeypatch):
    original = printed.carried_back
    monkeypatch.setattr(printed, "carried_back", lambda *arguments: original(*arguments[:-1], printed.CORRECTED))
    answer = show("gradients")
    assert answer.code == 1
    assert "NOT AS CLAIMED: as printed" in answer.stdout
    assert "Each formula does" not in answer.stdout


ONE = np.array([2.0, 0.0])


def test_judging(subtests):
    cases = [
        (ONE, AGREES, True),
        (ONE, DIFFERS, False),
        (ONE * 1.01, DIFFERS, True),
        (ONE * (1 + 1e-9), AGREES, False),
        (ONE * (1 + 1e-9), DIFFERS, False),  # away from autodiff, but not from the central differences
        (ONE * np.nan, AGREES, False),
        (ONE * np.nan, DIFFERS, False),
        (None, NO_VALUE, True),
        (None, DIFFERS, False),
        (ONE * 1.01, NO_VALUE, False),
    ]
    for gives, claim, holds in cases:
        with subtests.test(gives=gives, claim=claim):
            assert judge(Formula("", gives, [ONE, ONE], claim)).holds is holds


def test_the_seed_draws_other_weights(forward_text):
    assert show("forward", 0).stdout == forward_text
    assert tables(show("forward", 1).stdout)[2] != tables(forward_text)[2]


def test_what_a_user_can_mend_is_one_line(subtests):
    cases = [
        ([], "forward,gradients,clipping"),
        (["backward"], "'backward'"),
        (["forward", "--seed", "x"], "seed"),
        (["forward", "--seed", "-1"], "--seed is -1"),
        (["clipping", "--seed", str(2**31)], "below 2^31"),
        (["gradients", "--sed", "1"], "did you mean seed"),
        (["forward", "more"], "more"),
        (["--seed", "1"], "forward"),
    ]
    check_refusals(subtests, main, cases)
