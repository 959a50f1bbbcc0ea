"""How long tasks took together, one after the other, and at least."""

import asyncio

import pytest

from compiler_nb import trace
from compiler_nb.compiler import Compiler
from compiler_nb.events import Log, TaskEnded, TaskExpanded, TaskPlanned, TaskRetried, TaskStarted
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from compiler_nb.trace import Progress
from tests.support.desk import Desk, scripted
from tests.support.story import Story


def performed(*bars, items=()):
    """Return the events of tasks that ran: each an id, its start and end, and what it needs."""
    log = Log("r", clock=lambda: 0.0)
    for id_, _, _, *needs in bars:
        if "[" not in id_:
            log.emit_at(0.0, TaskPlanned, (id_, 0, Task(id_, "call", "get", tuple(map(Ref, needs))), ""))
    moments = []
    for id_, start, end, *_ in bars:
        moments += [
            (start, 1, TaskStarted, (id_, 1, start)),
            (end, 2 if start == end else 0, TaskEnded, (id_, 1, "done", 1, "")),
        ]
    if items:
        fanout, at, end = items
        tasks = tuple(Task(id_, "call", "get", tuple(map(Ref, needs))) for id_, _, _, *needs in bars if "[" in id_)
        moments += [
            (at, 0.5, TaskExpanded, (fanout, 1, tasks)),
            (end, 0.5, TaskEnded, (fanout, 0, "done", 1, "inline")),
        ]
    for at, _, kind, fields in sorted(moments, key=lambda moment: moment[:2]):
        log.emit_at(at, kind, fields)
    return log.events


def test_the_critical_path_is_the_chain_that_took_longest():
    """Through what each task really took, whatever it waited for slots."""
    events = performed(("ny", 0, 3), ("la", 0, 1), ("best", 3, 4, "ny", "la"), ("note", 6, 7, "best"), ("x", 0, 4.5))
    found = trace.times(Progress(events), 2)
    assert (found.path, found.actual, found.sequential, found.least) == (("ny", "best", "note"), 5.5, 10.5, 5.25)
    assert trace.times(Progress(events)).path == ("ny", "best", "note")
    assert str(found) == "tasks took 5.5 s; one after the other 10.5 s; at least 5.2 s (2 at a time)"
    assert str(trace.times(Progress(events))).endswith("at least 5.0 s (ny → best → note)")


def test_items_of_a_fan_out_are_linked_one_by_one():
    """To what the fan-out needed, and to what reads the whole; the fan-out itself is not named."""
    bars = [("a", 0, 1), ("rows[x].1", 1, 2), ("rows[x]", 2, 5, "rows[x].1"), ("rows[y].1", 1, 4),
            ("rows[y]", 4, 5, "rows[y].1"), ("b", 5, 6, "rows")]  # fmt: skip
    plan = Story().program("a = get(1)\nrows = {k: get(get(k)) for k in a}").events[1]
    events = performed(*bars, items=("rows", 1.0, 5.0))
    events.insert(1, plan._replace(at=0.0))
    assert trace.times(Progress(events)).path == ("a", "rows[x].1", "rows[x]", "b")
    assert trace.times(Progress(events)).least == 6.0


def test_attempts_count_together_and_pauses_between_them_do_not():
    """What runs counts up to the moment."""
    story = Story().plan("a").tell(TaskStarted, "a", 1, 0.0).tell(TaskRetried, "a", 1, "down", 1.0)
    story.tell(TaskStarted, "a", 2, 3.0)
    found = trace.times(Progress(story.events), at=6.0)
    assert (found.actual, found.sequential, found.path) == (3.0, 3.0, ("a",))


def test_a_run_without_tasks_took_nothing():
    """And a path has no ends that took no time."""
    assert str(trace.times(Progress([]))) == "no task took any time"
    events = performed(("a", 0, 0), ("b", 0, 2, "a"), ("c", 2, 2, "b"), ("d", 2, 3, "c"), ("e", 3, 3, "d"))
    assert trace.times(Progress(events)).path == ("b", "c", "d")


def test_a_long_path_is_named_by_its_ends():
    """Its middle is counted."""
    assert trace.path_text(tuple("abcdef")) == "a → b → c → d → e → f"
    assert trace.path_text(tuple("abcdefghij")) == "a → b → c → … 5 more → i → j"


@pytest.mark.parametrize("capacity", [1, 2, 8])
def test_the_three_times_are_in_order_in_real_runs(capacity):
    """At least ≤ what it took ≤ one after the other; with one at a time all are the same."""
    plan = "a = get([1, 2, 3])\nrows = [nap(get(k)) for k in a]\nb = nap(rows[0])\nc = [b, nap(4)]\nd = get(c)\njoin()"
    run = asyncio.run(Compiler(None, Desk().tools, planner=scripted(plan), max_concurrency=capacity).run("What?"))
    found = trace.times(Progress(run.events), capacity)
    assert 0 < found.least <= found.actual + 1e-9
    assert found.actual <= found.sequential + 1e-9
    assert capacity > 1 or found.least == pytest.approx(found.sequential)
    assert set(found.path) <= set(run.progress.tasks)
