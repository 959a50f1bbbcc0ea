"""How long a run's tasks took, how long they would take one after the other, and how long at least."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from compiler_nb.plan.shape import critical_path, heights
from compiler_nb.plan.task import Task
from compiler_nb.text import cut, seconds_text
from compiler_nb.trace.progress import Progress

NAMED: Final = 6
"""Most tasks of a path that are named."""
_EXPANSION: Final = "\0"


class Times(NamedTuple):
    """Times of a run's tasks in seconds; calls of the planner and the joiner do not count.

    actual: while at least one task ran; sequential: one after the other; least: what any schedule needs for the
    longest chain (`path`, the critical path), or for the work at `capacity` calls at a time.
    """

    actual: float = 0.0
    sequential: float = 0.0
    least: float = 0.0
    path: tuple[str, ...] = ()
    capacity: int | None = None
    chain: float = 0.0  # the path's own time

    def __str__(self) -> str:
        """Say it in words."""
        if not self.sequential:
            return "no task took any time"
        reason = path_text(self.path) if self.chain >= self.least else f"{self.capacity} at a time"
        return (
            f"tasks took {seconds_text(self.actual)}; one after the other {seconds_text(self.sequential)}; "
            f"at least {seconds_text(self.least)} ({reason})"
        )


def times(progress: Progress, capacity: int | None = None, *, at: float | None = None) -> Times:
    """Return the times of a run's tasks; capacity: calls at a time; at: until when tasks that run count."""
    now = progress.at if at is None else at
    attempts = progress.attempts
    bars = sorted((span.started, max(now, span.started) if span.ended is None else span.ended) for span in attempts)
    durations = dict.fromkeys(progress.tasks, 0.0)
    for span in attempts:
        durations[span.task] += (now if span.ended is None else span.ended) - span.started
    graph = list(_graph(progress))
    weights = {task.id: durations.get(task.id, 0.0) for task in graph}
    chain = max(heights(graph, weights).values(), default=0.0) if graph else 0.0
    path = _trim([id_ for id_ in critical_path(graph, weights) if id_[0] != _EXPANSION], progress, durations)
    work = sum(end - start for start, end in bars)
    return Times(_covered(bars), work, max(chain, work / capacity if capacity else 0.0), path, capacity, chain)


def _covered(bars: Iterable[tuple[float, float]]) -> float:
    """Return how long at least one of some bars, sorted by their starts, lasted."""
    total, until = 0.0, 0.0
    for start, end in bars:
        total += max(end - max(start, until), 0.0)
        until = max(until, end)
    return total


def _graph(progress: Progress) -> Iterator[Task]:
    """Yield a stand-in for each task, with its id and what it needed, each after those that it needed.

    A fan-out is two: its expansion, which its items need, and itself, which needs its items.
    """
    readiness = progress.readiness
    owners = {item: fanout for fanout, items in readiness.items.items() for item in items}
    waiting = {}
    for id_ in progress.tasks:
        follows = progress.tasks[id_].follows if id_ not in owners else ()  # an item comes after its fan-out's turn
        known = [name for name in (*readiness.needs.get(id_, ()), *follows) if name in progress.tasks]
        if id_ in owners:
            known.append(_EXPANSION + owners[id_])
        if id_ in readiness.items:
            shapes = [_EXPANSION + name for name in readiness.shapes.get(id_, ()) if name in readiness.items]
            yield Task(_EXPANSION + id_, "expr", after=(*known, *shapes))
            known = [*readiness.items[id_], _EXPANSION + id_]
        waiting[id_] = Task(id_, "expr", after=tuple(known))
    yield from waiting.values()


def _trim(path: list[str], progress: Progress, durations: dict[str, float]) -> tuple[str, ...]:
    """Return a path without fan-outs, because their items stand for them, and without ends that took no time."""
    kept = [id_ for id_ in path if id_ not in progress.readiness.items]
    long = [number for number, id_ in enumerate(kept) if durations[id_] > 0.0]
    return tuple(kept[long[0] : long[-1] + 1]) if long else ()


def path_text(path: tuple[str, ...]) -> str:
    """Return a path in words; a long one without its middle."""
    names = [cut(id_, 24) for id_ in path]
    if len(names) > NAMED:
        names = [*names[: NAMED // 2], f"… {len(names) - NAMED + 1:,} more", *names[-(NAMED // 2) + 1 :]]
    return " → ".join(names)
