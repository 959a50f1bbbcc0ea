"""JSON schemas as type hints: what a server says of a tool's arguments, as a function of Python would say it.

A hint says less than a schema may: what it cannot say (patterns, conditions) is left to the author of the schema. It
never refuses what the schema takes. Nothing is fetched, and no text of a schema is evaluated: hints are made of types
only.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Annotated, Any, Final, Literal, NamedTuple, NotRequired, TypedDict, Union
from urllib.parse import unquote

from compiler_nb.signature.names import NAME_LIMIT
from compiler_nb.text import shorten, suggest, type_name

DEEPEST: Final = 12
"""Schemas within each other that are looked at; what is below may be anything."""
MOST: Final = 5_000
"""Schemas that one hint is made of."""
PARAMETERS: Final = 200
"""Parameters of one tool."""
SAID: Final = 200
"""Characters of a description that are kept."""
_SIMPLE: Final[dict[str, Any]] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": type(None)}
_TYPES: Final = (*_SIMPLE, "array", "object")
_IN_A_LITERAL: Final = (str, int, bool, type(None))
_LIMITS: Final = {"minimum": "Ge", "maximum": "Le", "exclusiveMinimum": "Gt", "exclusiveMaximum": "Lt"}


class SchemaFault(ValueError):
    """A schema says nothing that a tool could be made of; the message says why."""


class Argument(NamedTuple):
    """One argument that a schema describes: its name there, the parameter, and whether `None` means to leave it out."""

    name: str
    parameter: inspect.Parameter
    leaves_out: bool


def arguments_of(schema: Any) -> tuple[Argument, ...]:
    """Return the arguments of a tool, those that must be given first; raises SchemaFault.

    A name that Python cannot write is spelled so that it can: `order-by` is `order_by`, `from` is `from_`.
    """
    reader = _SchemaReader(schema)
    top = reader.resolved(schema)
    if not isinstance(top, dict) or top.get("type", "object") != "object":
        raise SchemaFault("its arguments are not an object")
    properties, required = _fields(top)
    if len(properties) > PARAMETERS:
        raise SchemaFault(f"it has {len(properties):,} arguments; {PARAMETERS} is the limit")
    taken: set[str] = set()
    found = []
    for name in sorted(properties, key=lambda name: name not in required):  # stable: else in the schema's order
        hint = reader.hint(properties[name], name)
        inner = reader.resolved(properties[name])
        default = inner.get("default") if isinstance(inner, dict) else None
        leaves_out = name not in required and not _takes_none(hint)
        parameter = inspect.Parameter(
            spell_name(name, taken),
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if name in required else default,
            annotation=hint,
        )
        taken.add(parameter.name)
        found.append(Argument(name, parameter, leaves_out))
    if not properties and top.get("additionalProperties"):
        rest = inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD, annotation=Any)
        found.append(Argument("", rest, leaves_out=False))
    return tuple(found)


def hint_of(schema: Any, name: str = "Value") -> Any:
    """Return the type hint of a schema; name: of the records in it that have no title. Raises SchemaFault."""
    return _SchemaReader(schema).hint(schema, name)


def spell_name(name: str, taken: typing.Collection[str] = (), other: str = "argument") -> str:
    """Return a name that a plan can write, like the given one and not among those taken; other: if none is left."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).lstrip("_")[: NAME_LIMIT - 4]
    plain = f"{other}_{plain}" if plain[:1].isdigit() else plain or other
    plain = f"{plain}_" if iskeyword(plain) else plain
    free = (
        spelled
        for number in range(1, len(taken) + 2)
        if (spelled := plain if number == 1 else f"{plain}_{number}") not in taken
    )
    return next(free)


def _takes_none(hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _takes_none(args[0])
    if hint is Any or hint is type(None):
        return True
    return any(map(_takes_none, args)) if origin is Union else origin is Literal and None in args


def _fields(schema: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the properties of an object, and the names of those that must be given; raises SchemaFault."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict):
        raise SchemaFault(f"`properties` is a {type_name(properties)}, not an object")
    if not isinstance(required, list) or not all(isinstance(each, str) for each in required):
        raise SchemaFault("`required` is not a list of names")
    return {**properties, **{name: True for name in required if name not in properties}}, frozenset(required)


@dataclass
class _SchemaReader:
    """Reads the parts of one schema, within bounds."""

    root: Any
    read: int = 0
    path: list[str] = field(default_factory=list)  # references that are being followed

    def hint(self, schema: Any, name: str, depth: int = 0) -> Any:
        """Return the hint of a part, with what it says of it in words."""
        self.read += 1
        if self.read > MOST:
            raise SchemaFault(f"it holds more than {MOST:,} parts")
        if schema is True or schema == {} or depth > DEEPEST:
            return Any
        if not isinstance(schema, dict):
            raise SchemaFault(f"{_shown(name)} has no schema, but a {type_name(schema)}")
        reference = str(schema.get("$ref", ""))
        if reference and reference in self.path:
            return Any  # a value that holds its like
        self.path.append(reference)
        try:
            made = self._bare(self.resolved(schema), name, depth)
        finally:
            self.path.pop()
        return _annotated(made, schema)

    def resolved(self, schema: Any) -> Any:
        """Return the schema that a reference leads to, itself if it is none."""
        seen = set()
        while isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
            reference = schema["$ref"]
            if reference in seen:
                raise SchemaFault(f"{_shown(reference)} leads to itself")
            seen.add(reference)
            schema = {**self._at(reference), **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema

    def _at(self, reference: str) -> dict[str, Any]:
        if reference != "#" and not reference.startswith("#/"):
            raise SchemaFault(f"{_shown(reference)} stands outside of the schema")
        place = self.root
        for part in reference[1:].split("/")[1:]:
            place = place.get(unquote(part).replace("~1", "/").replace("~0", "~")) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise SchemaFault(f"{_shown(reference)} leads nowhere")
        return place

    def _bare(self, schema: dict[str, Any], name: str, depth: int) -> Any:  # noqa: PLR0911 - one for each keyword
        if "enum" in schema or "const" in schema:
            return _one_of(schema.get("enum", [schema.get("const")]))
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._any_of(schema[word], name, depth)
        if "allOf" in schema:
            parts = schema["allOf"]
            alone = isinstance(parts, list) and len(parts) == 1 and "properties" not in schema
            return self.hint(parts[0], name, depth + 1) if alone else Any
        kind = schema.get("type")
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else None
        if isinstance(kind, list):
            return self._any_of([{**schema, "type": each} for each in kind], name, depth)
        if kind is None:
            return Any
        if kind not in _TYPES:
            near = suggest(str(kind), _TYPES)
            raise SchemaFault(f"{_shown(name)} is of an unknown type, {_shown(kind)}.{near}")
        if kind == "array":
            return self._list(schema, name, depth)
        return self._object(schema, name, depth) if kind == "object" else _SIMPLE[kind]

    def _any_of(self, parts: Any, name: str, depth: int) -> Any:
        if not isinstance(parts, list) or not parts:
            raise SchemaFault(f"{_shown(name)} is one of a list of schemas that is missing")
        hints = [self.hint(each, name, depth + 1) for each in parts]
        return Any if Any in hints else Union[tuple(hints)]  # noqa: UP007 - of as many as there are

    def _list(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        if "prefixItems" in schema or isinstance(schema.get("items"), list):
            return list
        inner = self.hint(schema.get("items", True), name, depth + 1)
        return list if inner is Any else types.GenericAlias(list, (inner,))

    def _object(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        properties, required = _fields(schema)
        more = schema.get("additionalProperties", True)
        if not properties:
            inner = self.hint(more, name, depth + 1) if isinstance(more, dict) else Any
            return dict if inner is Any else types.GenericAlias(dict, (str, inner))
        fields = {}
        for each, part in properties.items():
            hint = self.hint(part, each, depth + 1)
            fields[each] = hint if each in required else NotRequired[hint]
        title = schema.get("title")
        make: Any = TypedDict  # at run time
        record = make(_title(title if isinstance(title, str) else name), fields)
        record.__pydantic_config__ = {"extra": "forbid" if more is False else "allow"}
        return record


def _shown(part: Any) -> str:
    return shorten(repr(part), 60)


def _title(text: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", text)
    return spell_name("".join(word[:1].upper() + word[1:] for word in words), other="Record")


def _one_of(values: Any) -> Any:
    if not isinstance(values, list) or not values:
        raise SchemaFault("an enumeration has no values")
    if not all(type(each) in _IN_A_LITERAL for each in values):
        return Any
    return Literal[tuple(values)]


def _annotated(hint: Any, schema: Mapping[str, Any]) -> Any:
    """Return a hint with what its schema says in words, and with limits of numbers."""
    import annotated_types  # noqa: PLC0415 - pydantic brings it

    said = schema.get("description")
    notes: list[Any] = [shorten(" ".join(said.split()), SAID)] if isinstance(said, str) and said.strip() else []
    if hint in (int, float):
        make: Callable[[str], Any] = annotated_types.__getattribute__
        notes += [make(kind)(schema[word]) for word, kind in _LIMITS.items() if type(schema.get(word)) in (int, float)]
    return Annotated[(hint, *notes)] if notes else hint
