"""What tools print in a cell: labelled with the task, together, bounded; and nobody else's prints are touched."""

from __future__ import annotations

import sys

import pytest

from compiler_nb import Run
from compiler_nb.notebook.live.details import details

LOUD = """
import asyncio, threading
from compiler_nb import tool

@tool
def loud(n: int, lines: int = 2) -> int:
    "Print from a thread."
    for at in range(lines):
        print("line", at, "of", n)
        time.sleep(0.01)
    return n

@tool
async def late(n: int) -> int:
    "Print from a coroutine, and from a thread that is nobody's."
    print("before", n)
    await asyncio.sleep(0.02)
    if n == 9:
        other = threading.Thread(target=print, args=("from elsewhere",))
        other.start(); other.join()
    print("after", n, end="")
    return n

@tool(thread="main")
def main(n: int) -> int:
    "Print in the main thread."
    print("main", n)
    return n
"""


@pytest.fixture
def loud(shell):
    """Give a shell with tools that print."""
    shell.ok("import time" + LOUD)
    return shell


def test_prints_are_labelled_with_their_task_and_not_interleaved(loud, capsys):
    """Of threads, coroutines and the main thread at once: lines are whole, and those of a task in order."""
    before = sys.stdout
    loud.ok(
        "%%plan --live off\na = loud(1)\nb = loud(2)\nc = late(3)\nd = main(4)\n"
        "e = [late(n) for n in [5, 6]]\nanswer(a)"
    )
    printed = capsys.readouterr().out
    for lines in (
        ["[a] line 0 of 1", "[a] line 1 of 1"], ["[b] line 0 of 2", "[b] line 1 of 2"], ["[c] before 3", "[c] after 3"],
        ["[d] main 4"], ["[e[0]] before 5", "[e[0]] after 5"],
    ):  # fmt: skip
        label = lines[0].partition("] ")[0] + "] "
        assert [line for line in printed.splitlines() if line.startswith(label)] == lines, printed
    assert sys.stdout is before


def test_the_details_of_a_task_show_what_it_printed(loud, capsys):
    """As text, in which nothing acts."""
    loud.ok("%%plan\na = loud(1)\nb = main(1)\nanswer(a)")
    page = details(loud.ns["run"], "a")
    assert "<h5>printed</h5><pre>line 0 of 1<br>line 1 of 1</pre>" in page
    assert "main 1" in details(loud.ns["run"], "b")
    stored = loud.ns["run"]
    again = Run(stored.order, stored.settings, stored.log)  # as a stored run is: nothing but its events
    assert details(again, "a") == page


@pytest.mark.slow
def test_many_lines_of_a_task_are_counted(loud, capsys):
    """A hundred are shown."""
    loud.ok("%%plan\na = loud(1, lines=130)\nanswer(a)")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("[a]")][-2:] == ["[a] line 99 of 1", "[a] … 30 more lines"]


def test_a_long_line_is_cut(loud, capsys):
    """Ten thousand characters are shown."""
    loud.ok('@tool\ndef long(n: int) -> int:\n    "Print much."\n    print("x" * n)\n    return n')
    loud.ok("%%plan\na = long(50_000)\nanswer(a)")
    printed = capsys.readouterr().out
    assert printed.count("x") == 10_000
    assert "[a] … 40,001 more characters" in printed


@pytest.mark.slow
def test_prints_of_other_code_are_untouched(loud, capsys):
    """A thread that a tool starts is nobody's; so is a cell that runs beside a background run."""
    before = sys.stdout
    loud.ok("%%plan\na = late(9)\nanswer(a)")
    assert "\nfrom elsewhere\n" in f"\n{capsys.readouterr().out}"
    loud.ok("%%plan -b\na = loud(1, lines=20)\nanswer(a)")
    loud.ok("print('mine')\nrun.wait() if hasattr(run, 'wait') else time.sleep(0.6)\nprint('still mine')")
    printed = capsys.readouterr().out
    assert "\nmine\n" in f"\n{printed}"
    assert "\nstill mine\n" in f"\n{printed}"
    loud.ok("pass")
    assert sys.stdout is before


def test_a_run_that_fails_or_is_refused_gives_standard_output_back(loud, capsys):
    """Whatever ends it."""
    before = sys.stdout
    loud.ok('@tool\ndef bad(n: int) -> int:\n    "Print and fail."\n    print("about to")\n    raise ValueError("x")')
    assert "RunFailed" in loud.error("%%plan\na = bad(1)\nanswer(a)")
    assert "[a] about to\n" in capsys.readouterr().out
    loud.error("%%plan\na = nothing_like_it(1)\nanswer(a)")
    assert sys.stdout is before
