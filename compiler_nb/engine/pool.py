"""A bounded pool of daemon threads for sync tools: one wake-up of the loop for a burst of results.

`asyncio.to_thread` wakes the loop once per call and its threads outlive the interpreter's exit; a hung tool of ours
costs only its thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context
from queue import SimpleQueue
from typing import Any, Final

from compiler_nb.outcome import Skipped
from compiler_nb.plan.task import Task

ABANDONED_LIMIT: Final = 64
"""Threads that may hang before no further sync tool is started."""
EAGER: Final = 8
"""Threads that are made at once when there is work for them."""
GROWN_AFTER: Final = 0.001
"""Seconds after which jobs that still wait get more threads."""
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
    once = {id_ for id_, value in outcomes.items() if id(type(value)) not in PLAIN_IDS and _is_iterator(value)}
    readers: dict[str, list[str]] = {id_: [] for id_ in once}
    for id_, task in tasks.items() if once else ():
        if task.kind == "call" and type(outcomes.get(id_)) is not Skipped:
            for name in once.intersection(task.dependencies):
                readers[name].append(id_)
    return {id_: found for id_, found in readers.items() if len(found) > 1}


def _is_iterator(value: Any) -> bool:
    """Whether a value is used up by whoever iterates over it; its type is asked, as in `is_awaitable`."""
    return any("__next__" in vars(kind) or "__anext__" in vars(kind) for kind in type(value).__mro__)


class ThreadJob:
    """One call on a thread; `outcome` and `error` are set when it ends, `awaitable` is whether the outcome is one.

    An abandoned job's end is not reported.
    """

    __slots__ = (
        "abandoned", "args", "awaitable", "context", "error", "function", "kwargs", "outcome", "report", "started",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: Context,
        report: Callable[[ThreadJob], None],
    ) -> None:
        self.function, self.args, self.kwargs, self.context, self.report = function, args, kwargs, context, report
        self.outcome: Any = None
        self.error: BaseException | None = None
        self.abandoned = self.awaitable = self.started = False

    def run(self) -> None:
        """Call the function, unless the job was abandoned before; whatever it raises is kept."""
        if self.abandoned:
            return
        self.started = True
        try:
            self.outcome = self.context.run(self.call)
            self.awaitable = id(type(self.outcome)) not in PLAIN_IDS and is_awaitable(self.outcome)
        except BaseException as error:  # noqa: BLE001 - SystemExit and its kin stay in their task
            self.error = error

    def call(self) -> Any:
        """Call the function; an interrupt is raised in what this calls."""
        return settled(self.function(*self.args, **self.kwargs))

    def report_end(self) -> None:
        """Report the end, on the loop's thread; of an abandoned job nobody wants it, so a coroutine is closed."""
        if not self.abandoned:
            self.report(self)
        elif inspect.iscoroutine(self.outcome):
            self.outcome.close()


class Pool:
    """Threads for at most `size` jobs at a time, made when needed; results are reported on the loop in batches."""

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self.loop, self.size = loop, size
        self.jobs: SimpleQueue[ThreadJob | None] = SimpleQueue()
        self.results: deque[ThreadJob] = deque()
        self.threads = self.pending = self.abandoned = 0
        self.woken = self.growing = False

    def submit(self, job: ThreadJob) -> None:
        """Queue a job; on the loop's thread only."""
        self.pending += 1
        self.jobs.put(job)
        if self._living < EAGER:
            self._grow(1)
        else:
            self._look_later()

    @property
    def _living(self) -> int:
        return self.threads - self.abandoned

    @property
    def _missing(self) -> int:
        """How many more threads would have work."""
        return min(self.size, self.pending) - self._living

    def _look_later(self) -> None:
        if not self.growing and self._missing > 0:
            self.growing = True
            self.loop.call_later(GROWN_AFTER, self._look)

    def _look(self) -> None:
        """Double the threads if jobs still wait: short jobs never get here, and long ones soon have a thread each."""
        self.growing = False
        if self.jobs.qsize():
            self._grow(max(self._living, 1))
            self._look_later()

    def _grow(self, most: int) -> None:
        for _ in range(min(most, self._missing)):
            self.threads += 1
            threading.Thread(target=self._work, name="compiler_nb-tool", daemon=True).start()

    def abandon(self, job: ThreadJob) -> None:
        """Give up on a job whose thread cannot be stopped: another thread takes its place."""
        if not job.abandoned:
            job.abandoned = True
            self.abandoned += 1
            self.pending -= 1
            self._grow(1)

    def close(self) -> None:
        """Let the threads end when they are idle."""
        for _ in range(self.threads):
            self.jobs.put(None)

    def _work(self) -> None:
        while True:
            job = self.jobs.get()
            if job is None:
                return
            job.run()
            self.results.append(job)
            # No lock: `_drain` takes `woken` back before it looks, so that a later result wakes the loop again. If two
            # threads find it unset, both wake the loop, which does no harm.
            if not self.woken:
                self.woken = True
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits anymore
                    self.loop.call_soon_threadsafe(self._drain)
            if job.abandoned:
                return  # its place was taken

    def _drain(self) -> None:
        self.woken = False
        results = self.results
        while results:
            job = results.popleft()
            if job.abandoned:
                self.abandoned -= 1
                self.threads -= 1
            else:
                self.pending -= 1
            job.report_end()
