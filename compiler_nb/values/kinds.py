"""What a value's type is, by identity: its metaclass may be anyone's, and none of its code is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULE: Final = vars(type)["__module__"]


def ids_of(kinds: Iterable[type[Any]]) -> frozenset[int]:
    """Return the ids of types that are there for good: `id(type(value))` is looked for among them."""
    return frozenset(map(id, kinds))


def type_module(value: Any) -> str:
    """Return the name of the module of a value's type, "" where it tells none."""
    kind = type(value)
    try:
        module = _MODULE.__get__(kind)
    except AttributeError:
        return ""
    return module if type(module) is str else ""
