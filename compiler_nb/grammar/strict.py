"""A weaker JSON schema of the json dialect, of the few words that strict modes take (OpenAI's, Azure's).

There every field must be given, and there are neither patterns nor lists of fixed places nor dicts with free keys. So a
reference is any text, a task may refer to a later one, and a call with optional arguments is one of several objects.
What this schema cannot say (also how many tasks there are at least) is checked as always, and repaired.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import combinations
from typing import Any, Final

from compiler_nb.grammar.domain import Domain, any_domain, domain_of
from compiler_nb.grammar.schema import Schema, compact, escaped
from compiler_nb.grammar.spelling import Leeway
from compiler_nb.signature.arguments import Parameter
from compiler_nb.signature.names import is_nameable
from compiler_nb.tool import Tool

OPTIONAL: Final = 3
"""Most optional arguments for which every choice is listed; of more, only none, each alone, and all."""
_REFERENCE: Final = {"type": "string", "description": "the result of an earlier task, such as $t1 or $t1.name"}


def to_strict_schema(tools: Mapping[str, Tool], leeway: Leeway) -> str:
    """Return the schema as text."""
    return compact(_StrictSchemas(tools, leeway).plan())


class _StrictSchemas:
    """Makes the schema; what is used in several places is a definition."""

    def __init__(self, tools: Mapping[str, Tool], leeway: Leeway) -> None:
        self.tools = dict(tools)
        self.leeway = leeway
        self.definitions: dict[str, Schema] = {}
        self.value = cache(self._value)

    def plan(self) -> Schema:
        """Return the schema of a plan: any number of tasks, of which the last may join or answer."""
        numbers = self.leeway.numbers
        self.definitions["id"] = {"type": "string", "enum": [f"t{line}" for line in (*numbers, numbers.stop)]}
        calls = [self._call(name, args) for name, each in self.tools.items() for args in self._objects(each)]
        answer = self._call("answer", _object({"value": self.value(any_domain(1))}))
        join = _object({"id": _use("id"), "tool": {"type": "string", "enum": ["join"]}, "args": _object({}),
                        "deps": {"type": "array", "items": {"type": "string"}}})  # fmt: skip
        tasks = {"type": "array", "items": {"anyOf": [*calls, join, answer]}}
        return {**_object({"tasks": tasks}), "$defs": self.definitions}

    def _call(self, name: str, args: Schema) -> Schema:
        return _object({"id": _use("id"), "tool": {"type": "string", "enum": [name]}, "args": args})

    def _objects(self, tool: Tool) -> list[Schema]:
        """Return the schemas of a call's arguments, for the optional ones that are given."""
        named = [p for p in tool.parameters if p.kind.name != "VAR_KEYWORD" and is_nameable(p.name)]
        if any(p.required and p not in named for p in tool.parameters):
            return []
        optional = [p for p in named if not p.required]
        counts = range(len(optional) + 1) if len(optional) <= OPTIONAL else (0, 1, len(optional))
        chosen = [set(each) for count in counts for each in combinations([p.name for p in optional], count)]
        fields = {p.name: self._argument(p) for p in named}
        return [
            _object({p.name: fields[p.name] for p in named if p.required or p.name in names})
            for names in chosen
            if _is_callable(tool, names)
        ]

    def _argument(self, parameter: Parameter) -> Schema:
        domain = domain_of(parameter.hint) if parameter.check else any_domain(1)
        several = parameter.kind.name == "VAR_POSITIONAL"
        return self.value(Domain("list", parts=(domain,)) if several else domain)

    def _value(self, domain: Domain) -> Schema:
        """Return the use of the schema of a value: a literal of a domain, or a reference."""
        options = self._literals(domain)
        if {"type": "string"} not in options:
            options.append(_REFERENCE)
        name = f"v{len(self.definitions)}"
        self.definitions[name] = {}  # holds the place, since parts make more of them
        self.definitions[name] = options[0] if len(options) == 1 else {"anyOf": options}
        return _use(name)

    def _literals(self, domain: Domain) -> list[Schema]:  # noqa: PLR0911 - one case for each kind
        match domain.kind:
            case "text" | "date" | "datetime":
                return [{"type": "string"}]
            case "integer" | "number" | "boolean" as kind:
                return [{"type": kind}]
            case "none":
                return [{"type": "null"}]
            case "values":
                return [_constants(type_, [value for of, value in domain.values if of is type_])
                        for type_ in dict.fromkeys(of for of, _ in domain.values)]  # fmt: skip
            case "union":
                found = [each for part in domain.parts for each in self._literals(part)]
                return [each for place, each in enumerate(found) if each not in found[:place]]
            case "list" | "fixed":
                items = [self.value(part) for part in dict.fromkeys(domain.parts)]
                return [{"type": "array", "items": items[0] if len(items) == 1 else {"anyOf": items}}] if items else []
            case "record":
                fields = {name: self.value(each) for name, each, _ in domain.fields}
                must = {name: fields[name] for name, _, required in domain.fields if required}
                return [_object(fields)] if must == fields else [_object(fields), _object(must)]
        return []


_TYPES: Final[dict[type, str]] = {
    str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null",
}  # fmt: skip


def _constants(type_: type, values: list[Any]) -> Schema:
    return {"type": _TYPES[type_], "enum": [escaped(value) for value in values]}


def _object(fields: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _use(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _is_callable(tool: Tool, names: set[str]) -> bool:
    """Whether a call may give these optional arguments: what stands by position needs all that stand before it."""
    placed = [p for p in tool.parameters if p.kind.name.startswith("POSITIONAL") or p.kind.name == "VAR_POSITIONAL"]
    given = [p.required or p.name in names for p in placed]
    last = max((at for at, p in enumerate(placed) if given[at] and p.kind.name in _BY_PLACE), default=-1)
    return all(given[:last])


_BY_PLACE: Final = ("POSITIONAL_ONLY", "VAR_POSITIONAL")
