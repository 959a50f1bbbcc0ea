"""A check that the events of a stored run name no task and no call of a model that they have not introduced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler_nb.errors import HistoryError
from compiler_nb.events import (
    Event,
    ModelChunk,
    ModelEnded,
    ModelStarted,
    PlanClosed,
    PlanProblem,
    TaskExpanded,
    TaskPlanned,
    Warned,
)
from compiler_nb.plan.task import Return
from compiler_nb.plan.tree import references

if TYPE_CHECKING:
    from collections.abc import Iterable


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
            read.update(event.tasks or ())
            sound = True
        elif isinstance(event, ModelStarted):
            calls.add(event.call)
        elif isinstance(event, ModelChunk | ModelEnded):
            read = set() if event.call in calls else {f"call {event.call}"}
        elif not isinstance(event, Warned):
            read = {getattr(event, "task", "")} - {""}
        if not read <= tasks:
            raise HistoryError(f"event {event.seq} tells of {min(read - tasks)[:40]!r}, which is not there")
