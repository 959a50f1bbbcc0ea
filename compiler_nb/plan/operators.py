"""The operators of a plan's expressions: Python's own, applied once their cost is known to be within bounds."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.plan.bounds import (
    BATCH,
    BITS,
    CHARACTERS,
    DIGITS,
    ITEMS,
    NESTS,
    TEXT,
    Scope,
    bound,
    hashed,
    is_a,
    items_of,
    length,
    spend_on_parts,
    weigh,
    whole,
)

CHEAP: Final[dict[str, Callable[[Any, Any], Any]]] = {"+": operator.add, "-": operator.sub, "/": operator.truediv}
"""Operators whose result is about as large as their operands."""
SMALL: Final = frozenset({int, float})
MOST: Final = 2**BITS
LEAST: Final = -MOST
_SIZED: Final = frozenset({str, list, tuple})
_SETS: Final = frozenset({set, frozenset})
_TEXTS: Final = (str, bytes)
_BINARY: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
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
    kind = type(left)
    if is_a(left, int) and is_a(right, int):
        _bound_whole(sign, operator.index(left), operator.index(right))
    elif sign == "*":
        _bound_repetition(left, right, scope)
    elif sign == "**" and not is_a(left, (float, complex)):
        bound(abs(whole(right) or 0), DIGITS, "digits")
    elif sign == "%" and is_a(left, _TEXTS):
        raise ExpressionError('"..." % value formats a text: use an f-string')
    elif sign == "+" and kind is type(right) and kind in _SIZED:
        bound(len(left) + len(right), TEXT if kind is str else ITEMS, "characters of text" if kind is str else "items")
        scope.spend(weigh(left) + weigh(right))
    elif kind in _SETS:
        spend_on_parts(left, scope)
    return _BINARY[sign](left, right)


def _bound_whole(sign: str, left: int, right: int) -> None:
    if sign == "**" and right > 0 and abs(left) > 1:
        bound(left.bit_length() * right, BITS, "bits")
    elif sign == "*":
        bound(left.bit_length() + right.bit_length(), BITS, "bits")
    elif sign != "/":  # a division takes the time of a multiplication
        bound(max(left.bit_length(), right.bit_length()), BITS, "bits")


def _bound_repetition(left: Any, right: Any, scope: Scope) -> None:
    for sequence, times in ((left, right), (right, left)):
        size, count = length(sequence), whole(times)
        if size > 0 and count is not None and count > 0:
            is_text = is_a(sequence, _TEXTS)
            bound(size * count, TEXT if is_text else ITEMS, "items")
            scope.spend(size * count // (CHARACTERS if is_text else BATCH))


def compare(sign: str, left: Any, right: Any, scope: Scope) -> Any:
    """Return the comparison `left sign right`, after paying for it."""
    scope.spend(1)
    if sign in ("in", "not in"):
        return _is_in(left, right, scope) is (sign == "in")
    if not (type(left) in SMALL or type(right) in SMALL or sign in ("is", "is not")):
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
        spend_on_searching(left, right, scope)
    elif not hasattr(kind, "__contains__"):  # Python would iterate it, maybe forever
        return any(item is left or item == left for item in items_of(right, scope))
    else:
        scope.spend(weigh(right))
    return left in right


def spend_on_searching(value: Any, items: list[Any] | tuple[Any, ...], scope: Scope) -> None:
    """Spend what it costs to search items for a value: more if they must be compared part by part."""
    if type(value) in NESTS or type(value) in _TEXTS:
        spend_on_parts(items, scope)
    else:
        scope.spend(weigh(items))
