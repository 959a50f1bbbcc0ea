"""A refused plan for the person who wrote it: each problem, the line that it stands in, and a mark below its column."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from compiler_nb.errors import PlanError
    from compiler_nb.outcome import Problem

BEFORE: Final = 60
"""Characters of a long line that are shown before its column."""
AFTER: Final = 40


def marked(error: PlanError) -> str:
    """Return the problems, each with its line and a caret; without the lines where the error has no text."""
    lines = error.text.replace("\r\n", "\n").split("\n")
    return "\n".join(_marked(problem, lines) for problem in error.problems)


def _marked(problem: Problem, lines: list[str]) -> str:
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    if not line.strip():
        return str(problem)
    column = min(problem.column - 1, len(line))
    start = max(0, column - BEFORE)
    cut = "…" if start else ""
    before, rest = cut + line[start:column], line[column : column + AFTER]
    ending = "…" if column + AFTER < len(line) else ""
    return f"{problem}\n    {_shown(before + rest)}{ending}\n    {''.join(map(_blank, before))}^"


def _shown(text: str) -> str:
    """Return a text without what a terminal or a page could take for more than text."""
    return "".join(each if each.isprintable() else " " if each == "\t" else "\ufffd" for each in text)


def _blank(character: str) -> str:
    """Return the blanks that take the place of a character."""
    if unicodedata.combining(character):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "
