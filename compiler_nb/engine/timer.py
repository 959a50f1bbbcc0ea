"""One timer of a loop for all that a session waits for: timeouts of attempts, graces, pauses between retries."""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from compiler_nb.engine.attempt import Attempt


class Timer:
    """Rings for the earliest of the deadlines of `attempts`, which are few, and of the calls that stand in a heap.

    late: told of each attempt whose deadline has come.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, attempts: Mapping[str, Attempt], late: Callable[[Attempt], None]
    ) -> None:
        self.loop, self.attempts, self.late = loop, attempts, late
        self._calls: list[tuple[float, int, Callable[[], None]]] = []  # by time
        self._count = 0
        self._rings = math.inf
        self._handle: asyncio.TimerHandle | None = None

    def watch(self, attempt: Attempt, seconds: float) -> None:
        """Let an attempt's deadline come after so many seconds."""
        attempt.deadline = when = self.loop.time() + seconds
        if when < self._rings:
            self._arm(when)

    def call(self, delay: float, what: Callable[[], None]) -> None:
        """Call a function after `delay` seconds."""
        when = self.loop.time() + delay
        self._count += 1
        heappush(self._calls, (when, self._count, what))
        if when < self._rings:
            self._arm(when)

    def close(self) -> None:
        """Ring no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self, when: float) -> None:
        self.close()
        self._rings = when
        self._handle = self.loop.call_at(when, self._ring)

    def _ring(self) -> None:
        """Do what is due, and arm the timer for what is next."""
        self._handle, self._rings = None, math.inf
        now, heap = self.loop.time(), self._calls
        due = []
        while heap and heap[0][0] <= now:
            due.append(heappop(heap)[2])
        for attempt in [each for each in self.attempts.values() if each.deadline <= now]:
            self.late(attempt)
        for call in due:
            call()
        following = min([heap[0][0] if heap else math.inf, *(each.deadline for each in self.attempts.values())])
        if following < self._rings:
            self._arm(following)
