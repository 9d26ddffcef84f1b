"""Each task through the command line: trained, resumed, asked, and refused."""

import contextlib
import json
import random
import re
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from command import TINY, call, check_refusals, message, outcome, printed, read_rows

from rnnjax import predict, sample, train
from rnnjax.compare import __main__ as compare
from rnnjax.data.numbers import in_words
from rnnjax.errors import UserError
from rnnjax.run.directory import RunDirectory
from rnnjax.tasks import many_to_one, one_to_many, seq2seq
from rnnjax.tasks.examples import check_text

RUN = [
    *("--data.path", "songs.csv", "--data.validation_fraction", "0.2", "--data.test_fraction", "0.3"),
    *("--model.hidden_size", "4", "--model.cell", "vanilla", "--training.batch_size", "4", "--training.steps", "12"),
    *("--training.steps_per_dispatch", "5", "--training.eval_every_steps", "8", "--training.log_every_steps", "3"),
    *("--sampling.every_steps", "6", "--sampling.length", "12", "--run.checkpoint_every_steps", "5"),
    *("--run.platform", "cpu", "--task.max_length", "30"),
]
LABELS = ("moon", "sea", "sun")


def write_labelled(path):
    """Songs of three singers, of the words that each is fond of."""
    draw = random.Random(0)
    words = {"moon": ["pale", "night", "paper"], "sea": ["wave", "salt", "river"], "sun": ["gold", "noon", "summer"]}
    rows = ["artist,text"]
    for number in range(24):
        label = LABELS[number % 3]
        lines = [" ".join(draw.choice(words[label]) for _ in range(draw.randint(2, 5))) for _ in range(3)]
        rows.append('{},"{}"'.format(label, "\n".join(lines)))
    path.write_text("\n".join(rows) + "\n")


DROPOUT = ("--gradient.method", "autodiff", "--model.dropout", "0.1")


@pytest.fixture(scope="module")
def many_to_one_run(tmp_path_factory):
    """A finished run, what was said of it, and its `outcome`."""
    path = tmp_path_factory.mktemp("many_to_one")
    write_labelled(path / "songs.csv")
    with contextlib.chdir(path):
        return path, printed(learn("many_to_one", *DROPOUT)), outcome("runs/run")


@pytest.fixture
def here(here):
    write_labelled(here / "songs.csv")
    return here


def learn(task, *options):
    return call(train.main, "--task.name", task, *RUN, *options)


def ask(*options):
    return call(predict.main, "--run", "runs/run", *options)


def asked(*options):
    return printed(ask(*options)).removesuffix("\n")


def left(*figures):
    """Result and predictions of a finished run, whose other files are there."""
    run = Path("runs/run")
    for name in (*figures, "loss.png", "gradient_norm.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG"), name
    assert sorted(file.name for file in (run / "samples").iterdir()) == [f"{s:08d}.txt" for s in (0, 6, 12)]
    assert [row["step"] for row in read_rows(run)] == [3, 5, 6, 8, 9, 10, 12]
    assert sum(row["window"] for row in read_rows(run)) == 12
    predictions = run / "predictions.jsonl"
    lines = predictions.read_text().splitlines() if predictions.exists() else []
    return json.loads((run / "result.json").read_text()), [json.loads(line) for line in lines]


def test_many_to_one(many_to_one_run, monkeypatch):
    path, screen, _ = many_to_one_run
    monkeypatch.chdir(path)
    assert "test accuracy on 6 songs" in screen
    assert "baseline, the most frequent label: 33.3%" in screen
    result, predictions = left("confusion.png")
    assert sum(map(sum, result["confusion"])) == len(predictions) == 6
    right = sum(row["truth"] == row["predicted"] for row in predictions)
    assert result["accuracy"] == right / 6 == sum(result["confusion"][i][i] for i in range(3)) / 6
    assert {row["truth"] for row in predictions} == set(LABELS)
    assert result["baselines"]["n-gram models, one for each label"] == 1
    assert result["test_loss"] > 0

    Path("song.txt").write_text("pale night\n" * 10)
    lines = asked("--file", "song.txt").splitlines()
    assert sorted(line.split("%  ")[1] for line in lines) == list(LABELS)
    assert sum(float(line.split("%")[0]) for line in lines) == pytest.approx(100, abs=0.1)

    assert "never saw: 'Z', 'é'" in message(ask("--input", "Zé pale"))
    assert "give one of them" in message(ask())
    assert "give one of them" in message(ask("--input", "pale", "--file", "song.txt"))
    assert "cannot read nowhere.txt: No such file" in message(ask("--file", "nowhere.txt"))
    assert "task.name is many_to_one" in message(call(sample.main, "--run", "runs/run"))
    assert "runs/elsewhere is not a run" in message(call(predict.main, "--run", "runs/elsewhere", "--input", "a"))
    (path / "runs" / "run" / "vocabulary.json").write_text("{}")
    assert "vocabulary.json was lost or changed" in ask("--input", "pale").stderr


@pytest.mark.slow
def test_many_to_one_digits(here):
    pytest.importorskip("sklearn")
    printed(learn("many_to_one", "--data.path", "digits"))
    result, predictions = left("confusion.png")
    assert len(predictions) == result["count"] > 500
    assert 0.8 < result["baselines"]["the nearest mean image"] < 0.95
    lines = asked("--input", " ".join(["0", "16"] * 32)).splitlines()
    assert len(lines) == 5
    assert "has 3 numbers; an image is 64 of them, from 0 to 16" in message(ask("--input", "1 2 3"))


def test_one_to_many(here):
    screen = printed(learn("one_to_many", "--model.layers", "2", "--model.cell", "gru"))
    assert "by permutation" in screen
    assert "baseline, chance: 33.3%" in screen
    result, predictions = left("recognised.png")
    assert len(predictions) == 30
    assert result["recognised"] == sum(row["label"] == row["recognised_as"] for row in predictions) / 30
    assert result["recognised_real"] == 1
    assert 0 < result["p"] <= 1
    assert all(len(row["song"]) == 12 for row in predictions)
    assert Path("runs/run/samples/00000006.txt").read_text().startswith("[moon]\n")

    one, other, *likeliest = (
        asked("--input", "sea", "--length", "20", "--seed", seed, "--temperature", temperature)
        for temperature in "80"
        for seed in "12"
    )
    assert len(one) == len(other) == 20
    assert one != other
    assert likeliest[0] == likeliest[1]
    assert "'seas' is a label that the network never saw; did you mean sea?" in message(ask("--input", "seas"))


def test_many_to_many(here):
    screen = printed(learn("many_to_many", "--model.bidirectional", "true"))
    assert "baseline, most frequent tag after the same two characters" in screen
    result, predictions = left("tags.png")
    assert 0 < result["network"]["accuracy"] < 1
    assert result["baselines"]["most frequent tag after the same two characters"]["accuracy"] > 0.5
    right = sum(row["wrong_tags"] == 0 for row in predictions) / len(predictions)
    assert result["network"]["line_accuracy"] == pytest.approx(right)
    assert all(row["truth"].replace("·", "") == row["line"] for row in predictions)
    assert any("pa·per" in row["truth"] for row in predictions)

    assert asked("--input", "pale river").replace("·", "") == "pale river"
    assert r"never saw: '\n'" in message(ask("--input", "pale\nriver"))


def test_seq2seq(here):
    screen = printed(learn("seq2seq", "--model.attention", "general", "--task.numbers", "100"))
    assert "exact match on 30 numbers, beam of width 4: digits to words" in screen
    assert "baseline, a table of the training numbers: 0.00%" in screen
    result, predictions = left("exact_match.png", "attention.png")
    assert len(predictions) == 60
    for index, row in enumerate(predictions):
        number = int(row["truth"] if index % 2 else row["source"])
        assert in_words(number) == (row["source"] if index % 2 else row["truth"])
    assert result["exact_match"]["greedy"].keys() == {"digits to words", "words to digits"}
    for looked in result["looked"]:
        assert all(sum(row) == pytest.approx(1, abs=1e-5) for row in looked["weights"])
        assert len(looked["weights"]) == len(looked["target"])

    assert seq2seq.plain_number(" 1,234 ") == "1234"
    assert len(asked("--input", "407", "--beam", "1")) <= 73
    assert "is not a number from 0 to 999,999" in message(ask("--input", "1000000"))


def test_an_input_that_the_network_cannot_read_is_refused(subtests):
    cases = [
        (seq2seq.plain_number, "  ", "--input is empty"),
        (seq2seq.plain_number, "1234567", "is not a number from 0 to 999,999"),
        (seq2seq.plain_number, "007", "is not a number from 0 to 999,999 without leading zeros"),
        (seq2seq.plain_number, "-5", "is not a number"),
        (seq2seq.plain_number, "407 and 8", "is not a number"),
        (seq2seq.plain_number, "1,2,3", "never saw: ','"),
        (seq2seq.plain_number, "four hundrd and seven", "has 'hundrd', which is no word of a number"),
        (seq2seq.plain_number, "o" * 73, "has 73 characters, more than the 72"),
        (seq2seq.plain_number, "seven!", "never saw: '!'"),
        (many_to_one.read_image, " ".join(["3", "17"] * 32), "has the pixel 17; they go from 0 to 16"),
        (many_to_one.read_image, " ".join(["3", "nan"] * 32), "has the pixel nan"),
        (many_to_one.read_image, "-1 " * 64, "has the pixel -1"),
        (many_to_one.read_image, "", "has 0 numbers"),
        (many_to_one.read_image, "one two", "no list of numbers"),
        (partial(one_to_many.label_of, labels=list(LABELS)), "Qqqq", "it knows moon, sea, sun"),
        (partial(one_to_many.label_of, labels=[f"band {n}" for n in range(25)]), "Q", "band 19 and 5 more"),
        (partial(one_to_many.label_of, labels=list(LABELS)), " ", "--input is empty"),
        (partial(many_to_one.read_song, characters="ab \n", most=5), " \n ", "--input is empty"),
        (partial(check_text, characters="ab", most=5), "ababab", "has 6 characters, more than the 5"),
    ]
    for check, text, line in cases:
        with subtests.test(text), pytest.raises(UserError, match=re.escape(line)):
            check(text)


def test_one_to_one(here):
    arguments = ["--model.hidden_size", "4", "--training.steps", "12", "--sampling.every_steps", "6"]
    screen = printed(call(train.main, "--task.name", "one_to_one", *TINY, *arguments, "--data.test_fraction", "0.4"))
    assert "teacher forcing" in screen
    assert "baseline, characters by their frequency alone" in screen
    run = Path("runs/run")
    result = json.loads((run / "result.json").read_text())
    assert len(result["teacher_forcing"]) == len(result["free_running"]) == 64
    # Both have read the same until the first guess.
    assert result["teacher_forcing"][0] == pytest.approx(result["free_running"][0], rel=1e-5)
    assert result["teacher_forcing"][1] != result["free_running"][1]
    assert (run / "free_running.png").exists()
    assert "which writes songs; use python -m rnnjax.sample" in message(ask("--input", "a"))
    assert call(sample.main, "--run", "runs/run", "--length", "5").code == 0


def test_a_task_that_ctrl_c_stopped_goes_on_bit_for_bit(many_to_one_run, here, monkeypatch):
    write_sample = RunDirectory.write_sample

    def interrupted(self, step, text):
        if step == 6:
            signal.raise_signal(signal.SIGINT)
        return write_sample(self, step, text)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "write_sample", interrupted)
        answer = learn("many_to_one", *DROPOUT)
    assert answer.code == 130, answer.stderr
    assert "stopped at step 6 of 12, saved at 6; the same command goes on from there" in answer.stdout
    assert not Path("runs/run/result.json").exists()
    assert "going on from step 6" in printed(learn("many_to_one", *DROPOUT))
    assert outcome("runs/run") == many_to_one_run[2]

    Path("songs.csv").write_text(Path("songs.csv").read_text().replace("pale", "dark"))
    assert "the text is not the one that runs/run was started with" in message(learn("many_to_one", *DROPOUT))
    assert "task.name: many_to_one -> one_to_many" in message(learn("one_to_many", *DROPOUT))


def test_what_does_not_fit_is_refused(here, subtests, monkeypatch):
    (here / "song.txt").write_text("la la la\n" * 9)
    (here / "one.csv").write_text("artist,text\na,la\na,oh\n")
    cases = [
        ("many_to_one", ["--task.label_column", "band"], "has no column 'band'; it has 'artist', 'text'"),
        ("one_to_many", ["--data.path", "song.txt"], "is a plain text; labels need a CSV file"),
        ("one_to_many", ["--data.path", "nowhere.csv"], "there is no file nowhere.csv"),
        ("many_to_one", ["--data.path", "one.csv"], "has 1 label(s) in column 'artist'; it takes two"),
        ("many_to_many", ["--training.batch_size", "1000"], "lines to train on; lower it"),
        ("many_to_one", ["--gradient.method", "rtrl"], "must be autodiff or manual for the task many_to_one"),
        ("one_to_many", ["--model.bidirectional", "true"], "must be false for the task one_to_many"),
        ("text", ["--model.bidirectional", "true"], "must be false for the task text"),
        ("many_to_many", ["--model.attention", "general"], "must be none for many_to_many"),
        ("seq2seq", ["--run.devices", "2"], "must be 1 for the task seq2seq"),
        ("seq2seq", ["--data.path", "digits"], "must be another for seq2seq"),
        ("seq2seq", ["--task.numbers", "5"], "must be between 100 and 1,000,000"),
        ("many_to_two", [], "many_to_one"),
        ("many_to_one", ["--data.path", "digits"], "pip install 'rnnjax[digits]'"),
    ]
    monkeypatch.setitem(sys.modules, "sklearn", None)
    check_refusals(subtests, train.main, [(["--task.name", task, *RUN, *more], line) for task, more, line in cases])


def test_other_doors_want_a_network_that_writes_text(here):
    line = message(call(compare.main, "--task.name", "many_to_many", "--data.path", "songs.csv"))
    assert "task.name is many_to_many" in line
