"""The requests to a planner: for a plan, for a repaired plan, and for another plan after a round."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple, TypeAlias

from compiler_nb.errors import Problem
from compiler_nb.models.base import Message
from compiler_nb.outcome import NOT_DONE
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.planner.schema import describe_schema
from compiler_nb.prompts import Prompt, fill, load
from compiler_nb.prompts.data import frame
from compiler_nb.text import cut, shorten, shorten_value
from compiler_nb.tool import Toolbox

Example: TypeAlias = tuple[str, str]
"""A question and the text of a good plan for it."""
_TEXT_SHOWN: Final = 50_000
_LINE_SHOWN: Final = 160
READABLE: Final = re.compile(r"\w+")
"""An id that a plan can name: not `note.1` or `@2`, which stand for calls without a name of their own."""


class Earlier(NamedTuple):
    """What a replan request shows: the plan so far, results by name and schema, failures, and the reason."""

    plan: str
    results: Mapping[str, str]
    failures: Mapping[str, str]
    reason: str


def system_prompt(dialect: str, tools: Toolbox, examples: Sequence[Example] = (), text: str = "") -> Prompt:
    """Return the part of the planner's prompt that does not change between questions; `text` replaces the file's.

    Role, rules and the dialect's own examples come first: they are the same in every notebook, so a provider can cache
    them. The user's examples come in addition to ours: theirs show their tools, ours show the language.
    """
    frame = load("planner")
    if text:
        frame = Prompt(frame.name, text)
    shown = "".join(f"\nQuestion: {question}\n{plan.strip()}\n" for question, plan in examples)
    parts = {
        "rules": load(dialect).text.strip(),
        "tools": tools.description or "(none)",
        "examples": f"\nExamples with these tools\n{shown}" if shown else "",
    }
    return Prompt(frame.name, fill(frame, **parts).strip())


def ask_for_plan(
    system: str, question: str, inputs: Mapping[str, str], earlier: Earlier | None = None
) -> list[Message]:
    """Return the messages of a planner's request, with `earlier` of a replan request; what changes least is first."""
    parts = []
    if inputs:
        offered = _framed("variables", inputs)
        parts.append(f"Offered variables (use them by name; only their shapes are shown)\n{offered}")
    parts.append(f"Question: {question}")
    if earlier is not None:
        parts.append(fill(
            load("replan"),
            plan=earlier.plan.strip() or "(none)",
            results=_framed("results", earlier.results),
            failures=_framed("failures", earlier.failures),
            reason=frame("reason", earlier.reason),
        ).strip())  # fmt: skip
    return [{"role": "system", "content": system}, {"role": "user", "content": "\n\n".join(parts)}]


def ask_for_repair(messages: Sequence[Message], text: str, problems: Iterable[Problem]) -> list[Message]:
    """Return the messages that show a planner its own text and what is wrong with it, line by line."""
    lines = text.split("\n")
    listed: list[str] = []
    for source, found in groupby(problems, lambda problem: (problem.line, _source(problem, lines))):
        listed += [f"- line {problem.line}: {problem.message}" for problem in found]
        listed += [f"    {source[1]}"] if source[1] else []
    request = fill(load("repair"), problems="\n".join(listed)).strip()
    said = shorten(text, _TEXT_SHOWN) if text.strip() else "(nothing)"
    return [*messages, {"role": "assistant", "content": said}, {"role": "user", "content": request}]


def _source(problem: Problem, lines: Sequence[str]) -> str:
    """Return the line that has a problem, a long one from the problem on; "" if there is no such line."""
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    rest = line if len(line) <= _LINE_SHOWN else f"… {line[problem.column - 1 :][:_LINE_SHOWN]}"
    return cut(rest.strip(), _LINE_SHOWN)


def _framed(name: str, rows: Mapping[str, str]) -> str:
    """Return rows as a block of data: names of columns and messages of tools must not be read as instructions."""
    return frame(name, "\n".join(f"{key}: {text}" for key, text in rows.items())) if rows else "(none)"


def earlier_of(
    plan: Plan | None, outcomes: Mapping[str, Any], known: Iterable[Task], reason: str, *, preview: bool = False
) -> Earlier:
    """Return what a replan request shows of the rounds so far: values by schema, with `preview` shortened too."""
    results: dict[str, str] = {}
    failures: dict[str, str] = {}
    for task in known:
        outcome = outcomes.get(task.id)
        if task.id not in outcomes or task.owner:
            continue
        if isinstance(outcome, NOT_DONE):
            failures[task.id] = str(outcome)[:500]
        elif READABLE.fullmatch(task.id):
            shown = f": {shorten_value(outcome)}" if preview else ""
            results[task.id] = describe_schema(outcome) + shown
    return Earlier(plan.text if plan is not None else "", results, failures, reason)
