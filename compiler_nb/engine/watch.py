"""A watch on event loops: names the tool that blocks one, while it does.

Theory of operation
    A coroutine that computes, or calls what waits, stops all that its loop runs: other tools, timers, the reading of a
    plan. One thread looks at the watched loops some times a second, for as long as any is watched. Where it finds the
    same asyncio task at work twice in a row it asks the loop for a sign of life; without one within PATIENCE seconds
    the loop is blocked, and the session is told which of its attempts it is. Looking costs the loop nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from compiler_nb.engine.attempt import Attempt
    from compiler_nb.engine.session import Session

PERIOD: Final = 0.1
PATIENCE: Final = 0.25
"""Seconds without a sign of life after which a loop counts as blocked."""


class Watch:
    """Looks after the loops of sessions, on a thread that lives as long as there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[Session, _Look] = {}
        self._thread: threading.Thread | None = None

    def begin(self, session: Session) -> None:
        """Watch a session's loop from now on."""
        with self._lock:
            self._sessions[session] = _Look(session)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look_around, name="compiler_nb watch", daemon=True)
                self._thread.start()

    def end(self, session: Session) -> None:
        """Watch it no longer."""
        with self._lock:
            self._sessions.pop(session, None)

    def _look_around(self) -> None:
        while True:
            time.sleep(PERIOD)
            with self._lock:
                looks = list(self._sessions.values())
                if not looks:
                    self._thread = None
                    return
            for look in looks:
                look.again()


class _Look:
    """What was seen of one session's loop."""

    def __init__(self, session: Session) -> None:
        self._session = weakref.ref(session)
        self._seen: asyncio.Task[object] | None = None
        self._asked = 0.0  # when the loop was asked for a sign of life; 0.0 where it was not, or gave it
        self._told: set[str] = set()

    def again(self) -> None:
        """Look once more."""
        session = self._session()
        if session is None or session.loop.is_closed():
            return
        task = asyncio.current_task(session.loop)
        if task is None or task is not self._seen:
            self._seen, self._asked = task, 0.0
        elif not self._asked:
            self._asked = time.monotonic()
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                session.loop.call_soon_threadsafe(self._answer)
        elif time.monotonic() - self._asked >= PATIENCE:
            attempt = _attempt_of(session, task)
            if attempt is not None and attempt.node.task.id not in self._told:
                self._told.add(attempt.node.task.id)
                session.tell_blocked(attempt)

    def _answer(self) -> None:
        """Give the sign of life; called on the loop."""
        self._asked, self._seen = 0.0, None


def _attempt_of(session: Session, task: asyncio.Task[object]) -> Attempt | None:
    """Return the attempt that an asyncio task performs; other threads may change the attempts meanwhile."""
    return next((attempt for attempt in tuple(session.attempts.values()) if attempt.task is task), None)


WATCH: Final = Watch()
"""The one watch of the process."""
