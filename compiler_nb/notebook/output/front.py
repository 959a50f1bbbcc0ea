"""Who looks at a cell's output, and how runs are shown there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler_nb.notebook.output.show import DEFAULT_VIEWS, Look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler_nb.notebook.desk import Desk


def look_of(desk: Desk, given: Mapping[str, Any]) -> Look:
    """Return how runs are shown."""
    views = given.get("display", DEFAULT_VIEWS)
    return Look(views, desk.settings.layout, desk.setting(given, "live"), given.get("quiet", False))


def front_end(desk: Desk, given: Mapping[str, Any]) -> str:
    """Return what looks at a cell's output: "page" (with a person), "terminal", or "" where one output is wanted."""
    if not desk.setting(given, "live") or given.get("quiet") or "none" in given.get("display", ()):
        return ""
    kernel = getattr(desk.shell, "kernel", None)
    if kernel is None:
        return "terminal" if hasattr(desk.shell, "simple_prompt") else ""
    return "page" if given.get("live") or is_attended(desk.shell) else ""


def is_attended(shell: Any) -> bool:
    """Whether a person looks at the running cell: programs that execute notebooks offer no standard input."""
    try:
        return bool(shell.kernel.get_parent()["content"]["allow_stdin"])
    except (AttributeError, LookupError, TypeError):
        return False
