"""From files to ids: reading, splitting, encoding, folding."""

import functools
import itertools
import lzma
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnjax.config import DataConfig
from rnnjax.data import novelty
from rnnjax.data.corpus import load_corpus
from rnnjax.data.novelty import longest_copied
from rnnjax.data.songs import Songs, read_table
from rnnjax.data.split import split_songs
from rnnjax.data.streams import fold_into_streams
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.errors import UserError
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.loss import cross_entropy, weighted_mean
from rnnjax.model.network import Batch, Model, zero_carry
from rnnjax.model.rnn import apply
from rnnjax.training.evaluation import WINDOW, fold, make_evaluate
from rnnjax.training.step import window_at
from rnnjax.training.windows import share_read, window_start

ALL = {"validation_fraction": 0.0, "test_fraction": 0.0}


def test_the_summary_tells_of_skipped_rows(tmp_path):
    (tmp_path / "a.csv").write_text("artist,text\na,one\nb,\n")
    assert "1 rows without text skipped" in load_corpus(DataConfig(path=str(tmp_path / "a.csv"), **ALL)).summary


def songs_of(texts):
    return Songs(texts, 0, "a.csv", is_one_text=False)


def test_songs_are_joined_with_the_separator():
    songs = songs_of(["one", "two", "three"])
    assert split_songs(songs, DataConfig(**ALL)) == ("one, two, three", "", "")
    assert split_songs(songs, DataConfig(separator="\n--\n", **ALL)).train == "one\n--\ntwo\n--\nthree"


def test_every_song_is_whole_in_one_part_and_in_order():
    for count in [3, 10, 57]:
        texts = [f"<{number}>" for number in range(count)]
        parts = [part.split("|") for part in split_songs(songs_of(texts), DataConfig(separator="|"))]
        assert sorted(itertools.chain(*parts)) == sorted(texts)
        assert [len(part) for part in parts[1:]] == [max(1, round(count / 10))] * 2
        for part in parts:
            assert part == sorted(part, key=texts.index)


def test_the_split_follows_from_its_seed():
    songs = songs_of([str(number) for number in range(50)])
    split = [split_songs(songs, DataConfig(split_seed=seed)) for seed in (0, 0, 1)]
    assert split[0] == split[1] != split[2]


def test_too_few_songs_to_hold_any_out():
    with pytest.raises(UserError, match="too few to hold out"):
        split_songs(songs_of(["one", "two"]), DataConfig())


@given(
    st.text(alphabet="ab\n", min_size=1, max_size=60),
    st.sampled_from([(0, 0), (0.1, 0.1), (0.5, 0), (0, 0.3), (0.4, 0.5)]),
)
def test_a_plain_text_is_cut_with_nothing_lost(text, fractions):
    config = DataConfig(validation_fraction=fractions[0], test_fraction=fractions[1])
    assert "".join(split_songs(Songs([text], 0, "a.txt", is_one_text=True), config)) == text


def test_a_plain_text_is_cut_at_line_ends():
    text = "".join(f"line {number}\n" for number in range(40))
    parts = split_songs(Songs([text], 0, "a.txt", is_one_text=True), DataConfig())
    assert all(part.endswith("\n") for part in parts)
    assert all(abs(len(part) / len(text) - 0.1) < 0.03 for part in parts[1:])


def test_a_text_with_few_line_ends_is_cut_where_its_parts_end():
    for text in ["It was late. " * 700 + "\nThe end\nof it\n", "no line ends " * 700, "a\n" + "b" * 5000]:
        parts = split_songs(Songs([text], 0, "a.txt", is_one_text=True), DataConfig())
        assert [round(len(part) / len(text), 2) for part in parts] == [0.8, 0.1, 0.1]


def test_a_vocabulary_is_the_sorted_set_of_characters():
    vocabulary = Vocabulary.of("hello é\n")
    assert vocabulary.characters == "\n ehloé"
    assert (len(vocabulary), vocabulary.unknown) == (8, 7)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=30))
def test_encoding_is_the_plain_loop_and_decoding_its_inverse(text):
    vocabulary = Vocabulary.of("abc é\U0001f3b5")
    ids = vocabulary.encode(text)
    assert ids.tolist() == [vocabulary.characters.find(c) if c in vocabulary.characters else 6 for c in text]
    assert vocabulary.decode(ids) == "".join(c if c in vocabulary.characters else "\ufffd" for c in text)
    assert vocabulary.missing(text) == sorted({c for c in text if c not in vocabulary.characters})


def test_ids_take_the_smallest_integers():
    for size, dtype in [(1, np.uint8), (255, np.uint8), (256, np.uint16), (3000, np.uint16)]:
        text = "".join(chr(1000 + number) for number in range(size))
        vocabulary = Vocabulary.of(text)
        ids = vocabulary.encode(text + "a")
        assert ids.dtype == dtype
        assert ids.tolist() == [*range(size), vocabulary.unknown]


def test_held_out_characters_may_be_unknown_training_characters_never():
    songs = [f"common {chr(0x4E00 + number)}" for number in range(30)]
    text = split_songs(songs_of(songs), DataConfig())
    vocabulary = Vocabulary.of(text.train)
    assert vocabulary.unknown not in vocabulary.encode(text.train)
    assert np.sum(vocabulary.encode(text.test) == vocabulary.unknown) == 3


@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 40))
def test_streams_are_contiguous_and_no_target_wraps(batch_size, length, more):
    ids = np.arange(batch_size * length + 1 + more, dtype=np.uint16)
    streams = fold_into_streams(ids, batch_size, length)
    assert streams.shape == (batch_size, (len(ids) - 1) // batch_size + 1)
    assert np.all(np.diff(streams.astype(int), axis=1) == 1)
    assert np.all(streams[1:, 0] == streams[:-1, -1])
    assert len(ids) - 1 - streams.max() < batch_size
    assert streams.dtype == ids.dtype


def test_a_text_one_character_too_short_is_refused():
    assert fold_into_streams(np.arange(13), 3, 4).shape == (3, 5)
    with pytest.raises(UserError, match="need 13"):
        fold_into_streams(np.arange(12), 3, 4)


def test_windows_follow_each_other_and_start_anew_after_a_pass():
    streams = fold_into_streams(np.arange(24, dtype=np.int32), 2, 3)  # stretches of 11: three windows of 3, 2 left over
    for kind, shifts in (("fixed", (0, 0, 0, 0, 0)), ("shifted", (0, 2, 1, 0, 2))):
        at = jax.jit(functools.partial(window_at, jnp.asarray(streams), length=3, kind=kind))
        for step in range(15):
            batch, starts_pass = at(step=jnp.int32(step))
            first = 3 * (step % 3) + shifts[step // 3]
            np.testing.assert_array_equal(batch.x, streams[:, first : first + 3].T)
            np.testing.assert_array_equal(batch.y, streams[:, first + 1 : first + 4].T)
            assert bool(starts_pass) == (step % 3 == 0)


@given(st.sampled_from(("fixed", "shifted")), st.integers(1, 60), st.integers(1, 20), st.integers(1, 150))
def test_the_share_that_is_read_is_counted(kind, stretch, length, steps):
    length = min(length, stretch)
    starts = [int(window_start(step, stretch, length, kind)[0]) for step in range(steps)]
    read = {place for start in starts for place in range(start, start + length)}
    assert read <= set(range(stretch))
    assert share_read(steps, stretch, length, kind) == pytest.approx(len(read) / stretch)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40_000))
@example(2)
@example(3)
@example(WINDOW)
@example(WINDOW + 1)
@example(WINDOW + 2)
@example(4097)
@example(8192)
@example(8193)
@example(8194)
@example(300_001)
def test_the_held_out_text_is_read_whole_and_once(length):
    batch = fold(np.arange(length, dtype=np.int32))
    x, y, weight = (np.asarray(a) for a in batch[:3])
    assert np.array_equal(np.sort(x[weight]), np.arange(length - 1))
    np.testing.assert_array_equal(y, x + 1)
    for stream in range(x.shape[2]):
        read_by_one = x[..., stream].ravel()[weight[..., stream].ravel()]
        assert np.all(np.diff(read_by_one) == 1)
        assert weight[..., stream].ravel()[: len(read_by_one)].all()  # the padding comes last


def test_the_held_out_loss_of_one_stream_is_the_plain_loss():
    model = Model(vocabulary=5, hidden=4)
    params = init_params(jax.random.key(0), model, "orthogonal", 1.0, jnp.float32)
    ids = np.random.default_rng(0).integers(0, 5, 300).astype(np.uint8)
    batch = Batch(jnp.asarray(ids[:-1, None]), jnp.asarray(ids[1:, None]))
    _, logits = apply(model, params, Hyper(), zero_carry(model, (1,), jnp.float32), batch)
    assert float(make_evaluate(model)(params, Hyper(), fold(ids))) == pytest.approx(
        float(weighted_mean(cross_entropy(logits, batch.y))), rel=1e-5
    )


@given(st.text(alphabet="abc", max_size=14), st.text(alphabet="abc", max_size=20))
def test_the_longest_copied_stretch_is_the_brute_force_one(text, source):
    stretches = [text[i:j] for i in range(len(text)) for j in range(i, len(text) + 1) if text[i:j] in source]
    assert longest_copied(text, source) == max(stretches, key=len, default="")


@pytest.fixture(scope="module")
def bundled():
    return load_corpus(DataConfig())


def test_a_copy_of_repetitive_text_is_found():
    source = "la la la, and on " * 12_000
    assert longest_copied(source[5:4005] + "!", source) == source[5:4005]


def test_stretches_that_share_a_hash_are_told_apart():
    morse = "a"
    while len(morse) < 4096:  # of Thue and Morse: its halves share every polynomial hash modulo 2^64
        morse += morse.translate({97: 98, 98: 97})
    text, source = morse[2048:], "x" + morse[:2048] + "x"
    copied = longest_copied(text, source)
    assert copied in source
    assert not any(text[i : i + len(copied) + 1] in source for i in range(len(text) - len(copied)))


def test_the_bundled_corpus_has_the_textbook_columns():
    _, table = read_table(DataConfig())
    assert list(table.columns) == ["artist", "song", "link", "text"]
    assert len(table) >= 100
    assert table["artist"].nunique() >= 12
    assert not table.isna().any().any()
    assert not table.duplicated("text").any()
    assert not table.duplicated(["artist", "song"]).any()


def test_the_bundled_corpus_is_rich(bundled):
    text = ", ".join(bundled.songs.texts).encode()
    assert len(text) >= 100_000
    assert 8 * len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)) / len(text) >= 2.0


def test_the_bundled_corpus_has_enough_to_hold_out(bundled):
    assert all(len(text) > 5000 for text in bundled.text)
    assert bundled.songs.skipped == 0


def test_longest_copied_looks_past_the_edges_of_its_blocks(monkeypatch):
    monkeypatch.setattr(novelty, "BLOCK", 7)
    rng = random.Random(0)
    for _ in range(300):
        source, text = ("".join(rng.choices("ab", k=rng.randint(0, 60))) for _ in range(2))
        copied = novelty.longest_copied(text, source)
        lengths = (
            k for k in range(len(text), 0, -1) if any(text[i : i + k] in source for i in range(len(text) - k + 1))
        )
        assert copied in source
        assert len(copied) == next(lengths, 0)
