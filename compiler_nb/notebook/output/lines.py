"""A run in a terminal: one line per task as it ends, and the answer at the end."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from compiler_nb.drawing.text import MARKS, columns_of
from compiler_nb.events import Event, RoundStarted, TaskEnded
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.presenter import Presenter, say
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import owner_of
from compiler_nb.text import cut, describe_outcome, seconds_text

if TYPE_CHECKING:
    from compiler_nb.notebook.variables.binding import Binding
    from compiler_nb.run import Run
    from compiler_nb.trace import Progress

MOST: Final = 400
"""How many tasks have a line of their own: printing more would slow down the run."""
ID, CALL, LEAST = 30, 0.45, 24
"""The columns of an id, the share of a line for the call, and the least columns of a call and of a value."""


class Lines(Presenter):
    """Shows one run as lines of text."""

    def __init__(self, look: show.Look, columns: int = 0) -> None:
        super().__init__(look)
        self.columns = columns or shutil.get_terminal_size((100, 24)).columns
        self.count = 0
        self.run: Run | None = None

    def begin(self, run: Run) -> None:
        """Show nothing: the cell shows the question."""
        self.run = run

    def event(self, event: Event) -> None:
        """Show a task that has ended, and why there is another plan."""
        if isinstance(event, TaskEnded):
            self._ended(event)
        elif isinstance(event, RoundStarted) and event.reason:
            self._say(f"another plan: {cut(event.reason, self.columns - 15)}")

    def _ended(self, event: TaskEnded) -> None:
        self.count += 1
        if self.count <= MOST and self.run is not None:
            self._say(self._line(event, self.run.progress))
        elif self.count == MOST + 1:
            self._say("… more tasks end")

    def _line(self, event: TaskEnded, progress: Progress) -> str:
        """Return the line of a task: state, id, call, value and time, as wide as the terminal at most."""
        inner = "  " if owner_of(event.task) else ""
        head = f"{inner}{MARKS[event.state]} {cut(event.task, ID)}"
        call = shorten_call(progress.tasks[event.task], max(int(self.columns * CALL), LEAST))
        spans = progress.spans.get(event.task) if self.look.times else ()
        seconds = seconds_text(event.at - spans[0].started) if spans else ""
        left = self.columns - sum(columns_of(part) + 2 for part in (head, call, seconds)) - 1
        value = describe_outcome(event.outcome, max(left, LEAST))
        return "  ".join(part for part in (head, call, value, seconds) if part)

    def end(self, run: Run, binding: Binding) -> None:
        """Show the answer, or why there is none, and what became of the variables."""
        parts = [*show.answer_texts(run), show.footer(run, binding, times=self.look.times)]
        told = "\n\n".join(parts)
        self._say(f"\n{told}" if self.count else told)

    def _say(self, text: str) -> None:
        if not self.look.quiet:
            say(text, self.run)
