"""What values are, without running their code, and how many steps it costs to copy, compare, hash or list them.

No attribute of a value is read here or in the files that use this, except of tables and of a few exact types of the
standard library. A value is judged by its type alone, and a text or a sequence is as long as its built-in type says,
whatever a subclass claims.
"""

from __future__ import annotations

import operator
import sys
from collections import Counter, UserList, UserString, deque
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import (
    ALIKE,
    BITS,
    COMPARED,
    ITEMS,
    LEVELS,
    NESTS,
    RUN,
    TEXT,
    WEIGHED,
    WRITTEN,
    Scope,
    bound,
)
from compiler_nb.operations.tables import base_of, groups_of, items, kind_of, view_of
from compiler_nb.text import type_name

BATCH: Final = 25
"""Items of a container that are copied, compared or searched in a step."""
CHARACTERS: Final = 1_000
"""Characters that are copied or searched in a step."""
_LINE: Final = 4
"""Items that are written as text in a step."""
OBJECTS: Final = 20
"""Objects that are made in a step."""
OBJECT: Final = 60
"""Bytes of a pair, and of a short text."""
_VISIT: Final = 20
"""Items that looking into one more container counts for."""
_NESTED, _MEMBER = 15, 10
"""How many flat items comparing one more container takes, and one member of a set or dict."""
_DEEP: Final = 3
"""How deep a tuple that may equal another one is looked into."""
_SHORT: Final = 60
_UNIQUE: Final = sys.hash_info.modulus
"""Whole numbers up to this, positive or negative, have different hashes, except -1 and -2."""
TEXTS: Final = (str, bytes, bytearray, UserString)
OWN: Final = (UserString, UserList)
"""Sequences whose memory is not measured, because their contents are elsewhere."""
_SEQUENCES: Final = (*TEXTS, list, tuple, deque, UserList)
_HASHED: Final = frozenset({dict, set, frozenset})

# -------------------------------------------------------------------- what a value is


def is_a(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value is of a type or of a subclass; unlike isinstance, this does not ask the value."""
    return issubclass(type(value), kinds)


def length(value: Any) -> int:
    """Return the true length of a text or a sequence, -1 for anything else."""
    return next((kind.__len__(value) for kind in _SEQUENCES if is_a(value, kind)), -1)


def standard(module: str, name: str) -> Any:
    """Return a type of the standard library; None if nobody has imported its module, so that no value is of it."""
    return getattr(sys.modules.get(module), name, None)


def size_of(value: Any) -> int:
    """Return how many bits a whole number, or a number of the standard library that is as exact as one, takes."""
    kind = type(value)
    if is_a(value, int):
        return int.bit_length(value)
    if kind is standard("decimal", "Decimal"):
        return 4 * abs(int(value.adjusted())) if value.is_finite() else 0
    if kind is standard("fractions", "Fraction"):
        return max(int.bit_length(value.numerator), int.bit_length(value.denominator))
    return 0


def whole(value: Any) -> int | None:
    """Return the whole number that a value means to Python, as in an index; None if it means none."""
    try:
        return operator.index(value)
    except Exception:  # noqa: BLE001 - it has no index, as most values, or is a user's object that raises anything
        return None


def short(value: Any) -> str:
    """Return a value as a short text for a message; its own `__repr__` is not called."""
    kind = type(value)
    if kind is str:
        return repr(value) if len(value) <= _SHORT else f"{value[:_SHORT]!r}…"
    if value is None or kind in (bool, float) or (kind is int and value.bit_length() < BITS // 50):
        return repr(value)
    if kind in (list, tuple, dict, set):
        return f"{kind.__name__} of {len(value)}"
    return type_name(value)


# -------------------------------------------------------------------- what work costs


def weigh(value: Any) -> int:
    """Return how many steps it costs to copy or search a plain value."""
    kind = type(value)
    return len(value) // (CHARACTERS if kind in TEXTS else BATCH) if kind in WEIGHED else 0


def spend_on_parts(value: Any, scope: Scope, most: int = COMPARED) -> None:
    """Pay for comparing or hashing a value: for its parts at all depths, and shared parts each time they occur.

    Raises ExpressionError if there are more than `most`, counted in flat items of a list.
    """
    level, count, depth, compared = [value] if type(value) in NESTS else [], 0, 0, 0
    scope.spend(weigh(value))
    while level:
        depth += 1
        if depth > LEVELS:
            raise ExpressionError(f"a value nests more than {LEVELS:,} deep: use a tool")
        below: list[Any] = []
        for part in level:
            compared += _NESTED + len(part) * (_MEMBER if type(part) in _HASHED else 1)
            if compared > most and type(part) in NESTS:
                raise ExpressionError("the values are too large to be compared in one go: use a tool")
            count += _VISIT + (len(part) * BATCH // CHARACTERS if type(part) in (str, bytes) else 2 * len(part))
            if count >= BATCH:
                scope.spend(count // BATCH)
                count %= BATCH
            if type(part) in NESTS:
                below += [each for each in part if _is_heavy(each)]
            if type(part) is dict:
                below += [each for each in part.values() if _is_heavy(each)]
            if type(part) in _HASHED:
                count += _VISIT  # its keys and its values are looked through
                spend_on_hashes(part, scope)
        level = below


def _is_heavy(value: Any) -> bool:
    kind = type(value)
    return kind in NESTS or (kind in (str, bytes) and len(value) >= CHARACTERS)


def spend_on_hashes(members: Collection[Any], scope: Scope) -> None:
    """Pay for comparing members of a set, or keys of a dict, that have equal hashes.

    The hash of a text is random, that of a number or a tuple is not: anyone can write thousands that hash alike.
    Raises ExpressionError if too many do.
    """
    if len(members) <= ALIKE:
        return
    times: Counter[int] = Counter()
    rest = iter(members)
    while batch := list(islice(rest, RUN)):
        odd = [each for each in batch if type(each) is not str and (type(each) is not int or abs(each) >= _UNIQUE)]
        scope.spend(len(odd) // OBJECTS)
        times.update(map(hash, odd))
    often = {number for number, count in times.items() if count > ALIKE}
    different = _different(members, often) if often else {}
    if max(map(len, different.values()), default=0) > ALIKE:
        where = f"more than {ALIKE} members of a set, or keys of a dict, have the same hash"
        raise ExpressionError(f"{where}, and would all be compared: use a tool")
    compared = (count * (len(different[each]) if each in often else count - 1) for each, count in times.items())
    scope.spend(sum(compared) // BATCH)


def _different(members: Iterable[Any], often: set[int]) -> dict[int, set[Any]]:
    """Return what is not equal among the members with these hashes: the same key may come a thousand times.

    Members are told apart by their texts, whose hashes are random.
    """
    found: dict[int, set[Any]] = {number: set() for number in often}
    for each in members:
        number = hash(each)
        if number in often and len(found[number]) <= ALIKE:
            found[number].add(_as_text(each, _DEEP))
    return found


def _as_text(value: Any, deep: int) -> Any:
    kind = type(value)
    if kind is tuple and deep:
        return tuple(_as_text(part, deep - 1) for part in value)
    if kind is str or value is None:
        return value
    return hex(value) if kind is int else value.hex() if kind is float else ("", id(value))


def hashed(value: Any, scope: Scope) -> Any:
    """Return a value that becomes a key or a member of a set, after paying for its hash."""
    if type(value) is tuple or type(value) is frozenset:
        spend_on_parts(value, scope)
    return value


def check_size(value: Any, scope: Scope) -> None:
    """Pay for writing a value as text; raise an ExpressionError if it is too large; shared parts count again."""
    stack, count, written = [value], 0, 0
    while stack:
        part = stack.pop()
        kind = type(part)
        if kind is str or kind is bytes:
            count += len(part)
        elif kind is standard("decimal", "Decimal"):
            count += abs(part.adjusted()) if part.is_finite() else 0  # `:f` writes all of its zeros
        elif kind in NESTS:
            count += 2 + 3 * len(part)  # brackets, and at least "0, " for an item
            written += 1 + len(part)
            bound(written, WRITTEN, "items to be written as text")
            scope.spend(len(part) // _LINE)
            stack += part
            if kind is dict:
                stack += part.values()
        bound(count, TEXT, "characters of text")


# -------------------------------------------------------------------- items


def items_of(source: Any, scope: Scope) -> Iterator[Any]:
    """Yield the items of a value, one step each; raise an ExpressionError if there are too many."""
    source = _iterated(source, scope)
    for count, item in enumerate(source):
        if count >= ITEMS:
            raise ExpressionError(f"more than {ITEMS:,} items: use a tool")
        scope.spend(1)
        yield item


def _iterated(source: Any, scope: Scope) -> Any:
    """Return what iterating over a table gives, with Python's numbers; other values as they are, but no iterator."""
    if view_of(source) == "DataFrameGroupBy":
        scope.heavy(base_of(source))
        bound(len(source), RUN, "groups")
        return groups_of(source)
    if not kind_of(source):
        if hasattr(type(source), "__next__"):
            first = f"a {type_name(source)} is used up by whoever reads it first, and an expression changes nothing"
            raise ExpressionError(f"{first}: return a list from the tool, or offer list(...) of it")
        return source
    scope.heavy(source)
    bound(0 if kind_of(source) == "DataFrame" else len(source), ITEMS, "items")
    return items(source)


def listed(source: Any, scope: Scope) -> list[Any]:
    """Return the argument of a function as a list, after checking its size."""
    kind = type(source)
    if kind in WEIGHED or kind is range:
        bound(len(source), ITEMS, "items")
        scope.spend(len(source) // BATCH)
        scope.hold(OBJECT * len(source) if kind is str else 0)
        return list(source)
    return gathered(_iterated(source, scope), scope)  # a user's object may go on forever


def gathered(source: Iterable[Any], scope: Scope, most: int = ITEMS) -> list[Any]:
    """Return the items that an iterable gives, in batches: while one is made nothing else can run."""
    found: list[Any] = []
    iterator = iter(source)
    while batch := list(islice(iterator, RUN)):
        found += batch
        bound(len(found), most, "items")
        scope.spend(len(batch) // OBJECTS)
        scope.hold(OBJECT * len(batch))
    return found
