"""Docstrings begin with a verb or a noun of the field."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import rnnjax

PACKAGE = Path(rnnjax.__file__).parent

RIDDLE = re.compile(r"\A\s*(what|whether|how|which|of|that)\b", re.IGNORECASE)

FIELD = re.compile(r"^ +[\w, ]+: *(whether|how|which|what|of|that)\b", re.MULTILINE)


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yields line and text of every docstring, those of attributes and constants included."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text


def riddles(source: str) -> list[int]:
    """Lines of the docstrings whose summary, or the line of a field, begins with a question word, Of or That."""
    return [line for line, text in docstrings(source) if RIDDLE.match(text) or FIELD.search(text)]


def test_a_docstring_begins_with_a_verb_or_a_noun_of_the_field():
    files = sorted(PACKAGE.rglob("*.py"))
    found = [f"{path.relative_to(PACKAGE)}:{line}" for path in files for line in riddles(path.read_text())]
    assert not found, f"begin with a verb or a noun of the field: {', '.join(found)}"


def test_riddles_are_found_wherever_they_stand():
    riddle = (
        '"""What it is."""\nA = 1\n"""How many."""\nclass C:\n    """A thing.\n\n    Attributes:\n      a: {}.\n    """'
    )
    assert riddles(riddle.format("whether it is one")) == [1, 3, 5]
    assert riddles(riddle.format("the number of things, which is what counts")) == [1, 3]
    assert riddles('def f():\n    """Whatever comes, of which that is how much."""\n') == []
