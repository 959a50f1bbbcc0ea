"""Operators within bounds: the size of the result and the time are estimated first."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import repeat
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import BITS, DIGITS, ITEMS, NESTS, RUN, TEXT, Scope, bound
from compiler_nb.operations.growth import check_operator
from compiler_nb.operations.sizes import is_mixed
from compiler_nb.operations.tables import cells, kind_of
from compiler_nb.operations.weights import (
    BATCH,
    CHARACTERS,
    OWN,
    TEXTS,
    hashed,
    is_a,
    items_of,
    length,
    size_of,
    spend_on_parts,
    standard,
    weigh,
    whole,
)

_SETS: Final = frozenset({set, frozenset})
_NUMBERS: Final = frozenset({int, float, bool, complex})
_BRACKETS: Final = "& and | are read before comparisons: put each comparison in brackets, (a > 1) & (b < 2)"
_BINARY: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "&": operator.and_,
    "|": operator.or_,
}
_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "is": operator.is_,
    "is not": operator.is_not,
}


def apply_operator(sign: str, left: Any, right: Any, scope: Scope) -> Any:
    """Return `left sign right`, after checking that the result is not too large."""
    scope.spend(1)
    if is_a(left, int) and is_a(right, int):
        _bound_whole(sign, operator.index(left), operator.index(right), scope)
        return _BINARY[sign](left, right)
    kind = type(left)
    if kind is float and type(right) in _NUMBERS:
        return _BINARY[sign](left, right)
    if kind_of(left) or kind_of(right):
        return _of_tables(sign, left, right, scope)
    _bound_exact(left, right)
    if sign == "*":
        _bound_repetition(left, right, scope)
    elif sign == "**" and not is_a(left, (float, complex)):
        bound(abs(whole(right) or 0), DIGITS, "digits")
    elif sign == "%" and is_a(left, TEXTS):
        raise ExpressionError('"..." % value formats a text: use an f-string')
    elif sign == "+":
        _bound_joined(left, right, scope)
    elif kind in _SETS or (kind is dict and sign == "|"):
        spend_on_parts([left, right], scope)
    if standard("fractions", "Fraction") in (kind, type(right)):
        bound(size_of(left) + size_of(right), BITS, "bits")
    return scope.made(_BINARY[sign](left, right))


def _of_tables(sign: str, left: Any, right: Any, scope: Scope) -> Any:
    _spend_on_tables(sign, left, right, scope)
    try:
        return _BINARY[sign](left, right)
    except TypeError:  # a > 1 & b < 2 is a > (1 & b) < 2
        if sign in "&|" and not (kind_of(left) and kind_of(right)):
            raise TypeError(_BRACKETS) from None
        raise


def _spend_on_tables(sign: str, left: Any, right: Any, scope: Scope) -> None:
    scope.heavy(left, right)
    if check_operator(sign, left, right):  # each item is tried within bounds, because the library has none
        if len({part.size for part in (left, right) if kind_of(part)}) > 1:
            raise ExpressionError("columns of objects can be combined only if they are equally long: use a tool")
        parts = [cells(part) if kind_of(part) else repeat(part) for part in (left, right)]
        for each, other in zip(*parts, strict=False):
            with suppress(ArithmeticError, TypeError):  # for what is missing, which the library skips
                apply_operator(sign, each, other, scope)


def _bound_exact(left: Any, right: Any) -> None:
    """Raise an ExpressionError if a number is too large to become a Decimal: that takes quadratic time."""
    decimal = standard("decimal", "Decimal")
    if decimal is not None and (type(left) is decimal or type(right) is decimal):
        bound(max(0 if type(part) is decimal else size_of(part) for part in (left, right)), BITS, "bits")


def _bound_whole(sign: str, left: int, right: int, scope: Scope) -> None:
    size, other = left.bit_length(), right.bit_length()
    if sign == "**" and right > 0 and abs(left) > 1:
        bound(size * right, BITS, "bits")
        size *= right
    elif sign == "*":
        bound(size + other, BITS, "bits")
    elif sign != "/":  # a division takes the time of a multiplication
        bound(max(size, other), BITS, "bits")
    if size + other > CHARACTERS:
        scope.spend((size + other) // CHARACTERS)
        scope.hold((size + other) // 8)


def _bound_joined(left: Any, right: Any, scope: Scope) -> None:
    size, other = length(left), length(right)
    if size >= 0 and other >= 0:
        is_text = is_a(left, TEXTS)
        bound(size + other, TEXT if is_text else ITEMS, "characters of text" if is_text else "items")
        scope.spend((size + other) // (CHARACTERS if is_text else BATCH))
        if is_a(left, OWN):
            scope.hold(8 * (size + other))


def _bound_repetition(left: Any, right: Any, scope: Scope) -> None:
    for sequence, times in ((left, right), (right, left)):
        count = whole(times)
        size = -1 if count is None else length(sequence)
        if size < 0 and count is not None and is_a(sequence, Sequence):  # an array, or a user's own
            size = len(sequence)
        if size > 0 and count is not None and count > 0:
            is_text = is_a(sequence, TEXTS)
            bound(size * count, TEXT if is_text else ITEMS, "characters of text" if is_text else "items")
            scope.spend(size * count // (CHARACTERS if is_text else BATCH))
            if is_a(sequence, OWN):
                scope.hold(8 * size * count)


def compare(sign: str, left: Any, right: Any, scope: Scope) -> Any:
    """Return the comparison `left sign right`, after paying for it."""
    scope.spend(1)
    if type(left) in _NUMBERS and type(right) in _NUMBERS and sign in _COMPARE:
        return _COMPARE[sign](left, right)
    if kind_of(left) or kind_of(right):
        scope.heavy(left, right)
        for part in (left, right):
            spend_on_parts(cells(part) if kind_of(part) and is_mixed(part) else None, scope)
    _bound_exact(left, right)
    if sign in ("in", "not in"):
        return _is_in(left, right, scope) is (sign == "in")
    if sign not in ("is", "is not"):
        _spend_on_comparison(left, right, scope)
    return _COMPARE[sign](left, right)


def _spend_on_comparison(left: Any, right: Any, scope: Scope) -> None:
    """Pay for the smaller of two containers or texts; a comparison of different kinds costs nothing."""
    nests = type(left) in NESTS, type(right) in NESTS
    if all(nests):
        spend_on_parts(left if len(left) <= len(right) else right, scope)
    elif any(nests):
        plain, other = (left, right) if nests[0] else (right, left)
        if is_a(other, tuple(NESTS)):
            spend_on_parts(plain, scope)
    else:
        scope.spend(min(weigh(left), weigh(right)))


def _is_in(left: Any, right: Any, scope: Scope) -> bool:
    """Whether a value is in another; a container that can only be iterated is read within bounds."""
    kind = type(right)
    if kind is dict or kind in _SETS:
        return hashed(left, scope) in right
    if kind is list or kind is tuple:
        return any(left in part for _, part in searched(left, right, scope))
    if kind is range and type(left) is float:  # Python would compare it with each number
        return left.is_integer() and int(left) in right
    if not hasattr(kind, "__contains__") or (kind is range and not is_a(left, int)):
        return any(item is left or item == left for item in items_of(right, scope))  # Python would not look up
    is_text = is_a(right, TEXTS)
    bound(length(right), TEXT if is_text else ITEMS, f"{'characters of text' if is_text else 'items'} to search")
    scope.spend(weigh(right))
    return left in right


def searched(
    value: Any, items: list[Any] | tuple[Any, ...], scope: Scope
) -> Iterator[tuple[int, list[Any] | tuple[Any, ...]]]:
    """Yield the parts of items that are searched for a value, each with its place, and pay for that.

    More is paid if the items must be compared part by part: comparing a float with a Decimal takes long.
    """
    bound(len(items), ITEMS, "items to search")
    if type(value) in NESTS or type(value) in TEXTS:
        spend_on_parts(items, scope)
    if len(items) <= RUN:
        scope.spend(weigh(items))
        yield 0, items
        return
    for at in range(0, len(items), RUN):
        scope.spend(RUN // BATCH)
        yield at, items[at : at + RUN]
