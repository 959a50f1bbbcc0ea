"""How plans differ from plain Python and pandas, for scripts: how tables are read, and sums skip what is missing.

It is the text of scripts: pieces.py takes from here what one uses. Nothing here imports the package, and the package
never calls it.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from typing import Any

_PANDAS = ("Series", "DataFrame")
_INDEXES = (
    "Index", "RangeIndex", "DatetimeIndex", "TimedeltaIndex", "PeriodIndex", "CategoricalIndex", "MultiIndex",
)  # fmt: skip
_TABLES = (*_PANDAS, "ndarray", *_INDEXES)
_GROUPS = ("DataFrameGroupBy", "SeriesGroupBy")
_READ = {
    "DataFrame": ("shape", "columns", "dtypes", "index", "loc", "iloc"),
    "Series": ("shape", "dtype", "index", "str", "dt", "loc", "iloc"),
    "ndarray": ("shape", "dtype"),
    "DatetimeProperties": ("year", "quarter", "month", "day", "hour", "minute", "second", "dayofweek", "weekday",
                           "dayofyear", "date"),
    "TimedeltaProperties": ("days",),
}  # fmt: skip
"""What is read of tables without a call, before a column or a label of the same name."""
_RENAMED = {"dayofweek": "day_of_week", "weekday": "day_of_week", "dayofyear": "day_of_year"}


def _kind(value: Any) -> str:
    """Return the name of a type of pandas or NumPy, "" for any other."""
    kind = type(value)
    return kind.__name__ if kind.__module__.partition(".")[0] in ("pandas", "numpy") else ""


def _own(value: Any) -> Any:
    """Return a number or a text of NumPy's as Python's, an array of pandas' as NumPy's, anything else as it is."""
    if not _kind(value):
        return value
    import numpy

    if isinstance(value, numpy.generic):
        return value.item() if value.dtype.kind in "biufcU" else value
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.api.extensions.ExtensionArray):
        return numpy.asarray(value)
    return value


def _get(value: Any, key: Any) -> Any:
    """Return `value[key]`; of a column a whole number is a label, or a position if the index has plain numbers."""
    kind, key = _kind(value), _own(key)
    if kind == "Series" and type(key) is int:
        index = value.index
        if key in index:
            return _own(value.loc[key])
        counted = value.name in ("count", "proportion")
        if index.nlevels > 1 or index.dtype.kind not in "iu" or index.name is not None or counted:
            raise LookupError(f"a column has no label {key}")
        return _own(value.iloc[key])
    if isinstance(value, defaultdict):
        return _of_default(value, key)
    return _own(value[key]) if kind else value[key]


def _of_default(table: defaultdict[Any, Any], key: Any) -> Any:
    """Return what is at a key of a dict with defaults, which does not grow by that."""
    fresh = (int, float, str, bool, list, dict, set, tuple)
    if key in table or table.default_factory not in fresh:
        return table[key] if key in table else {}[key]
    return table.default_factory()


def _field(value: Any, name: str) -> Any:
    """Return `value.name`: a listed attribute of a table, otherwise its column or label; a key; a field."""
    kind = _kind(value)
    if name in _READ.get(kind, ()) or (kind in _INDEXES and name == "dtype"):
        return getattr(value, _RENAMED.get(name, name))
    if kind == "DataFrame" or kind in _GROUPS:
        return _own(value[name])
    if kind == "Series":
        return _own(value.loc[name])
    return _get(value, name) if isinstance(value, dict) else getattr(value, name)


def _do(value: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """Return what a method gives, numbers as Python's; those of an array skip what is missing."""
    kind = _kind(value)
    if kind not in _TABLES or (kind != "ndarray" and not hasattr(type(value), name)):
        return _own(getattr(value, name)(*args, **kwargs))
    if kind != "ndarray":  # looked up in the class: a column of the same name would hide a method
        return _own(getattr(type(value), name)(value, *args, **kwargs))
    if name in ("dropna", "isna", "count"):
        found = _missing(value) if name == "isna" else _present(value)
        return _own(found.size if name == "count" else found)
    rest = _present(value)
    if not rest.size and name != "sum" and (value.size or name not in ("max", "min")):
        return float("nan")
    import numpy

    return _own(numpy.median(rest) if name == "median" else getattr(rest, name)(*args, **kwargs))


def _missing(column: Any) -> Any:
    """Return a mask of what is missing in a column or an array."""
    if _kind(column) != "ndarray":
        return column.isna()
    if column.dtype.kind in "fcmM":
        return column != column
    import numpy

    mask: Any = numpy.zeros(column.shape, bool)
    if column.dtype.kind == "O":
        mask.flat = [each is None or (type(each) is float and each != each) for each in column.flat]
    return mask


def _present(column: Any) -> Any:
    """Return a column or an array without what is missing."""
    return column[~_missing(column)] if _kind(column) == "ndarray" else column.dropna()


def _is_column(value: Any) -> bool:
    """Whether a value is a column, or an array of one dimension."""
    return _kind(value) == "Series" or (_kind(value) == "ndarray" and value.ndim == 1)


def _items(value: Any) -> Any:
    """Return what is gone through of a value: of a column Python's numbers, of groups pairs of key and table."""
    kind = _kind(value)
    if kind in _GROUPS:
        return [(tuple(map(_own, key)) if type(key) is tuple else _own(key), table) for key, table in value]
    if kind not in _TABLES or kind == "DataFrame":
        return value
    return value if kind == "ndarray" and (value.ndim != 1 or value.dtype.kind in "mM") else value.tolist()


def _ordered(column: Any) -> Any:
    """Return a column in the order of Python: unordered categories as what they are of; ordered ones as they are."""
    dtype = column.dtype
    if type(dtype).__name__ == "CategoricalDtype" and not dtype.ordered:
        if not _by_library(dtype.categories):
            return column.astype(dtype.categories.dtype)
        # Whole numbers cannot be made of the column itself, for nothing among them means missing.
        return column.cat.set_categories(dtype.categories.sort_values(), ordered=True)
    return column


def _by_library(column: Any) -> bool:
    """Whether a library orders a column as Python does, or in the order of its categories."""
    return column.dtype.kind in "biufmM" or type(column.dtype).__name__ in ("CategoricalDtype", "StringDtype")


def _sum(values: Any, start: Any = 0) -> Any:
    """Return the sum; of a column, of what is not missing."""
    if not _is_column(values):
        return sum(_items(values), start)
    if values.dtype.kind in "fc" and type(start) in (int, float):
        rest = _present(values)
        return (_own(rest.sum()) if len(rest) else 0) + start
    return sum(_items(_present(values)), start)


def _extreme(function: Callable[..., Any], values: Any, rest: dict[str, Any]) -> Any:
    if not _is_column(values):
        return function(_items(values), **rest)
    column, name = _ordered(values), "max" if function is max else "min"
    if rest.get("key") is not None or not _by_library(column):
        return function(_items(_present(values)), **rest)
    present = _present(column)
    if not len(present):
        return function([], **rest)
    return _own(getattr(present, name)())


def _max(values: Any, **rest: Any) -> Any:
    """Return the largest; of a column, of what is not missing, ordered categories in their own order."""
    return _extreme(max, values, rest)


def _min(values: Any, **rest: Any) -> Any:
    """Return the smallest, as `_max` does."""
    return _extreme(min, values, rest)


def _any(values: Any) -> bool:
    """Whether any is true; of a column, of what is not missing."""
    return any(_items(_present(values) if _is_column(values) else values))


def _all(values: Any) -> bool:
    """Whether all are true; of a column, of what is not missing."""
    return all(_items(_present(values) if _is_column(values) else values))


def _sorted(values: Any, *, key: Any = None, reverse: bool = False) -> list[Any]:
    """Return the items in order; of a column, what is missing comes last."""
    if not _is_column(values):
        return sorted(_items(values), key=key, reverse=reverse)
    column = _ordered(values)
    if key is None and _by_library(column) and _kind(column) == "Series":
        return list(column.sort_values(ascending=not reverse, kind="stable").tolist())
    present = sorted(_items(_present(values)), key=key, reverse=reverse)
    return [*present, *values[_missing(values)].tolist()]


def _round(value: Any, ndigits: int | None = None) -> Any:
    """Return a value rounded; an array, too."""
    if _kind(value) in ("ndarray", "Series"):
        return value.round(ndigits or 0)
    return round(value, ndigits) if ndigits is not None else round(value)
