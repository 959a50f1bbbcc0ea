"""How large the result of an operator or a selection on tables would be, before it is made.

Most results are as large as the tables. They grow where labels that occur several times are matched with each other,
where a column is matched with the names of a table's columns, where dimensions are combined, where a column is
selected many times, and where texts are joined or repeated.

Of the idioms, those grow that match rows (`merge`), that make a cell for each pair of keys (`pivot_table`, a `groupby`
of all categories), that fill in steps of time (`resample`), and that put tables beside or below each other (`concat`,
`melt`, `corr`). `_SIZES` says how many cells each makes, by upper bounds, the cheapest first; how long texts become is
said by `compiler_nb.operations.texts`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.joins import check_merge, joined
from compiler_nb.operations.sizes import (
    bytes_of,
    check_cells,
    check_text,
    contents_of,
    has_objects,
    longest_of,
    longest_text,
    packed,
)
from compiler_nb.operations.sums import check_sum
from compiler_nb.operations.tables import base_of, cells, kind_of, present, selected_of, view_of
from compiler_nb.operations.texts import check_texts, parts_of
from compiler_nb.text import type_name

_HOUR: Final = "1h"


def check_selection(table: Any, key: Any) -> None:
    """Raise an ExpressionError if `table[key]` would be too large: a list of keys may name the same part many times."""
    if view_of(table) == "StringMethods":
        check_texts("get", base_of(table), {})
    if not view_of(table) and _is_many(key) and not _check_mask(table, key):
        is_table = kind_of(table) == "DataFrame"
        rows = max(len(table), 1) if is_table else table.size // max(len(table), 1)
        check_cells([rows * len(key)], table.size)
        if not is_table:
            _check_taken(table, key, len(key))


def check_place(table: Any, place: str, key: Any) -> None:
    """Raise an ExpressionError if `table.loc[key]` or `table.iloc[key]` would be too large: rows by columns."""
    if kind_of(table) not in ("DataFrame", "Series"):
        return  # what has no positions is refused when it is read
    cells = 1
    for number, labels in enumerate((table.index, table.columns) if kind_of(table) == "DataFrame" else (table.index,)):
        each: Any = key[number] if type(key) is tuple and number < len(key) else None if number else key
        if type(each) is tuple or not _is_many(each) or _check_mask(table, each):
            cells *= len(labels)
        else:  # a label names all rows that have it, or begin with it
            single = place == "iloc" or (labels.is_unique and kind_of(labels) != "MultiIndex")
            cells *= len(each) * (1 if single else len(labels))
            if not number:
                _check_taken(table, each, cells)
    check_cells([cells], table.size)


def _check_taken(table: Any, key: Any, rows: int) -> None:
    """Raise an ExpressionError if so many rows held too much text: a list of keys may name a row many times."""
    if kind_of(table) != "ndarray" and (texts := packed(table)):
        check_text(_taken(texts, key, rows), bytes_of(table))


def _taken(texts: list[Any], key: Any, rows: int) -> Iterator[int]:
    there = sum(int(text.nbytes) for text in texts)
    yield there * rows
    if rows == len(key) and sys.modules["pandas"].Index(key).is_unique:
        yield there
    yield sum(map(longest_of, texts)) * rows


def _is_many(key: Any) -> bool:
    return bool(kind_of(key)) or type(key) in (list, tuple)


def _check_mask(table: Any, key: Any) -> bool:
    """Whether a key is a mask, which selects nothing twice; matching its labels with the table's may make it grow."""
    kind = kind_of(key)
    if kind == "DataFrame":
        check_cells([joined(table.index, key.index) * key.shape[1]], table.size + key.size)
        return True
    if kind in ("Series", "ndarray"):
        name = str(key.dtype)
        is_mask = name.startswith("bool") or (name == "object" and {bool}.issuperset(map(type, cells(present(key)))))
    else:
        is_mask = type(key) is list and {bool}.issuperset(map(type, key))
    if is_mask and kind == "Series" and kind_of(table) in ("DataFrame", "Series"):
        check_cells([joined(table.index, key.index)], table.size + key.size)
    return is_mask


def check_operator(sign: str, left: Any, right: Any) -> bool:
    """Raise an ExpressionError if `left sign right` would be too large; at least one is a table.

    Return whether one holds objects, on which operators are Python's own.
    """
    tables = [part for part in (left, right) if kind_of(part)]
    found = [contents_of(table, characters=sign in "+*") for table in tables]
    cells = _cells(left, right) if len(tables) > 1 else tables[0].size
    if len(tables) > 1:
        check_cells([cells], left.size + right.size)
    else:
        other = right if kind_of(left) else left
        if type(other) in (list, tuple) and kind_of(tables[0]) == "ndarray":
            check_cells([cells * len(other)], cells)
    characters = sum(each.characters for each in found)
    if sign in "+*" and characters:
        check_text(_joined_texts(sign, left, right, cells, characters), characters)
    return any(each.is_mixed for each in found)


def _joined_texts(sign: str, left: Any, right: Any, cells: int, characters: int) -> Iterator[int]:
    """Yield how many characters there are at most in `left sign right`, if the tables have so many."""
    times = _most(left) * _most(right) if sign == "*" else 1
    others = [part for part in (left, right) if not kind_of(part)]
    if others or cells <= max(left.size, right.size):
        yield (characters + sum(map(longest_text, others)) * cells) * times
    else:  # labels that are matched several times take their texts with them
        yield (longest_text(left) + longest_text(right)) * cells * times


def _most(part: Any) -> int:
    """Return how often a text is repeated at most if it is multiplied by this."""
    if type(part) is int:
        return max(part, 1)
    if kind_of(part) == "DataFrame":
        return max((_most(part.iloc[:, place]) for place in range(part.shape[1])), default=1)
    is_whole = kind_of(part) and part.dtype.kind in "iu" and len(present(part))
    return max(int(present(part).max()), 1) if is_whole else 1


def _cells(left: Any, right: Any) -> int:
    kinds = kind_of(left), kind_of(right)
    if kinds == ("Series", "Series"):
        return joined(left.index, right.index)
    if kinds == ("DataFrame", "DataFrame"):
        return joined(left.index, right.index) * (len(left.columns) + len(right.columns))
    if "DataFrame" in kinds and "Series" in kinds:  # the labels of the column are matched with the names of the columns
        frame, column = (left, right) if kinds[0] == "DataFrame" else (right, left)
        return len(frame) * joined(frame.columns, column.index)
    # Arrays are stretched along their last dimensions, where one of them has the length 1.
    cells = 1
    shapes = [(1,) * max(left.ndim - right.ndim, right.ndim - left.ndim) + part.shape for part in (left, right)]
    for one, other in zip(shapes[0][::-1], shapes[1][::-1], strict=False):
        cells *= max(one, other)
    return cells


# -------------------------------------------------------------------- idioms


def check_result(name: str, table: Any, given: dict[str, Any]) -> None:
    """Raise an ExpressionError if the result of an idiom would be too large; table: None for a function."""
    base = base_of(table) if view_of(table) else table
    is_numeric = name in _NUMERIC or (name == "transform" and given.get("func") in ("sum", "prod"))
    if is_numeric and base is not None and has_objects(selected_of(table) if view_of(table) else base):
        raise ExpressionError(
            f".{name}() is for numbers, and the table holds other objects: choose its columns, or use a tool"
        )
    if name in ("merge", "pd.merge"):
        check_merge(base, given)
    if name in _SIZES:
        tables = {id(each): each for each in (base, *given.values(), *_listed(given.get("objs"))) if kind_of(each)}
        cells = check_cells(_SIZES[name](base, given), sum(each.size for each in tables.values()))
        check_text([cells * longest_text(given.get("fill_value"))])
    check_texts(name, selected_of(table) if name == "transform" else base, given)
    check_sum(name, table, given)


_NUMERIC: Final = frozenset({"cumsum", "cummax", "cummin", "diff", "pct_change"})
"""What Python would do object by object: a running sum of texts or lists is as long as all its steps together."""


def _listed(value: Any) -> list[Any]:
    return list(value) if type(value) in (list, tuple) else [] if value is None else [value]


def _grouped(table: Any, given: dict[str, Any]) -> Iterator[int]:
    """Yield how many cells the groups of all categories make; without `observed=False` there are only those met."""
    if given.get("observed") is not False:
        yield 0
        return
    keys = [found for each in _listed(given.get("by")) if (found := _column(table, each)) is not None]
    width = len(table.columns) if kind_of(table) == "DataFrame" else 1
    for count in (_at_most, _values):
        yield prod(count(key, all_of_them=True) for key in keys) * width


def _column(table: Any, key: Any) -> Any:
    if kind_of(key) in ("Series", "ndarray"):
        return key
    is_name = kind_of(table) == "DataFrame" and type(key) in (str, int) and key in table.columns
    return table[key] if is_name else None


def _at_most(column: Any, *, all_of_them: bool = False) -> int:
    """Return how many values a column has at most, as far as its type and its ends tell."""
    if type_name(column.dtype) == "CategoricalDtype":
        return len(column.dtype.categories) + 1
    if kind_of(column) == "Series" and column.dtype.kind in "iu" and column.notna().any():
        return min(len(column), int(column.max()) - int(column.min()) + 2)
    return len(column)


def _values(column: Any, *, all_of_them: bool = False) -> int:
    """Return how many values a column has, of categories perhaps all."""
    if all_of_them and type_name(column.dtype) == "CategoricalDtype":
        return len(column.dtype.categories)
    return len(set(column.tolist())) if kind_of(column) == "ndarray" else int(column.nunique(dropna=False))


def _pivoted(table: Any, given: dict[str, Any]) -> Iterator[int]:
    """Yield how many cells a pivot table has: rows by columns, for each value and aggregation."""
    whole = given.get("observed") is False
    func = given.get("aggfunc", "mean")
    cells = len(func) if type(func) in (list, tuple) else 1
    cells *= len(_listed(given.get("values"))) or len(table.columns)
    for count in (_at_most, _values):
        sides = []
        for word in ("index", "columns"):
            keys = [found for each in _listed(given.get(word)) if (found := _column(table, each)) is not None]
            made = prod(count(key, all_of_them=whole) for key in keys)
            sides.append(made if whole else min(made, max(len(table), 1)))
        yield prod(sides) * cells


def _stepped(table: Any, given: dict[str, Any]) -> list[int]:
    """Return how many cells a resample has: a step of an hour or less is what it says, others are days at least."""
    from pandas.tseries.frequencies import to_offset  # noqa: PLC0415 - pandas is there: this is its table

    times = table[given["on"]] if "on" in given else table.index
    if times.dtype.kind != "M" or not times.notna().any():
        return [0]
    try:
        step = sys.modules["pandas"].Timedelta(to_offset(given.get("rule")))
    except (ValueError, TypeError):
        step = sys.modules["pandas"].Timedelta(_HOUR)  # a calendar's step, of which business hours are the shortest
    width = len(table.columns) if kind_of(table) == "DataFrame" else 1
    return [int((times.max() - times.min()) / step) * width if step else 0]


def _put_together(_: Any, given: dict[str, Any]) -> list[int]:
    parts = parts_of(given.get("objs"))
    rows, widths = [len(part) for part in parts], [1 if kind_of(part) == "Series" else part.shape[1] for part in parts]
    if given.get("axis", 0) in (1, "columns"):
        return [sum(rows) * sum(widths)]
    names = {name for part in parts if kind_of(part) == "DataFrame" for name in part.columns}
    return [sum(rows) * max(len(names), 1)]


def _melted(table: Any, given: dict[str, Any]) -> list[int]:
    kept = _listed(given.get("id_vars"))
    return [len(table) * max(len(table.columns) - len(kept), 1) * (len(kept) + 2)]


def _counted(word: str) -> Callable[[Any, dict[str, Any]], list[int]]:
    """Return the size of what gives a result for each entry of a list, such as quantiles."""
    return lambda table, given: [table.size * len(_listed(given.get(word)))]


def _cut(_: Any, given: dict[str, Any]) -> list[int]:
    bins = given.get("bins")
    return [bins if type(bins) is int else 0]


_SIZES: Final[dict[str, Callable[[Any, dict[str, Any]], Iterable[int]]]] = {
    "groupby": _grouped,
    "pivot_table": _pivoted,
    "resample": _stepped,
    "pd.concat": _put_together,
    "melt": _melted,
    "corr": lambda table, given: [len(table.columns) ** 2 if kind_of(table) == "DataFrame" else 0],
    "quantile": _counted("q"),
    "pd.cut": _cut,
}
"""How many cells an idiom makes at most, given the table and its arguments by name; the cheapest bound first."""
