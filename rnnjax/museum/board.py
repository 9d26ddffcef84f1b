"""The list of all exhibits with their verdicts, on a screen or as a page."""

from collections import Counter
from pathlib import Path

from rnnjax.museum.exhibit import Exhibit, load, names
from rnnjax.museum.judge import Judgement, in_words, judge, verdict
from rnnjax.museum.page import ours, published
from rnnjax.museum.record import read, results
from rnnjax.report.page import Table

RESULTS = Path(__file__).parent / "results"
"""The museum's own numbers, one file for each exhibit of which a full run has been published."""

NOT_RUN = "not run"
"""The verdict on an exhibit of which no full run has been published."""

COLUMNS = ["Exhibit", "Paper", "Claim", "Published", "Ours", "95% interval", "Verdict", "Seeds", "Minutes"]


def board() -> Table:
    """A row for each exhibit: its first criterion that has a published number, and the verdict on all."""
    caption = (
        "The first published number of each exhibit beside ours. A verdict is on all criteria in its settings. Minutes "
        "are of one core; the arms of a run share all."
    )
    return Table(caption, COLUMNS, [row(name, load(name)) for name in names()], ("Paper", "Claim", "Verdict"))


def tally() -> str:
    """The number of exhibits of each verdict, of those that have been run."""
    paths = RESULTS.glob("*.json")
    counts = Counter(verdict(judge(load(path.stem), results(read(path)))) for path in paths)
    return f"Verdicts so far: {in_words(counts)}."


def row(name: str, exhibit: Exhibit) -> list[str]:
    """Cells of an exhibit, by `COLUMNS`."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return [name, about(exhibit), exhibit.claim, "", "", "", NOT_RUN, "", ""]
    record = read(path)
    judgements = judge(exhibit, results(record))
    first = headline(judgements)
    mean, interval, seeds = ours(first.estimate)
    minutes = sum(arm["seconds"] for arm in record["arms"].values()) / 60
    claim = f"{exhibit.claim} Here: {first.criterion.claim}."
    numbers = [published(first.criterion), mean, interval, verdict(judgements), seeds, f"{minutes:.1f}"]
    return [name, about(exhibit), claim, *numbers]


def about(exhibit: Exhibit) -> str:
    """The paper in a few words."""
    return f"{exhibit.authors}, {exhibit.place}"


def headline(judgements: list[Judgement]) -> Judgement:
    """The first that has a published number, or else the first."""
    return next((judgement for judgement in judgements if judgement.criterion.published), judgements[0])
