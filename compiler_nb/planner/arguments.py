"""What a planner is told of arguments whose types do not say by their names what is written: enumerations, records."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final
from weakref import WeakKeyDictionary

from compiler_nb.grammar.domain import Domain, domain_of
from compiler_nb.signature.arguments import Parameter
from compiler_nb.text import shorten
from compiler_nb.tool import Tool

MOST: Final = 20
"""Values of an enumeration, and fields of a record, that are shown."""
LEVELS: Final = 5
"""Containers within each other that are shown."""
_LENGTH: Final = 400
_ANY: Final = {"text", "number", "boolean", "none"}
_TYPES: Final = {
    "text": "str", "integer": "int", "number": "float", "boolean": "bool", "none": "None", "opaque": "a result",
}  # fmt: skip


_KNOWN: Final = WeakKeyDictionary[Tool, str]()
"""What is told of tools: of thousands each question looks at many again."""


def describe_arguments(tool: Tool) -> str:
    """Return a line such as `where unit is "C" or "F"; order is {"id": str, "days"?: int}`, "" if nothing needs it."""
    if tool not in _KNOWN:
        _KNOWN[tool] = _line(tool)
    return _KNOWN[tool]


def _line(tool: Tool) -> str:
    told = [(each.name, _describe(each)) for each in tool.parameters if each.check is not None]
    shown = "; ".join(f"{name} is {words}" for name, words in told if words)
    return f"where {shown}" if shown else ""


def _describe(parameter: Parameter) -> str:
    """Return what is written for a parameter, and what its annotation adds; "" if its type's name says it all."""
    domain, notes = domain_of(parameter.hint, LEVELS), ", ".join(dict.fromkeys(_notes(parameter.hint)))
    kinds = set(_kinds(domain))
    is_told = "record" not in kinds and ("values" not in kinds or "Literal[" in parameter.annotation)
    if is_told and not notes:
        return ""
    words = shorten(spell(domain), _LENGTH)
    return f"{words} ({shorten(notes, _LENGTH)})" if notes else words


def spell(domain: Domain) -> str:  # noqa: PLR0911 - one line for each kind
    """Return the literals of a domain in words, as plans write them; a question mark stands for "may be left out"."""
    parts = [spell(each) for each in domain.parts]
    match domain.kind:
        case "values":
            return " or ".join(_some([_literal(value) for _, value in domain.values]))
        case "union" if {each.kind for each in domain.parts} >= _ANY:
            return "any value"
        case "union":
            return " or ".join(dict.fromkeys(parts))
        case "list":
            return f"[{parts[0]}]"
        case "fixed":
            return f"[{', '.join(parts)}]"
        case "table":
            return f"dict of str to {parts[0]}"
        case "record":
            fields = [f"{json.dumps(name)}{'' if must else '?'}: {spell(each)}" for name, each, must in domain.fields]
            return f"{{{', '.join(_some(fields))}}}"
    return _TYPES.get(domain.kind, domain.kind)


def _some(shown: list[str]) -> list[str]:
    return [*shown[:MOST], "…"] if len(shown) > MOST else shown


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _kinds(domain: Domain) -> Iterator[str]:
    yield domain.kind
    yield from chain(*map(_kinds, domain.parts), *(_kinds(each) for _, each, _ in domain.fields))


def _notes(hint: Any) -> Iterator[str]:
    """Yield what `Annotated` says of a type, in words: descriptions and limits (`gt=0`)."""
    first, *more = typing.get_args(hint) or (None,)
    if typing.get_origin(hint) is typing.Annotated:
        yield from _notes(first)
        yield from chain(*map(_note, more))
    elif type(None) in more:  # because its default is None
        yield from _notes(first)


def _note(note: Any) -> Iterator[str]:
    if isinstance(note, str):
        yield note
    elif dataclasses.is_dataclass(note) and not isinstance(note, type):  # a limit, as pydantic's are
        limits = {field.name: getattr(note, field.name) for field in dataclasses.fields(note)}
        yield from (f"{name}={limit!r}" for name, limit in limits.items() if isinstance(limit, int | float | str))
    else:
        said = getattr(note, "description", None)
        yield from [said] if isinstance(said, str) else []
        inner = getattr(note, "metadata", ())
        yield from chain(*map(_note, inner)) if isinstance(inner, list | tuple) else ()
