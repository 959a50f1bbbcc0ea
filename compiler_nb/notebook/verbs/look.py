"""Verbs that look at a run: show it again, why a task waits, what it cost, what left this machine."""

from __future__ import annotations

from typing import Final

from compiler_nb.drawing.text import text_table
from compiler_nb.models.prices import is_installed
from compiler_nb.notebook.again import offer_reruns
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.page import table_page
from compiler_nb.notebook.output.presenter import display, front_end, look_of, say
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.notebook.verbs.command import known, run_of, shared_values

NO_LIST: Final = "for prices: pip install compiler_nb[prices], or compiler_nb.set_price(MODEL, input=..., output=...)"
WIDE: Final = 140
"""Columns of the table of costs as text."""


def show_(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Show a run again, as it is now: in a page the live view, unless views are named."""
    run = run_of(desk, words)
    views = shared_values("show", options)
    if not views and front_end(desk, {}) == "page":
        offer_reruns(desk)
        run.view()._ipython_display_()
    else:
        display(show.bundle(run, Binding(), look_of(desk, views)))


def why(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Say why a task waits or waited; without a task, do so for all that have not ended, or for all if all have."""
    run = run_of(desk, words[1:])
    say(run.why(known(run, words[0]) if words else ""), run)


def cost(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Show what a run's calls of models cost, by role, task and model."""
    run = run_of(desk, words)
    costs = run.costs()
    if not costs.steps:
        say("no model was asked in this run", run)
        return
    head, *rows = costs.table()
    summary = str(costs)
    note = NO_LIST if costs.total.unpriced and not is_installed() else ""
    text = "\n".join(filter(None, (text_table([head, *rows], WIDE), f"\n{summary}", note)))
    if front_end(desk, {}) == "page":
        page = table_page(head, rows, " · ".join(filter(None, (summary, note))))
        display(show.without_keys({"text/plain": text, "text/html": page}, run))
    else:
        say(text, run)


def disclosed(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Print what left this machine in a run."""
    run = run_of(desk, words)
    say(str(run.disclosed()), run)
