"""The verb `prompt`: what a model was asked and what it replied, the saved prompts, and a cell to edit one."""

from __future__ import annotations

from typing import Final, get_args

from compiler_nb.errors import OptionError
from compiler_nb.models.base import Role
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.exchanges import STYLE, exchange_html, exchange_text
from compiler_nb.notebook.output.page import page_of
from compiler_nb.notebook.output.presenter import display, front_end, say, say_table
from compiler_nb.notebook.output.values import inert
from compiler_nb.notebook.prompts import all_saved, edit_cell
from compiler_nb.notebook.runs import find_run, run_before
from compiler_nb.prompts.saved import SavedPrompt, problem_of
from compiler_nb.run import Run
from compiler_nb.text import cut
from compiler_nb.trace import Exchange, calls_of, counterpart, exchange, role_of

ROLES: Final = get_args(Role)
_FIRST: Final = 60
"""Characters of a saved prompt that the list shows."""
_COLUMNS: Final = ["role", "name", "version", "text"]


def prompt(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Show what was sent and what came back, list the saved prompts, or open a cell to edit one."""
    if words == ["list"] and not options:
        _list(desk)
    elif "--edit" in options:
        if not words or {"--call", "--against"} & set(options):
            raise OptionError("which prompt? write: %compile prompt planner --edit [NAME]")
        name = options["--edit"] if options["--edit"] != "on" else words[1] if words[1:] else ""
        desk.shell.set_next_input(edit_cell(desk, words[0], name))
    else:
        _show(desk, words, options)


def _show(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    who, run = _meant(desk, words)
    number = _number(options.get("--call", "-1"))
    try:
        found = exchange(run.progress, who, number)
        other = find_run(desk, options["--against"]) if "--against" in options else run_before(desk, run, who)
        old = counterpart(other.progress, who, number) if other is not None else None
    except KeyError as error:
        raise OptionError(f"%compile prompt: {error.args[0]}") from None
    name = options.get("--against", "the run before")
    head = _head(run, who, found)
    text = f"{head}\n\n{exchange_text(found, old, name)}"
    if front_end(desk, {}) == "page":
        texts = f'<div class="cnb-changed"><p>{inert(head)}</p>{exchange_html(found, old, name)}</div>'
        page = page_of([f"<style>{STYLE}</style>", texts])
        display(show.without_keys({"text/plain": text, "text/html": page}, run))
    else:
        say(text, run)


def _meant(desk: Desk, words: list[str]) -> tuple[str, Run]:
    """Return the role or the task, and the run, that words mean; a single word may be either."""
    if len(words) == 1 and words[0] not in ROLES:
        last = desk.memory.runs[-1] if desk.memory.runs else None
        if last is None or not calls_of(last.progress, words[0]):
            try:
                return "planner", find_run(desk, words[0])
            except OptionError:
                if words[0].startswith("-") or last is None:
                    raise
    return words[0] if words else "planner", find_run(desk, words[1] if words[1:] else "-1")


def _number(text: str) -> int:
    """Return which call is meant, from 0; users count from 1, and back from -1."""
    if not text.removeprefix("-").isdecimal() or int(text) == 0:
        raise OptionError(f"%compile prompt: --call takes a number from 1, or -1 for the last call, not {text!r}")
    return int(text) - (int(text) > 0)


def _head(run: Run, who: str, found: Exchange) -> str:
    """Return which call it is, in one line."""
    calls = calls_of(run.progress, who)
    place = next(at for at, each in enumerate(calls, 1) if each.number == found.call.number)
    which = f", call {place} of {len(calls)}" if len(calls) > 1 else ""
    own = "" if found.call.task else run.settings.variants.get(role_of(found.call), "")
    variant = f" · prompt {own}" if own else ""
    usage = f" · {found.call.usage.tokens:,} tokens" if found.call.usage is not None else " · it goes on"
    failed = f" · failed: {found.call.error}" if found.call.error else ""
    return f"{who}{which}, to {found.call.provider}:{found.call.model}{variant}{usage}{failed}"


def _list(desk: Desk) -> None:
    """Print the saved prompts with all their versions, the newest first."""
    saved = all_saved(desk)
    if not saved:
        say("no prompt is saved; %compile prompt planner --edit opens a cell that saves one")
        return
    rows = [[each.role, each.name, each.version, _first(each)] for each in saved]
    say_table(desk, _COLUMNS, rows)


def _first(saved: SavedPrompt) -> str:
    """Return the beginning of a text, or why it cannot be used."""
    wrong = problem_of(saved)
    return f"cannot be used: {wrong}" if wrong else cut(" ".join(saved.text.split()), _FIRST)
