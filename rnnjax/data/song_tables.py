"""Tables of songs, all values as strings: csv, tsv, json, jsonl and parquet."""

from __future__ import annotations

import csv
import io
import json
import warnings
from typing import TYPE_CHECKING, Any

from rnnjax.data.formats import PARQUET, Content, decode
from rnnjax.errors import UserError

if TYPE_CHECKING:  # late where it runs: a plain text does not need it
    import pandas as pd

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}


def parse_table(content: Content, column: str) -> pd.DataFrame | None:
    """Rows and columns of a file that is a table by its name or its first bytes; None for a plain text.

    Args:
      column: column that the table must have.

    Raises:
      UserError: if it is damaged, or lacks the column, or has it twice.
    """
    if content.data.startswith(PARQUET):
        table = _parquet(content)
    elif content.suffix in SEPARATORS:
        table = separated(content, SEPARATORS[content.suffix], column)
    elif content.suffix in (".json", ".jsonl", ".ndjson"):
        table = _records(content, column)
    elif content.suffix == ".parquet":
        raise UserError(f"data.path: {content.source} is not a parquet file: it does not begin as one")
    else:
        return None
    if column not in table.columns:
        raise UserError(
            f"data.text_column: {content.source} has no column {column!r}; it has {', '.join(map(repr, table.columns))}"
        )
    return table


def separated(content: Content, separator: str, column: str = "") -> pd.DataFrame:
    """Fields of a table, as strings; an empty one is missing.

    Raises:
      UserError: if the table is not whole, has rows longer than its header, or the column twice.
    """
    import pandas as pd

    text = decode(content)
    try:
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    except csv.Error:
        header = []
    if header.count(column) > 1:
        raise UserError(
            f"data.text_column: {content.source} has {header.count(column)} columns {column!r}; rename all but one"
        )
    try:
        # "NA" or "null" may be a song's whole text; only an empty field is missing.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # index_col: rows longer than the header must not shift the columns.
            return pd.read_csv(
                io.StringIO(text, newline=""),
                sep=separator,
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                index_col=False,
            )
    except pd.errors.EmptyDataError:
        raise UserError(f"data.path: {content.source} has no columns") from None
    except pd.errors.ParserWarning:
        raise UserError(f"data.path: {content.source} has rows with more fields than its header has columns") from None
    except pd.errors.ParserError as error:
        raise UserError(_why_not_whole(content, str(error))) from None


def _why_not_whole(content: Content, error: str) -> str:
    reason = error.removeprefix("Error tokenizing data. C error: ").strip()
    if reason.startswith("Expected ") and " saw " in reason:
        return f"data.path: {content.source} has a row with more fields than its header has columns: {reason}"
    hint = " (the file seems to be cut off inside a quoted field)" if "EOF inside string" in reason else ""
    return f"data.path: {content.source} is not a whole CSV file: {reason}{hint}"


def _records(content: Content, column: str) -> pd.DataFrame:
    """A list of objects, or of texts, or an object that holds nothing but one such list; in jsonl one a line."""
    import pandas as pd

    text = decode(content)
    rows: Any
    if content.suffix == ".json":
        rows = _parse(content, text, "")
    else:
        rows = [_parse(content, line, f" line {n}:") for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if isinstance(rows, dict):
        lists = [value for value in rows.values() if isinstance(value, list)]
        rows = lists[0] if len(lists) == 1 else [rows]
    if not isinstance(rows, list) or not rows:
        raise UserError(f"data.path: {content.source} holds no list of songs")
    rows = [{column: row} if isinstance(row, str) else row for row in rows]
    if not all(isinstance(row, dict) for row in rows):
        raise UserError(f"data.path: {content.source} has entries that are neither objects nor texts")
    if strange := next((row[column] for row in rows if not isinstance(row.get(column), str | None)), None):
        raise UserError(
            f"data.text_column: {content.source} has a {type(strange).__name__} in {column!r}, where a text must be"
        )
    return _as_strings(pd.DataFrame.from_records(rows))


def _parse(content: Content, text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"data.path: {content.source} is no whole {content.suffix[1:]}:{place} {error}") from None


def _parquet(content: Content) -> pd.DataFrame:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("data.path: a parquet file needs an extra: pip install 'rnnjax[study]'") from None
    try:
        return _as_strings(pyarrow.parquet.read_table(io.BytesIO(content.data)).to_pandas())
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(
            f"data.path: {content.source} is a damaged parquet file: {str(error).splitlines()[0]}"
        ) from None


def _as_strings(table: pd.DataFrame) -> pd.DataFrame:
    """Every value as a string; what is missing, or empty, is None."""
    strings = table.astype(object).map(lambda value: str(value) or None, na_action="ignore")
    return strings.where(strings.notna(), None).rename(columns=str)
