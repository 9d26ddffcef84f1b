"""A run's directory: its lock, its config, its metrics, its checkpoints, and a whole run through the command line."""

import contextlib
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from command import TINY, call, printed, read_rows, saved_arrays, write_songs
from test_checkpoints import files_of, flip
from test_metrics import covered

from rnnjax import loop, sample, train
from rnnjax.config import Config, DataConfig, ModelConfig, RunConfig, SamplingConfig
from rnnjax.data.corpus import load_corpus
from rnnjax.data.ngrams import held_out_bits
from rnnjax.errors import UserError
from rnnjax.figure import make_figure, write_figure
from rnnjax.files import write_whole
from rnnjax.run.directory import RunDirectory
from rnnjax.trained import load


def test_a_character_that_the_font_lacks_is_a_box_without_a_word(tmp_path, recwarn):
    figure = make_figure(2, 1)
    figure.suptitle("歌")
    write_figure(tmp_path / "a.png", figure)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert not [*recwarn]


def test_a_run_is_open_once(tmp_path):
    with RunDirectory(tmp_path / "run"):
        with pytest.raises(UserError, match="another process"), RunDirectory(tmp_path / "run"):
            pass
        with RunDirectory(tmp_path / "other"):
            pass
    with RunDirectory(tmp_path / "run"):
        pass


def test_a_field_younger_than_the_run_had_its_default(tmp_path):
    with RunDirectory(tmp_path / "run") as directory:
        directory.pin_config(Config())
        path = tmp_path / "run" / "config.yaml"
        fields = yaml.safe_load(path.read_text())
        del fields["model"]["leak"], fields["sampling"]
        path.write_text(yaml.safe_dump(fields))
        with pytest.raises(UserError, match=r"\(model\.leak: 0\.5 -> 0\.25\)"):
            directory.pin_config(Config(model=ModelConfig(leak=0.25)))
        directory.pin_config(Config())


def test_what_changes_no_number_may_change(tmp_path):
    with RunDirectory(tmp_path / "run") as directory:
        directory.pin_config(Config())
        directory.pin_config(Config(sampling=SamplingConfig(show_every_steps=7), run=RunConfig(root="elsewhere")))


def test_another_text_is_refused_and_other_versions_are_listed(tmp_path):
    with RunDirectory(tmp_path / "run") as directory:
        for version in ("1", "2", "2", "3"):
            directory.pin_data("aa", {"jax": version})
        written = json.loads((tmp_path / "run" / "environment.json").read_text())
        assert (written["jax"], [before["jax"] for before in written["earlier"]]) == ("3", ["1", "2"])
        with pytest.raises(UserError, match="the text is not the one"):
            directory.pin_data("bb", {"jax": "3"})


def test_a_file_is_replaced_whole(tmp_path, monkeypatch):
    write_whole(tmp_path / "a", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"


RUN = [
    *TINY,
    *("--training.steps", "30", "--training.log_every_steps", "5", "--training.eval_every_steps", "10"),
    *("--sampling.every_steps", "12", "--run.checkpoint_every_steps", "10", "--run.name", "tiny"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a tiny run that was trained to its end, and the command's answer."""
    place = tmp_path_factory.mktemp("place")
    write_songs(place / "songs.csv")
    with contextlib.chdir(place):
        answer = call(train.main, *RUN)
    assert answer.code == 0, answer.stderr
    return place, answer


def test_a_run_leaves_all_its_files(place):
    run = place[0] / "runs" / "tiny"
    files = {
        "config.yaml",
        "environment.json",
        "vocabulary.json",
        "metrics.jsonl",
        "result.json",
        "loss.png",
        "gradient_norm.png",
    }
    assert files <= {file.name for file in run.iterdir()}
    for picture in ("loss.png", "gradient_norm.png"):
        content = (run / picture).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 5000
    about = json.loads((run / "environment.json").read_text())
    assert about["packages"].keys() >= {"jax", "jaxlib", "optax"}
    assert "git_commit" in about
    assert about["platform"] == "cpu"


def test_samples_are_written_at_the_stated_steps(place):
    samples = sorted((place[0] / "runs" / "tiny" / "samples").iterdir())
    assert [file.name for file in samples] == ["00000000.txt", "00000012.txt", "00000024.txt"]
    assert all(len(file.read_text()) == 20 for file in samples)


def test_metrics_tell_of_every_step(place):
    rows = read_rows(place[0] / "runs" / "tiny")
    assert covered(rows) == [*range(1, 31)]
    keys = {"step", "window", "loss", "grad_norm", "clipped", "clipped_elements", "skipped", "learning_rate", "seconds"}
    assert all(keys <= row.keys() for row in rows)
    assert [row["step"] for row in rows if "validation_loss" in row] == [10, 20, 30]
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_the_result_holds_losses_and_a_song(place):
    run = place[0] / "runs" / "tiny"
    result = json.loads((run / "result.json").read_text())
    assert result.keys() >= {"step", "validation_loss", "test_loss", "song", "longest_copied"}
    best = min((row for row in read_rows(run) if "validation_loss" in row), key=lambda row: row["validation_loss"])
    assert result["step"] == best["step"]
    assert result["validation_loss"] == pytest.approx(best["validation_loss"], rel=1e-5)
    assert len(result["song"]) == 20
    assert result["longest_copied"] in result["song"]
    corpus = load_corpus(DataConfig(path=str(place[0] / "songs.csv")))
    assert result["ngram_bits"] == held_out_bits(corpus.ids, len(corpus.vocabulary))


def test_the_screen_says_what_where_and_how_well(place):
    first, *lines = place[1].stdout.splitlines()
    assert "cpu" in first
    assert "float32" in first
    assert "jax" in first
    assert "parameters" in first
    assert any("compiled" in line for line in lines)
    assert any(line.startswith("test loss") and "bits" in line for line in lines)
    assert sum("n-gram model" in line and "on the same text" in line for line in lines) == 2
    assert lines[-1].endswith("runs/tiny")


def test_nothing_is_compiled_during_a_run(tmp_path, monkeypatch):
    """Three chunks of different lengths, samples, evaluations and checkpoints lie between the two counts."""
    write_songs(tmp_path / "songs.csv")
    monkeypatch.chdir(tmp_path)
    compiled, counts = [], []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if name.endswith("backend_compile_duration") else None
    )

    def counted_after(function):
        def then_count(*arguments):
            result = function(*arguments)
            counts.append(len(compiled))
            return result

        return then_count

    monkeypatch.setattr(loop, "compile_together", counted_after(loop.compile_together))
    monkeypatch.setattr(loop, "learn", counted_after(loop.learn))
    periods = ["--training.eval_every_steps", "5", "--run.checkpoint_every_steps", "3", "--sampling.every_steps", "4"]
    printed(call(train.main, *TINY, *periods, "--training.steps", "16"))
    assert counts[0] >= 4
    assert counts[1] == counts[0]


def test_a_repeated_command_says_the_result_and_trains_no_more(place, monkeypatch):
    monkeypatch.chdir(place[0])
    run = place[0] / "runs" / "tiny"
    kept = {name: (run / name).read_bytes() for name in ("metrics.jsonl", "result.json")}
    screen = printed(call(train.main, *RUN))
    assert "compiled" not in screen
    assert screen.split("--- a song")[1] == place[1].stdout.split("--- a song")[1]
    assert {name: (run / name).read_bytes() for name in kept} == kept


def test_a_run_goes_on_from_before_a_damaged_checkpoint_and_says_so(place, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(place[0], tmp_path / "copy"))
    run = tmp_path / "copy" / "runs" / "tiny"
    (run / "result.json").unlink()
    for file in files_of(run / "checkpoints" / "30"):
        flip(file)
    answer = call(train.main, *RUN)
    assert answer.code == 0, answer.stderr
    assert "step 30 is damaged" in answer.stderr
    assert "going on from step 20" in answer.stdout
    assert (run / "damaged" / "30").is_dir()
    straight = place[0] / "runs" / "tiny"
    assert saved_arrays(run) == saved_arrays(straight)
    assert (run / "result.json").read_bytes() == (straight / "result.json").read_bytes()
    assert covered(read_rows(run)) == [*range(1, 31)]


@pytest.fixture
def write(place, monkeypatch):
    """Writes 30 characters with the tiny network; more arguments may follow."""
    monkeypatch.chdir(place[0])
    return lambda *more: call(sample.main, "--run", "runs/tiny", "--platform", "cpu", "--length", "30", *more)


def test_texts_follow_from_seed_and_number_alone(write):
    both = write("--prime", "la ", "--seed", "1", "--num", "2")
    assert both.code == 0, both.stderr
    first, second = (text.strip("\n") for text in both.stdout.split(" of 2 ---\n")[1:])
    first = first.removesuffix("\n\n--- 2")
    assert first.startswith("la ")
    assert len(first) == len("la ") + 30
    assert not second.startswith(first)
    alone, other = (write("--prime", "la ", "--seed", seed).stdout for seed in "12")
    assert alone.strip("\n") == first != other.strip("\n")
    assert "longest stretch" in both.stderr


def test_a_text_is_the_same_when_streamed(write):
    assert write("--seed", "1", "--num", "2", "--stream").stdout == write("--seed", "1", "--num", "2").stdout


def test_the_likeliest_of_one_is_temperature_zero(write):
    assert write("--temperature", "0").stdout == write("--top-k", "1").stdout


def test_a_text_begins_in_the_state_that_training_left(place, write):
    dtype, shape, held = saved_arrays(place[0] / "runs" / "tiny")[1]["carry.0"]
    trained = load("runs/tiny", "newest")
    state, text = (jnp.asarray(np.frombuffer(held, dtype).reshape(shape)[:1]),), ""
    ids = trained.vocabulary.song_start(", ")
    for _ in range(30):
        state, logits = trained.apply(ids[:, None], state)
        ids = np.argmax(logits[-1, :, :-1], axis=-1)
        text += trained.vocabulary.decode(ids)
    assert write("--temperature", "0", "--checkpoint", "newest").stdout == text + "\n"


def test_a_checkpoint_is_chosen_by_name_or_step(write):
    assert write("--checkpoint", "newest").stdout == write("--checkpoint", "30").stdout
    refused = write("--checkpoint", "7")
    assert refused.code == 2
    assert "newest, average, and steps" in refused.stderr
    assert "30" in refused.stderr


def test_more_text_than_hours_write_is_refused(write):
    for words in (("--num", "2000000000"), ("--length", "2147483647")):
        answer = write(*words)
        assert (answer.code, answer.stderr.count("\n")) == (2, 1)
        assert "which would take hours; at most 10,000,000" in answer.stderr


def test_a_prime_with_characters_that_the_network_never_saw_is_refused(write):
    answer = write("--prime", "la Q\u00e9")
    assert answer.code == 2
    assert answer.stderr.count("\n") == 1
    assert not answer.stdout
    assert "'Q', '\u00e9'" in answer.stderr
    assert "'a'" not in answer.stderr
