"""How many tasks and items are in which state is counted in one place, as it is at each moment."""

from __future__ import annotations

from collections import Counter

import pytest

from compiler_nb import Compiler, tool
from compiler_nb.outcome import ENDED, STATES
from compiler_nb.plan.task import is_part, owner_of
from compiler_nb.trace import Progress
from compiler_nb.trace.tallies import Items


@tool(retries=1)
async def shaky(x: int) -> int:
    """Raise for every third number."""
    if x % 3 == 0:
        raise ConnectionError(f"no {x}")
    return x


PLANS = {
    "tasks": "a = shaky(1)\nb = shaky(3)\nc = shaky(b)\nd = a + 1\njoin()",
    "items": "xs = [shaky(n) for n in range(7)]\nys = {x: shaky(shaky(x)) for x in xs}\njoin()",
    "guards": "a = shaky(1)\nb = shaky(2) if a > 1 else shaky(4)\n"
    "xs = [shaky(n) if n > 2 else 0 for n in range(5)]\njoin()",
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_after_each_event_the_counts_are_those_of_the_states(plan):
    """Of the plan's tasks and of each fan-out's items; a call within a line of its own counts if it is needed."""
    run = Compiler(None, [shaky]).execute_sync(plan)
    events = []
    progress = Progress(events)
    for event in run.events:
        events.append(event)
        progress.catch_up()
        needed = progress.states.keys() - progress.readiness.unneeded
        for owner in progress.tallies.of:
            mine = [id_ for id_ in needed if owner_of(id_) == owner and not (owner and is_part(id_))]
            counts = Counter(progress.states[id_] for id_ in mine)
            assert progress.tallies.by_state(owner) == [counts[state] for state in STATES]
            ended = sum(counts[state] for state in ENDED)
            assert progress.tallies.items(owner) == Items(len(mine), ended, counts["done"])
    counted = progress.counted()
    assert counted.ended == counted.all == sum(progress.tallies.by_state(""))
    assert counted.busy == 0


def test_an_item_whose_chain_failed_is_a_failed_item_and_its_fan_out_is_not_one_more():
    """What depends on a failed item is skipped, and is no failure of its own."""
    plan = "xs = [shaky(shaky(n)) for n in (0, 1, 3)]\nys = [shaky(x) for x in xs]\nz = shaky(6)\njoin()"
    counted = Compiler(None, [shaky]).execute_sync(plan).progress.counted()
    assert (counted.all, counted.failed, counted.items) == (3, 1, 2)


def test_a_task_that_is_given_a_value_has_not_failed_anymore():
    """Neither it nor its fan-out, once it has been tried again."""
    run = Compiler(None, [shaky]).execute_sync("xs = [shaky(n) for n in range(2)]\njoin()")
    again = Compiler(None, [shaky]).rerun_sync(run, overrides={"xs": [0, 1]})
    assert (run.progress.counted()[1:3], again.progress.counted()[1:3]) == ((0, 1), (0, 0))


def test_items_are_told_in_words():
    """How many there are and have a value; one without a value is counted only if there is one."""
    assert [str(each) for each in (Items(), Items(1_200, 5, 4), Items(3, 3, 3))] == [
        "", "4 of 1,200 items done, 1 failed", "3 of 3 items done",
    ]  # fmt: skip
