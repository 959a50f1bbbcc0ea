"""An input that was changed in place since a run began is another one for the runs that go on with it."""

from __future__ import annotations

import asyncio

import pandas as pd
import pytest

from compiler_nb import Compiler, ScriptedModel
from compiler_nb.engine.began import LARGEST, mark_inputs
from tests.support.desk import Desk

ASK = "m = get(len(x))\nanswer(m)\n"


def add_a_column(table):
    """Add one."""
    table["y"] = 1


def write_a_cell(table):
    """Write one, which leaves the labels as they are."""
    table.loc[0, "a"] = 9


CHANGES = [
    (lambda: pd.DataFrame({"a": [1, 2]}), add_a_column),
    (lambda: pd.DataFrame({"a": [1, 2]}), write_a_cell),
    (lambda: pd.DataFrame({"a": [1, 2]}), lambda table: table.pop("a")),
    (lambda: pd.Series([1, 2]), lambda series: series.__setitem__(0, 5)),
    (lambda: [1, 2], lambda found: found.append(3)),
    (lambda: {"a": [1]}, lambda found: found["a"].append(2)),
    (lambda: {1, 2}, lambda found: found.add(3)),
]


@pytest.mark.parametrize(("make", "change"), CHANGES)
def test_a_change_in_place_is_seen(make, change):
    """Of tables and of plain data; nothing is seen where nothing was changed."""
    value = make()
    [is_changed] = mark_inputs({"x": value}).values()
    assert not is_changed()
    change(value)
    assert is_changed()


def test_what_cannot_tell_has_no_mark():
    """Other objects, and plain data that is long."""
    assert mark_inputs({"x": object(), "y": 3, "z": list(range(LARGEST))}) == {}


def ask(desk, plan, **settings):
    """Return the run of a question for which this plan is written."""
    return Compiler(ScriptedModel({"planner": plan}), desk.tools).run_sync("How many?", **settings)


@pytest.mark.parametrize("way", ["after", "from"])
def test_a_user_changes_a_list_and_asks_again(way):
    """The equal call is made again; if nothing was changed it is not."""
    desk, found = Desk(), [1, 2]
    first = ask(desk, ASK, inputs={"x": found})

    def again(run):
        if way == "after":
            return ask(desk, ASK, inputs={"x": found}, after=run)
        return Compiler(None, desk.tools).execute_sync(run.plan, source=run, inputs={"x": found})

    assert (again(first).answer, desk.asked("get")) == (2, [2])
    found.append(3)
    second = again(first)
    assert (second.answer, desk.asked("get")) == (3, [2, 3])
    assert (again(second).answer, desk.asked("get")) == (3, [2, 3])


def test_runs_of_one_order_each_know_their_own_inputs():
    """An order can be begun any number of times: a later beginning does not hide what was changed since an earlier."""
    desk, found = Desk(), [1, 2]
    compiler = Compiler(None, desk.tools)
    order = compiler.order(plan=ASK, inputs={"x": found})

    def begin():
        run, work = compiler.begin(order)
        asyncio.run(work)
        return run

    first = begin()
    found.append(3)
    assert (begin().answer, desk.asked("get")) == (3, [2, 3])
    assert compiler.execute_sync(first.plan, source=first, inputs={"x": found}).answer == 3


def test_a_planner_is_told_which_results_are_of_before():
    """They can be read by name all the same: "how many more than before?"; what comes of them is of before, too."""
    desk, found = Desk(), [1, 2]
    plan = "m = get(len(x))\nn = m + 1\nother = get(7)\nanswer(n)\n"
    first = ask(desk, plan, inputs={"x": found})
    found.append(3)
    compiler = Compiler(ScriptedModel({"planner": "now = get(len(x))\nanswer(now - m)\n"}), desk.tools)
    second = compiler.run_sync("How many more?", inputs={"x": found}, after=first)
    assert second.answer == 1
    told = compiler.settings.planner.calls[0].messages[-1]["content"]
    assert "m: int (made of x as it was before)\nn: int (made of x as it was before)\nother: int\n" in told


def test_a_planner_is_told_so_of_another_input_of_that_name():
    """Also through a chain of questions."""
    desk = Desk()
    first = ask(desk, ASK, inputs={"x": [1, 2]})
    second = ask(desk, "answer(m)\n", inputs={"x": [1, 2]}, after=first)
    compiler = Compiler(ScriptedModel({"planner": "answer(m)\n"}), desk.tools)
    compiler.run_sync("And now?", inputs={"x": [1, 2, 3]}, after=second)
    assert "m: int (made of x as it was before)" in compiler.settings.planner.calls[0].messages[-1]["content"]
    compiler = Compiler(ScriptedModel({"planner": "answer(m)\n"}), desk.tools)
    compiler.run_sync("And now?", inputs={"x": [1, 2]}, after=second)
    assert "as it was before" not in compiler.settings.planner.calls[0].messages[-1]["content"]
