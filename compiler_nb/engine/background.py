"""One event loop on its own daemon thread, on which the magics and the `*_sync` twins run.

The waiting caller runs what must run on its own thread (tools of `thread="main"`, questions to the user), and checks
every 0.1 s whether it was interrupted. No loop is ever nested or patched.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from compiler_nb.engine.runners import PostToMain, has_threads, on_main_thread

P = ParamSpec("P")
T = TypeVar("T")
HEARTBEAT: Final = 0.1
"""Seconds of one wait: an interrupt is noticed between two."""
PROMPT_BACK: Final = 1.0
"""Seconds after an interrupt in which a run may end; then its caller gets the prompt back anyway."""
ALIVE_WITHIN: Final = 0.3
"""Seconds in which a loop that is not blocked answers."""


class MainThread:
    """A queue of functions that a waiting thread runs."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.served = 0
        self.posted: Callable[[], None] | None = None  # called when a job arrives, to wake an idle thread

    def post(self, job: Callable[[], None]) -> bool:
        """Queue a function; return False, and queue nothing, if no thread serves. May be called from any thread."""
        if not self.served:
            return False
        self.jobs.put(job)
        if self.posted is not None:
            self.posted()
        return True

    def serve_waiting(self) -> None:
        """Run everything that is queued now; on the one thread that serves."""
        while not self.jobs.empty():
            self.jobs.get()()

    @contextlib.contextmanager
    def serving(self) -> Any:
        """Serve on this thread within the block."""
        self.served += 1
        try:
            yield self
        finally:
            self.served -= 1


class Background:
    """An event loop on a daemon thread, started at first use."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def start(self) -> asyncio.AbstractEventLoop:
        """Return the running loop."""
        with self._lock:
            if self.loop is None or self.loop.is_closed():
                loop = asyncio.new_event_loop()
                threading.Thread(target=self._serve, args=(loop,), name="compiler_nb-loop", daemon=True).start()
                self.loop = loop
            return self.loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while not loop.is_closed():
            with contextlib.suppress(BaseException):  # a SystemExit ends only the task that raised it
                loop.run_forever()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the loop, in the caller's context; return its future, which may be cancelled."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.start())

    def run(
        self,
        coroutine: Coroutine[Any, Any, T],
        *,
        main: MainThread | None = None,
        stop: Callable[[], None] | None = None,
    ) -> T:
        """Run a coroutine on the loop and wait, serving `main`; an interrupt calls `stop` and is raised.

        Raises RuntimeError if called on the loop's own thread, or if the platform has no threads.
        """
        if not has_threads():
            coroutine.close()
            raise RuntimeError("there are no threads here to wait on: write `await`, such as `await compiler.run(...)`")
        if self.loop is not None and getattr(self.loop, "_thread_id", None) == threading.get_ident():
            coroutine.close()
            raise RuntimeError("this is the background loop itself; await the coroutine instead")
        main, ended = main or MainThread(), threading.Event()

        async def work() -> T:
            try:
                return await coroutine
            finally:
                ended.set()

        with main.serving():  # before the coroutine can post anything
            future = self.submit(work())
            future.add_done_callback(lambda _: main.jobs.put(_nothing))
            try:
                return self._wait(future, main)
            except KeyboardInterrupt:
                (stop or future.cancel)()
                if not ended.wait(PROMPT_BACK):  # a future that was cancelled is done before its work has ended
                    self.give_up()
                raise

    def give_up(self) -> bool:
        """Abandon the loop if it does not answer, and return whether it was; the next run gets another one.

        A tool that blocks the loop cannot be stopped: its thread ends with the process.
        """
        loop, alive = self.loop, threading.Event()
        if loop is not None:
            loop.call_soon_threadsafe(alive.set)
            if alive.wait(ALIVE_WITHIN):
                return False
            with self._lock:
                if self.loop is loop:
                    self.loop = None
        return True

    @staticmethod
    def _wait(future: concurrent.futures.Future[T], main: MainThread) -> T:
        while not future.done():
            with contextlib.suppress(queue.Empty):
                main.jobs.get(timeout=HEARTBEAT)()
        main.serve_waiting()
        return future.result()


def _nothing() -> None:
    """Wake a thread that waits for a job."""


BACKGROUND: Final = Background()
WAITS: Final[ContextVar[PostToMain | None]] = ContextVar("WAITS", default=None)
"""Posts to the main thread while that waits for a twin; None if it does not wait, or another thread does."""


def waiting(door: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the twin of a coroutine function: it takes the same, runs on our own loop, and waits for the end.

    An interrupt cancels what runs, and is raised.
    """

    @wraps(door)
    def twin(*args: P.args, **kwargs: P.kwargs) -> T:
        main = MainThread()
        before = WAITS.set(main.post if on_main_thread() else None)
        try:
            return BACKGROUND.run(door(*args, **kwargs), main=main)
        finally:
            WAITS.reset(before)
            main.serve_waiting()  # after an interrupt: what was posted at the end, such as that of a bar

    twin.__name__, twin.__qualname__ = f"{door.__name__}_sync", f"{door.__qualname__}_sync"
    twin.__doc__ = f"Do what `{door.__name__}` does, on our own loop, and wait; an interrupt stops it, and is raised."
    return twin
