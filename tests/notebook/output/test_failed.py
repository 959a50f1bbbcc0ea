"""A tool that fails in a cell: what raised stands there once, with the user's own line, and the debugger opens it."""

from __future__ import annotations

import sys

from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.tracebacks import place_of

BROKEN = """
import json
from compiler_nb import tool

def helper(text):
    return json.loads(text)

@tool
def fetch(n: int) -> int:
    "Fetch."
    return helper("{")

@tool
async def late(n: int) -> int:
    "Fetch later."
    return {}[n]
"""
PLAN = "%%plan\na = fetch(1)\nb = double(a)\nanswer(b)"


def lines_of(shell, cell):
    """Return the lines that a cell's error shows, and the error."""
    error = shell.run(cell).error_in_exec
    return "\n".join(error._render_traceback_()).split("\n"), error


def test_a_cell_names_the_cell_line_and_code_of_the_tools_own_frame(shell):
    """Of the user's helper, not of the library that it calls nor of our files; and says what to do."""
    shell.ok(BROKEN)
    lines, _ = lines_of(shell, PLAN)
    assert lines[0].startswith("RunFailed: the answer cannot be evaluated: b was skipped because a failed: ")
    assert lines[1:] == [
        "a failed in Cell In[1], line 5, in helper",
        "    return json.loads(text)",
        "%debug opens the frame that raised",
    ]
    assert place_of(shell.ns["run"].failures["a"].traceback) == (
        "Cell In[1], line 5, in helper",
        "return json.loads(text)",
    )


def test_a_plan_that_the_planner_could_not_write_is_named_and_can_be_read(shell, capsys):
    """The lines that an error counts are the planner's, which no cell holds."""
    shell.ns["m"] = ScriptedModel({"planner": "a = b c\n", "repair": "a = nobody(1)\n"}, repeat=True)
    lines, error = lines_of(shell, "%%compile -m m\nq")
    assert lines[0].startswith("RunFailed: the planner's plan is refused: line 1, column 5: no tool is called 'nobody'")
    assert lines[-1].startswith("%compile prompt repair shows")
    capsys.readouterr()
    shell.ok(lines[-1].partition(" shows")[0])
    assert "a = nobody(1)" in capsys.readouterr().out
    assert error.run.status == "failed"


def test_the_same_error_stands_once(shell):
    """In the error of the cell; what stands above it only says which variable has no value, and why."""
    shell.ok(BROKEN)
    lines, _ = lines_of(shell, PLAN)
    page = shell.shown[-1]["text/html"]
    words = page.split('<div class="cnb-inline"')[0] + page.rpartition('<details class="cnb-footer')[2]
    assert ("\n".join(lines) + words).count("Expecting property name") == 1
    assert "not bound: a (failed), b (skipped: a failed)" in words


def test_a_cell_with_an_answer_says_where_its_tools_failed(shell):
    """The message stands with the variable, the line below the answer; equal lines are told once."""
    shell.ok(BROKEN)
    shell.ok("%%plan\nrows = [late(n) for n in [1, 2, 3]]\nc = double(2)\nanswer(c)")
    text = shell.text()
    assert "rows[0] and 2 more failed in Cell In[" in text
    assert text.count("return {}[n]") == 1


def test_the_debugger_opens_the_frame_that_raised(shell):
    """Its last frame is the tool's, or what the tool called; none of those below the cell is ours."""
    shell.ok(BROKEN)
    _, error = lines_of(shell, "%%plan\na = late(7)\nanswer(a)")
    assert sys.last_value is error
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    assert (frames[-1].f_code.co_name, frames[-1].f_locals["n"]) == ("late", 7)
    assert type(error.__cause__) is KeyError


def test_no_raise_says_it_in_the_output(shell):
    """There is no error below it then."""
    shell.ok(BROKEN)
    shell.ok(PLAN.replace("%%plan", "%%plan --no-raise"))
    assert "Expecting property name" in shell.text()
    assert "    return json.loads(text)" in shell.text()
