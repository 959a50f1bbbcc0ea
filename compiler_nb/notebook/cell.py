"""Cells: which one is the outermost, what identifies it, and how its magic becomes an `await`."""

from __future__ import annotations

import ast
import contextlib
import re
from typing import Any, Final

AWAITED: Final = {"compile": "_compile_awaited", "plan": "_plan_awaited"}
"""The hidden magics that return a coroutine, by the magics that they stand for."""
RERUN: Final = "_rerun_awaited"
"""The one for `%compile rerun`, which is a line."""
_CALL = re.compile(r"get_ipython\(\)\.run_cell_magic\('(?:compile|plan|prompt)', ")
_RERUN = re.compile(r"get_ipython\(\)\.run_line_magic\('compile', ['\"]rerun\b")
_MAGIC = re.compile(r"%%(?:compile|plan|prompt)\b")


def is_running(shell: Any) -> bool:
    """Whether a cell is running or suspended, so that what is transformed now is nested in it."""
    return bool(shell.display_trap._nested_level)  # noqa: SLF001 - `is_active` says the same, but only since IPython 9


def drop_comments(lines: list[str]) -> list[str]:
    """Drop comments and empty lines above one of our magics, because IPython wants a magic on the first line."""
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            return lines[number:] if number and _MAGIC.match(line) else lines
    return lines


def rewrite(shell: Any, lines: list[str]) -> list[str]:
    """Turn the outermost cell of one of our magics into an `await`, which leaves the kernel free to listen.

    Magics cannot be awaited by themselves. Nested cells, those that wait for nothing, and all cells if autoawait is off
    stay as they are and block.
    """
    if lines and _RERUN.match(lines[0]) and not is_running(shell) and shell.autoawait:
        return [f"await {lines[0].replace(repr('compile'), repr(RERUN), 1)}", *lines[1:]]
    if not lines or not _CALL.match(lines[0]):
        return lines
    try:
        (call,) = ast.parse("".join(lines)).body
        name, line, body = (ast.literal_eval(argument) for argument in call.value.args)  # type: ignore[attr-defined]
    except (SyntaxError, ValueError, AttributeError):
        return lines  # more than a lone call with three literals
    body = body or "\n"  # IPython refuses an empty body with an error that notebook tests overlook
    if name not in AWAITED or is_running(shell) or not shell.autoawait:
        return [f"get_ipython().run_cell_magic({name!r}, {line!r}, {body!r})\n"]
    return [f"await get_ipython().run_cell_magic({AWAITED[name]!r}, {line!r}, {body!r})\n"]


def identity(shell: Any, *, outermost: bool, text: str) -> str:
    """Return what identifies a cell from run to run: its id if the kernel knows it, else its text."""
    known = None
    with contextlib.suppress(AttributeError, LookupError, TypeError):  # no kernel, or a front end that says less
        known = shell.kernel.get_parent()["metadata"]["cellId"]
    return f"cell {known}" if outermost and known else f"text {text}"


def lines_above(shell: Any, body: str) -> int:
    """Return how many lines of the running cell stand above the first line of a magic's body that is not empty."""
    text, cell = body.strip("\r\n"), ""
    with contextlib.suppress(AttributeError, LookupError, TypeError):  # no kernel
        cell = shell.kernel.get_parent()["content"]["code"]
    empty = len(body) - len(body.lstrip("\r\n"))
    at = cell.find(text) if _MAGIC.search(cell) else -1  # a nested magic stands in no cell
    return cell.count("\n", 0, at) if at > 0 else 1 + body.count("\n", 0, empty)


def cell_label(shell: Any, file: str) -> str:
    """Return "Cell In[3]" for the file name that a cell's code was compiled under, "" for any other."""
    return " ".join(shell.compile.format_code_name(file) or ())
