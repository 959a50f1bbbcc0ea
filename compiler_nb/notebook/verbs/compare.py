"""Verbs that compare runs."""

from __future__ import annotations

from compiler_nb.errors import OptionError
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.output.presenter import display
from compiler_nb.notebook.runs import find_run
from compiler_nb.run import Run


def diff(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Show how one run became another: the last two, one and the last, or the two that are named."""
    named = words if len(words) > 1 else [*words, "-1"] if words else ["-2", "-1"]
    try:
        runs = [find_run(desk, word) for word in named]
    except OptionError as error:
        raise error if words else OptionError(f"%compile diff compares the last two runs: {error}") from None
    known = desk.memory.names.values
    one, other = (word if isinstance(known.get(word), Run) else side for word, side in zip(named, "AB", strict=True))
    try:
        found = runs[0].diff(runs[1], (one, other), desk.memory.names.tools().values())
    except ValueError as error:
        raise OptionError(f"%compile diff: {error}") from None
    display({"text/plain": found.to_text(times="--times" in options), "text/html": found._repr_html_()})
