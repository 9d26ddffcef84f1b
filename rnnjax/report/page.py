"""A page of blocks, written as Markdown and as one self-contained HTML file."""

import base64
import html
import re
from collections.abc import Iterable
from typing import NamedTuple


class Heading(NamedTuple):
    text: str


class Paragraph(NamedTuple):
    text: str
    warns: bool = False


class Table(NamedTuple):
    """A table; its first column names the row, the others are numbers unless listed in `text_columns`."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    text_columns: tuple[str, ...] = ()


class Code(NamedTuple):
    caption: str
    text: str


class Picture(NamedTuple):
    """A picture as PNG, drawn for a light page and for a dark one."""

    name: str
    caption: str
    light: bytes
    dark: bytes


Block = Heading | Paragraph | Table | Code | Picture

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #ffffff; --faint: #6a7078; --line: #d5d9de; --shade: #f4f5f7;
  --warn: #8a4b00; --warn-shade: #fff4e0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e5e8; --paper: #16181c; --faint: #9aa1aa; --line: #3a3f46;
  --shade: #1f2227; --warn: #ffc46b; --warn-shade: #33270f; } }
body { color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif; max-width: 80rem;
  margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
p { max-width: 48rem; }
p.warning { color: var(--warn); background: var(--warn-shade); border-left: 4px solid var(--warn);
  padding: .5rem 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
caption, figcaption { text-align: left; color: var(--faint); padding-bottom: .4rem; max-width: 48rem; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
td { white-space: nowrap; }
td.text, tbody th { white-space: normal; min-width: 8rem; }
thead th { background: var(--shade); }
tbody th { font-weight: 600; }
.text { text-align: left; }
figure { margin: 1.5rem 0; }
img { max-width: 100%; height: auto; }
pre { background: var(--shade); padding: 1rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def to_html(title: str, blocks: Iterable[Block]) -> str:
    """Writes the page as one file, with style and pictures inside; light or dark follows the reader's setting."""
    body = "\n".join(_html(block) for block in blocks)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{html.escape(title)}</h1>
{body}
</main>
</body>
</html>
"""


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{html.escape(text)}</h2>"
        case Paragraph(text, warns):
            kind = ' class="warning" role="note"' if warns else ""
            return f"<p{kind}>{html.escape(text)}</p>"
        case Code(caption, text):
            return f"<figure><figcaption>{html.escape(caption)}</figcaption><pre>{html.escape(text)}</pre></figure>"
        case Picture(_, caption, light, dark):
            words = html.escape(caption)
            return (
                f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{_uri(dark)}">'
                f'<img src="{_uri(light)}" alt="{words}"></picture><figcaption>{words}</figcaption></figure>'
            )
        case Table():
            return _html_table(block)


def _html_table(table: Table) -> str:
    left = [index == 0 or name in table.text_columns for index, name in enumerate(table.columns)]
    kind = [' class="text"' if is_text else "" for is_text in left]
    head = "".join(f'<th scope="col"{k}>{html.escape(name)}</th>' for k, name in zip(kind, table.columns, strict=True))
    body = []
    for row in table.rows:
        first, *others = (html.escape(cell) for cell in row)
        cells = "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kind[1:], others, strict=True))
        body.append(f'<tr><th scope="row" class="text">{first}</th>{cells}</tr>')
    return "\n".join(
        [
            f'<div class="wide"><table><caption>{html.escape(table.caption)}</caption>',
            f"<thead><tr>{head}</tr></thead>",
            "<tbody>",
            *body,
            "</tbody></table></div>",
        ]
    )


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def to_markdown(title: str, blocks: Iterable[Block], figures: str) -> str:
    """Writes the page as Markdown; its pictures are files in the folder `figures` beside it."""
    return "\n\n".join([f"# {_plain(title)}", *(_markdown(block, figures) for block in blocks)]) + "\n"


def _markdown(block: Block, figures: str) -> str:
    match block:
        case Heading(text):
            return f"## {_plain(text)}"
        case Paragraph(text, warns):
            return f"**Warning.** {_plain(text)}" if warns else _plain(text)
        case Code(caption, text):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return f"{_plain(caption)}\n\n{fence}\n{text}\n{fence}"
        case Picture(name, caption, _, _):
            return f"![{_plain(caption)}]({figures}/{name}.png)"
        case Table():
            return _markdown_table(block)


def _markdown_table(table: Table) -> str:
    rule = ["---" if index == 0 or name in table.text_columns else "---:" for index, name in enumerate(table.columns)]
    rows = [[_plain(name) for name in table.columns], rule, *([_plain(cell) for cell in row] for row in table.rows)]
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    return f"{_plain(table.caption)}\n\n" + "\n".join(lines)


def _plain(text: str) -> str:
    """Escapes a text for Markdown; an underscore inside a word needs no escape."""
    return re.sub(r"([\\`*<>\[\]|#]|\b_|_\b)", r"\\\1", text).replace("\n", " ")
