"""Errors as a notebook shows them: the message alone, and for a refused plan the lines with the problems."""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any, Final, TypeVar

from compiler_nb.errors import CompilerError, PlanError, Problem
from compiler_nb.tool import Tool

Error = TypeVar("Error", bound=BaseException)
BEFORE: Final = 60
"""How many characters of a long line are shown before the column."""
AFTER: Final = 40
WIDE: Final = 76
"""Characters of a message in a line. JupyterLab breaks longer ones wherever its box ends, inside words, too."""
_NO_TOOL: Final = re.compile(r"^no tool is called '(\w+)'\.(?: Did you mean '\w+'\?)?")
"""How a message says that a plan calls what is not offered."""
_OTHER_LINE: Final = re.compile(r"\bline (\d+)(?= only\b|\))")
"""How a message names another line of the text; in a numbered plan "line 3" without more is a task."""


@contextlib.contextmanager
def message_only() -> Iterator[None]:
    """Make our own errors show their message only, without a traceback through our own files."""
    try:
        yield
    except CompilerError as error:
        if "_render_traceback_" in vars(error):
            raise
        raise shortened(error, wrapped=True) from None


def shortened(error: Error, *more: str, wrapped: bool = False) -> Error:
    """Return an error that a notebook shows as its message only, and these lines below it.

    wrapped: whether we break its lines; below an output of ours, style sheets do.
    """
    message = f"{type(error).__name__}: {marked(error) if isinstance(error, PlanError) else error}"
    lines = [_wrapped(message) if wrapped else message, *more]
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]
    return error


def _wrapped(message: str) -> str:
    """Return a message whose long lines break between words; what is indented, such as code, stays as it is."""
    return "\n".join(line if line[:1].isspace() else _broken(line) for line in message.split("\n"))


def _broken(line: str) -> str:
    parts = textwrap.wrap(line, WIDE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(parts)


def naming_functions(error: PlanError, variables: Mapping[str, Any]) -> PlanError:
    """Return an error that says how a function of the notebook, which the plan calls, becomes one of its tools."""
    problems = [
        problem._replace(message=_NO_TOOL.sub(lambda found: _way_to(found[1], variables) or found[0], problem.message))
        for problem in error.problems
    ]
    return PlanError(problems, error.text)


def _way_to(name: str, variables: Mapping[str, Any]) -> str:
    value = variables.get(name)
    if isinstance(value, Tool):
        return f"the tool {name} is not offered in this cell: add it to -T."
    if isinstance(value, FunctionType):
        return f"{name} is a function, but not a tool: write @tool above it, or offer it by -T {name}."
    return ""


def counted_in_cell(error: PlanError, above: int) -> PlanError:
    """Return an error whose lines are counted as the cell counts them; above: lines of the cell above the plan."""
    problems = [
        problem._replace(
            line=problem.line + above,
            message=_OTHER_LINE.sub(lambda found: f"line {int(found[1]) + above}", problem.message),
        )
        for problem in error.problems
    ]
    return PlanError(problems, "\n" * above + error.text)


def marked(error: PlanError) -> str:
    """Return the problems, each with its line and a caret below its column; without the line if the text is unknown."""
    lines = error.text.replace("\r\n", "\n").split("\n")
    return "\n".join(_marked(problem, lines) for problem in error.problems)


def _marked(problem: Problem, lines: list[str]) -> str:
    from compiler_nb.drawing.text import columns_of  # noqa: PLC0415 - loading the extension stays cheap

    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    if not line.strip():
        return str(problem)
    column = min(problem.column - 1, len(line))
    start = max(0, column - BEFORE)
    cut = "…" if start else ""
    before, rest = cut + line[start:column], line[column : column + AFTER]
    ending = "…" if column + AFTER < len(line) else ""
    return f"{problem}\n    {_shown(before + rest)}{ending}\n    {' ' * columns_of(before)}^"


def _shown(text: str) -> str:
    """Return a text without control characters, which a terminal or a page could act on."""
    return "".join(each if each.isprintable() else " " if each == "\t" else "\ufffd" for each in text)
