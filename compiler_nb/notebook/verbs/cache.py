"""The verb that looks at the cache: what is in it, what a run took from it, and why it did not take the rest."""

from __future__ import annotations

from compiler_nb.errors import OptionError
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.output.presenter import say
from compiler_nb.notebook.runs import cache_in, find_run


def cache(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Show what is in the cache, or what it knew of a run; or empty it."""
    what, *rest = words or ["show"]
    if what == "show":
        say(find_run(desk, rest[0]).cached() if rest else cache_in(desk).show())
    elif what == "clear" and not rest:
        count = cache_in(desk).clear()
        say(f"the cache is empty: {count:,} {'entry was' if count == 1 else 'entries were'} taken out")
    else:
        raise OptionError(f"%compile cache takes show, show RUN, or clear, not {' '.join(words)!r}")
