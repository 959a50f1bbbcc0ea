"""The walks through the package, each traced in a process of its own: `python -m tests.support.walk NAME`.

A walk is the way from its beginning to its landmarks: the events that are emitted, a tool's function, the stages that
the walk names, and its end. A file is on the way if one of its functions is active when a landmark is reached, or was
active when the task, callback or thread was started in which the landmark is reached; and if a function of the file was
called after the beginning. So a helper that only computes and returns is not on the way, nor are the files at the
ground. The files are in the order in which the way leads through them for the first time, the callers first.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import itertools
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

PACKAGE = str(Path(__file__).resolve().parents[2] / "compiler_nb") + os.sep
GROUND = ("errors.py", "events.py", "outcome.py", "text.py", "tool.py")
"""The files at the ground."""


STARTERS: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("STARTERS", default=())
"""The files that led to the task, callback or thread that runs."""


class Tracer:
    """Notes the files of the package that are entered, on any thread, and those that lead to a landmark, in order.

    stages: functions that are landmarks too, as "file:function"; without a function, the first one of the file.
    """

    def __init__(self) -> None:
        self.entered: set[str] = set()
        self.passed: dict[str, None] = {}
        self.steps: set[tuple[str, str]] = set()
        self.stages: tuple[str, ...] = ()
        self.on = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Take a call; this is what `sys.setprofile` wants."""
        path = frame.f_code.co_filename
        is_function = frame.f_code.co_flags & inspect.CO_OPTIMIZED  # the body of a module or a class is none
        if not self.on or event != "call" or not is_function or not path.startswith(PACKAGE):
            return
        name = path[len(PACKAGE) :]
        if f"{name}:{frame.f_code.co_name}" in self.stages or (name in self.stages and name not in self.entered):
            self.mark(frame)
        self.entered.add(name)
        if name == "events.py" and frame.f_code.co_name == "emit_at":
            self.mark(frame)

    def mark(self, frame: FrameType | None = None) -> None:
        """Note the files that led here: a landmark is reached."""
        if self.on:
            frame = frame or sys._getframe(1)
            self.passed.update(dict.fromkeys(active(frame)))
            here = list(files(frame))
            self.steps.update((caller, called) for called, caller in itertools.pairwise(here))

    def walk(self) -> list[str]:
        """Return the files of the walk in order."""
        return [name for name in self.passed if name in self.entered and name not in GROUND]

    def hops_back(self) -> list[str]:
        """Return the calls on the way that lead from a file to one that comes earlier."""
        place = {name: number for number, name in enumerate(self.walk())}
        steps = [(place[caller], caller, called) for caller, called in self.steps if {caller, called} <= place.keys()]
        return [f"{caller} -> {called}" for number, caller, called in sorted(steps) if number > place[called]]


TRACER = Tracer()


def active(frame: FrameType | None) -> tuple[str, ...]:
    """Return the files that started what runs, and those whose functions are active in a frame, the callers first."""
    return tuple(dict.fromkeys((*STARTERS.get(), *reversed(list(files(frame))))))


def files(frame: FrameType | None) -> Iterator[str]:
    """Yield the files of the package whose functions are active, the innermost first."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(PACKAGE) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            yield path[len(PACKAGE) :]
        frame = frame.f_back


def carry_starters() -> None:
    """Have tasks, calls on other threads, and callbacks from other threads, know who started them."""
    create, soon = asyncio.BaseEventLoop.create_task, asyncio.BaseEventLoop.call_soon_threadsafe
    on_thread = asyncio.to_thread

    def create_task(loop: Any, *args: Any, **kwargs: Any) -> Any:
        token = STARTERS.set(active(sys._getframe(1)))
        try:
            return create(loop, *args, **kwargs)
        finally:
            STARTERS.reset(token)

    def call_soon_threadsafe(loop: Any, callback: Any, *args: Any, **kwargs: Any) -> Any:
        starters = active(sys._getframe(1))

        @functools.wraps(callback)
        def call(*more: Any) -> None:
            STARTERS.set(starters)
            callback(*more)

        return soon(loop, call, *args, **kwargs)

    async def to_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        token = STARTERS.set(active(sys._getframe(1)))
        try:
            return await on_thread(function, *args, **kwargs)
        finally:
            STARTERS.reset(token)

    asyncio.to_thread = to_thread
    asyncio.BaseEventLoop.create_task = create_task  # type: ignore[method-assign]
    asyncio.BaseEventLoop.call_soon_threadsafe = call_soon_threadsafe  # type: ignore[method-assign]


def cell() -> None:
    """From the question in a cell to the variables that its results are bound to."""
    from tests.support.shell import open_shell

    with open_shell(live=False) as shell:
        shell.planner("a = double(1)\nanswer(a)\n")
        shell.ok("%%compile -m m -q\nWhat is twice one?")
        TRACER.stages = ("notebook/options.py", "notebook/variables/binding.py:_put")
        TRACER.on = True
        shell.ok("%%compile -m m -q\nWhat is twice one?")
        TRACER.on = False
        assert shell.ns["a"] == 2


def chunk() -> None:
    """From the piece of text that completes a task's line to the outcome of that task."""
    from compiler_nb.compiler import Compiler
    from compiler_nb.events import TaskEnded
    from compiler_nb.models.base import Chunk
    from compiler_nb.tool import tool

    class Pieces:
        name = provider = "pieces"

        async def stream(self, request: Any) -> Any:
            yield Chunk("first = get(1)\n")
            await asyncio.sleep(0.05)
            TRACER.on = True
            await asyncio.sleep(0)  # so that those who wait for the piece are called within the walk
            yield Chunk("second = get(first)\n")
            await asyncio.sleep(0.05)
            yield Chunk("answer(second)\n")
            yield Chunk("", "stop")

    @tool
    async def get(x: int) -> int:
        """Return it."""
        TRACER.mark()
        return x

    def listen(event: Any) -> None:
        if isinstance(event, TaskEnded) and event.task == "second":
            TRACER.on = False

    TRACER.stages = ("plan/task.py", "engine/schedule.py", "engine/attempt.py")
    run = asyncio.run(Compiler(Pieces(), [get]).run("What?", on_event=listen))
    assert run.answer == 1


WAITS = """
from compiler_nb import tool
import asyncio
import threading

begun = threading.Event()

@tool
async def slow(x: int) -> int:
    "Wait."
    begun.set()
    await asyncio.sleep(60)
    return x
"""


def raise_interrupt(_: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; a moment later if the tracer is active, for Python drops a tracer that raises."""
    while frame is not None:
        if frame.f_code is Tracer.__call__.__code__:
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def interrupt() -> None:
    """From the interrupt of a cell that waits to the KeyboardInterrupt that ends it."""
    from tests.support.shell import open_shell

    def press() -> None:
        shell.ns["begun"].wait()
        time.sleep(0.2)  # so that the main thread waits for the run, too
        TRACER.on = True
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, raise_interrupt)
    TRACER.stages = ("settings/control.py", "notebook/variables/binding.py:_put")
    with open_shell(WAITS, live=False) as shell:
        threading.Thread(target=press).start()
        try:
            shell.ip.run_cell_magic("plan", "-q", "a = slow(1)")
        except KeyboardInterrupt:
            TRACER.on = False
        assert not TRACER.on
        assert shell.ns["run"].status == "cancelled"


def resume() -> None:
    """From the id of a run that failed to the outcome that a finished task takes over."""
    from compiler_nb.compiler import Compiler
    from compiler_nb.events import TaskEnded
    from compiler_nb.history import History
    from compiler_nb.tool import tool

    down = [True]

    @tool
    async def get(x: int) -> int:
        """Fail once if it is below 0."""
        if x < 0 and down:
            down.clear()
            raise OSError("down")
        return x

    def listen(event: Any) -> None:
        if isinstance(event, TaskEnded) and event.task == "a":
            TRACER.on = False

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            compiler = Compiler(None, [get], history=History(Path(folder) / "runs.db"))
            run = await compiler.execute("a = get(1)\nb = get(-a)\nanswer(b)")
            assert run.status == "failed"
            TRACER.stages = ("values/records.py", "history/past.py", "engine/schedule.py:add_known")

            TRACER.on = True
            found = await compiler.resume(run.id)
            TRACER.on = False
            assert found.answer == -1

    asyncio.run(main())


def box() -> None:
    """From an event of a task to the frame that changes its box in the page."""
    from compiler_nb.compiler import Compiler
    from compiler_nb.notebook.live.view import View
    from compiler_nb.plan.plan import Plan
    from compiler_nb.tool import tool

    class Page:
        def __init__(self, snapshot: Any) -> None:
            self.got = 0

        def send(self, content: Any) -> None:
            TRACER.mark()
            if TRACER.on and "frame" in content:
                self.got += 1
                TRACER.on = False

        def on_msg(self, hear: Any) -> None:
            """Nobody clicks."""

    TRACER.stages = ("notebook/live/board.py",)
    views: list[View] = []

    @tool
    async def get(x: int) -> int:
        """Return it later."""
        if x == 1:
            await asyncio.sleep(0.2)
            TRACER.on = True
        return x

    def tell(event: Any) -> None:
        views[0].event(event)

    async def main() -> None:
        compiler = Compiler(None, [get])
        order = compiler.order("", plan=Plan.parse("a = get(1)\nb = get(2 * a)\nanswer(b)"))
        run, work = compiler.begin(order, on_event=tell)
        views.append(View(run, "own", Page))
        await work
        views[0].end("the end")
        assert views[0].widget.got == 1

    asyncio.run(main())


WALKS: dict[str, Callable[[], None]] = {walk.__name__: walk for walk in (cell, chunk, interrupt, resume, box)}

if __name__ == "__main__":
    carry_starters()
    threading.setprofile(TRACER)
    sys.setprofile(TRACER)
    WALKS[sys.argv[1]]()
    sys.setprofile(None)
    sys.stdout.write(json.dumps({"files": TRACER.walk(), "hops": TRACER.hops_back()}))
