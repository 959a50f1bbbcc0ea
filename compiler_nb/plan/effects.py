"""The order of side effects: which tasks a task follows although it reads nothing of them, and whose turn it is.

Calls with side effects are made one after another, in the order of the plan. What may read a state that they change
waits for those above it, and they wait for the reads above them. What depends on its arguments alone waits for nothing.

`follows` names only the nearest: a side effect the reads since the last one above it, or that one if there are none; a
read the last side effect above it. The rest comes by turns: the turn of a task has come when all that it follows have
had theirs and have ended, however they ended. Plans list a task after those that it depends on, and it follows only
tasks above it, so nothing ever waits for itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any, Final, Literal, TypeAlias

from compiler_nb.plan.task import Task, owner_of

Nature: TypeAlias = Literal["effect", "read", "pure"]
"""How a task deals with state: it changes it, it may read it, or neither."""
_STRENGTH: Final = ("pure", "read", "effect")
_FOLLOWS: Final = attrgetter("follows")


def nature(task: Task, tools: Mapping[str, Any]) -> Nature:
    """Return how a task deals with state; a fan-out does what its strongest call does, an expression nothing."""
    if task.kind == "call":
        return _nature_of(tools.get(task.tool))
    found = [_nature_of(tools.get(step.tool)) for step in task.args[0].steps] if task.kind == "fanout" else []
    return max(found, key=_STRENGTH.index, default="pure")


def _nature_of(tool: Any) -> Nature:
    if tool is None or getattr(tool, "stateless", tool.pure):
        return "pure"
    return "effect" if tool.side_effects else "read"


class Effects:
    """Says of the tasks of one plan what each follows; it is told of them in the order of the plan.

    tools: by name.
    """

    def __init__(self, tools: Mapping[str, Any]) -> None:
        self._tools = tools
        self._last: tuple[str, ...] = ()  # the last side effect
        self._reads: list[str] = []  # since then

    def follows(self, task: Task) -> tuple[str, ...]:
        """Return the ids of the nearest tasks that the next task of the plan comes after."""
        kind = nature(task, self._tools)
        if kind == "pure":
            return ()
        if kind == "read":
            self._reads.append(task.id)
            return self._last
        above = tuple(self._reads) or self._last
        self._last, self._reads = (task.id,), []
        return above


def effects_of(tools: Mapping[str, Any] | None) -> Effects | None:
    """Return what says the order of a plan's tasks, or None if no tool has side effects, so that there is no order."""
    return Effects(tools) if tools and any(tool.side_effects for tool in tools.values()) else None


def in_order(tasks: Iterable[Task], tools: Mapping[str, Any]) -> tuple[Task, ...]:
    """Return the tasks of a plan with what each follows if these are the tools."""
    effects, given = effects_of(tools), tuple(tasks)
    if effects is None and not any(map(_FOLLOWS, given)):
        return given  # there is no order, so most plans are as they are
    kept = []
    for task in given:
        follows = effects.follows(task) if effects is not None else ()
        kept.append(task if follows == task.follows else replace(task, follows=follows))
    return tuple(kept)


class Turns:
    """Whose turn has come, among tasks that are added and end.

    An item of a fan-out that follows its fan-out waits until that one's turn has come, not for its end.
    ended: whether the task with an id has ended, or does not exist; left: how many tasks the others still wait for;
    followers: those that wait for a task.
    stops: why later side effects are not made, by the task that is the reason, and by all that come after it.
    """

    def __init__(self, ended: Callable[[str], bool]) -> None:
        self._ended = ended
        self.left: dict[str, int] = {}
        self.stops: dict[str, Any] = {}
        self.followers: defaultdict[str, list[str]] = defaultdict(list)
        self._inside: defaultdict[str, list[str]] = defaultdict(list)  # items, by fan-out

    def add(self, task: Task) -> None:
        """Take a task that follows others; its turn has come unless it is in `left` then."""
        owner, count = owner_of(task.id), 0
        for name in task.follows:
            if name in self.left or (name != owner and not self._ended(name)):
                (self._inside if name == owner else self.followers)[name].append(task.id)
                count += 1
            elif name in self.stops:
                self.stops.setdefault(task.id, self.stops[name])
        if count:
            self.left[task.id] = count

    def move(self, old: Task, new: Task) -> None:
        """Let a task follow others than before."""
        for name in old.follows:
            if old.id in self.followers.get(name, ()):
                self.followers[name].remove(old.id)
        self.left.pop(old.id, None)
        self.add(new)

    def reopen(self, id_: str, tasks: Iterable[Task]) -> list[str]:
        """Note that a task that had ended goes on; return those whose turn is taken back: they wait for it again.

        tasks: all of them. Nothing changes if the task's own turn has not come: then they wait for it still.
        """
        if id_ in self.left:
            return []
        below: defaultdict[str, list[str]] = defaultdict(list)
        for task in tasks:
            for name in task.follows:
                below[name].append(task.id)
        taken: list[str] = []
        open_ = [id_]
        for name in open_:
            for each in below[name]:
                inside = owner_of(each) == name
                if inside and name == id_:
                    continue  # an item waits for the turn of its fan-out, which has come
                (self._inside if inside else self.followers)[name].append(each)
                if each not in self.left:
                    taken.append(each)
                    open_.append(each)
                self.left[each] = self.left.get(each, 0) + 1
        return taken

    def end(self, id_: str) -> list[str]:
        """Note that a task has ended; return the tasks whose turn comes with that."""
        came: list[str] = []
        over = [id_] if id_ not in self.left else []  # have had their turn, and have ended
        while over:
            name = over.pop()
            self._count(name, self.followers.pop(name, ()), came, over)
        return came

    def _count(self, name: str, waiting: Iterable[str], came: list[str], over: list[str]) -> None:
        for id_ in waiting:
            if name in self.stops:
                self.stops.setdefault(id_, self.stops[name])
            self.left[id_] -= 1
            if self.left[id_]:
                continue
            del self.left[id_]
            came.append(id_)
            self._count(id_, self._inside.pop(id_, ()), came, over)
            if self._ended(id_):
                over.append(id_)
