"""Saved prompts in a notebook: the `%%prompt` cell, what other cells choose, and the cell that edits one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from compiler_nb.errors import HistoryError, OptionError
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.models import roles_of
from compiler_nb.notebook.options import without_markers
from compiler_nb.notebook.output.presenter import say
from compiler_nb.notebook.runs import history_of
from compiler_nb.prompts import SLOTS, WORDINGS
from compiler_nb.prompts.saved import SavedPrompt, check_role, find_prompt, save_prompt, saved_prompts, shipped_text

SHOWN_SLOTS: Final = ", ".join(f"{{{{{name}}}}}" for name in SLOTS["planner"])
USAGE: Final = (
    "%%prompt ROLE NAME\ntext\n\n"
    "Save the text as a prompt of the planner or the joiner. All versions of a name are kept, and the newest counts.\n"
    f"The planner's text has the slots {SHOWN_SLOTS}; the joiner's has none.\n"
    "%%compile --planner-prompt NAME uses it. %compile prompt list lists the saved ones, and\n"
    "%compile prompt planner --edit opens a cell with the package's own text."
)


def save_cell(desk: Desk, line: str, body: str) -> None:
    """Save what a `%%prompt` cell says; raise OptionError if it cannot be used."""
    words, text = line.split(), without_markers(body)
    if {"-h", "--help"} & set(words) or (not words and not text.strip()):
        say(USAGE)
        return
    if len(words) != 2:  # noqa: PLR2004 - a role and a name
        raise OptionError("%%prompt takes a role and a name; write: %%prompt planner NAME, and the text below it")
    role, name = words
    try:
        saved = save_prompt(role, name, text)
    except ValueError as error:
        raise OptionError(f"%%prompt: {error}") from None
    if (history := history_of(desk)) is not None:
        try:
            history.keep_prompt(saved)
        except HistoryError as error:
            warnings.warn(f"{saved.label} is saved for this session only: {error}", stacklevel=2)
    say(f"saved: {saved.role} prompt {saved.label}; %%compile --{saved.role}-prompt {saved.name} uses it")


def chosen_prompts(desk: Desk, given: Mapping[str, Any]) -> Any:
    """Return what a cell's compiler takes as `prompts`; those that are chosen by name go before what is set for all.

    Raises OptionError if there is no such prompt.
    """
    otherwise = desk.setting(given, "prompts")
    named = {role: name for role in SLOTS if (name := desk.setting(given, f"{role}_prompt"))}
    if not named:
        return otherwise
    labels = {role: _found(desk, role, name, f"--{role}-prompt").label for role, name in named.items()}
    return (dict(otherwise) if isinstance(otherwise, Mapping) else dict.fromkeys(SLOTS, otherwise)) | labels


def _found(desk: Desk, role: str, name: str, where: str) -> SavedPrompt:
    try:
        return find_prompt(role, name, history_of(desk, to_write=False))
    except ValueError as error:
        raise OptionError(f"{where}: {error}") from None


def all_saved(desk: Desk) -> list[SavedPrompt]:
    """Return all versions of all saved prompts, the newest first; those of the history only if it can be read."""
    try:
        return saved_prompts(history_of(desk, to_write=False))
    except HistoryError as error:
        warnings.warn(str(error), stacklevel=2)
        return saved_prompts()


def edit_cell(desk: Desk, role: str, name: str) -> str:
    """Return a `%%prompt` cell with a saved prompt, or without a name with the package's own, worded as in use.

    Raises OptionError if there is none.
    """
    try:
        check_role(role)
    except ValueError as error:
        raise OptionError(f"%compile prompt --edit: {error}") from None
    if name:
        known = [each for each in all_saved(desk) if each.role == role and name in (each.name, each.label)]
        saved = known[0] if known else _found(desk, role, name, "%compile prompt --edit")
        return f"%%prompt {role} {saved.name}\n{saved.text}"
    wording = desk.settings.prompts if desk.settings.prompts in WORDINGS else ""
    asked = getattr(roles_of(desk, {})[role], "prompts", WORDINGS[0])
    return f"%%prompt {role} mine\n{shipped_text(role, wording or asked)}"
