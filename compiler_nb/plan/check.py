"""The limits of a plan's text, and what can be wrong with names, literals and calls of tools."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from compiler_nb.plan.tree import Expression, Tree, walk
from compiler_nb.signature.names import NAME_LIMIT, fault_of_name
from compiler_nb.text import suggest
from compiler_nb.tool import Tool

TEXT_LIMIT: Final = 1_000_000
STATEMENT_LIMIT: Final = 256_000
STRING_LIMIT: Final = 200_000
DEPTH_LIMIT: Final = 20
TASK_LIMIT: Final = 10_000
EDGE_LIMIT: Final = 100_000
ARGUMENT_LIMIT: Final = 256
ALIKE_LIMIT: Final = 50
"""Most members of a set, or keys of a dict, with the same hash: each is compared with all others."""
DIGIT_LIMIT: Final = 300
NEAR: Final = 1_000
"""Most names that are looked at to explain a problem."""

SURROGATE: Final = re.compile("[\ud800-\udfff]")
CONTROL: Final = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u2028-\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, line separators that only some programs know, and characters that reverse the reading order."""
_IN_LITERAL: Final = re.compile("[\x00\u202a-\u202e\u2066-\u2069]")


class Refused(Exception):
    """A part of a plan's text is wrong: kind and message of the problem, and where it is.

    place: the index in the text that was being read, or the node of Python's syntax tree.
    """

    def __init__(self, kind: str, message: str, place: Any = 0) -> None:
        super().__init__(message)
        self.kind, self.message, self.place = kind, message, place


def find_characters(text: str, *, literal: bool = False) -> list[tuple[str, str, int]]:
    """Return (kind, message, index) of the first character of each kind that a plan may not hold, in their order.

    literal: whether the text is the value of a string literal. An escape may put any character there but NUL and those
    that reverse the reading order.
    """
    if text.isascii() and text.isprintable():
        return []
    searched = (
        (
            "control_char",
            _IN_LITERAL if literal else CONTROL,
            "the text holds the control character {!a}; leave it out",
        ),
        ("encoding", SURROGATE, "the text holds a lone surrogate, {!a}; write the character itself"),
    )
    hits = ((kind, message, pattern.search(text)) for kind, pattern, message in searched)
    found = [(kind, message.format(hit[0]), hit.start()) for kind, message, hit in hits if hit]
    return sorted(found, key=lambda each: each[2])


def check_name(name: str, place: Any = 0) -> None:
    """Raise Refused if a plan may not give a task this name."""
    if fault := fault_of_name(name):
        raise Refused(fault.kind, f"{fault.what}; {fault.fix}", place)


def check_literal(value: Any, place: Any = 0) -> None:
    """Raise Refused if a plan may not hold this literal."""
    if isinstance(value, str):
        if len(value) > STRING_LIMIT:
            raise Refused(
                "too_large",
                f"a string of {len(value):,} characters; at most {STRING_LIMIT:,} are allowed: offer it as an input",
                place,
            )
        for kind, message, _ in find_characters(value, literal=True):
            raise Refused(kind, message, place)
    elif isinstance(value, float) and not math.isfinite(value):
        raise Refused("non_finite", "the number is not finite: write one that a float can hold", place)
    elif isinstance(value, int) and abs(value) >= 10**DIGIT_LIMIT:
        raise Refused(
            "too_large",
            f"an integer has more than {DIGIT_LIMIT} digits; at most {DIGIT_LIMIT} are allowed: write it as text",
            place,
        )


def check_alike(count: int, place: Any = 0) -> None:
    """Raise Refused if too many members of a set, or keys of a dict, have the same hash."""
    if count > ALIKE_LIMIT:
        raise Refused(
            "too_large",
            f"more than {ALIKE_LIMIT} members of a set, or keys of a dict, have the same hash, and each is compared "
            "with all others: write a list of them",
            place,
        )


def one_line(text: str) -> str:
    """Return a note as one line; a carriage return within it is shown as an escape."""
    lines = (CONTROL.sub(" ", line).strip() for line in text.split("\n"))
    return " ".join(line for line in lines if line).replace("\r", "\\r")


def leads(reads: Mapping[str, Iterable[str]], start: str, goal: str) -> bool:
    """Whether `start` reads `goal`, directly or indirectly; only the nearest thousand are looked at."""
    seen, open_ = {start}, [start]
    for name in open_:
        if name == goal:
            return True
        new = set(reads.get(name, ())) - seen if len(seen) < NEAR else set()
        seen |= new
        open_ += sorted(new)
    return False


def check_tool(name: str, tools: Mapping[str, Tool] | None, functions: Collection[str] = ()) -> tuple[str, str] | None:
    """Return (kind, message) if there is no such tool, otherwise None. functions: names that may be meant, too."""
    if tools is None or name in tools:
        return None
    shown = name if len(name) <= NAME_LIMIT else f"{name[:NAME_LIMIT]}…"
    offered = ", ".join(list(tools)[:20]) or "none"
    return "unknown_tool", f"no tool is called {shown!r}.{suggest(name, [*tools, *functions])} The tools are: {offered}"


def check_arguments(tool: Tool, args: tuple[Tree, ...], kwargs: Mapping[str, Tree]) -> list[str]:
    """Return what is wrong with a call's arguments, as far as the plan's text shows."""
    problems = [f"{tool.name} {problem}: {tool.signature}" for problem in tool.fit(args, kwargs)]
    places: list[tuple[int | str, Tree]] = [*enumerate(args), *kwargs.items()]
    for position, tree in places:
        parameter = tool.parameter_of(position)
        if parameter is None or parameter.check is None or isinstance(tree, Expression):
            continue
        if parameter.kind is parameter.kind.VAR_POSITIONAL and position == parameter.name:
            continue
        if not is_literal(tree):
            tree = type(tree)()  # noqa: PLW2901 - only the type of the container can be judged
            if parameter.annotation not in ("str", "int", "float", "bool", "list", "dict", "tuple", "set"):
                continue
        try:
            parameter.check(tree)
        except (TypeError, ValueError) as error:
            problems.append(f"{tool.name}: {parameter.name!r} {error}: {tool.signature}")
    return problems


def is_literal(tree: Tree) -> bool:
    """Whether a tree holds no expression, so that its value is known now."""
    return not any(True for _ in walk(tree))
