"""No run hangs, and every task has one end state, whatever tools do and whenever a run is stopped."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from compiler_nb import Budget
from compiler_nb.compiler import Compiler
from compiler_nb.errors import PlanError
from compiler_nb.events import RunEnded, RunStarted, TaskEnded, TaskExpanded, TaskPlanned, TaskStarted
from compiler_nb.models.limits import Limit
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import Cancelled, Failure, Skipped
from tests.support.clock import run_virtually
from tests.support.desk import begin
from tests.support.faults import Faults, Plans
from tests.support.scale import seed, times

if TYPE_CHECKING:
    from compiler_nb.run import Run

pytestmark = pytest.mark.promise
NEVER = 10_000.0
"""Virtual seconds that no run takes: each attempt has at most five, and three tries."""
ENDINGS = {Failure: "failed", Skipped: "skipped", Cancelled: "cancelled"}
LIMITS = {"some": Limit(concurrency=2, rpm=20), "few": Limit(rpm=3)}
STOPS = ("cancel", "cancelled from outside", "timeout", "budget", "pause")


class Left(NamedTuple):
    """A run that has ended, and what of it was still there."""

    run: Run
    tasks: set[object]
    threads: set[object]
    late: int


def compiler_of(random: Random, faults: Faults, stop: str, text: str, decisions: list[str]) -> Compiler:
    """Return a compiler with tools that fail and models at a pace."""
    said = {"planner": text, "joiner": decisions if random.random() < 0.9 else ""}
    model = ScriptedModel(said, ttft=random.random(), tokens_per_second=50)
    return Compiler(
        model,
        faults.tools(),
        max_concurrency=random.choice([1, 2, 8]),
        approve=random.choice(["auto", "deny", "ask"]),
        timeout=random.random() * 12 if stop == "timeout" else None,
        budget=Budget(calls=random.randint(1, 2)) if stop == "budget" else None,
        limits=LIMITS if random.random() < 0.3 else None,
    )


async def ended(random: Random, faults: Faults, stop: str, text: str) -> Left:
    """Start a run, stop it somehow, and see it end."""
    planned = {"plan": text} if random.random() < 0.6 else {}
    compiler = compiler_of(random, faults, stop, text, ["fine"] if planned else ["Replan: more", "fine"])
    run, work = begin(compiler, "What?", on_event=faults.note, **planned)
    loop, before = asyncio.get_running_loop(), set(threading.enumerate())
    task = loop.create_task(work)
    if stop.startswith("cancel"):
        loop.call_later(random.random() * 12, run.cancel if stop == "cancel" else task.cancel)
    elif stop == "pause":
        loop.call_later(random.random(), run.pause)
        loop.call_later(random.random() * 20 + 1, run.resume)
    done, _ = await asyncio.wait([task], timeout=NEVER)
    assert done, "it hangs"
    await asyncio.sleep(0.01)
    tasks = asyncio.all_tasks() - {asyncio.current_task()} - faults.held
    count = len(run.events)
    threads = {each for each in set(threading.enumerate()) - before if each.name == "compiler_nb-tool"}
    for thread in threads - faults.held:
        thread.join(2)
    left = {thread for thread in threads - faults.held if thread.is_alive()}
    faults.let_go()
    for thread in threads:
        thread.join(2)
    await asyncio.sleep(1)
    left |= {thread for thread in threads if thread.is_alive()}
    tasks |= asyncio.all_tasks() - {asyncio.current_task()}
    return Left(run, tasks, left, len(run.events) - count)


def check_events(run: Run) -> None:
    """See that events are in order: what was planned starts, what started ends, and nothing comes after that."""
    events = run.events
    assert [event.seq for event in events] == list(range(len(events)))
    assert all(first.at <= then.at for first, then in pairwise(events))
    assert (type(events[0]), type(events[-1])) == (RunStarted, RunEnded)
    assert sum(type(event) is RunEnded for event in events) == 1
    known: set[str] = set()
    over: set[str] = set()
    attempts: dict[str, int] = {}
    for event in events:
        if isinstance(event, TaskExpanded):
            known |= {task.id for task in event.items}
        elif isinstance(event, TaskPlanned):
            known.add(event.task)
        elif getattr(event, "attempt", None) is not None:
            assert event.task in known, "it was not planned"
            assert event.task not in over, "it had ended"
            if isinstance(event, TaskStarted):
                assert event.attempt == attempts.get(event.task, 0) + 1
                attempts[event.task] = event.attempt
            elif isinstance(event, TaskEnded):
                over.add(event.task)
    assert over == known, "a task has no end"


def check(left: Left, stop: str) -> None:
    """See that a run has ended as it must."""
    run = left.run
    assert (left.tasks, left.threads, left.late) == (set(), set(), 0)
    assert run.status in ("done", "failed", "limit", *(["cancelled"] if stop.startswith("cancel") else []))
    assert (run.error == "") == (run.status == "done")
    check_events(run)
    outcomes = run.progress.outcomes
    for event in run.events:
        if isinstance(event, TaskEnded):
            assert event.state == ENDINGS.get(type(event.outcome), "done"), event.task
    for outcome in outcomes.values():
        if isinstance(outcome, Skipped):
            assert isinstance(outcomes[outcome.cause], Failure)
    assert run.status != "done" or Cancelled not in map(type, outcomes.values())


def test_no_run_hangs_and_every_task_has_one_end_state(figure):
    """1,000 runs of random plans whose tools fail in every way, some of them stopped in one way or another.

    Each ends with a status, each task in one state that agrees with its outcome; no asyncio task, no thread and no
    event comes after it, but for those that nobody can stop, and these are not heard any more.
    """
    found: dict[str, int] = {}
    for number in range(times(1_000)):
        random = Random(seed() + number)
        text, faults = Plans(random).text(random.randint(1, 9)), Faults(random)
        stop = random.choice(["", "", "", *STOPS])
        try:
            left = run_virtually(ended(random, faults, stop, text), faults.busy)
            check(left, stop)
        except (AssertionError, PlanError) as error:
            raise AssertionError(f"seed {seed() + number}, {stop or 'not stopped'}: {error!r}\n{text}") from error
        found[left.run.status] = found.get(left.run.status, 0) + 1
        for outcome in left.run.progress.outcomes.values():
            kind = outcome.kind if isinstance(outcome, Failure) else type(outcome).__name__
            found[kind] = found.get(kind, 0) + 1
    kinds = {"done", "failed", "cancelled", "limit", "Skipped", "Cancelled"}
    figure(f"{times(1_000):,} runs: {', '.join(f'{found[kind]:,} {kind}' for kind in sorted(kinds & set(found)))}")
    kinds |= {"raised", "timeout", "abandoned", "denied", "arguments", "expression", "items"}
    assert kinds <= set(found), "the faults are too tame"
