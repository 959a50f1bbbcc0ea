"""Checks of a tool's arguments: simple types at once, all others by pydantic.

A value is converted only if nothing is lost. pydantic is imported when the first argument needs it.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, TypeAlias

from compiler_nb.signature.types import spell_type
from compiler_nb.text import shorten, type_name

Check: TypeAlias = Callable[[Any], Any]
"""Returns the value as the tool gets it; raises ValueError or TypeError with the reason."""


def make_check(hint: Any) -> Check | None:
    """Return the check of a type, or None if any value is accepted."""
    if hint is Any or hint is object or hint is None or isinstance(hint, typing.TypeVar):
        return None
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if typing.get_origin(hint) is Literal:
        return functools.partial(_one_of, typing.get_args(hint))
    if isinstance(hint, type) and not hasattr(hint, "__pydantic_validator__") and _is_opaque(hint):
        return functools.partial(_instance, hint)
    return _Adapter(hint)


def checkable(hint: Any) -> Any:
    """Return a type with typing's TypedDicts replaced by ones that pydantic reads, too, before Python 3.12."""
    from typing_extensions import TypedDict  # noqa: PLC0415 - pydantic brings it

    if typing.is_typeddict(hint):
        fields = {}
        for name, each in typing.get_type_hints(hint, include_extras=True).items():
            origin, marked = typing.get_origin(each), typing.get_origin(each) in (typing.Required, typing.NotRequired)
            needed = origin is typing.Required if marked else name in hint.__required_keys__
            inner = checkable(typing.get_args(each)[0] if marked else each)
            fields[name] = inner if needed else typing.NotRequired[inner]
        make: Any = TypedDict  # at run time
        made = make(hint.__name__, fields)
        if (config := getattr(hint, "__pydantic_config__", None)) is not None:
            made.__pydantic_config__ = config
        return made
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if not parts or origin is Literal:
        return hint
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(map(checkable, parts))]  # noqa: UP007 - of as many as there are
    try:
        return origin[tuple(map(checkable, parts))]
    except TypeError:  # such as Annotated, or a callable's parameters
        return hint


def _is_opaque(hint: type) -> bool:
    """Whether only `isinstance` can check values of a class (a DataFrame, a connection)."""
    known = ("datetime", "decimal", "uuid", "pathlib", "enum", "collections", "ipaddress", "fractions")
    structured = is_dataclass(hint) or hasattr(hint, "__annotations__") or issubclass(hint, tuple | dict | list)
    return not structured and not any(base.__module__ in known for base in hint.__mro__[:-1])


def _instance(hint: type, value: Any) -> Any:
    if isinstance(value, hint):
        return value
    raise TypeError(f"must be a {hint.__name__}, not {_name(value)}")


def _one_of(allowed: tuple[Any, ...], value: Any) -> Any:
    # By type as well: True is equal to 1, and 1.0 too.
    if any(type(value) is type(each) and value == each for each in allowed):
        return value
    shown = shorten(repr(value), 40) if isinstance(value, str) else _name(value)
    raise TypeError(f"must be one of {', '.join(map(repr, allowed))}, not {shown}")


def _number(value: Any) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) <= sys.float_info.max and float(value) == value:
            return float(value)
        raise ValueError("is an integer too large for a float")
    raise TypeError(f"must be a number, not {_name(value)}")


def _integer(value: Any) -> int:
    if type(value) is int or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise TypeError(f"must be a whole number, not {_name(value)}")


def _name(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float):
        return shorten(repr(value), 40)
    return type_name(value)


_SIMPLE: dict[Any, Check] = {
    str: functools.partial(_instance, str),
    bool: functools.partial(_instance, bool),
    int: _integer,
    float: _number,
    list: functools.partial(_instance, list),
    dict: functools.partial(_instance, dict),
    tuple: functools.partial(_instance, tuple),
    set: functools.partial(_instance, set),
    bytes: functools.partial(_instance, bytes),
}


def adapter_of(hint: Any) -> Any:
    """Return pydantic's adapter of a type, None if it knows no such type."""
    from pydantic import ConfigDict, TypeAdapter  # noqa: PLC0415 - imported at first use
    from pydantic.errors import PydanticUserError  # noqa: PLC0415

    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a type with a configuration of its own takes no other
        pass
    for each in (hint, checkable(hint)):
        try:
            return TypeAdapter(each)
        except PydanticUserError:  # typing's TypedDict before Python 3.12, or what cannot be checked at all
            pass
    return None


@dataclass
class _Adapter:
    """A check by pydantic, made when it is first used: strict first, then with conversions that lose nothing."""

    hint: Any

    @functools.cached_property
    def adapter(self) -> Any:
        return adapter_of(self.hint)

    def __call__(self, value: Any) -> Any:
        from pydantic import ValidationError  # noqa: PLC0415 - imported at first use

        if self.adapter is None:
            return value
        try:
            return self.adapter.validate_python(value, strict=True)
        except ValidationError:
            pass
        try:
            if isinstance(value, bool):  # pydantic would take it for a number
                raise TypeError(f"must be {spell_type(self.hint)}, not {value!r}")
            return self.adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = "".join(f"[{part!r}]" for part in first["loc"])
            raise TypeError(f"must be {spell_type(self.hint)}: {place} {first['msg']}".replace(":  ", ": ")) from None
