"""Faults that a user can mend are told in one line, with exit code 2, and nothing already saved is lost."""

from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import jax
import pytest
from command import TINY, begun_in, call, check_refusals, door, message, write_songs

from rnnjax import ablate, sample, train
from rnnjax.compare import __main__ as compare
from rnnjax.config import Config, memory
from rnnjax.errors import UserError
from rnnjax.run.config_file import as_begun, with_free_fields
from rnnjax.run.directory import RunDirectory
from rnnjax.tasks import make_task
from rnnjax.trained import read_config


@pytest.fixture
def here(here):
    write_songs(here / "songs.csv")
    return here


NOT_UTF_8 = b"text\n" + b"la la la\n" * 1000 + b"caf\xe9\n"
DATA = [
    ("a.csv", b"", "a.csv is empty"),
    ("a.txt", b"", "a.txt is empty"),
    *(("a.csv", content, "a.csv") for content in (b"\n\n", b"text\n", b"text\n\n\n", b"text,b\n,1\n")),
    ("a.csv", b"artist,lyrics\nme,la\n", "a.csv has no column 'text'; it has 'artist', 'lyrics'"),
    ("a.csv", b'text\n"one\ntwo"\n"three\nfo', "cut off inside a quoted field"),
    *((name, NOT_UTF_8, f"{name} is not UTF-8 (invalid continuation byte 0xe9 at byte") for name in ("a.csv", "a.txt")),
]
ALIASES = "".join(
    f"{name}: &{name} [*{before}, *{before}]\n" for before, name in pairwise("abcdefghijklmnopqrstuvwxyz")
)
CONFIGS = [
    ("model:\n  hiden_size: 4\n", "did you mean model.hidden_size?"),
    ("optimizer:\n  learning_rte: 0.1\n", "did you mean optimizer.learning_rate?"),
    ("trainin:\n  steps: 4\n", "did you mean training.steps?"),
    *((content, "") for content in ("", "model: {", "model:\n\t- a", "- a\n- b\n", "just words", "\x00", "a: b: c")),
    ("\n", "c.yaml: it is empty"),
    ("[1]", "c.yaml: '[1]' is neither a file nor a group of fields"),
    ("[" * 100_000, ""),
    (
        "model: {cell: lstm, hidden_size: 8}\ntraining:\n  steps: 3\nmodel: {layers: 2}\n",
        "c.yaml: model is given on line 1 and again on line 4",
    ),
    ("training:\n  steps: 3\n  seed: 1\n  steps: 4\n", "training.steps is given on line 2 and again on line 4"),
    *((content, "") for content in ("model: 4\n", "model:\n", "model: [1]\n", "model: null\n")),
    ("training:\n  steps: null\n", "training.steps is null"),
    ("gradient: {method: parallel}\n", "c.yaml: gradient.method: parallel is called parallel_scan now"),
    ("run:\n  name: caf\xe9\n", "c.yaml is not UTF-8"),
    ("model: &m {a: *m}\n", "keys and values once its aliases are written out"),
    (f"a: &a [1, 1]\n{ALIASES}model: *z\n", "keys and values once its aliases are written out"),
    ('run: {root: "a\\0b"}\n', "run.root is 'a\\x00b'"),
]
SIZES = [
    *("model.hidden_size", "model.layers", "model.init_scale", "optimizer.learning_rate", "optimizer.clip_threshold"),
    *("training.steps", "training.batch_size", "training.sequence_length", "training.steps_per_dispatch"),
    *("training.log_every_steps", "sampling.length", "run.keep_checkpoints"),
]
SHORTENED = [("model.hidden", "4"), ("training.step", "4"), ("model.cel", "gru")]
VALUES = [
    *(("model.hidden_size", value) for value in ("many", "2.5")),
    *(("optimizer.learning_rate", value) for value in ("fast", "nan", "inf")),
    *(("model.activation", "sigmoid"), ("gradient.method", "guess"), ("run.tensorboard", "7")),
    *(("run.platform", "abacus"), ("optimizer.weight_decay", "nan"), ("optimizer.final_learning_rate", "inf")),
    *(("sampling.temperature", "nan"), ("data.validation_fraction", "1.0")),
    *(("data.test_fraction", value) for value in ("-0.1", "nan", "0.95")),
    *(("run.name", value) for value in ("a/b", "..", "", " ")),
    *((name, value) for name in SIZES for value in ("0", "-3")),
]


def check_training_refusals(subtests, cases):
    check_refusals(subtests, train.main, [([*TINY, *arguments], line) for arguments, line in cases])


def test_data_that_cannot_be_trained_on(here, subtests):
    for name, content, line in DATA:
        (here / name).write_bytes(content)
        check_training_refusals(subtests, [(["--data.path", name], line)])
    write_songs(here / "two.csv", count=2)
    more = [
        (["--data.path", "nowhere.csv"], "there is no file nowhere.csv"),
        (["--data.path", "a\n\x1b[31mb.csv"], "there is no file a\\n\\x1b[31mb.csv"),
        (["--data.path", str(here)], "is a directory"),
        (["--data.path", "two.csv"], "too few to hold out"),
        (["--data.path", "https://127.0.0.1:1/songs.csv"], "data.sha256"),
        (
            ["--training.batch_size", "100", "--training.sequence_length", "100"],
            "too short for training.batch_size 100 x training.sequence_length 100",
        ),
    ]
    check_training_refusals(subtests, more)


def test_config_files(here, subtests):
    for content, line in CONFIGS:
        (here / "c.yaml").write_text(content, encoding="latin-1")
        check_training_refusals(subtests, [(["--config", "c.yaml"], line)])
    check_training_refusals(subtests, [(["--config", "nowhere.yaml"], "nowhere.yaml")])


def test_a_config_file_of_one_field_is_good(here):
    (here / "c.yaml").write_text("training:\n  batch_size: 1000\n")
    assert "training.batch_size 1000" in message(call(train.main, "--data.path", "songs.csv", "--config", "c.yaml"))


def test_a_key_that_a_study_gives_twice(here):
    (here / "s.yaml").write_text("axes:\n  grid:\n    model.leak: [0.5]\n    model.leak: [0.25]\n")
    line = message(call(ablate.main, "--config", "s.yaml"))
    assert "axes.grid.model.leak is given on line 3 and again on line 4" in line


def test_values_of_the_wrong_type_and_out_of_their_range(here, subtests):
    check_training_refusals(subtests, [([f"--{name}={value}"], name) for name, value in VALUES])
    check_training_refusals(subtests, [([f"--{name}={value}"], f"unknown field {name}") for name, value in SHORTENED])
    check_training_refusals(subtests, [(["--model.hidden_size=many"], "Got value: many")])
    check_training_refusals(subtests, [(["--model.hiden_size", "4"], "model.hidden_size")])


def test_every_integer_of_a_config_has_its_bounds(subtests):
    for section in fields(Config):
        make = section.default_factory
        for field in fields(make):
            if type(field.default) is not int:
                continue
            for value in (-(2**31) - 1, 2**31, 10**12, 10**30):
                with subtests.test(f"{section.name}.{field.name}", value=value), pytest.raises(UserError) as refused:
                    make(**{field.name: value})
                assert str(refused.value).startswith(f"{section.name}.{field.name} is {value}, but must be ")


LARGE = [
    ({"model": {"hidden_size": 10**9}}, "model.hidden_size"),
    ({"model": {"embedding_size": 10**9}}, "model.embedding_size"),
    ({"model": {"layers": 10**9}}, "model.layers is 1000000000, but must be at most 1,000"),
    ({"training": {"batch_size": 10**9}}, "training.batch_size"),
    ({"training": {"sequence_length": 10**9}}, "training.sequence_length"),
    ({"training": {"steps": 2**31 - 1, "steps_per_dispatch": 2**31 - 1}}, "training.steps_per_dispatch"),
    ({"run": {"devices": 10**9}}, "run.devices is 1000000000, but must be at most 1,024"),
    ({"sampling": {"length": 2**31 - 1}}, "sampling.length"),
    ({"data": {"path": "recall", "recall_lines": 2**31 - 1}}, "data.recall_lines"),
    ({"task": {"name": "copy", "held_out": 2**31 - 1}}, "task.held_out"),
    ({"task": {"name": "copy", "positions": 2**31 - 1}}, "task.held_out"),
    ({"task": {"name": "adding", "length": 10**9}}, "task.length"),
    ({"task": {"name": "seq2seq", "beam": 10**9}}, "task.beam"),
    ({"task": {"name": "many_to_one", "max_length": 10**9}}, "task.max_length"),
]


def test_memory_is_estimated_before_it_is_asked_for(monkeypatch, subtests):
    monkeypatch.setattr(memory, "machine_bytes", lambda: 16 * 10**9)
    for sections, said in LARGE:
        with subtests.test(said), pytest.raises(UserError, match=said):
            make_task(
                Config(
                    **{field.name: field.default_factory(**sections.get(field.name, {})) for field in fields(Config)}
                )
            )


def test_a_long_value_is_cut_in_a_message(here):
    for arguments in (["--model.cell", "x" * 3000], ["--model.hidden_size", "x" * 3000], ["--run.name", "/" * 3000]):
        assert len(message(call(train.main, *arguments))) < 700
    assert len(message(call(sample.main, "--run", "x" * 3000))) < 400


def contents(run):
    return {file.name: file.read_bytes() for file in run.rglob("*") if file.is_file()}


def test_a_changed_config_lists_the_differences_and_touches_nothing(here):
    run = begun_in(here)
    before = contents(run)
    line = message(call(train.main, *TINY, "--model.hidden_size", "8", "--training.seed", "3"))
    assert "model.hidden_size: 4 -> 8" in line
    assert "training.seed: 0 -> 3" in line
    assert contents(run) == before


def test_a_run_that_is_older_than_a_field_or_a_name_goes_on_as_it_began(here):
    kept = begun_in(here) / "config.yaml"
    kept.write_text("".join(line for line in kept.open() if "windows" not in line))
    assert as_begun(Config(), kept.parent).training.windows == "fixed"
    assert read_config(kept.parent).training.windows == "fixed"
    assert as_begun(Config(), here).training.windows == "shifted"
    kept.write_text(kept.read_text().replace("method: manual", "method: parallel"))
    config = read_config(kept.parent)
    assert config.gradient.method == "parallel_scan"
    old = with_free_fields({"gradient": {"method": "parallel"}}, here / "lost.yaml")
    assert old["gradient"]["method"] == "parallel_scan"
    assert old["training"]["windows"] == "fixed"
    with RunDirectory(kept.parent) as directory:
        directory.pin_config(config)


def test_a_damaged_config_of_a_run(here):
    run = begun_in(here)
    (run / "config.yaml").write_text("model: {")
    assert "config.yaml is damaged" in message(call(sample.main, "--run", "runs/run"))
    answer = call(train.main, *TINY, "--training.steps", "2")
    assert (answer.code, len(answer.stderr.splitlines())) == (0, 1)
    assert "the run has no checkpoint yet, and begins anew" in answer.stderr


def test_a_run_in_the_place_of_a_file(here):
    (here / "runs").write_text("mine")
    message(call(train.main, *TINY))
    assert (here / "runs").read_text() == "mine"


def test_a_second_process_on_the_same_run(here):
    with RunDirectory(here / "runs" / "run"):
        assert "another process" in message(call(train.main, *TINY))


def test_a_platform_that_is_not_here(here):
    platform, sign = ("cuda", "/proc/driver/nvidia/version") if Path("/dev/accel0").exists() else ("tpu", "/dev/accel0")
    if Path(sign).exists():
        pytest.skip("every platform is here")
    line = message(door("train", *TINY, "--run.platform", platform, cwd=here))
    assert f"run.platform: no {platform} here (" in line
    assert not (here / "runs").exists()


def raises(error):
    """A command that fails."""

    def main(_):
        raise error

    return main


def test_what_a_machine_runs_out_of(subtests):
    for error, *said in (
        (OSError(28, "No space left on device", "runs/run/metrics.jsonl"), "No space left on device", "metrics.jsonl"),
        (
            jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 45000000000 bytes.\nin detail"),
            "45000000000 bytes",
            "lower a number that was given, or of a configuration training.batch_size",
        ),
        (MemoryError("Unable to allocate 7.45 GiB for an array"), "7.45 GiB"),
    ):
        with subtests.test(said[0]):
            line = message(call(raises(error)))
            assert all(part in line for part in said)


def test_a_fault_of_our_own_is_not_hidden():
    for error in (ZeroDivisionError(), RuntimeError("INTERNAL: a fault")):
        with pytest.raises(type(error)):
            call(raises(error))


def test_a_sample_of_a_run_that_does_not_exist(here):
    begun_in(here)
    line = message(call(sample.main, "--run", "runs/other"))
    assert "runs/other" in line
    assert "run" in line.split("has ")[-1]


def test_a_sample_of_a_run_without_a_checkpoint(here):
    run = begun_in(here)
    (run / "vocabulary.json").write_text('{"characters": "ab"}')
    assert "no checkpoint" in message(call(sample.main, "--run", str(run)))


def test_a_sample_with_a_wrong_argument(here, subtests):
    run = str(begun_in(here))
    wrong = ("--length=0", "--num=0", "--temperature=-1", "--temperature=nan", "--top-k=-1", "--top-k=x", "--lenth=3")
    wrong += (f"--length={2**31 - 1}", f"--num={10**6}")
    for argument in wrong:
        with subtests.test(argument):
            message(call(sample.main, "--run", run, argument))


def test_a_comparison_of_a_config_that_does_not_exist(here):
    assert "nowhere.yaml" in message(call(compare.main, "--config", "nowhere.yaml"))
