"""What a verb of `%compile` is, and what the words that it is given name: runs and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from compiler_nb.errors import OptionError
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.options import BY_FLAG, Option, read_value
from compiler_nb.notebook.runs import find_run
from compiler_nb.notebook.variables.namespace import without_quotes
from compiler_nb.run import Run


class Command(NamedTuple):
    """A verb of `%compile`: the function that does it, how it is written, what it does, and what it takes.

    perform: is given the desk, the words and the options; words: how many it takes at most; flags: its options, each
    with the name of its value, or "" if it has none; shared: options of `%%compile` that it takes, too.
    """

    perform: Callable[[Desk, list[str], dict[str, str]], None]
    usage: str
    help: str
    words: int = 0
    flags: Mapping[str, str] = {}
    shared: tuple[Option, ...] = ()

    @property
    def values(self) -> dict[str, str]:
        """All its options, each with the name of its value."""
        return {**self.flags, **{flag: option.value for option in self.shared for flag in option.flags}}


def shared_values(verb: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the options that a verb shares with `%%compile`, by field, as a cell's line gives them."""
    named = {BY_FLAG[flag]: (flag, text) for flag, text in options.items() if flag in BY_FLAG}
    return {
        option.field: read_value(f"%compile {verb}", option, flag, text) if option.value else option.sets
        for option, (flag, text) in named.items()
    }


def run_of(desk: Desk, words: list[str]) -> Run:
    """Return the run that the first word names, or the last run. Raises OptionError if there is no such run."""
    return find_run(desk, words[0] if words else "-1")


def known(run: Run, name: str) -> str:
    """Return the name of a task; raise OptionError if there is no such task. An item's key may stand in quotes."""
    plain = without_quotes(name)
    try:
        run.id_of(plain)
    except KeyError as error:
        raise OptionError(str(error.args[0])) from None
    return plain
