"""Tables in expressions: exactly pandas' and NumPy's own types, which are found without importing either.

A view is what pandas gives on the way to a table: what `groupby`, `resample` and `rolling` return, `s.str` and `s.dt`.
What may be asked of tables and views stands in `compiler_nb.operations.idioms`.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from compiler_nb.text import name_of

INDEXES: Final = (
    "Index", "RangeIndex", "DatetimeIndex", "TimedeltaIndex", "PeriodIndex", "CategoricalIndex", "MultiIndex",
)  # fmt: skip
_LIBRARIES: Final = {"ndarray": "numpy"} | dict.fromkeys(("Series", "DataFrame", *INDEXES), "pandas")
_VIEWS: Final = {
    "DataFrameGroupBy": "pandas.core.groupby.generic",
    "SeriesGroupBy": "pandas.core.groupby.generic",
    "DatetimeIndexResampler": "pandas.core.resample",
    "Rolling": "pandas.core.window.rolling",
    "StringMethods": "pandas.core.strings.accessor",
    "DatetimeProperties": "pandas.core.indexes.accessors",
    "TimedeltaProperties": "pandas.core.indexes.accessors",
}
_USUAL: Final = frozenset({int, float, str, bool, type(None), list, dict, tuple})


def kind_of(value: Any) -> str:
    """Return the name of a table's type if it is exactly one of the libraries' own, "" for anything else."""
    kind = type(value)
    if kind in _USUAL:  # this is asked of every value that an expression touches
        return ""
    # Exactly the library's own: a subclass, or a class that calls itself DataFrame, may run any code when it is read.
    name = name_of(kind)
    library = sys.modules.get(_LIBRARIES[name]) if name in _LIBRARIES else None
    return name if library is not None and getattr(library, name, None) is kind else ""


def view_of(value: Any) -> str:
    """Return the name of a view's type if it is exactly pandas' own, "" for anything else."""
    kind = type(value)
    if kind in _USUAL:
        return ""
    name = name_of(kind)
    module = sys.modules.get(_VIEWS.get(name, ""))
    return name if module is not None and getattr(module, name, None) is kind else ""


def base_of(view: Any) -> Any:
    """Return the table that a view is of."""
    parts = vars(view)
    if "obj" in parts:
        return parts["obj"]
    return parts.get("_orig", parts["_parent"])  # what texts are asked of may be a category, and its parent the list


def selected_of(view: Any) -> Any:
    """Return the columns that a view selects, as in `groupby("a")[["b"]]`; otherwise all that are not keys."""
    table, chosen, keys = base_of(view), vars(view).get("_selection"), keys_of(view)
    if kind_of(table) != "DataFrame" or (chosen is None and not keys):
        return table
    return table[chosen] if chosen is not None else table.loc[:, [label not in keys for label in table.columns]]


def keys_of(view: Any) -> frozenset[Any]:
    """Return the columns by which a view groups its table: they are not part of its result."""
    return frozenset(vars(view).get("exclusions", ()))


def is_column(value: Any) -> bool:
    """Whether a value is a pandas Series, or an array of one dimension."""
    kind = kind_of(value)
    return kind == "Series" or (kind == "ndarray" and value.ndim == 1)


def plain(value: Any) -> Any:
    """Return a number or a text of NumPy's as Python's; anything else as it is."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(type(value), numpy.generic) and value.dtype.kind in "biufcU":
        return value.item()
    return value


def items(table: Any) -> Any:
    """Return what iterating over a table gives; numbers as Python's."""
    # `tolist` would make numbers of nanoseconds of an array's dates.
    if kind_of(table) == "DataFrame" or (kind_of(table) == "ndarray" and (table.ndim != 1 or table.dtype.kind in "mM")):
        return table
    return table.tolist()


def cells(table: Any) -> list[Any]:
    """Return all cells of a table as they are, row by row."""
    found: list[Any] = sys.modules["numpy"].asarray(table, dtype=object).ravel().tolist()
    return found


def missing(column: Any) -> Any:
    """Return a mask of what is missing in a column or an array."""
    if kind_of(column) != "ndarray":
        return column.isna()
    if column.dtype.kind in "fcmM":
        return column != column  # noqa: PLR0124 - nan and NaT are not equal to themselves
    mask = sys.modules["numpy"].zeros(column.shape, bool)
    if column.dtype.kind == "O":
        mask.flat = [each is None or (type(each) is float and each != each) for each in column.flat]  # noqa: PLR0124
    return mask


def is_missing(value: Any) -> bool:
    """Whether an item of a column is missing: pandas' NA, nan or NaT."""
    return value is getattr(sys.modules.get("pandas"), "NA", ()) or bool(value != value)  # noqa: PLR0124


def present(column: Any) -> Any:
    """Return a column or an array without what is missing."""
    return column[~missing(column)] if kind_of(column) == "ndarray" else column.dropna()


def groups_of(groups: Any) -> list[tuple[Any, Any]]:
    """Return the groups of a `groupby` as pairs of a key and a table."""
    return [(tuple(map(plain, key)) if type(key) is tuple else plain(key), table) for key, table in groups]
