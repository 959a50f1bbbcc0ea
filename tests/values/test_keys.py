"""What two tasks of two runs must have in common to be the same."""

from __future__ import annotations

from compiler_nb.plan.plan import Plan
from compiler_nb.values.keys import Keys


def keys_of(text: str, name: str = "best", **given) -> str | None:
    """Return the key of a task of a plan."""
    keys = Keys(given.pop("tools", {}), {name: value for name, value in given.items() if name != "stale"})
    for task in Plan.parse(text, inputs=tuple(keys.inputs)).tasks:
        keys.add(task, stale=task.id == given.get("stale"))
    return keys.by_id[name]


def test_a_key_is_of_what_is_called_and_with_what():
    """Not of names, notes or lines; the tool, its code, the arguments and what these come from count."""
    plan = "ny = weather('NY')\nbest = rate(ny, 2)"
    same = keys_of("# a note\nla = weather('NY')\n\nbest = rate(la, 2)")
    assert keys_of(plan) == same
    others = [
        keys_of(plan.replace("2", "3")), keys_of(plan.replace("'NY'", "'LA'")), keys_of(plan.replace("rate", "rank")),
        keys_of(plan, tools={"weather": "other code"}),
    ]  # fmt: skip
    assert len({same, *others}) == 5


def test_what_is_like_nothing_has_no_key_and_neither_has_what_reads_it():
    """A stale task, and an input whose content has no hash."""
    plan = "ny = weather('NY')\nbest = rate(ny, 2)"
    assert keys_of(plan, stale="ny") is None
    assert keys_of("best = rate(rows)", rows=None) is None
    assert keys_of("best = rate(rows)", rows="a") != keys_of("best = rate(rows)", rows="b")


def test_a_task_that_is_given_a_value_has_a_key_of_that_value():
    """So what reads it is the same as what read an equal value."""
    keys = [Keys({}, {}) for _ in range(3)]
    for each, value in zip(keys, ([1], [1], [2]), strict=True):
        each.give("ny", value)
    assert keys[0].by_id == keys[1].by_id != keys[2].by_id
