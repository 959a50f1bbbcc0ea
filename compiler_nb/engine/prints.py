"""What tools print while a run goes on: kept by task, within bounds, and noted as events of the run.

Theory of operation
    While runs go on, `sys.stdout` is a Router. It asks two context variables who writes: CURRENT is the id of the task
    whose tool is running, and PRINTS is where its run keeps what its tools print. A text of anybody else is passed on
    as it comes, so nothing is done for a call that prints nothing. When no run is left, `sys.stdout` is what it was.
    A tool prints on any thread, and an event is emitted on the loop's only. So texts are gathered, and at most once in
    PAUSE seconds those of each task become one event. What is still there when the run ends comes before its end.
    In a notebook prints are shown with labels (see `printout`), whoever started the run. Elsewhere, as in a script,
    those of a run that Python code started are passed on as they come: what a program prints is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar
from typing import Any, Final, TypeAlias

from compiler_nb.engine.call import CURRENT
from compiler_nb.engine.printout import Labels, Printout
from compiler_nb.events import Log, TaskPrinted
from compiler_nb.models.secret import Secret, mask

PAUSE: Final = 0.1
PRINTS: Final[ContextVar[Prints | None]] = ContextVar("compiler_nb_prints", default=None)
Show: TypeAlias = "Callable[[str, Printout], None]"
"""Is told that a task has printed, on any thread, and shows it."""


class Prints:
    """What the tools of one run print. show: shows it; None for labels in a notebook, elsewhere for standard output."""

    def __init__(self, log: Log, secrets: Iterable[Secret] = (), show: Show | None = None) -> None:
        self.log, self.secrets, self.show = log, secrets, show
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.open = False
        self._labels: Labels | None = None
        self._kept: dict[str, Printout] = {}
        self._new: dict[str, str] = {}
        self._due = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Take what tools print from now on."""
        self.open = True
        ROUTER.open()
        if self.show is None and ROUTER.is_cell:
            self._labels = Labels(ROUTER.write_plain)
            self.show = self._labels.show

    def write(self, id_: str, text: str) -> None:
        """Take a text that a task prints, on any thread."""
        text = mask(text, self.secrets)
        with self._lock:
            if self._labels is not None and not self._kept:
                self.log.listeners.append(self._labels.event)  # a run that prints nothing has no additional listener
            kept = self._kept.setdefault(id_, Printout())
            if new := kept.add(text):
                self._new[id_] = self._new.get(id_, "") + new
            rings = bool(self._new) and not self._due
            self._due = self._due or rings
        if self.show is not None:
            self.show(id_, kept)
        else:
            ROUTER.write_plain(text)
        if rings:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and so the run is over
                self.loop.call_soon_threadsafe(self._ring, context=Context())  # what a listener prints is not a tool's

    def _ring(self) -> None:
        self.loop.call_later(PAUSE, self._tell)

    def _tell(self) -> None:
        """Note what is new; called on the loop's thread."""
        with self._lock:
            new, self._new, self._due = self._new, {}, False
        for id_, text in new.items() if self.open else ():
            self.log.emit(TaskPrinted, id_, text, "")

    def close(self) -> None:
        """Note what is left, and how much was not kept; called on the loop's thread before the run ends."""
        if self.open:
            self._tell()
            self.open = False
            for id_, kept in self._kept.items():
                if kept.left:
                    self.log.emit(TaskPrinted, id_, "", kept.left)
            if self._labels is not None:
                self._labels.end()
            ROUTER.close()
            self.log = Log(self.log.run)  # a tool that goes on after the run holds this object, but not its events


class Router:
    """Stands in for `sys.stdout`, and is like it to everybody but running tools."""

    def __init__(self) -> None:
        self.plain: Any = None
        self._runs = 0
        self._lock = threading.Lock()

    def open(self) -> None:
        """Stand in for `sys.stdout`, if not yet."""
        with self._lock:
            self._runs += 1
            if sys.stdout is not self:
                self.plain, sys.stdout = sys.stdout, self

    def close(self) -> None:
        """Give `sys.stdout` back if no run is left; not if somebody else has replaced it since."""
        with self._lock:
            self._runs -= 1
            if not self._runs and sys.stdout is self:
                sys.stdout = self.plain

    def write(self, text: str) -> int:
        """Keep what a running tool prints, and pass on all else."""
        id_, prints = CURRENT.get(), PRINTS.get()
        if not id_ or prints is None or not prints.open:
            return self.write_plain(text)
        prints.write(id_, text)
        return len(text)

    @property
    def is_cell(self) -> bool:
        """Whether this stands in for the stream of a kernel, which knows the cell that it writes for."""
        return hasattr(type(self.plain), "set_parent")

    def write_plain(self, text: str) -> int:
        """Write to what this stands in for."""
        return int(self.plain.write(text) or 0)

    def writelines(self, lines: Any) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["plain"], name)


ROUTER: Final = Router()


def plain_stdout() -> Any:
    """Return where to print what a tool did not print, even if a tool runs at the moment."""
    return ROUTER.plain if sys.stdout is ROUTER else sys.stdout
