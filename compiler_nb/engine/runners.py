"""Runners perform calls: a coroutine in an asyncio task, a function on a thread, on the main thread, or in turn.

Theory of operation
    A runner is given a Call when it has a slot, its arguments are bound and it may begin. When the call has ended, the
    runner reports that once, on the loop's thread: `end` with the value, or `raised` with the exception. It may be
    asked to `stop` a call. If that has not ended within a grace, or if the runner says that nothing can stop its calls
    (`stuck`), the call is abandoned: whatever it returns later is dropped, and its slot goes to the next one. Neither
    the schedule nor an attempt knows what a runner is made of, so that others fit in:

    -   A runner may compute elsewhere (on a cluster). The value that it reports may be a handle of the real one, and it
        may refuse to stop a call, which is then treated like a coroutine that swallows its cancellation.
    -   What is called need not be a tool: an expression that takes too long for the loop is a call of the evaluator.
    -   On a platform without threads sync tools run `InTurn` on the one loop.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final, TypeAlias

from compiler_nb.engine.call import CURRENT, Call, Runner
from compiler_nb.engine.node import EVALUATORS
from compiler_nb.engine.pool import ABANDONED_LIMIT, Pool, ThreadJob
from compiler_nb.engine.results import PLAIN_IDS, settled, still_to_await
from compiler_nb.errors import ToolUnavailable
from compiler_nb.outcome import Failure

FAIR: Final = 50
"""Calls that one asyncio task may take in a row before it lets the loop look at the rest of the world."""
PostToMain: TypeAlias = Callable[[Callable[[], None]], bool]
"""Posts a function to the main thread; returns False if nobody serves it there."""


def make_runners(
    loop: asyncio.AbstractEventLoop, size: int, post: PostToMain | None = None, *, threads: bool | None = None
) -> dict[str, Runner]:
    """Return the runners of tools: "async", and for sync ones "pool" and "main", as `Tool.thread` says.

    If there are threads, there is also an "evaluator", for expressions that are too heavy for the loop.

    size: threads at most; post: posts to the main thread, None if it is not served; threads: whether the platform has
    threads, by default as `has_threads` says.
    """
    context = copy_context()
    coroutines = Coroutines(loop, context)
    if has_threads() if threads is None else threads:
        pool, main = Threads(loop, context, coroutines, size), OnMain(loop, context, coroutines, post)
        evaluator = Threads(loop, context, coroutines, EVALUATORS)
        return {"async": coroutines, "pool": pool, "main": main, "evaluator": evaluator}
    in_turn = InTurn(loop, context, coroutines)
    return {"async": coroutines, "pool": in_turn, "main": in_turn}


def has_threads() -> bool:
    """Whether threads can be started here; in a browser they cannot."""
    return sys.platform not in ("emscripten", "wasi")


def on_main_thread() -> bool:
    """Whether this is the main thread of the process."""
    return threading.current_thread() is threading.main_thread()


# -------------------------------------------------------------------- coroutines


class Coroutines:
    """Awaits async tools, in asyncio tasks.

    A task whose call ended well takes the call that this lets start, for making a task costs more than all else that
    is done for a call; unless the tool left the context changed, which must not leak into the next call.
    """

    stuck = ""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self.loop, self.context = loop, context
        self._vacant = False  # a task is at its end and could take a call
        self._next: Call | None = None  # the one that it takes

    def start(self, call: Call) -> None:
        """Begin a call in the task that is vacant now, or in one of its own."""
        if self._vacant:
            self._vacant, self._next = False, call
        else:
            call.handle = self.loop.create_task(self.serve(call), context=self.context.copy())

    async def serve(self, call: Call) -> None:
        """Await a call, and those that it lets start, one after the other."""
        task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]  # this runs in one
        for turn in itertools.count(1):
            CURRENT.set(call.id)
            before = copy_context()
            try:
                if turn % FAIR == 0:
                    await asyncio.sleep(0)
                value = await call.function(*call.args, **call.kwargs)
                if id(type(value)) not in PLAIN_IDS:
                    while (rest := still_to_await(value)) is not None:  # a plain function around an async one
                        value = await rest
                    value = settled(value)
            except BaseException as error:  # noqa: BLE001 - whatever a tool raises stays in its task
                call.raised(error)  # a task that raised, or was cancelled, is not used again
                return
            self._vacant = not task.cancelling() and _is_unchanged(before)
            call.end(value)
            self._vacant = False
            if self._next is None:
                return
            call, self._next = self._next, None
            call.handle = task

    def stop(self, call: Call) -> None:
        """Cancel the task."""
        call.handle.cancel()
        # a task that is cancelled before its first line never comes to report its end
        call.handle.add_done_callback(lambda _: call.raised(asyncio.CancelledError()))

    def abandon(self, call: Call) -> bool:
        """Leave a call that swallowed its cancellation to itself."""
        return True

    def close(self) -> None:
        """Do nothing: tasks end by themselves."""


def _is_unchanged(context: Context) -> bool:
    """Whether the current context is still what it was: seen at once if nothing was set, else by comparing values."""
    try:
        return copy_context() == context
    except Exception:  # noqa: BLE001 - a value's own __eq__ may raise anything
        return False


# -------------------------------------------------------------------- functions


class _Functions:
    """What runners of plain functions share: each call is a ThreadJob, in a context of its own."""

    stuck = "its thread cannot be stopped"

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context, coroutines: Coroutines) -> None:
        self.loop, self.context, self.coroutines = loop, context, coroutines

    def job(self, call: Call) -> ThreadJob:
        """Return a call as a job, which reports its end to the call."""
        job = call.handle = ThreadJob(call, self.context.copy(), self._report)
        return job

    def _report(self, job: ThreadJob) -> None:
        """Tell a call how its job ended. A plain function around an async one returns what is still to be awaited."""
        call = job.call
        if job.error is not None:
            call.raised(job.error)
        elif job.awaitable:
            call.function, call.args, call.kwargs, call.runner = _same, (job.outcome,), {}, self.coroutines
            self.coroutines.start(call)
        else:
            call.end(job.outcome)

    def stop(self, call: Call) -> None:
        """Do nothing: a function cannot be asked to end."""

    def abandon(self, call: Call) -> bool:
        """Never begin a job that waits; return whether it has begun."""
        call.handle.abandoned = True
        return bool(call.handle.started)

    def close(self) -> None:
        """Do nothing: there are no threads."""


async def _same(value: Any) -> Any:
    return value


class Threads(_Functions):
    """Calls functions on threads of a pool."""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context, coroutines: Coroutines, size: int) -> None:
        super().__init__(loop, context, coroutines)
        self.pool = Pool(loop, size)

    def start(self, call: Call) -> None:
        """Queue a call, unless too many earlier ones hang."""
        if self.pool.abandoned >= ABANDONED_LIMIT:
            message = f"{ABANDONED_LIMIT} earlier calls still hang in their threads: restart the kernel"
            call.end(Failure("abandoned", message))
        else:
            self.pool.submit(self.job(call))

    def abandon(self, call: Call) -> bool:
        """Let another thread take the place of the one that hangs."""
        self.pool.abandon(call.handle)
        return bool(call.handle.started)

    def close(self) -> None:
        """Let the threads end when they are idle."""
        self.pool.close()


class InTurn(_Functions):
    """Calls functions on the loop's own thread, one after another: for a platform without threads.

    While one runs nothing else does, and its timeout cannot cut it off; those behind it can still be cancelled.
    """

    def start(self, call: Call) -> None:
        """Let a call have its turn."""
        self.loop.call_soon(self._serve, self.job(call))

    @staticmethod
    def _serve(job: ThreadJob) -> None:
        job.run()
        job.report_end()


class OnMain(InTurn):
    """Calls functions on the main thread: in turn if the loop runs there, otherwise where somebody serves it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: Context, coroutines: Coroutines, post: PostToMain | None
    ) -> None:
        super().__init__(loop, context, coroutines)
        self.post = post

    def start(self, call: Call) -> None:
        """Have a call served by the main thread."""
        if on_main_thread():
            super().start(call)
            return
        job = self.job(call)

        def serve() -> None:
            job.run()
            self.loop.call_soon_threadsafe(job.report_end)
            if isinstance(job.error, KeyboardInterrupt):
                raise job.error  # it was meant for whoever waits there

        if self.post is None or not self.post(serve):
            message = f"{call.name} needs the main thread, and nothing serves it there: use run_sync, or a cell"
            call.raised(ToolUnavailable(message))
