"""Tags for every character of a line: the end of each word's first syllable, by a rule.

The rule needs the letters on both sides, so that no character tells its own tag: the a of `paper` ends a
syllable, that of `panther` does not. It is a rule of thumb, not a dictionary's:

- a syllable has one run of vowels (a, e, i, o, u, and y but at a word's beginning);
- an e at a word's end that follows a consonant is silent, unless that consonant is an l after another: it then has a
  syllable with both of them (`ta-ble`);
- of the consonants between two runs of vowels one goes with the second (`pa-per`); of several the first stays behind
  (`win-ter`), with ch, sh, th, ph and wh counting as one (`bro-ther`), and ck staying behind whole (`rock-et`).

A word is a stretch of letters and apostrophes.
"""

import re

import numpy as np

TAGS = ("no letter", "first syllable", "its last letter", "later letters")
NONE, FIRST, END, LATER = range(4)

WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|')*")
VOWELS = frozenset("aeiouy")
TOGETHER = ("ch", "sh", "th", "ph", "wh")


def first_syllable(word: str) -> int:
    """The number of characters in a word's first syllable, in [1, len(word)]."""
    word = lower_case(word)
    vowel = [letter in VOWELS and not (letter == "y" and place == 0) for place, letter in enumerate(word)]
    if len(word) > 2 and word[-1] == "e" and not vowel[-2] and not (word[-2] == "l" and not vowel[-3]):
        vowel[-1] = False
    start = next((place for place, is_vowel in enumerate(vowel) if is_vowel), len(word))
    end = next((place for place in range(start, len(word)) if not vowel[place]), len(word))
    second = next((place for place in range(end, len(word)) if vowel[place]), None)
    if second is None:
        return len(word)
    if second == len(word) - 1 and word[second] == "e" and second - end >= 2:
        return second - 2
    between = word[end:second]
    if len(between) == 1 or between in TOGETHER:
        return end
    return end + 2 if between[:2] == "ck" or between[:2] in TOGETHER else end + 1


def lower_case(word: str) -> str:
    """A word in lower case, of the same length: İ becomes i, and the dot that Python adds to it is dropped."""
    return "".join(letter.lower()[0] for letter in word)


def tag(line: str) -> np.ndarray:
    """The tag of each character, an index of TAGS: uint8 [len(line)]."""
    tags = np.full(len(line), NONE, np.uint8)
    for word in WORD.finditer(line):
        length = first_syllable(word[0])
        tags[word.start() : word.end()] = LATER
        tags[word.start() : word.start() + length] = FIRST
        tags[word.start() + length - 1] = END
    return tags


def mark(line: str, tags: np.ndarray) -> str:
    """The line with a dot after each first syllable that is not a whole word."""
    follows = np.append(tags[1:], NONE)
    return "".join(
        character + ("·" if own == END and after == LATER else "")
        for character, own, after in zip(line, tags, follows, strict=True)
    )


def bigram_tags(lines: list[str], tags: list[np.ndarray], others: list[str]) -> list[np.ndarray]:
    """Baseline: each character's most frequent tag, in `lines`, after the same pair, itself and the one before.

    A pair never seen falls back to the character, and a character never seen to the most frequent tag of all.
    """
    counts: dict[str, np.ndarray] = {}
    for line, own in zip(lines, tags, strict=True):
        for before, character, value in zip(f"\n{line}", line, own, strict=False):
            for key in (before + character, character, ""):
                counts.setdefault(key, np.zeros(len(TAGS), int))[value] += 1
    best = {key: int(np.argmax(count)) for key, count in counts.items()}
    guess = lambda before, character: best.get(before + character, best.get(character, best[""]))
    return [np.array([guess(*pair) for pair in zip(f"\n{line}", line, strict=False)], np.uint8) for line in others]
