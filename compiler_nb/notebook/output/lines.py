"""A run in a terminal: one line per task as it ends, and the answer at the end."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from compiler_nb.drawing.text import MARKS, columns_of
from compiler_nb.events import Event, RoundStarted, TaskEnded, TaskExpanded, TaskPlanned, TaskStarted
from compiler_nb.notebook.output import answer as answers
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.presenter import Presenter, say
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import owner_of
from compiler_nb.text import cut, describe_outcome, seconds_text, visible_lines

if TYPE_CHECKING:
    from compiler_nb.notebook.variables.binding import Binding
    from compiler_nb.plan.task import Task
    from compiler_nb.run import Run

MOST: Final = 400
"""Most lines of tasks: to print more would hold the run up."""
ID, CALL, LEAST = 30, 0.45, 24
"""Columns of an id, the share of a line that a call has, and the fewest columns of a value."""


class Lines(Presenter):
    """Shows one run as lines of text; nothing where it is to be quiet."""

    def __init__(self, look: show.Look, columns: int = 0) -> None:
        super().__init__(look)
        self.columns = columns or shutil.get_terminal_size((100, 24)).columns
        self.tasks: dict[str, Task] = {}
        self.started: dict[str, float] = {}
        self.count = 0
        self.run: Run | None = None

    def begin(self, run: Run) -> None:
        """Show nothing: the question stands in the cell."""
        self.run = run

    def event(self, event: Event) -> None:
        """Show a task that has ended, and why there is another plan."""
        if isinstance(event, TaskPlanned):
            self.tasks[event.task] = event.planned
        elif isinstance(event, TaskExpanded):
            self.tasks.update((item.id, item) for item in event.items)
            self.started[event.task] = event.at
        elif isinstance(event, TaskStarted):
            self.started.setdefault(event.task, event.at)
        elif isinstance(event, TaskEnded):
            self._ended(event)
        elif isinstance(event, RoundStarted) and event.reason:
            self._say(f"another plan: {cut(event.reason, self.columns - 15)}")

    def _ended(self, event: TaskEnded) -> None:
        self.count += 1
        if self.count <= MOST:
            self._say(self.line(event))
        elif self.count == MOST + 1:
            self._say("… more tasks end")

    def line(self, event: TaskEnded) -> str:
        """Return the line of a task: state, id, call, value and time, as wide as the terminal at most."""
        inner = "  " if owner_of(event.task) else ""
        head = f"{inner}{MARKS[event.state]} {cut(event.task, ID)}"
        task = self.tasks.get(event.task)
        call = shorten_call(task, max(int(self.columns * CALL), LEAST)) if task is not None else ""
        begun = self.started.get(event.task)
        seconds = seconds_text(event.at - begun) if begun is not None and self.look.times else ""
        left = self.columns - sum(columns_of(part) + 2 for part in (head, call, seconds)) - 1
        return "  ".join(
            part for part in (head, call, describe_outcome(event.outcome, max(left, LEAST)), seconds) if part
        )

    def end(self, run: Run, binding: Binding) -> None:
        """Show the answer, or why there is none, and what became of the variables."""
        parts = [visible_lines(show.outcome_text(run))]
        if show.has_answer(run):
            parts.append(answers.to_text(run.answer))
        told = "\n\n".join(part for part in (*parts, show.footer(run, binding, times=self.look.times)) if part)
        self._say(f"\n{told}" if self.count else told)

    def _say(self, text: str) -> None:
        if not self.look.quiet:
            say(text, self.run)
