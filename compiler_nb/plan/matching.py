"""Which task of one plan is which of another: by what they compute, whatever their names; then by similarity.

Theory of operation
    Tasks are paired in passes, each over those that are still alone:
    1. equal fingerprints: in the same round under the same name, in the same round, in any round;
    2. calls of the same tool in the same round that are alike: by the arguments that they share and by their name, the
       most alike first; arguments that many tasks share say nothing;
    3. calls of the same tool whose texts are alike; then those of one number in numbered plans, and tasks of one name
       that call another tool now.
    A reference counts as equal if it leads to a pair, or if it has the same name. So pairs help to find more of them,
    and the second pass is made again as long as that finds some.

    Names are those of the text: what a name was changed to, so that it is unique in a run, counts for nothing.
    All of it is linear in tasks, arguments and references, apart from bounded groups in which each is compared with
    each.
"""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from compiler_nb.plan.expression import spell
from compiler_nb.plan.shape import fingerprints, order, parents
from compiler_nb.plan.short import shorten_call, shorten_tree
from compiler_nb.plan.task import Task, fingerprint, variable
from compiler_nb.text import cut_both

DiffKind = Literal["same", "renamed", "affected", "changed", "added", "dropped"]
EdgeDiffKind = Literal["same", "added", "dropped"]
Signatures = Mapping[str, Sequence[str]]
"""The names of the parameters of tools."""
SHARED: Final = 30
"""An argument that more tasks share than this says nothing."""
COMPARED: Final = 400
"""Most pairs of texts of one tool that are compared."""
LIKE: Final = 0.6
"""How alike texts must be, from 0 to 1."""
TEXT, WORDS = 200, 2_000
"""Characters of a call that are compared, and of an argument that are kept."""
_SAME: Final = ("same", "renamed")


class LineChange(NamedTuple):
    """What differs between the lines of two tasks, as source text; "" if it is only in the other one.

    part: a parameter, "only if", "after", or "" for the whole call or expression.
    """

    part: str
    before: str
    after: str

    def short(self, limit: int) -> tuple[str, str]:
        """Return both texts within `limit` characters, those at which they differ among them."""
        return cut_both(self.before, self.after, limit)


@dataclass(frozen=True, slots=True)
class TaskDiff:
    """A task of one plan beside its counterpart in another; None if there is none.

    kind: "same" (they compute the same), "renamed" (the same under another name), "affected" (the lines are the same,
    and something that they read is not), "changed" (`changes` says in what), "added" or "dropped"; rounds: their
    numbers, from 0, -1 if there is none.
    """

    kind: DiffKind
    before: Task | None
    after: Task | None
    rounds: tuple[int, int]
    changes: tuple[LineChange, ...] = ()

    @property
    def task(self) -> Task:
        """The later task, or the earlier one if that was dropped."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - one of them is there
        return found

    @property
    def id(self) -> str:
        """The id of the later task, or of the earlier one if that was dropped."""
        return self.task.id

    @property
    def round(self) -> int:
        """The number of the round in which it is drawn: that of the later task."""
        return max(self.rounds[0], 0) if self.rounds[1] < 0 else self.rounds[1]

    @property
    def names(self) -> str:
        """Its name, or both if they differ: "ny → new_york"."""
        if self.before is None or self.after is None or self.before.id == self.after.id:
            return self.id
        return f"{self.before.id} → {self.after.id}"


class Matching(NamedTuple):
    """Two plans matched.

    tasks: in the order of the later plan, what was dropped behind what it followed; edges: pairs of places in `tasks`,
    with what became of them.
    """

    tasks: tuple[TaskDiff, ...]
    edges: Mapping[tuple[int, int], EdgeDiffKind]


def match(
    before: Iterable[Iterable[Task]], after: Iterable[Iterable[Task]], signatures: Signatures | None = None
) -> Matching:
    """Match the tasks of two runs, given round by round, without items of fan-outs."""
    one, other = _OnePlan(before, signatures or {}), _OnePlan(after, signatures or {})
    pairs: dict[str, str] = {}  # the later task of each earlier one

    def join(found: Iterable[tuple[str, str]]) -> bool:
        count = len(pairs)
        for old, new in found:
            if old not in one.places and new not in other.places:
                one.places[old] = other.places[new] = len(pairs)
                pairs[old] = new
        return len(pairs) > count

    for key in (_round_print_name, _round_print, _print):
        join(_equal(one, other, key))
    while join(_alike(one, other)):
        pass
    while join(_alike_in_text(one, other)) and join(_alike(one, other)):
        pass
    join(_equal(one, other, _group_id))
    join(_equal(one, other, _round_name))
    return _result(one, other, pairs)


class _OnePlan:
    """One of the plans; places: the numbers of the pairs of those tasks that have a counterpart."""

    def __init__(self, rounds: Iterable[Iterable[Task]], signatures: Signatures) -> None:
        self.tasks: dict[str, Task] = {}
        self.rounds: dict[str, int] = {}
        for number, tasks in enumerate(rounds):
            for task in tasks:
                self.tasks[task.id] = task
                self.rounds[task.id] = number
        self.ordered, self.prints = _in_order(tuple(self.tasks.values()))
        self.signatures = signatures
        self.places: dict[str, int] = {}

    @property
    def alone(self) -> list[str]:
        """The tasks without a counterpart so far."""
        return [id_ for id_ in self.tasks if id_ not in self.places]

    def name(self, id_: str) -> str:
        """Return the name of a task in the text; "" if it has none."""
        name = self.tasks[id_].version_of or id_ if id_ in self.tasks else id_
        return "" if name[:1].isdigit() or name.startswith("@") else name

    def reference(self, id_: str) -> str:
        """Return a reference as it is compared: pairs by their number, and others by their name."""
        return f"\1{self.places[id_]}" if id_ in self.places else f"\2{self.name(id_) or id_}"

    def parts(self, id_: str, name_of: Callable[[str], str]) -> dict[str, str]:
        """Return the parts of a task's line as source, with names for references."""
        task = self.tasks[id_]
        return {part: spell(tree, name_of) for part, tree in _trees(task, self.signatures)} | (
            {"after": ", ".join(map(name_of, task.after))} if task.after else {}
        )


def _in_order(tasks: tuple[Task, ...]) -> tuple[tuple[Task, ...], dict[str, str]]:
    """Return tasks behind what they need, and their fingerprints."""
    try:
        return order(tasks), fingerprints(tasks)
    except ValueError:  # a damaged file may lead in a circle
        return tasks, {task.id: task.fingerprint or fingerprint(task, {}) for task in tasks}


def _trees(task: Task, signatures: Signatures) -> Iterator[tuple[str, object]]:
    """Yield the parts of a task's line by their names."""
    if task.kind == "call":
        names = signatures.get(task.tool, ())
        for number, tree in enumerate(task.args):
            yield (names[number] if number < len(names) else f"argument {number + 1}"), tree
        yield from task.kwargs.items()
    else:
        yield from (("", tree) for tree in task.args[:1])
    if task.guard is not None:
        yield "only if", task.guard


# ---------------------------------------------------------------- by what they compute


def _round_print_name(side: _OnePlan, id_: str) -> Hashable:
    return side.rounds[id_], side.prints[id_], side.name(id_)


def _round_print(side: _OnePlan, id_: str) -> Hashable:
    return side.rounds[id_], side.prints[id_]


def _print(side: _OnePlan, id_: str) -> Hashable:
    return side.prints[id_]


def _group_id(side: _OnePlan, id_: str) -> Hashable:
    return _group(side, id_), id_


def _round_name(side: _OnePlan, id_: str) -> Hashable:
    return (side.rounds[id_], side.name(id_)) if side.name(id_) else None


def _equal(one: _OnePlan, other: _OnePlan, key: Callable[[_OnePlan, str], Hashable]) -> list[tuple[str, str]]:
    """Pair the k-th of equal tasks with the k-th, among those that have no counterpart and have a key."""
    found: dict[Hashable, list[str]] = defaultdict(list)
    for id_ in reversed(other.alone):
        found[key(other, id_)].append(id_)
    keys = ((id_, key(one, id_)) for id_ in one.alone)
    return [(id_, found[each].pop()) for id_, each in keys if each is not None and found.get(each)]


# ---------------------------------------------------------------- by likeness


def _group(side: _OnePlan, id_: str) -> Hashable:
    task = side.tasks[id_]
    return side.rounds[id_], task.kind, task.tool


def _alike(one: _OnePlan, other: _OnePlan) -> list[tuple[str, str]]:
    """Return tasks that share arguments or a name, the most alike first."""
    index: dict[Hashable, list[str]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for id_ in one.alone:
        marks = _marks(one, id_)
        sizes[id_] = len(marks)
        for mark in marks:
            index[mark].append(id_)
    found = []
    for place, id_ in enumerate(other.alone):
        votes: Counter[str] = Counter()
        marks = _marks(other, id_)
        for mark, weight in marks.items():
            near = index.get(mark, ())
            votes.update(dict.fromkeys(near if len(near) <= SHARED else (), weight))
        found += [(-score, abs(sizes[near] - len(marks)), place, near, id_) for near, score in votes.items()]
    found.sort(key=lambda each: each[:3])
    return [each[3:] for each in found]


def _marks(side: _OnePlan, id_: str) -> dict[Hashable, int]:
    """Return what tells a task from others of its tool, with weights: each argument, all of them, its name."""
    group, parts = _group(side, id_), side.parts(id_, side.reference)
    marks: dict[Hashable, int] = {(group, part, text): 4 for part, text in parts.items()}
    marks[group, tuple(sorted(parts.items()))] = 6
    if name := side.name(id_):
        marks[group, "\3", name] = 2
    return marks


def _alike_in_text(one: _OnePlan, other: _OnePlan) -> list[tuple[str, str]]:
    """Return tasks of one tool whose lines are alike, the most alike first; of many, each is compared with one."""
    groups: dict[Hashable, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, of in ((one, 0), (other, 1)):
        for id_ in side.alone:
            groups[_group(side, id_)][of].append(id_)
    found = []
    for old, new in groups.values():
        lines = {id_: _text(one, id_) for id_ in old}
        few = len(old) * len(new) <= COMPARED
        for place, id_ in enumerate(new):
            near = difflib.SequenceMatcher(b=_text(other, id_), autojunk=False)
            for each in old if few else old[place : place + 1]:
                near.set_seq1(lines[each])
                if near.quick_ratio() >= LIKE and (ratio := near.ratio()) >= LIKE:
                    found.append((-ratio, each, id_))
    return [pair[1:] for pair in sorted(found, key=lambda each: each[0])]


def _text(side: _OnePlan, id_: str) -> str:
    """Return the arguments of a task as they are compared: what all calls of a tool share would make them alike."""
    return "\n".join(side.parts(id_, side.reference).values())[:TEXT]


# ---------------------------------------------------------------- what became of them


def _result(one: _OnePlan, other: _OnePlan, pairs: Mapping[str, str]) -> Matching:
    before = {new: old for old, new in pairs.items()}
    kinds: dict[str, TaskDiff] = {}
    for task in other.ordered:
        old = before.get(task.id)
        kinds[task.id] = (
            TaskDiff("added", None, task, (-1, other.rounds[task.id]))
            if old is None
            else _compared(one, other, old, task.id, kinds)
        )
    dropped: dict[str, list[TaskDiff]] = defaultdict(list)
    last = ""
    for id_, task in one.tasks.items():
        if id_ in pairs:
            last = pairs[id_]
        else:
            dropped[last].append(TaskDiff("dropped", task, None, (one.rounds[id_], -1)))
    every = dropped[""] + [each for id_ in other.tasks for each in (kinds[id_], *dropped[id_])]
    return Matching(tuple(every), _edges(one, other, every))


def _compared(one: _OnePlan, other: _OnePlan, old: str, new: str, kinds: Mapping[str, TaskDiff]) -> TaskDiff:
    """Return how a task became another; kinds: those of the tasks above it."""
    before, after = one.tasks[old], other.tasks[new]
    changes: tuple[LineChange, ...] = ()
    kind: DiffKind = "same" if _named(one, old) == _named(other, new) else "renamed"
    if one.prints[old] != other.prints[new]:
        changes = tuple(_changes(one, other, old, new))
        above = [kinds.get(id_) for id_ in (*after.dependencies, *after.follows)]
        if changes:
            kind = "changed"
        elif any(each is not None and each.kind not in _SAME for each in above):
            kind = "affected"
    return TaskDiff(kind, before, after, (one.rounds[old], other.rounds[new]), changes)


def _named(side: _OnePlan, id_: str) -> str:
    return side.name(id_) or id_


def _changes(one: _OnePlan, other: _OnePlan, old: str, new: str) -> Iterator[LineChange]:
    """Yield what differs between the lines of two tasks."""
    before, after = one.tasks[old], other.tasks[new]
    if (before.kind, before.tool) != (after.kind, after.tool):
        yield LineChange("", shorten_call(before, WORDS), shorten_call(after, WORDS))
        return
    parts, others = one.parts(old, one.reference), other.parts(new, other.reference)
    for part in dict.fromkeys((*parts, *others)):
        if parts.get(part) != others.get(part):
            yield LineChange(part, _shown(one, old, part), _shown(other, new, part))


def _shown(side: _OnePlan, id_: str, part: str) -> str:
    """Return a part of a line as it is shown; "" if it is not there."""
    task = side.tasks[id_]
    if part == "after":
        return ", ".join(map(variable, task.after))
    return next((shorten_tree(tree, WORDS) for name, tree in _trees(task, side.signatures) if name == part), "")


def _edges(one: _OnePlan, other: _OnePlan, every: Sequence[TaskDiff]) -> dict[tuple[int, int], EdgeDiffKind]:
    """Return the edges of both plans, as pairs of places."""
    old = {each.before.id: place for place, each in enumerate(every) if each.before is not None}
    new = {each.after.id: place for place, each in enumerate(every) if each.after is not None}
    was = {(old[need], old[id_]) for id_, needs in parents(one.tasks.values()).items() for need in needs}
    now = [(new[need], new[id_]) for id_, needs in parents(other.tasks.values()).items() for need in needs]
    found: dict[tuple[int, int], EdgeDiffKind] = {edge: "same" if edge in was else "added" for edge in now}
    return found | dict.fromkeys(sorted(was - found.keys()), "dropped")
