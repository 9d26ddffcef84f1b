"""Reading songs: a table, a plain text, an address, or the corpus that ships with the package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlparse

from rnnjax.config import DataConfig
from rnnjax.data.encoding import decode
from rnnjax.data.formats import read_content
from rnnjax.data.recall_text import recall_text
from rnnjax.data.song_tables import OTHER_SEPARATORS, first_row, parse_table, separated, without_hint
from rnnjax.errors import UserError

if TYPE_CHECKING:  # late where it runs: a plain text does not need it
    import pandas as pd

Content = TypeVar("Content")


@dataclass(frozen=True)
class Songs:
    """Texts as they were read.

    Attributes:
      texts: one string a song; a plain text file is one string.
      skipped: rows without text.
      source: the file or address, for messages.
      is_one_text: True where the file was a plain text, with no songs to tell apart.
    """

    texts: list[str]
    skipped: int
    source: str
    is_one_text: bool


def read_songs(config: DataConfig) -> Songs:
    """Reads the songs of `data.path`.

    Raises:
      UserError: if the file is missing, empty, cut off, of no known format or encoding, or has no such column.
    """
    return read_table(config)[0]


def read_table(config: DataConfig) -> tuple[Songs, pd.DataFrame | None]:
    """Reads the songs, and all rows and columns of their table, as strings; None for a plain text."""
    if config.path == "bundled":
        with resources.as_file(resources.files("rnnjax.data") / "songs.csv") as path:
            songs, table = _read(path, config.text_column)
            return replace(songs, source="the bundled songs"), table
    if config.path == "recall":
        text = recall_text(config.recall_lag, config.recall_lines, config.split_seed)
        return Songs([text], 0, "the recall task", True), None
    return read_file(config, lambda path: _read(path, config.text_column))


def read_file(config: DataConfig, read: Callable[[Path], Content]) -> Content:
    """Reads the file or the address of `data.path` with `read`.

    Raises:
      UserError: if the file is missing, empty, or cannot be read.
    """
    path = _fetch(config.path, config.sha256) if _is_address(config.path) else Path(config.path).expanduser()
    try:
        if path.is_dir():
            raise UserError(f"data.path: {path} is a directory; name a file in it")
        if not path.exists():
            link = f", as {path} is a link to nothing" if path.is_symlink() else ""
            raise UserError(f"data.path: there is no file {path}{link}")
        if not path.is_file():
            raise UserError(
                f"data.path: {path} is a pipe or a device; write what comes out of it to a file, and name it"
            )
        if path.stat().st_size == 0:
            raise UserError(f"data.path: {path} is empty")
        return read(path)
    except OSError as error:
        raise UserError(f"data.path: cannot read {path}: {error.strerror}") from None


def is_table(path: Path) -> bool:
    """True for a name of a table of numbers, or of an archive of one."""
    return path.suffix.lower() in (".csv", ".tsv", ".tab", ".txt", ".dat", ".gz", ".zip")


def read_cells(path: Path) -> pd.DataFrame:
    """Reads all rows and columns of a table, as strings; an empty field is missing.

    The separator is the one that gives the header most fields; spaces around names do not count.

    Raises:
      UserError: as `separated` does, or where two columns have one name.
    """
    text = without_hint(decode(read_content(path)))
    separator = max(OTHER_SEPARATORS, key=lambda one: len(first_row(text, one)))
    header = [name.strip() for name in first_row(text, separator)]
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise UserError(f"data.path: {path} has {header.count(twice)} columns {twice!r}; rename all but one")
    table = separated(text, separator, path)
    return table.rename(columns=lambda name: str(name).strip())


def _read(path: Path, column: str) -> tuple[Songs, pd.DataFrame | None]:
    content = read_content(path)
    table = parse_table(content, column)
    if table is None:
        return Songs([unix_lines(decode(content))], 0, str(path), is_one_text=True), None
    texts = table[column][with_text(table, column)]
    if texts.empty:
        raise UserError(f"data.path: no row of {path} has a text in column {column!r}")
    songs = Songs([unix_lines(text) for text in texts], len(table) - len(texts), str(path), is_one_text=False)
    return songs, table


def with_text(table: pd.DataFrame, column: str) -> pd.Series:
    """True for each row whose text is more than white space, bool [rows]."""
    return table[column].fillna("").str.strip() != ""


def unix_lines(text: str) -> str:
    """Text whose lines end with \\n alone."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_address(path: str) -> bool:
    return path.lower().startswith(("http://", "https://"))


def _fetch(address: str, sha256: str | None) -> Path:
    """Downloads a file once into the user's cache; a file with the right checksum is not fetched again."""
    if sha256 is None:
        raise UserError("data.sha256 must give the checksum of the file at an http(s) address (see sha256sum)")
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    name = f"{sha256[:16]}-{Path(urlparse(address).path).name}"
    try:
        return Path(pooch.retrieve(address, f"sha256:{sha256.lower()}", fname=name, path=pooch.os_cache("rnnjax")))
    except ValueError as error:
        raise UserError(f"data.sha256 does not match what {address} sent: {error}".splitlines()[0]) from None
    except requests.RequestException as error:
        raise UserError(f"data.path: cannot fetch {address}: {error}") from None
