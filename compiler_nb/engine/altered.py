"""Tables that a tool changes although they are its arguments: other tasks read the very same object.

Theory of operation
    Arguments pass by reference, so a tool that adds a column to its argument adds it to the input, or to the result of
    another task, and whoever reads that later, or at the same time, gets something else. That cannot be undone, but it
    can be seen and told. Before a call begins its tables are marked: their labels, and the arrays that hold their
    columns; and a shallow copy is kept, so that pandas (from version 3) copies an array before it writes to it. After
    the call the marks are compared by identity, which costs microseconds however long a table is. Only if an object
    was replaced are the contents compared: pandas also joins arrays without changing what they hold.

    Calls may share a table at the same time. Then none of them can be told from the others, and all are named.

    All this happens in the thread of the call, and only in runs that began with pandas loaded.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from compiler_nb.engine.call import Call, Runner
from compiler_nb.engine.runners import Coroutines, InTurn, Threads
from compiler_nb.text import shorten_value

WITHIN: Final = 100
"""Items of a container among the arguments that are looked at."""
NAMED: Final = 5
"""Columns that are named."""
TellOfChange: TypeAlias = Callable[[str, Any, str, str], None]
"""Takes a task's id, the table, the names of the calls that may have changed it with the parameter, and the change."""


class Mark(NamedTuple):
    """A table as it was: its labels, the arrays that hold its columns, and a copy that shares them."""

    table: Any
    axes: list[Any]
    arrays: list[Any]
    copy: Any


def mark(table: Any) -> Mark:
    """Return what a table can be compared with later."""
    return Mark(table, list(table.axes), _arrays(table), table.copy(deep=False))


def _arrays(table: Any) -> list[Any]:
    return [block.values for block in table._mgr.blocks]  # noqa: SLF001 - there is no other way that takes no time


def change_of(before: Mark) -> str:
    """Return how a table was changed since it was marked, "" if it was not."""
    table = before.table
    axes, arrays = list(table.axes), _arrays(table)
    same = len(arrays) == len(before.arrays) and all(map(_is, arrays, before.arrays))
    if same and all(map(_is, axes, before.axes)):
        return ""
    return "; ".join(_changes(before.copy, table))


def _is(one: Any, other: Any) -> bool:
    return one is other


def _changes(before: Any, after: Any) -> Iterator[str]:
    """Yield how a table differs from what it was, in words."""
    if len(after) != len(before):
        yield f"{len(before):,} rows became {len(after):,}"
    elif not after.index.identical(before.index):
        yield "its index was replaced"
    if len(after.axes) == 1:
        if len(after) == len(before) and not (after.dtype == before.dtype and _same_values(after, before)):
            yield "its values changed"
        return
    was, now = list(before.columns), list(after.columns)
    if len(set(was)) < len(was) or len(set(now)) < len(now):
        if was != now or (len(after) == len(before) and not _same_values(after, before)):
            yield "its columns were replaced"
        return
    yield from _columns("added", [label for label in now if label not in was])
    yield from _columns("dropped", [label for label in was if label not in now])
    kept = [label for label in was if label in now] if len(after) == len(before) else []
    yield from _columns("changed", [
        label for label in kept
        if after[label].dtype != before[label].dtype or not _same_values(after[label], before[label])
    ])  # fmt: skip
    if [label for label in now if label in was] != [label for label in was if label in now]:
        yield "its columns are in another order"


def _same_values(after: Any, before: Any) -> bool:
    if after.index is not before.index:
        after = after.set_axis(before.index)
    return bool(after.equals(before))


def _columns(what: str, labels: list[Any]) -> Iterator[str]:
    if labels:
        named = ", ".join(shorten_value(label, 40) for label in labels[:NAMED])
        more = f" and {len(labels) - NAMED:,} more" if len(labels) > NAMED else ""
        yield f"column{'s' if len(labels) > 1 else ''} {named}{more} {what}"


# -------------------------------------------------------------------- calls


class Who(NamedTuple):
    """A call, as it is told of: what is called in its place must not hold the call, or neither would be freed."""

    id: str
    name: str


class Altered:
    """Watches the tables among the arguments of one run's calls.

    tell: called on the thread of a call that ends, with its task, the table, who may have changed it, and how.
    """

    def __init__(self, tell: TellOfChange) -> None:
        pandas = sys.modules["pandas"]
        self.tell, self.kinds = tell, (pandas.DataFrame, pandas.Series)
        self._lock = threading.Lock()
        self._under_way: dict[int, list[set[str]]] = {}  # by table: for each of its calls, who may have changed it
        self._told: set[tuple[int, str]] = set()

    def tables(self, call: Call) -> dict[str, Any]:
        """Return the tables among a call's arguments, by the names of the parameters."""
        found: dict[str, Any] = {}
        for number, value in enumerate(call.args):
            if isinstance(value, self.kinds) or type(value) in (list, tuple, dict):
                names = getattr(getattr(call, "tool", None), "positional", ())
                name = names[number] if number < len(names) else names[-1] if names else f"argument {number + 1}"
                found |= self._within(name, value)
        for name, value in call.kwargs.items():
            found |= self._within(name, value)
        return found

    def _within(self, name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, self.kinds):
            return {name: value}
        if type(value) is dict:
            pairs: Any = islice(value.items(), WITHIN)
        elif type(value) in (list, tuple):
            pairs = enumerate(islice(value, WITHIN))
        else:
            return {}
        return {f"{name}[{shorten_value(key, 30)}]": each for key, each in pairs if isinstance(each, self.kinds)}

    @contextlib.contextmanager
    def watched(self, call: Who, tables: Mapping[str, Any]) -> Iterator[None]:
        """Compare tables before and after a call, and tell of those that were changed."""
        marks = {name: self._begin(call, table) for name, table in tables.items()}
        try:
            yield
        finally:
            for name, (before, suspects) in marks.items():
                self._end(call, name, before, suspects)

    def _begin(self, call: Who, table: Any) -> tuple[Mark | None, set[str]]:
        suspects = {call.name}
        with self._lock, contextlib.suppress(Exception):  # of a class of the user's own
            before = mark(table)
            others = self._under_way.setdefault(id(table), [])
            for other in others:
                other.add(call.name)
                suspects |= other
            others.append(suspects)
            return before, suspects
        return None, suspects

    def _end(self, call: Who, name: str, before: Mark | None, suspects: set[str]) -> None:
        if before is None:
            return
        key, change = id(before.table), ""
        with contextlib.suppress(Exception):  # another call changes it at this moment: that one's end tells
            change = change_of(before)
        with self._lock:
            others = self._under_way[key]
            others[:] = [each for each in others if each is not suspects]
            if not others:
                del self._under_way[key]
            is_new = bool(change) and (key, change) not in self._told
            self._told.add((key, change))
        if is_new:
            whose = "its" if len(suspects) == 1 else "their"
            who = f"{' or '.join(sorted(suspects))} changed {whose} argument {name}"
            self.tell(call.id, before.table, who, change)


class Watching:
    """A runner that watches the tables of the calls which it hands on to another."""

    def __init__(self, runner: Runner, altered: Altered) -> None:
        self.runner, self.altered, self.stuck = runner, altered, runner.stuck

    def start(self, call: Call) -> None:
        """Hand a call on; from then on the other runner is its own."""
        call.runner = self.runner
        if tables := self.altered.tables(call):
            guard = _guarded_coroutine if isinstance(self.runner, Coroutines) else _guarded
            call.function = guard(self.altered, call.function, Who(call.id, call.name), tables)
        self.runner.start(call)

    def stop(self, call: Call) -> None:
        """Ask a call to end."""
        self.runner.stop(call)

    def abandon(self, call: Call) -> bool:
        """Give up on a call."""
        return self.runner.abandon(call)

    def close(self) -> None:
        """Let go of what the runner holds."""
        self.runner.close()


def _guarded(
    altered: Altered, function: Callable[..., Any], call: Who, tables: Mapping[str, Any]
) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with altered.watched(call, tables):
            return function(*args, **kwargs)

    return guarded


def _guarded_coroutine(
    altered: Altered, function: Callable[..., Any], call: Who, tables: Mapping[str, Any]
) -> Callable[..., Any]:
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        with altered.watched(call, tables):
            return await function(*args, **kwargs)

    return guarded


def watch_tables(runners: Mapping[str, Runner], tell: TellOfChange) -> dict[str, Runner]:
    """Return runners that tell of tables which a tool of this process changes; the others as they are."""
    altered = Altered(tell)
    local = (Coroutines, Threads, InTurn)
    return {
        name: Watching(runner, altered) if name != "evaluator" and isinstance(runner, local) else runner
        for name, runner in runners.items()
    }
