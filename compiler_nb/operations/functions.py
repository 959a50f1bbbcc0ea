"""The functions and methods that a plan's expressions may use, each with its bounds, and how values become text."""

from __future__ import annotations

import inspect
import re
import sys
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations import columns
from compiler_nb.operations.bounds import BITS, COMPARED, DIGITS, ITEMS, MEMBERS, RUN, TEXT, Scope, bound
from compiler_nb.operations.operators import apply_operator, searched
from compiler_nb.operations.tables import is_column, kind_of, missing, present
from compiler_nb.operations.weights import (
    BATCH,
    CHARACTERS,
    OBJECT,
    OBJECTS,
    check_size,
    gathered,
    hashed,
    is_a,
    length,
    listed,
    size_of,
    spend_on_hashes,
    spend_on_parts,
    whole,
)

WIDTH: Final = 100
CASED: Final = 1_000_000
"""Characters whose case is changed in one go: up to 20 ms."""
_TAKEN: Final = 1_000
"""Members that a set or dict takes in one go."""
_SEARCHED: Final = 100_000
"""Pairs of characters that are compared in a step."""

# -------------------------------------------------------------------- texts


def to_text(parts: list[str], scope: Scope) -> str:
    """Return the parts as one text, within its bound."""
    scope.spend(1)
    _spend_on_text(sum(map(str.__len__, parts)), scope)
    return "".join(parts)


def _spend_on_text(size: int, scope: Scope) -> None:
    """Pay for making a text of this many characters; raise if it would be too large."""
    bound(size, TEXT, "characters of text")
    scope.spend(size // CHARACTERS)


def format_value(value: Any, spec: str, scope: Scope) -> str:
    """Return a value as text by a format spec, within bounds."""
    problem = check_spec(spec)
    if problem:
        raise ExpressionError(problem)
    check_size(value, scope)
    return format(value, spec)


def check_spec(spec: str) -> str:
    """Return what is wrong with a format spec, or ""."""
    widths = [digits.lstrip("0") or "0" for digits in re.findall(r"\d+", spec)]
    wide = any(len(width) > len(str(WIDTH)) or int(width) > WIDTH for width in widths)
    return f"a format width over {WIDTH} is not allowed: leave it out" if wide else ""


def _string(scope: Scope, value: Any = "") -> str:
    check_size(value, scope)
    text = str(value)
    _spend_on_text(str.__len__(text), scope)
    return text


def _replace(scope: Scope, text: str, old: str, new: str, count: int = -1) -> str:
    _spend_on_text(len(text) + text.count(old) * max(length(new) - length(old), 0), scope)
    return text.replace(old, new, count)


def _join(scope: Scope, text: str, parts: Any) -> str:
    items = listed(parts, scope)
    _spend_on_text(sum(str.__len__(item) + len(text) for item in items if is_a(item, str)), scope)
    return text.join(items)


def _split(scope: Scope, text: str, separator: str | None = None, limit: int = -1) -> list[str]:
    parts, left = [text], ITEMS if limit < 0 else limit
    while True:  # in batches: the last part is the rest of the text
        some = min(left, RUN)
        found = parts.pop().split(separator, some)
        parts += found
        left -= some
        bound(len(parts), ITEMS, "items")
        scope.spend(len(found) // OBJECTS)
        scope.hold(OBJECT * len(found))
        if len(found) <= some or not left:
            return parts


def _strip(scope: Scope, text: str, characters: str | None = None) -> str:
    # Each character at an end is compared with all of these: two long texts would take hours.
    scope.spend(len(text) * max(length(characters), 0) // _SEARCHED)
    return text.strip(characters)


def _cased(method: Callable[[str], str]) -> Callable[[Scope, str], str]:
    def call(scope: Scope, text: str) -> str:
        bound(len(text), CASED, "characters to change the case of")
        scope.spend(len(text) // BATCH)  # ten times as long as a copy, if it is not plain ASCII
        return method(text)

    return call


def _affix(method: Callable[..., bool]) -> Callable[..., bool]:
    def call(scope: Scope, text: str, affix: Any, *ends: Any) -> bool:
        if is_a(affix, tuple):
            spend_on_parts(affix, scope)
            scope.spend(tuple.__len__(affix) // OBJECTS)
        return method(text, affix, *ends)

    return call


# -------------------------------------------------------------------- items


def _ordered(function: Callable[..., Any], items: list[Any], scope: Scope, kwargs: dict[str, Any]) -> Any:
    """Return the result of a function that compares items; a `key` pays for comparing its values itself."""
    if kwargs.get("key") is None:
        spend_on_parts(items, scope)
    return function(items, **kwargs)


def _sorted(scope: Scope, values: Any, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> list[Any]:
    """Return the items in order; many are sorted in runs, which are merged, so that no call takes long."""
    items = listed(values, scope)
    if key is None:
        spend_on_parts(items, scope, 3 * COMPARED)  # not in one go
    else:
        bound(len(items), MEMBERS, "items to sort by a key")
    scope.spend(len(items) // OBJECTS)
    if len(items) <= RUN:
        return sorted(items, key=key, reverse=reverse)
    keys = [] if key is None else [key(item) for item in items]
    place = None if key is None else keys.__getitem__
    order: Sequence[Any] = items if key is None else range(len(items))
    order = order[::-1] if reverse else order
    size = RUN // 4  # items may be lists, whose comparisons take longer
    runs = [sorted(order[at : at + size], key=place) for at in range(0, len(order), size)]
    while len(runs) > 1:
        runs = [_merged(*runs[at : at + 2], key=place) for at in range(0, len(runs), 2)]
    found = runs[0][::-1] if reverse else runs[0]
    if key is None:
        return found
    ordered = [items[at] for at in found]
    for used in (keys, found):  # one after the other, because freeing millions of numbers takes long, too
        used.clear()
    return ordered


def _merged(left: Sequence[Any], right: Sequence[Any] = (), *, key: Callable[[Any], Any] | None) -> list[Any]:
    """Return two sorted runs as one; long ones are merged part by part, each of which can be merged on its own."""
    found: list[Any] = []
    parts = [(0, len(left), 0, len(right))]  # from where to where in the left one, and in the right one
    while parts:
        start, stop, first, last = parts.pop()
        if stop - start + last - first <= RUN or start == stop or first == last:
            for at in range(0, max(stop - start, last - first), RUN):
                part = [
                    *left[start + at : min(start + at + RUN, stop)],
                    *right[first + at : min(first + at + RUN, last)],
                ]
                found += sorted(part, key=key)
            continue
        if stop - start > last - first:
            at = (start + stop) // 2
            other = bisect_left(right, left[at] if key is None else key(left[at]), first, last, key=key)
        else:
            other = (first + last) // 2
            at = bisect_right(left, right[other] if key is None else key(right[other]), start, stop, key=key)
        parts += [(at, stop, other, last), (start, at, first, other)]
    return found


def _zip(scope: Scope, *values: Any, strict: bool = False) -> list[Any]:
    columns = [scope.made(listed(each, scope)) for each in values]
    return gathered(zip(*columns, strict=strict), scope, MEMBERS)


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda scope, *args, **kwargs: _ordered(
        function, listed(args[0], scope) if len(args) == 1 else list(args), scope, kwargs
    )


def _reversed(scope: Scope, values: Any) -> list[Any]:
    if is_a(values, (set, frozenset)):
        raise ExpressionError("a set has no order to reverse: use sorted(...) first")
    return listed(values, scope)[::-1]


def _dict_of(scope: Scope, pairs: Any = (), **named: Any) -> dict[Any, Any]:
    if is_a(pairs, dict):  # dict's own methods, as a subclass may have others
        scope.spend(dict.__len__(pairs) // OBJECTS)
        return dict.copy(pairs) | named
    return to_dict(listed(pairs, scope), scope) | named


def to_dict(pairs: list[Any], scope: Scope) -> dict[Any, Any]:
    """Return a dict of pairs of a key and a value, after paying for the hashes of the keys."""
    table: dict[Any, Any] = {}
    bound(len(pairs), MEMBERS, "keys of a dict")
    spend_on_hashes([hashed(pair[0], scope) for pair in pairs if type(pair) in (tuple, list) and pair], scope)
    for at in range(0, len(pairs), _TAKEN):
        table.update(pairs[at : at + _TAKEN])
    return table


def to_set(members: list[Any], scope: Scope) -> set[Any]:
    """Return a set of these members, after paying for their hashes."""
    found: set[Any] = set()
    bound(len(members), MEMBERS, "members of a set")
    spend_on_hashes([hashed(each, scope) for each in members], scope)
    for at in range(0, len(members), _TAKEN):
        scope.spend(_TAKEN // OBJECTS)
        found.update(members[at : at + _TAKEN])
    return found


def _collect(kind: Callable[[Iterable[Any]], Any]) -> Callable[..., Any]:
    return lambda scope, values=(): kind(listed(values, scope))


# -------------------------------------------------------------------- numbers


def _sum(scope: Scope, values: Any, start: Any = 0) -> Any:
    return _total(listed(values, scope), start, scope)


def _total(items: list[Any], start: Any, scope: Scope) -> Any:
    if is_a(start, (str, bytes)):
        raise ExpressionError('sum() does not join texts: use "".join(...)')
    if type(start) in (int, float) and all(map(_is_small, items)):
        return sum(items, start)
    total = start
    # One by one, and paid one by one: the sum of many lists copies all that came before for each.
    for item in items:
        total = apply_operator("+", total, item, scope)
    return total


def _is_small(value: Any) -> bool:
    kind = type(value)
    return value.bit_length() <= BITS if kind is int else kind is bool or issubclass(kind, float)


def _round(scope: Scope, number: Any, ndigits: Any = None) -> Any:
    if abs(whole(ndigits) or 0) > DIGITS // 10:
        raise ExpressionError(f"round() takes at most {DIGITS // 10} digits")
    if kind_of(number) == "ndarray":  # which does not support Python's `round`
        return number.round(ndigits or 0)
    bound(size_of(number), BITS, "bits")
    return round(number, ndigits) if ndigits is not None else round(number)


def _rounded(scope: Scope, number: Any, decimals: Any = None) -> Any:
    """Round as NumPy's numbers do, to which the mean of a column belongs in pandas: a float stays a float."""
    rounded = _round(scope, number, whole(decimals) or 0)
    numpy = sys.modules.get("numpy")  # without it there are no tables
    return float(numpy.float64(number).round(whole(decimals) or 0)) if numpy and type(number) is float else rounded


def _whole_number(scope: Scope, value: Any = 0, *base: Any) -> int:
    bound(length(value), 4 * DIGITS, "digits")  # before it is read: that takes quadratic time
    bound(size_of(value), BITS, "bits")  # a Decimal may have a million digits in a few characters
    number = int(value, *base)
    bound(number.bit_length(), BITS, "bits")
    return number


def _range(scope: Scope, *ends: Any) -> range:
    numbers = range(*ends)
    bound(len(numbers), ITEMS, "items")
    return numbers


def _no_rows(scope: Scope, *values: Any) -> Any:
    raise ExpressionError("next() reads a generator only")  # its rows are evaluated one by one, so it is not called


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda scope, *args, **kwargs: function(*args, **kwargs)


# -------------------------------------------------------------------- columns


def apply_function(name: str, scope: Scope, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Return what a function of the list gives; of a single column, of what is not missing in it."""
    if args and kind_of(args[0]) and name != "len":
        scope.heavy(args[0])
        if name in columns.FUNCTIONS and is_column(args[0]) and (len(args) == 1 or name == "sum"):
            return _of_column(name, scope, *args, **kwargs)
    return call(FUNCTIONS[name], name, scope, *args, **kwargs)


def call(function: Callable[..., Any], name: str, scope: Scope, /, *args: Any, **kwargs: Any) -> Any:
    """Call an entry of one of the lists; arguments that it does not take are an error that says what it takes."""
    try:
        return function(scope, *args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # raised inside it: Python's own words fit
        # Python would name a function of ours, and count arguments that no plan gives.
        own = [*inspect.signature(function).parameters.values()][2 if name.startswith(".") else 1 :]
        takes = ", ".join(str(each.replace(annotation=each.empty)) for each in own)
        raise TypeError(f"it is called as {name}({takes})") from None


def _of_column(name: str, scope: Scope, column: Any, start: Any = 0, key: Any = None, **kwargs: Any) -> Any:
    if key is None and type(start) in (int, float):
        with suppress(columns.ItemByItem):
            found = columns.FUNCTIONS[name](column, **kwargs)
            return found + start if name == "sum" and start else found
    items = present(column).tolist()
    scope.spend(len(items) // BATCH)
    if name == "sum":
        return _total(items, start, scope)
    if name in ("any", "all"):
        return any(items) if name == "any" else all(items)
    functions: dict[str, Callable[..., Any]] = {"max": max, "min": min, "sorted": sorted}
    found = _ordered(functions[name], items, scope, {"key": key, **kwargs})
    return found + column[missing(column)].tolist() if name == "sorted" else found


# -------------------------------------------------------------------- the lists


def _count(scope: Scope, items: list[Any], value: Any) -> int:
    return sum(part.count(value) for _, part in searched(value, items, scope))


def _index(scope: Scope, items: list[Any], value: Any, start: Any = 0, stop: Any = None) -> int:
    first = slice(start).indices(len(items))[1]
    for at, part in searched(value, items[start:stop], scope):
        if value in part:
            return first + at + part.index(value)
    check_size(value, scope)  # which the error shows
    raise ValueError(f"{value!r} is not in list")


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "max": _extreme(max),
    "min": _extreme(min),
    "sum": _sum,
    "len": _plain(len),
    "abs": _plain(abs),
    "round": _round,
    "sorted": _sorted,
    "reversed": _reversed,
    "zip": _zip,
    "enumerate": lambda scope, values, start=0: gathered(enumerate(listed(values, scope), start), scope, MEMBERS),
    "range": _range,
    "any": lambda scope, values: any(listed(values, scope)),
    "all": lambda scope, values: all(listed(values, scope)),
    "next": _no_rows,
    "str": _string,
    "int": _whole_number,
    "float": _plain(float),
    "bool": _plain(bool),
    "list": _collect(list),
    "dict": _dict_of,
    "tuple": _collect(tuple),
    "set": lambda scope, values=(): to_set(listed(values, scope), scope),
}
KEYWORDS: Final[dict[str, frozenset[str]]] = {
    "max": frozenset({"key", "default"}),
    "min": frozenset({"key", "default"}),
    "sorted": frozenset({"key", "reverse"}),
    "sum": frozenset({"start"}),
    "round": frozenset({"ndigits"}),
    "enumerate": frozenset({"start"}),
    "zip": frozenset({"strict"}),
}
DICTS: Final = frozenset({dict, OrderedDict, defaultdict, Counter})
"""The types that have the methods of dicts: tools return counts and groups as these."""
OF_NUMBERS: Final[dict[str, Callable[..., Any]]] = {"round": _rounded, "item": lambda scope, number: number}
"""Methods of the numbers that come out of tables: NumPy's in pandas, Python's here."""
METHODS: Final[dict[str, dict[type, Callable[..., Any]]]] = {
    "split": {str: _split},
    "strip": {str: _strip},
    "lower": {str: _cased(str.lower)},
    "upper": {str: _cased(str.upper)},
    "title": {str: _cased(str.title)},
    "join": {str: _join},
    "replace": {str: _replace},
    "startswith": {str: _affix(str.startswith)},
    "endswith": {str: _affix(str.endswith)},
    "get": {dict: lambda scope, table, key, *default: table.get(hashed(key, scope), *default)},
    "keys": {dict: lambda scope, table: listed(table, scope)},
    "values": {dict: lambda scope, table: gathered(table.values(), scope)},
    "items": {dict: lambda scope, table: gathered(table.items(), scope, MEMBERS)},
    "index": {list: _index},
    "count": {list: _count},
}
