"""Who looks at a cell's output: what shows a run there, and who is asked for approval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler_nb.notebook.ask import asker, page_asker
from compiler_nb.notebook.output.lines import Lines
from compiler_nb.notebook.output.presenter import Live, Presenter, Replaced
from compiler_nb.notebook.output.show import DEFAULT_VIEWS, Look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler_nb.engine.approval import Ask
    from compiler_nb.engine.background import MainThread
    from compiler_nb.notebook.desk import Desk


def look_of(desk: Desk, given: Mapping[str, Any]) -> Look:
    """Return how runs are shown."""
    views = given.get("display", DEFAULT_VIEWS)
    return Look(views, desk.settings.layout, desk.setting(given, "live"), given.get("quiet", False))


def front_end(desk: Desk, given: Mapping[str, Any]) -> str:
    """Return who looks at a cell's output: "page" (with a person), "terminal", or "" if one output is to be made."""
    if not desk.setting(given, "live") or given.get("quiet") or "none" in given.get("display", ()):
        return ""
    if getattr(desk.shell, "kernel", None) is None:
        return "terminal" if hasattr(desk.shell, "simple_prompt") else ""
    return "page" if given.get("live") or _is_attended(desk.shell) else ""


def _is_attended(shell: Any) -> bool:
    """Whether a person looks at the running cell: programs that execute notebooks offer no standard input."""
    try:
        return bool(shell.kernel.get_parent()["content"]["allow_stdin"])
    except (AttributeError, LookupError, TypeError):
        return False


def front_of(desk: Desk, given: Mapping[str, Any], main: MainThread) -> tuple[Presenter, Ask | None]:
    """Return what shows a run, and what asks for approval: the page if its buttons are heard, else the waiting cell."""
    look, end, background = look_of(desk, given), front_end(desk, given), given.get("background", False)
    waiting = None if background else asker(main)
    if end == "page":
        live = Live(look)
        return live, page_asker(live.is_heard, waiting)
    if background:
        return Replaced(look, given.get("out", "run")), None
    return (Lines if end == "terminal" else Presenter)(look), waiting
