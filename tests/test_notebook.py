"""The notebook: in step with its script, and running from top to bottom."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "textbook.ipynb"


def sources(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_it_is_in_step_with_its_script():
    script = jupytext.read(NOTEBOOK.with_suffix(".py"))
    assert sources(nbformat.read(NOTEBOOK, 4)) == sources(script), "run: make notebook"


def test_it_is_shown_with_what_it_computed():
    cells = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs) >= 5


def test_it_defines_no_mathematics():
    lines = [line.lstrip() for _, text in sources(nbformat.read(NOTEBOOK, 4)) for line in text.split("\n")]
    assert not any(line.startswith(("def ", "class ")) for line in lines)


@pytest.mark.slow
def test_it_runs():
    notebook = nbformat.read(NOTEBOOK, 4)
    for cell in notebook.cells:  # what its networks learn is in what it is shown with; here they take few steps
        cell.source = re.sub(r"TrainingConfig\(steps=[\d_]+", "TrainingConfig(steps=20", cell.source)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": NOTEBOOK.parent}}).execute()
