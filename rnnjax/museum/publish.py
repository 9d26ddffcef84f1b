"""The museum's own results: their numbers go into the package, and their pages into the documentation."""

import re
from pathlib import Path

from rnnjax.errors import UserError
from rnnjax.files import write_whole
from rnnjax.museum.board import RESULTS, board, tally
from rnnjax.museum.exhibit import load
from rnnjax.museum.page import write_page
from rnnjax.museum.record import read
from rnnjax.museum.source import checksum
from rnnjax.report.page import Paragraph, to_markdown

DOCS = Path(__file__).parents[2] / "docs" / "museum"
README = DOCS.parents[1] / "README.md"

ABOUT = (
    "Published results on recurrent networks, each by one command, in the paper's settings with every deviation "
    "marked, over many seeds and against criteria written before the runs; the verdict is computed from them. A "
    "result that does not come out stays here too. Each page ends with the command, the machine and the version "
    "that made its numbers; they stay until a change of the exhibit asks for new ones."
)


def publish(name: str, path: Path) -> None:
    """Copies a record into the package; its page, the list and README's count of verdicts follow.

    Raises:
      UserError: outside a checkout of the project, and for a record of other seeds or code than the exhibit's.
    """
    if not DOCS.is_dir():
        raise UserError(f"--publish: {DOCS} is not there; it is for a checkout of the project")
    record, exhibit = read(path), load(name)
    arms, wanted = record["arms"], list(range(exhibit.seeds))
    if record["code"] != checksum(exhibit.run):
        raise UserError(f"--publish: {path} has numbers of other code of {name}")
    if any(sorted(of["seeds"]) != wanted for of in arms.values()):
        raise UserError(f"--publish: {path} must have the seeds 0 to {wanted[-1]} in every arm; run it without --seeds")
    write_whole(RESULTS / f"{name}.json", path.read_bytes())
    write_pages()
    write_whole(README, re.sub(r"^Verdicts so far: .*$", tally(), README.read_text(encoding="utf-8"), flags=re.M))


def write_pages(folder: Path = DOCS) -> None:
    """Writes the list and the page of every result in the package."""
    published = sorted(path.stem for path in RESULTS.glob("*.json"))
    for name in published:
        write_page(load(name), read(RESULTS / f"{name}.json"), folder, name)
    write_whole(folder / "index.md", index(published))


def index(published: list[str]) -> str:
    """The list as a page, each exhibit with a result linked to its own."""
    text = to_markdown("The museum", [Paragraph(ABOUT), Paragraph(tally()), board()], ".")
    for name in published:
        text = text.replace(f"\n| {name} |", f"\n| [{name}]({name}.md) |")
    return text
