from __future__ import annotations

import pytest

from compiler_nb.plan.expression import Fanout
from compiler_nb.plan.plan import Plan
from tests.support.calls import INPUTS, in_python, performed
from tests.support.plans import kinds

TEXTS = (
    "v = [load(o) for c in xs for o in parts(c)]",
    "v = [o for c in xs for o in parts(c)]",
    "v = [load(o, c) for c in xs if c > 1 for o in parts(c) if o != 3]",
    "v = {o: two(c, o) for c in xs for o in parts(c)}",
    "v = [load(a, b) for a in xs for b in xs if a < b]",
    "v = [load(a) for a in xs for _ in xs]",
    "v = [p for c in xs for o in parts(c) for p in parts(o)]",
    "v = [load(p) for c in xs for o in parts(c) for p in parts(o) if test(p)]",
    "v = [x for x in xs if test(x)]",
    "v = [load(x) for x in xs if test(x) if x > 1]",
    "v = [load(k, n) for k, n in rows.items() if n == 0 or k == 'a' for _ in parts(k)]",
    "v = {load(x): x for x in xs}",
    "v = {load(x): two(x) for x in xs if x != 2}",
    "v = {load(x) for x in xs}",
    "v = {load(x, y) for x in xs for y in parts(x)}",
    "v = len({load(x) for x in xs})",
    "v = sum(o for c in xs for o in parts(c))",
    "v = [found for found in xs if test(found)]",
    "v = [load(a, b) for a, b in [pair(x) for x in xs]]",
    "v = [load(x) if test(x) else None for c in xs for x in parts(c)]",
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_comprehension_with_calls_anywhere_gives_what_python_gives(text):
    """Calls in a later `for`, in a condition, in a key or in a set: Python's value, by Python's calls."""
    calls, names = in_python(text)
    made, outcomes = performed(text)
    assert (outcomes["v"], made) == (names["v"], calls)


@pytest.mark.parametrize("text", TEXTS)
def test_a_comprehension_with_calls_anywhere_can_be_written_again(text):
    """What a plan shows of it reads back as the same."""
    plan = Plan.parse(text, dialect="python", inputs=INPUTS)
    again = Plan.parse(plan.to_text(), dialect="python", inputs=INPUTS)
    assert [task.fingerprint for task in again] == [task.fingerprint for task in plan]


def test_the_orders_of_all_customers_are_two_fan_outs():
    """The inner calls are one fan-out, with an item for each customer; the outer ones one over all that came."""
    plan = Plan.parse("v = [load(o) for c in xs for o in parts(c)]", dialect="python", inputs=INPUTS)
    assert [(task.id, task.kind, task.dependencies) for task in plan] == [
        ("v.1", "fanout", ()),
        ("v", "fanout", ("v.1",)),
    ]
    assert plan.to_text().startswith("v = [load(o) for c, found in [(c, parts(c)) for c in xs] for o in found]\n")
    _, outcomes = performed("v = [load(o) for c in xs for o in parts(c)]")
    assert {"v.1[0].1", "v.1[3]", "v[0]"} <= outcomes.keys()


def test_pairs_of_two_lists_are_one_fan_out():
    """And written as they were."""
    text = "v = [load(a, b) for a in xs for b in xs]\njoin()\n"
    plan = Plan.parse(text, dialect="python", inputs=INPUTS)
    assert [(task.id, type(task.args[0])) for task in plan] == [("v", Fanout)]
    assert plan.to_text() == text


def test_a_fan_out_within_the_element_of_another_is_refused():
    """And so is a side effect that is not the only call of its fan-out."""
    for text in ("v = [[fetch(y) for y in x] for x in city]", "v = [x for x in city if send_email(x, 'a')]"):
        assert kinds(text, "python") == ["nested_call"]
