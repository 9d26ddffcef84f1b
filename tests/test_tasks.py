import math
from collections import Counter
from itertools import pairwise

import pytest

from rnnjax.config import DataConfig
from rnnjax.data.corpus import load_corpus
from rnnjax.data.recall_text import FILLER, MOST_LAG, SYMBOLS, recall_floor, recall_text
from rnnjax.errors import UserError


def test_a_letter_comes_back_after_the_lag():
    for lag in [1, 2, 12, MOST_LAG]:
        text = recall_text(lag, 500, seed=3)
        lines = text.splitlines()
        assert len(lines) == 500
        for line in lines:
            assert line[0].lower() == line[-1]
            assert line[-1] in SYMBOLS
            assert line[lag] == "?"  # reading it, lag steps after the letter, the letter must be predicted
            assert line[1:lag] == FILLER[: lag - 1]
        assert min(Counter(line[0] for line in lines).values()) > 30


def test_all_but_the_letters_follow_from_the_character_before():
    text = recall_text(9, 200, seed=0)
    followers = {}
    for before, after in pairwise(text):
        followers.setdefault(before, set()).add(after)
    assert {before for before, after in followers.items() if len(after) > 1} == {"?", "\n"}


def test_the_floor_is_the_entropy_of_the_letters():
    lag, lines = 5, 4000
    text = recall_text(lag, lines, seed=1)
    surprise = lines * math.log(len(SYMBOLS))  # each line's first letter
    assert recall_floor(lag, remembers=True) == pytest.approx(surprise / len(text))
    assert recall_floor(lag, remembers=False) == pytest.approx(2 * surprise / len(text))


def test_a_task_is_data_like_any_other():
    corpus = load_corpus(DataConfig(path="recall", recall_lag=4, recall_lines=100))
    assert corpus.text.train.startswith(recall_text(4, 100, seed=0)[:40])
    assert corpus.text.validation.endswith("\n")
    assert len("".join(corpus.text)) == 700
    with pytest.raises(UserError, match=r"data\.recall_lag is 48"):
        DataConfig(recall_lag=48)
