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
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.engine.local import Session
from compiler_nb.engine.pool import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_PACKAGE: Final = str(Path(__file__).parents[1])


@contextlib.contextmanager
def raised_in_tools(stop: Callable[[], None], *, kernel: bool) -> Iterator[None]:
    """Raise interrupts in the tool that holds the main thread, and stop its run; others go where they went before.

    kernel: whether the run is on the kernel's loop: there nobody is told of what is raised in a tool.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        is_held = _holds(frame, Job.run) or (count > 1 and _holds(frame, Session.serve))
        if is_held:
            stop()
        if callable(before) and (kernel or not is_held):
            before(number, frame)
        if is_held:
            raise KeyboardInterrupt

    before: Any = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _holds(frame: FrameType | None, caller: Any) -> bool:
    """Whether the code that runs was called, in the end, by a function of ours, and is a tool's own from there on."""
    called: FrameType | None = None
    while frame is not None:
        if frame.f_code is caller.__code__:
            return called is not None and not called.f_code.co_filename.startswith(_PACKAGE)
        called, frame = frame, frame.f_back
    return False
