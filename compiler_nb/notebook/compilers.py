"""The Compiler for a cell: models, tools and settings, by its options, by `%config`, and by what the notebook holds."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Final

from compiler_nb.compiler import Compiler
from compiler_nb.engine.cluster.engine import read_engine
from compiler_nb.errors import OptionError
from compiler_nb.models.hand import HandModel
from compiler_nb.notebook.cassettes import models_of
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.examples import fitting
from compiler_nb.notebook.grids import is_grid
from compiler_nb.notebook.job import Question
from compiler_nb.notebook.models import is_hand
from compiler_nb.notebook.prompts import chosen_prompts
from compiler_nb.notebook.runs import cache_in, history_of
from compiler_nb.notebook.shipped import called_in, offered_unasked
from compiler_nb.run import Run
from compiler_nb.tool import Toolbox

PASSED_ON: Final = (
    "dialect", "share", "preview", "max_concurrency", "max_replans", "max_repairs", "timeout", "limits", "approve",
    "learn_shapes", "drop_failed", "bounds", "cache", "tool_tokens",
)  # fmt: skip
"""Settings of `%config` and options that a Compiler takes as they are."""


def compiler_for(desk: Desk, question: Question, again: Run | None = None) -> Compiler:
    """Return the compiler for a cell; again: the run that it repeats, or goes on with.

    A person can only be the planner, so other roles of `hand` have no model.
    """
    given, models = question.said.given, models_of(desk, question.said.given)
    roles: dict[str, Any] = {role: None if is_hand(model) else model for role, model in models.items()}
    if is_hand(models["planner"]):
        roles["planner"] = HandModel(question.prompts.append)
    settings: dict[str, Any] = {name: desk.setting(given, name) for name in PASSED_ON}
    settings["prompts"] = chosen_prompts(desk, given)
    asks_only = is_hand(models["planner"]) and not question.said.plan  # which is no run to keep
    history, tools = None if asks_only else history_of(desk), _tools_for(desk, question, again)
    try:
        settings["engine"] = read_engine(desk.setting(given, "engine"), desk.memory.names.visible())
        budget = None if is_grid(given) else given.get("budget")  # a grid's is for all its runs together
        compiler = Compiler(None, tools, **(roles | settings), budget=budget, history=history)
        if desk.memory.examples and not question.said.plan:
            _show_examples(desk, compiler)
    except (ValueError, TypeError) as error:
        raise OptionError(str(error)) from None
    compiler.seen = desk.memory.seen
    if compiler.settings.cache != "off":
        compiler.cache = cache_in(desk)
    return compiler


def _tools_for(desk: Desk, question: Question, again: Run | None) -> Toolbox:
    """Return the tools that a cell names; if it names none, those of the notebook, and those that need no name."""
    given, names = question.said.given, desk.memory.names
    tools = names.tools(given.get("tools"))
    if "tools" in given:
        return tools
    called = called_in(question.said.plan) if again is None else {each.tool for each in again.progress.tasks.values()}
    return tools.plus(offered_unasked(question.inputs, called, names.visible()))


def _show_examples(desk: Desk, compiler: Compiler) -> None:
    """Have the planner shown the notebook's examples, as far as they fit; a warning says which do not, and why."""
    settings = compiler.settings
    pairs, left_out = fitting(desk.memory.examples, settings.dialect, settings.tools)
    for words in left_out:
        warnings.warn(words, stacklevel=2)
    compiler.settings = replace(settings, examples=tuple(pairs))
    compiler.given["examples"] = tuple(pairs)  # of which its variants are made
