"""The pictures of a corpus: its characters, its songs, its artists, and the n-gram bar."""

import math
from pathlib import Path
from typing import Any

from rnnjax.figure import make_panels, write_figure

MOST_CHARACTERS = 80
MOST_ARTISTS = 10
SIGNS = {" ": "␣", "\n": "↵", "\t": "⇥"}


def plot_corpus(directory: Path, found: dict[str, Any], title: str) -> list[str]:
    """Draws the figures that the content of explore.json allows. Returns their names."""
    draw = {"characters.png": _characters}
    if "ngram_bits" in found:
        draw["ngrams.png"] = _ngrams
    if "song_lengths" in found:
        draw["song_lengths.png"] = _song_lengths
    if "songs_of_artist" in found:
        draw["artists.png"] = _artists
    for name, function in draw.items():
        write_figure(directory / name, function(found, title))
    return list(draw)


def _characters(found: dict[str, Any], title: str):
    total = found["characters_in"]["train"]
    most = sorted(found["vocabulary"], key=lambda entry: -entry["count"])
    shown = most[:MOST_CHARACTERS]
    figure, (axes,) = make_panels(11, 4.2, layout="tight")
    shares = [100 * entry["count"] / total for entry in shown]
    axes.bar(range(len(shown)), shares)
    signs = [_sign(entry["character"]) for entry in shown]
    if any(len(sign) > 1 for sign in signs):
        axes.tick_params("x", rotation=90, labelsize=7)
    elif len(signs) > 40:  # so many stand in two rows
        signs = [f"\n{sign}" if number % 2 else sign for number, sign in enumerate(signs)]
    axes.set_xticks(range(len(shown)), signs, parse_math=False)
    of = f"the {len(shown)} most frequent of {len(most)} characters" if len(most) > len(shown) else "character"
    axes.set(xlabel=of, ylabel="share of the training text (%)", yscale="log", xlim=(-0.7, len(shown) - 0.3))
    axes.set_ylim(min(0.7 * shares[-1], shares[0] / 100))  # some powers of ten, which alone have labels
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    _title(axes, f"{title}: characters")
    axes.grid(False, axis="x")
    return figure


def _sign(character: str) -> str:
    """Sign of a character in a figure: itself, where the font can draw it."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    if character in SIGNS:
        return SIGNS[character]
    drawn = character.isprintable() and FT2Font(findfont("DejaVu Sans")).get_char_index(ord(character))
    return character if drawn else f"U+{ord(character):04X}"


def _ngrams(found: dict[str, Any], title: str):
    figure, (axes,) = make_panels(7, 4.2, layout="tight")
    texts = found["ngram_bits"]
    width = 0.8 / len(texts)
    for number, (name, bits) in enumerate(texts.items()):
        places = [int(order) + (number - (len(texts) - 1) / 2) * width for order in bits]
        bars = axes.bar(places, list(bits.values()), width, label=f"{name} text")
        axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=1)
    uniform = math.log2(found["ids"])
    axes.axhline(uniform, color="C3", linestyle="--", label=f"all {found['ids']} ids equally likely: {uniform:.2f}")
    axes.set(xlabel="characters of context", ylabel="bits per character", ylim=(0, 1.25 * uniform))
    _title(axes, f"{title}: n-gram models on held-out text")
    axes.legend(loc="upper right", ncols=len(texts) + 1, fontsize=8)
    axes.grid(False, axis="x")
    axes.set_axisbelow(True)
    return figure


def _song_lengths(found: dict[str, Any], title: str):
    figure, (axes,) = make_panels(7, 4.2, layout="tight")
    lengths, histogram = found["song_lengths"], found["song_lengths"]["histogram"]
    axes.stairs(histogram["counts"], histogram["edges"], fill=True, alpha=0.7)
    for number, name in enumerate(("median", "mean")):
        label = f"{name}: {lengths[name]:,.0f}"
        axes.axvline(lengths[name], color=f"C{number + 1}", linestyle="--", label=label)
    longer = f" (not shown: {histogram['longer']:,} of up to {lengths['max']:,})"
    axes.set(xlabel=f"characters of a song{longer if histogram['longer'] else ''}", ylabel="songs")
    _title(axes, f"{title}: lengths of the songs")
    axes.legend()
    return figure


def _artists(found: dict[str, Any], title: str):
    songs = found["songs_of_artist"]
    first = list(songs.items())[:MOST_ARTISTS][::-1]
    figure, (most, all_artists) = make_panels(11, 4.2, 2, layout="tight")
    bars = most.barh(range(len(first)), [count for _, count in first])
    most.bar_label(bars, padding=2, fontsize=8)
    most.margins(x=0.1)
    most.set_ylim(len(first) - MOST_ARTISTS - 0.6, len(first) - 0.4)
    most.set_yticks(range(len(first)), [_drawable(name) for name, _ in first], parse_math=False)
    most.set(xlabel="songs")
    _title(most, f"{title}: the artists with most songs")
    marker = "." if len(songs) < 50 else ""  # the line of a single artist has no length
    all_artists.plot(range(1, len(songs) + 1), list(songs.values()), drawstyle="steps-mid", marker=marker)
    mean = found["songs_per_artist"]["mean"]
    all_artists.axhline(mean, color="C1", linestyle="--", label=f"mean: {mean:.2f}")
    all_artists.set(xlabel=f"{len(songs):,} artists, by their number of songs", ylabel="songs", ylim=(0, None))
    all_artists.legend()
    most.grid(False)
    return figure


def _drawable(name: str) -> str:
    short = name if len(name) <= 28 else name[:27] + "…"
    return "".join(_sign(character) if character != " " else " " for character in short)


def _title(axes, title: str) -> None:
    axes.set_title(title, parse_math=False)
