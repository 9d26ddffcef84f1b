"""Data of the tasks: numbers in words, tags, labels, pieces, and the classifier that judges."""

import math
from collections import Counter

import numpy as np
import pytest

from rnnjax.config import Config, DataConfig, TaskConfig
from rnnjax.data.labelled import cut_into_pieces, draw_parts_within, load_labelled
from rnnjax.data.ngram_classifier import permutation_p, train_classifier
from rnnjax.data.numbers import draw_numbers, in_words
from rnnjax.data.padding import pad
from rnnjax.data.tags import END, FIRST, LATER, NONE, bigram_tags, first_syllable, mark, tag
from rnnjax.errors import UserError

STEMS = ("six", "seven", "eigh", "nine")
UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
SMALL = {
    **{name: number for number, name in enumerate(UNITS)},
    **{f"{stem}teen": number for number, stem in enumerate(("thir", "four", "fif", *STEMS), 13)},
    **{f"{stem}ty": 10 * number for number, stem in enumerate(("twen", "thir", "for", "fif", *STEMS), 2)},
}


def value(text):
    """The number that words stand for, read left to right: how a person reads it, not how it was written."""
    total = 0
    for word in text.replace("-", " ").replace(" and ", " ").split():
        if word == "thousand":
            total *= 1000
        elif word == "hundred":
            total += 99 * (total % 1000)
        else:
            total += SMALL[word]
    return total


def test_numbers_in_words():
    assert in_words(0) == "zero"
    assert in_words(407) == "four hundred and seven"
    assert in_words(21) == "twenty-one"
    assert in_words(1_000) == "one thousand"
    assert in_words(100_013) == "one hundred thousand and thirteen"
    assert in_words(999_999) == "nine hundred and ninety-nine thousand nine hundred and ninety-nine"
    for number in [*range(1_200), *range(1_200, 1_000_000, 997)]:
        assert value(in_words(number)) == number
    for wrong in (-1, 1_000_000):
        with pytest.raises(ValueError, match="is not in"):
            in_words(wrong)


def test_numbers_are_drawn_once_and_of_all_lengths():
    numbers = draw_numbers(2_000, seed=3)
    assert len(set(numbers.tolist())) == 2_000
    assert numbers.min() >= 0
    assert numbers.max() < 1_000_000
    sizes = Counter(len(str(number)) for number in numbers.tolist())
    assert sizes[6] > 800
    assert sizes[3] > 100
    assert sizes[1] >= 5
    assert np.array_equal(numbers, draw_numbers(2_000, seed=3))
    assert len(draw_numbers(100, seed=0)) == 100


def test_first_syllables():
    for word, first in [
        *(("paper", "pa"), ("panther", "pan"), ("winter", "win"), ("mother", "mo"), ("rocket", "rock")),
        *(("table", "ta"), ("whole", "whole"), ("home", "home"), ("the", "the"), ("I", "I"), ("yellow", "yel")),
        *(("sky", "sky"), ("hmm", "hmm"), ("ocean", "o"), ("don't", "don't"), ("river", "ri"), ("Every", "E")),
    ]:
        assert word[: first_syllable(word)] == first


def test_tags_of_a_line():
    line = "A paper, 2 hmm!"
    assert tag(line).tolist() == [
        *(END, NONE, FIRST, END, LATER, LATER, LATER, NONE, NONE, NONE, NONE, FIRST, FIRST, END, NONE)
    ]
    assert mark(line, tag(line)) == "A pa·per, 2 hmm!"


def test_a_letter_whose_small_one_is_two_characters_shifts_no_tag():
    for line in ["İş", "İç beni", "bİİ İstanbul'da", "ŞŞ ẞß ŉ"]:
        tags = tag(line)
        assert len(tags) == len(line)
        assert [own == NONE for own in tags] == [character == " " for character in line]


def test_no_character_tells_its_own_tag():
    assert tag("paper")[1] == END
    assert tag("panther")[1] == FIRST


def test_the_bigram_baseline_takes_the_most_frequent_tag():
    lines, tags = ["ab", "ab", "ab", "xb"], [np.array(t) for t in ([0, 1], [0, 1], [0, 2], [3, 3])]
    found = bigram_tags(lines, tags, ["ab", "xb", "qb", "q"])
    assert [f.tolist() for f in found] == [[0, 1], [3, 3], [0, 1], [0]]


def test_padding():
    found = pad([np.array([1, 2], np.uint8), np.array([3], np.uint8)], 3)
    assert found.ids.tolist() == [[1, 2, 0], [3, 0, 0]]
    assert found.length.tolist() == [2, 1]
    assert found.ids.dtype == np.uint8
    with pytest.raises(ValueError, match="2 steps, more than 1"):
        pad([np.array([1, 2])], 1)


def test_pieces_are_whole_lines_and_lose_none():
    text = "one\ntwo\n\nthree four\nfive"
    assert cut_into_pieces(text, 8) == ["one\ntwo", "three fo", "ur\nfive"]
    assert cut_into_pieces(text, 100) == [text]
    assert cut_into_pieces("\n\n", 5) == []
    for most in range(1, 30):
        pieces = cut_into_pieces(text, most)
        assert max(map(len, pieces)) <= most
        assert "".join(pieces).replace("\n", "") == text.replace("\n", "")


def test_every_part_has_its_share_of_every_label():
    label = np.repeat([0, 1, 2], [10, 20, 1])
    part = draw_parts_within(label, 0.1, 0.3, seed=0)
    assert [[int(np.sum(part[label == own] == p)) for p in range(3)] for own in range(3)] == [
        [6, 1, 3],
        [12, 2, 6],
        [1, 0, 0],
    ]
    assert np.all(draw_parts_within(label, 0.0, 0.0, seed=0) == 0)
    crowded = draw_parts_within(np.repeat([0, 1], 2), 0.5, 0.49, seed=0)
    assert [int(np.sum(crowded == p)) for p in range(3)] == [2, 2, 0]


def songs(path, rows):
    path.write_text("artist,text\n" + "".join(f"{artist},{text}\n" for artist, text in rows))
    return str(path)


def test_songs_with_labels(tmp_path):
    rows = [("b", "la"), ("a", "oh"), ("b", "da"), ("", "no label"), ("c", ""), ("c", "hm")]
    config = Config(data=DataConfig(path=songs(tmp_path / "s.csv", rows), validation_fraction=0, test_fraction=0))
    found = load_labelled(config)
    assert found.texts == ["la", "oh", "da", "hm"]
    assert found.names == ["a", "b", "c"]
    assert found.label.tolist() == [1, 0, 1, 2]
    pieces, label, song = found.pieces(0, 10)
    assert (pieces, label.tolist(), song.tolist()) == (["la", "oh", "da", "hm"], [1, 0, 1, 2], [0, 1, 2, 3])


def test_the_most_frequent_labels_alone(tmp_path):
    rows = [("b", "la"), ("a", "oh"), ("b", "da"), ("c", "hm"), ("c", "hm")]
    data = DataConfig(path=songs(tmp_path / "s.csv", rows), validation_fraction=0, test_fraction=0)
    found = load_labelled(Config(task=TaskConfig(labels=2), data=data))
    assert found.names == ["b", "c"]
    assert len(found.texts) == 4


@pytest.mark.parametrize(
    ("rows", "options", "line"),
    [
        ([("a", "la"), ("a", "oh")], {}, "has 1 label"),
        ([("a", "la"), ("b", "oh")], {"validation_fraction": 0.2}, "no label of .* has songs enough to hold out 0.2"),
    ],
)
def test_too_few_songs_with_labels(tmp_path, rows, options, line):
    data = DataConfig(
        **{"path": songs(tmp_path / "s.csv", rows), "validation_fraction": 0, "test_fraction": 0} | options
    )
    with pytest.raises(UserError, match=line):
        load_labelled(Config(data=data))


def test_a_classifier_counts():
    """On two labels of one letter each and a text of both, the likelihoods are those of the n-gram models alone."""
    train = [np.array([0, 0, 0, 1] * 20), np.array([1, 1, 1, 0] * 20)]
    classifier = train_classifier(train, np.arange(2), 3)
    texts = [np.array([0, 0, 0, 1, 0, 0]), np.array([1, 1, 0, 1, 1]), np.array([0])]
    found = classifier.log_likelihoods(texts)
    assert classifier.classify(texts).tolist() == [0, 1, 0]
    for text, row in zip(texts[:2], found, strict=False):
        first = classifier.log_likelihoods([text[:1]])[0]
        for index, model in enumerate(classifier.models):
            after_first = model.bits(text)[-1] * (len(text) - 1) * math.log(2)
            assert row[index] == pytest.approx(first[index] - after_first, rel=1e-12)


def test_a_p_value_is_the_share_of_reorderings_that_are_as_good():
    truth = np.array([0, 1, 2])  # 1 of 6 orders is all right, 3 of 6 have one right
    assert permutation_p(truth, np.array([0, 1, 2]), draws=20_000) == pytest.approx(1 / 6, abs=0.01)
    assert permutation_p(truth, np.array([0, 2, 1]), draws=20_000) == pytest.approx(4 / 6, abs=0.01)
    assert permutation_p(truth, np.array([1, 2, 0]), draws=99) == 1
    assert permutation_p(np.arange(50), np.arange(50), draws=99) == 0.01
