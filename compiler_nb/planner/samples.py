"""Examples with a user's own tools, made from their signatures: what a small model copies instead of reading rules.

They are the same each time. The values in an example's question are those in its plan, so that it shows what to do with
a question's own words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any, Final, TypeAlias

from compiler_nb.errors import PlanError
from compiler_nb.grammar.domain import Domain, any_domain, domain_of
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import JOIN, Task
from compiler_nb.text import cut
from compiler_nb.tool import Tool, Toolbox

MOST: Final = 3
"""Examples that are made at most."""
LENGTH: Final = 600
"""Characters of all plans of the examples together, at least if there are several."""
_WORDS: Final = ("Alba", "Brin", "Cora", "Dain", "Elva", "Fenn", "Gilo", "Hale", "Ines", "Jory", "Kati", "Lund")
_PURPOSE: Final = 100
_SENTENCE: Final = re.compile(r"[.!?:](?:\s|$)")
_POSITIONS: Final = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")


class Unsayable(Exception):
    """No literal of a type can be written."""


class Values:
    """Makes values of any type, different ones each time."""

    def __init__(self) -> None:
        self.words = (f"{word}{number or ''}" for number in count() for word in _WORDS)
        self.numbers = count(3)

    def of(self, domain: Domain) -> Any:  # noqa: C901, PLR0911 - one line for each kind
        """Return a value of a domain. Raises Unsayable if none can be written."""
        match domain.kind:
            case "text":
                return next(self.words)
            case "integer" | "number":
                return next(self.numbers)
            case "boolean":
                return True
            case "none":
                return None
            case "date":
                return f"2026-05-{next(self.numbers) % 28 + 1:02}"
            case "datetime":
                return f"2026-05-{next(self.numbers) % 28 + 1:02}T09:00"
            case "values" if domain.values:
                return domain.values[0][1]
            case "list":
                return [self.of(domain.parts[0])]
            case "fixed":
                return list(map(self.of, domain.parts))
            case "table":
                return {next(self.words): self.of(domain.parts[0])}
            case "union":
                return self.of(domain.parts[0])
            case "record":
                return {name: self.of(each) for name, each, required in domain.fields if required}
        raise Unsayable

    def arguments(self, tool: Tool) -> dict[str, Any]:
        """Return values for the arguments that a tool needs, by name. Raises Unsayable if one has none."""
        return {
            each.name: self.of(domain_of(each.hint) if each.check else any_domain())
            for each in tool.parameters
            if each.required
        }


Sampled: TypeAlias = tuple[Tool, dict[str, Any]]
"""A tool, and the arguments that it is called with."""


def make_samples(tools: Toolbox, dialect: str) -> list[tuple[str, str]]:
    """Return a few questions and plans for them, which call these tools and are accepted; none if no tool can be.

    The last one has two calls, the others one. Tools without side effects go first; `llm` and `extract`, which are
    always there, are called only if there are no others.
    """
    values = Values()
    usable = [tool for tool in tools.values() if tool.regular] or list(tools.values())
    usable.sort(key=lambda tool: tool.side_effects)
    singles: list[tuple[str, str]] = []
    double: list[tuple[str, str]] = []
    for tool in usable:
        if len(singles) + len(double) == MOST:
            break
        wanted = 1 if double or not tool.parameters else 2
        made = _sample(tool, wanted, values, tools, dialect)
        written = sum(len(plan) for _, plan in (*singles, *double))
        if made is not None and (not written or written + len(made[1]) <= LENGTH):
            (double if wanted > 1 else singles).append(made)
    return [*singles, *double]


def _sample(tool: Tool, times: int, values: Values, tools: Toolbox, dialect: str) -> tuple[str, str] | None:
    """Return a question and the plan that answers it by so many calls of a tool, None if there is no such plan."""
    try:
        given = [values.arguments(tool) for _ in range(times)]
        plan = WRITERS[dialect]([(tool, each) for each in given])
        Plan.parse(plan, dialect=dialect, tools=tools)
    except (Unsayable, PlanError):  # a value may also be refused by a validator of the user's
        return None
    said = [", ".join(_said(list(each.values()))) for each in given]
    sentence = _SENTENCE.split(tool.purpose)[0] if tool.function.__doc__ else tool.name.replace("_", " ")
    purpose = cut(sentence, _PURPOSE)
    return f"{purpose}: {' or '.join(said)}?" if any(said) else f"{purpose}?", plan


def _said(value: Any) -> Iterator[str]:
    """Yield the words of a value that a question would say."""
    if isinstance(value, dict | list):
        for each in chain(*value.items()) if isinstance(value, dict) else value:
            yield from _said(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


# -------------------------------------------------------------------- as text


def _tasks(calls: Sequence[Sampled], *, named: bool) -> tuple[Task, ...]:
    """Return the calls as tasks; named: all arguments are given by name."""
    tasks = []
    for number, (tool, given) in enumerate(calls, 1):
        placed = [] if named else [p.name for p in tool.parameters if p.name in given and p.kind.name in _POSITIONS]
        kwargs = {name: value for name, value in given.items() if name not in placed}
        tasks.append(Task(f"t{number}", "call", tool.name, tuple(given[name] for name in placed), kwargs))
    return tuple(tasks)


def _lines(dialect: str) -> Callable[[Sequence[Sampled]], str]:
    return lambda calls: Plan(_tasks(calls, named=False), JOIN).to_text(dialect).strip()


def _json(calls: Sequence[Sampled]) -> str:
    """Return the plan as the grammar of json writes it: without optional parts."""
    written = json.loads(Plan(_tasks(calls, named=True), JOIN).to_text("json"))["tasks"][: len(calls)]
    rows = [json.dumps({key: row[key] for key in ("id", "tool", "args")}, ensure_ascii=False) for row in written]
    return '{"tasks": [\n  ' + ",\n  ".join(rows) + "\n]}"


WRITERS: Final[Mapping[str, Callable[[Sequence[Sampled]], str]]] = {
    "python": _lines("python"),
    "numbered": _lines("numbered"),
    "json": _json,
}
