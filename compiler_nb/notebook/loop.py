"""How a cell waits for a job: it awaits, it blocks, it does not wait, or the job runs on the kernel's own loop.

Theory of operation
    A run lives on the background loop. The outermost cell awaits it, with a heartbeat: the kernel turns the stop button
    into a cancellation, which is only noticed when the kernel's loop wakes up. If there is nothing to await on
    (a function, a nested cell), the main thread blocks. In both, it serves what must run on it: tools of
    `thread="main"` and questions to the user. A background run is served when the kernel is idle.
    With `--loop kernel` the run's coroutine itself lives on the kernel's loop; nest-asyncio makes that possible if the
    loop is already running a synchronous cell. An interrupt never unwinds that loop: it cancels the run.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from compiler_nb.engine.background import BACKGROUND, HEARTBEAT, PROMPT_BACK, MainThread
from compiler_nb.notebook.cell import is_running
from compiler_nb.notebook.interrupts import RaisedInTools, handled_by

TOLD_EVERY: Final = 0.5
"""Seconds from one time that a waiting cell says so to the next."""
STOPPED: Final = (asyncio.CancelledError, KeyboardInterrupt)


class Job(Protocol):
    """Work that a cell waits for."""

    work: Coroutine[Any, Any, None]
    main: MainThread  # what `work` has to do in the main thread
    kernel: bool  # whether `work` is to run on the kernel's loop

    def stop(self) -> None:
        """Stop the work, from any thread."""
        ...


async def wait(job: Job, busy: Callable[[], None] = lambda: None) -> bool:
    """Do the work of a job on the background loop, or on this one, and await its end.

    busy: called now and then, to say that the cell still waits. Returns whether it was interrupted. Raises what the
    work itself raises.
    """
    loop, rung = asyncio.get_running_loop(), asyncio.Event()

    def ring(*_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(rung.set)

    async def next_ring() -> None:
        beat = loop.call_later(HEARTBEAT, rung.set)  # a kernel cancels a sleeping cell only when its loop wakes up
        await rung.wait()
        beat.cancel()
        rung.clear()

    job.main.posted = ring
    with job.main.serving(), RaisedInTools(job.stop, kernel=job.kernel):  # before the work can ask for it
        pending: asyncio.Future[None] | concurrent.futures.Future[None]
        pending = loop.create_task(job.work) if job.kernel else BACKGROUND.submit(job.work)
        pending.add_done_callback(ring)
        told = loop.time()
        try:
            while not pending.done():
                await next_ring()
                job.main.serve_waiting()
                if loop.time() - told >= TOLD_EVERY:
                    told = loop.time()
                    busy()
        except STOPPED:
            job.stop()
            deadline = loop.time() + PROMPT_BACK
            with contextlib.suppress(*STOPPED):  # a second interrupt does not wait any longer
                while not pending.done() and loop.time() < deadline:
                    await next_ring()
            return True  # not raised: the job has yet to bind what finished
    pending.result()
    return False


def say_busy(shell: Any) -> None:
    """Tell pages that the kernel is busy with the running cell, if there is a kernel.

    While a cell awaits, the kernel also answers what widgets and debuggers ask, and each answer ends in "idle": pages
    would show that until the cell ends.
    """
    with contextlib.suppress(Exception):  # no kernel, or one that is ending
        kernel, content = shell.kernel, {"execution_state": "busy"}
        kernel.session.send(kernel.iopub_socket, "status", content, parent=kernel.get_parent(), ident=b"status")


def block(job: Job) -> bool:
    """Do the work of a job and block this thread until its end; return whether it was interrupted."""
    if job.kernel:
        return _block_on_kernel_loop(job)
    try:
        BACKGROUND.run(job.work, main=job.main, stop=job.stop)
    except KeyboardInterrupt:
        return True
    return False


def _block_on_kernel_loop(job: Job) -> bool:
    from IPython.core.async_helpers import get_asyncio_loop  # noqa: PLC0415 - only this mode needs it

    # the running one, else IPython's own
    loop: asyncio.AbstractEventLoop = get_asyncio_loop()  # type: ignore[no-untyped-call]
    _allow_nesting(loop)
    task = loop.create_task(wait(job))
    with handled_by(lambda *_: loop.call_soon_threadsafe(task.cancel)):
        return loop.run_until_complete(task)


def _allow_nesting(loop: asyncio.AbstractEventLoop) -> None:
    """Patch asyncio so that a running loop can be run again; only `--loop kernel` asks for this."""
    try:
        import nest_asyncio2 as nest  # noqa: PLC0415 - only this mode needs it
    except ImportError:
        import nest_asyncio as nest  # noqa: PLC0415 - only this mode needs it
    nest.apply(loop)


class Idle:
    """Runs functions in the main thread when no cell is running: at once if the kernel is idle, else after the cell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self._jobs: deque[Callable[[], None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self) -> None:
        """Take the loop that runs here, if any, for the kernel's."""
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def post(self, job: Callable[[], None]) -> None:
        """Queue a function, from any thread."""
        self._jobs.append(job)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the next cell runs the job
                self._loop.call_soon_threadsafe(self.run_waiting)

    def run_waiting(self, *_: object) -> None:
        """Run the queued functions, unless a cell is running or this is not the main thread."""
        if is_running(self.shell) or threading.current_thread() is not threading.main_thread():
            return
        while self._jobs:  # only the main thread takes from it
            try:
                self._jobs.popleft()()
            except Exception:  # noqa: BLE001 - the error is shown, and the next job runs
                self.shell.showtraceback()


class Detached:
    """Work in the background; what belongs in the main thread, its end included, is done when the kernel is idle."""

    def __init__(self, main: MainThread, idle: Idle) -> None:
        self.main, self.idle = main, idle
        self._end = contextlib.ExitStack()  # what is done at the end, once, the last entry first

    def start(self, work: Coroutine[Any, Any, None], ended: Callable[[], None]) -> None:
        """Perform `work`; `ended` is called once."""
        self.idle.attach()
        self.main.posted = lambda: self.idle.post(self.main.serve_waiting)
        self._end.callback(ended)
        self._end.callback(self.main.serve_waiting)
        self._end.enter_context(self.main.serving())
        BACKGROUND.submit(work).add_done_callback(self.over)

    def over(self, *_: object) -> None:
        """Note that the work is over; may be called early and more than once, from any thread."""
        self.idle.post(self._end.close)
