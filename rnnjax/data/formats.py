"""The format of a data file, by its first bytes and its name: unpacked, or refused by name."""

import gzip
import io
import zipfile
from pathlib import Path, PurePath
from typing import NamedTuple

from rnnjax.errors import UserError

PARQUET = b"PAR1"

GZIP = b"\x1f\x8b"

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
"""First bytes of an archive with files, and of one without."""

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
    b"\x04\x22\x4d\x18": "compressed by lz4",
    b"LZIP": "compressed by lzip",
    b"\x1f\x9d": "compressed by compress",
    b"\x7fELF": "a program",
    GZIP: "compressed twice by gzip",
}
"""First bytes of formats without a text that can be read here."""

MOST_BYTES = 1 << 34
"""Most bytes of an unpacked file: an archive of a few kilobytes can hold more than any memory."""


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
    if data.startswith(GZIP):
        name, data = path.stem if path.suffix.lower() == ".gz" else name, _gunzip(path, data)
    elif data.startswith(ZIP):
        name, data = _unzip(path, data)
    if not data:
        raise UserError(f"data.path: {path} is empty")
    stranger = next((format for magic, format in STRANGERS.items() if data.startswith(magic)), None)
    if data[257:262] == b"ustar":
        stranger = "a tar archive"
    if stranger:
        raise UserError(f"data.path: {path} is {stranger}; give a text, csv, tsv, json, jsonl or parquet file")
    return Content(name, data, path)


def _gunzip(path: Path, data: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as file:
            return _at_most(path, file.read(MOST_BYTES + 1))
    except UserError:
        raise
    except Exception as error:  # a damaged archive can make its reader raise anything
        raise UserError(f"data.path: {path} is a damaged gzip file: {error}") from None


def _unzip(path: Path, data: bytes) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if "[Content_Types].xml" in names:
                raise UserError(f"data.path: {path} is a document of Microsoft Office; save it as csv or as plain text")
            names = [name for name in names if not is_hidden(name)]
            if len(names) != 1:
                raise UserError(f"data.path: {path} is a zip archive of {len(names)} files; unpack it, and name one")
            with archive.open(names[0]) as file:
                return names[0], _at_most(path, file.read(MOST_BYTES + 1))
    except UserError:
        raise
    except Exception as error:  # a damaged archive can make its reader raise anything
        raise UserError(f"data.path: {path} is a zip archive that cannot be unpacked: {error}") from None


def is_hidden(name: str) -> bool:
    """True for a file that a file manager adds to an archive, such as .DS_Store."""
    return name.startswith("__MACOSX/") or PurePath(name).name.startswith(".")


def _at_most(path: Path, data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise UserError(f"data.path: {path} holds more than {MOST_BYTES >> 30} GiB; unpack it, and cut it")
    return data
