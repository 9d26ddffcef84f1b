"""The statistics of a corpus before training, on the screen."""

import math
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnjax.data.ngrams import HIGHEST_ORDER
from rnnjax.errors import printable
from rnnjax.explore.figures import MOST_ARTISTS
from rnnjax.screen import make_table

MOST_CHARACTERS = 200
MOST_COLUMNS = 6
MOST_CELLS = 200
WIDEST_CELL = 80


def show(console: Console, found: dict[str, Any]) -> None:
    """Prints the content of explore.json, as much as fits."""
    if "rows" in found:
        _show_songs(console, found)
    else:
        console.print("song figures are left out: a plain text has no songs to tell apart")
    if "first_rows" in found:
        console.print(_row_table(found["first_rows"]))
    if "songs_of_artist" in found:
        _show_artists(console, found)
    elif "no_artists" in found:
        console.print(Text(f"artists are left out: {found['no_artists']}"))
    beginning = "\n".join(map(printable, found["beginning"].split("\n")))
    console.print(Text(f"\nthe joined text begins:\n{beginning}\n"))
    console.print(Text(found["summary"]), soft_wrap=True)
    _show_vocabulary(console, found)
    if "ngram_bits" in found:
        console.print(_ngram_table(found))
        if found["highest_order"] < HIGHEST_ORDER:
            console.print(Text(f"higher orders are left out: {found['ids']} ids are too many for them"))
    else:
        console.print(Text("n-gram models are left out: there is no held-out text"))


def _show_songs(console: Console, found: dict[str, Any]) -> None:
    table = Table("songs", show_header=False, box=None)
    table.add_column(justify="right")
    lengths = found["song_lengths"]
    for label, value in (
        ("rows", found["rows"]),
        ("rows without text", found["rows_without_text"]),
        ("songs equal to an earlier one", found["songs_equal_to_an_earlier_one"]),
        ("held-out songs equal to a training song", found["held_out_songs_equal_to_a_training_song"]),
        ("characters of a song: shortest", lengths["min"]),
        ("  median", lengths["median"]),
        ("  mean", lengths["mean"]),
        ("  longest", lengths["max"]),
    ):
        table.add_row(label, f"{value:,.0f}")
    console.print(table)


def _row_table(rows: list[dict[str, str | None]]) -> Table:
    table = Table(title="first rows", title_justify="left", expand=True)
    names = list(rows[0])[:MOST_COLUMNS]
    for name in names:
        table.add_column(in_one_line(name), no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(*(in_one_line((row[name] or "")[:WIDEST_CELL]) for name in names))
    return table


def _show_artists(console: Console, found: dict[str, Any]) -> None:
    per_artist = found["songs_per_artist"]
    first = list(found["songs_of_artist"].items())[:MOST_ARTISTS]
    without = f"; rows without one: {found['rows_without_artist']:,}" if found["rows_without_artist"] else ""
    console.print(
        f"{found['artists']:,} artists{without}; songs of an artist: mean {per_artist['mean']:.2f}, "
        f"median {per_artist['median']:g}"
    )
    console.print("\nartists with most songs")
    table = make_table("", "artist", "songs")
    for artist, songs in first:
        table.add_row(in_one_line(artist), f"{songs:,}")
    console.print(table)


def _show_vocabulary(console: Console, found: dict[str, Any]) -> None:
    """Prints each character with its id and its share of the training text."""
    total = found["characters_in"]["train"]
    shown = found["vocabulary"][:MOST_CHARACTERS]
    console.print(Text("\nvocabulary: id, character, percent of the training text"))
    cells = [f"{e['id']:>4} {e['character']!r:<6} {_percent(e['count'] / total)}" for e in shown]
    unknown = f"{found['ids'] - 1:>4} any other character"
    console.print(Columns([Text(cell) for cell in cells], padding=(0, 2)))
    if len(shown) < len(found["vocabulary"]):
        console.print(Text(f"     and {len(found['vocabulary']) - len(shown):,} more, all in explore.json"))
    console.print(Text(unknown))

    example, ids = found["example"], found["ids"]
    vector = " ".join("1" if i == example["id"] else "0" for i in range(min(ids, MOST_CELLS)))
    more = f" … {ids} in all" if ids > MOST_CELLS else ""
    begins = f"the text's first character, {example['character']!r}, has id {example['id']}; as a one-hot vector:"
    console.print(Text(f"\n{begins}\n[{vector}{more}]\n"))


def _percent(share: float) -> str:
    return f"{100 * share:6.3f}" if share == 0 or share >= 5e-6 else "<0.001"


def _ngram_table(found: dict[str, Any]) -> Table:
    texts = found["ngram_bits"]
    title = "n-gram models: bits per character of held-out text"
    table = make_table(title, "characters of context", *texts, "", words=0)
    uniform = f"{math.log2(found['ids']):.4f}"
    table.add_row("none", *[uniform] * len(texts), f"all {found['ids']} ids alike")
    for order in next(iter(texts.values())):
        remark = "the bar to pass" if order == found["best_order"] else ""
        table.add_row(order, *(f"{bits[order]:.4f}" for bits in texts.values()), remark)
    return table


def in_one_line(text: str) -> Text:
    """Text of a table's cell, with ↵ for the end of a line."""
    return Text(printable(text.replace("\n", "↵")))
