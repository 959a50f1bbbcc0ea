from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.plan.matching import LineChange, match
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from tests.support.pictures import call, random_plan

BEFORE = """
ny = weather("New York")
la = weather("Los Angeles")
old = search("the old world")
best = compare(ny, la)
note = llm(f"why {best}", n=3)
answer(note)
"""
AFTER = """
new_york = weather("New York")
la = weather("Los Angeles", days=2)
sf = weather("San Francisco")
best = compare(new_york, la, sf)
note = llm(f"why {best}", n=3)
answer(note)
"""
SIGNATURES = {"weather": ["city", "days"]}


def matched(before: str, after: str):
    """Match two plans, given as texts."""
    return match([Plan.parse(before).tasks], [Plan.parse(after).tasks], SIGNATURES)


def kinds(before: str, after: str) -> dict[str, str]:
    """Return what became of each task, by its names."""
    return {each.names: each.kind for each in matched(before, after).tasks}


def test_a_task_that_was_renamed_is_neither_dropped_nor_added():
    """What a task computes counts, and not its name; what reads a changed task is affected, if its line is the same."""
    assert kinds(BEFORE, AFTER) == {
        "ny → new_york": "renamed",
        "la": "changed",
        "old": "dropped",
        "sf": "added",
        "best": "changed",
        "note": "affected",
    }


def test_a_changed_task_says_which_argument_from_what_to_what():
    """Arguments have the names of the tool's parameters, if those are known."""
    found = {each.id: each.changes for each in matched(BEFORE, AFTER).tasks}
    assert found["la"] == (LineChange("days", "", "2"),)
    assert found["best"] == (LineChange("argument 3", "", "sf"),)
    (change,) = matched('a = weather("Rome")\njoin()', 'a = weather("Oslo")\njoin()').tasks[0].changes
    assert change == ("city", '"Rome"', '"Oslo"')


def test_edges_of_both_plans_stand_between_pairs():
    """An edge is the same if it leads between the same pairs, whatever their names."""
    found = matched(BEFORE, AFTER)
    ids = [each.id for each in found.tasks]
    assert {(ids[one], ids[other]): kind for (one, other), kind in found.edges.items()} == {
        ("new_york", "best"): "same",
        ("la", "best"): "same",
        ("sf", "best"): "added",
        ("best", "note"): "same",
    }


def test_the_nearest_task_of_the_same_tool_is_the_changed_one():
    """Most equal arguments win against the name."""
    before = 'a = search("x", n=3)\nb = search("y", n=4)\njoin()'
    after = 'a = search("y", n=5)\nb = search("x", n=6)\njoin()'
    assert kinds(before, after) == {"b → a": "changed", "a → b": "changed"}


def test_numbers_of_a_numbered_plan_say_little():
    """A line that is put in at the top does not change all others."""
    before = '1. search("rivers")\n2. search("hills")\n3. math("$1 + $2")\n4. join()'
    after = '1. search("an island")\n2. search("rivers of Asia")\n3. search("hills")\n4. math("$2 + $3")\n5. join()'
    assert kinds(before, after) == {"1": "added", "1 → 2": "changed", "2 → 3": "renamed", "3 → 4": "affected"}


def test_a_name_that_was_assigned_twice_counts_as_it_is_written():
    """Names that were made unique are no difference."""
    before = 'a = search("x")\na = search("y")\njoin(a)'
    after = 'a = search("y")\njoin(a)'
    assert kinds(before, after) == {"a": "dropped", "a_2 → a": "same"}


def test_a_task_of_one_name_that_calls_another_tool_is_changed():
    """Both calls are told whole."""
    (found,) = matched('a = search("x")\njoin()', 'a = fetch("x")\njoin()').tasks
    assert (found.kind, found.changes) == ("changed", (LineChange("", 'search("x")', 'fetch("x")'),))


def test_a_task_that_moved_to_another_round_is_the_same():
    """Rounds are aligned by number, and a task is sought in the others only after that."""
    (found,) = match([[call("a", "f", 1)], []], [[], [call("b", "f", 1)]]).tasks
    assert (found.kind, found.rounds, found.round) == ("renamed", (0, 1), 1)


def test_a_long_change_is_shown_where_it_differs():
    """What both texts begin with is left out of what has no room for it."""
    change = LineChange("", f"{'x' * 90}1 end", f"{'x' * 90}2 end")
    assert change.short(40) == (f"…{'x' * 12}1 end", f"…{'x' * 12}2 end")
    assert LineChange("", "1", "2").short(40) == ("1", "2")
    assert LineChange("", "12", "123").short(40) == ("12", "123")


def test_tasks_that_wait_for_each_other_are_matched_all_the_same():
    """A damaged file may lead in a circle."""
    circle = [call("a", "f", Ref("b")), call("b", "f", Ref("a"))]
    assert {each.kind for each in match([circle], [circle]).tasks} == {"same"}


plans = st.builds(random_plan, st.integers(0, 30), seed=st.integers(0, 1_000))


@given(plans, plans)
def test_each_task_stands_in_one_pair(before, after):
    """Whatever the plans are: no task is lost, none is there twice, and all edges are there."""
    found = match([before.tasks], [after.tasks])
    assert Counter(each.before.id for each in found.tasks if each.before) == Counter(task.id for task in before)
    assert [each.after.id for each in found.tasks if each.after] == [task.id for task in after]
    edges = Counter(kind != "dropped" for kind in found.edges.values())
    assert edges[True] == sum(len(task.dependencies) for task in after)


@given(plans)
def test_a_plan_is_the_same_as_itself(plan):
    """Nothing is told of equal plans."""
    found = match([plan.tasks], [plan.tasks])
    assert {each.kind for each in found.tasks} <= {"same"}
    assert {*found.edges.values()} <= {"same"}


@pytest.mark.parametrize("names", ["same", "other"])
def test_a_thousand_changed_tasks_are_matched_in_a_second(names):
    """Each has another argument, and some have other names, too."""

    def plan(word: str, prefix: str) -> list[Task]:
        tasks = []
        for number in range(500):
            tasks += [
                call(f"{prefix}{number}", "search", f"{word} {number}", n=3),
                call(f"{prefix}m{number}", "math", Ref(f"{prefix}{number}"), number),
            ]
        return tasks

    before, after = plan("topic", "x"), plan("other", "x" if names == "same" else "y")
    began = time.process_time()
    found = match([before], [after])
    assert time.process_time() - began < 1
    assert Counter(each.kind for each in found.tasks) == {"changed": 500, "affected": 500}
