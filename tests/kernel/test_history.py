"""A notebook's history: runs are kept beside it, and one whose kernel was killed goes on in the next."""

from __future__ import annotations

import os
import signal
import stat
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.kernel import SETUP, running_kernel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel
SLOW = """
@tool
def hang(x: object) -> object:
    "Wait for a file."
    while not __import__("os").path.exists("go"):
        time.sleep(0.01)
    return x

@tool(side_effects=True)
def send(x: object) -> str:
    "Send."
    with open("sent", "a") as file:
        file.write(f"{x}\\n")
    return "sent"
"""
CELL = """%%plan --approve auto What is it?
ny = weather("New York")
sent = send(ny["max"])
last = hang([sent, ny])
answer(last)
"""


def setup_in(folder: Path) -> str:
    """Return the first cell of a notebook that lies in a folder."""
    return f"import os\nos.chdir({str(folder)!r})\n{SETUP}{SLOW}"


def test_a_killed_kernels_run_goes_on_in_the_next_one(tmp_path):
    """It is listed as broken off, can be looked at, and its rerun runs only what had not finished."""
    with running_kernel(setup_in(tmp_path), COMPILER_NB_HISTORY="on") as kernel:
        assert kernel.run("%%compile -m planner\nWhich is longest?").status == "ok"
        kernel.send(CELL)
        kernel.until_true((tmp_path / "sent").exists)
        time.sleep(0.3)
        os.kill(kernel.manager.provisioner.pid, signal.SIGKILL)
    file = tmp_path / ".compiler_nb" / "runs.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (file.parent / ".gitignore").read_text() == "*\n"

    with running_kernel(setup_in(tmp_path), COMPILER_NB_HISTORY="on") as kernel:
        rows = kernel.run("%compile runs").printed.splitlines()
        assert [row.split()[0] for row in rows[1:]] == ["-1", "-2"]
        assert "broken off" in rows[1]
        assert rows[1].endswith("What is it?")
        assert rows[2].endswith("Which is longest?")
        shown = kernel.run("%compile show -1 -d table").shown[-1]["text/plain"]
        assert "✓ done       ny" in shown
        assert "cancelled" in shown
        (tmp_path / "go").touch()
        reply = kernel.run("%compile rerun -1")
        assert reply.status == "ok", reply.error
        assert kernel.value("last") == "['sent', {'city': 'New York', 'max': 8}]"
        assert (tmp_path / "sent").read_text() == "8\n"
        assert [row.split()[1] for row in kernel.run("%compile runs").printed.splitlines()[1:]] == [
            "done",
            "broken",
            "done",
        ]
        shown = kernel.run("%compile show -3 -d table").shown[-1]["text/plain"]
        assert "The longest has 13 letters." in shown


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path):
    """Runs go on without a history; it is said once in a session."""
    (tmp_path / ".compiler_nb").write_text("in the way")
    with running_kernel(setup_in(tmp_path), COMPILER_NB_HISTORY="on") as kernel:
        replies = [kernel.run("%%compile -m planner\nWhich?") for _ in range(2)]
        told = [sum("runs are not kept" in each["text"] for each in reply.of("stream")) for reply in replies]
        assert [reply.status for reply in replies] == ["ok", "ok"]
        assert told == [1, 0]
        assert kernel.run('%config CompileMagics.history = "other/runs.db"').status == "ok"
        assert kernel.run("%%compile -m planner\nWhich?").status == "ok"
    assert (tmp_path / "other" / "runs.db").exists()


def test_no_history_leaves_nothing(tmp_path):
    """By the environment, or by the setting."""
    with running_kernel(setup_in(tmp_path), COMPILER_NB_HISTORY="off") as kernel:
        assert kernel.run("%%compile -m planner\nWhich?").status == "ok"
        assert kernel.value("__import__('sys').modules.get('sqlite3')") != ""
    with running_kernel(setup_in(tmp_path), COMPILER_NB_HISTORY="on") as kernel:
        assert kernel.run('%config CompileMagics.history = ""').status == "ok"
        assert kernel.run("%%compile -m planner\nWhich?").status == "ok"
    assert list(tmp_path.iterdir()) == []
