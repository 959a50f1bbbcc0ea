"""Where a value comes from is said as the call that returned it, with the values of its arguments if they are short."""

from __future__ import annotations

import pytest

from compiler_nb import Plan
from compiler_nb.prompts.origin import Origins

PLAN = """
a = get("x")
b = get(a["id"], day=days[0])
c = get(f"more of {a['id']}", [a["id"], b])
d = c[:10] + get(b) if a["id"] else get(c)
e = [get(x) for x in a["kids"]]
g = get(get(get(1)))
h = d + str(b)
"""
VALUES = {"a": {"id": "A7", "kids": [1], "long": "CANARY" * 20}, "b": "CANARY" * 20, "days": 1}


@pytest.mark.parametrize(
    ("id_", "call", "hidden"),
    [
        ("a", 'get("x")', 'get("x")'),
        ("b", 'get("A7", day="Monday")', 'get(a["id"], day=days[0])'),
        ("c", """get(f"more of {'A7'}", ["A7", b])""", """get(f"more of {a['id']}", [a["id"], b])"""),
        ("d", 'c[:10] + get(b) if "A7" else get(c)', 'c[:10] + get(b) if a["id"] else get(c)'),
        ("e", '[get(x) for x in a["kids"]]', '[get(x) for x in a["kids"]]'),
        ("g", "get(get(get(1)))", "get(get(get(1)))"),
    ],
)
def test_a_call_is_told_with_its_arguments(id_, call, hidden):
    """Short values stand in place of their names; nothing of contents is told if they are not shared."""
    plan = Plan.parse(PLAN, inputs=["days"])
    assert Origins(plan.by_id, VALUES, {"days": ["Monday"]}).call(id_) == call
    assert Origins(plan.by_id, VALUES, {"days": ["Monday"]}, shared=False).call(id_) == hidden


def test_a_value_of_an_expression_comes_from_the_calls_that_it_reads():
    """Not from those that only decide; of many the first ones are told."""
    plan = Plan.parse(PLAN, inputs=["days"])
    origins = Origins(plan.by_id, {}, {})
    assert origins.sources(plan["h"].args) == """get(f"more of {a['id']}", [a["id"], b]); get(b); get(c)"""
    assert origins.sources(plan["e"].args) == 'get("x")'
    assert origins.sources("a literal") == ""


def test_a_numbered_call_is_told_with_variables():
    """As the joiner is shown them."""
    plan = Plan.parse('1. get("x")\n2. get($1)\n3. get("about ${2}")\n')
    assert Origins(plan.by_id, {}, {}).call("3") == 'get(f"about {t2}")'
