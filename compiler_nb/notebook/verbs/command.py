"""What a verb of `%compile` is, and what the words that it is given name: runs and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from compiler_nb.errors import OptionError
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.runs import find_run
from compiler_nb.run import Run


class Command(NamedTuple):
    """A verb of `%compile`: the function that does it, how it is written, what it does, and what it takes.

    perform: is given the desk, the words and the options; words: how many it takes at most; flags: its options, each
    with the name of its value, or "" if it has none.
    """

    perform: Callable[[Desk, list[str], dict[str, str]], None]
    usage: str
    help: str
    words: int = 0
    flags: Mapping[str, str] = {}


def run_of(desk: Desk, words: list[str]) -> Run:
    """Return the run that the first word names; the last run if there is none. Raises OptionError if none is meant."""
    return find_run(desk, words[0] if words else "-1")


def known(run: Run, name: str) -> str:
    """Return the name of a task; raise OptionError if there is no such task."""
    try:
        run.id_of(name)
    except KeyError as error:
        raise OptionError(str(error.args[0])) from None
    return name
