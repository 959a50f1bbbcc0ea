"""What a plan may write for an argument, as data: the domain of a type.

A domain says which literals are written; a reference may stand in place of each. What cannot be written as a
literal (a DataFrame, a connection) has the domain "opaque": only references.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from compiler_nb.plan import check
from compiler_nb.signature.checks import make_check

DomainKind = Literal[
    "text", "integer", "number", "boolean", "none", "date", "datetime", "values", "list", "tuple", "fixed", "table",
    "record", "union", "opaque",
]  # fmt: skip
LEVELS: Final = 3
"""How deep written containers nest."""


@dataclass(frozen=True)
class Domain:
    """The literals of a type.

    values: of "values", each with its type, for True equals 1; parts: of a list, a table (text to this), a union, or a
    list of fixed length; fields: of a record, as (name, domain, whether it must be given).
    """

    kind: DomainKind
    values: tuple[tuple[type, Any], ...] = ()
    parts: tuple[Domain, ...] = ()
    fields: tuple[tuple[str, Domain, bool], ...] = ()


OPAQUE: Final = Domain("opaque")
_SCALARS: Final = (Domain("text"), Domain("number"), Domain("boolean"), Domain("none"))


def any_domain(levels: int = LEVELS - 1) -> Domain:
    """Return the domain of a parameter that takes anything."""
    if not levels:
        return Domain("union", parts=_SCALARS)
    inner = (any_domain(levels - 1),)
    return Domain("union", parts=(*_SCALARS, Domain("list", parts=inner), Domain("table", parts=inner)))


_SIMPLE: Final[dict[Any, Domain]] = {
    str: Domain("text"),
    int: Domain("integer"),
    float: Domain("number"),
    bool: Domain("boolean"),
    type(None): Domain("none"),
    decimal.Decimal: Domain("number"),
    dt.date: Domain("date"),
    dt.datetime: Domain("datetime"),
    pathlib.Path: Domain("text"),
    list: Domain("list", parts=(any_domain(LEVELS - 2),)),
    dict: Domain("table", parts=(any_domain(LEVELS - 2),)),
    tuple: Domain("tuple", parts=(any_domain(LEVELS - 2),)),
}
_ABSTRACT: Final = (collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_LISTS: Final = (list, set, frozenset, *_ABSTRACT)


def domain_of(hint: Any, levels: int = LEVELS) -> Domain:  # noqa: PLR0911 - one answer for each kind of type
    """Return the domain of a type; levels: of containers that may still stand within each other."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint is object or isinstance(hint, typing.TypeVar):
        return any_domain(max(levels - 1, 0))
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return domain_of(args[0], levels)
    if isinstance(hint, typing.NewType):
        return domain_of(hint.__supertype__, levels)
    if origin is Literal:
        return _values(args)
    if origin in (typing.Union, types.UnionType):
        return _union([domain_of(each, levels) for each in args])
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _enumeration(hint)
    if isinstance(hint, collections.abc.Hashable) and hint in _SIMPLE:
        return _SIMPLE[hint] if levels else OPAQUE if hint in (list, dict, tuple) else _SIMPLE[hint]
    return _container(hint, origin, args, levels - 1) if levels else OPAQUE


def _values(found: typing.Iterable[Any]) -> Domain:
    """Return the domain of these values, of which a plan can write texts, numbers, booleans and None."""
    values = tuple((type(value), value) for value in found if type(value) in (str, int, float, bool, type(None)))
    return Domain("values", values=tuple(pair for pair in values if _is_plain(pair[1])))


def _is_plain(value: Any) -> bool:
    try:
        check.check_literal(value)
    except check.Refused:
        return False
    return True


def _enumeration(kind: type[enum.Enum]) -> Domain:
    """Return the values of an enumeration that its check takes for members."""
    takes = make_check(kind)
    found = []
    for member in kind:
        try:
            known = takes is not None and takes(member.value) is member
        except (TypeError, ValueError):
            known = False
        found += [member.value] if known else []
    return _values(found)


def _union(parts: list[Domain]) -> Domain:
    flat = [each for part in parts for each in (part.parts if part.kind == "union" else (part,))]
    kept = [each for each in dict.fromkeys(flat) if each.kind != "opaque"]
    if Domain("number") in kept:
        kept = [each for each in kept if each.kind != "integer"]
    return Domain("union", parts=tuple(kept)) if kept else OPAQUE


def _container(hint: Any, origin: Any, args: tuple[Any, ...], levels: int) -> Domain:
    if origin is tuple and args[1:] != (...,):
        return Domain("fixed", parts=tuple(domain_of(each, levels) for each in args))
    if (origin in _LISTS or origin is tuple) and args:
        return Domain("list", parts=(domain_of(args[0], levels),))
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(args) == 2 and args[0] in (str, Any):  # noqa: PLR2004 - key and value
        return Domain("table", parts=(domain_of(args[1], levels),))
    fields = _fields(hint) if isinstance(hint, type) else None
    if not fields:
        return OPAQUE
    return Domain("record", fields=tuple((name, domain_of(each, levels), must) for name, each, must in fields))


def _fields(kind: type) -> list[tuple[str, Any, bool]] | None:
    """Return the fields of a TypedDict, a dataclass or a pydantic model: name, type, and whether it must be given."""
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint that cannot be resolved
        return None
    required: frozenset[str] | None = getattr(kind, "__required_keys__", None)  # of a TypedDict, whoever's it is
    if required is not None:
        return [(name, hint, name in required) for name, hint in hints.items()]
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        found = [field for field in dataclasses.fields(kind) if field.init]
        musts = [field.default is missing and field.default_factory is missing for field in found]
        return [(each.name, hints[each.name], must) for each, must in zip(found, musts, strict=True)]
    model: dict[str, Any] = getattr(kind, "__pydantic_fields__", None) or {}
    if any(field.alias or field.validation_alias for field in model.values()):
        return None
    return [(name, hints.get(name, Any), field.is_required()) for name, field in model.items()]
