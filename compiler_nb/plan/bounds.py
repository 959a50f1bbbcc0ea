"""What an expression may cost: its steps, how large and how deep values may be, and operators within these bounds.

No attribute of a value is read here or in the files that use this, except of tables. A value is judged by its type
alone, and a text or a sequence is as long as its built-in type says, whatever a subclass claims.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, repeat
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.plan.growth import check_operator, is_mixed
from compiler_nb.plan.tables import cells, items, kind_of
from compiler_nb.text import type_name

STEPS: Final = 100_000
ITEMS: Final = 1_000_000
TEXT: Final = 10_000_000
DIGITS: Final = 4_300
BITS: Final = int(DIGITS * 3.33)
BATCH: Final = 100
"""Items of a container that are copied or searched in a step."""
CHARACTERS: Final = 1_000
"""Characters that are copied or searched in a step."""
OBJECTS: Final = 20
"""Objects that are made in a step: a pair takes the memory of seven items, a piece of text that of six."""
LEVELS: Final = 1_000
"""How deep a value may nest that is compared or hashed: Python's own hash of a tuple overflows the stack."""
_VISIT: Final = 20
"""Items that looking into one more container counts for."""
_SHORT: Final = 60
_SEQUENCES: Final = (str, bytes, list, tuple)
NESTS: Final = frozenset({list, tuple, dict, set, frozenset})
_WEIGHED: Final = NESTS | {str, bytes}
_SIZED: Final = frozenset({str, list, tuple})
_SETS: Final = frozenset({set, frozenset})
_TEXTS: Final = (str, bytes)


class Scope:
    """What names mean while an expression is evaluated, and the steps that are left."""

    __slots__ = ("inputs", "locals", "notes", "steps", "values")

    def __init__(
        self, values: Mapping[str, Any], inputs: Mapping[str, Any] | None = None, names: Mapping[str, Any] | None = None
    ) -> None:
        self.values, self.inputs = values, inputs or {}
        self.locals = dict(names or {})
        self.steps = STEPS
        self.notes: list[str] = []  # what a reader of the result should know

    def heavy(self) -> None:
        """Note that an operation on a table begins, which may take long."""

    def spend(self, steps: int) -> None:
        """Count work; raise an ExpressionError if there was too much."""
        self.steps -= steps
        if self.steps < 0:
            raise ExpressionError(f"the expression takes more than {STEPS:,} steps: use a tool")


def bound(size: int, limit: int, what: str) -> None:
    """Raise an ExpressionError if a result would be larger than allowed."""
    if size > limit:
        raise ExpressionError(f"the result has more than {limit:,} {what}: use a tool")


# -------------------------------------------------------------------- what a value is


def is_a(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value is of a type or of a subclass; unlike isinstance, this does not ask the value."""
    return issubclass(type(value), kinds)


def length(value: Any) -> int:
    """Return the true length of a text or a sequence, -1 for anything else."""
    return next((kind.__len__(value) for kind in _SEQUENCES if is_a(value, kind)), -1)


def whole(value: Any) -> int | None:
    """Return the whole number that Python takes a value for, as in an index; None if it is not a whole number."""
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
    return len(value) // (CHARACTERS if kind is str or kind is bytes else BATCH) if kind in _WEIGHED else 0


def spend_on_parts(value: Any, scope: Scope) -> None:
    """Spend what it costs to compare or hash a value: its parts at all depths, shared parts each time they occur."""
    level, count, depth = [value] if type(value) in NESTS else [], 0, 0
    scope.spend(weigh(value))
    while level:
        depth += 1
        if depth > LEVELS:
            raise ExpressionError(f"a value nests more than {LEVELS:,} deep: use a tool")
        below: list[Any] = []
        for part in level:
            count += _VISIT + (len(part) * BATCH // CHARACTERS if type(part) in (str, bytes) else len(part))
            if count >= BATCH:
                scope.spend(count // BATCH)
                count %= BATCH
            if type(part) in NESTS:
                below += [each for each in part if _is_heavy(each)]
            if type(part) is dict:
                below += [each for each in part.values() if _is_heavy(each)]
        level = below


def _is_heavy(value: Any) -> bool:
    kind = type(value)
    return kind in NESTS or (kind in (str, bytes) and len(value) >= CHARACTERS)


def hashed(value: Any, scope: Scope) -> Any:
    """Return a value that becomes a key or a member of a set, after paying for its hash."""
    if type(value) is tuple or type(value) is frozenset:
        spend_on_parts(value, scope)
    return value


def check_size(value: Any) -> None:
    """Raise an ExpressionError if nested containers are too large to write as text; shared parts count again."""
    stack, count = [value], 0
    while stack:
        part = stack.pop()
        kind = type(part)
        if kind is str or kind is bytes:
            count += len(part)
        elif kind in NESTS:
            count += 2 + 3 * len(part)  # brackets, and at least "0, " for an item
            if count <= TEXT:
                stack += part
                if kind is dict:
                    stack += part.values()
        bound(count, TEXT, "characters of text")


# -------------------------------------------------------------------- items


def items_of(source: Any, scope: Scope, limit: int = ITEMS) -> Iterator[Any]:
    """Yield the items of a value, one step each; raise an ExpressionError if there are more than `limit`."""
    source = _of_table(source, scope, limit)
    for count, item in enumerate(source):
        if count >= limit:
            raise ExpressionError(f"more than {limit:,} items: use a tool")
        scope.spend(1)
        yield item


def _of_table(source: Any, scope: Scope, limit: int = ITEMS) -> Any:
    """Return what is iterated of a table: Python's numbers, not NumPy's; anything else as it is."""
    if not kind_of(source):
        return source
    scope.heavy()
    bound(len(source) if kind_of(source) == "ndarray" else 0, limit, "items")
    return items(source)


def listed(source: Any, scope: Scope) -> list[Any]:
    """Return the argument of a function as a list, after checking its size."""
    kind = type(source)
    if kind in _WEIGHED or kind is range:
        bound(len(source), ITEMS, "items")
        scope.spend(len(source) // (OBJECTS if kind is str else BATCH))
        return list(source)
    found = list(islice(_of_table(source, scope), ITEMS + 1))  # a user's object may go on forever
    bound(len(found), ITEMS, "items")
    scope.spend(len(found) // BATCH)
    return found


# -------------------------------------------------------------------- operators

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
    kind = type(left)
    if is_a(left, int) and is_a(right, int):
        _bound_whole(sign, operator.index(left), operator.index(right))
    elif kind_of(left) or kind_of(right):
        _spend_on_tables(sign, left, right, scope)
    elif sign == "*":
        _bound_repetition(left, right, scope)
    elif sign == "**" and not is_a(left, (float, complex)):
        bound(abs(whole(right) or 0), DIGITS, "digits")
    elif sign == "%" and is_a(left, _TEXTS):
        raise ExpressionError('"..." % value formats a text: use an f-string')
    elif sign == "+" and kind is type(right) and kind in _SIZED:
        bound(len(left) + len(right), TEXT if kind is str else ITEMS, "characters of text" if kind is str else "items")
        scope.spend(weigh(left) + weigh(right))
    elif kind in _SETS or (kind is dict and sign == "|"):
        spend_on_parts(left, scope)
        spend_on_parts(right, scope)
    return _BINARY[sign](left, right)


def _spend_on_tables(sign: str, left: Any, right: Any, scope: Scope) -> None:
    scope.heavy()
    check_operator(sign, left, right)
    if is_mixed(left) or is_mixed(right):  # each item is tried within bounds, for the library has none
        if len({part.size for part in (left, right) if kind_of(part)}) > 1:
            raise ExpressionError("columns of objects can be combined only if they are equally long: use a tool")
        parts = [cells(part) if kind_of(part) else repeat(part) for part in (left, right)]
        for each, other in zip(*parts, strict=False):
            apply_operator(sign, each, other, scope)


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
    if kind_of(left) or kind_of(right):
        scope.heavy()
        for part in (left, right):
            spend_on_parts(cells(part) if is_mixed(part) else None, scope)
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
