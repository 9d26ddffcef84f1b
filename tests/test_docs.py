"""README and documentation: links, names and figures are there, commands are understood, Python runs."""

import argparse
import ast
import re
import shlex
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from rnnjax.cli import Parser, add_config, config_of, make_parser
from rnnjax.config import Config
from rnnjax.gradients import METHODS
from rnnjax.gradients.of_step import gradient

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REPORTS = "docs/studies/"
"""Its pages, but for the index, are what `rnnjax.report` wrote."""

STUDIES = [Path(page).stem for page in PAGES if page.startswith(REPORTS) and page != f"{REPORTS}index.md"]

MUSEUM = {page for page in PAGES if page.startswith("docs/museum/")}
"""Pages that `rnnjax.museum` wrote; the site's hook puts them into the navigation."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
NAME = re.compile(r"`(?:rnnjax\.)?([a-z_]+(?:\.\w+)+)(?:\(.*?\))?`")
PAPER = re.compile(r'\b(?:1[89]|20)\d\d\)?,? "([^"]+)"|\((?:1[89]|20)\d\d\)[.,] ([A-Z][^.,"]+)')
"""A title behind its year, as 1990, "Finding structure in time", or (1908). The probable error of a mean."""

ROOMS = {path.stem for path in (ROOT / "rnnjax").iterdir() if not path.name.startswith("_")}
NEEDS_A_RUN = ["docs/interop.md", "docs/runs.md"]
"""Pages whose Python goes on from a run, and those whose commands belong to it: test_doc_commands.py runs them."""
RUNS_ITS_COMMANDS = ["docs/tutorials/own_data.md", "docs/tutorials/study.md"]


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 150


def test_every_link_leads_somewhere():
    missing = []
    for page, text in PAGES.items():
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", FENCE.sub("", text)):
            path, _, heading = target.partition("#")
            found = (ROOT / page).parent / path if path else ROOT / page
            if path.startswith("api/"):  # made from the docstrings
                continue
            if not found.exists() or (heading and heading not in headings(found.read_text(encoding="utf-8"))):
                missing.append(f"{page}: {target}")
    assert not missing, "\n".join(missing)


def headings(text):
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.removeprefix("docs/") for page in PAGES if page.startswith("docs/") and page not in MUSEUM]
    assert [page for page in pages if not re.search(rf": {re.escape(page)}$", navigation, re.M)] == []


def test_every_named_function_exists():
    files = [*(ROOT / "rnnjax").rglob("*.py"), *(ROOT / "notebooks").glob("*.py")]
    sources = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files}
    missing = []
    for page, text in {**PAGES, **sources}.items():
        names = {name for name in NAME.findall(text) if name.split(".")[0] in ROOMS}
        missing += [
            f"{page}: {name}" for name in sorted(names) if not (is_file(name) or is_field(name) or exists(name))
        ]
    assert not missing, "\n".join(missing)


def exists(name):
    """True of a module of rnnjax, or of an attribute of one, by its dotted name."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        module = "rnnjax." + ".".join(parts[:cut])
        try:
            spec = find_spec(module)
        except ModuleNotFoundError:
            continue
        if spec is None:
            continue
        found = import_module(module)
        for attribute in parts[cut:]:
            if not hasattr(found, attribute):
                return attribute in getattr(found, "__annotations__", {}) and attribute == parts[-1]
            found = getattr(found, attribute)
        return True
    return False


def is_file(name):
    return name.endswith((".py", ".ipynb", ".yaml", ".md", ".json"))


def is_field(name):
    """True of a field of the config, such as run.devices."""
    group, _, field = name.partition(".")
    return hasattr(getattr(Config(), group, None), field)


def test_every_paper_of_the_code_is_in_the_bibliography():
    bibliography = " ".join(PAGES["BIBLIOGRAPHY.md"].split()).lower()
    titles = {
        " ".join("".join(match).split())
        for path in (ROOT / "rnnjax").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for match in PAPER.findall(node.value)
    }
    assert len(titles) > 60
    assert not sorted(title for title in titles if title.lower() not in bibliography)


def test_every_named_file_exists():
    folders = "benchmarks|configs|docs|notebooks|requirements|rnnjax|tests"
    missing = []
    for page, text in PAGES.items():
        named = re.findall(rf"`((?:{folders})/[\w./-]*)`", text) + [
            f"tests/{n}" for n in re.findall(r"`(test_\w+\.py)`", text)
        ]
        missing += [f"{page}: {path}" for path in sorted(set(named)) if not (ROOT / path).exists()]
    assert not missing, "\n".join(missing)


def test_every_figure_names_the_command_that_made_it():
    nameless = []
    for page, text in PAGES.items():
        is_report = page.startswith(REPORTS) and page != f"{REPORTS}index.md"
        made = text.rstrip()[-400:] if is_report or page in MUSEUM else None
        for image in re.finditer(r"^!\[.*$", text, re.M):
            if not re.search(r"`(python -m|make) ", made or text[image.end() : image.end() + 80]):
                nameless.append(f"{page}: {image[0]}")
    assert nameless == []


class Understood(Exception):
    """A command line was parsed; what it asks for is not done."""


def commands():
    """(page, command) of every command in a fence or in backticks."""
    for page, text in PAGES.items():
        fenced = [line for language, block in FENCE.findall(text) if not language for line in block.splitlines()]
        inline = re.findall(r"`([^`\n]+)`", FENCE.sub("", text).replace("\n", " "))
        for line in [*fenced, *inline]:
            if line.startswith(("python -m ", "make ", "pip install ")):
                yield page, line.split("#")[0].strip()


def test_every_command_is_understood(monkeypatch, tmp_path):
    stop_after(Parser, "parse_args", monkeypatch)
    stop_after(argparse.ArgumentParser, "parse_known_args", monkeypatch)
    make_directory(tmp_path)
    monkeypatch.chdir(tmp_path)
    misunderstood = {}
    for page, command in sorted(set(commands())):
        for language, block in FENCE.findall(PAGES[page]):
            if language == "yaml" and (name := re.match(r"# (\S+\.yaml)\n", block)):
                (tmp_path / name[1]).write_text(block, encoding="utf-8")
        try:
            understand(command)
        except (Exception, SystemExit) as error:
            misunderstood[page, command] = error
    assert misunderstood == {}


def stop_after(parser, name, monkeypatch):
    """Lets a kind of parser, but not those derived from it, stop where it has parsed."""
    parse = getattr(parser, name)

    def stop(self, *args, **kwargs):
        parsed = parse(self, *args, **kwargs)
        if type(self) is parser:
            raise Understood
        return parsed

    monkeypatch.setattr(parser, name, stop)


def understand(command):
    """Parses a command by its own parser; a make target and an extra of the package are looked up."""
    words = shlex.split(command)
    if words[0] == "make":
        target = [word for word in words[1:] if "=" not in word]
        assert re.search(rf"^{target[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), target
    elif words[0] == "pip":
        for extra in re.findall(r"\[([\w,]+)\]", command):
            assert set(extra.split(",")) <= set(PYPROJECT["project"]["optional-dependencies"]), extra
    else:
        main = main_of(words[2])
        if words[3:]:  # otherwise it is a name, not a command line
            with pytest.raises((Understood, SystemExit)) as stopped:
                main(words[3:])
            assert getattr(stopped.value, "code", 0) == 0  # as --print_config has it


def main_of(door):
    """The function that runs a module from the command line."""
    return import_module(f"{door}.__main__" if (ROOT / door.replace(".", "/")).is_dir() else door).main


def make_directory(path):
    """A directory as one has it in which the commands are given."""
    (path / "configs").symlink_to(ROOT / "configs")


def run_page(page, tmp_path, monkeypatch, commands=False):
    """Runs a page's Python from top to bottom, as one program; and its commands, where asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    if not (tmp_path / "configs").exists():
        make_directory(tmp_path)
    namespace = {"__name__": "__main__"}
    for language, block in FENCE.findall(PAGES[page]):
        if language == "python":
            exec(compile(block, page, "exec"), namespace)
        elif language == "yaml" and (name := re.match(r"# (\S+)\n", block)):
            (tmp_path / name[1]).write_text(block, encoding="utf-8")
        elif commands and not language:
            for line in block.splitlines():
                _, _, door, *words = shlex.split(line)
                assert main_of(door)(words) == 0, line


WITH_PYTHON = [page for page, text in PAGES.items() if "```python\n" in text]


TAKES_LONG = {"docs/parallel.md", "docs/tutorials/own_step.md"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page in TAKES_LONG else [])
        for page in sorted(set(WITH_PYTHON) - set(NEEDS_A_RUN) - set(RUNS_ITS_COMMANDS))
    ],
)
def test_its_python_runs(page, tmp_path, monkeypatch):
    run_page(page, tmp_path, monkeypatch)


def test_the_picture_of_the_floors_is_the_linters():
    contract = next(c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    floors = [
        {room.strip().removeprefix("rnnjax.") for room in re.split("[:|]", layer)} for layer in contract["layers"]
    ]
    table = re.search(r"\| Rooms of a floor.*?\n\n", PAGES["docs/architecture.md"], re.S)[0].rstrip().splitlines()[2:]
    assert [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in table] == floors
    assert set().union(*floors) == ROOMS


def test_every_gradient_method_is_named_where_one_looks_for_it():
    for text in (gradient.__doc__ or "", PAGES["docs/gradients.md"]):
        assert [name for name in METHODS if not re.search(rf"\b{name}\b", text)] == []


def test_the_table_of_studies_counts_their_runs():
    rows = re.findall(r"^\| \[\w+\]\((\w+)\.md\) \| .* \| (\d+) x (\d+) \|", PAGES["docs/studies/index.md"], re.M)
    counts = {name: f"{arms} arms, {int(arms) * int(seeds)} runs" for name, arms, seeds in rows}
    assert counts == {page: re.search(r"\d+ arms, \d+ runs", PAGES[f"{REPORTS}{page}.md"])[0] for page in STUDIES}


def test_the_version_is_the_same_everywhere():
    version = PYPROJECT["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", PAGES["CHANGELOG.md"], re.M)[1] == version


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
