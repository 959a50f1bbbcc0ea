"""Presenters: what shows a run while a cell waits for it, and when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import mask
from compiler_nb.notebook.output import show

if TYPE_CHECKING:
    from compiler_nb.drawing.live import Engine
    from compiler_nb.events import Event
    from compiler_nb.notebook.live.view import View
    from compiler_nb.notebook.variables.binding import Binding
    from compiler_nb.run import Run


class Presenter:
    """Shows one run when it has ended, in the place of what was shown before, if anything was."""

    def __init__(self, look: show.Look) -> None:
        self.look = look
        self.handle: Any = None

    def begin(self, run: Run) -> None:
        """Show that a run has begun; called in the main thread."""

    def event(self, event: Event) -> None:
        """Note what happened; called on the run's thread, and must be cheap."""

    def end(self, run: Run, binding: Binding) -> None:
        """Show what became of the run; called in the main thread."""
        if self.handle is not None:
            self.handle.update(show.bundle(run, binding, self.look), raw=True)
        elif not self.look.quiet:
            display(show.bundle(run, binding, self.look))


class Live(Presenter):
    """Shows a run while it goes on, in a widget."""

    view: View | None = None

    def begin(self, run: Run) -> None:
        """Show the view."""
        from compiler_nb.notebook.live.view import View  # noqa: PLC0415 - heavy

        self.view = View(run, cast("Engine", self.look.layout))
        run.control.listen(self.view.warn)
        self.handle = display(self.view.mime, replaceable=True)

    def event(self, event: Event) -> None:
        """Pass the event on to the view."""
        if self.view is not None:
            self.view.event(event)

    async def is_heard(self) -> bool:
        """Whether the page's buttons reach the kernel."""
        return self.view is not None and await self.view.is_heard()

    def end(self, run: Run, binding: Binding) -> None:
        """Show what became of the run in the place of the view."""
        if self.view is not None:
            self.view.end(show.footer(run, binding, times=True))
        super().end(run, binding)


class Replaced(Presenter):
    """Shows that a run goes on in the background."""

    def __init__(self, look: show.Look, name: str) -> None:
        super().__init__(look)
        self.name = name

    def begin(self, run: Run) -> None:
        """Show the variable that holds the run."""
        if not self.look.quiet:
            text = f"running in the background as `{self.name}`; %compile cancel stops it"
            page = f"<p>{show.inert_lines(text)}</p>"
            self.handle = display({"text/plain": text, "text/html": page}, replaceable=True)


def display(data: show.Bundle, *, replaceable: bool = False) -> Any:
    """Show a bundle in the cell; return a handle if it will be replaced."""
    from IPython.display import display as put  # noqa: PLC0415 - IPython is imported by whoever has a cell

    return put(data, raw=True, display_id=True if replaceable else None)  # type: ignore[no-untyped-call]


def say(text: str, run: Run | None = None) -> None:
    """Print text in the cell, without keys; run: whose keys to mask besides those that are set."""
    print(mask(text, known_secrets() if run is None else run.settings.secrets))  # noqa: T201 - a verb's answer is printed text
