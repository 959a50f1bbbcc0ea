"""What a class of the user's own holds that a pure tool's value may depend on: methods, data, members, defaults.

What Python and its library add to a class by themselves, or what follows from its code, is left out.
"""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

from compiler_nb.operations.weights import is_a

_LEFT_OUT: Final = frozenset({
    "__module__", "__qualname__", "__dict__", "__weakref__", "__annotations__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__firstlineno__", "__static_attributes__", "__slots__",
})  # fmt: skip
_PLACES: Final = (
    types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType,
    type(vars(NamedTuple("_Named", [("field", int)]))["field"]),
)  # fmt: skip
"""Types of what a class holds for the fields of its instances, or that Python adds."""


def members_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield what a class itself holds, by name: each function that a descriptor stands for, and each value."""
    is_enum = issubclass(kind, enum.Enum)
    for name, value in vars(kind).items():
        if name == "_member_map_" and is_enum:
            yield from ((each, member._value_) for each, member in value.items())
        elif name == "__pydantic_fields__":
            yield from _fields_of_pydantic(value)
        elif not (name in _LEFT_OUT or name[:11] == "__pydantic_" or (is_enum and _is_enums(name, value))):
            yield from ((name, part) for part in _parts(value) if not is_a(part, _PLACES))


def _is_enums(name: str, value: Any) -> bool:
    return is_a(value, (enum.Enum, types.DynamicClassAttribute)) or (name[:1] == "_" and not callable(value))


def _parts(value: Any) -> Iterator[Any]:
    """Yield what a descriptor of Python's own stands for; anything else as it is."""
    if is_a(value, (staticmethod, classmethod)):
        yield from _parts(value.__func__)
    elif is_a(value, property):
        yield from (each for each in (value.fget, value.fset, value.fdel) if each is not None)
    elif is_a(value, functools.cached_property):
        yield value.func
    elif is_a(value, functools.partialmethod):
        yield functools.partial(value.func, *value.args, **value.keywords)
    elif is_a(value, functools.singledispatchmethod):
        yield from dict.fromkeys((value.func, *value.dispatcher.registry.values()))
    else:
        yield value


def _fields_of_pydantic(fields: Any) -> Iterator[tuple[str, Any]]:
    """Yield the defaults of a model's fields, what makes them, and their bounds in words."""
    with suppress(AttributeError):  # another version's
        for name, info in fields.items():
            yield from ((name, each) for each in (info.default, info.default_factory, repr(info.metadata)))
