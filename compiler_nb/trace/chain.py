"""The chain that ended a run: what each part of it waited for last, followed from the end back to the beginning.

A part is a call of the planner or the joiner, or a task that took time: it is done, or a stop of the run broke it off.
A task was there when its line had been written, so the chain leads from the first of its tasks to the planner; and from
the planner to the joiner that asked for another plan. What failed is not a part of it, since what came after would have
been there without it.
"""

from __future__ import annotations

from typing import NamedTuple

from compiler_nb.events import TaskEnded
from compiler_nb.outcome import is_followed
from compiler_nb.plan.task import owner_of
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import JOINER, PLANNER, ModelCall, role_of


class Link(NamedTuple):
    """A part of the chain, from when to when in seconds.

    name: a task's id, "planner" or "joiner"; call: the number of the model's call, 0 for a task.
    """

    name: str
    started: float
    ended: float
    call: int = 0


def find_chain(progress: Progress, at: float) -> tuple[Link, ...]:
    """Return the chain of a run in its order; at: until when calls that go on count."""
    links: list[Link] = []
    for number in reversed(range(max(len(progress.rounds), 1))):
        calls = [call for call in list(progress.calls.values()) if not call.task and call.round == number]
        joined = [call for call in calls if role_of(call) == JOINER]
        links += [_asked(call, at) for call in reversed(joined)]
        writing = [call for call in calls if role_of(call) == PLANNER]
        written = max((_end(call, at) for call in writing), default=0.0)
        last = _last(progress, number)
        waited = last and progress.ends[last].at >= written
        tasks, until = _before(progress, last) if waited else ([], written)
        links += tasks
        links += [_asked(call, min(_end(call, at), until)) for call in reversed(writing) if call.started < until]
    return tuple(reversed([link for link in links if link.ended > link.started]))


def _end(call: ModelCall, at: float) -> float:
    return at if call.ended is None else call.ended


def _asked(call: ModelCall, until: float) -> Link:
    return Link(role_of(call), call.started, until if call.ended is None else min(call.ended, until), call.number)


def _last(progress: Progress, number: int) -> str:
    """Return the task of a round that was done last, or ran until the run was stopped; "" if there is none."""
    ends = [end for id_, end in list(progress.ends.items()) if progress.round_of.get(id_) == number]
    last = [end for end in ends if _counts(end) or _was_running(progress, end)]
    return max(last, key=lambda end: end.at).task if last else ""


def _was_running(progress: Progress, end: TaskEnded) -> bool:
    """Whether a stop broke a task off, as a time limit does; one that had not started took no time."""
    return end.state == "cancelled" and bool(progress.spans.get(end.task))


def _counts(end: TaskEnded) -> bool:
    return end.state == "done" and end.how not in ("adopted", "pinned", "cached") and not is_followed(end.how)


def _before(progress: Progress, last: str) -> tuple[list[Link], float]:
    """Return the tasks that led to one, from it backwards, and when the first of them was planned.

    In a damaged file, events may be missing or form a circle: then the chain begins there.
    """
    links: list[Link] = []
    readiness, id_, until = progress.readiness, last, progress.ends[last].at
    through = set[str]()  # fan-outs whose last item was looked at
    passed = set[str]()
    while id_ not in passed:
        own = progress.ends.get(id_)
        ends = [end for item in readiness.items.get(id_, ()) if (end := progress.ends.get(item)) is not None]
        if ends and id_ not in through and own is not None and until >= own.at:  # it was done when its last item was
            through.add(id_)
            id_ = max(ends, key=lambda end: end.at).task
            continue
        passed.add(id_)
        tried = progress.spans.get(id_, ()) if id_ not in readiness.items else ()
        if tried and progress.states.get(id_) in ("done", "cancelled"):
            links.append(Link(id_, tried[0].started, tried[-1].ended or tried[-1].started))
        source, since = readiness.last.get(id_, ("", 0.0))
        born, owner = progress.born.get(id_, 0.0), owner_of(id_)
        if source and since > born:
            id_, until = source, since
        elif owner in progress.tasks:  # an item is there when its fan-out's source is
            id_, until = owner, born
        else:  # nothing was missing when it was planned
            return links, born
    return links, until
