"""What the README promises about files and names is there."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from rnnjax.cli import add_config, config_of, make_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_linked_file_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize(
    "name",
    sorted(set(re.findall(r"`((?:model|gradients|training|data|run|textbook|interop|analysis)\.[a-z_.]+)`", README))),
)
def test_every_named_function_exists(name):
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = import_module("rnnjax." + ".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute)
        return
    pytest.fail(f"there is no rnnjax.{name}")


@pytest.mark.parametrize("test", sorted(set(re.findall(r"`(test_\w+\.py)`", README))))
def test_every_named_test_exists(test):
    assert (ROOT / "tests" / test).is_file()


def test_the_config_of_the_book_has_its_numbers():
    parser = make_parser("train", "")
    add_config(parser)
    config = config_of(parser, parser.parse_args(["--config", str(ROOT / "configs" / "textbook.yaml")]))
    assert (config.data.separator, config.data.validation_fraction, config.data.test_fraction) == (", ", 0, 0)
    assert (config.model.cell, config.model.hidden_size, config.model.layers) == ("vanilla", 100, 1)
    assert (config.model.init, config.model.init_scale) == ("normal", 0.1)
    assert (config.optimizer.learning_rate, config.optimizer.clip, config.optimizer.clip_threshold) == (
        1e-3,
        "value",
        5,
    )
    assert (config.training.steps, config.training.batch_size, config.training.sequence_length) == (50_001, 1, 25)
    assert (config.sampling.every_steps, config.sampling.show_every_steps, config.sampling.length) == (500, 5_000, 500)
