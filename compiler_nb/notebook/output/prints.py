"""What tools print while a cell's run goes on: kept by task, and shown line by line, each labelled with its task.

Theory of operation
    While runs of cells go on, `sys.stdout` is a Router. It asks two context variables who writes: CURRENT is the id of
    the task whose tool is running, and PRINTS is where its run keeps what its tools print. A text of anybody else is
    passed on as it comes, so nothing is done for a call that prints nothing. When no such run is left, `sys.stdout` is
    what it was. A line is shown when it is whole, so that those of two tasks never mix, and what is left when the task
    ends. It is written in the context of the cell: kernels show it there, whichever thread writes it.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import weakref
from contextvars import ContextVar
from typing import Any, Final

from compiler_nb.engine.call import CURRENT
from compiler_nb.events import Event, TaskEnded
from compiler_nb.models.secret import mask
from compiler_nb.run import Run
from compiler_nb.text import cut

LINES, CHARACTERS = 100, 10_000
"""What is kept of one task's prints; further lines are counted."""
LABEL: Final = 40
PRINTS: Final[ContextVar[Prints | None]] = ContextVar("compiler_nb_prints", default=None)
_OF_RUNS: Final[weakref.WeakKeyDictionary[Run, Prints]] = weakref.WeakKeyDictionary()


def printed_by(run: Run, id_: str) -> str:
    """Return what a task of a run has printed so far, "" if nothing, or if the run is none of a cell."""
    prints = _OF_RUNS.get(run)
    return "\n".join(prints.lines(id_)) if prints is not None else ""


def plain_stdout() -> Any:
    """Return where to print what is no print of a tool, though it may be said while a tool runs."""
    return ROUTER.plain if sys.stdout is ROUTER else sys.stdout


class Prints:
    """What the tools of one run print, by task. `write` may be called from any thread."""

    def __init__(self) -> None:
        self._tasks: dict[str, _Printed] = {}
        self._lock = threading.Lock()
        self._run: Run | None = None

    def begin(self, run: Run) -> None:
        """Take what tools print from now on; called in the cell, in whose context the run is begun next."""
        self._run = run
        _OF_RUNS[run] = self
        PRINTS.set(self)
        self._context = contextvars.copy_context()
        ROUTER.open()

    def write(self, id_: str, text: str) -> None:
        """Keep a text that a task prints."""
        with self._lock:
            self._tasks.setdefault(id_, _Printed()).add(text)
        if "\n" in text:
            self._show(id_, ended=False)

    def lines(self, id_: str) -> list[str]:
        """Return what a task has printed, and how many lines more."""
        with self._lock:
            printed = self._tasks.get(id_)
            return printed.lines() if printed is not None else []

    def event(self, event: Event) -> None:
        """Show what a task has printed, if it has ended; called on the run's thread."""
        if type(event) is TaskEnded and event.task in self._tasks:
            self._show(event.task, ended=True)

    def end(self) -> None:
        """Show what was printed since, as by calls that could not be stopped, and let go of `sys.stdout`."""
        if self._run is not None:
            self._run = None
            for id_ in list(self._tasks):
                self._show(id_, ended=True)
            ROUTER.close()

    def _show(self, id_: str, *, ended: bool) -> None:
        with self._lock:
            printed = self._tasks[id_]
            lines = printed.news(printed.lines() if ended else printed.whole())
        if lines:
            text = "".join(f"[{cut(id_, LABEL)}] {line}\n" for line in lines)
            self._context.copy().run(ROUTER.write_plain, text)


class _Printed:
    """What one task has printed: the beginning, and how many lines in all."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.size = self.ended = self.shown = 0
        self.open = False  # whether the last line has no end yet

    def add(self, text: str) -> None:
        if text:
            self.kept.append(text[: max(CHARACTERS - self.size, 0)])
            self.size += len(text)
            self.ended += text.count("\n")
            self.open = not text.endswith("\n")

    def lines(self) -> list[str]:
        lines = "".join(self.kept).split("\n")
        lines = lines[: min(len(lines) if lines[-1] else len(lines) - 1, LINES)]
        more = self.ended + self.open - len(lines)
        cut_off = [f"… {self.size - CHARACTERS:,} more characters"] if self.size > CHARACTERS and not more else []
        return [*lines, *([f"… {more:,} more line{'s' * (more != 1)}"] if more else cut_off)]

    def whole(self) -> list[str]:
        """Return the lines that are kept and have their ends."""
        return "".join(self.kept).split("\n")[:-1][:LINES]

    def news(self, lines: list[str]) -> list[str]:
        """Return those of the lines that were not returned yet."""
        new, self.shown = lines[self.shown :], max(len(lines), self.shown)
        return new


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
        if not id_ or prints is None or prints._run is None:  # noqa: SLF001 - of this module
            return self.write_plain(text)
        prints.write(id_, mask(text, prints._run.settings.secrets))  # noqa: SLF001 - of this module
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
