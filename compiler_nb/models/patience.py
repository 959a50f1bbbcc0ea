"""How long a model's silence is borne: a timer over one try of a call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from compiler_nb.errors import ModelError
    from compiler_nb.models.base import Chunk


class Attempt:
    """One try of a call: its timer, the model's stream, and what went wrong."""

    def __init__(self, chunks: AsyncGenerator[Chunk | str, None], watch: Watch) -> None:
        self.chunks, self.watch = chunks, watch
        self.fault: ModelError | None = None


class Watch:
    """A timer over the waiting for pieces, which cancels the waiting task when it rings.

    Pieces come by the hundred in a second, so each only notes the new deadline; the one timer, when it fires, looks
    whether the deadline has moved and goes on to it. Time that the reader of the pieces takes does not count. A model
    that goes on in spite of the cancellation is cancelled again each `closing` seconds.
    """

    def __init__(self, patience: float, closing: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a model is called from within a task of an event loop")
        self._task, self._loop = task, asyncio.get_running_loop()
        self._cancels = task.cancelling()
        self._patience, self._closing, self._waits = patience, closing, True
        self._rings, self._ours = 0, False
        self._deadline = self._loop.time() + patience
        self._timer = self._loop.call_at(self._deadline, self._ring)

    def expect(self, patience: float) -> None:
        """Wait for the next piece, so many seconds."""
        self._waits = True
        self._deadline = deadline = self._loop.time() + patience
        self._patience = patience
        if deadline < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._ring)

    def rest(self) -> None:
        """Stop waiting for a while."""
        self._waits = False

    def stop(self) -> bool:
        """End the watch; return whether it rang, and was not overtaken by a cancellation from elsewhere."""
        self._timer.cancel()
        for _ in range(self._rings):
            self._ours = self._task.uncancel() <= self._cancels
        self._rings = 0
        return self._ours

    def _ring(self) -> None:
        now = self._loop.time()
        then = self._deadline if self._waits else now + self._patience
        if now >= then:
            self._rings += 1
            self._task.cancel()
            then = self._deadline = now + self._closing
        self._timer = self._loop.call_at(then, self._ring)
