"""Keeping one run in a history while it goes on: what the run asks of its history, on the run's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from compiler_nb.events import Event, TaskApproved, Warned
from compiler_nb.history.history import History
from compiler_nb.plan.task import Task
from compiler_nb.run import Run
from compiler_nb.text import describe_error

LOG: Final = logging.getLogger("compiler_nb")
STORED_WITHIN: Final = 2.0
"""Seconds that the end of a run waits until it is stored."""
INTENDED_WITHIN: Final = 12.0
"""Seconds that a side effect waits until it is noted: another process may hold the file for a while."""


class Keeper:
    """Keeps a run; made on its loop, before its first event."""

    def __init__(self, history: History, run: Run) -> None:
        self.history, self.run = history, run
        self.loop = asyncio.get_running_loop()
        self.fault = ""
        self._approved: set[str] = set()  # tasks that the user approved
        self._taking = history.begin(run, self._lost)
        run.log.listeners += (self._taking, self._listen)

    def _listen(self, event: Event) -> None:
        if type(event) is TaskApproved and event.approved and event.by != "rule":
            self._approved.add(event.task)

    def _lost(self, reason: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over
            self.loop.call_soon_threadsafe(self.lose, reason)

    def lose(self, reason: str) -> None:
        """Warn once that the run is not kept, and why."""
        if self.fault:
            return
        self.fault = reason
        if self.run.status == "running":
            self.run.log.emit(Warned, "", f"this run is not kept: {reason}")
        else:
            LOG.warning("the end of the run %s is not kept: %s", self.run.id, reason)

    async def committed(self, seconds: float = STORED_WITHIN) -> bool:
        """Wait until all that happened so far is stored; return whether it is, within `seconds`."""
        log = self.run.log
        if not self.fault and not any(each is self._taking for each in log.listeners):  # the log drops one that raises
            self.lose("; ".join(map(describe_error, log.broken[:3])) or "its events do not reach the history anymore")
        if self.fault:
            return False
        stored: asyncio.Future[bool] = self.loop.create_future()

        def note(done: bool) -> None:  # noqa: FBT001 - the one thing to say
            if not stored.done():
                stored.set_result(done)

        def tell(done: bool) -> None:  # noqa: FBT001 - as above
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(note, done)

        self.history.flush(self.run.id, tell)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await stored
        self.lose(f"{self.history.path} is slow or locked: nothing was written for {seconds:g} s")
        return False

    async def intend(self, task: Task) -> bool:
        """Note that a side effect is about to begin; return whether it may: that is noted, or the user approved it."""
        return await self.committed(INTENDED_WITHIN) or task.id in self._approved
