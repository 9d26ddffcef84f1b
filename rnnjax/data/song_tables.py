"""Tables of songs, all values as strings: csv, tsv, json, jsonl and parquet."""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
import warnings
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnjax.data.encoding import decode
from rnnjax.data.formats import PARQUET, Content
from rnnjax.errors import UserError

if TYPE_CHECKING:  # late where it runs: a plain text does not need it
    import pandas as pd

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
OTHER_SEPARATORS = (",", ";", "\t", "|")

SURROGATE = re.compile(r"[\ud800-\udfff]")

LOOKED_AT = 20
"""Rows that must have the fields of the header where a file's name does not say that it is a table."""


def parse_table(content: Content, column: str) -> pd.DataFrame | None:
    """Rows and columns of a file that is a table by its name or its content; None for a plain text.

    Args:
      column: column that the table must have.

    Raises:
      UserError: if it is damaged, or lacks the column, or has it twice.
    """
    if content.data.startswith(PARQUET):
        return with_column(_parquet(content), column, content)
    if content.suffix == ".parquet":
        raise UserError(f"data.path: {content.source} is not a parquet file: it does not begin as one")
    text = without_hint(decode(content))
    if content.suffix in SEPARATORS:
        separator = separator_of(text, column) or SEPARATORS[content.suffix]
        table = separated(text, separator, content.source, column)
    elif content.suffix in (".json", ".jsonl", ".ndjson") or holds_objects(text, column):
        table = records_of(content, text, column)
    elif (found := separator_of(text, column)) and is_even(text, found):
        table = separated(text, found, content.source, column)
    else:
        return None
    return with_column(table, column, content)


def without_hint(text: str) -> str:
    """The text without a first line such as sep=; that names the separator to a spreadsheet."""
    return re.sub(r"\A\"?sep=[,;\t|]\"?\r?\n", "", text)


def with_column(table: pd.DataFrame, column: str, content: Content) -> pd.DataFrame:
    """Returns the table; raises UserError where it lacks the column, with the names that it has."""
    if column in table.columns:
        return table
    has = list(table.columns)
    near = difflib.get_close_matches(column.lower(), {str(name).strip().lower(): name for name in has}, n=1)
    meant = next((name for name in has if near and str(name).strip().lower() == near[0]), None)
    hint = f"; did you mean {meant!r}?" if meant is not None else "; name the one that holds the texts"
    raise UserError(f"data.text_column: {content.source} has no column {column!r}; it has {listed(has)}{hint}")


def listed(names: list) -> str:
    """Names in quotes, the first twenty of many."""
    shown = [repr(name if len(str(name)) <= 40 else f"{str(name)[:40]}…") for name in names[:20]]
    return ", ".join(shown) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")


def separator_of(text: str, column: str) -> str | None:
    """Separator of the first line's fields, one of which is the column; None where there are not two fields."""
    line = text.split("\n", 1)[0].split("\r", 1)[0]
    for separator in OTHER_SEPARATORS:
        fields = first_row(line, separator, skipinitialspace=True)
        if len(fields) > 1 and column in fields:
            return separator
    return None


def first_row(text: str, separator: str, **options: Any) -> list[str]:
    """Fields of the first row; none where it is no CSV."""
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, **options), [])
    except csv.Error:
        return []


def is_even(text: str, separator: str) -> bool:
    """True if the first rows have as many fields as the header."""
    try:
        rows = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=separator), LOOKED_AT))
    except csv.Error:
        return False
    return len(rows) > 1 and all(len(row) == len(rows[0]) for row in rows)


def separated(text: str, separator: str, source: Path, column: str = "") -> pd.DataFrame:
    """Fields of a table, as strings; an empty one is missing.

    Raises:
      UserError: if the table is not whole, has rows longer than its header, or the column twice.
    """
    import pandas as pd

    header = first_row(text, separator)
    # Spaces after the separators are a writer's habit; without them the column is there.
    spaced = column not in header and column in first_row(text, separator, skipinitialspace=True)
    if header.count(column) > 1:
        raise UserError(f"data.text_column: {source} has {header.count(column)} columns {column!r}; rename all but one")
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
                skipinitialspace=spaced,
            )
    except pd.errors.EmptyDataError:
        raise UserError(f"data.path: {source} has no columns") from None
    except pd.errors.ParserWarning:
        raise UserError(f"data.path: {source} has rows with more fields than its header has columns") from None
    except pd.errors.ParserError as error:
        raise UserError(_why_not_whole(source, str(error))) from None


def _why_not_whole(source: Path, error: str) -> str:
    reason = error.removeprefix("Error tokenizing data. C error: ").strip()
    if reason.startswith("Expected ") and " saw " in reason:
        return f"data.path: {source} has a row with more fields than its header has columns: {reason}"
    hint = " (the file seems to be cut off inside a quoted field)" if "EOF inside string" in reason else ""
    return f"data.path: {source} is not a whole CSV file: {reason}{hint}"


def holds_objects(text: str, column: str) -> bool:
    """True for a text that is JSON with objects that have the column, whole or on its first line."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    for part in (text.lstrip().split("\n", 1)[0], text):
        try:
            rows = rows_of(json.loads(part), column)
        except (ValueError, RecursionError):
            continue
        if rows and all(isinstance(row, dict) and column in row for row in rows):
            return True
    return False


def rows_of(value: Any, column: str) -> Any:
    """Rows of a JSON value: the value itself, an object's only list, or an object's columns or rows by name."""
    if not isinstance(value, dict):
        return value
    if isinstance(value.get(column), dict | list):  # a list, or an object by row, for each column
        columns = {name: [*c.values()] if isinstance(c, dict) else c for name, c in value.items()}
        rows = len(columns[column])
        even = {name: c for name, c in columns.items() if isinstance(c, list) and len(c) == rows}
        return [dict(zip(even, row, strict=True)) for row in zip(*even.values(), strict=True)]
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return [dict(zip(value["columns"], row, strict=False)) for row in value["data"] if isinstance(row, list)]
    lists = [part for part in value.values() if isinstance(part, list)]
    if len(lists) == 1:
        return lists[0]
    by_row = [*value.values()]
    return by_row if by_row and all(isinstance(row, dict) and column in row for row in by_row) else [value]


def records_of(content: Content, text: str, column: str) -> pd.DataFrame:
    """Table of a list of objects or of texts, of columns, or of one object or text a line.

    Raises:
      UserError: for what holds no such list, or no text where one must be.
    """
    import pandas as pd

    rows = rows_of(_parse(content, text), column)
    if not isinstance(rows, list) or not any(rows):
        raise UserError(f"data.path: {content.source} holds no list of songs")
    rows = [{column: row} if isinstance(row, str) else row for row in rows]
    rows = [{**row, column: None} if isinstance(row, dict) and is_missing(row.get(column)) else row for row in rows]
    if not all(isinstance(row, dict) for row in rows):
        raise UserError(f"data.path: {content.source} has entries that are neither objects nor texts")
    if strange := next((row[column] for row in rows if not isinstance(row.get(column), str | None)), None):
        raise UserError(
            f"data.text_column: {content.source} has a {type(strange).__name__} in {column!r}, where a text must be"
        )
    for number, row in enumerate(rows, 1):
        if half := next((name for name in row if SURROGATE.search(f"{name}{row[name]}")), None):
            raise UserError(
                f"data.path: entry {number} of {content.source} has half a character (a lone surrogate) in {half!r}"
            )
    return _as_strings(pd.DataFrame.from_records(rows))


def is_missing(value: Any) -> bool:
    """True for the NaN that writers of tables leave in an empty field."""
    return isinstance(value, float) and math.isnan(value)


def _parse(content: Content, text: str) -> Any:
    """Parses a text as one JSON value; as one value a line where its name says so, or where it is not one value."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:
        if content.suffix not in (".jsonl", ".ndjson") or len(lines) == 1:
            return loads(text, content.source)
    except RecursionError:
        raise UserError(f"data.path: {content.source} is nested too deep to be a list of songs") from None
    except ValueError as error:
        if not is_json(lines[0][1]):
            raise UserError(f"data.path: {content.source} is no whole JSON: {error}") from None
    rows = []
    for number, line in lines:
        try:
            rows.append(loads(line, content.source))
        except (ValueError, RecursionError) as error:
            raise UserError(f"data.path: {content.source} is no whole JSON: line {number}: {error}") from None
    return rows


def loads(text: str, source: Path) -> Any:
    """Value of a text in JSON; raises UserError where an object has a key twice, of which one would be lost."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"data.path: {source} gives {twice!r} twice in one object; keep one")
        return found

    return json.loads(text, object_pairs_hook=once)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


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
