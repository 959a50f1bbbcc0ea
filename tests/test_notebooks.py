"""The notebooks of the course run, and their saved outputs are what a new run shows."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from compiler_nb.__main__ import FILES
from compiler_nb.grammar.plans import make_grammar
from compiler_nb.tool import Toolbox
from tests.support.grammars import Matcher

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NBVAL = FILES["nbval"]
SECONDS = 300


def shown(notebook) -> list[str]:
    """Return the texts that the code cells of a notebook show."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [
        str(output.get("text", "")) + str(output.get("data", "")) + str(output.get("evalue", "")) for output in outputs
    ]


def errors(notebook) -> list[str]:
    """Return the errors that a notebook shows, with those that IPython only prints."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    raised = [output.evalue for cell in cells for output in cell.outputs if output.output_type == "error"]
    return [*raised, *(text for text in shown(notebook) if "UsageError" in text)]


def test_printed_usage_errors_are_errors():
    """IPython prints a UsageError and goes on, and so would the tests below."""
    cell = nbformat.v4.new_code_cell(
        outputs=[nbformat.v4.new_output("stream", name="stderr", text="UsageError: no -x")]
    )
    assert errors(nbformat.v4.new_notebook(cells=[cell])) == ["UsageError: no -x"]
    assert not errors(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell()]))


@pytest.mark.kernel
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    """Every cell runs in a new kernel, without an error and without a UsageError."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=120, resources=resources, store_widget_state=False).execute()
    assert not errors(notebook)


@pytest.mark.kernel
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_saved_outputs_are_those_of_a_run(path):
    """What a reader sees without a kernel is what comes out: nbval compares every output, times apart."""
    options = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", str(NBVAL)]
    plain = ["-q", "-o", "addopts=", "-o", "filterwarnings=", "-p", "no:cacheprovider", "--timeout", str(SECONDS)]
    command = [sys.executable, "-m", "pytest", *options, *plain, str(path)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-8_000:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_have_fixed_names(path):
    """A cell's id is a word, so that a change of a notebook can be read; nothing of a machine is saved with it."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert all(id_.replace("-", "").islower() and id_.replace("-", "").isalpha() for id_ in ids), ids
    assert len(set(ids)) == len(ids)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert not [cell.id for cell in notebook.cells if "execution" in cell.metadata]


def test_what_a_notebook_calls_forbidden_cannot_be_written():
    """Not one of its texts is one of the grammar's, and a plan that is accepted is."""
    notebook = nbformat.read(ROOT / "notebooks" / "02_the_plan_language.ipynb", as_version=4)
    [source] = [cell.source for cell in notebook.cells if "forbidden = " in cell.source]
    [forbidden] = [
        ast.literal_eval(each.value)
        for each in ast.parse(source).body
        if isinstance(each, ast.Assign) and getattr(each.targets[0], "id", "") == "forbidden"
    ]

    def month(year: int, month: int) -> dict: ...
    def record(year: int) -> dict: ...

    grammar = make_grammar(Toolbox([month, record]), "numbered")
    assert len(forbidden) == 5
    assert [text for text in forbidden if Matcher(grammar, text).matches()] == []
    assert Matcher(grammar, "1. month(2014, 7)\n2. record($1.year)\n3. join($2)<END_OF_PLAN>").matches()
