"""What one task has printed, and how a cell shows what tools print: line by line, each labelled with its task.

A line is shown when it is whole, so that those of two tasks never mix, and what is left when the task ends. It is
written in the context of the cell: kernels show it there, whichever thread writes it.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Final

from compiler_nb.events import Event, TaskEnded
from compiler_nb.text import count_of, cut

LINES, CHARACTERS = 100, 10_000
"""What is kept of one task's prints; the rest is counted."""
LABEL: Final = 40


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


class Labels:
    """Shows what the tools of one run print; made in the context of the cell. write: to its output."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._tasks: dict[str, Printout] = {}
        self._shown: dict[str, int] = {}  # lines of each
        self._lock = threading.Lock()
        self._context = contextvars.copy_context()

    def show(self, id_: str, kept: Printout) -> None:
        """Show the whole lines that a task has printed since; may be called from any thread."""
        self._tasks[id_] = kept
        self._say(id_, kept.text.split("\n")[:-1])

    def event(self, event: Event) -> None:
        """Show what a task has printed, if it has ended; called on the run's thread."""
        if type(event) is TaskEnded and event.task in self._tasks:
            self._show_rest(event.task)

    def end(self) -> None:
        """Show what was printed since, as by calls that could not be stopped."""
        for id_ in list(self._tasks):
            self._show_rest(id_)

    def _show_rest(self, id_: str) -> None:
        kept = self._tasks[id_]
        self._say(id_, [*kept.lines, *([f"… {kept.left}"] if kept.left else [])])

    def _say(self, id_: str, lines: list[str]) -> None:
        """Show those of the lines that were not shown yet."""
        with self._lock:
            new = lines[self._shown.get(id_, 0) :]
            self._shown[id_] = max(len(lines), self._shown.get(id_, 0))
        if new:
            text = "".join(f"[{cut(id_, LABEL)}] {line}\n" for line in new)
            self._context.copy().run(self._write, text)
