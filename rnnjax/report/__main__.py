"""The report of a study, finished or under way: python -m rnnjax.report runs/clipping.

Writes report.html, one file that opens anywhere, and report.md with its figures beside it. Both show every arm's mean
and interval over seeds, its difference to the baseline corrected for the number of arms, curves, cost and samples.
"""

from pathlib import Path

from rnnjax.cli import make_parser, run
from rnnjax.files import write_whole

FIGURES = "figures"


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("report", __doc__)
    parser.add_argument("study", type=str, help="the folder of a study, such as runs/clipping")
    return report(Path(parser.parse_args(argv).study))


def report(path: Path) -> int:
    """Reads the results, writes both files, and prints the progress of the study."""
    from rnnjax.quantities import number_of
    from rnnjax.report import page, summary, text
    from rnnjax.report.read import read_study

    study = read_study(path)
    for remark in study.remarks:
        print(remark)
    outcome = summary.outcomes(study)
    arms = summary.arms(study, outcome)
    differences = summary.differences(study, arms)
    blocks = list(text.blocks(study, outcome, arms, differences))
    title = f"Study {study.name}"
    write_figures(path / FIGURES, blocks)
    write_whole(path / "report.md", page.to_markdown(title, blocks, FIGURES))
    write_whole(path / "report.html", page.to_html(title, blocks))
    states = ", ".join(f"{count} {state}" for state, count in outcome["state"].value_counts().items())
    print(f"{number_of(len(arms), 'arm')}, {number_of(len(outcome), 'run')}: {states}")
    print(f"report.html, report.md and {FIGURES} are in {path}")
    return 0


def write_figures(folder: Path, blocks: list) -> None:
    """Writes the pictures of report.md, and removes those of an earlier report that this one lacks."""
    from rnnjax.report.page import Picture

    folder.mkdir(exist_ok=True)
    pictures = {f"{block.name}.png": block.light for block in blocks if isinstance(block, Picture)}
    for old in folder.glob("*.png"):
        if old.name not in pictures:
            old.unlink()
    for name, png in pictures.items():
        write_whole(folder / name, png)


if __name__ == "__main__":
    run(main)
