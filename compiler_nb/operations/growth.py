"""How large what an operator or a selection makes of tables would be, before it is made.

Most results are as large as the tables. They grow where labels that occur several times are matched with each other,
where a column is matched with the names of a table's columns, where dimensions are combined, where a column is
selected many times, and where texts are joined or repeated.
"""

from __future__ import annotations

from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.tables import cells, kind_of, present
from compiler_nb.text import type_name

CELLS: Final = 10_000_000
"""Cells that a result may have if it is larger than the tables that it is made of."""
CHARACTERS: Final = 200_000_000
"""Characters that the texts of a column may have together."""
_TEXT: Final = frozenset({str, type(None), float})


def check_selection(table: Any, key: Any) -> None:
    """Raise an ExpressionError if `table[key]` would be too large: a list of keys may name the same part many times."""
    if kind_of(key) or type(key) in (list, tuple):
        rows = max(len(table), 1) if kind_of(table) == "DataFrame" else table.size // max(len(table), 1)
        _check(rows * len(key), table.size)


def check_operator(sign: str, left: Any, right: Any) -> None:
    """Raise an ExpressionError if `left sign right` would be too large; at least one is a table."""
    if not (kind_of(left) and kind_of(right)):
        table, other = (left, right) if kind_of(left) else (right, left)
        if sign in "+*" and is_text(table):
            grown = _characters(table) * other if sign == "*" and type(other) is int else _characters(table)
            _check_text(grown + (len(other) * len(table) if type(other) is str else 0))
        if type(other) in (list, tuple):
            _check(table.size * len(other) if kind_of(table) == "ndarray" else 0, table.size)
        return
    if sign == "+" and is_text(left) and is_text(right):
        _check_text(_characters(left) + _characters(right))
    _check(_cells(left, right), left.size + right.size)


def _check(cells: int, given: int) -> None:
    # Up to twice what is given is never refused: that much memory was at hand.
    limit = max(CELLS, 2 * given)
    if cells > limit:
        raise ExpressionError(f"the result would have {cells:,} cells, more than {limit:,}: use a tool")


def _check_text(characters: int) -> None:
    if characters > CHARACTERS:
        raise ExpressionError(f"the result would have more than {CHARACTERS:,} characters of text: use a tool")


def is_text(table: Any) -> bool:
    """Whether a column holds texts, and nothing else but what is missing."""
    if kind_of(table) not in ("Series", "ndarray"):
        return False
    return type_name(table.dtype) == "StringDtype" or (is_mixed(table, frozenset()) and not is_mixed(table, _TEXT))


def is_mixed(table: Any, known: frozenset[type] = _TEXT) -> bool:
    """Whether a table holds objects of other types than these, on which operators are Python's own."""
    kind = kind_of(table)
    if kind == "DataFrame":
        return any(is_mixed(table.iloc[:, place], known) for place in range(len(table.columns)))
    return kind != "" and str(table.dtype) == "object" and not (known and known.issuperset(map(type, cells(table))))


def _characters(column: Any) -> int:
    return sum(map(len, present(column).tolist()))


def _cells(left: Any, right: Any) -> int:
    kinds = kind_of(left), kind_of(right)
    if kinds == ("Series", "Series"):
        return _joined(left.index, right.index)
    if kinds == ("DataFrame", "DataFrame"):
        return _joined(left.index, right.index) * (len(left.columns) + len(right.columns))
    if "DataFrame" in kinds and "Series" in kinds:  # the labels of the column are matched with the names of the columns
        frame, column = (left, right) if kinds[0] == "DataFrame" else (right, left)
        return len(frame) * _joined(frame.columns, column.index)
    # Arrays are stretched along their last dimensions, where one of them has the length 1.
    cells = 1
    shapes = [(1,) * max(left.ndim - right.ndim, right.ndim - left.ndim) + part.shape for part in (left, right)]
    for one, other in zip(shapes[0][::-1], shapes[1][::-1], strict=False):
        cells *= max(one, other)
    return cells


def _joined(one: Any, other: Any) -> int:
    """Return how many labels there are if each of one index is matched with each equal one of the other."""
    if one is other or one.equals(other):
        return len(one)
    if one.is_unique or other.is_unique:
        return len(one) + len(other)
    # As numbers with a point: the products of counts may be larger than the library's whole numbers.
    counts = one.value_counts(dropna=False).astype(float), other.value_counts(dropna=False).astype(float)
    common = counts[0].index.intersection(counts[1].index)
    return len(one) + len(other) + int((counts[0].loc[common] * counts[1].loc[common]).sum())
