"""One timer for everything that a session waits for: timeouts of attempts, graces, pauses between retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from math import inf
from typing import Protocol


class Timed(Protocol):
    """Something with a deadline, in seconds on the loop's clock; inf means none."""

    deadline: float

    def time_out(self) -> None:
        """Note that the deadline has come."""


class Timer:
    """Rings for the earliest deadline of `timed`, which is looked through each time, and of the calls in a heap.

    Deadlines stand on what has them, not in the heap: nearly all attempts end long before theirs, and a heap would
    hold them, with their arguments, until then. Those that are alive are as few as the slots.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timed: Mapping[str, Timed]) -> None:
        self.loop, self.timed = loop, timed
        self._calls: list[tuple[float, int, Callable[[], None]]] = []  # by time, then by order
        self._count = 0
        self._rings = inf
        self._handle: asyncio.TimerHandle | None = None

    def watch(self, timed: Timed, seconds: float) -> None:
        """Let a deadline come after so many seconds."""
        timed.deadline = when = self.loop.time() + seconds
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
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self, when: float) -> None:
        self.close()
        self._rings = when
        self._handle = self.loop.call_at(when, self._ring)

    def _ring(self) -> None:
        """Do what is due, and arm the timer for what is next."""
        self._handle, self._rings = None, inf
        now, heap = self.loop.time(), self._calls
        due = []
        while heap and heap[0][0] <= now:
            due.append(heappop(heap)[2])
        for timed in [each for each in self.timed.values() if each.deadline <= now]:
            timed.time_out()
        for call in due:
            call()
        following = min([heap[0][0] if heap else inf, *(each.deadline for each in self.timed.values())])
        if following < self._rings:
            self._arm(following)
