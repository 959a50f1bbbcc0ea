"""How many cells and how much text there may be in a result, and how long the texts of a table are.

Lengths are upper bounds: exact ones take as long as the operation that is weighed. If texts are stored one after the
other, as in pandas' own columns of texts, their bytes are known; only Python objects are looked at one by one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any, Final, NamedTuple

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.tables import cells, is_missing, kind_of
from compiler_nb.text import name_of, type_name

CELLS: Final = 10_000_000
"""Cells that a result may have if it is larger than the tables that it is made of."""
CHARACTERS: Final = 200_000_000
"""Characters that the texts of a result may have if they are longer than those that it is made of."""
_TEXT: Final = frozenset({str, type(None), float})
NUMBERS: Final[frozenset[type]] = frozenset({int, float, bool, type(None)})
_WRITABLE: Final[frozenset[type]] = frozenset({str, int, float, bool, type(None), date, datetime, time})
_WRITTEN: Final = {"b": 5, "i": 20, "u": 20, "f": 24, "M": 35, "m": 35}
"""Characters of a number or a time as text, by its kind."""
_CELL: Final = 80
"""Characters of anything else that is written, such as an interval of times."""


def check_cells(sizes: Iterable[int], given: int) -> int:
    """Raise an ExpressionError if a result would have too many cells; otherwise return how many there are at most.

    sizes: upper bounds, the cheapest first; one that suffices is the last that is asked for. given: the cells that are
    there: up to twice as many are never refused, because that much memory was available.
    """
    return _check(sizes, max(CELLS, 2 * given), "cells")


def check_text(sizes: Iterable[int], given: int = 0) -> int:
    """Raise an ExpressionError if a result would have too much text; as `check_cells`."""
    return _check(sizes, max(CHARACTERS, 2 * given), "characters of text")


def _check(sizes: Iterable[int], limit: int, what: str) -> int:
    least = -1
    for size in sizes:
        least = size if least < 0 else min(size, least)
        if size <= limit:
            return size
    raise ExpressionError(f"the result would have up to {least:,} {what}, more than {limit:,}: use a tool")


# -------------------------------------------------------------------- what a table holds


class Contents(NamedTuple):
    """What a table holds besides numbers and times: how many characters at most, and whether there are objects."""

    characters: int
    is_mixed: bool


def contents_of(table: Any, *, characters: bool = True) -> Contents:
    """Return what is in a table; characters: whether they are counted, too."""
    if kind_of(table) == "DataFrame":
        found = [contents_of(column, characters=characters) for column in _columns(table, is_loose)]
        return Contents(sum(each.characters for each in found), any(each.is_mixed for each in found))
    if not is_loose(table.dtype):
        return Contents(0, is_mixed=False)
    if not _is_object(table):
        return Contents(characters_of(table) if characters else 0, is_mixed=False)
    if _kinds_in(table, skipna=False) == "string":
        return Contents(sum(map(len, cells(table))) if characters else 0, is_mixed=False)
    mixed = is_mixed(table)
    return Contents(characters_of(table) if characters and not mixed else 0, mixed)


def is_mixed(table: Any, known: frozenset[type] = _TEXT) -> bool:
    """Whether a table holds objects of other types than these, on which operators are Python's own."""
    if kind_of(table) == "DataFrame":
        return any(is_mixed(column, known) for column in _columns(table, is_loose))
    if not _is_object(table):
        return False
    is_text = str in known and _kinds_in(table, skipna=True) in ("string", "empty")
    return not (is_text or known.issuperset(map(type, cells(table))))


def has_objects(table: Any) -> bool:
    """Whether a table holds anything but numbers, booleans and times."""
    if kind_of(table) == "DataFrame":
        return any(map(has_objects, _columns(table, is_loose)))
    return is_loose(table.dtype) and (not _is_object(table) or is_mixed(table, NUMBERS))


def _is_object(column: Any) -> bool:
    return str(column.dtype) == "object"


def _kinds_in(column: Any, *, skipna: bool) -> str:
    """Return the library's name for the objects of a column; it looks at texts in a third of Python's time."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return ""
    return str(pandas.api.types.infer_dtype(column.ravel() if kind_of(column) == "ndarray" else column, skipna=skipna))


def is_loose(dtype: Any) -> bool:
    """Whether the values of a column of this type have no fixed size: texts and objects."""
    return dtype.kind in "OUSTV" and type_name(dtype) not in _FIXED


_FIXED: Final = frozenset({"CategoricalDtype", "DatetimeTZDtype", "PeriodDtype", "IntervalDtype"})


def _columns(table: Any, is_meant: Any) -> list[Any]:
    return [table.iloc[:, place] for place, dtype in enumerate(table.dtypes) if is_meant(dtype)]


# -------------------------------------------------------------------- how long texts are


def is_packed(dtype: Any) -> bool:
    """Whether the texts of a column are stored one after the other: selections copy them, and their size is known."""
    name = type_name(dtype)
    return (name == "StringDtype" and dtype.storage == "pyarrow") or (name == "ArrowDtype" and dtype.kind == "U")


def packed(table: Any) -> list[Any]:
    """Return the columns of a table whose texts are copied with its rows; in others only pointers are."""
    if kind_of(table) == "DataFrame":
        return _columns(table, is_packed)
    return [table] if is_packed(table.dtype) else []


def bytes_of(table: Any) -> int:
    """Return how many characters at most there are in what `packed` returns of a table."""
    return sum(int(column.nbytes) for column in packed(table))


def characters_of(column: Any) -> int:
    """Return how many characters the texts of a column have, at most."""
    if is_packed(column.dtype):
        return int(column.nbytes)
    if type_name(column.dtype) == "CategoricalDtype":
        return longest_of(column) * len(column)
    if column.dtype.kind in "US":
        return int(column.nbytes)
    return sum(map(len, texts_of(column)))


def longest_of(column: Any) -> int:
    """Return how many characters the longest text of a column or of a table has; 0 if there is none."""
    if kind_of(column) == "DataFrame":
        return max(map(longest_of, _columns(column, is_loose)), default=0)
    if type_name(column.dtype) == "CategoricalDtype":
        return longest_of(column.dtype.categories)
    if is_packed(column.dtype):
        found = column.str.len().max() if len(column) else 0
        return 0 if is_missing(found) else int(found)
    if column.dtype.kind in "US":
        return int(column.dtype.itemsize) // (4 if column.dtype.kind == "U" else 1)
    return max(map(len, texts_of(column)), default=0)


def texts_of(column: Any) -> list[str]:
    """Return the texts of a column of Python objects, without what is missing."""
    found = cells(column) if is_loose(column.dtype) else []
    whole = bool(found) and _kinds_in(column, skipna=False) == "string"
    return found if whole else [each for each in found if type(each) is str]


def longest_text(value: Any) -> int:
    """Return the length of the longest text that a value is made of: a text, a dict of some, a list, a column."""
    kind = type(value)
    if kind is str:
        return len(value)
    if kind is dict:
        return max(map(longest_text, value.values()), default=0)
    if kind in (list, tuple):
        return max((len(each) for each in value if type(each) is str), default=0)
    return longest_of(value) if kind_of(value) not in ("", "MultiIndex") else 0


def written(table: Any) -> int:
    """Return how many characters a column takes at most if its cells become texts; texts stay as they are.

    Raises ExpressionError if it holds objects that are not plain values, because their text may have any length.
    """
    dtype, name = table.dtype, type_name(table.dtype)
    if is_packed(dtype):
        return 0
    if name == "CategoricalDtype" and is_loose(dtype.categories.dtype):
        return longest_of(table) * len(table)
    if not is_loose(dtype):
        return int(table.size * _WRITTEN.get(dtype.kind, _CELL))
    if name == "StringDtype" or (_is_object(table) and not is_mixed(table)):
        return characters_of(table)
    found = cells(table)
    if name == "ArrowDtype" or not all(type(each) in _WRITABLE or _is_type(each) for each in found):
        raise ExpressionError(
            ".astype(str) writes texts, numbers, times and types, and the table holds other objects: use a tool"
        )
    return sum(_length(each) for each in found)


def _is_type(value: Any) -> bool:
    """Whether a value is a type of columns, as `dtypes` holds them: exactly one of the libraries' own."""
    numpy, pandas, kind = sys.modules.get("numpy"), sys.modules.get("pandas"), type(value)
    return (numpy is not None and issubclass(kind, numpy.dtype)) or (
        pandas is not None
        and issubclass(kind, pandas.api.extensions.ExtensionDtype)
        and getattr(pandas, name_of(kind), None) is kind
    )


def _length(value: Any) -> int:
    if type(value) is str:
        return len(value)
    return value.bit_length() // 3 + 2 if type(value) is int else _CELL
