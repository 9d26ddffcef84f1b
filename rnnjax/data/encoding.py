"""The text of a file from its bytes: Unicode is decoded, and of another encoding the likely name is told."""

import re
from typing import TYPE_CHECKING

from rnnjax.data.formats import Content
from rnnjax.errors import UserError

if TYPE_CHECKING:  # late where it runs: UTF-8 does not need it
    from charset_normalizer import CharsetMatch, CharsetMatches

BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}

CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")
"""Control characters other than ends of lines and pages, tabs, and what colours a terminal."""

MOST_CONTROLS = 0.01
"""Share of control characters in a text that a few stray ones do not exceed."""

GUESSED_FROM = 200_000
"""Bytes from which an encoding is guessed."""

CLOSE = 0.01
"""Difference in disorder within which two guesses are equally likely."""

JAPANESE = b"\x1b$B", b"\x1b$@"
"""Bytes by which ISO-2022-JP, all of whose bytes are ASCII, turns to Japanese."""

LONE_QUOTES = re.compile(rb"(?<![\x80-\xff])[\x85\x91-\x97](?![\x80-\xff])")
"""Curly quotes, dashes and dots of Windows, each alone among ASCII, as the apostrophe of an English text is."""

ICONV = {
    "utf_16_le": "utf-16le",
    "utf_16_be": "utf-16be",
    "latin_1": "latin1",
    "mac_roman": "macintosh",
    "mac_latin2": "mac-centraleurope",
    "euc_jis_2004": "euc-jp",
    "shift_jis_2004": "cp932",
}
"""Names of iconv that are not Python's with hyphens."""

HIRAGANA = re.compile(r"[\u3041-\u3096]")

LEAST_HIRAGANA = 0.2
"""Share of hiragana, ASCII apart, in a Japanese text; bytes that mean others are hardly ever read as hiragana."""

END_OF_FILE = "\x1a"
"""Last character of a file of CP/M and DOS."""

LETTERS_END = 0x20
"""Highest first byte of a UTF-16 unit in alphabets and their punctuation; those of Chinese are above."""


def decode(content: Content) -> str:
    """Text of a file: UTF-8, or UTF-16 or 32 where a byte order mark or the zeros of plain letters say so.

    Raises:
      UserError: if it is no text, or in another encoding; the message has the likely one.
    """
    data = content.data
    if any(mark in data for mark in JAPANESE) and data.isascii():
        raise UserError(
            f"data.path: {content.source} is in iso2022_jp, by its escapes; iconv -f iso-2022-jp -t utf-8 converts it"
        )
    marked = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    encoding = marked or by_zeros(data) or "utf-8"
    try:
        text = data.decode(encoding).removesuffix(END_OF_FILE)
    except UnicodeDecodeError as error:
        raise UserError(f"data.path: {content.source} {refusal(data, encoding, error)}") from None
    if "\0" in text:
        raise UserError(f"data.path: {content.source} is no text: it has characters U+0000")
    if len(found := CONTROLS.findall(text)) > MOST_CONTROLS * len(text):
        share = f"{len(found) / len(text):.0%} of it are control characters, such as U+{ord(found[0]):04X}"
        raise UserError(f"data.path: {content.source} is no text: {share}")
    return text


def by_zeros(data: bytes) -> str | None:
    """Recognises UTF-16 without its mark: one byte of a plain letter's two is zero, the same one in all."""
    start = data[:GUESSED_FROM]
    even, odd = start[::2], start[1::2]
    upper, lower = sorted((even, odd), key=lambda half: half.count(0), reverse=True)
    if upper.count(0) < 0.2 * len(upper) or lower.count(0) > 0.02 * upper.count(0):
        return None
    if sum(byte <= LETTERS_END for byte in upper) < 0.9 * len(upper):
        return None
    return "utf-16-le" if upper is odd else "utf-16-be"


def refusal(data: bytes, encoding: str, error: UnicodeDecodeError) -> str:
    """Words for bytes that cannot be decoded: the fault, and the likely encoding."""
    fault = f"({error.reason} 0x{error.object[error.start]:02x} at byte {error.start:,})"
    if not encoding.startswith("utf-8"):
        return f"is not {encoding.upper()} {fault}, as its first bytes say; it may be cut off"
    text = data.decode("utf-8", "replace")
    wrong, right = text.count("\ufffd"), sum(character > "\x7f" for character in text)
    if encoding == "utf-8-sig" or right > 4 * wrong:
        place = "is cut off within its last character" if text.find("\ufffd") == len(text) - 1 else "has other bytes"
        return f"is UTF-8, but {place} {fault}; iconv -c -f utf-8 -t utf-8 leaves them out"
    return f"is not UTF-8 {fault}{likely(data, error.start)}"


def likely(data: bytes, fault: int) -> str:
    """Words for the likely encoding, with the place of the fault read in it; other Latin letters are as likely."""
    import charset_normalizer

    place = max(0, fault - GUESSED_FROM // 2)
    part = data[place : place + GUESSED_FROM]
    if (share := len(LONE_QUOTES.findall(part)) / sum(byte > 0x7F for byte in part)) > 0.5:
        return advice("cp1252", share, around(data, fault, "cp1252"))
    found = charset_normalizer.from_bytes(part)
    equals = equally_likely(found)
    if not equals:
        return ", and its encoding cannot be told; if it is text, convert it with iconv -f ENCODING -t utf-8"
    read = readings(data, fault, equals)
    name = next(iter(read))
    every = {**read, **{guess.encoding: around(data, fault, guess.encoding) for guess in found}}
    others = [other for other in every if every[other] != read[name]]
    other = f" (in {others[0]}: {every[others[0]]!r})" if others else ""
    return advice(name, (1 - equals[0].chaos) / len(set(read.values())), read[name], other)


def readings(data: bytes, fault: int, equals: "list[CharsetMatch]") -> dict[str, str]:
    """The place of the fault as each of equally likely encodings reads it; the likeliest is first."""
    read = {guess.encoding: around(data, fault, guess.encoding) for guess in equals}
    windows, best = around(data, fault, "cp1252"), equals[0]
    # Of the equally likely, and of Latin letters in no known language, the one that most files are in.
    if any("cp1252" in guess.could_be_from_charset for guess in equals) or (
        best.coherence < 0.1 and is_latin(read[best.encoding]) and is_latin(windows)
    ):
        read = {"cp1252": windows, **read}
    return read


def advice(name: str, sure: float, reads: str, other: str = "") -> str:
    """Words for a guess, with iconv's own name for it."""
    return (
        f"; it seems to be {name} ({sure:.0%} sure), in which that place reads {reads!r}{other}: "
        f"if that is right, convert it with iconv -f {ICONV.get(name, name.replace('_', '-'))} -t utf-8"
    )


def equally_likely(found: "CharsetMatches") -> "list[CharsetMatch]":
    """Guesses that are as good as the best one, which comes first; none where nothing fits."""
    japanese = [guess for guess in found if is_japanese(str(guess))]
    best = found.best()
    if japanese or best is None:
        return japanese[:1]  # the bytes of kana are Korean and Chinese characters too, at random
    return [g for g in found if g.chaos <= best.chaos + CLOSE and g.coherence >= best.coherence - 10 * CLOSE]


def is_japanese(text: str) -> bool:
    """True for a text with as many hiragana as Japanese has."""
    foreign = sum(character > "\x7f" for character in text)
    return len(HIRAGANA.findall(text)) > LEAST_HIRAGANA * max(foreign, 1)


def around(data: bytes, place: int, encoding: str) -> str:
    """Characters about a place, as an encoding reads them."""
    return data[max(0, place - 10) : place + 10].decode(encoding, "replace")


def is_latin(text: str) -> bool:
    """True for a text whose letters are Latin, without control characters."""
    return all(character.isprintable() or character in "\t\r\n" for character in text) and all(
        ord(character) < 0x250 for character in text if character.isalpha()
    )
