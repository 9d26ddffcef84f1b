"""Songs from files: tables, texts, archives, encodings and addresses; and one line for what cannot be read."""

import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import threading
import zipfile

import pandas as pd
import pytest

from rnnjax.config import DataConfig
from rnnjax.data.songs import read_songs
from rnnjax.errors import UserError


def read(path, content, **config):
    path.write_bytes(content)
    return read_songs(DataConfig(path=str(path), **config))


def test_a_csv_needs_only_its_text_column(tmp_path):
    assert read(tmp_path / "a.csv", b"text\none\ntwo\n").texts == ["one", "two"]


def test_the_text_column_has_any_name(tmp_path):
    songs = read(tmp_path / "a.csv", b"id,lyrics\n1,one\n2,two\n", text_column="lyrics")
    assert songs.texts == ["one", "two"]


def test_rows_without_text_are_skipped_and_counted(tmp_path):
    songs = read(tmp_path / "a.csv", b'artist,text\na,one\nb,\nc,""\nd\ne,two\n')
    assert (songs.texts, songs.skipped) == (["one", "two"], 3)


def test_words_that_pandas_takes_for_missing_are_text(tmp_path):
    assert read(tmp_path / "a.csv", b"text\nNA\nnull\nnan\n1\n").texts == ["NA", "null", "nan", "1"]


def test_a_plain_text_is_one_text(tmp_path):
    songs = read(tmp_path / "a.txt", b"text\none, two\n")
    assert (songs.texts, songs.is_one_text) == (["text\none, two\n"], True)


@pytest.mark.parametrize("suffix", ["csv", "txt"])
def test_a_byte_order_mark_is_no_character(tmp_path, suffix):
    assert read(tmp_path / f"a.{suffix}", b"\xef\xbb\xbftext\nh\xc3\xa9\n").texts[0] in ("hé", "text\nhé\n")


@pytest.mark.parametrize("suffix", ["csv", "txt"])
def test_windows_line_ends_become_unix_ones(tmp_path, suffix):
    texts = read(tmp_path / f"a.{suffix}", b'text\r\n"one\r\ntwo"\r\n').texts
    assert "\r" not in texts[0]
    assert "one\ntwo" in texts[0]


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A file behind an http address, a fresh cache, and a way to stop the server."""
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "web").mkdir()
    content = b"text\none\ntwo\n"
    (tmp_path / "web" / "songs.csv").write_bytes(content)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "web"))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop():
        server.shutdown()
        server.server_close()

    yield f"http://127.0.0.1:{server.server_port}/songs.csv", hashlib.sha256(content).hexdigest(), stop
    stop()


def test_an_address_is_fetched_once(served):
    address, sha256, stop = served
    assert read_songs(DataConfig(path=address, sha256=sha256)).texts == ["one", "two"]
    stop()
    assert read_songs(DataConfig(path=address, sha256=sha256)).texts == ["one", "two"]


def test_an_address_needs_the_right_checksum(served):
    address, sha256, stop = served
    with pytest.raises(UserError, match="sha256 must give the checksum"):
        read_songs(DataConfig(path=address))
    with pytest.raises(UserError, match="does not match"):
        read_songs(DataConfig(path=address, sha256="0" * 64))
    with pytest.raises(UserError, match="cannot fetch"):
        read_songs(DataConfig(path=address + ".gone", sha256=sha256))
    stop()
    with pytest.raises(UserError, match="cannot fetch"):
        read_songs(DataConfig(path=address, sha256=sha256))


def test_a_comma_at_the_end_of_every_row_shifts_no_column(tmp_path):
    (tmp_path / "a.csv").write_text("artist,text\nx,la la,\ny,lo lo,\n")
    assert read_songs(DataConfig(path=str(tmp_path / "a.csv"))).texts == ["la la", "lo lo"]


def test_rows_longer_than_the_header_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("artist,text\nx,la la,1\ny,lo lo,2\n")
    with pytest.raises(UserError, match="more fields"):
        read_songs(DataConfig(path=str(tmp_path / "a.csv")))


RECORDS = [{"artist": "me", "text": "la\tla"}, {"artist": "you", "text": "NA"}, {"artist": "they", "text": None}]


BY_COLUMN = {name: [row[name] for row in RECORDS] for name in ("artist", "text")}


TABLES = [
    ("a.tsv", b'artist\ttext\nme\t"la\tla"\nyou\tNA\nthey\t\n'),
    ("a.csv", b'artist;text\nme;"la\tla"\nyou;NA\nthey;\n'),
    ("a.csv", b'artist, text\nme, "la\tla"\nyou, NA\nthey,\n'),
    ("a.txt", b'artist,text\nme,"la\tla"\nyou,NA\nthey,\n'),
    ("a.csv.gz", gzip.compress(b"text\nla\tla\nNA\n\n")),
    ("a.json", json.dumps(RECORDS).encode()),
    ("songs", json.dumps(RECORDS).encode()),
    ("a.json", json.dumps({"version": 3, "songs": RECORDS}).encode()),
    ("a.json", json.dumps(BY_COLUMN).encode()),
    ("a.json", json.dumps({name: dict(enumerate(column)) for name, column in BY_COLUMN.items()}).encode()),
    ("a.json", json.dumps(dict(enumerate(RECORDS))).encode()),
    ("a.json", json.dumps({"columns": ["text"], "data": [["la\tla"], ["NA"]]}).encode()),
    *((name, "\n".join(map(json.dumps, RECORDS)).encode()) for name in ("a.jsonl", "a.json", "a.txt")),
    ("a.jsonl", json.dumps(RECORDS).encode()),
]


TEXTS = [
    b"Well, text\nand more\n",
    b"artist,text\nis, what, I, sing\n",
    b"[Chorus]\nla la\n",
    b'{"a": 1}\n',
    b"[1, 2]\n",
]


def test_songs_are_told_apart_in_every_table(tmp_path, subtests):
    for number, (name, content) in enumerate(TABLES):
        with subtests.test(number=number, name=name):
            assert read(tmp_path / name, content).texts == ["la\tla", "NA"]


def test_a_text_that_looks_like_a_table_is_a_text(tmp_path):
    for content in TEXTS:
        assert read(tmp_path / "a.txt", content).texts == [content.decode()]


def test_a_parquet_file_and_a_zip(tmp_path):
    pd.DataFrame(RECORDS).to_parquet(tmp_path / "a.parquet")
    assert read_songs(DataConfig(path=str(tmp_path / "a.parquet"))).texts == ["la\tla", "NA"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("songs.csv", "text\none\ntwo\n")
    assert read_songs(DataConfig(path=str(tmp_path / "a.zip"))).texts == ["one", "two"]
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("more.csv", "text\n")
    with pytest.raises(UserError, match="archive of 2 files"):
        read_songs(DataConfig(path=str(tmp_path / "a.zip")))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_unicode_is_read(tmp_path, encoding):
    text = "It\u2019s late, caf\u00e9. " * 20
    assert read(tmp_path / "a.txt", text.encode(encoding)).texts == [text]


def test_a_few_control_characters_are_kept_and_the_end_of_a_dos_file_is_not(tmp_path):
    assert read(tmp_path / "a.txt", b"la \x07 lo li\n" * 2 + b"lu " * 99 + b"\x1a").texts[0].startswith("la \x07 lo")
    assert read(tmp_path / "a.csv", b"text\r\nla\r\nlo\r\n\x1a").texts == ["la", "lo"]
    assert read(tmp_path / "b.txt", b"[Chorus]\n{la}\n").is_one_text


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", content)
    return file.getvalue()


FRENCH = "\u00c7a va? D\u00e9j\u00e0 vu, \u00e9l\u00e8ve.\n" * 50


RUSSIAN = "Привет, мир! Это песня о любви.\n"


JAPANESE = "いろはにほへと ちりぬるを わかよたれそ つねならむ\n" * 9
UNREADABLE = [
    ("a.txt", "It\u2019s late, na\u00efve caf\u00e9 \u2026 ".encode("cp1252") * 300, "cp1252 .* sure.*It\u2019s late"),
    ("a.txt", "It\u2019s late and I can\u2019t sleep\n".encode("cp1252") * 9, "cp1252 .* sure.*It\u2019s late"),
    ("a.txt", FRENCH.encode("latin-1"), "cp1252 .* sure.*\u00c7a va"),
    ("a.txt", 80 * RUSSIAN.encode("koi8-r"), "koi8_r .* sure.*iconv -f koi8-r"),
    ("a.txt", FRENCH.encode()[:-3] + b"\xc3", "cut off within its last character"),
    ("a.txt", FRENCH.encode() + b"\xff\n" + FRENCH.encode(), "is UTF-8, but has other bytes"),
    ("a.txt", b"%PDF-1.7 ...", "a PDF document"),
    ("a.csv", b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    ("a.gz", gzip.compress(b"a".ljust(257, b"\0") + b"ustar"), "a tar archive"),
    ("a.gz", gzip.compress(gzip.compress(b"la")), "compressed twice"),
    ("a.txt.gz", gzip.compress(b"la" * 999)[:-9], "damaged gzip"),
    ("a.json", b'[{"text": "la"}, {"te', "no whole JSON"),
    ("a.json", b'[{"text": 3}]', "has a int in 'text'"),
    ("a.jsonl", b'{"text": "\\ud800"}', "half a character"),
    ("a.json", b"[" * 100_000, "nested too deep"),
    ("a.parquet", b"text\nla\n", "is not a parquet file"),
    *(("a.txt", content, "U.0000") for content in (b"a\0b" * 99, b"abc\0def\n" * 99)),
    ("a.csv", b"text,b,text\n,1,la\n", "2 columns 'text'"),
    ("a.csv", b"text,b\nla,1\nlo,2,3,4\n", "more fields than its header"),
    ("a.csv", b"Artist,Text\nme,la\n", "did you mean 'Text'"),
    ("a.lz4", b"\x04\x22\x4d\x18d@", "compressed by lz4"),
    ("a.bin", b"\x01la\x02" * 90, r"50% of it are control characters, such as U\+0001"),
    ("a.txt", JAPANESE.encode("shift_jis"), "cp932 .* sure.*いろは"),
    ("a.txt", JAPANESE.encode("euc_jp"), "euc_jis_2004 .* sure.*いろは.*iconv -f euc-jp"),
    ("a.txt", JAPANESE.encode("iso2022_jp"), "iso2022_jp, by its escapes; iconv -f iso-2022-jp"),
    ("a.json", b'[{"text": "la", "text": "lo"}]', "gives 'text' twice in one object"),
    ("a.jsonl", b'{"text": "li"}\n{"text": "la", "text": "lo"}\n', "gives 'text' twice in one object"),
    *(("a.json", content, "no list of songs") for content in (b"{}", b"[]", b"null", b"[null]")),
    ("a.zip", zipped(b"la\n" * 99)[:60] + zipped(b"la\n" * 99)[67:], "cannot be unpacked"),
    ("a.zip", b"PK\x05\x06" + b"\0" * 18, "archive of 0 files"),
]


def test_what_cannot_be_read_is_named(tmp_path, subtests):
    for name, content, said in UNREADABLE:
        with subtests.test(said=said), pytest.raises(UserError, match=said):
            read(tmp_path / name, content)


def test_what_is_no_plain_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path, said in (("/dev/null", "a pipe or a device"), (tmp_path / "pipe", "a pipe or a device"),
                       (tmp_path / "loop", "there is no file .*loop is a link to nothing")):  # fmt: skip
        with pytest.raises(UserError, match=said):
            read_songs(DataConfig(path=str(path)))


def test_what_spreadsheets_and_file_managers_add_is_no_text(tmp_path):
    assert read(tmp_path / "a.csv", b"sep=;\r\nartist;text\r\nme;la\r\n").texts == ["la"]
    songs = read(tmp_path / "a.json", b'[{"text": NaN}, {"text": "la"}]')
    assert (songs.texts, songs.skipped) == (["la"], 1)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name in ("songs/b.csv", "songs/.DS_Store", "__MACOSX/songs/b.csv"):
            archive.writestr(name, "text\nla\n")
    assert read_songs(DataConfig(path=str(tmp_path / "b.zip"))).texts == ["la"]


def test_line_ends_of_old_macs_become_unix_ones(tmp_path):
    for name in ("a.csv", "a.txt"):
        assert "one\ntwo" in read(tmp_path / name, b'text\n"one\rtwo"\n').texts[0]
