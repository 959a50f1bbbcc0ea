"""Functions of columns: Python's own over what is not missing, at the speed of the library that holds the column.

`sum`, `max`, `sorted` and so on take a pandas Series or an array of one dimension, of any size. Columns of Python
objects, and of types that the library does not order as Python does, are gone through item by item, and paid for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from compiler_nb.operations.tables import is_missing, items, kind_of, missing, plain, present
from compiler_nb.text import type_name

_OVERFLOW: Final = 1 << 63


class ItemByItem(Exception):
    """The library has no function for what a column holds."""


def _ordered(column: Any) -> Any:
    """Return a column that its library orders: as Python does, an ordered category in its own order."""
    dtype = column.dtype
    if type_name(dtype) == "CategoricalDtype" and not dtype.ordered:
        # By their values: the column itself cannot become whole numbers, because none of them means missing.
        return column.cat.set_categories(_ordered(dtype.categories).sort_values(), ordered=True)
    if dtype.kind not in "biufmM" and type_name(dtype) not in ("CategoricalDtype", "StringDtype"):
        raise ItemByItem
    return column


def _extreme(column: Any, name: str, **default: Any) -> Any:
    ordered = _ordered(column)
    found = getattr(ordered, name)() if len(ordered) else None
    if found is None or is_missing(found):  # an array's own method does not skip what is missing
        rest = present(ordered)
        if not len(rest) and not default:
            raise ValueError(f"{name}() of a column in which nothing is present: give it default=")
        found = getattr(rest, name)() if len(rest) else default["default"]
    return plain(found)


def _sum(column: Any) -> Any:
    kind = column.dtype.kind
    if kind not in "biufc":
        raise ItemByItem
    if kind in "iu" and len(column):
        ends = [int(end) for end in (column.max(), column.min()) if not is_missing(end)]
        if max(map(abs, ends), default=0) * len(column) >= _OVERFLOW:
            return sum(present(column).tolist())  # the library's would overflow in silence
    found = column.sum()
    if is_missing(found) or not found:
        rest = present(column)
        return plain(rest.sum()) if len(rest) else 0
    return plain(found)


def _sorted(column: Any, *, reverse: bool = False) -> list[Any]:
    ordered = _ordered(column)
    if kind_of(ordered) != "ndarray":
        return list(ordered.sort_values(ascending=not reverse, kind="stable").tolist())
    rest = present(ordered)
    rest.sort()
    return [*items(rest[::-1] if reverse else rest), *items(ordered[missing(ordered)])]


def _truth(column: Any, name: str) -> bool:
    if column.dtype.kind not in "biuf":
        raise ItemByItem
    return bool(getattr(present(column), name)())


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "sum": _sum,
    "max": lambda column, **default: _extreme(column, "max", **default),
    "min": lambda column, **default: _extreme(column, "min", **default),
    "any": lambda column: _truth(column, "any"),
    "all": lambda column: _truth(column, "all"),
    "sorted": _sorted,
    "round": lambda column, ndigits=None: column.round(ndigits or 0),
}
"""Each takes a column, and the further arguments of Python's own function; it may raise ItemByItem."""
