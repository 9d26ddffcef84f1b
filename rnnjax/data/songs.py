"""Reading songs: a CSV file, a plain text, an address, or the corpus that ships with the package."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlparse

from rnnjax.config import DataConfig
from rnnjax.data.recall_text import recall_text
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
      source: what was read, to be named to the user.
      is_one_text: whether the file was a plain text, with no songs to tell apart.
    """

    texts: list[str]
    skipped: int
    source: str
    is_one_text: bool


def read_songs(config: DataConfig) -> Songs:
    """Reads what `data.path` names.

    Raises:
      UserError: if the file is missing, empty, cut off, not UTF-8, or has no such column.
    """
    return read_table(config)[0]


def read_table(config: DataConfig) -> tuple[Songs, pd.DataFrame | None]:
    """The same, with all rows and columns of a CSV file, as strings; None for a plain text."""
    if config.path == "bundled":
        with resources.as_file(resources.files("rnnjax.data") / "songs.csv") as path:
            songs, table = _read_csv(path, config.text_column)
            return replace(songs, source="the bundled songs"), table
    if config.path == "recall":
        text = recall_text(config.recall_lag, config.recall_lines, config.split_seed)
        return Songs([text], 0, "the recall task", True), None
    return read_file(config, lambda path: _read_csv(path, config.text_column) if is_csv(path) else _read_text(path))


def read_file(config: DataConfig, read: Callable[[Path], Content]) -> Content:
    """What `read` finds in the file, or behind the address, that `data.path` names.

    Raises:
      UserError: if there is no such file, it is empty, not UTF-8, or cannot be read.
    """
    path = _fetch(config.path, config.sha256) if _is_address(config.path) else Path(config.path)
    try:
        if path.is_dir():
            raise UserError(f"data.path: {path} is a directory; name a file in it")
        if not path.is_file():
            raise UserError(f"data.path: there is no file {path}")
        if path.stat().st_size == 0:
            raise UserError(f"data.path: {path} is empty")
        return read(path)
    except UnicodeDecodeError as error:
        raise UserError(
            f"data.path: {path} is not UTF-8 ({error.reason} 0x{error.object[error.start]:02x}); convert it, as with "
            "iconv -f latin1 -t utf-8"
        ) from None
    except OSError as error:
        raise UserError(f"data.path: cannot read {path}: {error.strerror}") from None


def is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def read_cells(path: Path) -> pd.DataFrame:
    """All rows and columns of a CSV file, as strings; an empty field is missing.

    Raises:
      UserError: if it is no whole CSV file, or has rows that are longer than its header.
    """
    import pandas as pd

    try:
        # "NA" or "null" may be a song's whole text; only an empty field is missing.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # index_col: rows longer than the header must not shift the columns.
            return pd.read_csv(
                path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig", index_col=False
            )
    except pd.errors.EmptyDataError:
        raise UserError(f"data.path: {path} has no columns") from None
    except pd.errors.ParserWarning:
        raise UserError(f"data.path: {path} has rows with more fields than its header has columns") from None
    except pd.errors.ParserError as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        hint = " (the file seems to be cut off inside a quoted field)" if "EOF inside string" in reason else ""
        raise UserError(f"data.path: {path} is not a whole CSV file: {reason}{hint}") from None


def _read_csv(path: Path, column: str) -> tuple[Songs, pd.DataFrame]:
    table = read_cells(path)
    if column not in table.columns:
        raise UserError(
            f"data.text_column: {path} has no column {column!r}; it has {', '.join(map(repr, table.columns))}"
        )
    texts = table[column][with_text(table, column)]
    if texts.empty:
        raise UserError(f"data.path: no row of {path} has a text in column {column!r}")
    songs = Songs([unix_lines(text) for text in texts], len(table) - len(texts), str(path), is_one_text=False)
    return songs, table


def with_text(table: pd.DataFrame, column: str) -> pd.Series:
    """Which rows have a text that is more than white space, bool."""
    return table[column].fillna("").str.strip() != ""


def _read_text(path: Path) -> tuple[Songs, None]:
    return Songs([unix_lines(path.read_text(encoding="utf-8-sig"))], 0, str(path), is_one_text=True), None


def unix_lines(text: str) -> str:
    """A text whose lines end with \\n alone."""
    return text.replace("\r\n", "\n")


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
