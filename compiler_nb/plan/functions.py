"""The functions and methods that a plan's expressions may use, each with its bounds; and the steps that they cost."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

STEPS: Final = 100_000
ITEMS: Final = 1_000_000
TEXT: Final = 10_000_000
DIGITS: Final = 4_300
WIDTH: Final = 100
BITS: Final = int(DIGITS * 3.33)
SHORT: Final = 60
_CHARACTERS: Final = 1_000
"""Characters that are copied or searched in a step."""
_BATCH: Final = 100
"""Items of a container that are copied or searched in a step."""
_PAIRS: Final = 20
"""Pairs that are made in a step: each takes the memory of seven items."""


_NOTHING: Final[dict[str, Any]] = {}


class Scope:
    """What names mean while an expression is evaluated, and the steps that are left."""

    __slots__ = ("inputs", "locals", "steps", "values")

    def __init__(
        self, values: Mapping[str, Any], inputs: Mapping[str, Any] | None = None, names: Mapping[str, Any] | None = None
    ) -> None:
        self.values, self.inputs = values, inputs or _NOTHING
        self.locals = dict(names) if names else _NOTHING  # replaced, never changed in place
        self.steps = STEPS

    def spend(self, steps: int) -> None:
        """Count work; raise an ExpressionError when there was too much."""
        self.steps -= steps
        if self.steps < 0:
            raise ExpressionError(f"the expression takes more than {STEPS:,} steps: use a tool")


def to_text(parts: list[str], scope: Scope) -> str:
    """Return the parts as one text, within its bound."""
    length = sum(map(len, parts))
    _bound(length, TEXT, "characters of text")
    scope.spend(1 + length // _CHARACTERS)
    return "".join(parts)


def short(value: Any) -> str:
    """Return a value in one short piece of text, whatever its `__repr__` does."""
    kind = type(value)
    if kind is str:
        return repr(value) if len(value) <= SHORT else f"{value[:SHORT]!r}…"
    if value is None or kind in (bool, float) or (kind is int and value.bit_length() < BITS // 50):
        return repr(value)
    if kind in (list, tuple, dict, set):
        return f"{kind.__name__} of {len(value)}"
    return kind.__name__


def weigh(value: Any) -> int:
    """Return the steps that copying or searching a plain value costs."""
    kind = type(value)
    return len(value) // (_CHARACTERS if kind is str or kind is bytes else _BATCH) if kind in _WEIGHED else 0


def check_size(value: Any) -> None:
    """Raise an ExpressionError where a nest of containers is too large to be written; shared parts count again."""
    stack, count = [value], 0
    while stack:
        part = stack.pop()
        kind = type(part)
        if kind is str or kind is bytes:
            count += len(part)
        elif kind in _WEIGHED:
            count += len(part)
            if count <= TEXT:
                stack += part
                if kind is dict:
                    stack += part.values()
        _bound(count, TEXT, "characters of text")


def format_value(value: Any, spec: str) -> str:
    """Return a value as text by a format spec, within bounds."""
    problem = check_spec(spec)
    if problem:
        raise ExpressionError(problem)
    check_size(value)
    return format(value, spec)


def check_spec(spec: str) -> str:
    """Return what is wrong with a format spec, "" where nothing is."""
    widths = [int(number) for number in re.findall(r"\d{1,30}", spec)]
    return f"a format width over {WIDTH}: leave it out" if any(width > WIDTH for width in widths) else ""


def apply_operator(sign: str, left: Any, right: Any, scope: Scope) -> Any:
    """Return `left sign right`, after checking that the result is not too large."""
    scope.spend(1)
    kinds = type(left), type(right)
    if kinds in _WHOLE:
        if sign == "**" and right > 0:
            _bound(abs(int(left)).bit_length() * right, BITS, "bits")
        elif sign == "*":
            _bound(left.bit_length() + right.bit_length(), BITS, "bits")
    elif sign == "*":
        _bound_repetition(left, right, scope)
    elif sign == "+" and kinds[0] is kinds[1] and kinds[0] in _SIZED:
        size = len(left) + len(right)
        _bound(size, TEXT if kinds[0] is str else ITEMS, "characters of text" if kinds[0] is str else "items")
        scope.spend(weigh(left) + weigh(right))
    elif sign == "%" and isinstance(left, str | bytes):
        raise ExpressionError('"..." % value formats a text: use an f-string')
    return _BINARY[sign](left, right)


def _bound_repetition(left: Any, right: Any, scope: Scope) -> None:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, str | bytes | list | tuple) and isinstance(times, int):
            size = len(sequence) * max(times, 0)
            _bound(size, TEXT if isinstance(sequence, str | bytes) else ITEMS, "items")
            scope.spend(size // (_CHARACTERS if isinstance(sequence, str | bytes) else _BATCH))


def _bound(size: int, limit: int, what: str) -> None:
    if size > limit:
        raise ExpressionError(f"the result has more than {limit:,} {what}: use a tool")


def items_of(source: Any, scope: Scope | _Loose, limit: int = ITEMS) -> Iterator[Any]:
    """Yield the items of a value, a step each, at most `limit`; raise an ExpressionError beyond."""
    for count, item in enumerate(source):
        if count >= limit:
            raise ExpressionError(f"more than {limit:,} items: use a tool")
        scope.spend(1)
        yield item


def _sized(source: Any, scope: Scope) -> list[Any]:
    """Return what a function is to work on as a list, after checking its size."""
    if isinstance(source, list | tuple | dict | set | frozenset | str | bytes | range):
        _bound(len(source), ITEMS, "items")
        scope.spend(len(source) // _BATCH)
        return list(source)
    return list(items_of(source, _Loose(scope)))


class _Loose:
    """Counts a small part of a step per item: for functions that iterate at the speed of C."""

    def __init__(self, scope: Scope) -> None:
        self.scope, self.count = scope, 0

    def spend(self, steps: int) -> None:
        self.count += steps
        if self.count >= _BATCH:
            self.scope.spend(1)
            self.count = 0


def _pairs(pairs: Iterable[Any], scope: Scope) -> list[Any]:
    found = list(pairs)
    scope.spend(len(found) // _PAIRS)
    return found


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(scope: Scope, *args: Any, **kwargs: Any) -> Any:
        return function(_sized(args[0], scope) if len(args) == 1 else args, **kwargs)

    return call


def _sum(scope: Scope, values: Any, start: Any = 0) -> Any:
    if isinstance(start, str | bytes):
        raise ExpressionError('sum() adds no texts: use "".join(...)')
    items = _sized(values, scope)
    if type(start) in (int, float) and all(type(item) in (int, float, bool) for item in items):
        return sum(items, start)
    total = start
    for item in items:
        total = apply_operator("+", total, item, scope)
    return total


def _round(scope: Scope, number: Any, ndigits: Any = None) -> Any:
    if isinstance(ndigits, int) and abs(ndigits) > DIGITS // 10:
        raise ExpressionError(f"round to more than {DIGITS // 10} digits")
    return round(number, ndigits) if ndigits is not None else round(number)


def _dict_of(scope: Scope, pairs: Any = (), **named: Any) -> dict[Any, Any]:
    scope.spend(weigh(pairs))
    return dict(pairs if isinstance(pairs, dict) else _sized(pairs, scope), **named)


def _collect(kind: Callable[[Iterable[Any]], Any]) -> Callable[..., Any]:
    return lambda scope, values=(): kind(_sized(values, scope))


def _string(scope: Scope, value: Any = "") -> str:
    check_size(value)
    text = str(value)
    _bound(len(text), TEXT, "characters of text")
    scope.spend(weigh(text))
    return text


def _replace(scope: Scope, text: str, old: str, new: str, count: int = -1) -> str:
    _bound(len(text) + text.count(old) * max(len(new) - len(old), 0), TEXT, "characters of text")
    scope.spend(weigh(text))
    return text.replace(old, new, count)


def _join(scope: Scope, text: str, parts: Any) -> str:
    items = _sized(parts, scope)
    _bound(sum(len(item) + len(text) for item in items if isinstance(item, str)), TEXT, "characters of text")
    return text.join(items)


def _split(scope: Scope, text: str, separator: str | None = None, limit: int = -1) -> list[str]:
    parts = text.split(separator, limit if 0 <= limit <= ITEMS else ITEMS)
    _bound(len(parts), ITEMS, "items")
    return parts


def _reversed(scope: Scope, values: Any) -> list[Any]:
    if isinstance(values, set | frozenset):
        raise ExpressionError("a set has no order that could be reversed: sort it")
    return _sized(values, scope)[::-1]


def _range(scope: Scope, *ends: Any) -> range:
    numbers = range(*ends)
    _bound(len(numbers), ITEMS, "items")
    return numbers


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda scope, *args, **kwargs: function(*args, **kwargs)


CHEAP: Final[dict[str, Callable[[Any, Any], Any]]] = {"+": operator.add, "-": operator.sub, "/": operator.truediv}
"""Operators whose result is no larger than their operands."""
SMALL: Final = frozenset({int, float})
_WHOLE: Final = frozenset({(int, int), (bool, int), (int, bool)})
_SIZED: Final = frozenset({str, list, tuple})
_WEIGHED: Final = frozenset({str, bytes, list, tuple, dict, set, frozenset})
_BINARY: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "max": _extreme(max),
    "min": _extreme(min),
    "sum": _sum,
    "len": _plain(len),
    "abs": _plain(abs),
    "round": _round,
    "sorted": lambda scope, values, **kwargs: sorted(_sized(values, scope), **kwargs),
    "reversed": _reversed,
    "zip": lambda scope, *values, strict=False: _pairs(zip(*(_sized(v, scope) for v in values), strict=strict), scope),
    "enumerate": lambda scope, values, start=0: _pairs(enumerate(_sized(values, scope), start), scope),
    "range": _range,
    "any": lambda scope, values: any(_sized(values, scope)),
    "all": lambda scope, values: all(_sized(values, scope)),
    "str": _string,
    "int": _plain(int),
    "float": _plain(float),
    "bool": _plain(bool),
    "list": _collect(list),
    "dict": _dict_of,
    "tuple": _collect(tuple),
    "set": _collect(set),
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
METHODS: Final[dict[str, dict[type, Callable[..., Any]]]] = {
    "split": {str: _split},
    "strip": {str: lambda scope, text, *args: text.strip(*args)},
    "lower": {str: lambda scope, text: text.lower()},
    "upper": {str: lambda scope, text: text.upper()},
    "title": {str: lambda scope, text: text.title()},
    "join": {str: _join},
    "replace": {str: _replace},
    "startswith": {str: lambda scope, text, *args: text.startswith(*args)},
    "endswith": {str: lambda scope, text, *args: text.endswith(*args)},
    "get": {dict: lambda scope, table, *args: table.get(*args)},
    "keys": {dict: lambda scope, table: list(table)},
    "values": {dict: lambda scope, table: list(table.values())},
    "items": {dict: lambda scope, table: _pairs(table.items(), scope)},
    "index": {list: lambda scope, items, *args: items.index(*args)},
    "count": {list: lambda scope, items, value: items.count(value)},
}
