"""The requests to a planner: for a plan, for a repaired plan, and for another plan after a round.

A planner sees the types and shapes of values, never their contents, unless the user allows a preview.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from compiler_nb.errors import Problem
from compiler_nb.models.base import Message
from compiler_nb.operations.functions import FUNCTIONS
from compiler_nb.outcome import is_lost
from compiler_nb.plan.check import SURROGATE
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.refusals import spell_methods
from compiler_nb.plan.task import Task
from compiler_nb.planner.arguments import describe_arguments
from compiler_nb.prompts import Prompt, fill, load, load_worded
from compiler_nb.prompts.data import frame, frame_rows, outside
from compiler_nb.prompts.missing import NoteTable
from compiler_nb.prompts.shapes import Looks, shape_of, spell_sized
from compiler_nb.text import cut, shorten, shorten_value, type_name
from compiler_nb.tool import Toolbox

_TEXT_SHOWN: Final = 50_000
_LINE_SHOWN: Final = 160
SET_BY_USER: Final = "set by the user"
"""What planners and joiners are told of a value that no tool has returned."""
READABLE: Final = re.compile(r"\w+")
"""An id that a plan can name: not `note.1` or `@2`, which stand for calls without a name of their own."""


class Earlier(NamedTuple):
    """What a replan request shows: the plan so far, results by name and schema, failures, and the reason.

    effects: the calls with side effects that were made, and what became of them, by name.
    """

    plan: str
    results: Mapping[str, str]
    failures: Mapping[str, str]
    reason: str
    effects: Mapping[str, str] = {}


def system_prompt(
    dialect: str,
    tools: Toolbox,
    examples: Sequence[tuple[str, str]] = (),
    text: str = "",
    shapes: Mapping[str, str] | None = None,
    *,
    wording: str = "full",
    named: Sequence[str] = (),
) -> Prompt:
    """Return the part of the planner's prompt that does not change between questions.

    examples: questions and good plans for them; text: replaces the file's; shapes: of what tools returned before. They
    do not count for the prompt's version, which says what people wrote and must not change with results. named: lines
    that name tools which are not described.

    Role, rules and the dialect's own examples come first: they are the same in every notebook, so a provider can cache
    them. The user's examples come in addition to ours: theirs show their tools, ours show the language.
    """
    shown = "".join(f"\nQuestion: {question}\n{plan.strip()}\n" for question, plan in examples)
    filled = fill(
        Prompt("planner", text) if text else load_worded("planner", wording),
        rules=rules(dialect, wording),
        tools="\n".join([*listed(tools, shapes or {}, wording), *named]) or "(none)",
        examples=f"\nExamples with these tools\n{shown}" if shown else "",
    )
    return Prompt("planner", filled.strip())


def listed(tools: Toolbox, seen: Mapping[str, str], wording: str = "full") -> list[str]:
    """Return what a planner is told of each tool; seen: the shapes of what they returned."""
    said = [f"{tool.signature}: {tool.purpose}" if wording == "small" else tool.description for tool in tools.values()]
    more = [(describe_arguments(tool), f"seen: {seen[name]}" if name in seen else "") for name, tool in tools.items()]
    return ["\n    ".join(filter(None, (each, *rest))) for each, rest in zip(said, more, strict=True)]


def rules(dialect: str, wording: str = "full") -> str:
    """Return what a planner is told of a dialect; the functions and methods are those of the evaluator's own tables."""
    return fill(load_worded(dialect, wording), functions=", ".join(FUNCTIONS), methods=spell_methods()).strip()


def ask_for_plan(
    system: str,
    question: str,
    inputs: Mapping[str, str],
    earlier: Earlier | None = None,
    *,
    samples: Iterable[tuple[str, str]] = (),
    wording: str = "full",
    answer: str = "",
    talk: str = "",
) -> list[Message]:
    """Return the messages of a planner's request, with `earlier` of a replan request; what changes least is first.

    samples: questions and plans that are shown as if they had been asked and answered before; answer: what the answer
    is to be, in a line, "" if that is open; talk: what is told of the questions before it, "" if it follows none.
    """
    messages: list[Message] = [{"role": "system", "content": system}]
    for asked, plan in samples:
        messages += [{"role": "user", "content": f"Question: {asked}"}, {"role": "assistant", "content": plan.strip()}]
    parts = []
    if inputs:
        offered = frame_rows("variables", inputs)
        parts.append(f"Offered variables (use them by name; only their shapes are shown)\n{offered}")
    parts += [talk] if talk else []
    parts.append(f"Question: {outside(question)}" + f"\n{answer}" * bool(answer))
    if earlier is not None:
        parts.append(fill(
            load_worded("replan", wording),
            plan=earlier.plan.strip() or "(none)",
            results=frame_rows("results", earlier.results) + _done(earlier.effects),
            failures=frame_rows("failures", earlier.failures),
            reason=frame("reason", earlier.reason),
        ).strip())  # fmt: skip
    return [*messages, {"role": "user", "content": "\n\n".join(parts)}]


def _done(effects: Mapping[str, str]) -> str:
    """Return the part of a replan request about side effects, "" if there were none."""
    told = "Calls with side effects so far: one that is done is not made again, so read its result by name"
    return f"\n\n{told}\n{frame_rows('effects', effects)}" if effects else ""


def ask_for_repair(
    messages: Sequence[Message], text: str, problems: Iterable[Problem], tools: Sequence[str] = ()
) -> list[Message]:
    """Return the messages that show a planner its own text and what is wrong with it, line by line.

    tools: descriptions of tools that the text calls, or may mean, and that were only named before.
    """
    text = SURROGATE.sub("\ufffd", text)  # half a character cannot be sent
    lines = text.split("\n")
    listed: list[str] = []
    for source, found in groupby(problems, lambda problem: (problem.line, _source(problem, lines))):
        listed += [f"- line {problem.line}: {problem.message}" for problem in found]
        listed += [f"    {source[1]}"] if source[1] else []
    request = fill(load("repair"), problems="\n".join(listed)).strip()
    if tools:
        request += "\n\nThese tools are called so:\n" + "\n".join(tools)
    said = shorten(text, _TEXT_SHOWN) if text.strip() else "(nothing)"
    return [*messages, {"role": "assistant", "content": said}, {"role": "user", "content": request}]


def _source(problem: Problem, lines: Sequence[str]) -> str:
    """Return the line that has a problem, a long one from the problem on; "" if there is no such line."""
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    rest = line if len(line) <= _LINE_SHOWN else f"… {line[problem.column - 1 :][:_LINE_SHOWN]}"
    return cut(rest.strip(), _LINE_SHOWN)


def earlier_of(
    plan: Plan | None,
    outcomes: Mapping[str, Any],
    known: Iterable[Task],
    reason: str,
    *,
    preview: bool = False,
    given: Collection[str] = (),
    notes: NoteTable | None = None,
) -> Earlier:
    """Return what a replan request shows of the rounds so far: values by schema, with `preview` shortened too.

    given: the tasks whose values the user gave; notes: as for `describe_schema`.
    """
    known = list(known)
    by_user = {task.version_of or task.id for task in known if task.id in given}
    ended = {task.version_of or task.id: outcomes[task.id] for task in known if task.id in outcomes and not task.owner}
    failures = {id_: str(end)[:500] for id_, end in ended.items() if is_lost(end)}
    results = {
        id_: describe_schema(value, notes)
        + f" ({SET_BY_USER})" * (id_ in by_user)
        + (f": {shorten_value(value)}" if preview else "")
        for id_, value in ended.items()
        if id_ not in failures and READABLE.fullmatch(id_)
    }
    return Earlier(plan.text if plan is not None else "", results, failures, reason)


# -------------------------------------------------------------------- values


def describe_schema(value: Any, notes: NoteTable | None = None) -> str:
    """Return a value's type and shape in words, never its contents: what a planner may know of it.

    notes: what is said of tables' columns beside their types.
    """
    try:
        return spell_sized(shape_of(value, Looks(notes=notes)))
    except Exception as error:  # noqa: BLE001 - a user's object may raise anything
        return f"{type_name(value)} (its shape cannot be read: {type_name(error)})"  # its message may hold contents
