"""What the events of a stored run tell of its rounds, after a check that they tell of nothing that was not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler_nb.errors import HistoryError
from compiler_nb.events import (
    Decided,
    Event,
    ModelChunk,
    ModelEnded,
    ModelStarted,
    PlanClosed,
    PlanProblem,
    RoundStarted,
    TaskEnded,
    TaskExpanded,
    TaskPlanned,
    Warned,
)
from compiler_nb.plan.task import Join, Plan, Return, Task, references
from compiler_nb.planner.writing import DROPPED
from compiler_nb.run import Round, Run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_nb.outcome import Problem


def check_events(events: Iterable[Event]) -> None:
    """Raise HistoryError where an event tells of a task, or of a call of a model, of which there was no word before."""
    tasks: set[str] = set()
    calls: set[int] = set()
    sound = True  # the plan's text, so far
    for event in events:
        read: set[str] = set()
        if isinstance(event, TaskPlanned):
            tasks.add(event.planned.id)
            read = {event.task, *event.planned.dependencies}
        elif isinstance(event, TaskExpanded):
            tasks.update(item.id for item in event.items)
            read = {event.task, *(id_ for item in event.items for id_ in item.dependencies)}
        elif isinstance(event, PlanProblem):
            sound = False
        elif isinstance(event, PlanClosed):
            final = event.final if sound else None
            read = set(references(final.expression) if isinstance(final, Return) else final.refs if final else ())
            sound = True
        elif isinstance(event, ModelStarted):
            calls.add(event.call)
        elif isinstance(event, ModelChunk | ModelEnded):
            read = set() if event.call in calls else {f"call {event.call}"}
        elif not isinstance(event, Warned):
            read = {getattr(event, "task", "")} - {""}
        if not read <= tasks:
            raise HistoryError(f"event {event.seq} tells of {min(read - tasks)[:40]!r}, which is not there")


def fold_rounds(run: Run) -> None:
    """Give a run the rounds that its events tell."""
    tasks: dict[str, Task] = {}
    problems: list[Problem] = []
    ended = [event for event in run.events if isinstance(event, TaskEnded) and event.state == "cancelled"]
    dropped = {event.task for event in ended if str(event.outcome) == DROPPED}
    for event in run.events:
        if isinstance(event, RoundStarted):
            run.rounds.append(Round(len(run.rounds), event.reason))
            tasks, problems = {}, []
        elif isinstance(event, TaskPlanned):
            tasks[event.task] = event.planned
        elif isinstance(event, PlanProblem):
            problems.append(event.problem)
        elif isinstance(event, PlanClosed):
            _close(run.rounds[-1], event, problems, [task for id_, task in tasks.items() if id_ not in dropped])
            problems = []
        elif isinstance(event, Decided):
            run.rounds[-1].decision = event.decision


def _close(round_: Round, event: PlanClosed, problems: list[Problem], tasks: list[Task]) -> None:
    """Note a plan's text in its round; one after another is the mended one."""
    if round_.problems:
        round_.repaired.append(round_.text)
    round_.text, round_.problems = event.text, tuple(problems)
    if not problems:
        round_.plan = Plan(tuple(tasks), event.final if event.final is not None else Join(), event.text)
