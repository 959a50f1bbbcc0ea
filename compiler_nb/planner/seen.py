"""What tools returned before, as shapes: learned at the end of a run, and from the runs of a history.

A planner that is told `seen: {order_id: str, lines: [{sku, qty}]}` need not guess what a `dict` holds. Only tools whose
return type leaves that open are looked at. A tool is known by its name and its code: one that was changed is new.
"""

from __future__ import annotations

import threading
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import NOT_DONE, NotStored, Remote
from compiler_nb.plan.task import Task, owner_of
from compiler_nb.prompts.shapes import Looks, Shapes, merge, shape_of, spell_seen
from compiler_nb.tool import Tool

ToolKey: TypeAlias = tuple[str, str]
"""A tool's name, and the hash of its code."""
Recall: TypeAlias = "Callable[[Mapping[str, tuple[str, Any]]], Iterable[tuple[str, Any]]]"
"""Returns what tools returned in earlier runs, as names and values; given each tool's code hash and return type."""
RESULTS: Final = 200
"""Results of a tool that are looked at in one run."""
LOOKS: Final = 5_000
"""Values within results that are looked at in one run; of further results only the outermost keys count."""


class Seen:
    """The shapes of what tools returned so far; may be used from any thread."""

    def __init__(self) -> None:
        self._shapes: dict[ToolKey, Shapes] = {}
        self._recalled: set[ToolKey] = set()
        self._uses: Counter[str] = Counter()
        self._counted = False  # whether those of a history are among them
        self._lock = threading.Lock()

    def learn(self, tasks: Mapping[str, Task], outcomes: Mapping[str, Any], tools: Mapping[str, Tool]) -> None:
        """Take what the tools of a run returned; outcomes: of the tasks that have ended, by id."""
        with self._lock:
            self._uses.update([task.tool for task in tasks.values() if task.tool and not owner_of(task.id)])
        open_ones = _keys(tools)
        if not open_ones:
            return
        left, looks = dict.fromkeys(open_ones, RESULTS), Looks(LOOKS)
        found: dict[ToolKey, dict[Shapes, None]] = {key: {} for key in open_ones.values()}  # nearly all are alike
        for id_, outcome in outcomes.items():
            name = tasks[id_].tool
            if name in left and not is_a(outcome, (*NOT_DONE, NotStored, Remote)):
                found[open_ones[name]][_shape_of(outcome, looks)] = None
                left[name] -= 1
                if not left[name]:
                    del left[name]
                    if not left:
                        break
        for key, shapes in found.items():
            self._add(key, shapes)

    def recall(self, tools: Mapping[str, Tool], recall: Recall) -> None:
        """Take what tools returned in earlier runs, once for each tool."""
        with self._lock:
            new = {name: key for name, key in _keys(tools).items() if key not in self._recalled}
            self._recalled.update(new.values())
        looks = Looks(LOOKS)
        for name, value in recall({name: (key[1], tools[name].returns) for name, key in new.items()}) if new else ():
            self._add(new[name], [_shape_of(value, looks)])

    def uses(self, recall: Callable[[], Mapping[str, int]]) -> dict[str, int]:
        """Return how often tools were called, by name; recall: gives it of earlier runs, and is asked once."""
        with self._lock:
            is_new, self._counted = not self._counted, True
        found = recall() if is_new else {}
        with self._lock:
            self._uses.update(found)
            return dict(self._uses)

    def told(self, tools: Mapping[str, Tool]) -> dict[str, str]:
        """Return what a planner is told of the tools' results, by their names."""
        with self._lock:
            return {name: spell_seen(self._shapes[key]) for name, key in _keys(tools).items() if key in self._shapes}

    def _add(self, key: ToolKey, shapes: Iterable[Shapes]) -> None:
        with self._lock:
            merged = merge([self._shapes.get(key, ()), *shapes])
            if merged:
                self._shapes[key] = merged


def _shape_of(value: Any, looks: Looks) -> Shapes:
    try:
        return shape_of(value, looks)
    except Exception:  # noqa: BLE001 - a user's object may raise anything, and a dict may be changed meanwhile
        return ()


def _keys(tools: Mapping[str, Tool]) -> dict[str, ToolKey]:
    """Return the keys of the tools that are looked at."""
    open_ones = [tool for tool in tools.values() if tool.regular and is_open(tool.returns)]
    if not open_ones:
        return {}
    from compiler_nb.values.functions import code_hash  # noqa: PLC0415 - only who has such tools needs it

    return {tool.name: (tool.name, code_hash(tool)) for tool in open_ones}


def is_open(hint: Any) -> bool:
    """Whether a return type leaves open what a result holds: none, `dict`, `list[dict]`, a table; not `str`."""
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(map(is_open, args))
    if origin is typing.Annotated:
        return is_open(args[0])
    if hint is None or hint is Any or hint is object or hasattr(origin, "iloc"):
        return True
    if not isinstance(origin, type) or typing.is_typeddict(origin):
        return False
    if issubclass(origin, str | bytes):
        return False
    return issubclass(origin, Mapping) or (issubclass(origin, Iterable) and any(map(is_open, args or (None,))))
