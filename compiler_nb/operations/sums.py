"""How much a sum of texts or lists copies, before it is made.

The sum of a column of texts is all of them in one text. pandas adds them one by one, and each step copies what is there
so far: rows times characters, in one go that nothing can stop. Columns of numbers are known by their type alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.sizes import is_loose, is_packed
from compiler_nb.operations.tables import base_of, cells, keys_of, kind_of, view_of

COPIED: Final = 10_000_000_000
"""Characters, or items of lists, that a sum may copy: about a second."""
_ADDS: Final = frozenset({"sum", "mean", "std", "var"})
"""Methods that add up the objects of an array; those of a table or a column are added only by a sum."""
_GROWS: Final = frozenset({str, bytes, list, tuple})
_BY_NAMES: Final = frozenset({"agg", "aggregate", "pivot_table"})


def check_sum(name: str, table: Any, given: dict[str, Any]) -> None:
    """Raise an ExpressionError if an idiom of a table or a view would add up too much text, or lists too long."""
    if name not in _ADDS and name not in _BY_NAMES:
        return
    if kind_of(table) == "ndarray":
        columns = [table] if name in _ADDS and is_loose(table.dtype) else []
    else:
        columns = [] if given.get("numeric_only") else _added(name, table, given)
    size = sum(map(_length, columns))
    if size and all(size * rows > COPIED for rows in _rows(table, given)):
        raise ExpressionError(
            f"the sum of texts or lists in .{name}() would copy what is there for each row, {size:,} characters or "
            "items in all: sum columns of numbers only (numeric_only=True), or join the texts in a tool"
        )


def _added(name: str, table: Any, given: dict[str, Any]) -> list[Any]:
    """Return the columns of texts and objects that are added up one by one."""
    if name in _ADDS and name != "sum":
        return []  # pandas refuses texts
    meant = None if name == "sum" else _summed(name, given)
    if meant is not None and not meant:
        return []
    base = base_of(table) if view_of(table) else table
    whole = not view_of(table) and name != "pivot_table"  # the library joins its own texts at once, but not in groups
    if kind_of(base) == "Series":
        return [base] if is_loose(base.dtype) and not (whole and is_packed(base.dtype)) else []
    chosen = vars(table).get("_selection") if view_of(table) else None  # `selected_of` would copy columns of numbers
    labels = None if chosen is None else chosen if type(chosen) is list else [chosen]
    keys = keys_of(table) if view_of(table) else _keys(given)
    return [
        base.iloc[:, at]
        for at, (label, dtype) in enumerate(zip(base.columns, base.dtypes, strict=True))
        if is_loose(dtype)
        and label not in keys
        and (labels is None or label in labels)
        and (meant is None or None in meant or label in meant)
        and not (whole and is_packed(dtype))
    ]


def _keys(given: dict[str, Any]) -> list[Any]:
    """Return the columns by which a pivot table is made."""
    sides = [given.get(word) for word in ("index", "columns")]
    return [label for side in sides for label in (side if type(side) is list else [side]) if not kind_of(label)]


def _summed(name: str, given: dict[str, Any]) -> list[Any]:
    """Return the labels of the columns that an aggregation sums; None stands for all."""
    func = given.get("aggfunc" if name == "pivot_table" else "func")
    values: Any = given.get("values")
    chosen = values if type(values) in (list, tuple) else [values]
    found = [label for label, names in func.items() if _has_sum(names)] if type(func) is dict else []
    if type(func) is not dict and _has_sum(func):
        found = list(chosen)
    named = given.values() if name != "pivot_table" else ()
    return found + [pair[0] for pair in named if type(pair) is tuple and _has_sum(pair[1:])]


def _has_sum(names: Any) -> bool:
    return any(map(_has_sum, names)) if type(names) in (list, tuple) else names == "sum"


def _length(column: Any) -> int:
    if is_packed(column.dtype):
        return int(column.nbytes)
    return sum(len(each) for each in cells(column) if type(each) in _GROWS)


def _rows(table: Any, given: dict[str, Any]) -> Iterator[int]:
    """Yield how many steps a sum has at most, the cheapest bound first: those of the largest group."""
    base = base_of(table) if view_of(table) else table
    if given.get("axis", 0) in (1, "columns") and kind_of(base) == "DataFrame":
        yield len(base.columns)
        return
    yield len(base)
    if view_of(table) in ("DataFrameGroupBy", "SeriesGroupBy"):
        groups = table.ngroup().value_counts()
        yield int(groups.max()) if len(groups) else 0  # keys may all be missing
