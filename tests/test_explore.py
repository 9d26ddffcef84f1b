"""The data before training: what rnnjax.explore counts, shows and writes."""

import json

import numpy as np
import pandas as pd
import pytest
from command import call, check_refusals, printed, write_songs

from rnnjax.config import DataConfig
from rnnjax.data.corpus import load_corpus
from rnnjax.data.ngrams import held_out_bits
from rnnjax.data.songs import Songs
from rnnjax.data.split import draw_parts
from rnnjax.data.statistics import artist_statistics, song_statistics
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.explore import __main__ as explore

PICTURES = {"characters.png", "ngrams.png", "song_lengths.png", "artists.png"}
ALL = ("--data.validation_fraction", "0", "--data.test_fraction", "0")


def explored(path, *arguments, out="out"):
    """The content of explore.json, the names of the pictures, and the screen."""
    answer = call(explore.main, "--data.path", str(path), "--out", out, *arguments)
    assert answer.code == 0, answer.stderr
    assert not answer.stderr
    directory = path.parent / out
    pictures = {file.name for file in directory.iterdir() if file.read_bytes().startswith(b"\x89PNG")}
    return json.loads((directory / "explore.json").read_text(encoding="utf-8")), pictures, answer.stdout


def write(path, rows, columns=("artist", "text")):
    pd.DataFrame(rows, columns=list(columns)).to_csv(path, index=False)
    return path


def many(count, artist="A"):
    return [(artist, f"song {number} la la\n") for number in range(count)]


def test_artists_are_counted_and_ordered_as_by_pandas(here):
    rows = [*many(3, "Zoe"), *many(5, "[b]Al$ $"), *many(4, ""), ("Zoe", "")]
    found, pictures, screen = explored(write(here / "a.csv", rows))
    assert found["rows"] == 13
    assert found["artists"] == 2
    assert list(found["songs_of_artist"].items()) == [("[b]Al$ $", 5), ("Zoe", 4)]  # a row without text counts
    assert found["songs_per_artist"] == {"mean": 4.5, "median": 4.5}
    assert "[b]Al$ $" in screen
    assert "2 artists; rows without one: 4; songs of an artist: mean 4.50" in screen
    assert pictures == PICTURES


def test_the_figures_that_the_chapter_prints_of_its_file():
    """From a table with as many rows and artists, and as many songs of the ten with most."""
    most = {"Donna Summer": 191, "Gordon Lightfoot": 189, "George Strait": 188, "Bob Dylan": 188, "Cher": 187}
    most |= {"Loretta Lynn": 187, "Alabama": 187, "Reba Mcentire": 187, "Chaka Khan": 186, "Dean Martin": 186}
    others = [f"artist {number % 633}" for number in range(57_650 - sum(most.values()))]
    names = [name for name, songs in most.items() for _ in range(songs)]
    found = artist_statistics(pd.DataFrame({"artist": others + names}), "artist")
    assert found["artists"] == 643
    assert next(iter(found["songs_of_artist"].items())) == ("Donna Summer", 191)
    assert dict(list(found["songs_of_artist"].items())[:10]) == most
    assert found["songs_per_artist"]["mean"] == pytest.approx(89.65785381026438, abs=1e-12)


def test_only_ten_artists_are_shown(here):
    rows = [row for number in range(12) for row in many(20 - number, f"artist {number:02d}")]
    found, _, screen = explored(write(here / "a.csv", rows))
    assert found["artists"] == 12
    table = screen.split("artists with most")[1].split("joined text")[0]
    assert [f"artist {number:02d}" in table for number in range(12)] == [True] * 10 + [False] * 2


def test_rows_without_text_copies_and_lengths(here):
    rows = [("A", "four"), ("A", ""), ("B", "sixsix"), ("B", "four"), ("C", "NA"), ("D", " \n ")]
    found, _, screen = explored(write(here / "a.csv", rows), *ALL)
    assert (found["rows"], found["rows_without_text"], found["songs"]) == (6, 2, 4)
    assert found["songs_equal_to_an_earlier_one"] == 1
    lengths = found["song_lengths"]
    assert [lengths[name] for name in ("min", "median", "mean", "max")] == [2, 4, 4, 6]
    assert sum(lengths["histogram"]["counts"]) == 4
    assert "2 rows without text skipped" in screen
    assert "ngram_bits" not in found
    assert "no held-out text" in screen


def test_held_out_songs_that_the_network_trains_on_are_counted():
    config = DataConfig()
    songs = Songs([f"song {number}" for number in range(20)], 0, "a.csv", is_one_text=False)
    part = draw_parts(20, "song(s)", "a.csv", config)
    trained, held_out = int(np.flatnonzero(part == 0)[0]), int(np.flatnonzero(part != 0)[0])
    assert song_statistics(songs, config)["held_out_songs_equal_to_a_training_song"] == 0
    songs.texts[held_out] = songs.texts[trained]
    found = song_statistics(songs, config)
    assert found["held_out_songs_equal_to_a_training_song"] == 1
    assert found["songs_equal_to_an_earlier_one"] == 1


def test_a_few_very_long_songs_do_not_squeeze_the_histogram():
    texts = ["a" * (100 + number) for number in range(300)] + ["a" * 50_000]
    lengths = song_statistics(Songs(texts, 0, "a.csv", is_one_text=False), DataConfig())["song_lengths"]
    assert lengths["max"] == 50_000
    assert lengths["histogram"]["longer"] == 301 - sum(lengths["histogram"]["counts"])
    assert 1 <= lengths["histogram"]["longer"] <= 3
    assert lengths["histogram"]["edges"][-1] < 500


def test_the_text_its_vocabulary_and_a_one_hot_vector(here):
    found, _, screen = explored(write(here / "a.csv", [("A", "ba\n"), ("B", "cab")]), *ALL, "--data.separator", "##")
    assert found["beginning"] == "ba\n##cab"
    expected = [("\n", 1), ("#", 2), ("a", 2), ("b", 2), ("c", 1)]
    assert found["vocabulary"] == [{"id": i, "character": c, "count": n} for i, (c, n) in enumerate(expected)]
    assert found["ids"] == 6
    assert found["example"] == {"id": 3, "character": "b"}
    assert "[0 0 0 1 0 0]" in screen
    assert "5 any other character" in screen


def test_the_first_rows_are_shown(here):
    found, _, screen = explored(write(here / "a.csv", many(9)))
    assert found["first_rows"] == [{"artist": "A", "text": f"song {number} la la\n"} for number in range(5)]
    assert "song 4 la la↵" in screen


def test_the_bar_is_that_of_the_networks_own_split(here):
    write_songs(here / "songs.csv", count=30)
    found, _, screen = explored(here / "songs.csv", "--data.split_seed", "3")
    corpus = load_corpus(DataConfig(path="songs.csv", split_seed=3))
    assert found["ngram_bits"] == held_out_bits(corpus.ids, len(corpus.vocabulary))
    assert found["vocabulary"][5]["character"] == corpus.vocabulary.characters[5]
    best = found["best_order"]
    assert found["ngram_bits"]["validation"][best] == min(found["ngram_bits"]["validation"].values())
    line = next(line for line in screen.splitlines() if "the bar to pass" in line)
    assert f"{found['ngram_bits']['test'][best]:.4f}" in line


def test_without_an_artist_column_the_artists_are_left_out(here):
    found, pictures, screen = explored(write(here / "a.csv", [(t,) for _, t in many(20)], ["text"]))
    assert "artists" not in found
    assert pictures == PICTURES - {"artists.png"}
    assert "artists are left out: there is no column 'artist', only 'text'" in screen


def test_the_artist_column_has_any_name_and_may_be_empty(here):
    path = write(here / "a.csv", many(20), ["band", "text"])
    assert explored(path, "--artist_column", "band")[0]["songs_of_artist"] == {"A": 20}
    _, _, screen = explored(write(here / "b.csv", many(20, "")))
    assert "the column 'artist' is empty" in screen


def test_a_plain_text_has_no_songs(here):
    (here / "a.txt").write_text("la la\nlo lo\n" * 20)
    found, pictures, screen = explored(here / "a.txt")
    assert "rows" not in found
    assert pictures == {"characters.png", "ngrams.png"}
    assert "song figures are left out" in screen
    assert found["characters_in"] == {"train": 192, "validation": 24, "test": 24}


def test_a_text_of_few_characters(here):
    (here / "a.txt").write_text("ab")
    found, _, _ = explored(here / "a.txt", *ALL)
    assert [entry["count"] for entry in found["vocabulary"]] == [1, 1]
    (here / "b.txt").write_text("ab\n" * 10)
    assert set(explored(here / "b.txt")[0]["ngram_bits"]) == {"validation", "test"}


@pytest.mark.filterwarnings("error")  # of a font without such letters
def test_letters_of_any_script_and_signs_that_move_the_cursor(here):
    letters = [chr(0x4E00 + number) for number in range(3_000)]
    rows = [("愛 \x1b[2J", f"é愛\U0001f3b5\x1b[2J{''.join(letters[60 * i : 60 * i + 60])}\n") for i in range(50)]
    found, pictures, screen = explored(write(here / "a.csv", rows))
    assert pictures == PICTURES
    assert "\x1b" not in screen
    assert "愛" in screen
    assert found["highest_order"] == len(found["ngram_bits"]["test"]) - 1 == 4
    assert "higher orders are left out" in screen


def test_the_bundled_songs(here):
    screen = printed(call(explore.main, "--run.root", "elsewhere"))
    directory = here / "elsewhere" / "explore-bundled"
    assert {file.name for file in directory.iterdir()} == PICTURES | {"explore.json"}
    assert screen.splitlines()[-1].startswith("elsewhere/explore-bundled has explore.json")
    found = json.loads((directory / "explore.json").read_text(encoding="utf-8"))
    vocabulary = Vocabulary("".join(entry["character"] for entry in found["vocabulary"]))
    assert vocabulary == load_corpus(DataConfig()).vocabulary
    assert found["ngram_bits"]["validation"]["5"] < found["ngram_bits"]["validation"]["3"] < 2.5


def test_what_cannot_be_read_or_written_is_one_line(here, subtests):
    for name, content in (("a.csv", "artist,text\nA,\n"), ("b.csv", "a,b\n1,2\n"), ("a.txt", "la la\nlo lo\n" * 20)):
        (here / name).write_text(content)
    cases = [
        (["--data.path", "none.csv"], "there is no file"),
        (["--data.path", "a.csv"], "has a text"),
        (["--data.path", "b.csv"], "'text'"),
        (["--data.path", "a.txt", "--out", "a.txt"], "--out"),
    ]
    check_refusals(subtests, explore.main, cases)
