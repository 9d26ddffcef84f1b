"""Data that a property-based tester makes up: damaged files, tables in every dialect, arrays, and what is no file."""

import csv
import gzip
import io
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as made

from benchmarks.faults.count import Count
from benchmarks.faults.doors import Answer, door
from benchmarks.faults.fuzz import made_up, only_prepare
from benchmarks.faults.subject import RUN
from rnnjax.config.task import SERIES

MEANT = "taken, or exit code 2 and one line"

TASKS = st.sampled_from(("text", "many_to_one", "many_to_many", "one_to_many", *SERIES))


def fuzz_bytes(examples: int, number: int) -> Count:
    """Makes up data files: good ones of several formats with some bytes changed, or any bytes."""
    good = {
        ".csv": b"artist,text\n" + b'a,"la sun moon\nriver"\n' * 40,
        ".txt": b"la sun moon\n" * 60,
        ".tsv": b"artist\ttext\n" + b"a\tla sun moon\n" * 40,
        ".json": b'[{"text": "la sun moon"}, ' * 3 + b'{"text": "la"}]',
        ".gz": gzip.compress(b"la sun moon\n" * 60),
        ".zip": zipped("songs.csv", b"text\n" + b"la sun moon\n" * 40),
        ".npz": arrays(x=np.sin(np.arange(400.0))[None, :, None]),
    }
    changes = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4), st.integers(0, 9)), max_size=4)
    files = st.tuples(st.sampled_from(sorted(good)), changes, st.one_of(st.none(), st.binary(max_size=200)))

    def start(parts: tuple[str, list, bytes | None], place: Path) -> tuple[Answer, str]:
        ending, cuts, other = parts
        content = good[ending] if other is None else other
        for share, new, lost in cuts:
            at = int(share * len(content))
            content = content[:at] + new + content[at + lost :]
        return read(place, f"made{ending}", content, "forecasting" if ending == ".npz" else "text")

    return made_up(Count("a data file with made-up bytes", MEANT), files, start, examples, number)


def fuzz_tables(examples: int, number: int) -> Count:
    """Makes up tables: any separators, line ends, quotes, encodings and archives, and fields that people have."""
    odd = ["", "nan", "NA", "1,5", "1.5", "1e999", "2024-01-01", "∞", "-", '"', "'", "#N/A", "١٢", "la\nlo", "\u2028"]
    fields = st.one_of(st.integers(-99, 99).map(str), st.sampled_from(odd), st.text(max_size=6))
    rows = st.lists(st.lists(fields, max_size=4) | st.lists(fields, min_size=2, max_size=2), max_size=30)
    rows = rows | st.just([["me", "la sun"], ["you", "moon; oh, la"]]) | st.just([["1", "2"], ["3", "4"]])
    names = st.lists(st.sampled_from(["text", "artist", "x", "y", "", "y", "id", "date", "x,y"]), max_size=4)
    names = names | st.just(["artist", "text"]) | st.just(["x", "y"])
    dialects = st.tuples(
        st.sampled_from(",;\t| "),
        st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
        st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "koi8-r", "shift_jis"]),
        st.sampled_from([".csv", ".tsv", ".txt", ".dat", ".csv.gz", ".zip", ""]),
    )

    def start(parts: tuple, place: Path) -> tuple[Answer, str]:
        header, body, times, (separator, end, quotes, encoding, ending), task = parts
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=quotes)
        writer.writerows([header, *body * times])
        content = text.getvalue().encode(encoding, "replace")
        content = gzip.compress(content) if ending.endswith(".gz") else content
        return read(place, f"made{ending}", zipped("a.csv", content) if ending == ".zip" else content, task)

    tables = st.tuples(names, rows, st.sampled_from([1, 20]), dialects, TASKS)
    return made_up(Count("a made-up table", MEANT), tables, start, examples, number)


def fuzz_arrays(examples: int, number: int) -> Count:
    """Makes up .npz files: arrays of any type and shape under the names that are read, and under others."""
    scalars = st.one_of(made.scalar_dtypes(), made.unicode_string_dtypes(max_len=3), made.array_dtypes(max_size=2))
    shapes = st.one_of(made.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9), st.just((12, 20, 1)))
    few = st.tuples(scalars, shapes).flatmap(lambda kind: made.arrays(*kind, fill=st.nothing()))
    series, classes = st.just(np.sin(np.arange(240.0)).reshape(12, 20, 1)), st.just(np.arange(12) % 3)
    near = st.fixed_dictionaries(
        {"x": series}, optional={"y": classes | few, "lengths": st.just(np.full(12, 20)) | few}
    )
    names = st.sampled_from(["x", "x", "x", "y", "lengths", "arr_0", "x.npy", ""])
    files = st.tuples(near | st.dictionaries(names, few, max_size=3), st.sampled_from(sorted(SERIES)))

    def start(parts: tuple[dict[str, np.ndarray], str], place: Path) -> tuple[Answer, str]:
        return read(place, "made.npz", arrays(**parts[0]), parts[1])

    return made_up(Count("a made-up .npz", MEANT), files, start, examples, number)


def fuzz_places(examples: int, number: int) -> Count:
    """Makes up what stands where a file is to be read: folders, links, pipes, devices, files that may not be read."""
    places: dict[str, Callable[[Path], Any]] = {
        "a folder": Path.mkdir,
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to nothing": lambda path: path.symlink_to("nowhere"),
        "a link to a folder": lambda path: path.symlink_to("."),
        "a link to a file": lambda path: path.symlink_to("songs.csv"),
        "a pipe": os.mkfifo,
        "a device": lambda path: path.symlink_to("/dev/zero"),
        "nothing in a device": lambda path: path.symlink_to("/dev/null"),
        "an empty file": Path.touch,
        "nothing": lambda path: None,
        "a folder with files": lambda path: (path.mkdir(), (path / "songs.csv").write_text("text\nla\n")),
    }
    options = st.sampled_from(["--data.path", "--config", "--run.init_from", "--run.root", "--model.cell"])
    suffixes = st.sampled_from(["", ".csv", ".npz", ".yaml", ".py:cell"])

    def start(parts: tuple[str, str, str, str], place: Path) -> tuple[Answer, str]:
        kind, option, suffix, task = parts
        path = place / f"made{suffix.partition(':')[0]}"
        clear(path)
        places[kind](path)
        arguments = [*RUN, "--task.name", task, option, f"made{suffix}"]
        answer = door("train", *arguments, cwd=place, before=only_prepare)
        clear(path)
        return answer, f"{option} made{suffix}, {kind}, {task}"

    made_places = st.tuples(st.sampled_from(sorted(places)), options, suffixes, TASKS)
    # A config may come out of a pipe, as from <(command): its reader waits for its writer.
    made_places = made_places.filter(lambda parts: parts[:2] != ("a pipe", "--config"))
    return made_up(Count("a place that is no plain file", MEANT), made_places, start, examples, number)


def clear(path: Path) -> None:
    """Removes what stands at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read(place: Path, name: str, content: bytes, task: str) -> tuple[Answer, str]:
    """Lets `train` read a data file. Returns the answer, and the example in words."""
    (place / name).write_bytes(content)
    columns = ["--data.targets", "y"] if task in SERIES and not name.endswith(".npz") else []
    arguments = [*RUN, "--task.name", task, *columns, "--data.path", name]
    return door("train", *arguments, cwd=place, before=only_prepare), f"{task} {name} {content[:90]!r}"


def arrays(**named: np.ndarray) -> bytes:
    """Content of a .npz file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in named.items():
            with archive.open(f"{name}.npy", "w") as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a newer version of the format
                np.lib.format.write_array(file, array)
    return content.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    """A zip archive of one file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, data)
    return content.getvalue()
