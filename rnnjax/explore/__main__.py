"""Looks at the data before training: python -m rnnjax.explore --data.path songdata.csv.

Songs, artists, characters, and the bits per character of n-gram models on the held-out text, which a network must pass.
With the config of a run the text is split as in that run.
"""

from pathlib import Path
from typing import Any

from rnnjax.cli import add_config, config_of, make_parser, run
from rnnjax.config import DataConfig


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("explore", __doc__)
    add_config(parser)
    parser.add_argument("--artist_column", type=str, default="artist", help="the CSV column that names the artist")
    parser.add_argument(
        "--out",
        type=str,
        default="",
        help="directory of the figures; by default explore-<name of the file> in run.root",
    )
    options = parser.parse_args(argv)
    config = config_of(parser, options)
    stem = "bundled" if config.data.path == "bundled" else Path(config.data.path).stem
    out = Path(options.out or f"{config.run.root}/explore-{stem}")
    return explore(config.data, options.artist_column, out, stem)


def explore(config: DataConfig, artist_column: str, directory: Path, title: str) -> int:
    """Prints the statistics of the data, and writes them with their figures into a directory."""
    from rich.console import Console

    from rnnjax.explore.figures import plot_corpus
    from rnnjax.explore.tables import show
    from rnnjax.run.progress import Stages
    from rnnjax.run.results import make_directory, write_json

    console = Console(highlight=False)
    with Stages(console) as stages:
        found = look(config, artist_column, stages)
        stages.begin("drawing")
        make_directory(directory)
        write_json(directory / "explore.json", found)
        pictures = plot_corpus(directory, found, title)
    show(console, found)
    print(f"{directory} has explore.json, {', '.join(pictures)}")
    return 0


def look(config: DataConfig, artist_column: str, stages) -> dict[str, Any]:
    """Statistics of the data, the content of explore.json."""
    from rnnjax.data.corpus import make_corpus
    from rnnjax.data.ngrams import best_order, held_out_bits, highest_order
    from rnnjax.data.songs import read_table
    from rnnjax.data.statistics import artist_statistics, first_rows, song_statistics, text_statistics

    stages.begin("reading")
    songs, table = read_table(config)
    stages.begin("splitting and encoding")
    corpus = make_corpus(songs, config)
    stages.begin("describing songs and characters")
    found: dict[str, Any] = {"source": songs.source, **song_statistics(songs, config)}
    if table is not None:
        found |= {"first_rows": first_rows(table), **artist_statistics(table, artist_column)}
    found |= text_statistics(corpus, config)
    advance = stages.begin("counting n-grams", sum(len(ids) for ids in corpus.ids))
    if bits := held_out_bits(corpus.ids, len(corpus.vocabulary), advance):
        found |= {"ngram_bits": bits, "best_order": best_order(bits), "highest_order": highest_order(found["ids"])}
    return found


if __name__ == "__main__":
    run(main)
