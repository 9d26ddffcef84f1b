"""The n-gram bar, against a slow reference that follows the formulas one context at a time."""

import collections
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.data import ngrams
from rnnjax.data.ngrams import best_order, count_ngrams, held_out_bits, highest_order
from rnnjax.data.split import Split

V = 5
"""Ids 0 … 3, and 4 for the unknown, which no training text here has."""

BEGIN = V
ORDER = 3


class Slow:
    """Kneser-Ney with three discounts, from dictionaries of tuples."""

    def __init__(self, train):
        text = [BEGIN] * ORDER + list(train)
        ends = range(ORDER, len(text))
        self.counts = [collections.Counter(tuple(text[i - k : i + 1]) for i in ends) for k in range(ORDER + 1)]
        before = [{tuple(text[i - k - 1 : i + 1]) for i in ends} for k in range(ORDER)]
        self.before = [collections.Counter(stretch[1:] for stretch in longer) for longer in before]

    def probability(self, context, c, k, own=True):
        if k < 0:
            return 1 / V
        counts = self.counts[k] if own else self.before[k]
        context = context[len(context) - k :]
        followers = {stretch[-1]: n for stretch, n in counts.items() if stretch[:-1] == context}
        below = self.probability(context, c, k - 1, own=False)
        if not followers:
            return below
        n = [sum(value == times for value in counts.values()) + 0.5 for times in range(5)]
        y = n[1] / (n[1] + 2 * n[2])
        take = [0.0] + [min(max(i - (i + 1) * y * n[i + 1] / n[i], 0.05), i) for i in (1, 2, 3)]
        discount = lambda value: take[min(value, 3)]
        total = sum(followers.values())
        mine = followers.get(c, 0)
        return (mine - discount(mine)) / total + below * sum(map(discount, followers.values())) / total

    def bits(self, text, k):
        padded = (BEGIN,) * ORDER + tuple(text)
        ends = range(ORDER + 1, len(padded))
        return -sum(math.log2(self.probability(padded[:i], padded[i], k)) for i in ends) / len(ends)


def text(length, seed, ids=4):
    """A text with some structure: an id often follows from the two before it."""
    draw = random.Random(seed)
    made = [0, 1]
    while len(made) < length:
        made.append((made[-1] + 2 * made[-2] + 1) % ids if draw.random() < 0.8 else draw.randrange(ids))
    return np.array(made[:length], np.uint8)


def number(stretch):
    """The number of a stretch, by Horner's rule."""
    value = 0
    for digit in stretch:
        value = value * (V + 1) + int(digit)
    return value


@pytest.mark.parametrize(("train", "held_out"), [(200, 80), (30, 40), (4, 9), (1, 3)])
def test_the_bits_are_those_of_the_slow_reference(train, held_out):
    slow, fast = Slow(text(train, 0)), count_ngrams(text(train, 0), V, ORDER)
    other = text(held_out, 1, ids=5)  # with unknown characters
    assert fast.bits(other) == pytest.approx([slow.bits(other, k) for k in range(ORDER + 1)], rel=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60), st.lists(st.integers(0, V), min_size=ORDER, max_size=ORDER)
)
def test_the_probabilities_of_all_ids_sum_to_one(train, context):
    stretches = np.array([number([*context, c]) for c in range(V)], np.uint64)
    found = count_ngrams(np.array(train, np.uint8), V, ORDER).probabilities(stretches)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-14)
    assert found.min() > 0


def test_a_text_counted_in_blocks_gives_the_same(monkeypatch):
    whole = count_ngrams(text(300, 0), V, ORDER).bits(text(90, 1))
    monkeypatch.setattr(ngrams, "BLOCK", 7)
    read = []
    assert count_ngrams(text(300, 0), V, ORDER, read.append).bits(text(90, 1)) == pytest.approx(whole, rel=1e-14)
    assert sum(read) == 300


def test_order_0_of_a_long_text_comes_near_its_entropy_and_more_context_finds_the_rule():
    ids = np.random.default_rng(0).choice(4, 20_000, p=[0.5, 0.25, 0.125, 0.125]).astype(np.uint8)
    assert count_ngrams(ids[:15_000], V, 2).bits(ids[15_000:]) == pytest.approx([1.75] * 3, abs=0.02)
    wheel = np.arange(2_000, dtype=np.uint8) % 4
    zero, one, _ = count_ngrams(wheel[:1_500], V, 2).bits(wheel[1_500:])
    assert zero == pytest.approx(2, abs=0.01)
    assert one < 0.01


def test_an_unknown_character_costs_much_but_not_infinitely():
    ids = np.zeros(1_000, np.uint8)
    bits = count_ngrams(ids, V, ORDER).bits(np.array([0, 4, 0, 4], np.uint8))
    assert all(2 < b < 30 for b in bits)


@pytest.mark.parametrize("size", [2, 74, 1_624, 1_625, 65_535, 1_000_000])
def test_the_highest_order_is_the_last_whose_stretches_fit_in_64_bits(size):
    order = highest_order(size)
    assert (size + 1) ** (order + 1) <= 2**64
    assert order == 5 or (size + 1) ** (order + 2) >= 2**64
    ids = np.array([size - 2, size - 1] * 20)
    bits = count_ngrams(ids, size, order).bits(ids)
    assert bits[1] < bits[0] < math.log2(size) + 1


def test_each_held_out_text_that_there_is_has_its_bits():
    train, none = text(200, 0), np.zeros(0, np.uint8)
    both = held_out_bits(Split(train, text(50, 1), text(60, 2)), V)
    assert list(both) == ["validation", "test"]
    assert list(both["test"]) == ["0", "1", "2", "3", "4", "5"]
    assert held_out_bits(Split(train, none, text(60, 2)), V) == {"test": both["test"]}
    assert held_out_bits(Split(train, none, none), V) == {}


def test_the_best_order_is_chosen_on_validation():
    assert best_order({"validation": {"0": 3.0, "1": 2.0}, "test": {"0": 1.0, "1": 2.0}}) == "1"
    assert best_order({"test": {"0": 1.0, "1": 2.0}}) == "0"
