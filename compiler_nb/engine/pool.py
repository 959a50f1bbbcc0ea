"""A bounded pool of daemon threads for sync tools: one wake-up of the loop for a burst of results.

`asyncio.to_thread` wakes the loop once per call and its threads outlive the interpreter's exit; a hung tool of ours
costs only its thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue
from typing import Any, Final

from compiler_nb.engine.call import CURRENT, Call
from compiler_nb.engine.results import PLAIN_IDS, is_awaitable, settled

ABANDONED_LIMIT: Final = 64
"""Threads that may hang before no further sync tool is started."""
EAGER: Final = 8
"""Threads that are made at once when there is work for them."""
GROWN_AFTER: Final = 0.001
"""Seconds after which jobs that still wait get more threads."""


class ThreadJob:
    """One call on a thread; `outcome` and `error` are set when it ends, `awaitable` is whether the outcome is one.

    call: what is called, in this context; report: called with the job on the loop's thread when it has ended, unless it
    was abandoned.
    """

    __slots__ = ("abandoned", "awaitable", "call", "context", "error", "outcome", "report", "started")

    def __init__(self, call: Call, context: Context, report: Callable[[ThreadJob], None]) -> None:
        self.call, self.context, self.report = call, context, report
        self.outcome: Any = None
        self.error: BaseException | None = None
        self.abandoned = self.awaitable = self.started = False

    def run(self) -> None:
        """Call the function, unless the job was abandoned before; whatever it raises is kept."""
        if self.abandoned:
            return
        self.started = True
        try:
            self.outcome = self.context.run(self.perform)
            self.awaitable = id(type(self.outcome)) not in PLAIN_IDS and is_awaitable(self.outcome)
        except BaseException as error:  # noqa: BLE001 - SystemExit and its kin stay in their task
            self.error = error

    def perform(self) -> Any:
        """Call the function; an interrupt is raised in what this calls."""
        call = self.call
        CURRENT.set(call.id)
        return settled(call.function(*call.args, **call.kwargs))

    def report_end(self) -> None:
        """Report the end, on the loop's thread; an abandoned job's result is dropped, so a coroutine is closed."""
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
        self.living = self.pending = self.abandoned = 0  # threads that take jobs; jobs; threads that hang in one
        self.woken = self.growing = False

    def submit(self, job: ThreadJob) -> None:
        """Queue a job; on the loop's thread only."""
        self.pending += 1
        self.jobs.put(job)
        if self.living < EAGER:
            self._grow(1)
        elif not self.growing:
            self._look_later()

    @property
    def _missing(self) -> int:
        """How many more threads would have work."""
        return min(self.size, self.pending) - self.living

    def _look_later(self) -> None:
        if self._missing > 0:
            self.growing = True
            self.loop.call_later(GROWN_AFTER, self._look)

    def _look(self) -> None:
        """Double the threads if jobs still wait: short jobs never get here, and long ones soon have a thread each."""
        self.growing = False
        if self.jobs.qsize():
            self._grow(max(self.living, 1))
            self._look_later()

    def _grow(self, most: int) -> None:
        for _ in range(min(most, self._missing)):
            self.living += 1
            threading.Thread(target=self._work, name="compiler_nb-tool", daemon=True).start()

    def abandon(self, job: ThreadJob) -> None:
        """Give up on a job whose thread cannot be stopped: another thread takes its place."""
        if not job.abandoned:
            job.abandoned = True
            self.abandoned += 1
            self.living -= 1
            self.pending -= 1
            self._grow(1)

    def close(self) -> None:
        """Let the threads end when they are idle.

        Each passes the word on: one whose job ended while it was given up is not counted anymore, but waits, too.
        """
        self.jobs.put(None)

    def _work(self) -> None:
        while True:
            job = self.jobs.get()
            if job is None:
                self.jobs.put(None)
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
                job.report_end()
            else:
                self.pending -= 1
                job.report(job)
