"""Copies of values that a tool could change later, as far as they are plain data, tables or arrays of bounded size."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import fractions
import gc
import sys
import types
import uuid
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.outcome import Answer, Cancelled, Failure, Replan, Skipped
from compiler_nb.plan.expression import Value
from compiler_nb.plan.tree import Tree, replace
from compiler_nb.values.code import DEEPEST
from compiler_nb.values.kinds import ids_of, type_module
from compiler_nb.values.shared import Named
from compiler_nb.values.unstorable import NotStored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from compiler_nb.plan.task import Task
    from compiler_nb.values.shared import Known

ITEMS: Final = 10_000
"""Items of containers that are copied for one event."""
BYTES: Final = 4_000_000
"""Bytes of arrays, tables and byte arrays that are copied for one event."""
_OBJECTS: Final = 2_000
"""Objects that a value of a class may consist of, to be coded at once."""
_CELL: Final = 8
"""Bytes that a cell of a table counts for."""
_ON_WRITE: Final = 3
"""The version of pandas from which what is not copied is, once it is written to."""
_CODED: Final = 100
"""Items that a value of a class counts for."""
_TASK: Final = 5
"""Items that a task of a fan-out counts for."""
ATOMS: Final = ids_of({
    type(None), bool, int, float, complex, str, bytes, range, dt.date, dt.datetime, dt.time, dt.timedelta,
    decimal.Decimal, fractions.Fraction, uuid.UUID, Skipped, Cancelled, Replan, NotStored,
})  # fmt: skip
"""Ids of types whose values do not change."""
_BULKY: Final = ids_of((str, bytes, bytearray))
_NO_PART: Final = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def are_atoms(values: Iterable[Any]) -> bool:
    """Whether none of the values can change."""
    return ATOMS.issuperset(map(id, map(type, values)))


class NoCopy(Exception):
    """There is no copy of such a value."""


class TooMuch(Exception):
    """There would be a copy, but it is too large to be made here."""


class Copier:
    """Copies the parts of one event's value, within bounds.

    known: objects that have a name, by their ids; now: codes one of a class as it is now; size: bytes at most.
    """

    def __init__(self, known: Mapping[int, Known], now: Callable[[Known], Any], size: int = BYTES) -> None:
        self.known, self.now, self.size, self.items = known, now, size, ITEMS
        self.copied = 0  # bytes

    def part(self, value: Any, depth: int) -> Any:
        """Return a copy of a value, or the value itself where it cannot change."""
        kind = type(value)
        if id(kind) in ATOMS:
            return value
        if depth > DEEPEST:
            raise TooMuch
        known = self.known.get(id(value))
        if known is None or known.value is not value:
            return self._plain(value, kind, depth, lazy=True)
        try:
            try:
                return Named(known.name, self._plain(value, kind, depth))
            except NoCopy:
                self._count(_CODED)
                return Named(known.name, self.now(known))
        except (TooMuch, NoCopy):
            return value  # it is named by its identity

    def _plain(self, value: Any, kind: type, depth: int, *, lazy: bool = False) -> Any:  # noqa: PLR0911 - one line per kind
        if kind is list:
            return self._many(value, depth) if self._varies(value) else value.copy()
        if kind is dict:
            if not self._varies(value) and not self._varies(value.values()):
                return value.copy()
            return {self.part(key, depth + 1): self.part(item, depth + 1) for key, item in value.items()}
        if kind is tuple or kind is frozenset:
            return kind(self._many(value, depth)) if self._varies(value) else value
        if kind is set:
            return set(self._many(value, depth)) if self._varies(value) else value.copy()
        if kind is bytearray:
            self._spend(len(value))
            return bytearray(value)
        if kind is Failure:
            return dataclasses.replace(value, partial=self.part(value.partial, depth + 1))
        if kind is Answer:
            return Answer(self.part(value.value, depth + 1))
        return self._foreign(value, kind, lazy=lazy)

    def _varies(self, values: Any) -> bool:
        """Count items, and return whether one of them may change."""
        self._count(len(values))
        return not are_atoms(values)

    def _count(self, items: int) -> None:
        self.items -= items
        if self.items < 0:
            raise TooMuch

    def _many(self, values: Iterable[Any], depth: int) -> list[Any]:
        return [self.part(each, depth + 1) for each in values]

    def _spend(self, size: int) -> None:
        self.copied += size
        if self.copied > self.size:
            raise TooMuch

    def _foreign(self, value: Any, kind: type, *, lazy: bool) -> Any:
        pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
        if pandas is not None and (kind is pandas.DataFrame or kind is pandas.Series):
            size = _CELL * value.size
            if lazy and self.copied + size > self.size and int(pandas.__version__.partition(".")[0]) >= _ON_WRITE:
                return value.copy(deep=False)
            self._spend(size)
            return value.copy()
        if numpy is not None and kind is numpy.ndarray and not value.dtype.hasobject:
            self._spend(value.nbytes)
            return value.copy()
        if numpy is not None and issubclass(kind, numpy.generic):
            return value
        raise NoCopy

    def item(self, task: Task) -> Task:
        """Return a fan-out's item with the values in its arguments copied."""
        self._count(_TASK)
        if are_atoms(task.args) and are_atoms(task.kwargs.values()):
            return task
        return dataclasses.replace(task, args=replace(task.args, self._node), kwargs=replace(task.kwargs, self._node))

    def _node(self, part: Any) -> Tree:
        if type(part) is not Value:
            return part
        try:
            return Value(self.part(part.value, 0))
        except NoCopy:
            return part


def is_small(value: Any) -> bool:
    """Whether a value of a class consists of few objects and bytes."""
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
