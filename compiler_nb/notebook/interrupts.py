"""Interrupts of an awaiting cell: a tool that holds the main thread gets them, too.

Theory of operation
    While a cell awaits, the kernel's handler of SIGINT only asks its loop to cancel the cell. Where a tool's own code
    holds the main thread, that loop does not come to it, and the tool never hears of it. A handler of ours looks, by
    the frames, whether that is so: a sync tool gets the KeyboardInterrupt that it would get anywhere in Python, a
    coroutine, on the kernel's loop, from the second one on. Nowhere else is it raised, for it would unwind the
    kernel's loop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.engine.pool import Job
from compiler_nb.engine.runners import Coroutines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_PACKAGE: Final = f"{Path(__file__).parents[1]}{os.sep}"


class _Handler:
    """Takes SIGINT while a wait goes on; once that is over it hands all on to who was there before."""

    def __init__(self, stop: Callable[[], None], before: Any, *, kernel: bool) -> None:
        self.stop, self.before, self.kernel = stop, before, kernel
        self.count, self.over = 0, False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        is_held = not self.over and (_holds(frame, Job.run) or (self.count > 1 and _holds(frame, Coroutines.serve)))
        if is_held:
            self.stop()
        if callable(self.before) and (self.kernel or not is_held):
            self.before(number, frame)
        if is_held:
            raise KeyboardInterrupt

    def end(self) -> None:
        """Give the signal back, unless a later wait has it, which then does that for this one, too."""
        self.over = True
        handler: Any = signal.getsignal(signal.SIGINT)
        while isinstance(handler, _Handler) and handler.over:
            handler = handler.before
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def raised_in_tools(stop: Callable[[], None], *, kernel: bool) -> Iterator[None]:
    """Raise interrupts in the tool that holds the main thread, and stop its run; others go where they went before.

    kernel: whether the run is on the kernel's loop: there nobody is told of what is raised in a tool.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before: Any = signal.getsignal(signal.SIGINT) if is_main else None
    if before is None:  # or who is not Python has installed it, and it could not be given back
        yield
        return
    handler = _Handler(stop, before, kernel=kernel)
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        handler.end()


def _holds(frame: FrameType | None, caller: Any) -> bool:
    """Whether the code that runs was called, in the end, by a function of ours, and is a tool's own from there on."""
    called: FrameType | None = None
    while frame is not None:
        if frame.f_code is caller.__code__:
            return called is not None and not called.f_code.co_filename.startswith(_PACKAGE)
        called, frame = frame, frame.f_back
    return False
