"""Read what a plan may read of a value: its items, and its declared fields; reading never changes or runs anything.

A key that is missing in a `defaultdict` is not added. A field is read only if the value's class declares it, without
asking the value.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Final

from compiler_nb.operations.weights import is_a
from compiler_nb.signature.types import declared
from compiler_nb.text import type_name

_FRESH: Final[tuple[Any, ...]] = (int, float, str, bool, list, dict, set, tuple)
"""What a `defaultdict` may make of a missing key here: values without any code of the user's."""
_SHOWN: Final = 8


def read_key(table: dict[Any, Any], key: Any) -> Any:
    """Return `table[key]` of a dict or a subclass, which is not changed if the key is missing."""
    kind = type(table)
    # `table[key]` of a defaultdict would add the key, and its factory may be any code: a plan that reads a value twice
    # would find it changed. A Counter has `__missing__` too, but it adds nothing.
    adds = hasattr(kind, "__missing__") and kind.__getitem__ is dict.__getitem__ and kind is not Counter
    if not adds or key in table:
        return table[key]
    # What is made of a built-in type is equal each time, so nobody can tell that it was not kept.
    make = table.default_factory if isinstance(table, defaultdict) and kind is defaultdict else None
    if make is not None and any(make is each for each in _FRESH):
        return make()
    raise KeyError(key)


def read_field(value: Any, name: str) -> Any:
    """Return the value of a key of a dict, or of a field that the value's class declares."""
    if is_a(value, dict):
        if name in value:
            return read_key(value, name)
        raise KeyError(name)
    names = declared(type(value))
    if name in names:
        # A NamedTuple's fields are items; a value of any other class is not asked, whatever it defines.
        index = names.index(name)
        return tuple.__getitem__(value, index) if is_a(value, tuple) else object.__getattribute__(value, name)
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    there = f"; it has {shown}" if names else "; fields are read of tables, dicts and objects that declare them"
    raise LookupError(f"{type_name(value)} has no field {name!r}{there}")
