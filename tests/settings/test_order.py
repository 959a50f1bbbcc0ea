import asyncio

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import NoModel, PlanError
from compiler_nb.outcome import Failure
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.settings.order import Order, Past, Taken
from tests.support.desk import Desk, planner_of

COVERS = ("follow.py",)


def test_an_empty_past_leaves_nothing():
    """Each task is to run, and an item of a fan-out stays what it is."""
    task = Task("a", "call", "get", (1,))
    assert Past().take(task) is None
    assert Past().recall(task) == (task, "")


def test_what_is_pinned_is_taken_by_id():
    """An item is its value then; one that failed is tried again."""
    pins = {"a": 1, "r[0]": 2, "r[1]": Failure("raised", "no")}
    past = Past(pins={id_: Taken(outcome, "pinned") for id_, outcome in pins.items()})
    assert past.take(Task("a", "call", "get", (9,))) == Taken(1, "pinned")
    item, how = past.recall(Task("r[0]", "call", "get", (9,)))
    assert (item.id, item.kind, item.args[0].value, how) == ("r[0]", "expr", 2, "pinned")
    failed = Task("r[1]", "call", "get", (9,))
    assert past.recall(failed) == (failed, "")


def test_only_a_question_asks_a_planner():
    """A plan, and what goes on from one that was given, ask nobody."""
    plan = Plan.parse("answer(1)")
    assert [order.executing for order in (Order(), Order(plan=plan), Order(past=Past(executing=True)))] == [
        False, True, True,
    ]  # fmt: skip


def test_an_order_that_cannot_be_carried_out_is_refused():
    """Before there is a run: no planner, a text that is not a plan, a plan that reads what is not there."""
    compiler = Compiler(None, Desk().tools)
    with pytest.raises(NoModel):
        compiler.order("What?")
    with pytest.raises(PlanError):
        compiler.order(plan="a = ")
    for text, wanted in (("b = get(a)\n", "the task 'a'"), ("b = get(town)\n", "the input 'town'")):
        plan = Plan.parse(text, tools=compiler.settings.tools, inputs=("town",)) if "town" in text else whole(compiler)
        with pytest.raises(PlanError, match=wanted):
            compiler.order(plan=plan)


def whole(compiler):
    """Return a plan without the task that another one reads."""
    plan = Plan.parse("a = get(1)\nb = get(a)\n", tools=compiler.settings.tools)
    return Plan(plan.tasks[1:], plan.final, plan.text, plan.dialect)


def test_the_inputs_are_those_of_the_moment():
    """A dict that is changed later changes nothing."""
    given = {"town": "Oslo"}
    order = planner_of("answer(1)\n").order("What?", inputs=given)
    given["town"] = "Rome"
    assert order.inputs == {"town": "Oslo"}


def test_a_run_says_what_it_was_ordered_to_do():
    """Its question, its inputs, and whose work it goes on with."""
    compiler = planner_of("a = get(town)\nanswer(a)\n")
    first = asyncio.run(compiler.run("Where?", inputs={"town": "Oslo"}))
    again = asyncio.run(compiler.rerun(first))
    assert (again.question, again.inputs, again.answer) == ("Where?", {"town": "Oslo"}, "Oslo")
    assert (again.order.past.parent, again.settings) == (first.id, first.settings)
