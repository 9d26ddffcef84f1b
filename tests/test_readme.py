"""What the README promises about files and names is there."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_linked_file_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`((?:model|gradients|training|data|run|interop)\.[a-z_.]+)`", README)))
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
