"""Guarded calls: those in a branch of `a if test else b`, which are made only if the test chooses it."""

from __future__ import annotations

import re

import pytest

from compiler_nb.errors import PlanError
from compiler_nb.plan.expression import Apply, Choice, Item, Local, Logic, Unary
from compiler_nb.plan.line import GUARDS
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.tree import Input, Ref
from compiler_nb.tool import Toolbox, tool
from tests.support.plans import edges, kinds, problems


@tool
def load(host: str) -> str:
    """Load a host's report."""
    return host


@tool
def check(host: str) -> bool:
    """Check a host."""
    return bool(host)


@tool(side_effects=True)
def restart(host: str) -> str:
    """Restart a host."""
    return host


TOOLS = Toolbox([load, check, restart])
OPTIONS = {"tools": TOOLS, "inputs": ("ok", "hosts")}


def plan_of(text: str) -> Plan:
    """Return the plan of a text with these tools."""
    return Plan.parse(text, dialect="python", **OPTIONS)


def guards(plan: Plan) -> dict[str, object]:
    """Return the guards of the tasks that have one."""
    return {task.id: task.guard for task in plan if task.guard is not None}


# ------------------------------------------------------------------- what a plan means


def test_a_call_in_a_branch_is_a_task_with_the_test_as_its_guard():
    """`x` is the expression, `x.1` the call; the other branch has the test's opposite."""
    plan = plan_of("x = load('a') if ok else load('b')")
    assert guards(plan) == {"x.1": Input("ok"), "x.2": Unary("not", Input("ok"))}
    assert plan["x"].args == (Choice(Input("ok"), Ref("x.1"), Ref("x.2")),)
    assert [task.kind for task in plan] == ["call", "call", "expr"]


def test_calls_in_the_test_are_ordinary_tasks():
    """The check comes first, and it is made in any case."""
    plan = plan_of("x = load('a') if check('a') else None")
    assert guards(plan) == {"x.2": Ref("x.1")}
    assert edges(plan) == {"x.1": (), "x.2": ("x.1",), "x": ("x.1", "x.2")}


def test_a_branch_within_a_branch_needs_both_tests():
    """The inner call is made if the outer test and the inner one choose it; so is a call in the inner test."""
    plan = plan_of("x = load('a') if ok else load('b') if check('c') else load('d')")
    outer = Unary("not", Input("ok"))
    assert guards(plan) == {
        "x.1": Input("ok"),
        "x.2": outer,
        "x.3": Logic("and", (outer, Ref("x.2"))),
        "x.4": Logic("and", (outer, Unary("not", Ref("x.2")))),
    }


def test_a_call_as_an_argument_of_a_guarded_call_is_guarded_too():
    """And a branch may stand anywhere in an expression."""
    plan = plan_of("x = load(load('a')) if ok else ''\ny = load(load('b') if x else 'c')")
    assert guards(plan) == {"x.1": Input("ok"), "x.2": Input("ok"), "y.1": Ref("x")}
    assert plan["y"].guard is None


def test_a_test_that_is_a_literal_is_still_a_test():
    """The guard of `None` is no missing guard."""
    plan = plan_of("x = load('a') if None else 1")
    assert guards(plan) == {"x.1": Apply("bool", (None,))}


def test_a_side_effect_may_be_a_branch_or_a_guarded_statement():
    """Alone in its branch; as a statement it has the id of one."""
    plan = plan_of("restart('a') if ok else None\nx = restart('b') if check('b') else (restart('c') if ok else 0)")
    assert [task.id for task in plan if task.tool == "restart"] == ["@1.1", "x.2", "x.3"]
    for text in (
        "x = [restart('a') if ok else 1]",
        "x = restart('a') + 'b' if ok else 1",
        "x = load('a') if restart('b') else 1",
        "x = load(restart('a') if ok else 'b')",
        "answer(restart('a') if ok else 1)",
    ):
        assert kinds(text, "python", **OPTIONS) == ["nested_call"], text


def test_the_calls_of_a_fanouts_element_may_be_guarded():
    """The guard stands in the step; the item is the expression."""
    node = plan_of("xs = [load(h) if check(h) else None for h in hosts]")["xs"].args[0]
    assert [(step.id, step.tool, step.guard) for step in node.steps] == [
        (".1", "check", None),
        (".2", "load", Local(".1")),
    ]
    assert node.element == Choice(Local(".1"), Local(".2"), None)


def test_a_side_effect_in_a_fanout_may_be_guarded_by_a_call():
    """Its test may call tools, its arguments may not."""
    node = plan_of("xs = {h: restart(h) if check(h) else 0 for h in hosts}")["xs"].args[0]
    assert [step.tool for step in node.steps] == ["check", "restart"]
    assert kinds("xs = [restart(load(h)) if ok else 0 for h in hosts]", "python", **OPTIONS) == ["nested_call"]


def test_a_fanout_in_a_branch_is_guarded_as_a_whole():
    """Its steps have only the guards within its element."""
    plan = plan_of("xs = [load(h) if h else '' for h in load('all')] if ok else []")
    assert guards(plan) == {"xs.1": Input("ok"), "xs.2": Input("ok")}
    assert [step.guard for step in plan["xs.2"].args[0].steps] == [Local("h")]


def test_a_guarded_call_reads_the_items_that_its_guard_reads():
    """In the order of waiting: what decides comes first."""
    plan = plan_of("a = load('a')\nb = load('b')\nx = load(a) if b['up'] else 0")
    assert plan["x.1"].dependencies == ("b", "a")
    assert plan["x.1"].awaited() == ("b",)
    assert plan["x.1"].guard == Item(Ref("b"), "up")


def test_guards_make_other_fingerprints():
    """A call that may be made computes something else than one that is."""
    plan = plan_of("a = load('a')\nx = load('a') if ok else 0\ny = load('a') if ok else 1\nz = 0 if ok else load('a')")
    prints = [plan[id_].fingerprint for id_ in ("a", "x.1", "y.1", "z.1")]
    assert prints[1] == prints[2]
    assert len(set(prints)) == 3


def test_a_name_that_is_taken_is_renamed_in_guards():
    """`sum.1` becomes `sum_2.1`, in the guard as well."""
    plan = plan_of("sum = load('a') if check('b') else 0")
    assert guards(plan) == {"sum_2.2": Ref("sum_2.1")}


def test_the_last_line_may_hold_guarded_calls():
    """In an answer and in a join."""
    assert guards(plan_of("x = check('a')\nanswer(load('a') if x else None)")) == {"answer.1": Ref("x")}
    assert guards(plan_of("x = check('a')\njoin(load('a') if x else None)")) == {"join.1": Ref("x")}


def test_a_long_test_is_not_written_out_without_bounds():
    """Each call has its whole guard, so long tests before many calls are refused, with a name as the hint."""
    long = f"[{', '.join(['1'] * 500)}]"
    calls = ", ".join(["check('a')"] * (GUARDS // 500 + 1))
    (problem,) = problems(f"x = [{calls}] if {long} else 0", "python", **OPTIONS)
    assert (problem.kind, "ok = ..." in problem.message) == ("too_large", True)
    assert len(plan_of(f"ok = {long} + [check('b')]\nx = [{calls}] if ok else 0")) > GUARDS // 500


# ------------------------------------------------------------------- as text


@pytest.mark.parametrize(
    "text",
    [
        'x = load("a") if ok else load("b")\njoin(x)\n',
        'restart("a") if check("b") else None\njoin()\n',
        'x = load(load("a")) if ok else load("b") if check("c") else None\njoin()\n',
        'xs = [load(h) if check(h) else None for h in hosts] if ok else []\nanswer(load("a") if xs else 0)\n',
        'x = load(load("a") if ok else "b")\njoin()\n',
    ],
)
def test_a_guarded_call_reads_back_as_it_was_written(text):
    """In python; the others refuse it, and name the call."""
    plan = plan_of(text)
    assert plan.to_text() == text
    assert plan_of(plan.to_text()) == plan
    for dialect in ("numbered", "json"):
        with pytest.raises(PlanError, match="cannot be written in the dialect"):
            plan.to_text(dialect)


def test_the_other_dialects_refuse_a_guarded_call_by_name():
    """And say on what it depends."""
    plan = plan_of('x = load("a") if ok else None')
    for dialect in ("numbered", "json"):
        with pytest.raises(PlanError, match=r"task 'x\.1' .* only if ok") as caught:
            plan.to_text(dialect)
        assert caught.value.problems[0].task == "x.1"


def test_explain_says_when_a_call_is_made():
    """And what it waits for first."""
    plan = plan_of(
        "a = load('a')\nup = check('b')\nx = load(a) if up else None\nys = [load(h) if h else 0 for h in hosts]"
    )
    text = plan.explain()
    assert "x.1 = load(a)  # a call, only if up; waits for up, then for a\n" in text
    assert "ys[n].1 = load(h)  # a call per item, only if h\n" in text


# ------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("x = ok and load('a')", "x = load('a') if ok else ok"),
        ("x = ok or load('a')", "x = ok if ok else load('a')"),
        ("ok and restart('a')", "restart('a') if ok else ok"),
        ("x = [1, ok and load('a')]", "x = [1, (load('a') if ok else ok)]"),
        ("x = ok and hosts and load('a')", "x = load('a') if ok and hosts else ok and hosts"),
        ("x = check('a') and load('b')", "first = check('a')\nx = load('b') if first else first"),
        (
            "x = ok or load('a') or load('b')",
            "first = ok if ok else load('a')\nx = first if first else load('b')",
        ),
        ("x = [check(h) and load(h) for h in hosts]", "x = [load(h) if check(h) else None for h in hosts]"),
        ("x = [check(h) or load(h) for h in hosts]", "x = [None if check(h) else load(h) for h in hosts]"),
    ],
)
def test_a_call_under_and_or_or_is_refused_with_the_guarded_call_as_the_hint(text, fixed):
    """The text, changed as the hint says, is a plan with the same calls under the same conditions."""
    (problem,) = problems(text, "python", **OPTIONS)
    assert problem.kind == "nested_call"
    *above, here = re.split(r" above(?: and |, and here )", problem.message.partition(": write ")[2])
    assert [*above, here] == [*fixed.split("\n")[:-1], here]
    assert here in fixed
    assert plan_of(fixed).tasks


@pytest.mark.parametrize("word", ["if ok:", "else:", "elif ok:", "match ok:"])
def test_an_if_statement_is_refused_with_the_guarded_call_as_the_hint(word):
    """The block below it is not reported as well."""
    (problem,) = problems(f"{word}\n    x = load('a')\n", "python", **OPTIONS)
    assert "name = tool(...) if test else other(...), None for what a branch does not call" in problem.message
    assert plan_of("name = load('a') if ok else None").tasks


def test_a_choice_without_calls_is_no_statement():
    """Its value would be lost."""
    for text in ("1 if ok else 2", "ok and 1", "1 if check('a') else 2"):
        assert kinds(text, "python", **OPTIONS) == ["statement"]
