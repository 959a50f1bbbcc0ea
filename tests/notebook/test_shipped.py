"""Tools that ship are there without an import: by name, by a plan's call, and `plot` beside a table."""

from __future__ import annotations

import pandas as pd
import pytest

from compiler_nb import ScriptedModel
from compiler_nb.notebook.complete import candidates
from compiler_nb.notebook.variables.namespace import Namespace

TABLE = "rows = pd.DataFrame({'day': [1, 2, 3], 'price': [3.0, None, 4.0]})"


def test_a_question_about_a_table_may_end_in_a_picture(shell):
    """The planner is told of `plot` if a table is among the inputs, and only then; the answer is the picture."""
    shell.ns["pd"] = pd
    shell.ns["m"] = m = ScriptedModel({"planner": ['answer(plot(rows, "day", "price", kind="line"))', "answer(1)"]})
    shell.ok(TABLE)
    shell.ok("%%compile -m m\nHow did the price of @rows move?")
    assert "plot(data: Any" in m.calls[0].messages[0]["content"]
    page = shell.shown[-1]
    assert 'alt="line chart of price by day, 3 rows; price: 1 of 3 values missing"' in page["text/html"]
    assert "Figure (line chart of price by day, 3 rows; price: 1 of 3 values mi" in page["text/plain"]
    shell.ok("%%compile -m m\nWhat is one?")
    assert "plot(data" not in m.calls[1].messages[0]["content"]


@pytest.mark.slow
def test_a_plan_calls_what_ships_and_runs_again(shell):
    """Without an import, from values that are no table; `-T` offers nothing else, and a rerun knows it, too."""
    shell.ok('%%plan\na = calculate("2 * 3")\npicture = plot({"six": a}, kind="bar")\nanswer(picture)')
    first = shell.ns["picture"]
    shell.ok("%compile rerun --start picture")
    assert shell.ns["picture"] is not first
    assert shell.ns["a"] == 6
    shell.ok("%%plan -T plot -o only\nanswer(plot([1, 2, 3]))")
    assert "calculate" not in shell.ns["only"].settings.tools
    assert shell.error('%%plan -T plot\nanswer(calculate("1"))').startswith("PlanError: line 2, column 8: no tool")


def test_a_name_that_is_the_users_own_is_not_taken(shell):
    """A function or a tool called `plot` in the notebook is left alone."""
    shell.ns["pd"] = pd
    shell.ok(TABLE)
    shell.ok("@tool\ndef plot(n): return f'my own {n}'")
    shell.ok("%%plan\nanswer(plot(rows['price'].max()))")
    assert shell.ns["run"].answer == "my own 4.0"
    shell.ok("def plot(n): return n")
    assert "plot is a function, but not a tool" in shell.error("%%plan\nanswer(plot(rows))")


def test_names_of_what_ships_are_completed():
    """After -T, and in a plan."""
    assert candidates("%%compile -T pl", Namespace({})) == ("pl", ["plot"])
    assert candidates("%%plan\nanswer(plo", Namespace({})) == ("plo", ["plot"])
