"""Verbs that look at a run: show it again, why a task waits, what left this machine."""

from __future__ import annotations

from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.options import BY_FLAG, read_value
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.presenter import display, front_end, look_of, say
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.notebook.verbs.command import known, run_of


def show_(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Show a run again, as it is now: in a page the live view, unless views are named."""
    run = run_of(desk, words)
    views = {BY_FLAG[flag].field: read_value("%compile show", BY_FLAG[flag], flag, options[flag]) for flag in options}
    if not views and front_end(desk, {}) == "page":
        run.view()._ipython_display_()
    else:
        display(show.bundle(run, Binding(), look_of(desk, views)))


def why(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Say why a task waits or waited; without a task, do so for all that have not ended, or for all if all have."""
    run = run_of(desk, words[1:])
    say(run.why(known(run, words[0]) if words else ""), run)


def disclosed(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Print what left this machine in a run."""
    run = run_of(desk, words)
    say(str(run.disclosed()), run)
