"""Clipping in the chapter's numbers: what python -m rnnjax.textbook clipping prints, against plain NumPy."""

import numpy as np
import pytest
from test_textbook_door import LAST_DIGIT, floats, show, tables

from rnnjax.textbook import clipping


def angle(a, b):
    return np.degrees(np.arccos(min(1.0, a @ b / np.linalg.norm(a) / np.linalg.norm(b))))


def test_clipping_two_numbers():
    text = show("clipping").stdout
    g = np.array([8.0, 2.0])
    before, by_norm, by_value = tables(text)[0]
    assert floats(before[1]) == [8, 2]
    np.testing.assert_allclose(floats(by_norm[1]), 5 * g / np.sqrt(68), rtol=0, atol=LAST_DIGIT)
    assert floats(by_value[1]) == [5, 2]
    assert [row[2] for row in (before, by_norm, by_value)] == ["8.2462", "5.0000", f"{29**0.5:.4f}"]
    assert [by_norm[4], by_value[4]] == ["0.00", f"{angle(g, np.array([5.0, 2.0])):.2f}"]
    assert [by_norm[5], by_value[5]] == ["2 of 2", "1 of 2"]


def test_clipping_a_real_gradient():
    """The elements before, as printed, are clipped here once more; stars stand where they should."""
    text = show("clipping", 2).stdout
    _, (before, by_norm, by_value), rows = tables(text)
    elements = np.concatenate([floats(row[1]) for row in rows])
    threshold = np.abs(elements).max() / 2
    norm = np.linalg.norm(elements)
    expected = {2: elements * threshold / norm, 3: np.clip(elements, -threshold, threshold)}
    for column, summary in ((2, by_norm), (3, by_value)):
        cells = " ".join(row[column] for row in rows)
        np.testing.assert_allclose(floats(cells), expected[column], rtol=0, atol=2 * LAST_DIGIT)
        assert summary[4] == f"{cells.count('*')} of 21"
        assert float(summary[1]) == pytest.approx(np.linalg.norm(expected[column]), abs=1e-3)
        assert float(summary[3]) == pytest.approx(angle(elements, expected[column]), abs=0.1)
    assert by_norm[3] == "0.00"
    stars = [token.endswith("*") for row in rows for token in row[3].split()]
    assert stars == list(np.abs(elements) > threshold)
    assert float(before[1]) == pytest.approx(norm, abs=1e-3)


def test_angles():
    assert clipping.angle(np.array([1.0, 0.0]), np.array([0.0, 3.0])) == pytest.approx(90)
    assert clipping.angle(np.array([1.0, 0.0]), np.array([1.0, 1e-9])) == pytest.approx(np.degrees(1e-9))
    assert clipping.angle(np.array([1.0, 2.0]), np.array([-1.0, -2.0])) == pytest.approx(180)
