"""Tasks with known answers: each sequence against its definition, by plain loops, and each floor against counts."""

import math
from collections import Counter, defaultdict
from functools import lru_cache, partial

import jax
import numpy as np
import pytest

from rnnjax.config import TaskConfig
from rnnjax.data.known import make_problem
from rnnjax.data.known.problem import draw_many

MANY = 200
CASES = [
    *(("adding", {"length": length}) for length in (2, 3, 8)),
    *(("adding", {"length": length, "form": "classic"}) for length in (22, 31)),
    *(("copy", {"length": length, "symbols": 3, "positions": 2}) for length in (1, 5)),
    *(("temporal_order", {"length": length, "positions": n}) for length, n in ((10, 2), (23, 2), (10, 3), (50, 3))),
    *(("parity", {"length": length}) for length in (2, 5)),
    *(("parity", {"length": length, "form": "classic"}) for length in (2, 20)),
    *(("anbn", {"length": length}) for length in (2, 6)),
    *(("recall", {"length": length, "symbols": 4}) for length in (1, 6)),
]


@lru_cache
def drawing(case):
    name, options = CASES[case]
    problem = make_problem(TaskConfig(name=name, **options))
    return problem, jax.jit(partial(draw_many, problem, count=MANY))


def draw(case, seed):
    """The problem, and rows (x, y, asked) in plain lists, each as long as its sequence."""
    problem, drawn = drawing(case)
    found = jax.device_get(drawn(jax.random.key(seed)))
    assert found.y.shape == (MANY, problem.steps)
    rows = []
    for i in range(MANY):
        x, y = found.x[i].tolist(), found.y[i].tolist()
        asked = [1.0] * len(y) if found.weight is None else found.weight[i].tolist()
        valid = [True] * len(y) if found.valid is None else found.valid[i].tolist()
        length = sum(valid)
        assert valid == [t < length for t in range(len(y))]
        assert set(asked) <= {0.0, 1.0}
        for t in range(len(y)):
            assert not (t >= length and (asked[t] or np.any(x[t])))
            assert asked[t] or found.weight is None or y[t] == 0
        rows.append((x[:length], y[:length], asked[:length]))
    return problem, rows


def check_adding(x, y, asked, length, form="modern"):
    marked = [t for t in range(len(x)) if x[t][1] == 1]
    if form == "modern":
        assert len(x) == length
        first, second = marked
        assert first < length // 2 <= second
        target = x[first][0] + x[second][0]
        assert all(0 <= number < 1 and marker in (0, 1) for number, marker in x)
    else:
        assert length <= len(x) <= length + length // 10
        assert x[0][1] == x[-1][1] == -1
        assert all(marker in (0, 1) for _, marker in x[1:-1])
        assert all(-1 <= number < 1 for number, _ in x)
        # A marked first pair has number 0, and keeps its -1.
        assert len(marked) == 2 or (len(marked) == 1 and x[0][0] == 0)
        assert min([*marked, 0 if len(marked) == 1 else 99]) < 10
        assert max(marked) < max(10, length // 2 - 1)
        target = 0.5 + sum(x[t][0] for t in marked) / 4
    assert asked == [0.0] * (len(x) - 1) + [1.0]
    assert y[-1] == pytest.approx(target, abs=1e-6)


def check_copy(x, y, asked, length, symbols, positions):
    assert len(x) == length + 2 * positions
    kept = x[:positions]
    assert all(symbol < symbols for symbol in kept)
    for t in range(positions, len(x)):
        assert x[t] == (symbols + 1 if t == length + positions - 1 else symbols)
    assert y == [symbols] * (length + positions) + kept
    assert all(asked)


def check_temporal_order(x, y, asked, length, positions):
    assert length <= len(x) <= length + length // 10
    text = "".join("EBabcdXY"[i] for i in x)
    assert text[0] == "E"
    assert text[-1] == "B"
    places = [t for t, symbol in enumerate(text) if symbol in "XY"]
    hundredths = [(10, 20), (50, 60)] if positions == 2 else [(10, 20), (33, 43), (66, 76)]
    for t, (low, high) in zip(places, hundredths, strict=True):
        assert length * low // 100 <= t <= length * high // 100
    assert all(symbol in "abcdXY" for symbol in text[1:-1])
    order = "".join(text[t] for t in places)
    every = sorted({a + b + c for a in "XY" for b in "XY" for c in ("XY" if positions == 3 else [""])})
    assert y[-1] == every.index(order)
    assert asked == [0.0] * (len(x) - 1) + [1.0]


def check_parity(x, y, asked, length, form="modern"):
    ones, parities = 0, []
    for bit in x:
        assert bit in (0, 1)
        ones += bit
        parities.append(ones % 2)
    if form == "modern":
        assert len(x) == length
        assert y == parities
        assert all(asked)
    else:
        assert length <= len(x) <= length + length // 10
        assert y[-1] == parities[-1]
        assert asked == [0.0] * (len(x) - 1) + [1.0]


def check_anbn(x, y, asked, length):
    text = "".join("Sab"[i] for i in x)
    n = text.count("a")
    assert 1 <= n <= length
    assert text == "S" + "a" * n + "b" * n
    for t, symbol in enumerate(text):
        assert asked[t] == (symbol == "b")
        if asked[t]:
            assert "bE"[y[t]] == (text + "E")[t + 1]


def check_recall(x, y, asked, length, symbols):
    assert x[0] < symbols
    assert x[1:] == [symbols] * (length - 1) + [symbols + 1]
    assert asked == [0.0] * length + [1.0]
    assert y[-1] == x[0]


CHECKS = {
    "adding": check_adding,
    "copy": check_copy,
    "temporal_order": check_temporal_order,
    "parity": check_parity,
    "anbn": check_anbn,
    "recall": check_recall,
}


@pytest.mark.slow
def test_sequences_are_what_their_task_says(subtests):
    for case, (name, options) in enumerate(CASES):
        with subtests.test(name, **options):
            for row in draw(case, seed=0)[1]:
                CHECKS[name](*row, **options)


def test_everything_that_may_be_drawn_is():
    lengths = {len(x) for x, _, _ in draw(CASES.index(("parity", {"length": 20, "form": "classic"})), 0)[1]}
    assert lengths == {20, 21, 22}
    rows = draw(CASES.index(("temporal_order", {"length": 23, "positions": 2})), 0)[1]
    assert {t for x, _, _ in rows for t in range(8) if x[t] >= 6} == {2, 3, 4}
    assert min(Counter(y[-1] for _, y, _ in rows).values()) > 25
    rows = draw(CASES.index(("adding", {"length": 22, "form": "classic"})), 0)[1]
    marked = [[t for t in range(len(x)) if x[t][1] == 1] for x, _, _ in rows]
    assert {t for row in marked for t in row} == set(range(1, 10))
    assert 0.1 < sum(len(row) == 1 for row in marked) / MANY < 0.3  # 19% expected
    rows = draw(CASES.index(("adding", {"length": 3})), 0)[1]
    assert {t for x, _, _ in rows for t in range(3) if x[t][1] == 1} == {0, 1, 2}
    assert {len(x) for x, _, _ in draw(CASES.index(("anbn", {"length": 6})), 0)[1]} == {3, 5, 7, 9, 11, 13}


def check_floor(case):
    """The best constant where targets are real, with its standard error; else the entropy of the target given the step
    and the present symbol (of a^n b^n the symbol alone), counted over sequences."""
    name, options = CASES[case]
    problem, drawn = drawing(case)
    if problem.is_real:
        constant = 1 if options.get("form", "modern") == "modern" else 0.5
        asked = [np.sum(drawn(jax.random.key(seed)).y, axis=1) for seed in range(80)]
        squares = (np.concatenate(asked) - constant) ** 2
        error = squares.std() / math.sqrt(len(squares))
        assert abs(squares.mean() - problem.floor) < 4 * error
        assert 4 * error < 0.04 * problem.floor
        return
    rows = [row for seed in range(12) for row in draw(case, seed)[1]]
    targets = defaultdict(Counter)
    for x, y, asked in rows:
        for t in range(len(x)):
            if asked[t]:
                targets[x[t] if name == "anbn" else (t, x[t])][y[t]] += 1
    total = sum(sum(counts.values()) for counts in targets.values())
    nats = -sum(n * math.log(n / sum(counts.values())) for counts in targets.values() for n in counts.values())
    assert nats / total == pytest.approx(problem.floor, rel=0.02)


def test_a_floor_is_what_an_answer_without_memory_loses(subtests):
    for case, (name, options) in enumerate(CASES):
        with subtests.test(name, **options):
            check_floor(case)


def test_the_floors_of_the_papers():
    floors = {
        1 / 6: TaskConfig(name="adding", length=50),
        10 * math.log(8) / 120: TaskConfig(name="copy", length=100),
        math.log(4): TaskConfig(name="temporal_order", length=100),
        math.log(8): TaskConfig(name="temporal_order", length=100, positions=3),
    }
    for floor, task in floors.items():
        assert make_problem(task).floor == pytest.approx(floor, rel=1e-12)
