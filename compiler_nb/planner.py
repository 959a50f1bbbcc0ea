"""The planner: a question and tools go in, tasks come out while the model speaks."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from compiler_nb.drawing.value import cut
from compiler_nb.errors import ModelError
from compiler_nb.outcome import NOT_DONE, Problem, shorten
from compiler_nb.plan.check import TEXT_LIMIT
from compiler_nb.plan.expression import Fanout
from compiler_nb.plan.task import walk
from compiler_nb.prompts import Prompt, fill, load
from compiler_nb.prompts.data import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from compiler_nb.models.base import Message, Model, Request
    from compiler_nb.models.calls import Calls
    from compiler_nb.plan.builder import Builder
    from compiler_nb.plan.parser import PlanParser
    from compiler_nb.plan.task import Plan, Task
    from compiler_nb.tool import Toolbox

Example: TypeAlias = tuple[str, str]
"""A question and the text of a good plan for it."""
CUT: Final = frozenset({"", "length", "content_filter"})
"""Why a model stopped, where it had not said all."""
_TEXT_SHOWN: Final = 50_000
_LINE_SHOWN: Final = 160
_KEPT: Final = 8
_READABLE: Final = re.compile(r"\w+")
"""An id that a plan can name: not `note.1` or `@2`, which stand for calls without a name of their own."""
_COLUMNS: Final = 40
_KEYS: Final = 12
_FIELD_LENGTH: Final = 30


class Earlier(NamedTuple):
    """What a replan request shows: the plan so far, results by name and schema, failures, and the reason."""

    plan: str
    results: Mapping[str, str]
    failures: Mapping[str, str]
    reason: str


def system_prompt(dialect: str, tools: Toolbox, examples: Sequence[Example] = (), text: str = "") -> Prompt:
    """Return the part of the planner's prompt that does not change between questions; `text` replaces the file's.

    Role, rules and the dialect's own examples come first: they are the same in every notebook. The user's examples do
    not replace ours: theirs show their tools, ours the language, and few show a fan-out or a choice.
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
    """Return the messages of a planner's (or, with `earlier`, a replan) request: what is stable comes first."""
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
    told: list[str] = []
    for source, found in groupby(problems, lambda problem: (problem.line, _source(problem, lines))):
        told += [f"- line {problem.line}: {problem.message}" for problem in found]
        told += [f"    {source[1]}"] if source[1] else []
    request = fill(load("repair"), problems="\n".join(told)).strip()
    said = shorten(text, _TEXT_SHOWN) if text.strip() else "(nothing)"
    return [*messages, {"role": "assistant", "content": said}, {"role": "user", "content": request}]


def _source(problem: Problem, lines: Sequence[str]) -> str:
    """Return the line that has a problem, of a long one what begins there; "" where there is no such line."""
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    rest = line if len(line) <= _LINE_SHOWN else f"… {line[problem.column - 1 :][:_LINE_SHOWN]}"
    return cut(rest.strip(), _LINE_SHOWN)


def _framed(name: str, rows: Mapping[str, str]) -> str:
    """Return rows as a block of data: names of columns and messages of tools are nobody's instructions."""
    return frame(name, "\n".join(f"{key}: {text}" for key, text in rows.items())) if rows else "(none)"


async def write_plan(
    calls: Calls, model: Model, request: Request, parser: PlanParser, take: Callable[[Task], None]
) -> bool:
    """Feed a model's reply to the parser, and each task to `take` as soon as it is complete.

    Returns whether the model ended of itself; what goes on after the longest text that can be a plan is not read.
    Raises a ModelError where the call failed, or the reply broke off and so is no plan; the parser then holds what had
    arrived, and is closed as cut off.
    """
    finish, length, fault = "", 0, None
    reply = calls.open(model, request)
    whole: list[Task] = []
    try:
        async with reply:
            async for text in reply:
                for task in parser.feed(text):
                    take(task)
                    whole.append(task)
                length += len(text)
                if length > TEXT_LIMIT:
                    break
            finish = reply.finish
    except ModelError as error:
        fault = error
    finally:
        complete = finish not in CUT
        for task in parser.close(complete):
            take(task)
            whole.append(task)
    if fault is None and not complete and _is_cut(parser):
        fault = reply.stopped() if finish else reply.cut()
        fault.retryable = True  # it is asked for a mended plan, which may be shorter or come through
    if fault is not None:
        earlier = sum(message["role"] == "assistant" for message in request.messages)  # each a plan that was no good
        fault.attempts, fault.kept = earlier + reply.tried, _kept(whole, parser.builder)
        raise fault
    return complete


def _is_cut(parser: PlanParser) -> bool:
    """Whether a text that its author did not end is no plan for that reason alone: where side effects wait, too."""
    builder = parser.builder
    if builder.problems:
        return all(problem.kind == "truncated" for problem in builder.problems)
    return any(_has_effects(task, builder) for task in builder.tasks)


def _has_effects(task: Task, builder: Builder) -> bool:
    tools = builder.tools or {}
    return any(tools[name].side_effects for name in tools_of(task) if name in tools)


def tools_of(task: Task) -> list[str]:
    """Return the names of the tools that a task calls."""
    return [task.tool, *(step.tool for node in walk(task) if isinstance(node, Fanout) for step in node.steps)]


def _kept(whole: Iterable[Task], builder: Builder) -> str:
    """Return which tasks stay, with what they give, when a plan broke off: not those that wait for side effects."""
    ids: list[str] = []
    held: set[str] = set()
    for task in whole:
        if _has_effects(task, builder) or not held.isdisjoint(task.dependencies):
            held.add(task.id)
        elif _READABLE.fullmatch(task.id):
            ids.append(task.id)
    named = [", ".join(ids[:_KEPT])] if ids else []
    named += [f"{len(ids) - _KEPT} more"] if len(ids) > _KEPT else []
    named += ["all that ran before"] if builder.earlier.keys() - ids else []
    return f"kept: {' and '.join(named)}" if named else "no task was whole"


def describe_schema(value: Any, depth: int = 2) -> str:
    """Return a value's type and shape in words, never its contents: what a planner may know of it."""
    kind = type(value)
    name = kind.__name__
    try:
        columns, dtypes = getattr(value, "columns", None), getattr(value, "dtypes", None)
        if columns is not None and dtypes is not None and hasattr(value, "iloc"):
            shown = ", ".join(f"{column}: {dtype}" for column, dtype in zip(columns[:_COLUMNS], dtypes, strict=False))
            more = f", … {len(columns) - _COLUMNS} more" if len(columns) > _COLUMNS else ""
            return f"{name} of {len(value):,} rows ({shown}{more})"
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            return f"{name} of shape {tuple(value.shape)}, {value.dtype}"
        if kind in (list, tuple, set, frozenset):
            inner = describe_schema(next(iter(value)), depth - 1) if value and depth else ""
            return f"{name} of {len(value):,}{f' {inner}' if inner else ''}"
        if kind is dict:
            return _describe_dict(value, depth)
    except Exception as error:  # noqa: BLE001 - a user's object may raise anything
        return f"{name} (its shape cannot be read: {type(error).__name__})"  # what it says may tell contents
    return name


def _is_field(key: Any) -> bool:
    """Whether a dict's key looks like the name of a field, which is schema, and not like data: `max`, not `AAPL`."""
    return type(key) is str and key.isidentifier() and key.islower() and len(key) <= _FIELD_LENGTH


def _describe_dict(value: dict[Any, Any], depth: int) -> str:
    keys = list(value)[: _KEYS + 1]
    if 0 < len(value) <= _KEYS and all(_is_field(key) for key in keys) and depth:
        inner = ", ".join(f"{key}: {describe_schema(value[key], depth - 1)}" for key in keys)
        return f"dict ({inner})"
    if value and depth:
        key, item = next(iter(value.items()))
        return f"dict of {len(value):,} {type(key).__name__} to {describe_schema(item, depth - 1)}"
    return f"dict of {len(value):,}"


def earlier_of(plan: Plan | None, outcomes: Mapping[str, Any], known: Iterable[Task], reason: str) -> Earlier:
    """Return what a replan request shows of the rounds so far."""
    results: dict[str, str] = {}
    failures: dict[str, str] = {}
    for task in known:
        outcome = outcomes.get(task.id)
        if task.id not in outcomes or "[" in task.id:
            continue
        if isinstance(outcome, NOT_DONE):
            failures[task.id] = str(outcome)[:500]
        elif _READABLE.fullmatch(task.id):
            results[task.id] = describe_schema(outcome)
    return Earlier(plan.text if plan is not None else "", results, failures, reason)
