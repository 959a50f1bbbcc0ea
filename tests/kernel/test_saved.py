"""Notebooks that are executed headless: the same from run to run, and strict nbval agrees."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.kernel import SETUP

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]
CELLS = [
    SETUP,
    "# a comment\n%%compile -m planner\nWhich city has the longest name?\n# NBVAL_CHECK_OUTPUT",
    "%%plan --no-raise\nn = max([1, 2])\nnote = weather(n)",
    "ny['max'], run.status",
]


FAILING = "%%plan\nn = max([1, 2])\nnote = weather(n)"


def notebook():
    """Return the notebook, with fixed ids."""
    cells = [nbformat.v4.new_code_cell(cell, id=f"cell-{number}") for number, cell in enumerate(CELLS)]
    return nbformat.v4.new_notebook(cells=cells)


def executed(**options) -> str:
    """Return the notebook's text after a run in a new kernel."""
    run = notebook()
    NotebookClient(run, timeout=60, record_timing=False, store_widget_state=False, **options).execute()
    return nbformat.writes(run)


def test_two_executions_are_the_same_bytes_and_nbval_agrees(tmp_path, monkeypatch):
    """With live off and a scripted model nothing differs, in any form of any output."""
    monkeypatch.setenv("COMPILER_NB_LIVE", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    first = executed()
    assert executed() == first
    assert "data-task" in first
    path = tmp_path / "saved.ipynb"
    path.write_text(first, encoding="utf-8")
    told = checked(path)
    assert told.returncode == 0, told.stdout[-4_000:]
    assert "4 passed" in told.stdout


def checked(path, *options) -> subprocess.CompletedProcess:
    """Return what strict nbval says to a notebook."""
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *options, str(path)], cwd=path.parent, capture_output=True, text=True, check=False)


def test_saved_times_are_kept_and_nbval_agrees_if_it_leaves_out_these_only(tmp_path, monkeypatch):
    """As papermill and nbconvert save it: the footer has a time, `python -m compiler_nb nbval` names the file."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("COMPILER_NB_LIVE", raising=False)
    path = tmp_path / "saved.ipynb"
    text, count = re.subn(r'(cnb-time\\"> \u00b7 )[\d.]+ m?s', r"\g<1>987 s", executed())
    assert count == 2
    path.write_text(text, encoding="utf-8")
    file = subprocess.run([sys.executable, "-m", "compiler_nb", "nbval"], capture_output=True, text=True, check=True)
    sanitized = ("--nbval-sanitize-with", file.stdout.strip())
    told = checked(path, *sanitized)
    assert told.returncode == 0, told.stdout[-4_000:]
    assert "2 failed" in checked(path).stdout  # the times differ
    path.write_text(text.replace("has 13 letters", "has 14 letters"), encoding="utf-8")
    assert "1 failed" in checked(path, *sanitized).stdout


def test_an_error_of_ours_is_an_error_of_the_notebook(monkeypatch):
    """A run without an answer fails the execution, after its picture is shown."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (SETUP, FAILING)])
    NotebookClient(run, timeout=60, allow_errors=True, store_widget_state=False).execute()
    shown, raised = run.cells[1].outputs
    assert (shown.output_type, raised.output_type, raised.ename) == ("display_data", "error", "RunFailed")
    assert len(raised.traceback) == 1
