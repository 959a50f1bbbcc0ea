"""Equal calls of pure tools: one of them is made, and the others get its value; a cache may know it from before.

Theory of operation
    A ready call of a pure tool is held until its arguments are known, and with them its mark: the tool and the digest
    of the arguments. The first call of a mark leads. The cache is asked for it, if there is one; what it does not know
    is made. Every other call of the mark waits for the leader's end and gets a copy of its value; if the leader has no
    value, the others are made themselves. A later call gets the value only if nothing has changed it since.

    A call goes on with the very arguments that its mark is of, and what the cache keeps is looked at again when the
    call has ended: a value is never kept under arguments that a tool has changed meanwhile.
    A run without pure tools pays nothing for this.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

from compiler_nb.engine.node import Node
from compiler_nb.engine.off_loop import off_loop
from compiler_nb.engine.results import is_iterator
from compiler_nb.engine.schedule import Schedule
from compiler_nb.events import EQUAL, CacheLooked, Log, TaskEnded, TaskHeld
from compiler_nb.outcome import CACHED
from compiler_nb.plan.task import Task
from compiler_nb.tool import Tool
from compiler_nb.values.copies import copy_of
from compiler_nb.values.digest import Content, TooLarge, content_of

HELD: Final = "cache"
"""Why a ready call is held (`Node.held`) until it is known whether it must be made."""
SMALL_PARTS: Final = 2_000
SMALL_SIZE: Final = 400_000
"""The largest size of arguments that are looked at on the loop."""
OWN: Final = frozenset({"", CACHED})
"""`TaskEnded.how` of calls whose values are the tool's own."""


class PureCall(NamedTuple):
    """A call of a pure tool, its arguments bound, with their digest by name; the parameters of *args and **kwargs too.

    loose: why the arguments cannot be compared, "" if they can; classes: those of the instances in them.
    """

    task: Task
    tool: Tool
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    mark: str
    digests: Mapping[str, str]
    loose: str = ""
    classes: frozenset[type] = frozenset()

    def named(self) -> list[tuple[str, Any]]:
        """Return the positional arguments by the names of their parameters."""
        return _named(self.tool, self.args)

    def is_current(self) -> bool:
        """Whether the arguments still are what they were."""
        return self.mark == mark_of(self.task, self.tool, self.args, self.kwargs).mark


class Recalled(NamedTuple):
    """A value that the cache knows, and where it comes from, in words."""

    value: Any
    told: str


class CallCache(Protocol):
    """What knows values of earlier calls; everything is called on the loop."""

    def look(self, call: PureCall, then: Callable[[Recalled | None], None]) -> None:
        """Look for a call's value, and go on with what is found, now or later."""

    def keep(self, call: PureCall, value: Any, seconds: float) -> None:
        """Keep the value of a call that was made."""


class FlightHost(Protocol):
    """What flights ask of the session that they belong to."""

    loop: asyncio.AbstractEventLoop
    log: Log
    schedule: Schedule
    tools: dict[str, Tool]

    @property
    def outcomes(self) -> Mapping[str, Any]:
        """How all tasks ended that have ended, by id."""

    def perform(self, nodes: Iterable[Node]) -> None:
        """Do what the schedule has handed out."""

    def give(self, node: Node, value: Any, how: str) -> None:
        """End a task that is not at work with a value for which no attempt was made."""

    def when_ended(self, id_: str, tell: Callable[[], object]) -> None:
        """Call a function when a task has ended."""


class Flights:
    """The calls of pure tools of one session. cache: knows values of earlier runs, None if there is none."""

    def __init__(self, host: FlightHost) -> None:
        self.host = host
        self.cache: CallCache | None = None
        self.bound: dict[str, PureCall] = {}  # calls that are made, by task
        self._started: dict[str, float] = {}  # when, in seconds
        self._looking: set[str] = set()  # tasks whose marks are being found, or that wait for a leader
        self._leaders: dict[str, str] = {}  # tasks by mark
        self._followers: defaultdict[str, list[tuple[Node, PureCall]]] = defaultdict(list)  # by mark
        self._values: dict[str, Content | None] = {}  # digests of leaders' values, by mark; None: it has none
        self._works: set[asyncio.Task[None]] = set()

    def gate(self, task: Task) -> str:
        """Return whether a ready call is held here: "cache", or "" if it may start."""
        tool = self.host.tools.get(task.tool)
        return HELD if tool is not None and tool.pure and task.id not in self.bound else ""

    def arguments(self, id_: str, at: float) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return the arguments of a call that starts now, None if it is not made here."""
        call = self.bound.get(id_)
        if call is None:
            return None
        self._started[id_] = at
        return call.args, dict(call.kwargs)

    def hold(self, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take a call whose arguments are known."""
        task = node.task
        if task.id in self._looking:
            return
        self._looking.add(task.id)
        tool = self.host.tools[task.tool]
        try:
            call = mark_of(task, tool, args, kwargs, parts=SMALL_PARTS, size=SMALL_SIZE)
        except TooLarge:
            work = self.host.loop.create_task(self._look_at_large(node, tool, args, kwargs))
            self._works.add(work)
            work.add_done_callback(self._works.discard)
        else:
            self._lead_or_follow(node, call)

    async def _look_at_large(self, node: Node, tool: Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Find the mark of a call with large arguments, on a thread if there are any."""
        call = await off_loop(mark_of, node.task, tool, args, kwargs)
        self._lead_or_follow(node, call)

    def _lead_or_follow(self, node: Node, call: PureCall) -> None:
        if not self._waits(node):
            return
        leader = "" if call.loose else self._leaders.get(call.mark, "")
        if leader and leader in self.host.outcomes:
            value = self._value_again(call.mark, leader)
            if value is not _NONE:
                self._adopt(node, leader, value)
                return
        elif leader:
            self._followers[call.mark].append((node, call))
            self.host.log.emit(TaskHeld, node.task.id, 0, EQUAL, leader, "")
            return
        if not call.loose:
            self._leaders[call.mark] = node.task.id
            self.host.when_ended(node.task.id, lambda: self._ended(call))
        if self.cache is None:
            self._make(node, call)
        else:
            self.cache.look(call, lambda found: self._looked(node, call, found))

    def _looked(self, node: Node, call: PureCall, found: Recalled | None) -> None:
        if not self._waits(node):
            return
        if found is None:
            self._make(node, call)
        else:
            self.host.log.emit(CacheLooked, node.task.id, "", True, found.told)  # noqa: FBT003 - a field
            self.host.give(node, found.value, CACHED)

    def _waits(self, node: Node) -> bool:
        """Whether a call is still held: it may have ended meanwhile, or somebody has let it start."""
        waits = node.state == "ready" and node.held == HELD
        if not waits:
            self._looking.discard(node.task.id)
        return waits

    def _make(self, node: Node, call: PureCall) -> None:
        """Let a call be made, with the arguments that its mark is of."""
        self._looking.discard(node.task.id)
        self.bound[node.task.id] = call
        self.host.perform(self.host.schedule.approve(node.task.id))

    # ---------------------------------------------------------------- a leader has ended

    def _ended(self, call: PureCall) -> None:
        """Give the value of a call to its followers, if it has one of its own."""
        log, id_ = self.host.log, call.task.id
        end = log.events[-1]  # this is called right after it
        own = type(end) is TaskEnded and end.task == id_ and end.state == "done" and end.how in OWN
        made, started = self.bound.pop(id_, None), self._started.pop(id_, end.at)
        value = self.host.outcomes[id_]
        shared = own and not is_iterator(value)
        if not shared:
            del self._leaders[call.mark]
        else:
            self._values[call.mark] = _content(value)
            if self.cache is not None and made is not None:
                self.cache.keep(call, value, end.at - started)
        for node, each in self._followers.pop(call.mark, ()):
            if not self._waits(node):
                continue
            if shared:
                self._adopt(node, id_, copy_of(value))
            else:
                self._make(node, each)

    def _value_again(self, mark: str, leader: str) -> Any:
        """Return a copy of a leader's value, or nothing if it was changed since, or is not its tool's own."""
        value = self.host.outcomes[leader]
        known = self._values.get(mark)
        return copy_of(value) if known is not None and known == _content(value) else _NONE

    def _adopt(self, node: Node, leader: str, value: Any) -> None:
        self._looking.discard(node.task.id)
        self.host.log.emit(CacheLooked, node.task.id, "", True, f"of the equal call `{leader}`")  # noqa: FBT003 - a field
        self.host.give(node, value, "adopted")


_NONE: Final = object()


def _content(value: Any) -> Content | None:
    """Return the digest of a value, None if it has none."""
    with suppress(Exception):  # it is too large, or changes at this very moment
        return content_of(value, parts=SMALL_PARTS, size=SMALL_SIZE)
    return None


def mark_of(task: Task, tool: Tool, args: tuple[Any, ...], kwargs: Mapping[str, Any], **bounds: int) -> PureCall:
    """Return a call with the digests of its arguments. Raises TooLarge if they need more than the bounds, if given."""
    digests: dict[str, str] = {}
    loose, classes = "", frozenset[type]()
    for name, value in (*_named(tool, args), *kwargs.items()):
        try:
            content = content_of(value, **bounds)
        except TooLarge:
            if bounds:
                raise
            content = Content("", "it is too large to compare")
        except Exception:  # noqa: BLE001 - it changes at this very moment
            content = Content("", "it changes meanwhile")
        digests[name], classes = content.text, classes | content.classes
        if content.loose and not loose:
            loose = f"argument `{name}`: {content.loose}"
    told = [tool.name, *(f"{name}\0{digest}" for name, digest in sorted(digests.items()))]
    return PureCall(task, tool, args, kwargs, "\0".join(told), digests, loose, classes)


def _named(tool: Tool, args: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """Return positional arguments by the names of their parameters."""
    names = [each.name for each in tool.parameters[: len(args)]]
    rest = len(args) - len(names)
    if rest or (args and tool.parameters[len(names) - 1].kind is inspect.Parameter.VAR_POSITIONAL):
        first = len(names) - 1
        return [*zip(names[:first], args, strict=False), (names[first], args[first:])]
    return list(zip(names, args, strict=True))
