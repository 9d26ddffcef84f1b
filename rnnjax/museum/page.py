"""The page of an exhibit: published beside ours, every setting, every arm, a picture, and what a reader takes home."""

import itertools
import math
from pathlib import Path

import numpy as np

from rnnjax.figure import make_figure, write_figure
from rnnjax.files import write_whole
from rnnjax.museum.exhibit import Criterion, Exhibit, Results
from rnnjax.museum.judge import Estimate, Judgement, estimate, judge, other_readings, verdict
from rnnjax.museum.record import Record, machines, results, versions
from rnnjax.museum.source import checksum
from rnnjax.report import rounding
from rnnjax.report.page import Block, Heading, Paragraph, Picture, Table, to_markdown
from rnnjax.run.results import make_directory


def write_page(exhibit: Exhibit, record: Record, folder: Path, name: str) -> list[str]:
    """Writes the page `name`.md and its picture.

    Returns:
      The names of the files.
    """
    make_directory(folder)
    figure = make_figure(8.0, 4.5)
    exhibit.picture(figure, results(record))
    if record["quick"]:
        label = f"{figure.get_supxlabel()}\n{quick_run(exhibit, record)}"
        figure.supxlabel(label.strip(), fontsize="small")
    write_figure(folder / f"{name}.png", figure)
    text = to_markdown(title(exhibit), blocks(exhibit, record, name), ".")
    write_whole(folder / f"{name}.md", f"{text}\n*{made_by(exhibit, record)}*\n")
    return [f"{name}.md", f"{name}.png"]


def title(exhibit: Exhibit) -> str:
    """Authors, year and place."""
    return f"{exhibit.authors}: {exhibit.place}"


def blocks(exhibit: Exhibit, record: Record, name: str) -> list[Block]:
    """The page from top to bottom."""
    found = results(record)
    judgements = judge(exhibit, found, record["quick"])
    return [
        Paragraph(exhibit.claim),
        Paragraph(f"{exhibit.paper}. {exhibit.place}."),
        *([Paragraph(quick_run(exhibit, record), warns=True)] if record["quick"] else []),
        Heading(f"Verdict: {verdict(judgements)}"),
        *readings(judgements),
        published_beside_ours(judgements),
        Picture(name, exhibit.place, b"", b""),
        *learned(exhibit),
        Heading("Settings"),
        settings(exhibit),
        Heading("Arms"),
        arms(found, record),
    ]


def quick_run(exhibit: Exhibit, record: Record) -> str:
    """Seeds, arms and options of a quick run beside the full run's, in one line."""
    seeds = len(set.intersection(*(set(of["seeds"]) for of in record["arms"].values())))
    parts = [f"{seeds} of {exhibit.seeds} seeds"]
    parts += [f"{len(record['arms'])} of {len(exhibit.arms)} arms"] if len(record["arms"]) < len(exhibit.arms) else []
    for name, value in (exhibit.quick or {}).items():
        full = sorted({of[name] for of in exhibit.shrunk().values() if name in of})
        parts += [f"{name} {value:,} in place of {' or '.join(f'{each:,}' for each in full)}"] if full else []
    return f"A quick run: {'; '.join(parts)}. Its verdict is not the museum's."


def readings(judgements: list[Judgement]) -> list[Block]:
    """The verdicts on other readings of the paper."""
    found = "; ".join(f"with {reading} {counts}" for reading, counts in other_readings(judgements).items())
    about = "This is the verdict in the settings below. Claims by other readings of the paper are"
    return [Paragraph(f"{about}, {found}.")] if found else []


def learned(exhibit: Exhibit) -> list[Block]:
    """The paragraphs for a reader to take home."""
    return [Heading("Learned"), *map(Paragraph, exhibit.learned)] if exhibit.learned else []


def published_beside_ours(judgements: list[Judgement]) -> Table:
    """A row for each criterion."""
    rows = []
    for criterion, found, judged in judgements:
        paper = criterion.published
        place = f" ({paper.place})" if paper else ""
        mark = " †" if criterion.cut_short else ""
        rows.append([f"{criterion.claim}{place}{mark}", published(criterion), *ours(found), wanted(criterion), judged])
    columns = ["Claim", "Published", "Ours", "95% interval", "Seeds", "Reproduced if all of it in", "Verdict"]
    caption = "The ranges were written before the runs"
    if any(judgement.criterion.reading for judgement in judgements):
        caption += "; those of other readings, and of rows that came later, follow the same rules"
    caption += ". A claim is refuted if its interval lies outside of the range."
    if any(judgement.criterion.cut_short for judgement in judgements):
        caption += " It is not settled if its runs were cut short of the paper's (†): they can show only what succeeds."
    if any(judgement.criterion.until for judgement in judgements):
        caption += " A mean until success leaves out trials without one; it is then too low, and cannot be reproduced."
    return Table(caption, columns, rows, text_columns=("Verdict",))


def published(criterion: Criterion) -> str:
    """The paper's number or word; empty where it has none."""
    value = criterion.published.value if criterion.published else ""
    return value if isinstance(value, str) else f"{value:,.9g}"


def ours(found: Estimate | None) -> list[str]:
    """Mean, interval and seeds as texts."""
    if found is None:
        return ["not run", "", ""]
    if found.n == 0:
        return ["none", "", "0"]
    return [rounding.number(found.mean, found.interval), rounding.interval(found.interval), str(found.n)]


def wanted(criterion: Criterion) -> str:
    """The range of a criterion in words."""
    low, high = criterion.low, criterion.high
    more = f" more than {criterion.than}" if criterion.than else ""
    if math.isinf(low):
        return f"at most {high:,.9g}{more}"
    return f"at least {low:,.9g}{more}" if math.isinf(high) else f"{low:,.9g} to {high:,.9g}{more}"


def settings(exhibit: Exhibit) -> Table:
    """The paper's settings, and where and why ours differ."""
    rows = [[name, paper, own or "the same", why] for name, paper, own, why in exhibit.settings]
    return Table(
        "Deviations are what is not the same.", ["Setting", "Paper", "Ours", "Why"], rows, ("Paper", "Ours", "Why")
    )


def arms(found: Results, record: Record) -> Table:
    """The mean of every measure that is one number a seed, with its interval."""
    measures = list(dict.fromkeys(name for of in found.values() for name, values in of.items() if values.ndim == 1))
    rows = []
    for arm, of in found.items():
        about = record["arms"][arm]
        cells = [mean_and_interval(of[name]) if name in of else "" for name in measures]
        rows.append([arm, str(len(about["seeds"])), *cells, f"{about['seconds']:,.0f}"])
    return Table("Means over seeds, with 95% intervals.", ["Arm", "Seeds", *measures, "Seconds"], rows)


def mean_and_interval(values: np.ndarray) -> str:
    """Mean and interval of a measure [n] in words, such as 0.5 [0.4, 0.6]."""
    found = estimate(values)
    if found.n == 0:
        return "none"
    ends = rounding.interval(found.interval)
    return rounding.number(found.mean, found.interval) + (f" {ends}" if ends != rounding.UNKNOWN else "")


def made_by(exhibit: Exhibit, record: Record) -> str:
    """The command, the seeds and the machines of the numbers."""
    seeds = sorted({seed for of in record["arms"].values() for seed in of["seeds"]})
    gaps = [at for at in range(1, len(seeds)) if seeds[at] > seeds[at - 1] + 1]
    parts = [seeds[first:end] for first, end in itertools.pairwise([0, *gaps, len(seeds)])]
    command = f"python -m rnnjax.museum {record['exhibit']}{' --quick' if record['quick'] else ''}"
    commands = [f"`{command}{of_seeds(part, exhibit.count(record['quick']))}`" for part in parts]
    since = "" if record["code"] == checksum(exhibit.run) else " The exhibit's code has changed since."
    return (
        f"Made by {' and '.join(commands)}: seeds {' and '.join(f'{part[0]} to {part[-1]}' for part in parts)}, on "
        f"{', and on '.join(machines(record))}, rnnjax {' and '.join(versions(record))}.{since}"
    )


def of_seeds(seeds: list[int], usual: int) -> str:
    """The options of a command that runs these seeds, one after the other."""
    first = f" --seed {seeds[0]}" if seeds[0] else ""
    return first + (f" --seeds {len(seeds)}" if len(seeds) != usual else "")
