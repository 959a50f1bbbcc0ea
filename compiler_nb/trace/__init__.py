"""What a run's events tell: its tasks and their states, why a task waits, how long it took, what it used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.trace.folds import (
    ModelCall,
    Span,
    calls,
    spans,
    sum_usage,
    tasks,
    usage,
    usage_by_call,
    usage_by_task,
)
from compiler_nb.trace.progress import Hold, Progress, Round

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_nb.events import Event
    from compiler_nb.outcome import State
    from compiler_nb.trace.durations import Times, critical, path_text, times, times_of
    from compiler_nb.trace.waiting import explain, why

__all__ = [
    "Hold",
    "ModelCall",
    "Progress",
    "Round",
    "Span",
    "Times",
    "calls",
    "critical",
    "explain",
    "held",
    "path_text",
    "spans",
    "states",
    "sum_usage",
    "tasks",
    "times",
    "times_of",
    "usage",
    "usage_by_call",
    "usage_by_task",
    "why",
]
_LATER: Final = {
    **dict.fromkeys(("Times", "critical", "path_text", "times", "times_of"), "durations"),
    **dict.fromkeys(("explain", "why"), "waiting"),
}
"""Names that only who looks needs, and the files that they come from: these write words, and import more for it."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)


def states(events: Iterable[Event]) -> dict[str, State]:
    """Return the state of every task."""
    return Progress(events).states


def held(events: Iterable[Event]) -> dict[str, str]:
    """Return the arguments of the tasks that wait for approval, by id."""
    progress = Progress(events)
    holds = {id_: progress.hold(id_) for id_ in progress.states}
    return {id_: hold.arguments for id_, hold in holds.items() if hold is not None and hold.reason == "approval"}
