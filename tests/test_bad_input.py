"""What a user can mend is told in one line, with exit code 2, and nothing already saved is lost."""

import importlib
import io
from pathlib import Path

import jax
import pytest
from command import TINY, call, door, message, write_songs

from rnnjax import cli, train
from rnnjax.config import Config, DataConfig, ModelConfig, RunConfig, SamplingConfig, TrainingConfig
from rnnjax.run.directory import RunDirectory


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_songs(tmp_path / "songs.csv")
    return tmp_path


def refused(*arguments):
    """The line with which training is refused, before it has made anything."""
    line = message(call(train.main, *TINY, *arguments))
    assert not Path("runs").exists()
    return line


def test_a_missing_file(here):
    assert "there is no file nowhere.csv" in refused("--data.path", "nowhere.csv")


def test_a_directory_for_a_file(here):
    assert "is a directory" in refused("--data.path", str(here))


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_an_empty_file(here, name):
    (here / name).touch()
    assert f"{name} is empty" in refused("--data.path", name)


@pytest.mark.parametrize("content", ["\n\n", "text\n", "text\n\n\n", "text,b\n,1\n"])
def test_a_csv_without_a_text(here, content):
    (here / "a.csv").write_text(content)
    assert "a.csv" in refused("--data.path", "a.csv")


def test_a_csv_without_the_text_column(here):
    (here / "a.csv").write_text("artist,lyrics\nme,la\n")
    line = refused("--data.path", "a.csv")
    assert "'text'" in line
    assert "'artist', 'lyrics'" in line


def test_a_csv_cut_off_inside_a_quoted_field(here):
    (here / "a.csv").write_text('text\n"one\ntwo"\n"three\nfo')
    assert "cut off inside a quoted field" in refused("--data.path", "a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_bytes_that_are_not_utf_8(here, name):
    (here / name).write_bytes(b"text\n" + b"la la la\n" * 1000 + b"caf\xe9\n")
    line = refused("--data.path", name)
    assert "not UTF-8" in line
    assert "0xe9" in line


def test_a_text_too_short_for_its_batches(here):
    line = refused("--training.batch_size", "100", "--training.sequence_length", "100")
    assert "too short for training.batch_size 100 x training.sequence_length 100" in line


def test_too_few_songs_to_hold_some_out(here):
    write_songs(here / "two.csv", count=2)
    assert "too few to hold out" in refused("--data.path", "two.csv")


def test_an_unknown_field_on_the_command_line(here):
    assert "model.hidden_size" in refused("--model.hiden_size", "4")


@pytest.mark.parametrize(
    ("content", "nearest"),
    [
        ("model:\n  hiden_size: 4\n", "model.hidden_size"),
        ("optimizer:\n  learning_rte: 0.1\n", "optimizer.learning_rate"),
        ("trainin:\n  steps: 4\n", "training.steps"),
    ],
)
def test_an_unknown_field_in_a_file(here, content, nearest):
    (here / "c.yaml").write_text(content)
    assert f"did you mean {nearest}?" in refused("--config", "c.yaml")


@pytest.mark.parametrize(
    "content",
    [
        *("", "model: {", "model:\n\t- a", "- a\n- b\n", "just words", "\x00", "a: b: c"),
        *("model: 4\n", "model:\n", "model: [1]\n", "model: null\n", "training:\n  steps: null\n"),
    ],
)
def test_a_malformed_config_file(here, content):
    (here / "c.yaml").write_text(content)
    refused("--config", "c.yaml")


def test_a_key_that_a_config_file_gives_twice(here):
    (here / "c.yaml").write_text("model: {cell: lstm, hidden_size: 8}\ntraining:\n  steps: 3\nmodel: {layers: 2}\n")
    assert "c.yaml: model is given on line 1 and again on line 4" in refused("--config", "c.yaml")
    (here / "c.yaml").write_text("training:\n  steps: 3\n  seed: 1\n  steps: 4\n")
    assert "training.steps is given on line 2 and again on line 4" in refused("--config", "c.yaml")
    (here / "s.yaml").write_text("axes:\n  grid:\n    model.leak: [0.5]\n    model.leak: [0.25]\n")
    line = message(call(door_of("ablate"), "--config", "s.yaml"))
    assert "axes.grid.model.leak is given on line 3 and again on line 4" in line


def test_a_config_file_that_is_empty_or_nested_too_deep(here):
    (here / "c.yaml").write_text("\n")
    assert "c.yaml: the YAML is empty" in refused("--config", "c.yaml")
    (here / "c.yaml").write_text("[" * 100_000)
    refused("--config", "c.yaml")


def test_a_screen_that_lacks_a_character(monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", screen)
    cli.prepare_screen()
    print("It\u2019s \udce9")
    screen.flush()
    assert screen.buffer.getvalue() == b"It?s ?\n"


def test_a_config_file_that_is_not_utf_8(here):
    (here / "c.yaml").write_bytes(b"run:\n  name: caf\xe9\n")
    assert "c.yaml is not UTF-8" in refused("--config", "c.yaml")


def test_a_config_file_of_one_field_is_good(here):
    (here / "c.yaml").write_text("training:\n  batch_size: 1000\n")
    assert "training.batch_size 1000" in message(call(train.main, "--data.path", "songs.csv", "--config", "c.yaml"))


def test_a_missing_config_file(here):
    assert "nowhere.yaml" in refused("--config", "nowhere.yaml")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model.hidden_size", "many"),
        ("model.hidden_size", "2.5"),
        ("optimizer.learning_rate", "fast"),
        ("model.activation", "sigmoid"),
        ("gradient.method", "guess"),
        ("run.tensorboard", "7"),
        ("run.platform", "abacus"),
    ],
)
def test_a_value_of_the_wrong_type(here, name, value):
    line = refused(f"--{name}", value)
    assert name in line
    assert value in line


@pytest.mark.parametrize(
    "name",
    [
        "model.hidden_size",
        "model.layers",
        "model.init_scale",
        "optimizer.learning_rate",
        "optimizer.clip_threshold",
        "training.steps",
        "training.batch_size",
        "training.sequence_length",
        "training.steps_per_dispatch",
        "training.log_every_steps",
        "sampling.length",
        "run.keep_checkpoints",
    ],
)
@pytest.mark.parametrize("value", ["0", "-3"])
def test_sizes_below_one(here, name, value):
    assert name in refused(f"--{name}={value}")


@pytest.mark.parametrize(
    "argument",
    [
        "--optimizer.learning_rate=nan",
        "--optimizer.learning_rate=inf",
        "--optimizer.weight_decay=nan",
        "--optimizer.final_learning_rate=inf",
        "--sampling.temperature=nan",
        "--data.validation_fraction=1.0",
        "--data.test_fraction=-0.1",
        "--data.test_fraction=nan",
        "--data.test_fraction=0.95",
        "--run.name=a/b",
        "--run.name=..",
        "--run.name=",
    ],
)
def test_a_value_out_of_its_range(here, argument):
    assert argument[2:].split("=")[0] in refused(argument)


def test_an_address_without_a_checksum(here):
    assert "data.sha256" in refused("--data.path", "https://127.0.0.1:1/songs.csv")


def started(here):
    """The config that TINY makes, pinned in runs/run."""
    config = Config(
        data=DataConfig(path="songs.csv"),
        model=ModelConfig(hidden_size=4),
        training=TrainingConfig(batch_size=2, sequence_length=5, steps_per_dispatch=7),
        sampling=SamplingConfig(length=20),
        run=RunConfig(platform="cpu"),
    )
    with RunDirectory(here / "runs" / "run") as directory:
        directory.pin_config(config)
        directory.metrics.write_text('{"step": 1}\n')
    return here / "runs" / "run"


def contents(run):
    return {file.name: file.read_bytes() for file in run.rglob("*") if file.is_file()}


def test_a_changed_config_lists_the_differences_and_touches_nothing(here):
    run = started(here)
    before = contents(run)
    line = message(call(train.main, *TINY, "--model.hidden_size", "8", "--training.seed", "3"))
    assert "model.hidden_size: 4 -> 8" in line
    assert "training.seed: 0 -> 3" in line
    assert contents(run) == before


def test_a_damaged_config_of_a_run(here):
    run = started(here)
    (run / "config.yaml").write_text("model: {")
    assert "config.yaml is damaged" in message(call(train.main, *TINY))


def test_a_run_in_the_place_of_a_file(here):
    (here / "runs").write_text("mine")
    message(call(train.main, *TINY))
    assert (here / "runs").read_text() == "mine"


def test_a_second_process_on_the_same_run(here):
    with RunDirectory(here / "runs" / "run"):
        assert "another process" in message(door("train", *TINY, cwd=here))


@pytest.mark.parametrize(("platform", "sign"), [("tpu", "/dev/accel0"), ("cuda", "/proc/driver/nvidia/version")])
def test_a_platform_that_is_not_here(here, platform, sign):
    if Path(sign).exists():
        pytest.skip(f"there is {platform}")
    line = message(door("train", *TINY, "--run.platform", platform, cwd=here))
    assert f"run.platform: no {platform} here (" in line
    assert not (here / "runs").exists()


def test_a_wrong_config_in_a_process_of_its_own(here):
    assert "did you mean model.hidden_size?" in message(door("train", "--model.hiden_size", "4", cwd=here))


def test_a_full_disk():
    def full(_):
        raise OSError(28, "No space left on device", "runs/run/metrics.jsonl")

    line = message(call(full))
    assert "No space left on device" in line
    assert "metrics.jsonl" in line


def test_not_enough_memory():
    def greedy(_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 45000000000 bytes.\nin detail")

    line = message(call(greedy))
    assert "45000000000 bytes" in line
    assert "lower training.batch_size" in line


@pytest.mark.parametrize("error", [ZeroDivisionError(), RuntimeError("INTERNAL: a fault")])
def test_a_fault_of_our_own_is_not_hidden(error):
    def broken(_):
        raise error

    with pytest.raises(type(error)):
        call(broken)


def door_of(name):
    module = importlib.import_module(f"rnnjax.{name}")
    return module.main if hasattr(module, "main") else importlib.import_module(f"{module.__name__}.__main__").main


def test_a_sample_of_a_run_that_does_not_exist(here):
    started(here)
    line = message(call(door_of("sample"), "--run", "runs/other"))
    assert "runs/other" in line
    assert "run" in line.split("has ")[-1]


def test_a_sample_of_a_run_without_a_checkpoint(here):
    run = started(here)
    (run / "vocabulary.json").write_text('{"characters": "ab"}')
    assert "no checkpoint" in message(call(door_of("sample"), "--run", str(run)))


@pytest.mark.parametrize(
    "argument",
    ["--length=0", "--num=0", "--temperature=-1", "--temperature=nan", "--top-k=-1", "--top-k=x", "--lenth=3"],
)
def test_a_sample_with_a_wrong_argument(here, argument):
    message(call(door_of("sample"), "--run", str(started(here)), argument))


@pytest.mark.parametrize("door_name", ["train", "sample", "compare", "explore"])
def test_help_is_no_error(here, door_name):
    answer = call(door_of(door_name), "--help")
    assert answer.code == 0
    assert "usage" in answer.stdout
    assert not answer.stderr


def test_a_comparison_of_a_config_that_does_not_exist(here):
    assert "nowhere.yaml" in message(call(door_of("compare"), "--config", "nowhere.yaml"))
