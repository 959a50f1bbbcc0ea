"""What a tool returned: something to await, a lazy iterator to list, or a value that can be read only once."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Awaitable, Generator, Mapping
from typing import Any, Final

from compiler_nb.outcome import Skipped
from compiler_nb.plan.task import Task

READ: Final = 10_000
"""Items of a lazy iterator that are read when the tool that returns it ends."""
_LAZY: Final = (
    map, filter, zip, enumerate, reversed, itertools.chain, itertools.islice, itertools.starmap,
    *map(type, (iter([]), iter(()), iter(range(0)), iter({}), iter({}.values()), iter({}.items()))),
)  # fmt: skip
PLAIN_IDS: Final = frozenset(map(id, (type(None), bool, int, float, str, bytes, list, tuple, dict, set)))
"""Types of which nothing is left to be awaited or read: those of most results."""
_LAZY_IDS: Final = frozenset(map(id, _LAZY))  # a type of the user's may have no hash


def settled(value: Any) -> Any:
    """Return the items of one of Python's own lazy iterators as a list, anything else as it is.

    Whoever reads such an iterator uses it up, so what a task gets would depend on who read it before. One of more than
    READ items stays an iterator, for tools that take it item by item, and so does a
    generator, whose code is a tool's own.
    """
    if id(type(value)) not in _LAZY_IDS:
        return value
    items = list(itertools.islice(value, READ + 1))
    return items if len(items) <= READ else itertools.chain(items, value)


def is_awaitable(value: Any) -> bool:
    """Whether a value can be awaited; its type is asked, never the value, which may be of any class."""
    return any("__await__" in vars(kind) for kind in type(value).__mro__)


def read_by_several(tasks: Mapping[str, Task], outcomes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the values that can be read only once and were given to several calls: the calls, by the value's task."""
    once = {id_ for id_, value in outcomes.items() if id(type(value)) not in PLAIN_IDS and is_iterator(value)}
    readers: dict[str, list[str]] = {id_: [] for id_ in once}
    for id_, task in tasks.items() if once else ():
        if task.kind == "call" and type(outcomes.get(id_)) is not Skipped:
            for name in once.intersection(task.dependencies):
                readers[name].append(id_)
    return {id_: found for id_, found in readers.items() if len(found) > 1}


def is_iterator(value: Any) -> bool:
    """Whether a value is used up by whoever iterates over it; its type is asked, as in `is_awaitable`."""
    return any("__next__" in vars(kind) or "__anext__" in vars(kind) for kind in type(value).__mro__)


class _Rest:
    """What is still to be awaited of an object of another library."""

    def __init__(self, steps: Generator[Any, Any, Any]) -> None:
        self.steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.steps


def still_to_await(value: Any) -> Awaitable[Any] | None:
    """Return what is to be awaited of what a tool returned; None if it is a value, or raises when it is awaited."""
    if not is_awaitable(value):
        return None
    if inspect.iscoroutine(value):
        return value
    try:
        return _Rest(type(value).__await__(value))
    except Exception:  # noqa: BLE001 - a value that only looks like an awaitable
        return None
