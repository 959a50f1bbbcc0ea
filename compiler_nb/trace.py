"""Folds of a run's events: usage, states, attempts, and why a task waits; each reads the list and nothing else."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from compiler_nb.events import (
    Event,
    ModelEnded,
    ModelStarted,
    TaskApproved,
    TaskEnded,
    TaskExpanded,
    TaskHeld,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.outcome import ENDED, State, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compiler_nb.plan.task import Task


class Span(NamedTuple):
    """One attempt of a task: seconds since the run began; `ended` is None while it runs."""

    task: str
    attempt: int
    ready: float
    started: float
    ended: float | None
    state: State


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
            found[askers[call]] = found[askers[call]].plus(used)
    return dict(found)


def sum_usage(parts: Iterable[Usage]) -> Usage:
    """Return the sum of usages; it is reported where all are."""
    total = Usage()
    for part in parts:
        total = total.plus(part)
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


def states(events: Iterable[Event]) -> dict[str, State]:
    """Return the state of every task, as far as events tell: `ready` only of those that are held."""
    found: dict[str, State] = {}
    for event in events:
        match event:
            case TaskPlanned():
                found.setdefault(event.task, "waiting")
            case TaskExpanded():
                found[event.task] = "running"
                found.update((item.id, "waiting") for item in event.items)
            case TaskHeld():
                found[event.task] = "ready"
            case TaskStarted():
                found[event.task] = "running"
            case TaskRetried():
                found[event.task] = "waiting"
            case TaskEnded():
                found[event.task] = event.state
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


def why(events: Iterable[Event], id_: str) -> str:
    """Say in words why a task waits or waited, or how it ended."""
    events = list(events)
    known = tasks(events)
    if id_ not in known:
        return f"there is no task {id_!r} in this run"
    now = states(events)
    state = now[id_]
    if state in ENDED or state == "running":
        return _why_so(events, id_, state)
    held = [event for event in events if isinstance(event, TaskHeld | TaskApproved) and event.task == id_]
    if state == "ready" and held and isinstance(held[-1], TaskHeld):
        reason = "the end of the plan" if held[-1].reason == "plan" else f"approval of ({held[-1].arguments})"
        return f"{id_} is ready and waits for {reason}"
    return _why_waiting(known[id_], now)


def _why_waiting(task: Task, now: Mapping[str, State]) -> str:
    missing = [f"{name} ({now.get(name, 'not planned')})" for name in task.dependencies if now.get(name) != "done"]
    if missing:
        return f"{task.id} waits for {', '.join(missing)}"
    return f"{task.id} is ready and waits for a slot"


def _why_so(events: Iterable[Event], id_: str, state: State) -> str:
    tried = [span for span in spans(events) if span.task == id_]
    text = f"{id_} is {state}"
    if tried and tried[0].started - tried[0].ready > 0.001:  # noqa: PLR2004 - a millisecond is no wait
        text += f"; it waited {tried[0].started - tried[0].ready:.2f} s for a slot"
    ends = [event for event in events if isinstance(event, TaskEnded) and event.task == id_]
    if ends and state != "done":
        text += f": {ends[-1].outcome}"
    return text
