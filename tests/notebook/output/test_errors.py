"""A refused plan in a cell: what is wrong, where, and the fix."""

from __future__ import annotations

import pytest

from compiler_nb import Plan, PlanError
from compiler_nb.notebook.output.errors import WIDE, marked


def told(text: str, **options) -> list[str]:
    """Return the lines that a person sees for a text that is no plan."""
    with pytest.raises(PlanError) as caught:
        Plan.parse(text, dialect="python", **options)
    return marked(caught.value).split("\n")


def test_a_cell_shows_each_problem_with_its_line_and_a_mark_below_the_column(shell):
    """Each problem with its own line, in the order of the text; nothing has started."""
    result = shell.run("%%plan\na = double(2)\nb = max(a._x, 3)\nnote = dubble(b)\nimport os")
    (shown,) = result.error_in_exec._render_traceback_()
    assert shown.split("\n") == [
        "PlanError: line 3, column 9: the attribute ._x cannot be read: use a tool",
        "  [attribute]",
        "    b = max(a._x, 3)",
        "            ^",
        "line 4, column 8: no tool is called 'dubble'. Did you mean 'double'? The",
        "  tools are: double, fail, llm, extract [unknown_tool]",
        "    note = dubble(b)",
        "           ^",
        "line 5, column 1: `import` is not allowed in a plan: call the tools instead",
        "  [statement]",
        "    import os",
        "    ^",
    ]
    assert "run" not in shell.ns


@pytest.mark.parametrize(("above", "line"), [("", 3), ("\n\n", 5)])
def test_the_lines_of_a_problem_are_those_of_the_cell(shell, above, line):
    """The magic is the cell's first line; empty lines above the plan count, too, and so do lines that messages name."""
    result = shell.run(f"%%plan\n{above}a = double(b)\nb = double(1)\nanswer(b)\nc = 1")
    told = " ".join("\n".join(result.error_in_exec._render_traceback_()).split())
    assert f"line {line - 1}, column" in told
    assert f"'b' is given in line {line} only" in told
    assert f"the last line (line {line + 1})" in told
    assert " a = double(b) ^" in told


@pytest.mark.parametrize("options", ["", "-N", "--dialect json"])
def test_every_way_to_a_plan_in_a_cell_marks_it(shell, options):
    """Run, or drawn only."""
    result = shell.run(f"%%plan {options}\ntotal = fail(x=frame.apply(abs))")
    (shown,) = result.error_in_exec._render_traceback_()
    assert shown.endswith("    total = fail(x=frame.apply(abs))\n                   ^")
    assert "is called 'frame'" in " ".join(shown.split())


def test_the_mark_stands_below_the_column_whatever_stands_before():
    """Wide characters take two places, combining ones none; the second line of a statement is shown, not the first."""
    assert told("x = f('\u6771\u4eac', a.b)")[-2:] == ["    x = f('\u6771\u4eac', a.b)", " " * 18 + "^"]
    assert told("x = f('e\u0301', a.b)")[-2:] == ["    x = f('e\u0301', a.b)", " " * 15 + "^"]
    assert told("x = f(\r\n\ta.b,\r\n)")[-2:] == ["     a.b,", "     ^"]


def test_a_long_line_is_shown_around_its_column():
    """At most a hundred characters of it."""
    line, mark = told(f"x = f('{'y' * 500}', a.b, '{'z' * 500}')")[-2:]
    assert line == f"    …{'y' * 57}', a.b, '{'z' * 34}…"
    assert (len(mark), line[len(mark) - 1 :][:3]) == (66, "a.b")


def test_what_a_line_hides_is_not_shown():
    """Characters that turn the text around, or end it, take the place of one that does nothing."""
    assert told("x = f('\u202e\x00', 1)")[1] == "    x = f('\ufffd\ufffd', 1)"


def test_without_a_text_or_a_line_the_message_stands_alone():
    """As for bytes that are no text, and for a plan that ends too early."""
    assert told("x = [")[-1] == "        ^"  # below the bracket that is not closed
    with pytest.raises(PlanError) as caught:
        Plan.parse(b"\xff")
    assert marked(caught.value) == str(caught.value)
    assert told("") == [
        "line 1, column 1: the text holds no task: write at least one call of a tool, or answer(...) [empty]"
    ]


def test_a_long_message_breaks_between_words(shell):
    """JupyterLab would break it inside words, where nothing of ours stands above that could style it."""
    result = shell.run("%%plan --timeout soon\na = double(1)")
    assert max(map(len, "".join(result.error_in_exec._render_traceback_()).split("\n"))) <= WIDE
    result = shell.run(f"%%plan\na = {'double(' * 30}1")
    lines = "".join(result.error_in_exec._render_traceback_()).split("\n")
    assert all(len(line) <= WIDE or line.startswith("    ") for line in lines)
