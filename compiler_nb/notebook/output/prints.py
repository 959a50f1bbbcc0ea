"""What tools print while a cell's run goes on, as the cell shows it: line by line, each labelled with its task.

A line is shown when it is whole, so that those of two tasks never mix, and what is left when the task ends. It is
written in the context of the cell: kernels show it there, whichever thread writes it.
"""

from __future__ import annotations

import contextvars
import threading
from typing import Final

from compiler_nb.engine.prints import ROUTER, Printout
from compiler_nb.events import Event, TaskEnded
from compiler_nb.text import cut

LABEL: Final = 40


class Labels:
    """Shows what the tools of one run print; made in the cell, whose context it keeps."""

    def __init__(self) -> None:
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
            self._context.copy().run(ROUTER.write_plain, text)
