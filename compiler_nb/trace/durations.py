"""How long a run took, what took the time, and how long it would have taken in other ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple

from compiler_nb.plan.shape import children, heights, parents
from compiler_nb.plan.task import Task
from compiler_nb.text import cut, seconds_text
from compiler_nb.trace.chain import Link, find_chain
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import PLANNER, ModelCall, role_of

NAMED: Final = 6
"""Most parts of a chain that are named."""
MOST: Final = 3_000
"""With more tasks than this, what the streaming saved is not estimated."""
WORTH: Final = 0.1
"""The least difference that is worth telling, in seconds and as a share of the whole."""
SHARE: Final = 0.03
_EXPANSION: Final = "\0"


class Spent(NamedTuple):
    """How long a task waited and ran, in seconds, in all its attempts."""

    waited: float
    ran: float


def spent(progress: Progress, id_: str, at: float) -> Spent:
    """Return how long a task waited from its planning on, and ran; at: until when it counts if it goes on."""
    end = progress.ends.get(id_)
    until = at if end is None else end.at
    waited, ran, since = 0.0, 0.0, progress.born[id_]
    for span in progress.spans.get(id_, ()):
        waited += max(span.started - since, 0.0)
        since = until if span.ended is None else span.ended
        ran += max(since - span.started, 0.0)
    is_open = end is None and progress.states[id_] != "running"
    if is_open or not progress.spans.get(id_):
        waited += max(until - since, 0.0)
    return Spent(waited, ran)


class Times(NamedTuple):
    """Times of a run in seconds.

    wall: from its beginning to its end; sequential: all calls of tools, of the planner and of the joiner, one after
    the other; whole: what it would have taken if no task had started before its plan was written; work: of its tasks,
    while at least one ran; least: what any schedule needs for the tasks, for the longest chain of them, or for the work
    at `capacity` calls at a time (then `bound` is True); chain: what ended the run, see `find_chain`.
    """

    wall: float = 0.0
    sequential: float = 0.0
    whole: float = 0.0
    work: float = 0.0
    least: float = 0.0
    capacity: int | None = None
    bound: bool = False
    chain: tuple[Link, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        """The tasks of the chain."""
        return tuple(link.name for link in self.chain if not link.call)

    @property
    def short(self) -> str:
        """How long it took, and how long it would have taken in other ways, as far as that differs."""
        parts = [seconds_text(self.wall)]
        if self._differs(self.sequential):
            parts.append(f"one after the other {seconds_text(self.sequential)}")
        if self._differs(self.whole):
            parts.append(f"without streaming {seconds_text(self.whole)}")
        return "; ".join(parts)

    def _differs(self, other: float) -> bool:
        return other - self.wall >= max(WORTH, SHARE * self.wall)

    def __str__(self) -> str:
        """Say all of it in words."""
        took, *others = self.short.split("; ")
        led = f": {path_text(link.name for link in self.chain)}" if self.chain else ""
        reason = f" ({self.capacity} at a time)" if self.bound else ""
        least = [f"the tasks alone at least {seconds_text(self.least)}{reason}"] if self.least else []
        return "; ".join([f"{took}{led}", *others, *least])


def times(progress: Progress, capacity: int | None = None, *, at: float | None = None) -> Times:
    """Return the times of a run; capacity: calls at a time; at: until when counts what goes on."""
    now = progress.at if at is None else at
    attempts = progress.attempts
    bars = sorted((span.started, max(now, span.started) if span.ended is None else span.ended) for span in attempts)
    durations = dict.fromkeys(progress.tasks, 0.0)  # an expression takes no time, unless a thread evaluated it
    for span in attempts:
        durations[span.task] += (now if span.ended is None else span.ended) - span.started
    graph = list(_graph(progress))
    longest = max(heights(graph, {task.id: durations.get(task.id, 0.0) for task in graph}).values(), default=0.0)
    work = sum(end - start for start, end in bars)
    shared = work / capacity if capacity else 0.0
    asked = sum((now if call.ended is None else call.ended) - call.started for call in _roles(progress))
    saved = _saved(progress, graph, durations, capacity, now) if len(graph) <= MOST else 0.0
    return Times(
        now, work + asked, now + saved, _covered(bars), max(longest, shared), capacity, shared > longest,
        find_chain(progress, now),
    )  # fmt: skip


def _roles(progress: Progress) -> list[ModelCall]:
    """Return the calls of the planner and of the joiner."""
    return [call for call in list(progress.calls.values()) if not call.task]


def _saved(
    progress: Progress, graph: Sequence[Task], durations: Mapping[str, float], capacity: int | None, now: float
) -> float:
    """Return how much longer the rounds would have taken if all tasks had come at the end of their plans."""
    total = 0.0
    for number in range(len(progress.rounds)):
        written = [
            now if call.ended is None else call.ended
            for call in _roles(progress)
            if call.round == number and role_of(call) == PLANNER
        ]
        tasks = [task for task in graph if progress.round_of.get(task.id.removeprefix(_EXPANSION)) == number]
        if not written or not tasks:
            continue
        closed = max(written)
        # an item comes when its fan-out is expanded, which it needs
        ids = [task.id for task in tasks if not task.owner]
        came = {id_: progress.born[id_.removeprefix(_EXPANSION)] for id_ in ids}
        late = dict.fromkeys(came, closed)
        ends = [max(_perform(tasks, durations, each, capacity), closed) for each in (came, late)]
        total += max(ends[1] - ends[0], 0.0)
    return total


def _perform(
    tasks: Iterable[Task], durations: Mapping[str, float], came: Mapping[str, float], capacity: int | None
) -> float:
    """Return when the last of some tasks would end, in seconds.

    Each starts when it has come, what it needs has ended and a slot is free; the one that has waited longest is first.
    """
    needs = parents(tasks)
    readers, missing = children(needs), {id_: len(each) for id_, each in needs.items()}
    ready = dict.fromkeys(needs, 0.0) | {id_: at for id_, at in came.items() if id_ in needs}
    waiting = [(ready[id_], place, id_) for place, id_ in enumerate(needs) if not missing[id_]]
    waiting.sort()
    slots = [0.0] * (capacity or 0)
    last, place = 0.0, len(needs)
    while waiting:
        start, _, id_ = heappop(waiting)
        duration = durations.get(id_, 0.0)
        if slots and duration:
            start = max(start, heappop(slots))
            heappush(slots, start + duration)
        last = max(last, start + duration)
        for reader in readers[id_]:
            ready[reader] = max(ready[reader], start + duration)
            missing[reader] -= 1
            if not missing[reader]:
                place += 1
                heappush(waiting, (ready[reader], place, reader))
    return last


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


def path_text(path: Iterable[str]) -> str:
    """Return a chain in words; a long one without its middle."""
    names = [cut(id_, 24) for id_ in path]
    if len(names) > NAMED:
        names = [*names[: NAMED // 2], f"… {len(names) - NAMED + 1:,} more", *names[-(NAMED // 2) + 1 :]]
    return " → ".join(names)
