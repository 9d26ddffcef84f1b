"""The notebooks: in step with their scripts, and running from top to bottom."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PLOTS = {
    NOTEBOOKS / f"{name}.ipynb": count for name, count in {"textbook": 6, "architectures": 2, "own_step": 2}.items()
}
every = pytest.mark.parametrize("path", PLOTS, ids=lambda path: path.stem)


def sources(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@every
def test_it_is_in_step_with_its_script(path):
    script = jupytext.read(path.with_suffix(".py"))
    assert sources(nbformat.read(path, 4)) == sources(script), "run: make notebook"


@every
def test_it_is_shown_with_what_it_computed(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs) >= PLOTS[path]


def test_a_certificate_is_printed_as_text_in_a_notebook():
    cells = nbformat.read(NOTEBOOKS / "own_step.ipynb", 4).cells
    (output,) = next(cell.outputs for cell in cells if cell.source.endswith("print(report)"))
    assert " PASS, 0 FAIL" in output.text
    assert "\x1b" not in output.text


@pytest.mark.parametrize("name", ["textbook", "architectures"])
def test_the_chapter_defines_no_mathematics(name):
    lines = [line.lstrip() for line in (NOTEBOOKS / f"{name}.py").read_text(encoding="utf-8").splitlines()]
    assert not any(line.startswith(("def ", "class ")) for line in lines)


@pytest.mark.slow
@every
def test_it_runs(path):
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:  # what its networks learn is in what it is shown with; here they take few steps
        cell.source = re.sub(r"TrainingConfig\(steps=[\d_]+", "TrainingConfig(steps=20", cell.source)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": NOTEBOOKS}}).execute()
