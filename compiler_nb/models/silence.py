"""How long a model may be silent: a timer over one try of a call."""

from __future__ import annotations

import asyncio


class SilenceTimer:
    """Cancels the waiting task if no piece arrives in time.

    Hundreds of pieces may arrive in a second, so a piece only notes the new deadline; the one timer, when it fires,
    checks whether the deadline has moved and sleeps until the new one. Time that the reader of the pieces takes does
    not count. A model that swallows the cancellation is cancelled again every `closing` seconds.
    """

    def __init__(self, seconds: float, closing: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a model can only be called inside a task of an event loop")
        self._task, self._loop = task, asyncio.get_running_loop()
        self._cancels = task.cancelling()
        self._seconds, self._closing, self._waits = seconds, closing, True
        self._fired, self._ours = 0, False
        self._deadline = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._deadline, self._fire)

    def expect(self, seconds: float) -> None:
        """Wait up to so many seconds for the next piece."""
        self._waits, self._seconds = True, seconds
        self._deadline = deadline = self._loop.time() + seconds
        if deadline < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._fire)

    def rest(self) -> None:
        """Stop waiting for a while: the reader has a piece."""
        self._waits = False

    def stop(self) -> bool:
        """End the timer; return whether the timer cancelled the task, and nobody else did."""
        self._timer.cancel()
        for _ in range(self._fired):
            # as in asyncio.timeout: if cancellations of others are left, the task must end as cancelled
            self._ours = self._task.uncancel() <= self._cancels
        self._fired = 0
        return self._ours

    def _fire(self) -> None:
        now = self._loop.time()
        then = self._deadline if self._waits else now + self._seconds
        if now >= then:
            self._fired += 1
            self._task.cancel()
            then = self._deadline = now + self._closing
        self._timer = self._loop.call_at(then, self._fire)
