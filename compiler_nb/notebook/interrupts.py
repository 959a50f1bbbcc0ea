"""Interrupts of an awaiting cell also reach a tool that holds the main thread.

Theory of operation
    While a cell awaits, the kernel's handler of SIGINT only asks its loop to cancel the cell. If a tool's own code
    holds the main thread, the loop never gets to do so, and the tool would not notice. Our handler looks at the frames
    to see whether that is the case. If so, it raises KeyboardInterrupt, as anywhere in Python: in a sync tool at once,
    in a coroutine on the kernel's loop from the second interrupt on. It raises nowhere else, because that would unwind
    the kernel's loop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

from compiler_nb.engine.pool import ThreadJob
from compiler_nb.engine.results import settled
from compiler_nb.engine.runners import Coroutines

_PACKAGE: Final = f"{Path(__file__).parents[1]}{os.sep}"


class RaisedInTools:
    """Within the block, interrupts are raised in the tool that holds the main thread, and stop its run.

    Others go to the previous handler. kernel: whether the run is on the kernel's loop. There the previous handler gets
    all of them, to end the cell. The block does nothing on another thread.
    """

    def __init__(self, stop: Callable[[], None], *, kernel: bool) -> None:
        self.stop, self.kernel = stop, kernel
        self.count, self.over = 0, False
        is_main = threading.current_thread() is threading.main_thread()
        # None also if the handler was not installed by Python: it could not be restored
        self.before: Any = signal.getsignal(signal.SIGINT) if is_main else None

    def __enter__(self) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT; after the block pass it on: a later wait may have taken this for the previous handler."""
        self.count += 1
        is_held = not self.over and (
            _holds(frame, ThreadJob.perform, settled) or (self.count > 1 and _holds(frame, Coroutines.serve))
        )
        if is_held:
            self.stop()
        if callable(self.before) and (self.kernel or not is_held):
            self.before(number, frame)
        if is_held:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        """Restore the previous handler; if a later wait has installed its own, that one does it for this one too."""
        self.over = True
        handler: Any = signal.getsignal(signal.SIGINT) if self.before is not None else None
        while isinstance(handler, RaisedInTools) and handler.over:
            handler = handler.before
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Have SIGINT handled by a function within the block; only the main thread can, and gets the signal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: Any = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _holds(frame: FrameType | None, *callers: Any) -> bool:
    """Whether the running code is a tool's own: called by one of these, and from there on outside of this package."""
    codes = [caller.__code__ for caller in callers]
    called: FrameType | None = None
    while frame is not None:
        if frame.f_code in codes:
            return called is not None and not called.f_code.co_filename.startswith(_PACKAGE)
        called, frame = frame, frame.f_back
    return False
