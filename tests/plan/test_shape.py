from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.plan import shape
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from tests.support.pictures import call, coasts, random_plan

plans = st.builds(random_plan, st.integers(0, 30), seed=st.integers(0, 1_000))


def chain(count: int) -> Plan:
    """Draw `count` calls, each of which reads the one before."""
    return Plan(tuple(call(f"t{n}", "step", *([Ref(f"t{n - 1}")] if n else [])) for n in range(count)))


@given(plans)
def test_order_puts_each_task_after_what_it_needs_and_keeps_the_text_where_it_can(plan):
    """A plan in the order of its text keeps it; reversed, it is put right."""
    assert shape.order(plan.tasks) == plan.tasks
    place = {task.id: index for index, task in enumerate(shape.order(reversed(plan.tasks)))}
    assert all(place[need] < place[task.id] for task in plan for need in task.dependencies)


def test_order_names_the_tasks_that_wait_for_each_other():
    """A circle is an error that says who is in it."""
    with pytest.raises(ValueError, match="wait for each other: a, b"):
        shape.order([call("a", "f", Ref("b")), call("b", "f", Ref("a")), call("c", "f")])


def test_a_level_is_one_below_the_deepest_task_it_depends_on():
    """The levels of the coasts are the calls that start at once, then one task each."""
    assert coasts().levels() == (("ny", "la"), ("best",), ("note",))
    assert Plan(()).levels() == ()


def test_references_to_an_earlier_round_count_for_nothing():
    """What is known already delays nobody."""
    plan = Plan((call("a", "f", Ref("old")), call("b", "f", Ref("a"))))
    assert plan.levels() == (("a",), ("b",))
    assert plan.critical_path() == ("a", "b")
    assert shape.parents(plan) == {"a": (), "b": ("a",)}


def test_heights_are_the_longest_paths_to_an_end():
    """Durations are taken by id, then by tool, else they are 1."""
    assert shape.heights(coasts()) == {"ny": 3.0, "la": 3.0, "best": 2.0, "note": 1.0}
    seconds = {"la": 5.0, "llm": 2.0, "weather": 0.5}
    assert shape.heights(coasts(), seconds) == {"ny": 3.5, "la": 8.0, "best": 3.0, "note": 2.0}


def test_the_critical_path_is_the_longest_chain_and_the_earlier_of_two():
    """Equal chains give the first in the text, longer ones win."""
    assert coasts().critical_path() == ("ny", "best", "note")
    assert coasts().critical_path({"la": 2.0}) == ("la", "best", "note")
    assert Plan(()).critical_path() == ()


@given(plans, st.integers(1, 8))
def test_the_lower_bound_is_the_critical_path_or_the_work_over_the_capacity(plan, capacity):
    """No schedule is shorter than its longest chain, nor than its work shared by all."""
    durations = {"search": 0.5, "fetch": 2.0}
    path = sum(durations.get(plan[id_].tool, 1.0) for id_ in plan.critical_path(durations))
    work = sum(durations.get(task.tool, 1.0) for task in plan)
    assert plan.lower_bound(durations) == pytest.approx(path)
    assert plan.lower_bound(durations, capacity) == pytest.approx(max(path, work / capacity))


def test_a_diff_tells_added_removed_changed_and_renamed_tasks_apart():
    """What only changed its name is renamed; what reads a changed task is changed too."""
    before = Plan((call("a", "f", 1), call("b", "f", 2), call("c", "f", Ref("b")), call("d", "g"), call("x", "h")))
    after = Plan((call("a", "f", 1), call("b", "f", 3), call("c", "f", Ref("b")), call("e", "g"), call("y", "k")))
    found = before.diff(after)
    assert (found.same, found.added, found.removed, found.changed) == (("a",), ("y",), ("x",), ("b", "c"))
    assert found.renamed == (("d", "e"),)
    assert found.widths == (4, 4)
    assert str(found).splitlines() == [
        "1 same, 1 added, 1 removed, 2 changed, 1 renamed; widest level 4",
        "+ y", "- x", "~ b", "~ c", "  d → e",
    ]  # fmt: skip


def test_equal_tasks_are_renamed_one_by_one():
    """The k-th of equal tasks pairs with the k-th."""
    before, after = (Plan(tuple(call(name, "f", 1) for name in names)) for names in ("abc", "xy"))
    found = before.diff(after)
    assert (found.renamed, found.removed, found.added) == ((("a", "x"), ("b", "y")), ("c",), ())


def test_a_diff_uses_the_fingerprints_that_the_parser_made():
    """Fingerprints are compared where they are, not made again."""
    one, other = (Plan((Task("a", "call", tool, fingerprint="same"),)) for tool in ("f", "g"))
    assert one.diff(other).same == ("a",)


def test_a_long_diff_is_bounded():
    """A thousand changes print forty lines and a count."""
    lines = str(Plan(()).diff(chain(1_000))).splitlines()
    assert len(lines) == 42
    assert lines[-1] == "… 960 more"


@pytest.mark.slow
def test_thousands_of_tasks_in_a_chain_take_no_recursion_and_linear_time():
    """Ten times the tasks take about ten times as long."""

    def seconds(plan: Plan) -> float:
        began = time.process_time()
        for measure in (shape.levels, shape.critical_path, shape.lower_bound):
            measure(plan)
        shape.diff(plan, plan)
        return time.process_time() - began

    small, large = chain(500), chain(5_000)
    assert len(shape.critical_path(large)) == 5_000
    assert min(seconds(large) for _ in range(3)) < 40 * min(seconds(small) for _ in range(3))


def test_plans_that_compute_the_same_have_one_fingerprint():
    """Whatever their names and the order of their lines; the last line counts."""

    def of(text):
        return Plan.parse(text).fingerprint

    plan = of("a = f(1)\nb = f(2)\nanswer(a + b)")
    assert of("y = f(2)\nx = f(1)\nanswer(x + y)") == plan
    others = [
        of("a = f(1)\nb = f(3)\nanswer(a + b)"), of("a = f(1)\nb = f(2)\nanswer(b + a)"),
        of("a = f(1)\nb = f(2)\njoin(a, b)"), of("a = f(1)\nb = f(2)\njoin(a)"), of("a = f(1)\nb = f(2)\njoin()"),
    ]  # fmt: skip
    assert len({plan, *others}) == 6
