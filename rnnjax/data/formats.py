"""The format of a data file, by its first bytes and its name: unpacked, decoded, or refused by name."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path, PurePath
from typing import NamedTuple

from rnnjax.errors import UserError

PARQUET = b"PAR1"

STRANGERS = {
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"ID3": "an MP3 recording",
    b"RIFF": "a recording, a film or a picture (RIFF)",
    b"{\\rtf": "a document in Rich Text Format",
    b"\xd0\xcf\x11\xe0": "a document of an old Microsoft Office",
    b"SQLite format 3\0": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "an array of NumPy",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\xfd7zXZ": "compressed by xz",
    b"BZh": "compressed by bzip2",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"\x7fELF": "a program",
}
"""First bytes of formats without a text that can be read here."""

BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}

MOST_BYTES = 1 << 34
"""Most bytes of an unpacked file: an archive of a few kilobytes can hold more than any memory."""

GUESSED_FROM = 200_000
"""Bytes from which an encoding is guessed."""


class Content(NamedTuple):
    """File out of its archive: its name there, its bytes, and the path for messages."""

    name: str
    data: bytes
    source: Path

    @property
    def suffix(self) -> str:
        """Suffix of the name in small letters, such as .csv."""
        return PurePath(self.name).suffix.lower()


def read_content(path: Path) -> Content:
    """Reads a file, unpacked where it is a gzip or zip archive.

    Raises:
      UserError: if it is empty, a damaged archive, an archive of several files, or of a format without text.
    """
    data = path.read_bytes()
    name = path.name
    if data.startswith(b"\x1f\x8b"):
        name, data = path.stem if path.suffix.lower() == ".gz" else name, _gunzip(path, data)
    elif data.startswith(b"PK\x03\x04"):
        name, data = _unzip(path, data)
    if not data:
        raise UserError(f"data.path: {path} is empty")
    if stranger := next((format for magic, format in STRANGERS.items() if data.startswith(magic)), None):
        raise UserError(f"data.path: {path} is {stranger}; give a text, csv, tsv, json, jsonl or parquet file")
    return Content(name, data, path)


def _gunzip(path: Path, data: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as file:
            return _at_most(path, file.read(MOST_BYTES + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"data.path: {path} is a damaged gzip file: {error}") from None


def _unzip(path: Path, data: bytes) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if "[Content_Types].xml" in names:
                raise UserError(f"data.path: {path} is a document of Microsoft Office; save it as csv or as plain text")
            names = [name for name in names if not name.startswith("__MACOSX/")]
            if len(names) != 1:
                raise UserError(f"data.path: {path} is a zip archive of {len(names)} files; unpack it, and name one")
            with archive.open(names[0]) as file:
                return names[0], _at_most(path, file.read(MOST_BYTES + 1))
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, NotImplementedError) as error:
        raise UserError(f"data.path: {path} is a zip archive that cannot be unpacked: {error}") from None


def _at_most(path: Path, data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise UserError(f"data.path: {path} holds more than {MOST_BYTES >> 30} GiB; unpack it, and cut it")
    return data


def decode(content: Content) -> str:
    """Text of a file: UTF-8, or UTF-16 or 32 where a byte order mark or the zeros of plain letters say so.

    Raises:
      UserError: if it is no text, or in another encoding; the message has the likely one.
    """
    data = content.data
    marked = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    encoding = marked or _by_zeros(data) or "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(_refusal(content, encoding, error)) from None
    if "\0" in text:
        raise UserError(f"data.path: {content.source} is no text: it has characters U+0000")
    return text


def _by_zeros(data: bytes) -> str | None:
    """Recognises UTF-16 without its mark: plain letters have a zero in every second byte, and nothing else has."""
    start = data[:GUESSED_FROM]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) < 0.2 * len(start) / 2 or min(even, odd) > 0.02 * max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _refusal(content: Content, encoding: str, error: UnicodeDecodeError) -> str:
    """Message of a text that cannot be decoded: the fault and the likely encoding."""
    start = f"data.path: {content.source} is not {'UTF-8' if encoding.startswith('utf-8') else encoding.upper()}"
    start += f" ({error.reason} 0x{error.object[error.start]:02x} at byte {error.start:,})"
    if encoding != "utf-8":
        return f"{start}, as its first bytes say; it may be cut off"
    import charset_normalizer

    place = max(0, error.start - GUESSED_FROM // 2)
    found = charset_normalizer.from_bytes(content.data[place : place + GUESSED_FROM])
    best = found.best()
    if best is None:
        return f"{start}, and seems to be no text; give a text, csv, tsv, json, jsonl or parquet file"
    equals = [guess for guess in found if (guess.chaos, guess.coherence) == (best.chaos, best.coherence)]
    alike = {name for guess in equals for name in guess.could_be_from_charset}
    # Of those that are equally likely, the one that most files are in.
    name, sure = "cp1252" if "cp1252" in alike else best.encoding, (100 - best.percent_chaos) / len(equals)
    near = content.data[max(0, error.start - 10) : error.start + 10].decode(name, "replace")
    return (
        f"{start}; it seems to be {name} ({sure:.0f}% sure), in which that place reads {near!r}: if that is right, "
        f"convert it with iconv -f {name} -t utf-8"
    )
