"""How long a run took and what took so long, one after the other, without streaming, and at least."""

import asyncio

import pytest

from compiler_nb import trace
from compiler_nb.compiler import Compiler
from compiler_nb.events import Log, TaskEnded, TaskExpanded, TaskPlanned, TaskRetried, TaskStarted
from compiler_nb.models.scripted import ScriptedModel, split_tokens
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from compiler_nb.tool import tool
from compiler_nb.trace import Progress
from tests.support.clock import run_virtually
from tests.support.desk import Desk, begin, scripted
from tests.support.story import Story

COVERS = ("chain.py",)


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


def test_the_critical_path_is_the_chain_that_ended_the_run():
    """From what ended last back through what each waited for; not the longest one, which ended before."""
    events = performed(("ny", 0, 3), ("la", 0, 1), ("best", 3, 4, "ny", "la"), ("note", 6, 7, "best"), ("x", 0, 4.5))
    found = trace.times(Progress(events), 2)
    assert (found.path, found.work, found.sequential, found.least) == (("ny", "best", "note"), 5.5, 10.5, 5.25)
    assert trace.times(Progress(events)).path == ("ny", "best", "note")
    words = "7.0 s: ny → best → note; one after the other 10.5 s; the tasks alone at least"
    assert str(found) == f"{words} 5.2 s (2 at a time)"
    assert str(trace.times(Progress(events))) == f"{words} 5.0 s"
    late = [*performed(("long", 0, 5), ("a", 0, 1), ("b", 5, 6, "a"))]
    assert trace.times(Progress(late)).path == ("a", "b")


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
    assert (found.work, found.sequential, found.path) == (3.0, 3.0, ())
    assert trace.spent(Progress(story.events), "a", 6.0) == (2.0, 3.0)


def test_a_run_without_tasks_took_nothing():
    """And a path has no ends that took no time."""
    assert str(trace.times(Progress([]))) == "0 ms"
    events = performed(("a", 0, 0), ("b", 0, 2, "a"), ("c", 2, 2, "b"), ("d", 2, 3, "c"), ("e", 3, 3, "d"))
    assert trace.times(Progress(events)).path == ("b", "d")


PACE = 20
"""Pieces that the planner writes in a second."""


@tool
async def nap(seconds: float, *after: object) -> float:
    """Take some seconds."""
    await asyncio.sleep(abs(seconds))
    if seconds < 0:
        raise ValueError("cannot sleep")
    return seconds


def asked(*plans, joiner=(), **settings):
    """Return the times of a run on a virtual clock; the planner thinks for a second, and writes a line in one more."""
    model = ScriptedModel({"planner": plans[0], "replan": plans[1:], "joiner": list(joiner)}, ttft=1.0 + 1 / PACE,
                          tokens_per_second=PACE)  # fmt: skip

    async def main():
        lines = {"joiner": model if joiner else None}
        run, work = begin(Compiler(None, [nap], planner=model, **lines, **settings), "What?")
        run.log.clock, run.log.began = asyncio.get_running_loop().time, 0.0
        await work
        return run

    run = run_virtually(main())
    return run, trace.times(run.progress, run.settings.max_concurrency)


def line(text):
    """Return a line of a plan that takes a second."""
    return f"{text} #{' x' * (PACE - 1 - len(split_tokens(text)))}\n"


def test_what_the_planner_writes_is_part_of_the_critical_path():
    """Up to the line of the chain's first task, and the whole of it if nothing ended later."""
    run, found = asked(line("a = nap(1)") + line("b = nap(4)") + line("c = nap(1, a)") + line("answer(c)"))
    assert run.status == "done", run.error
    assert [(link.name, round(link.started, 1), round(link.ended, 1)) for link in found.chain] == [
        ("planner", 0.0, 3.0), ("b", 3.0, 7.0),
    ]  # fmt: skip
    run, found = asked(line("a = nap(0.1)") + line("b = nap(0.1)") + line("answer(a)"))
    assert [link.name for link in found.chain] == ["planner"]


def test_a_failed_task_is_never_on_the_critical_path():
    """Not even one that took longest, in a round that another one replaced."""
    run, found = asked(line("lost = nap(-9)") + line("a = nap(1)") + line("join()"),
                       line("b = nap(2, a)") + line("join()"), joiner=["Replan: it failed", "Fine."])  # fmt: skip
    assert run.answer == "Fine.", run.error
    assert [link.name for link in found.chain] == ["planner", "a", "joiner", "planner", "b", "joiner"]
    assert str(found).startswith("1")


def test_a_task_that_a_time_limit_broke_off_took_the_time():
    """It is named, not one that was done long before."""
    run, found = asked(line("a = nap(50)") + line("b = nap(1)") + line("c = nap(a)") + line("answer(c)"), timeout=20)
    assert run.status == "limit", run.error
    assert [link.name for link in found.chain] == ["planner", "a"]
    assert str(found).startswith("20.0 s: planner → a")


def test_what_the_streaming_saved_is_told():
    """How long it would have taken if no task had started before its plan was whole, and one after the other."""
    _, found = asked(line("a = nap(3)") + line("b = nap(3)") + line("c = nap(1)") + line("answer(a)"))
    assert round(found.wall, 1) == 6.0  # a second to think, two lines, and three seconds for the second one
    assert round(found.whole, 1) == 8.0  # five seconds to think and write, and then three
    assert round(found.sequential, 1) == 12.0
    assert found.short == "6.0 s; one after the other 12.0 s; without streaming 8.0 s"
    _, found = asked(
        line("a = nap(3)") + line("b = nap(3)") + line("c = nap(1)") + line("answer(a)"), max_concurrency=1
    )
    assert found.short == "9.0 s; one after the other 12.0 s; without streaming 12.0 s"


def test_a_plan_that_was_given_saves_nothing_by_streaming():
    """And what does not differ is not said."""
    assert trace.times(Progress(performed(("a", 0, 2)))).short == "2.0 s"


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
    assert 0 < found.least <= found.work + 1e-9
    assert found.work <= found.sequential + 1e-9
    asked = sum(call.ended - call.started for call in run.progress.calls.values())
    assert capacity > 1 or found.least == pytest.approx(found.sequential - asked)
    assert set(found.path) <= set(run.progress.tasks)
