"""Why a task waits or waited, and how it ended, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from compiler_nb.outcome import Failure, Skipped
from compiler_nb.text import cut, seconds_text
from compiler_nb.trace.progress import ITEM, ITEMS, TWIN, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from compiler_nb.events import Event, TaskEnded
    from compiler_nb.plan.task import Task

NAMED: Final = 3
"""Most things named in one list; the others are counted."""
NAME: Final = 40
MESSAGE: Final = 300
SHORTEST: Final = 0.001
"""Seconds that are worth telling."""
_WHAT: Final = {ITEMS: "the items of ", ITEM: "an item of "}
_HELD: Final = {"approval": "approval", "plan": "the end of the plan"}


def why(
    events: Iterable[Event],
    id_: str,
    *,
    at: float | None = None,
    limits: Mapping[str, int] | None = None,
    lanes: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Say in words why a task waits or waited, or how it ended.

    at: seconds since the run began, by default those of the last event; limits: calls at a time, by resource ("" for
    all together, "provider:openai", "tool:search"); lanes: the limited resources that each tool needs.
    """
    progress = Progress()
    for event in events:
        if at is not None and event.at > at:
            break
        progress.take(event)
    return explain(progress, id_, at=at, limits=limits, lanes=lanes)


def explain(
    progress: Progress,
    id_: str,
    *,
    at: float | None = None,
    limits: Mapping[str, int] | None = None,
    lanes: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Say the same of a Progress that is at hand, whose events go up to `at`."""
    if id_ not in progress.tasks:
        return f"there is no task {id_!r} in this run"
    return Words(progress, progress.at if at is None else at, limits or {}, lanes or {}).whole(id_)


class Words:
    """What can be said of the tasks at one moment."""

    def __init__(
        self, progress: Progress, at: float, limits: Mapping[str, int], lanes: Mapping[str, Sequence[str]]
    ) -> None:
        self.progress, self.at, self.limits, self.lanes = progress, at, limits, lanes

    def whole(self, id_: str) -> str:
        """Return all that is to say of a task."""
        progress = self.progress
        if id_ in progress.ends:
            return self._ended(progress.ends[id_])
        if progress.states[id_] == "running":
            return self._running(id_)
        if progress.states[id_] == "ready" or id_ in progress.retries:
            return self._ready(id_)
        return self._waiting(id_)

    def brief(self, id_: str) -> str:
        """Return where another task stands, for brackets."""
        state = self.progress.states.get(id_)
        if state is None:
            return "not planned"
        if state == "ready" or id_ in self.progress.retries:
            return self._ready(id_)
        if state == "running":
            return f"running {seconds_text(self._since_start(id_))}"
        return state

    # ---------------------------------------------------------------- not yet

    def _waiting(self, id_: str) -> str:
        missing = self.progress.missing.get(id_, {})
        parts = [
            f"{_WHAT.get(how, '')}{_name(name)} ({self.brief(name)}){', which computes the same' * (how == TWIN)}"
            for name, how in missing.items()
        ]
        return f"waits for {_and(parts)}" if parts else "has all its inputs, and is evaluated next"

    def _ready(self, id_: str) -> str:
        progress, retry = self.progress, self.progress.retries.get(id_)
        if retry is not None:
            left = retry.at + retry.delay - self.at
            error = cut(retry.error, MESSAGE)
            if left > 0:
                return f"tries again in {seconds_text(left)}, after: {error}"
            return f"{self._for_slot(progress.tasks.get(id_))} to try again, after: {error}"
        hold = progress.hold(id_)
        if hold is not None and hold.reason == "approval":
            return f"ready, waits for approval of ({cut(hold.arguments, MESSAGE)})"
        if hold is not None:
            return f"ready, waits for {_HELD.get(hold.reason, hold.reason)}"
        return self._for_slot(progress.tasks.get(id_))

    def _for_slot(self, task: Task | None) -> str:
        if self.progress.paused:
            return "ready, but no new task starts: the run is paused"
        if not self.limits:
            return "ready, waits for a slot"
        needed = ["", *(self.lanes.get(task.tool, ()) if task is not None else ())]
        full = [slot for slot in map(self._slot, needed) if slot]
        return f"ready, waits for {_and(full)}" if full else "ready, starts next"

    def _slot(self, resource: str) -> str:
        """Return a resource's slot in words where none is free, else nothing."""
        most, tasks, owner = self.limits.get(resource), self.progress.tasks, resource.partition(":")[2]
        ahead = [id_ for id_, provider in self.progress.parked.items() if resource == f"provider:{provider}"]
        if ahead:
            return f"{owner}, as {_and([_name(id_) for id_ in ahead])} {'does' if len(ahead) == 1 else 'do'}"
        if most is None:
            return ""
        busy = [id_ for id_ in self.progress.busy if not resource or resource in self._lane(tasks.get(id_))]
        return f"a slot{f' of {owner}' if owner else ''} ({most} of {most} in use)" if len(busy) >= most else ""

    def _lane(self, task: Task | None) -> Sequence[str]:
        return self.lanes.get(task.tool, ()) if task is not None else ()

    # ---------------------------------------------------------------- running

    def _running(self, id_: str) -> str:
        told = f"running for {seconds_text(self._since_start(id_))}"
        tried = self.progress.spans[id_]
        if tried[-1].attempt > 1:
            told += f", attempt {tried[-1].attempt}"
        items = [item for item in self.progress.items.get(id_, ()) if not re.search(r"\]\.\d+$", item)]
        if items:
            ended = sum(item in self.progress.ends for item in items)
            told += f", {ended:,} of {len(items):,} items have ended"
        return told + self._asking(id_)

    def _since_start(self, id_: str) -> float:
        return max(self.at - self.progress.spans[id_][-1].started, 0.0)

    def _asking(self, id_: str) -> str:
        """Return how much of a task's time it waited for its provider."""
        waits: dict[str, float] = {}
        for park in self.progress.parks.get(id_, ()):
            until = self.at if park.until is None else park.until
            waits[park.provider] = waits.get(park.provider, 0.0) + until - park.since
        now = self.progress.parked.get(id_) if self.progress.states[id_] == "running" else None
        shown = [(name, wait) for name, wait in waits.items() if wait > SHORTEST or name == now]
        told = [f"{seconds_text(wait)} waiting for {name}" for name, wait in shown]
        return f", of which {_and(told)}" if told else ""

    # ---------------------------------------------------------------- ended

    def _ended(self, event: TaskEnded) -> str:
        id_, outcome = event.task, event.outcome
        tried = [span for span in self.progress.spans.get(id_, ()) if span.ended is not None]
        if event.state == "skipped" and isinstance(outcome, Skipped):
            return f"skipped, because {_name(outcome.cause)} failed: {cut(outcome.message, MESSAGE)}"
        told = "denied" if isinstance(outcome, Failure) and outcome.kind == "denied" else str(event.state)
        if tried:
            told += f" after {seconds_text(event.at - tried[0].started)}"
            told += f", in {len(tried)} attempts" if len(tried) > 1 else ""
            told += self._asking(id_)
        told += self._how(event)
        if event.state != "done":
            told += f": {cut(str(outcome), MESSAGE)}"
        waits = [f"{seconds_text(seconds)} {what}" for what, seconds in self._waits(id_, event) if seconds > SHORTEST]
        return f"{told}; it waited {', then '.join(waits)}" if waits else told

    def _how(self, event: TaskEnded) -> str:
        source = self.progress.adopted.get(event.task)
        if event.how == "adopted":
            return f", with the outcome of {_name(source) if source else 'another task'}, which computes the same"
        return {"cached": ", from the cache", "pinned": ", with a given value"}.get(event.how, "")

    def _waits(self, id_: str, event: TaskEnded) -> Iterator[tuple[str, float]]:
        """Yield what a task waited for and how long, one after the other."""
        progress = self.progress
        tried, born = progress.spans.get(id_, ()), progress.born[id_]
        name, ready = progress.last.get(id_, ("", born))
        if id_ in progress.adopted:
            return
        ready = tried[0].ready if tried and id_ not in progress.items else min(ready, event.at)
        if name or progress.missing.get(id_):
            yield f"for {_name(name) if name else 'one of its inputs'}", ready - born
        for number, span in enumerate(tried if id_ not in progress.items else ()):
            if number:
                yield "between two attempts", span.ready - (tried[number - 1].ended or span.ready)
            slot = span.started - span.ready
            for hold in progress.holds.get(id_, ()):
                length = _overlap(span.ready, span.started, hold.since, hold.until)
                yield f"for {_HELD.get(hold.reason, hold.reason)}", length
                slot -= length
            paused = sum(_overlap(span.ready, span.started, since, until) for since, until in progress.pauses)
            yield "while the run was paused", min(paused, slot)
            yield "for a slot", slot - min(paused, slot)


def _overlap(start: float, end: float, since: float, until: float | None) -> float:
    return max(min(end, end if until is None else until) - max(start, since), 0.0)


def _name(id_: str) -> str:
    return f"`{cut(id_, NAME)}`"


def _and(parts: Sequence[str]) -> str:
    """Return a list in words."""
    shown = list(parts[:NAMED]) if len(parts) > NAMED + 1 else list(parts)
    if len(shown) < len(parts):
        shown.append(f"{len(parts) - len(shown):,} more")
    return " and ".join([part for part in (", ".join(shown[:-1]), shown[-1]) if part])
