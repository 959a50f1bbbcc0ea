"""`%%compile --cache` and `%compile cache`: what a cell takes from it, what is in it, and why something is not."""

from __future__ import annotations

import pytest

from tests.support.shell import told

TOOLS = """
from compiler_nb import tool, ScriptedModel

@tool(pure=True)
def triple(x: float) -> float:
    "Return three times a number."
    return 3 * x
"""


@pytest.fixture
def cell(shell):
    """Return what runs the question."""
    shell.ok(TOOLS)

    def run(options: str = "--cache all", plan: str = "a = triple(2)\\nanswer(a)\\n") -> str:
        shell.ok(f"m = ScriptedModel('{plan}')")
        shell.ok(f"%%compile -m m {options}\nThrice two?")
        shown = next(data["text/plain"] for data in reversed(shell.shown) if "text/plain" in data)
        return str(shown)

    return run


def test_a_cell_that_runs_again_takes_its_plan_and_its_values_from_the_cache(shell, cell):
    """Its last line says so; it needs no history."""
    assert "from the cache" not in cell()
    assert "from the cache: the plan, a" in cell()
    assert shell.ns["run"].usage.calls == 0
    assert shell.ns["a"] == 6


def test_config_sets_it_for_all_cells(shell, cell):
    """A cell's own option goes first."""
    shell.ok('%config CompileMagics.cache = "pure"')
    cell("")
    assert "from the cache: a" in cell("")
    assert "from the cache" not in cell("--cache off")


def test_show_and_clear(shell, cell, capsys):
    """What is in it, what a run took from it and why it did not take the rest."""
    assert told(shell, capsys, "%compile cache") == "the cache is empty\n"
    cell()
    shell.ok(TOOLS.replace("3 * x", "2 * x + x"))
    cell()
    capsys.readouterr()
    assert told(shell, capsys, "%compile cache show").startswith("3 entries, ")
    lines = told(shell, capsys, "%compile cache show run").splitlines()
    assert lines[0].startswith("planner: from the cache: made in ")
    assert lines[1] == "a: not from the cache: tool `triple` changed"
    assert "tool `triple` changed" in told(shell, capsys, "%compile why a")
    assert told(shell, capsys, "%compile cache clear") == "the cache is empty: 3 entries were taken out\n"
    assert "from the cache" not in cell()


def test_wrong_words_are_told(shell):
    """With what it takes."""
    assert "cache takes show, show RUN, or clear, not 'empty'" in shell.error("%compile cache empty")
    assert "--cache takes off or plan or pure or all, not 'on'" in shell.error("%%compile --cache on\nWhat?")
