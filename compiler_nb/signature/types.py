"""Types as a planner reads them: their names, and the fields that they declare."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import operator
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

_MODULES = re.compile(r"(?<![\w.])(?:[^\W\d]\w*\.)+(?=[^\W\d])")
"""The names of modules in front of a type's own name; not the dots of `tuple[int, ...]`."""
_UNIONS = (typing.Union, types.UnionType)
_FIELDS = 40
"""Fields of a type that are shown."""


def spell_type(annotation: Any) -> str:
    """Return a type as a planner reads it: `list[str]`, `DataFrame`, without module names."""
    if isinstance(annotation, str):
        return annotation
    if "Annotated[" in str(annotation):
        annotation = _bare(annotation)
    if type(annotation) is not types.GenericAlias and isinstance(annotation, type):
        return annotation.__name__
    return " ".join(_MODULES.sub("", str(annotation)).split())


def _bare(hint: Any) -> Any:
    """Return a type without what `Annotated` adds."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _bare(args[0])
    if not args or origin is typing.Literal:
        return hint
    inner = tuple(map(_bare, args))
    if inner == args:
        return hint
    try:
        return functools.reduce(operator.or_, inner) if origin in _UNIONS else origin[inner]
    except TypeError:  # a callable's parameters are a list
        return hint


def describe_type(hint: Any, levels: int = 2, *, only: Callable[[str], bool] | None = None) -> str:
    """Return a type with the fields that it declares: `list[Order]` as `[{order_id: str, lines: [{sku: str}]}]`.

    levels: of fields within each other; only: a type with a field that this refuses is shown by its name.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return describe_type(args[0], levels, only=only)
    if origin in _UNIONS:
        return " or ".join(describe_type(each, levels, only=only) for each in args)
    if origin in _LISTS and args:
        inner = describe_type(args[0], levels, only=only)
        return f"[{inner}]" if origin is not tuple or args[1:] == (...,) else spell_type(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(args) == 2:  # noqa: PLR2004 - key and value
        return f"dict of {spell_type(args[0])} to {describe_type(args[1], levels, only=only)}"
    fields = _fields_of(hint) if levels and isinstance(hint, type) else {}
    if not fields or not all(map(only or bool, fields)):
        return "None" if hint is type(None) and only is None else spell_type(hint)
    shown = [f"{name}: {describe_type(each, levels - 1, only=only)}" for name, each in list(fields.items())[:_FIELDS]]
    shown += ["…"] if len(fields) > _FIELDS else []
    return f"{{{', '.join(shown)}}}" if typing.is_typeddict(hint) else f"{hint.__name__}({', '.join(shown)})"


_LISTS = (list, tuple, set, frozenset, *(getattr(collections.abc, name) for name in ("Sequence", "Iterable", "Set")))


def declared(kind: type) -> tuple[str, ...]:
    """Return the fields that a class declares: a dataclass, a NamedTuple, a class of attrs' or of pydantic's.

    The class is not asked: what its metaclass makes up does not count.
    """
    # Bases first, so that a class's own mark replaces one that it inherits.
    own = {name: found for base in reversed(kind.__mro__) for name, found in vars(base).items() if name in _MARKS}
    if "__dataclass_fields__" in own:
        return tuple(field.name for field in dataclasses.fields(kind))
    if "_fields" in own and issubclass(kind, tuple):
        return tuple(own["_fields"])
    if "__attrs_attrs__" in own:
        return tuple(attribute.name for attribute in own["__attrs_attrs__"])
    model = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return tuple(kind.model_fields) if isinstance(model, type) and issubclass(kind, model) else ()  # type: ignore[attr-defined]


_MARKS: Final = frozenset({"__dataclass_fields__", "_fields", "__attrs_attrs__"})


def _fields_of(kind: type) -> dict[str, Any]:
    """Return what a TypedDict, NamedTuple, dataclass, pydantic or attrs class declares; nothing for other types.

    A field that may be absent has a question mark behind its name.
    """
    names = tuple(kind.__annotations__) if typing.is_typeddict(kind) else declared(kind)
    if not names:
        return {}
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint that cannot be resolved
        hints = {}
    absent: frozenset[str] = getattr(kind, "__optional_keys__", frozenset())
    fields = {}
    for name in names:
        hint = hints.get(name, Any)
        origin = typing.get_origin(hint)  # the class itself does not know this of hints that were text
        may_lack = origin is typing.NotRequired or (name in absent and origin is not typing.Required)
        fields[f"{name}?" if may_lack else name] = hint
    return fields
