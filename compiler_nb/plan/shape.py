"""The shape of a plan: order, levels, longest paths, bounds of time, and how two plans differ.

A task needs what it reads, and what it follows for the order of side effects. References to ids that are not among the
given tasks (results of an earlier round) do not count.
Every function is linear in tasks and references, and none is recursive.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

from compiler_nb.plan.task import Join, LastLine, Task, fingerprint
from compiler_nb.plan.tree import Ref

DIFF_LINES = 40
"""Longest list of changes that a PlanDiff prints; the rest is counted."""


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """How one plan became another, by the tasks' ids.

    same, added, removed, changed: ids (changed: the same id computes something else, itself or through what it reads);
    renamed: pairs (old, new) that compute the same; widths: tasks of the widest level, before and after.
    """

    same: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    widths: tuple[int, int]

    def __str__(self) -> str:
        counts = {word: len(getattr(self, word)) for word in ("same", "added", "removed", "changed", "renamed")}
        shown = ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "same")
        before, after = self.widths
        width = f"widest level {before}" if before == after else f"widest level {before} → {after}"
        lines = [f"+ {id_}" for id_ in self.added] + [f"- {id_}" for id_ in self.removed]
        lines += [f"~ {id_}" for id_ in self.changed] + [f"  {old} → {new}" for old, new in self.renamed]
        more = [f"… {len(lines) - DIFF_LINES} more"] if len(lines) > DIFF_LINES else []
        return "\n".join([f"{shown}; {width}", *lines[:DIFF_LINES], *more])


def parents(tasks: Iterable[Task]) -> dict[str, tuple[str, ...]]:
    """Return for each task the ids among the given tasks that it needs: what it reads, then what it follows."""
    needs = {task.id: (*task.dependencies, *task.follows) if task.follows else task.dependencies for task in tasks}
    return {id_: tuple(need for need in dict.fromkeys(each) if need in needs) for id_, each in needs.items()}


def children(needs: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return for each id the ids that need it, in order."""
    needed: dict[str, list[str]] = {id_: [] for id_ in needs}
    for id_, each in needs.items():
        for need in each:
            needed[need].append(id_)
    return needed


def order(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Return the tasks so that each follows what it needs, otherwise as given; raise a ValueError for a cycle."""
    by_id = {task.id: task for task in tasks}
    return tuple(by_id[id_] for id_ in _sorted(parents(by_id.values())))


def _sorted(needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"these tasks wait for each other: {', '.join(error.args[1][:-1][:10])}") from None
    place = {id_: (index, id_) for index, id_ in enumerate(needs)}
    # A heap of places rather than a queue, so that tasks which are free together keep the order of the text.
    free: list[tuple[int, str]] = []
    done: list[str] = []
    while sorter.is_active():
        for id_ in sorter.get_ready():
            heappush(free, place[id_])
        done.append(heappop(free)[1])
        sorter.done(done[-1])
    return done


def levels(plan: Iterable[Task]) -> tuple[tuple[str, ...], ...]:
    """Return the ids by level, the first level first: a task stands one below the deepest task that it needs.

    Raises ValueError if tasks wait for each other.
    """
    needs = parents(plan)
    depth: dict[str, int] = {}
    for id_ in _sorted(needs):
        depth[id_] = 1 + max((depth[need] for need in needs[id_]), default=-1)
    rows: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for id_ in needs:
        rows[depth[id_]].append(id_)
    return tuple(tuple(row) for row in rows)


def heights(tasks: Iterable[Task], durations: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return for each task the longest path from its start to an end, its own duration included.

    durations: seconds by task id or by tool name, 1 if neither is known; an expression takes no time, unless its id is
    there.
    """
    by_id = {task.id: task for task in tasks}
    needs = parents(by_id.values())
    needed = children(needs)
    found: dict[str, float] = {}
    for id_ in reversed(_sorted(needs)):
        below = max((found[child] for child in needed[id_]), default=0.0)
        found[id_] = _duration(by_id[id_], durations) + below
    return {id_: found[id_] for id_ in by_id}


def _duration(task: Task, durations: Mapping[str, float] | None) -> float:
    known = durations or {}
    return known.get(task.id, 0.0 if task.kind == "expr" else known.get(task.tool, 1.0))


def critical_path(plan: Iterable[Task], durations: Mapping[str, float] | None = None) -> tuple[str, ...]:
    """Return the ids of the longest chain, in order; of equally long ones the first in the text.

    durations: seconds by task id or by tool name, such as {"search": 1.2}. A call whose time is not given counts as one
    second. Raises ValueError if tasks wait for each other.
    """
    tasks = tuple(plan)
    high = heights(tasks, durations)
    needs = parents(tasks)
    needed = children(needs)
    path: list[str] = []
    choices = [id_ for id_, each in needs.items() if not each]
    while choices:
        path.append(max(choices, key=high.__getitem__))
        choices = needed[path[-1]]
    return tuple(path)


def lower_bound(
    plan: Iterable[Task], durations: Mapping[str, float] | None = None, capacity: float | None = None
) -> float:
    """Return the shortest time in seconds that any schedule can take: the critical path, or the work over the capacity.

    durations: as for `critical_path`; capacity: how many tasks run at a time, None means no limit. Raises ValueError if
    tasks wait for each other.
    """
    tasks = tuple(plan)
    longest = max(heights(tasks, durations).values(), default=0.0)
    work = sum(_duration(task, durations) for task in tasks)
    return max(longest, work / capacity) if capacity else longest


def diff(one: Iterable[Task], other: Iterable[Task]) -> PlanDiff:
    """Return how one plan became the other."""
    before, after = tuple(one), tuple(other)
    old, new = fingerprints(before), fingerprints(after)
    common = [id_ for id_ in old if id_ in new]
    orphans: dict[str, deque[str]] = defaultdict(deque)
    for id_, print_ in new.items():
        if id_ not in old:
            orphans[print_].append(id_)
    renamed = {id_: orphans[old[id_]].popleft() for id_ in old if id_ not in new and orphans.get(old[id_])}
    taken = set(renamed.values())
    return PlanDiff(
        same=tuple(id_ for id_ in common if old[id_] == new[id_]),
        added=tuple(id_ for id_ in new if id_ not in old and id_ not in taken),
        removed=tuple(id_ for id_ in old if id_ not in new and id_ not in renamed),
        changed=tuple(id_ for id_ in common if old[id_] != new[id_]),
        renamed=tuple(renamed.items()),
        widths=(_width(before), _width(after)),
    )


def fingerprints(tasks: Iterable[Task]) -> dict[str, str]:
    """Return what each task computes, whatever its name, by id. Raises ValueError if tasks wait for each other."""
    every = tuple(tasks)
    known: dict[str, str] = {}
    for task in order(every):
        known[task.id] = task.fingerprint or fingerprint(task, known)
    return {task.id: known[task.id] for task in every}


def fingerprint_of(tasks: Iterable[Task], final: LastLine) -> str:
    """Return the hash of what a plan computes, whatever its names and the order of its lines."""
    known = fingerprints(tasks)
    last = (final.instruction,) if isinstance(final, Join) else (final.expression,)
    refs = tuple(Ref(id_) for id_ in final.refs)
    parts = [*sorted(known.values()), fingerprint(Task("", "expr", "", (type(final).__name__, refs, *last)), known)]
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def _width(tasks: tuple[Task, ...]) -> int:
    return max((len(level) for level in levels(tasks)), default=0)
