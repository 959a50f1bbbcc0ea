"""Two runs compared, as data: their tasks in pairs, what came of these, the ends of their rounds, their figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from compiler_nb.diff.asked import AskedDiff, asked
from compiler_nb.diff.contents import NO, Comparer, ContentDiff
from compiler_nb.diff.figures import Figures, figures_of
from compiler_nb.drawing.scene import DrawnRound, scene_of_run
from compiler_nb.drawing.tiles import End
from compiler_nb.outcome import State
from compiler_nb.plan.matching import DiffKind, EdgeDiffKind, LineChange, Signatures, TaskDiff, match
from compiler_nb.plan.short import shorten_final
from compiler_nb.plan.task import Join, LastLine, owner_of
from compiler_nb.run import Run
from compiler_nb.text import cut
from compiler_nb.tool import Tool
from compiler_nb.trace import spent

FINAL: Final = 80
"""Characters of a plan's last line."""
Names = tuple[str, str]
Seconds = float | None


class ItemsDiff(NamedTuple):
    """The items of a fan-out in two runs, by their keys; items are calls of a chain, too: `[AAPL].1`.

    same, unknown: how many; changed, added, dropped: their keys.
    """

    same: int
    unknown: int
    changed: tuple[str, ...]
    added: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """A task in two runs: in their plans, and what came of it.

    content: how it ended in each; items: of a fan-out; states, seconds (that it ran), tokens: of the earlier and the
    later one.
    """

    plan: TaskDiff
    content: ContentDiff
    items: ItemsDiff | None
    states: tuple[State | None, State | None]
    seconds: tuple[Seconds, Seconds]
    tokens: tuple[int, int]

    @property
    def id(self) -> str:
        """The id of the later task, or of the earlier one if that was dropped."""
        return self.plan.id

    @property
    def kind(self) -> DiffKind:
        """Whether it is the same, renamed, affected, changed, added or dropped."""
        return self.plan.kind

    @property
    def changes(self) -> tuple[LineChange, ...]:
        """Which arguments differ, from what to what."""
        return self.plan.changes


class RoundDiff(NamedTuple):
    """One round of two runs: the last lines of its plans, and why it began; "" if there is none."""

    number: int
    finals: Names
    reasons: Names


@dataclass(frozen=True, repr=False)
class Compared:
    """Two runs compared.

    names: what they are called; before, after: the runs; asked: what they were asked differently; tasks: in the order
    of the later plans; edges: pairs of places in `tasks`, with what became of them; rounds: by number; ends: as they
    are drawn; figures: of both; answer: both answers; notes: what has to be known of the comparison.
    """

    names: Names
    before: Run
    after: Run
    asked: tuple[AskedDiff, ...]
    tasks: tuple[TaskComparison, ...]
    edges: Mapping[tuple[int, int], EdgeDiffKind]
    rounds: tuple[RoundDiff, ...]
    ends: tuple[End, ...]
    figures: tuple[Figures, Figures]
    answer: ContentDiff
    notes: tuple[str, ...]

    def of(self, *kinds: DiffKind) -> list[TaskComparison]:
        """Return the tasks of some kinds."""
        return [task for task in self.tasks if task.kind in kinds]


def compare_runs(before: Run, after: Run, names: Names, tools: Iterable[Tool]) -> dict[str, Any]:
    """Return the fields of a Compared; tools: say how the arguments of calls are named, besides those of the runs.

    Raises ValueError if both are the same run.
    """
    if before is after or before.id == after.id:
        raise ValueError(
            f"{names[0]} and {names[1]} are the same run, {before.id}: compare it with another; "
            "%compile runs lists them"
        )
    sides = _OneRun(before), _OneRun(after)
    comparer = Comparer()
    one, other = ([each.tasks for each in side.rounds] for side in sides)
    found = match(one, other, _signatures(before, after, tools))
    tasks = tuple(_compared(pair, *sides, comparer) for pair in found.tasks)
    figures = tuple(figures_of(side.run, [each.tasks for each in side.rounds]) for side in sides)
    rounds, ends = _rounds(*sides, found.tasks)
    return {
        "names": names, "before": before, "after": after, "asked": asked(before, after, comparer),
        "tasks": tasks, "edges": found.edges, "rounds": rounds, "ends": ends, "figures": figures,
        "answer": comparer.compare(*(NO if side.run.answer is None else side.run.answer for side in sides)),
        "notes": tuple(_notes(names, *sides)),
    }  # fmt: skip


class _OneRun:
    """One of the runs, as it stands now: what goes on meanwhile is not seen."""

    def __init__(self, run: Run) -> None:
        self.run, progress = run, run.progress
        self.at = run.seconds
        with progress.lock:
            scene = scene_of_run(progress)
            self.rounds: tuple[DrawnRound, ...] = scene.rounds
            self.outcomes = {id_: end.outcome for id_, end in progress.ends.items()}
            self.states = dict(progress.states)
            self.tokens = {id_: cost.usage.tokens for id_, cost in progress.costs.tasks.items()}
            planned = {task.id for task in scene.tasks}
            self.items: dict[str, dict[str, str]] = {}
            for id_ in progress.tasks:
                owner = owner_of(id_)
                if owner in planned:
                    self.items.setdefault(owner, {})[id_[len(owner) :]] = id_
            self.seconds = {id_: spent(progress, id_, self.at).ran for id_ in planned if progress.spans.get(id_)}


def _signatures(before: Run, after: Run, tools: Iterable[Tool]) -> Signatures:
    """Return what positional arguments are called, by tool; runs that were stored by earlier versions do not say it."""
    every = (*tools, *before.settings.tools.values(), *after.settings.tools.values())
    return {tool.name: tool.positional for tool in every if tool.positional}


def _compared(pair: TaskDiff, one: _OneRun, other: _OneRun, comparer: Comparer) -> TaskComparison:
    old = pair.before.id if pair.before is not None else ""
    new = pair.after.id if pair.after is not None else ""
    content = comparer.compare(one.outcomes.get(old, NO), other.outcomes.get(new, NO))
    return TaskComparison(
        pair,
        content,
        _items(one, other, old, new, comparer) if old in one.items or new in other.items else None,
        (one.states.get(old), other.states.get(new)),
        (one.seconds.get(old), other.seconds.get(new)),
        (one.tokens.get(old, 0), other.tokens.get(new, 0)),
    )


def _items(one: _OneRun, other: _OneRun, old: str, new: str, comparer: Comparer) -> ItemsDiff:
    was, now = one.items.get(old, {}), other.items.get(new, {})
    found = {
        key: comparer.compare(one.outcomes.get(was[key], NO), other.outcomes.get(now[key], NO)).kind
        for key in now
        if key in was
    }
    kinds = list(found.values())
    return ItemsDiff(
        kinds.count("same"),
        kinds.count("unknown"),
        tuple(key for key, kind in found.items() if kind not in ("same", "unknown")),
        tuple(key for key in now if key not in was),
        tuple(key for key in was if key not in now),
    )


def _rounds(one: _OneRun, other: _OneRun, tasks: Sequence[TaskDiff]) -> tuple[tuple[RoundDiff, ...], tuple[End, ...]]:
    places = (
        {each.before.id: place for place, each in enumerate(tasks) if each.before is not None},
        {each.after.id: place for place, each in enumerate(tasks) if each.after is not None},
    )
    rounds, ends = [], []
    for number in range(max(len(one.rounds), len(other.rounds))):
        drawn = [side.rounds[number] if number < len(side.rounds) else DrawnRound(()) for side in (one, other)]
        finals = [shorten_final(each.final, FINAL) if each.final is not None else "" for each in drawn]
        rounds.append(RoundDiff(number, (finals[0], finals[1]), (drawn[0].reason, drawn[1].reason)))
        sources = [frozenset(_sources(each, known)) for each, known in zip(drawn, places, strict=True)]
        if any(finals):
            ends.append(End(number, finals[0], finals[1], sources[0], sources[1]))
    return tuple(rounds), tuple(ends)


def _sources(drawn: DrawnRound, places: Mapping[str, int]) -> list[int]:
    """Return the places of what a round's last line waits for: of `join()` all that no other task reads."""
    final: LastLine | None = drawn.final
    if final is None:
        return []
    if final.refs or not isinstance(final, Join):
        return [places[id_] for id_ in final.refs if id_ in places]
    read = {id_ for task in drawn.tasks for id_ in (*task.dependencies, *task.follows)}
    return [places[task.id] for task in drawn.tasks if task.id not in read and task.id in places]


def _notes(names: Names, one: _OneRun, other: _OneRun) -> list[str]:
    """Return what has to be known of a comparison, a line each."""
    found = []
    if one.run.question != other.run.question:
        found.append("the questions differ, so plans and answers may differ for that alone")
    for name, side in zip(names, (one, other), strict=True):
        if side.run.status == "running":
            found.append(f"{name} is still running: it is compared as far as it is")
        elif side.run.status != "done":
            found.append(f"{name} {side.run.status}: {cut(side.run.error, 200)}".rstrip(": "))
        if not any(each.tasks for each in side.rounds):
            found.append(f"{name} has no plan")
    return found
