"""Short folds of a run's events: tasks, attempts, calls of models, and what they used."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from compiler_nb.events import (
    Event,
    ModelChunk,
    ModelEnded,
    ModelStarted,
    TaskEnded,
    TaskExpanded,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.outcome import State, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_nb.plan.task import Task


class Span(NamedTuple):
    """One attempt of a task: seconds since the run began; `ended` is None while it runs."""

    task: str
    attempt: int
    ready: float
    started: float
    ended: float | None
    state: State


class ModelCall(NamedTuple):
    """One call of a model: seconds since the run began.

    task: the task whose tool asked, "" for the planner and the joiner; first: when its text began, None where there is
    none yet; ended: None while it goes on; answered: the model that the reply names, "" where it is the asked one.
    """

    number: int
    role: str
    task: str
    provider: str
    model: str
    started: float
    first: float | None = None
    ended: float | None = None
    error: str = ""
    answered: str = ""


def usage(events: Iterable[Event]) -> Usage:
    """Return what all calls of models used together."""
    return sum_usage(usage_by_call(events).values())


def usage_by_call(events: Iterable[Event]) -> dict[int, Usage]:
    """Return the usage of each ended call by its number."""
    return {event.call: event.usage for event in events if isinstance(event, ModelEnded)}


def usage_by_task(events: Iterable[Event]) -> dict[str, Usage]:
    """Return the usage of the calls that tools made, by task."""
    events = list(events)
    askers = {event.call: event.task for event in events if isinstance(event, ModelStarted)}
    found: dict[str, Usage] = defaultdict(Usage)
    for call, used in usage_by_call(events).items():
        if askers.get(call):
            found[askers[call]] = found[askers[call]] + used
    return dict(found)


def sum_usage(parts: Iterable[Usage]) -> Usage:
    """Return the sum of usages; it is reported where all are."""
    total = Usage()
    for part in parts:
        total = total + part
    return total


def tasks(events: Iterable[Event]) -> dict[str, Task]:
    """Return every task of the run by id, items of fan-outs included, in the order in which they came to be."""
    found: dict[str, Task] = {}
    for event in events:
        if isinstance(event, TaskPlanned):
            found.setdefault(event.task, event.planned)
        elif isinstance(event, TaskExpanded):
            found.update((item.id, item) for item in event.items)
    return found


def spans(events: Iterable[Event]) -> list[Span]:
    """Return the attempts in the order of their starts."""
    found: dict[tuple[str, int], Span] = {}
    for event in events:
        if isinstance(event, TaskStarted):
            found[event.task, event.attempt] = Span(
                event.task, event.attempt, event.ready_at, event.at, None, "running"
            )
        elif isinstance(event, TaskEnded | TaskRetried) and (event.task, event.attempt) in found:
            state: State = event.state if isinstance(event, TaskEnded) else "failed"
            span = found[event.task, event.attempt]
            found[event.task, event.attempt] = span._replace(ended=event.at, state=state)
    return list(found.values())


def calls(events: Iterable[Event]) -> list[ModelCall]:
    """Return the calls of models in the order of their starts."""
    found: dict[int, ModelCall] = {}
    for event in events:
        if isinstance(event, ModelStarted):
            found[event.call] = ModelCall(event.call, event.role, event.task, event.provider, event.model, event.at)
        elif isinstance(event, ModelChunk) and event.call in found and found[event.call].first is None:
            found[event.call] = found[event.call]._replace(first=event.at)
        elif isinstance(event, ModelEnded) and event.call in found:
            call = found[event.call]
            found[event.call] = call._replace(ended=event.at, error=event.error, answered=event.answered)
    return list(found.values())
