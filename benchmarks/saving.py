"""Results of the benchmarks as files: JSON for programs, Markdown for people."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def save(path: Path, content: Any, markdown: str = "") -> None:
    """Writes path.json, and path.md where there is a text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if markdown:
        path.with_suffix(".md").write_text(markdown, encoding="utf-8")


def load(path: Path) -> Any:
    """The content of path.json; None where there is none."""
    file = path.with_suffix(".json")
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def table(columns: Iterable[str], rows: Iterable[Iterable[str]], words: int = 1) -> list[str]:
    """Lines of a Markdown table; its first columns are words, the others numbers."""
    columns = list(columns)
    rule = "|" + "---|" * words + "---:|" * (len(columns) - words)
    return [f"| {' | '.join(columns)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]
