"""Values as they are when their task ends: copies, taken on the run's own loop, that no later tool can change.

Theory of operation
    Events wait in a queue until the writer's thread codes them, and meanwhile the next tool may change in place what
    the last one returned. So the listener of a run's log puts a copy in the place of a value that can change: plain
    containers are copied, tables and arrays too; a value of a class is coded at once by its tool's return type, for
    only that knows it. What cannot change goes through as it is, and events without a value cost no more than the
    queue's `put`.
    All this is bounded, per event in ITEMS and BYTES, per run in FLYING, so that the loop is never held up for long.
    What is larger is stored as it is when it is coded, within some hundredths of a second; tables are safe from that
    where pandas copies on write (from version 3).
    An object that an earlier task returned is copied as Named: it is written as that task's value where it still is
    what was stored of that, and as a value of its own where a tool has changed it since. One that is too large to be
    copied goes as it is, and is compared with what was stored, too, when it is coded.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.events import Decided, Event, TaskEnded, TaskExpanded, TaskPlanned
from compiler_nb.outcome import NOT_DONE
from compiler_nb.plan.bounds import is_a
from compiler_nb.values.code import LARGEST, Coded, Leaks, encode
from compiler_nb.values.copies import ATOMS, BYTES, Copier, NoCopy, TooMuch, is_small
from compiler_nb.values.kinds import ids_of, type_module
from compiler_nb.values.shared import Known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compiler_nb.tool import Tool

FLYING: Final = 100_000_000
"""Bytes of copies of one run that may wait to be coded."""
_CONTAINERS: Final = ids_of((list, dict, tuple, set, frozenset))
_NEVER: Final = ATOMS | ids_of(NOT_DONE)


class Taker:
    """Takes the values of one run's events, on the run's loop.

    tools: whose return types say how values of classes are coded; put: where the events go; leaks: as of `encode`.
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
        self._called: dict[str, str] = {}  # tool by task

    @property
    def listener(self) -> Callable[[Event], None]:
        """What takes the run's events."""
        kinds: dict[type[Any], Callable[[Any], Event]] = {
            TaskPlanned: self._planned,
            TaskExpanded: self._expanded,
            TaskEnded: self._ended,
            Decided: self._decided,
        }
        put, find = self.put, kinds.get

        def listen(event: Event) -> None:
            take = find(type(event))
            if take is not None:
                with contextlib.suppress(BaseException):  # whatever its values do, the event is kept as it is
                    event = take(event)
            put(event)

        return listen

    def inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a run's inputs as they are now."""
        taken = {name: self._copy(value, -1) for name, value in given.items()}
        for name, value in given.items():
            self._note(value, f"@{name}", None)
        return taken

    def landed(self, event: Event) -> None:
        """Note, on the writer's thread, that an event is coded."""
        self.flying.pop(event.seq, None)

    # ---------------------------------------------------------------- events

    def _planned(self, event: TaskPlanned) -> Event:
        self._called[event.task] = event.planned.tool
        return event

    def _expanded(self, event: TaskExpanded) -> Event:
        self._called.update((item.id, item.tool) for item in event.items)
        copier = self._copier()
        with contextlib.suppress(BaseException):  # too many, or what raises when it is copied: they go as they are
            items = tuple(copier.item(item) for item in event.items)
            self.flying[event.seq] = copier.copied
            return event._replace(items=items)
        return event

    def _ended(self, event: TaskEnded) -> Event:
        value = event.outcome
        if id(type(value)) in ATOMS:
            return event
        tool = self.tools.get(self._called.get(event.task, ""))
        hint = tool.returns if tool is not None and not is_a(value, NOT_DONE) else None
        taken = self._copy(value, event.seq, hint)
        self._note(value, event.task, hint)
        return event if taken is value else event._replace(outcome=taken)

    def _decided(self, event: Decided) -> Event:
        return event._replace(decision=self._copy(event.decision, event.seq))

    def _copy(self, value: Any, seq: int, hint: Any = None) -> Any:
        """Return a copy, the value coded by a hint, or the value itself where it can neither change nor be copied."""
        copier = self._copier()
        try:
            taken = copier.part(value, 0)
        except NoCopy:
            return value if hint is None else self._coded(value, hint)
        except BaseException:  # noqa: BLE001 - too large, too deep, changed by a thread, or whatever its methods raise
            return value
        if copier.copied:
            self.flying[seq] = copier.copied
        return taken

    def _copier(self) -> Copier:
        free = FLYING - sum(list(self.flying.values()))
        return Copier(self.known, self._now, max(0, min(BYTES, free)))

    def _coded(self, value: Any, hint: Any) -> Any:
        return encode(value, hint=hint, largest=self.largest, leaks=self.leaks) if is_small(value) else value

    def _now(self, known: Known) -> Any:
        """Return an object of a class, coded as it is now; raises an error where it has no such form."""
        coded = self._coded(known.value, known.hint) if known.hint is not None else None
        if type(coded) is not Coded:
            raise TooMuch if coded is not None else NoCopy
        return coded

    def _note(self, value: Any, name: str, hint: Any) -> None:
        """Note an object, so that other values may name it instead of holding it again."""
        kind = id(type(value))
        if kind in _CONTAINERS or (kind not in _NEVER and type_module(value) != "builtins"):
            self.known.setdefault(id(value), Known(value, name, hint))
