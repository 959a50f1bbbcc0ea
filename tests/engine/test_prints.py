"""What tools print is part of their run, wherever it was started; who prints nothing has no events."""

# ruff: noqa: T201 - printing is what these tools do

from __future__ import annotations

import asyncio
import io
import sys

import pytest

from compiler_nb import Compiler, History, Plan, tool
from compiler_nb.engine.printout import CHARACTERS, LINES
from compiler_nb.engine.prints import ROUTER
from compiler_nb.events import RunEnded, TaskEnded, TaskPrinted

COVERS = ("printout.py",)


@tool
def loud(n: int, lines: int = 1, end: str = "\n") -> int:
    """Print from a thread."""
    for at in range(lines):
        print("line", at, "of", n, end=end)
    return n


@tool
async def soft(n: int) -> int:
    """Print from a coroutine."""
    print("softly", n)
    await asyncio.sleep(0)
    print("and", end=" ")
    print("again")
    return n


@tool
def quiet(n: int) -> int:
    """Print nothing."""
    return n


def run_of(text: str, **given: object):
    """Run a plan as Python code does."""
    tools = [loud, soft, quiet]
    return Compiler(tools=tools, **given).execute_sync(Plan.parse(text, tools=tools))


def printed(run) -> list[TaskPrinted]:
    """Return the events of prints."""
    return [event for event in run.events if isinstance(event, TaskPrinted)]


def test_a_run_started_in_python_has_its_prints_and_passes_them_on_as_they_come(capsys):
    """By task in its events; standard output is what it would be without us, and given back at the end."""
    before = sys.stdout
    run = run_of("a = loud(1, lines=2)\nb = soft(2)\nc = [soft(n) for n in [3, 4]]\njoin()")
    assert run.progress.printed == {
        "a": "line 0 of 1\nline 1 of 1\n", "b": "softly 2\nand again\n",
        "c[0]": "softly 3\nand again\n", "c[1]": "softly 4\nand again\n",
    }  # fmt: skip
    told = capsys.readouterr().out
    assert all(word in told for word in ("line", "0 of", "softly", "again"))  # lines of two threads may mix
    assert "[a]" not in told
    assert sys.stdout is before
    assert isinstance(run.events[-1], RunEnded)


class CellStream(io.StringIO):
    """The stream of a kernel, which knows the cell that it writes for."""

    def set_parent(self, parent: object) -> None:
        """Take the cell."""


def test_in_a_notebook_a_run_started_in_python_labels_its_prints(monkeypatch):
    """As a cell of a magic does: by task, line by line, bounded; other prints stay as they are."""
    cell = CellStream()
    monkeypatch.setattr(sys, "stdout", cell)
    run = run_of("a = loud(1, lines=2)\nb = soft(2)\nc = loud(3, lines=130)\nd = loud(4, end='')\njoin()")
    print("done")
    lines = cell.getvalue().splitlines()
    for id_, printed in (
        ("a", ["line 0 of 1", "line 1 of 1"]),
        ("b", ["softly 2", "and again"]),
        ("d", ["line 0 of 4"]),
    ):
        assert [line for line in lines if line.startswith(f"[{id_}]")] == [f"[{id_}] {line}" for line in printed]
    assert [line for line in lines if line.startswith("[c]")][-1] == "[c] … 30 more lines"
    assert lines[-1] == "done"
    assert run.progress.printed["b"] == "softly 2\nand again\n"
    assert sys.stdout is cell


def test_a_run_that_prints_nothing_has_no_event_more(capsys):
    """Two for an ordinary call: it was planned and started, and it ended."""
    run = run_of("a = quiet(1)\nb = quiet(a)\nanswer(b)")
    assert printed(run) == []
    assert sum(isinstance(event, TaskEnded) for event in run.events) == 2


@pytest.mark.slow
def test_what_a_task_prints_is_bounded_and_so_are_its_events(capsys):
    """A hundred lines or ten thousand characters are kept; one event at most in a tenth of a second."""
    run = run_of("a = loud(1, lines=5_000)\nb = loud(2, lines=5_000, end='.')\nc = quiet(0)\njoin()")
    lines = run.progress.printed["a"].splitlines()
    assert len(lines) == LINES + 1
    assert lines[-1] == "… 4,900 more lines"
    kept, left = run.progress.printed["b"].split("\n")
    assert len(kept) == CHARACTERS
    assert left == f"… {sum(len(f'line {at} of 2.') for at in range(5_000)) - CHARACTERS:,} more characters"
    assert len(printed(run)) < 40
    assert len(capsys.readouterr().out) > 100_000


def test_a_stored_run_knows_what_its_tools_printed(tmp_path, capsys):
    """Also the end of a line that was not ended."""
    history = History(tmp_path / "runs.db")
    run = run_of("a = loud(1, end='')\njoin(a)", history=history)
    assert history.load(run.id).progress.printed == {"a": "line 0 of 1"}


def test_a_listener_that_prints_is_no_tool(capsys):
    """What it prints while it is told of prints is no print of a task, or it would never end."""
    tools = [soft]
    plan = Plan.parse("a = soft(1)\nanswer(a)", tools=tools)
    run = Compiler(tools=tools).execute_sync(plan, on_event=lambda event: print(type(event).__name__))
    assert len(printed(run)) < 5
    assert "RunEnded" in capsys.readouterr().out


def test_a_run_within_a_tool_keeps_its_own_prints(capsys):
    """Those of the inner run are not the outer task's."""
    runs = []

    @tool
    async def outer(n: int) -> int:
        """Run another plan."""
        print("outer")
        runs.append(await Compiler(tools=[soft]).execute(Plan.parse("x = soft(1)\nanswer(x)", tools=[soft])))
        print("still outer")
        return n

    run = Compiler(tools=[outer]).execute_sync(Plan.parse("a = outer(1)\nanswer(a)", tools=[outer]))
    assert run.progress.printed == {"a": "outer\nstill outer\n"}
    assert runs[0].progress.printed == {"x": "softly 1\nand again\n"}
    assert sys.stdout is not ROUTER
