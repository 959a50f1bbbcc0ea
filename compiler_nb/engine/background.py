"""One event loop on a daemon thread of its own: what the magics and the `*_sync` twins run on.

The waiting caller serves what must run on its own thread (tools of `thread="main"`, questions to the user) and looks up
every 0.1 s, so that an interrupt is felt at once. No loop is ever nested or patched.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
HEARTBEAT: Final = 0.1
PATIENCE: Final = 1.0
"""Seconds that an interrupted run has to end before its caller gets the prompt back."""
SIGN: Final = 0.3
"""Seconds within which a loop that is not blocked gives a sign of life."""


class MainThread:
    """A queue of functions for a thread that waits; `post` says whether someone serves it."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.served = 0
        self.posted: Callable[[], None] | None = None  # told when a job arrives, to wake an idle server

    def post(self, job: Callable[[], None]) -> bool:
        """Queue a function; False, and nothing queued, where nobody serves."""
        if not self.served:
            return False
        self.jobs.put(job)
        if self.posted is not None:
            self.posted()
        return True

    def serve_waiting(self) -> None:
        """Run what is queued now."""
        while True:
            try:
                job = self.jobs.get_nowait()
            except queue.Empty:
                return
            job()

    @contextlib.contextmanager
    def serving(self) -> Any:
        """Say that this thread serves, for as long as the block lasts."""
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
            with contextlib.suppress(BaseException):  # a SystemExit ends the task that raised it, and nothing else
                loop.run_forever()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the loop, in the caller's context; return its future, which may be cancelled."""
        loop = self.start()
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            task = loop.create_task(coroutine)
            tasks.append(task)
            task.add_done_callback(_copy)

        def _copy(task: asyncio.Task[T]) -> None:
            if future.done():
                return
            if task.cancelled():
                future.cancel()
                future.set_running_or_notify_cancel()
            elif (error := task.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(task.result())

        loop.call_soon_threadsafe(begin)
        future.stop = lambda: loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])  # type: ignore[attr-defined]
        return future

    def run(
        self,
        coroutine: Coroutine[Any, Any, T],
        *,
        main: MainThread | None = None,
        stop: Callable[[], None] | None = None,
    ) -> T:
        """Run a coroutine on the loop and wait; `main` is served meanwhile, an interrupt calls `stop` and is raised.

        Raises RuntimeError where called on the loop's own thread.
        """
        if self.loop is not None and getattr(self.loop, "_thread_id", None) == threading.get_ident():
            coroutine.close()
            raise RuntimeError("this is the background loop itself: await the coroutine instead")
        main = main or MainThread()
        with main.serving():  # before anything can ask for it
            future = self.submit(coroutine)
            future.add_done_callback(lambda _: main.jobs.put(_nothing))
            try:
                return self._wait(future, main)
            except KeyboardInterrupt:
                (stop or future.stop)()  # type: ignore[attr-defined]
                with contextlib.suppress(concurrent.futures.TimeoutError, concurrent.futures.CancelledError, Exception):
                    future.result(PATIENCE)
                if not future.done():
                    self.give_up()
                raise

    def give_up(self) -> bool:
        """Leave the loop to itself where it gives no sign of life; the next run gets another one. Say whether it did.

        A tool that blocks the loop cannot be stopped: its thread ends with the process.
        """
        loop, alive = self.loop, threading.Event()
        if loop is not None:
            loop.call_soon_threadsafe(alive.set)
            if alive.wait(SIGN):
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
    """Wake a server that waits for a job."""


BACKGROUND: Final = Background()
