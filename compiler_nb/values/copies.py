"""Values as they are when their task ends: copies, taken on the run's own loop, that no later tool can change.

Theory of operation
    Events wait in a queue until the writer's thread codes them, and meanwhile the next tool may change in place what
    the last one returned. So the listener of a run's log replaces a value that can change by a copy: plain
    containers are copied, tables and arrays too; a value of a class is coded at once by its tool's return type, for
    only that knows it. What cannot change goes through as it is, and events without a value cost little more than
    the queue's `put`. An object that nobody can copy, such as a figure or a fitted model, stays itself within the copy
    of what holds it.
    All this is bounded, per event in ITEMS and BYTES, per run in FLYING, so that the loop is never held up for long.
    What is larger is stored as it is when it is coded, some hundredths of a second later; tables are safe from that if
    pandas copies on write (from version 3).
    An object that an earlier task returned is copied as Known: it is written as that task's value if it still is what
    was stored of that, and as a value of its own if a tool has changed it since. One that is too large to be copied
    goes as it is, and is compared with what was stored when it is coded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from compiler_nb.events import Decided, Event, TaskEnded, TaskExpanded, TaskFetched, TaskPlanned
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import NOT_DONE, Answer, Failure
from compiler_nb.plan.expression import Value
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Tree, replace
from compiler_nb.tool import Tool
from compiler_nb.values.code import encode
from compiler_nb.values.coded import LARGEST, Coded, Known, Leaks
from compiler_nb.values.encoder import DEEPEST
from compiler_nb.values.forms import ids_of, type_module
from compiler_nb.values.table import FORMS, form_of

ITEMS: Final = 10_000
"""Items of containers that are copied for one event."""
BYTES: Final = 4_000_000
"""Bytes of arrays, tables and byte arrays that are copied for one event."""
MANY: Final = 300_000
"""Items of containers in a value that is copied for its own sake."""
_OBJECTS: Final = 2_000
"""Objects that a value of a class may consist of, to be coded at once."""
_CELL: Final = 8
"""The bytes for which a cell of a table counts."""
_ON_WRITE: Final = 3
"""The first version of pandas that copies on write."""
_CODED: Final = 100
"""The items for which a value of a class counts."""
_TASK: Final = 5
"""The items for which a task of a fan-out counts."""
FLYING: Final = 100_000_000
"""Bytes of copies of one run that may wait to be coded."""
ATOMS: Final = ids_of({
    type(None), bool, str, *(form.type for form in FORMS if form.fixed and isinstance(form.type, type))
})  # fmt: skip
"""Ids of types whose values do not change."""
_BULKY: Final = ids_of((str, bytes, bytearray))
_CONTAINERS: Final = ids_of((list, dict, tuple, set, frozenset))
_NEVER: Final = ATOMS | ids_of(NOT_DONE)
_NO_PART: Final = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def are_atoms(values: Iterable[Any]) -> bool:
    """Return whether none of the values can change."""
    return ATOMS.issuperset(map(id, map(type, values)))


class NoCopy(Exception):
    """Such a value cannot be copied without running its own code."""


class TooMuch(Exception):
    """The value is too large to be copied on the run's loop."""


class Copier:
    """Copies the parts of one event's value, within bounds.

    known: objects that have a name, by their ids; now: codes one of a class as it is now; size: bytes at most;
    lenient: whether what has no copy stays itself.
    """

    def __init__(
        self, known: Mapping[int, Known], now: Callable[[Known], Any], size: int = BYTES, *, lenient: bool = False
    ) -> None:
        self.known, self.now, self.size, self.items, self.lenient = known, now, size, ITEMS, lenient
        self.copied = 0  # bytes

    def part(self, value: Any, depth: int) -> Any:
        """Return a copy of a value, or the value itself if it cannot change."""
        kind = type(value)
        if id(kind) in ATOMS:
            return value
        if depth > DEEPEST:
            raise TooMuch
        known = self.known.get(id(value))
        if known is None or known.value is not value:
            return self._plain(value, kind, depth, lazy=True)
        lenient, self.lenient = self.lenient, False
        try:
            try:
                return Known(self._plain(value, kind, depth), known.name)
            except NoCopy:
                self._count(_CODED)
                return Known(self.now(known), known.name)
        except (TooMuch, NoCopy):
            return value  # it is named by its identity
        finally:
            self.lenient = lenient

    def _plain(self, value: Any, kind: type, depth: int, *, lazy: bool = False) -> Any:  # noqa: PLR0911 - one line per kind
        if kind is dict:
            if not self._varies(value) and not self._varies(value.values()):
                return value.copy()
            return {self.part(key, depth + 1): self.part(item, depth + 1) for key, item in value.items()}
        if id(kind) in _CONTAINERS:
            return kind([self.part(each, depth + 1) for each in value] if self._varies(value) else value)
        if kind is bytearray:
            self._spend(len(value))
            return bytearray(value)
        if kind is Failure:
            return dataclasses.replace(value, partial=self.part(value.partial, depth + 1))
        if kind is Answer:
            return dataclasses.replace(value, value=self.part(value.value, depth + 1))
        return self._foreign(value, kind, lazy=lazy)

    def _varies(self, values: Any) -> bool:
        """Count items, and return whether one of them may change."""
        self._count(len(values))
        return not are_atoms(values)

    def _count(self, items: int) -> None:
        self.items -= items
        if self.items < 0:
            raise TooMuch

    def _spend(self, size: int) -> None:
        self.copied += size
        if self.copied > self.size:
            raise TooMuch

    def _foreign(self, value: Any, kind: type, *, lazy: bool) -> Any:
        form = form_of(value)
        name = form.name if form is not None else ""
        if name in ("table", "column"):
            size, version = _CELL * value.size, sys.modules["pandas"].__version__
            if lazy and self.copied + size > self.size and int(version.partition(".")[0]) >= _ON_WRITE:
                return value.copy(deep=False)
            self._spend(size)
            return value.copy()
        if name == "array" and not value.dtype.hasobject:
            self._spend(value.nbytes)
            return value.copy()
        if (form is None or not form.fixed) and not self.lenient:
            raise NoCopy
        return value

    def item(self, task: Task) -> Task:
        """Return a fan-out's item with the values in its arguments copied."""
        self._count(_TASK)
        if are_atoms((*task.args, *task.kwargs.values(), task.guard)):
            return task
        copied: Task = replace(task, self._node)
        return copied

    def _node(self, part: Any) -> Tree:
        with contextlib.suppress(NoCopy):
            if type(part) is Value:
                return Value(self.part(part.value, 0))
        return part


def copy_of(value: Any) -> Any:
    """Return a copy of a value that nobody else holds; the value itself if it cannot change, or cannot be copied."""
    copier = Copier({}, _no_copy, LARGEST)
    copier.items = MANY
    try:
        return copier.part(value, 0)
    except Exception:  # noqa: BLE001 - too large, of a class of the user's, or changed by a thread at this moment
        return value


def _no_copy(_: Known) -> Any:
    raise NoCopy


def is_small(value: Any) -> bool:
    """Return whether a value of a class consists of few objects and bytes."""
    ahead, seen, size = [value], {id(value)}, 0
    while ahead:
        each = ahead.pop()
        size += _bytes_of(each)
        if len(seen) > _OBJECTS or size > BYTES:
            return False
        for part in gc.get_referents(each):
            if id(part) not in seen and not issubclass(type(part), _NO_PART):
                seen.add(id(part))
                ahead.append(part)
    return True


def _bytes_of(value: Any) -> int:
    """Return the bytes of a text or an array, those that it only shows included; 0 for anything else."""
    kind, numpy = type(value), sys.modules.get("numpy")
    if id(kind) in _BULKY:
        return sys.getsizeof(value)
    if kind is memoryview:
        return int(value.nbytes)
    if numpy is not None and issubclass(kind, numpy.ndarray):
        own = vars(numpy.ndarray)
        if own["dtype"].__get__(value).hasobject:
            return BYTES + 1  # what it holds is not seen
        return int(own["nbytes"].__get__(value))
    return int(getattr(value, "nbytes", 0)) if type_module(value).partition(".")[0] == "pyarrow" else 0


class Snapshots:
    """Takes the values of one run's events as they are, on the run's loop.

    tools: values of classes are coded by their return types; put: takes the events; leaks: as for `encode`.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        put: Callable[[Event], None],
        *,
        largest: int = LARGEST,
        leaks: Leaks | None = None,
    ) -> None:
        self.tools, self.put, self.largest, self.leaks = tools, put, largest, leaks
        self.known: dict[int, Known] = {}  # by the objects' ids
        self.flying: dict[int, int] = {}  # bytes of copies that wait to be coded, by their events
        self.tasks: dict[str, Task] = {}  # by id; ahead of the writer's thread, but a task of one id is never another

    def listen(self, event: Event) -> None:
        """Take an event of the run, and pass it on with copies of what may change."""
        with contextlib.suppress(BaseException):  # whatever its values do, the event is kept as it is
            event = self._taken(event)
        self.put(event)

    def inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a run's inputs as they are now."""
        taken = {name: self._copy(value, -1) for name, value in given.items()}
        for name, value in given.items():
            self._note(value, f"@{name}", None)
        return taken

    def landed(self, event: Event) -> None:
        """Note, on the writer's thread, that an event is coded."""
        self.flying.pop(event.seq, None)

    def tool_of(self, task: str) -> Tool | None:
        """Return the tool that a task calls, None if it calls none or is not known."""
        return self.tools.get(self.tasks[task].tool) if task in self.tasks else None

    def hint_of(self, event: TaskEnded | TaskFetched) -> Any:
        """Return the return type of the tool whose value a task's outcome is, None if there is none."""
        tool = self.tool_of(event.task)
        return None if tool is None or is_a(event.outcome, NOT_DONE) else tool.returns

    # ---------------------------------------------------------------- events

    def _taken(self, event: Event) -> Event:
        match event:
            case TaskPlanned():
                self.tasks[event.task] = event.planned
            case TaskExpanded():
                self.tasks.update((item.id, item) for item in event.items)
                copier = self._copier()
                event = event._replace(items=tuple(copier.item(item) for item in event.items))
                self.flying[event.seq] = copier.copied
            case TaskEnded() | TaskFetched() if id(type(event.outcome)) not in ATOMS:
                value, hint = event.outcome, self.hint_of(event)
                taken = self._copy(value, event.seq, hint)
                self._note(value, event.task, hint)
                return event if taken is value else event._replace(outcome=taken)
            case Decided():
                event = event._replace(decision=self._copy(event.decision, event.seq))
        return event

    def _copy(self, value: Any, seq: int, hint: Any = None) -> Any:
        """Return a copy, the value coded by a hint, or the value itself if it cannot change, or cannot be copied."""
        copier = self._copier()
        try:
            try:
                taken = copier.part(value, 0)
            except NoCopy:
                coded = self._coded(value, hint) if hint is not None else None
                if type(coded) is Coded and coded.whole:
                    return coded
                copier = self._copier(lenient=True)
                taken = copier.part(value, 0)
        except BaseException:  # noqa: BLE001 - too large, too deep, changed by a thread, or whatever its methods raise
            return value
        if copier.copied:
            self.flying[seq] = copier.copied
        return taken

    def _copier(self, *, lenient: bool = False) -> Copier:
        free = FLYING - sum(list(self.flying.values()))
        return Copier(self.known, self._now, max(0, min(BYTES, free)), lenient=lenient)

    def _coded(self, value: Any, hint: Any) -> Any:
        if not is_small(value):
            return value
        return encode(value, hint=hint, largest=self.largest, leaks=self.leaks, drawing=False)

    def _now(self, known: Known) -> Any:
        """Return an object of a class, coded as it is now; raises NoCopy or TooMuch if it has no such form."""
        coded = self._coded(known.value, known.hint) if known.hint is not None else None
        if type(coded) is not Coded:
            raise TooMuch if coded is not None else NoCopy
        return coded

    def _note(self, value: Any, name: str, hint: Any) -> None:
        """Note an object, so that other values may name it instead of holding it again."""
        kind = id(type(value))
        if kind in _CONTAINERS or (kind not in _NEVER and type_module(value) != "builtins"):
            self.known.setdefault(id(value), Known(value, name, hint))
