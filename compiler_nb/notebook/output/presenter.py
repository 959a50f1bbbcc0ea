"""What shows a run: while a cell waits for it, and when it has ended; and who looks at the cell's output.

A page shows a widget, a terminal lines; a background run has a note until it ends. Without anybody who looks there is
one output at the end. Who looks is also who is asked for approval.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from compiler_nb.drawing.preferences import Engine
from compiler_nb.drawing.text import MARKS, columns_of, text_table
from compiler_nb.engine.background import MainThread
from compiler_nb.engine.effects.approval import Ask
from compiler_nb.engine.prints import plain_stdout
from compiler_nb.events import Event, ModelWaits, RoundStarted, TaskEnded
from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import mask, mask_all
from compiler_nb.notebook.ask import asker, page_asker
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.live.view import View
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.footer import footer_of
from compiler_nb.notebook.output.page import table_page
from compiler_nb.notebook.output.values import inert
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.outcome import GIVEN
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import owner_of
from compiler_nb.run import Run
from compiler_nb.text import cut, describe_outcome, seconds_text, wait_text
from compiler_nb.trace import Progress, spent

MOST: Final = 400
"""How many tasks have a line of their own: printing more would slow down the run."""
WAIT: Final = 1.0
"""Seconds that a wait for a provider takes at least if it has a line of its own."""
ID, CALL, LEAST = 30, 0.45, 24
"""The columns of an id, the share of a line for the call, and the least columns of a call and of a value."""
WIDE: Final = 200
"""Columns of a list as text: ids are never cut."""


class Presenter:
    """Shows one run when it has ended, in the place of what was shown before, if anything was."""

    def __init__(self, look: show.Look) -> None:
        self.look = look
        self.handle: Any = None

    def begin(self, run: Run) -> None:
        """Show that a run has begun; called in the main thread."""

    def event(self, event: Event) -> None:
        """Note what happened; called on the run's thread, and must be cheap."""

    def end(self, run: Run, binding: Binding, *, raises: bool = False) -> None:
        """Show what became of the run; called in the main thread.

        raises: whether an error below it says why there is no answer, so that this need not.
        """
        if self.look.quiet and self.handle is None:
            return
        shown = show.bundle(run, binding, self.look, raises=raises)
        if self.handle is not None:
            self.handle.update(shown, raw=True)
        else:
            display(shown)


class Live(Presenter):
    """Shows a run while it goes on, in a widget."""

    view: View

    def begin(self, run: Run) -> None:
        """Show the view."""
        self.view = View(run, self.look.layout)
        run.control.listen(self.view.warn)
        self.handle = display(self.view.mime, replaceable=True)

    def event(self, event: Event) -> None:
        """Pass the event on to the view."""
        self.view.event(event)

    async def is_heard(self) -> bool:
        """Whether the page's buttons reach the kernel."""
        return await self.view.is_heard()

    def end(self, run: Run, binding: Binding, *, raises: bool = False) -> None:
        """Show what became of the run in the place of the view."""
        self.view.end(footer_of(run, binding, times=True))
        super().end(run, binding, raises=raises)


class Switched(Live):
    """Shows a run in the view of another one, where a button began it."""

    def __init__(self, look: show.Look, view: View) -> None:
        super().__init__(look)
        self.view = view

    def begin(self, run: Run) -> None:
        """Let the view show this run from now on."""
        self.view.switch(run)
        run.control.listen(self.view.warn)

    def end(self, run: Run, binding: Binding, *, raises: bool = False) -> None:
        """Show in the view what became of the run."""
        self.view.end(footer_of(run, binding, times=True))


class Replaced(Presenter):
    """Shows that a run goes on in the background."""

    def __init__(self, look: show.Look, name: str) -> None:
        super().__init__(look)
        self.name = name

    def begin(self, run: Run) -> None:
        """Show the variable that holds the run."""
        if not self.look.quiet:
            text = f"running in the background as `{self.name}`; %compile cancel stops it"
            page = f"<p>{inert(text)}</p>"
            self.handle = display({"text/plain": text, "text/html": page}, replaceable=True)


class Lines(Presenter):
    """Shows one run in a terminal: a line for each task as it ends, and the answer at the end."""

    run: Run

    def __init__(self, look: show.Look, columns: int = 0) -> None:
        super().__init__(look)
        self.columns = columns or shutil.get_terminal_size((100, 24)).columns
        self.count = 0
        self.until: dict[str, float] = {}  # when waits for providers end that were told

    def begin(self, run: Run) -> None:
        """Show nothing: the cell shows the question."""
        self.run = run

    def event(self, event: Event) -> None:
        """Show a task that has ended, and why there is another plan."""
        if isinstance(event, TaskEnded):
            self.count += 1
            if self.count <= MOST:
                self._say(self._line(event, self.run.progress))
            elif self.count == MOST + 1:
                self._say("… more tasks end")
        elif isinstance(event, RoundStarted) and event.reason:
            self._say(f"another plan: {cut(event.reason, self.columns - 15)}")
        elif isinstance(event, ModelWaits) and event.left >= WAIT:
            until = event.at + event.left
            if until >= self.until.get(event.provider, 0.0) + WAIT:  # other calls may wait for the same
                self.until[event.provider] = until
                self._say(wait_text(event.provider, event.asked))

    def _line(self, event: TaskEnded, progress: Progress) -> str:
        """Return the line of a task: state, id, call, value and time, as wide as the terminal at most."""
        inner = "  " if owner_of(event.task) else ""
        head = f"{inner}{MARKS[event.state]} {cut(event.task, ID)}"
        call = shorten_call(progress.tasks[event.task], max(int(self.columns * CALL), LEAST))
        spans = progress.spans.get(event.task) if self.look.times else ()
        seconds = seconds_text(spent(progress, event.task, event.at).ran) if spans else ""
        left = self.columns - sum(columns_of(part) + 2 for part in (head, call, seconds)) - 1
        value = describe_outcome(event.outcome, max(left, LEAST)) + (
            f" · {GIVEN[event.how]}" if event.how in GIVEN else ""
        )
        return "  ".join(part for part in (head, call, value, seconds) if part)

    def end(self, run: Run, binding: Binding, *, raises: bool = False) -> None:
        """Show the answer, or why there is none, and what became of the variables."""
        notes = "\n".join([*show.notes_on(run), footer_of(run, binding, times=self.look.times)])
        told = "\n\n".join([*show.answer_texts(run, raises=raises), notes])
        self._say(f"\n{told}" if self.count else told)

    def _say(self, text: str) -> None:
        if not self.look.quiet:
            say(text, self.run)


# ---------------------------------------------------------------- who looks


def look_of(desk: Desk, given: Mapping[str, Any]) -> show.Look:
    """Return how runs are shown."""
    views = given.get("display", show.DEFAULT_VIEWS)
    return show.Look(
        views, cast("Engine", desk.settings.layout), desk.setting(given, "live"), given.get("quiet", False)
    )


def front_end(desk: Desk, given: Mapping[str, Any]) -> str:
    """Return who looks at a cell's output: "page" (with a person), "terminal", or "" if one output is to be made."""
    if not desk.setting(given, "live") or given.get("quiet") or "none" in given.get("display", ()):
        return ""
    if getattr(desk.shell, "kernel", None) is None:
        return "terminal" if hasattr(desk.shell, "simple_prompt") else ""
    return "page" if given.get("live") or is_attended(desk.shell) else ""


def is_attended(shell: Any) -> bool:
    """Whether a person looks at the running cell: programs that execute notebooks offer no standard input."""
    try:
        return bool(shell.kernel.get_parent()["content"]["allow_stdin"])
    except (AttributeError, LookupError, TypeError):
        return False


def front_of(
    desk: Desk, given: Mapping[str, Any], main: MainThread, view: View | None = None
) -> tuple[Presenter, Ask | None]:
    """Return what shows a run, and what asks for approval: the page if its buttons are heard, else the waiting cell.

    view: where the run is to be shown, if a button there began it.
    """
    if view is not None:
        there = Switched(look_of(desk, given), view)
        return there, page_asker(there.is_heard, None)
    look, end, background = look_of(desk, given), front_end(desk, given), given.get("background", False)
    waiting = None if background else asker(main)
    if end == "page":
        live = Live(look)
        return live, page_asker(live.is_heard, waiting)
    if background:
        return Replaced(look, given.get("out", "run")), None
    return (Lines if end == "terminal" else Presenter)(look), waiting


# ---------------------------------------------------------------- what a cell gets


def display(data: show.Bundle, *, replaceable: bool = False) -> Any:
    """Show a bundle in the cell; return a handle if it will be replaced."""
    from IPython.display import display as put  # noqa: PLC0415 - IPython is imported by whoever has a cell

    return put(data, raw=True, display_id=True if replaceable else None)  # type: ignore[no-untyped-call]


def say(text: str, run: Run | None = None) -> None:
    """Print text in the cell, without keys; run: whose keys to mask besides those that are set."""
    told = mask(text, known_secrets() if run is None else run.settings.secrets)
    plain_stdout().write(told + "\n")  # it may be said while a tool runs


def say_table(desk: Desk, columns: list[str], rows: Iterable[list[str]], note: str = "") -> None:
    """Show rows of texts with a note below, without keys: in a page as a table, else as text."""
    rows = list(rows)
    text = "\n".join(filter(None, (text_table([columns, *rows], WIDE), note)))
    if front_end(desk, {}) == "page":
        display(mask_all({"text/plain": text, "text/html": table_page(columns, rows, note)}, known_secrets()))
    else:
        say(text)
