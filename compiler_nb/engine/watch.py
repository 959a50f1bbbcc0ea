"""A watch on event loops, which names the tool that blocks one.

Theory of operation
    A coroutine that computes, or calls a function that waits, stops all that its loop runs: other tools, timers, the
    reading of a plan. One thread looks at the watched loops some times a second, for as long as any is watched. If it
    finds the same asyncio task at work twice in a row, it asks the loop for a sign of life; if none comes
    within BLOCKED_AFTER seconds, the loop is blocked, and the watched session is asked which of its calls does that, to
    warn of it. Looking costs the loop nothing. On a platform without threads there is no watch.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Final

from compiler_nb.engine.runners import has_threads
from compiler_nb.engine.session import Session

PERIOD: Final = 0.1
"""Seconds between two looks."""
BLOCKED_AFTER: Final = 0.25
"""Seconds without a sign of life after which a loop counts as blocked."""


class Watch:
    """Looks after the loops of sessions, on a thread that lives as long as any is watched."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks: dict[Session, _Look] = {}
        self._thread: threading.Thread | None = None

    def begin(self, watched: Session) -> None:
        """Watch a loop from now on."""
        if not has_threads():
            return
        with self._lock:
            self._looks[watched] = _Look(watched)
            if self._thread is None:
                thread = threading.Thread(target=self._look_around, name="compiler_nb watch", daemon=True)
                with contextlib.suppress(RuntimeError):  # there are too many: the run goes on, and is not watched
                    thread.start()
                    self._thread = thread

    def end(self, watched: Session) -> None:
        """Stop watching it."""
        with self._lock:
            self._looks.pop(watched, None)

    def _look_around(self) -> None:
        while True:
            time.sleep(PERIOD)
            with self._lock:
                looks = list(self._looks.values())
                if not looks:
                    self._thread = None
                    return
            for look in looks:
                look.again()


class _Look:
    """What was seen of one loop."""

    def __init__(self, watched: Session) -> None:
        self._watched = watched
        self._seen: asyncio.Task[object] | None = None
        self._asked = 0.0  # when the loop was asked for a sign of life; 0.0 if it was not, or gave it
        self._named: set[str] = set()

    def again(self) -> None:
        """Look once more."""
        watched = self._watched
        if watched.loop.is_closed():
            return
        task = asyncio.current_task(watched.loop)
        if task is None or task is not self._seen:
            self._seen, self._asked = task, 0.0
        elif not self._asked:
            self._asked = time.monotonic()
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                watched.loop.call_soon_threadsafe(self._answer)
        elif time.monotonic() - self._asked >= BLOCKED_AFTER:
            id_ = watched.call_in(task)
            if id_ and id_ not in self._named:
                self._named.add(id_)
                watched.warn_blocked(id_)

    def _answer(self) -> None:
        """Give the sign of life; called on the loop."""
        self._asked, self._seen = 0.0, None


WATCH: Final = Watch()
"""The one watch of the process."""
