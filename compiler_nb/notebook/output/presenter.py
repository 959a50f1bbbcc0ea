"""Presenters: what shows a run while a cell waits for it. Here they are still; a live view is another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import mask
from compiler_nb.notebook.output import show

if TYPE_CHECKING:
    from compiler_nb.drawing.live import Engine
    from compiler_nb.events import Event
    from compiler_nb.notebook.live.view import View
    from compiler_nb.notebook.variables.binding import Binding
    from compiler_nb.run import Run


class Presenter(Protocol):
    """Shows one run, from its beginning to its end: a still picture, or a live view."""

    def begin(self, run: Run) -> None:
        """Show that a run has begun; called in the main thread."""
        ...

    def event(self, event: Event) -> None:
        """Note what happened; called on the run's thread, and must be cheap."""
        ...

    def end(self, run: Run, binding: Binding) -> None:
        """Show what became of it; called in the main thread."""
        ...


class Still:
    """Shows a run once, when it has ended; nothing where it is to be quiet."""

    def __init__(self, look: show.Look) -> None:
        self.look = look

    def begin(self, run: Run) -> None:
        """Show nothing yet."""

    def event(self, event: Event) -> None:
        """Wait for the end."""

    def end(self, run: Run, binding: Binding) -> None:
        """Show the run."""
        if not self.look.quiet:
            display(show.bundle(run, binding, self.look))


class Live(Still):
    """Shows a run while it goes on, in a widget, and replaces that when it has ended."""

    def __init__(self, look: show.Look) -> None:
        super().__init__(look)
        self.view: View | None = None
        self.handle: Any = None

    def begin(self, run: Run) -> None:
        """Show the view."""
        from compiler_nb.notebook.live.view import View  # noqa: PLC0415 - heavy

        self.view = View(run, cast("Engine", self.look.layout))
        run.control.listen(self.view.warn)
        self.handle = display(self.view.mime, replaceable=True)

    def event(self, event: Event) -> None:
        """Pass it on to the view."""
        if self.view is not None:
            self.view.event(event)

    async def is_heard(self) -> bool:
        """Whether what the page says reaches the kernel."""
        return self.view is not None and await self.view.is_heard()

    def end(self, run: Run, binding: Binding) -> None:
        """Show what became of it in the place of the view."""
        if self.view is not None:
            self.view.end(show.footer(run, binding, times=True))
        if self.handle is not None:
            self.handle.update(show.bundle(run, binding, self.look), raw=True)


class Replaced(Still):
    """Shows that a run is under way, and replaces that when it has ended: for runs in the background."""

    def __init__(self, look: show.Look, name: str) -> None:
        super().__init__(look)
        self.name = name
        self.handle: Any = None

    def begin(self, run: Run) -> None:
        """Show where the run can be had."""
        if not self.look.quiet:
            text = f"running in the background as `{self.name}`; %compile cancel stops it"
            self.handle = display(
                {"text/plain": text, "text/html": f"<p>{show.inert_lines(text)}</p>"}, replaceable=True
            )

    def end(self, run: Run, binding: Binding) -> None:
        """Show the run in the place of what was shown first."""
        if self.handle is not None:
            self.handle.update(show.bundle(run, binding, self.look), raw=True)


def display(data: show.Bundle, *, replaceable: bool = False) -> Any:
    """Show a bundle in the cell; return its handle where it will be replaced."""
    from IPython.display import display as put  # noqa: PLC0415 - IPython is there where a cell is

    return put(data, raw=True, display_id=True if replaceable else None)  # type: ignore[no-untyped-call]


def say(text: str, run: Run | None = None) -> None:
    """Print to the cell what is told of a run, or of none."""
    print(mask(text, known_secrets() if run is None else run.settings.secrets))  # noqa: T201 - a verb's answer is printed text
