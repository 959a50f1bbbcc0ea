import asyncio

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import HistoryError, NoModel, RunClaimed
from compiler_nb.orders import Orders
from compiler_nb.outcome import PINNED
from compiler_nb.settings.order import Taken
from compiler_nb.settings.settings import Settings
from compiler_nb.tool import Toolbox
from tests.support.desk import Desk, planner_of

PLAN = "a = get(1)\nb = get(a)\nanswer(b)\n"


def orders(desk):
    """Return what makes orders for runs with a desk's tools, and without a model."""
    return Orders(Settings(tools=Toolbox(desk.tools)))


def test_an_order_says_what_a_run_is_to_do_before_anything_runs():
    """A plan's text is read, its variables are taken, and the values that the user gives stand for tasks."""
    desk = Desk()
    order = orders(desk).order(plan="a = get(x)\nb = get(a)\n", inputs={"x": 1}, overrides={"a": 7})
    assert ([task.id for task in order.plan.tasks], order.inputs) == (["a", "b"], {"x": 1})
    assert order.past.pins["a"] == Taken(7, PINNED)
    assert order.executing
    assert desk.calls == []


def test_a_question_needs_somebody_who_plans():
    """The error comes with the order: nothing has begun that would have to be undone."""
    with pytest.raises(NoModel, match="no model is set"):
        orders(Desk()).order("What?")
    with pytest.raises(NoModel):
        orders(Desk()).order_planned("What?")


def test_only_a_run_that_has_ended_is_continued():
    """A run that goes on is refused by name, and an id says where it was looked for."""
    desk = Desk()
    compiler = Compiler(tools=desk.tools)
    run, work = compiler.begin(compiler.order(plan=PLAN))
    with pytest.raises(RunClaimed, match=f"{run.id} is still running"):
        compiler.recall(run)
    asyncio.run(work)
    assert compiler.recall(run) is run
    with pytest.raises(HistoryError, match="there is no history to look for '-1' in"):
        compiler.recall("-1")
    with pytest.raises(TypeError, match="a run must be a Run, or the id of one as text, not int"):
        compiler.recall(3)


def test_an_order_to_run_a_part_again_keeps_the_rest():
    """What comes before the start is taken over; the start and what depends on it run."""
    desk = Desk()
    compiler = planner_of(PLAN, desk=desk)
    run = compiler.run_sync("What?")
    order = compiler.order_again(run, "b")
    assert order.past.parent == run.id
    again, work = compiler.begin(order)
    asyncio.run(work)
    assert (again.answer, len(desk.calls)) == (1, 3)
