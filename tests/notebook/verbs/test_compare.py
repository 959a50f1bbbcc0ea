"""`%compile diff`: which runs are meant, what they are called, and what a line says that makes no sense."""

from __future__ import annotations

import pytest

from compiler_nb import History
from tests.support.shell import told

ONE, TWO = "a = double(1)\nanswer(a)\n", "a = double(2)\nb = double(3)\nanswer(b)\n"


@pytest.fixture
def two(shell):
    """Give a shell in which two questions were asked."""
    for plan, name in ((ONE, "base"), (TWO, "terse")):
        shell.planner(plan)
        shell.ok(f"%%compile -m m -o {name}\nWhich?")
    return shell


def first(shell, line: str) -> str:
    """Return the first line of what a line shows."""
    shell.ok(line)
    return shell.shown[-1]["text/plain"].splitlines()[0]


def test_the_last_two_runs_are_compared(two):
    """Without words the last is B and the one before is A; a page is shown, too."""
    assert first(two, "%compile diff") == "A → B: tasks: 1 changed, 1 added; 1 value differs; the answers differ"
    assert "x: 1 → 2" in two.shown[-1]["text/plain"]
    assert 'data-diff="added"' in two.shown[-1]["text/html"]


def test_runs_are_named_by_variables_ids_and_numbers(two):
    """Variables are what the runs are called; one word is compared with the last run."""
    assert first(two, "%compile diff base terse").startswith("base → terse: ")
    assert first(two, "%compile diff terse base").startswith("terse → base: tasks: 1 changed, 1 dropped")
    assert first(two, f"%compile diff {two.ns['base'].id}").startswith("A → B: ")
    assert first(two, "%compile diff -2 terse").startswith("A → terse: ")


def test_times_are_told_if_they_are_asked_for(two):
    """Text is the same from run to run, unless it has times."""
    two.ok("%compile diff")
    assert "time  " not in two.shown[-1]["text/plain"]
    two.ok("%compile diff --times")
    assert "time  " in two.shown[-1]["text/plain"]


def test_what_cannot_be_compared_is_an_error_that_says_why(two):
    """No run, one run, the same twice, a name that is no run."""
    assert "OptionError: %compile diff: A and terse are the same run" in two.error("%compile diff -1 terse")
    assert "no run is called 'nobody'; %compile runs lists them" in two.error("%compile diff nobody")
    assert "does not take 'x'" in two.error("%compile diff base terse x")


def test_one_run_cannot_be_compared(shell):
    """There is none before it."""
    shell.planner(ONE)
    shell.ok("%%compile -m m\nWhich?")
    said = shell.error("%compile diff")
    assert "%compile diff compares the last two runs: no run is called '-2'; %compile runs" in said
    assert "(1 so far)" in said


def test_stored_runs_are_compared(shell, tmp_path):
    """A run of another session is found by its id, and its arguments have the names of the notebook's tools."""
    shell.ok(f"%config CompileMagics.history = {str(tmp_path / 'runs.db')!r}")
    for plan in (ONE, TWO):
        shell.planner(plan)
        shell.ok("%%compile -m m\nWhich?")
    newest, older = (run.id for run in History(tmp_path / "runs.db").runs())
    shell.ok("%unload_ext compiler_nb\n%load_ext compiler_nb")
    assert first(shell, f"%compile diff {older} {newest}").startswith("A → B: tasks: 1 changed, 1 added")


def test_help_says_what_is_shown(shell, capsys):
    """The verb is listed with its words."""
    assert told(shell, capsys, "%compile diff -h").startswith(
        "%compile diff [A [B]] [--times]\n\nshow how run A became"
    )
