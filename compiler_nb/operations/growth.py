"""How large what an operator or a selection makes of tables would be, before it is made.

Most results are as large as the tables. They grow where labels that occur several times are matched with each other,
where a column is matched with the names of a table's columns, where dimensions are combined, where a column is
selected many times, and where texts are joined or repeated.

Of the idioms, those grow that match rows (`merge`), that make a cell for each pair of keys (`pivot_table`, a `groupby`
of all categories), that fill in steps of time (`resample`), and that put tables beside or below each other (`concat`,
`melt`, `corr`). `_SIZES` says how many cells each makes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from math import prod
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.patterns import may_look_far
from compiler_nb.operations.tables import base_of, cells, kind_of, present, view_of
from compiler_nb.text import type_name

CELLS: Final = 10_000_000
"""Cells that a result may have if it is larger than the tables that it is made of."""
CHARACTERS: Final = 200_000_000
"""Characters that the texts of a column may have together."""
_TEXT: Final = frozenset({str, type(None), float})
_NUMBERS: Final[frozenset[type]] = frozenset({int, float, bool, type(None)})
_WRITABLE: Final[frozenset[type]] = frozenset({str, int, float, bool, type(None), date, datetime, time})
_CELL: Final = 20
"""Characters of a number or a time as text, about."""
_LONG: Final = 2_000
"""Characters of the longest text in which a pattern may look far."""
_HOUR: Final = "1h"


def check_selection(table: Any, key: Any) -> None:
    """Raise an ExpressionError if `table[key]` would be too large: a list of keys may name the same part many times."""
    if not view_of(table) and _is_many(key) and not _check_mask(table, key):
        rows = max(len(table), 1) if kind_of(table) == "DataFrame" else table.size // max(len(table), 1)
        _check(rows * len(key), table.size)


def check_place(table: Any, place: str, key: Any) -> None:
    """Raise an ExpressionError if `table.loc[key]` or `table.iloc[key]` would be too large: rows by columns."""
    if kind_of(table) not in ("DataFrame", "Series"):
        return  # what has no places is refused where it is read
    cells = 1
    for number, labels in enumerate((table.index, table.columns) if kind_of(table) == "DataFrame" else (table.index,)):
        each: Any = key[number] if type(key) is tuple and number < len(key) else None if number else key
        if type(each) is tuple or not _is_many(each) or _check_mask(table, each):
            cells *= len(labels)
        else:  # a label names all rows that have it, or begin with it
            single = place == "iloc" or (labels.is_unique and kind_of(labels) != "MultiIndex")
            cells *= len(each) * (1 if single else len(labels))
    _check(cells, table.size)


def _is_many(key: Any) -> bool:
    return bool(kind_of(key)) or type(key) in (list, tuple)


def _check_mask(table: Any, key: Any) -> bool:
    """Whether a key is a mask, which selects nothing twice; its labels are matched with the table's: that may grow."""
    kind = kind_of(key)
    if kind == "DataFrame":
        _check(_joined(table.index, key.index) * key.shape[1], table.size + key.size)
        return True
    if kind in ("Series", "ndarray"):
        name = str(key.dtype)
        is_mask = name.startswith("bool") or (name == "object" and {bool}.issuperset(map(type, cells(present(key)))))
    else:
        is_mask = type(key) is list and {bool}.issuperset(map(type, key))
    if is_mask and kind == "Series" and kind_of(table) in ("DataFrame", "Series"):
        _check(_joined(table.index, key.index), table.size + key.size)
    return is_mask


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


# -------------------------------------------------------------------- idioms


def check_result(name: str, table: Any, given: dict[str, Any]) -> None:
    """Raise an ExpressionError if what an idiom of a table gives would be too large; of a function table is None."""
    base = base_of(table) if view_of(table) else table
    if name in _NUMERIC and base is not None and _has_objects(base):
        raise ExpressionError(f".{name}() is for numbers, and the table holds other objects: use a tool")
    if name in _SIZES:
        tables = {id(each): each for each in (base, *given.values(), *_listed(given.get("objs"))) if kind_of(each)}
        _check(_SIZES[name](base, given), sum(each.size for each in tables.values()))
    if name in _WRITTEN:
        _check_text(_WRITTEN[name](base, given))


_NUMERIC: Final = frozenset({"cumsum", "diff", "pct_change"})
"""What Python would do object by object: a running sum of texts or lists is as long as all its steps together."""


def _has_objects(table: Any) -> bool:
    if kind_of(table) == "DataFrame":
        return any(_has_objects(table.iloc[:, place]) for place in range(len(table.columns)))
    return is_text(table) or is_mixed(table, _NUMBERS)


def _listed(value: Any) -> list[Any]:
    return list(value) if type(value) in (list, tuple) else [] if value is None else [value]


def _merged(left: Any, given: dict[str, Any]) -> int:
    """Return how many cells a merge makes: rows that match, and those of both sides that do not."""
    left, right = given.get("left", left), given["right"]
    right = right.to_frame() if kind_of(right) == "Series" else right
    if kind_of(left) != "DataFrame" or kind_of(right) != "DataFrame":
        return 0  # pandas refuses it
    columns = len(left.columns) + len(right.columns)
    if given.get("how") == "cross":
        return len(left) * len(right) * columns
    keys = [_keys(side, given, name) for side, name in ((left, "left"), (right, "right"))]
    if keys[0] is None or keys[1] is None or keys[0].shape[1] != keys[1].shape[1]:
        common = [name for name in left.columns if name in right.columns]
        if any(word in given for word in ("on", "left_on", "right_on", "left_index", "right_index")) or not common:
            return 0  # a key that is not there: pandas says so
        keys = [left[common], right[common]]
    how = given.get("how", "inner")
    alone = sum(len(side) for side, kept in ((left, "left"), (right, "right")) if how in (kept, "outer"))
    return (_pairs(*keys) + alone) * columns


def _keys(side: Any, given: dict[str, Any], name: str) -> Any:
    """Return the columns by which a side of a merge is matched, None if they are not there."""
    if given.get(f"{name}_index"):
        return side.index.to_frame(index=False)
    names = _listed(given.get("on", given.get(f"{name}_on")))
    known = [*side.columns, *side.index.names]
    if not names or any(type(each) not in (str, int) or each not in known for each in names):
        return None
    return side.reset_index()[names] if any(each not in side.columns for each in names) else side[names]


def _pairs(left: Any, right: Any) -> int:
    """Return how many rows there are if each row of one table is matched with each equal one of the other."""
    pandas, numpy = sys.modules["pandas"], sys.modules["numpy"]
    names = [str(number) for number in range(left.shape[1])]
    both = pandas.concat([side.set_axis(names, axis=1) for side in (left, right)], ignore_index=True)
    codes = both.groupby(names, dropna=False, sort=False, observed=True).ngroup().to_numpy()
    counts = [numpy.bincount(part, minlength=len(codes) + 1) for part in (codes[: len(left)], codes[len(left) :])]
    return int((counts[0].astype(float) * counts[1]).sum())


def _grouped(table: Any, given: dict[str, Any]) -> int:
    """Return how many cells the groups of all categories make; without `observed=False` there are only those met."""
    if given.get("observed") is not False:
        return 0
    keys = [_column(table, each) for each in _listed(given.get("by"))]
    width = len(table.columns) if kind_of(table) == "DataFrame" else 1
    return prod(_values(key, all_of_them=True) for key in keys if key is not None) * width


def _column(table: Any, key: Any) -> Any:
    if kind_of(key) in ("Series", "ndarray"):
        return key
    is_name = kind_of(table) == "DataFrame" and type(key) in (str, int) and key in table.columns
    return table[key] if is_name else None


def _values(column: Any, *, all_of_them: bool = False) -> int:
    """Return how many values a column has, of categories perhaps all."""
    if all_of_them and type_name(column.dtype) == "CategoricalDtype":
        return len(column.dtype.categories)
    return len(set(column.tolist())) if kind_of(column) == "ndarray" else int(column.nunique(dropna=False))


def _pivoted(table: Any, given: dict[str, Any]) -> int:
    """Return how many cells a pivot table has: rows by columns, for each value and aggregation."""
    whole = given.get("observed") is False
    sides = []
    for word in ("index", "columns"):
        keys = [found for each in _listed(given.get(word)) if (found := _column(table, each)) is not None]
        made = prod(_values(key, all_of_them=whole) for key in keys)
        sides.append(made if whole else min(made, max(len(table), 1)))
    values = len(_listed(given.get("values"))) or len(table.columns)
    func = given.get("aggfunc", "mean")
    return prod(sides) * values * (len(func) if type(func) in (list, tuple) else 1)


def _stepped(table: Any, given: dict[str, Any]) -> int:
    """Return how many cells a resample has: a step of an hour or less is what it says, others are days at least."""
    from pandas.tseries.frequencies import to_offset  # noqa: PLC0415 - pandas is there: this is its table

    times = (table[given["on"]] if "on" in given else table.index).dropna()
    if not len(times) or times.dtype.kind != "M":
        return 0
    try:
        step = sys.modules["pandas"].Timedelta(to_offset(given.get("rule")))
    except (ValueError, TypeError):
        step = sys.modules["pandas"].Timedelta(_HOUR)  # a calendar's step, of which business hours are the shortest
    width = len(table.columns) if kind_of(table) == "DataFrame" else 1
    return int((times.max() - times.min()) / step) * width if step else 0


def _put_together(_: Any, given: dict[str, Any]) -> int:
    parts = _parts(given.get("objs"))
    rows, widths = [len(part) for part in parts], [1 if kind_of(part) == "Series" else part.shape[1] for part in parts]
    if given.get("axis", 0) in (1, "columns"):
        return sum(rows) * sum(widths)
    names = {name for part in parts if kind_of(part) == "DataFrame" for name in part.columns}
    return sum(rows) * max(len(names), 1)


def _parts(value: Any) -> list[Any]:
    found: Iterable[Any] = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    parts = list(found)
    if not parts or any(kind_of(part) not in ("Series", "DataFrame") for part in parts):
        raise ExpressionError("pd.concat() takes a list of tables, or of columns")
    return parts


def _melted(table: Any, given: dict[str, Any]) -> int:
    kept = _listed(given.get("id_vars"))
    return len(table) * max(len(table.columns) - len(kept), 1) * (len(kept) + 2)


def _counted(word: str) -> Callable[[Any, dict[str, Any]], int]:
    """Return the size of what makes a result for each of a list, such as quantiles."""
    return lambda table, given: table.size * len(_listed(given.get(word)))


def _cut(_: Any, given: dict[str, Any]) -> int:
    bins = given.get("bins")
    return bins if type(bins) is int else 0


_SIZES: Final[dict[str, Callable[[Any, dict[str, Any]], int]]] = {
    "merge": _merged,
    "pd.merge": _merged,
    "groupby": _grouped,
    "pivot_table": _pivoted,
    "resample": _stepped,
    "pd.concat": _put_together,
    "melt": _melted,
    "corr": lambda table, given: len(table.columns) ** 2 if kind_of(table) == "DataFrame" else 0,
    "quantile": _counted("q"),
    "pd.cut": _cut,
}
"""How many cells an idiom makes, of the table and its arguments by name."""


def _replaced(column: Any, given: dict[str, Any]) -> int:
    grown = len(str(given.get("repl", ""))) / max(len(given["pat"]), 1)
    return int(_characters(column.dropna().astype(str)) * max(grown, 1))


def _looked_far(column: Any, given: dict[str, Any]) -> int:
    if may_look_far(given.get("pat")) and given.get("regex", True) and len(column):
        longest = max(map(len, column.dropna().astype(str)), default=0)
        if longest > _LONG:
            far = f"a pattern with * or + is looked for in texts of up to {_LONG:,} characters"
            raise ExpressionError(f"{far}, and one has {longest:,}: add regex=False, or use a tool")
    return 0


def _as_text(table: Any, given: dict[str, Any]) -> int:
    """Return how many characters all cells take as text, if they become texts."""
    kinds = given.get("dtype")
    if not {"str", "string"}.intersection(kinds.values() if type(kinds) is dict else [kinds]):
        return 0
    if is_mixed(table, _WRITABLE):
        raise ExpressionError(
            ".astype(str) writes texts, numbers and times, and the table holds other objects: use a tool"
        )
    return sum(len(each) if type(each) is str else _CELL for each in cells(table))


_WRITTEN: Final[dict[str, Callable[[Any, dict[str, Any]], int]]] = {
    "replace": _replaced,
    "contains": _looked_far,
    "split": _looked_far,
    "astype": _as_text,
}
"""How many characters an idiom makes."""
