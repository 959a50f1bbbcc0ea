"""What a planner may know of columns beside their types: how many values are missing and, if allowed, their ranges.

They are counted piece by piece, so that no step holds the interpreter for long, and up to a bound that depends on sizes
only, never on time: two runs over one table tell a planner the same.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from compiler_nb.text import MOST

PIECE: Final = 500_000
"""Cells that are looked at in one step."""
OBJECT: Final = 20
"""How many cells a cell of a column of objects counts for, because each is asked by itself."""
MOST_CELLS: Final = 200_000_000
"""Cells that are looked at for one request, which take half a second; further columns are not counted, and say so."""
_NEVER: Final = "biu"
"""Kinds of NumPy's types that have no missing values."""
_RANGED: Final = "iufmM"
"""Kinds of types that have a range: numbers and times."""
_FLOATS: Final = ("float16", "float32", "float64", float)
_MIDNIGHT: Final = " 00:00:00"


class Notes(NamedTuple):
    """What is said of a table's columns, by their places; uncounted: how many of them were too much to be counted."""

    columns: Mapping[int, str]
    uncounted: int = 0

    def of(self, place: int) -> str:
        """Return what is said of a column: " with 3 missing", "" if nothing."""
        return self.columns.get(place, "")


NoteTable: TypeAlias = Mapping[int, Notes]
"""What is said of tables, by the ids of the objects."""
UNNOTED: Final = Notes({})


def tables_in(values: Iterable[Any]) -> list[Any]:
    """Return the tables, columns and arrays among values, and among the items of a dict."""
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    kinds = (*((pandas.DataFrame, pandas.Series) if pandas else ()), *((numpy.ndarray,) if numpy else ()))
    if not kinds:
        return []
    parts = (part for value in values
             for part in (islice(value.values(), MOST) if type(value) is dict else (value,)))  # fmt: skip
    return [part for part in parts if isinstance(part, kinds)]


def is_name(label: Any) -> bool:
    """Whether a column's label belongs to the schema; it does not if a pivot made it from data, such as a date."""
    return type(label) in (str, int) or (type(label) is tuple and all(map(is_name, label)))


def named_columns(table: Any) -> list[int]:
    """Return the places of the columns that a planner is told of."""
    return list(islice((place for place, label in enumerate(table.columns) if is_name(label)), MOST))


def look_at(tables: Iterable[Any], *, ranges: bool = False) -> dict[int, Notes]:
    """Return what is said of tables, columns and arrays; ranges: also the least and the greatest number or time."""
    found: dict[int, Notes] = {}
    left = MOST_CELLS
    for table in tables:
        with contextlib.suppress(Exception):  # of a class of the user's own, or changed by a thread at this moment
            found[id(table)], left = _look(table, left, ranges=ranges)
    return found


def _look(table: Any, left: int, *, ranges: bool) -> tuple[Notes, int]:
    """Return what is said of a table, and how many more cells may be looked at."""
    told: dict[int, str] = {}
    uncounted = 0
    for place, column in _columns(table):
        weight = len(column) * (OBJECT if column.dtype == object else 3 if ranges else 1)
        if weight > left:
            uncounted += 1
            continue
        left -= weight
        note = f"{_range(column) if ranges else ''}{_missing(column)}"
        if note:
            told[place] = note
    return Notes(told, uncounted), left


def _columns(table: Any) -> Iterator[tuple[int, Any]]:
    """Yield the columns that a planner is told of, with their places; an array is one of all its elements."""
    if hasattr(table, "columns"):
        yield from ((place, table.iloc[:, place]) for place in named_columns(table))
    else:
        yield 0, table.ravel("K") if hasattr(table, "ravel") and table.ndim > 1 else table


def _pieces(column: Any) -> Iterator[Any]:
    step = PIECE // OBJECT if column.dtype == object else PIECE
    rows = getattr(column, "iloc", column)
    return (rows[start : start + step] for start in range(0, len(column), step))


def _missing(column: Any) -> str:
    """Return " with 3 missing", "" if none is."""
    if column.dtype.kind in _NEVER and _is_numpy(column):
        return ""
    count = sum(int(_is_missing(piece).sum()) for piece in _pieces(column))
    told = "all" if count == len(column) else f"{count:,}"
    return f" with {told} missing" if count else ""


def _is_missing(piece: Any) -> Any:
    return piece.isna() if hasattr(piece, "isna") else piece != piece  # noqa: PLR0124 - NaN and NaT are not themselves


def _is_numpy(column: Any) -> bool:
    return type(column.dtype).__module__.partition(".")[0] == "numpy"


def _range(column: Any) -> str:
    """Return " from 1 to 9" of numbers and times, "" of anything else, and if there is none."""
    if column.dtype.kind not in _RANGED:
        return ""
    plain = column.dtype.kind in "iuf" and _is_numpy(column)
    ends = [_ends_of_numbers(piece) if plain else (piece.min(), piece.max()) for piece in _pieces(column)]
    lows, highs = [low for low, _ in ends if _is_there(low)], [high for _, high in ends if _is_there(high)]
    if not lows:
        return ""
    low, high = _text(min(lows)), _text(max(highs))
    if low.endswith(_MIDNIGHT) and high.endswith(_MIDNIGHT):
        low, high = low.removesuffix(_MIDNIGHT), high.removesuffix(_MIDNIGHT)
    return f" from {low} to {high}"


def _ends_of_numbers(piece: Any) -> tuple[Any, Any]:
    import numpy as np  # noqa: PLC0415 - an extra, and here already

    numbers = np.asarray(piece)
    return np.fmin.reduce(numbers), np.fmax.reduce(numbers)


def _is_there(value: Any) -> bool:
    try:
        return bool(value == value)  # noqa: PLR0124 - as above
    except TypeError:  # pandas.NA
        return False


def _text(value: Any) -> str:
    return f"{float(value):.6g}" if getattr(value, "dtype", type(value)) in _FLOATS else str(value)
