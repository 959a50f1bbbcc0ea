"""Control: what may be done to a run from outside, from any thread.

Theory of operation
    A run lives on one loop, and its holder may be on any thread: a cell, a page's button, a signal handler. Each call
    of this object becomes a call on that loop, so two threads never touch a run at once. A call that comes before the
    run has begun is kept until it begins; one that comes after its end does nothing. A run that was read from a history
    does not run here: there is nothing to steer, and each call raises an error that says so.

    A cancellation also cancels the asyncio task that drives the run. It counts until the end of the run has begun: from
    then on (`closing`) the end must not be interrupted, or tools would be left running and events not stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from compiler_nb.engine.node import CANCELLED
from compiler_nb.engine.prints import Show
from compiler_nb.engine.session import Session
from compiler_nb.engine.steering import Steering
from compiler_nb.errors import CompilerError, HistoryError, SteerError
from compiler_nb.events import Warned
from compiler_nb.outcome import Cancelled

ENDED: Final = "the run has ended meanwhile"
ANSWERS_WITHIN: Final = 2.0
"""Seconds that somebody who steers a task waits to hear whether that can be done."""


class Control:
    """What may be done to a run from outside; its public methods may be called from any thread.

    stored: the id of a run that was read from a history, "" for one that runs here; cancelled: whether somebody
    asked to cancel it; closing: whether its end has begun, which nothing may cancel; fault: what kept a run from making
    a plan, if only that was wanted; printed: shows what tools print, None for standard output.
    """

    def __init__(self, stored: str = "") -> None:
        self.stored, self.cancelled, self.closing = stored, False, False
        self.fault: CompilerError | None = None
        self.printed: Show | None = None
        self._lock = threading.RLock()  # a signal handler may cancel while its own thread is in here
        self._ended = threading.Event()
        self._early: list[Callable[[], None]] = []
        self._hearers: list[Callable[[str, str], None]] = []
        self._session: Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None

    # ---------------------------------------------------------------- from outside

    def cancel(self) -> None:
        """Stop the run; one that has not begun never begins, and one that has ended is not changed."""
        if self.ended:
            return
        self._check_here()
        with self._lock:  # or the run could begin between the two, and neither would stop it
            self.cancelled, begun = True, self._loop is not None
        if begun:
            self.call(self._stop)

    def pause(self) -> None:
        """Start no new task."""
        self._steer(lambda session: session.pause(paused=True))

    def resume(self) -> None:
        """Let tasks start again."""
        self._steer(lambda session: session.pause(paused=False))

    def approve(self, id_: str, mark: str = "", *, again: bool = False) -> None:
        """Let a task start that waits for approval, if its arguments have this mark; "" means any.

        again: even if an equal call is done.
        """
        self._steer(lambda session: session.approve(id_, mark=mark, again=again))

    def deny(self, id_: str, mark: str = "") -> None:
        """End a task that waits for approval, if its arguments have this mark; "" means any."""
        self._steer(lambda session: session.deny(id_, mark=mark))

    def skip(self, id_: str, reason: str = "") -> None:
        """Skip one task. This, `retry` and `set` raise SteerError if that cannot be done."""
        self._ask(id_, lambda steering: steering.skip(id_, reason))

    def retry(self, id_: str) -> None:
        """Try one task again."""
        self._ask(id_, lambda steering: steering.retry(id_))

    def set(self, id_: str, value: Any) -> None:
        """Give one task a value."""
        self._ask(id_, lambda steering: steering.set(id_, value))

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the run has ended. Raises TimeoutError after `timeout` seconds; None means no limit."""
        if not self.ended:
            self._check_here()
        if not self._ended.wait(timeout):
            raise TimeoutError(f"the run has not ended after {timeout} s")

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self._ended.is_set()

    def listen(self, hear: Callable[[str, str], None]) -> None:
        """Have a function called, on any thread, with a task's id and a warning that cannot wait for the loop."""
        self._hearers.append(hear)

    def call(self, what: Callable[[], None]) -> None:
        """Call a function on the run's loop, now or when the run begins; never if it has ended."""
        with self._lock:
            loop = self._loop
            if loop is None and not self.ended:
                self._early.append(what)
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and so the run is over
                loop.call_soon_threadsafe(what)

    def _steer(self, what: Callable[[Session], None]) -> None:
        self._check_here()

        def act() -> None:
            if self._session is not None:  # it may have ended since
                what(self._session)

        self.call(act)

    def _ask(self, id_: str, what: Callable[[Steering], None]) -> None:
        """Do what may be refused, and raise the refusal; the run's own thread cannot wait for it: it gets a warning."""
        self._check_here()
        with self._lock:
            loop = self._loop
        waits = loop is not None and not _runs_here(loop)
        answer: Future[None] = Future()

        def act() -> None:
            if self._session is None or self.closing:
                answer.set_exception(SteerError(ENDED))
                return
            try:
                what(Steering(self._session))
            except SteerError as error:
                answer.set_exception(error)
                if not waits:
                    self._session.log.emit(Warned, id_, str(error))
            except BaseException as error:
                answer.set_exception(error)  # a defect: whoever waits must not believe that it was done
                raise
            else:
                answer.set_result(None)

        self.call(act)
        if waits:
            try:
                answer.result(ANSWERS_WITHIN)
            except TimeoutError:
                if self.ended:
                    raise SteerError(ENDED) from None
                # a tool blocks the loop: it is done when that ends

    def _check_here(self) -> None:
        if self.stored:
            raise HistoryError(
                f"the run {self.stored} comes from a history, and does not run here; "
                f"to go on with it: compiler.resume({self.stored!r})"
            )

    # ---------------------------------------------------------------- from the run, on its loop

    def begin(self, session: Session) -> None:
        """Take the session that performs the run on the current loop, and do what was asked for before it began."""
        with self._lock:
            self._session, self._loop, self._task = session, asyncio.get_running_loop(), asyncio.current_task()
            early, self._early = self._early, []
        for what in early:
            what()

    def end(self) -> None:
        """Note that the run is over."""
        with self._lock:
            self._session = self._loop = self._task = None
            self._ended.set()

    def warn(self, task: str, message: str) -> None:
        """Pass on a warning to all listeners; may be called from any thread."""
        for hear in self._hearers:
            hear(task, message)

    def halt(self, outcome: Cancelled) -> None:
        """Stop the run, because something has happened after which it cannot go on."""
        self.call(partial(self._stop, outcome))

    def is_own(self) -> bool:
        """Whether a CancelledError that has just been caught was caused here; the task then counts as not cancelled."""
        # asyncio counts the requests to cancel a task. One that is answered must be taken back: otherwise a timeout or
        # a task group around the run would still see it, and end with it.
        if self.closing and self._task is not None:
            self._task.uncancel()
        return self.closing

    def _stop(self, outcome: Cancelled = CANCELLED) -> None:
        if not self.closing and self._session is not None:
            self.closing = True
            self._session.cancel(outcome)
            if self._task is not None:
                self._task.cancel()


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop runs on this very thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
