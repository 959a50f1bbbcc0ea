"""What tools print while a run goes on: kept by task, within bounds, and noted as events of the run.

Theory of operation
    While runs go on, `sys.stdout` is a Router. It asks two context variables who writes: CURRENT is the id of the task
    whose tool is running, and PRINTS is where its run keeps what its tools print. A text of anybody else is passed on
    as it comes, so nothing is done for a call that prints nothing. When no run is left, `sys.stdout` is what it was.
    A tool prints on any thread, and an event is emitted on the loop's only. So texts are gathered, and at most once in
    PAUSE seconds those of each task become one event. What is still there when the run ends comes before its end.
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
from compiler_nb.events import Log, TaskPrinted
from compiler_nb.models.secret import Secret, mask
from compiler_nb.text import count_of

LINES, CHARACTERS = 100, 10_000
"""What is kept of one task's prints; the rest is counted."""
PAUSE: Final = 0.1
PRINTS: Final[ContextVar[Prints | None]] = ContextVar("compiler_nb_prints", default=None)
Show: TypeAlias = "Callable[[str, Printout], None]"
"""Is told that a task has printed, on any thread, and shows it."""


class Prints:
    """What the tools of one run print. show: shows it, None for standard output."""

    def __init__(self, log: Log, secrets: Iterable[Secret] = (), show: Show | None = None) -> None:
        self.log, self.secrets, self.show = log, secrets, show
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.open = False
        self._kept: dict[str, Printout] = {}
        self._new: dict[str, str] = {}
        self._due = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Take what tools print from now on."""
        self.open = True
        ROUTER.open()

    def write(self, id_: str, text: str) -> None:
        """Take a text that a task prints, on any thread."""
        text = mask(text, self.secrets)
        with self._lock:
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
                self.loop.call_soon_threadsafe(self._ring, context=Context())  # a listener that prints is no tool

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
            ROUTER.close()
            del self.log  # a tool that goes on after the run holds this object, but not the run


class Printout:
    """What one task has printed: `text` is the beginning that is kept, and `left` says how much more there was."""

    def __init__(self) -> None:
        self.text = ""
        self._size = self._lines = 0
        self._open = False  # whether the last line has no end yet

    def add(self, text: str) -> str:
        """Take more text; return what of it is kept."""
        kept = "\n".join(text.split("\n")[: max(LINES - self._lines, 0)])[: max(CHARACTERS - self._size, 0)]
        self.text += kept
        self._size += len(text)
        self._lines += text.count("\n")
        self._open = not text.endswith("\n") if text else self._open
        return kept

    @property
    def lines(self) -> list[str]:
        """The lines that are kept."""
        return self.text.removesuffix("\n").split("\n") if self.text else []

    @property
    def left(self) -> str:
        """How much is not kept, in words, "" if all is."""
        if lines := self._lines + self._open - len(self.lines):
            return count_of(lines, "more line")
        return f"{self._size - CHARACTERS:,} more characters" if self._size > CHARACTERS else ""


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
    """Return where to print what is no print of a tool, though it may be said while a tool runs."""
    return ROUTER.plain if sys.stdout is ROUTER else sys.stdout
