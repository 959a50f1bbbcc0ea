"""What a plan may ask of tables: common pandas, as far as it only computes.

Theory of operation
    METHODS holds a row for each idiom: whose method it is, and which arguments a plan may give it. Each is the
    library's own, called by its name in the class; only an array, which has fewer methods and does not skip what is
    missing, brings functions of ours. What is not on the list cannot be called: nothing that writes, that takes code
    (`query`, `apply`, `map`), or that changes a table in place.
    Arguments are plain data and tables, never functions: pandas would call them. Some are looked into first: the names
    of aggregations and types, patterns (`patterns.py`), and how large the result would be (`growth.py`).
    Every number that comes out of a table is a Python number. Nothing here changes a table.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from datetime import date, time, timedelta
from typing import Any, Final, NamedTuple

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.growth import check_result
from compiler_nb.operations.patterns import check_pattern
from compiler_nb.operations.tables import INDEXES, kind_of, missing, plain, present, view_of
from compiler_nb.text import type_name

_SHOWN: Final = 8
"""Labels that an error shows."""
_COUNTED: Final = frozenset({"count", "proportion"})
"""The names that `value_counts` gives its result."""
COLUMN, FRAME, ARRAY = frozenset({"Series"}), frozenset({"DataFrame"}), frozenset({"ndarray"})
PANDAS: Final = COLUMN | FRAME
INDEX: Final = frozenset(INDEXES)
GROUPS: Final = frozenset({"DataFrameGroupBy", "SeriesGroupBy"})
_STEPS, _WINDOW = frozenset({"DatetimeIndexResampler"}), frozenset({"Rolling"})
_TEXTS, _TIMES = frozenset({"StringMethods"}), frozenset({"DatetimeProperties", "TimedeltaProperties"})
AGGREGATIONS: Final = frozenset({
    "mean", "median", "sum", "min", "max", "std", "var", "count", "size", "nunique", "first", "last", "prod", "sem",
    "idxmin", "idxmax",
})  # fmt: skip
"""What `agg` and `pivot_table` may be given, by name."""
TYPES: Final = frozenset({
    "int", "float", "str", "bool", "category", "int64", "int32", "float64", "float32", "Int64", "Float64", "boolean",
    "string", "object", "datetime64[ns]",
})  # fmt: skip
"""What `astype` may be given."""
MADE_OF_NAMES: Final = frozenset({"assign", "agg", "aggregate"})
"""Methods whose keyword arguments are names of columns."""


class Idiom(NamedTuple):
    """A method: the kinds of tables and views that have it, and the arguments that it takes.

    places: those that may be given by place, in order; words: those that may be given by name only.
    """

    kinds: frozenset[str]
    places: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def _idioms(names: str, kinds: frozenset[str], places: str = "", words: str = "") -> Iterable[tuple[str, Idiom]]:
    return [(name, Idiom(kinds, tuple(places.split()), tuple(words.split()))) for name in names.split()]


_SIDES: Final = "left_on right_on left_index right_index"
_ROWS: Final = (
    # What is there, and how much of it.
    _idioms("head tail", PANDAS | GROUPS, "n"),
    _idioms("describe", PANDAS | GROUPS, "", "percentiles include"),
    _idioms("count", COLUMN | GROUPS | _STEPS | _WINDOW),
    _idioms("count", FRAME, "axis", "numeric_only"),
    _idioms("nunique", PANDAS | GROUPS, "", "dropna"),
    _idioms("unique", COLUMN),
    _idioms("value_counts", COLUMN | frozenset({"SeriesGroupBy"}), "", "normalize sort ascending dropna"),
    _idioms("value_counts", FRAME, "subset", "normalize sort ascending dropna"),
    _idioms("tolist", COLUMN | ARRAY | INDEX),
    _idioms("to_dict", PANDAS, "orient"),
    # Summaries.
    _idioms("sum max min mean median", PANDAS, "axis", "skipna numeric_only"),
    _idioms("sum max min mean median", ARRAY),
    _idioms("std var", PANDAS, "axis", "skipna numeric_only ddof"),
    _idioms("std var", ARRAY, "", "ddof"),
    _idioms("count", ARRAY),
    _idioms("quantile", PANDAS, "q", "numeric_only interpolation"),
    _idioms("corr", COLUMN, "other method", "min_periods"),
    _idioms("corr", FRAME, "method", "min_periods numeric_only"),
    _idioms("idxmax idxmin", PANDAS),
    _idioms("nlargest nsmallest", COLUMN, "n", "keep"),
    _idioms("nlargest nsmallest", FRAME, "n columns", "keep"),
    # Groups, steps of time, windows.
    _idioms("groupby", PANDAS, "by level", "as_index sort observed dropna"),
    _idioms("resample", PANDAS, "rule", "on label closed"),
    _idioms("rolling", PANDAS, "window min_periods", "center on closed"),
    _idioms("sum mean median min max std var", GROUPS | _STEPS | _WINDOW, "", "numeric_only"),
    _idioms("first last", GROUPS | _STEPS, "", "numeric_only"),
    _idioms("idxmax idxmin", GROUPS),
    _idioms("size", GROUPS | _STEPS),
    _idioms("quantile", GROUPS, "q", "numeric_only"),
    _idioms("agg aggregate", PANDAS | GROUPS | _STEPS | _WINDOW, "func"),
    # Columns of the same length.
    _idioms("round", PANDAS, "decimals"),
    _idioms("abs", PANDAS),
    _idioms("isna notna isnull notnull", PANDAS),
    _idioms("isna", ARRAY),
    _idioms("isin", PANDAS, "values"),
    _idioms("between", COLUMN, "left right inclusive"),
    _idioms("clip", PANDAS, "lower upper"),
    _idioms("diff", PANDAS | GROUPS, "periods"),
    _idioms("shift", PANDAS | GROUPS, "periods", "fill_value"),
    _idioms("pct_change", PANDAS | GROUPS, "periods"),
    _idioms("cumsum cummax cummin", PANDAS | GROUPS),
    _idioms("transform", GROUPS, "func"),
    _idioms("cumcount", GROUPS, "", "ascending"),
    _idioms("duplicated", COLUMN, "", "keep"),
    _idioms("duplicated", FRAME, "subset", "keep"),
    _idioms("rank", PANDAS, "", "method ascending pct na_option numeric_only"),
    _idioms("rank", GROUPS, "method ascending", "pct na_option"),
    _idioms("astype", PANDAS, "dtype"),
    _idioms("fillna", PANDAS, "value"),
    # Rows and columns in another order, or others of them.
    _idioms("sort_values", COLUMN, "", "ascending na_position ignore_index"),
    _idioms("sort_values", FRAME, "by", "ascending na_position ignore_index"),
    _idioms("sort_index", PANDAS, "", "ascending axis"),
    _idioms("dropna", COLUMN | ARRAY),
    _idioms("dropna", FRAME, "", "subset how thresh axis"),
    _idioms("drop_duplicates", COLUMN, "", "keep ignore_index"),
    _idioms("drop_duplicates", FRAME, "subset", "keep ignore_index"),
    _idioms("drop", COLUMN, "labels"),
    _idioms("drop", FRAME, "labels", "columns index axis"),
    _idioms("rename", COLUMN, "index"),
    _idioms("rename", FRAME, "", "columns index"),
    _idioms("reset_index", COLUMN, "level", "drop name"),
    _idioms("reset_index", FRAME, "level", "drop names"),
    _idioms("set_index", FRAME, "keys", "drop append"),
    _idioms("assign", FRAME),
    # Tables made of tables.
    _idioms("merge", FRAME, "right how on", f"{_SIDES} suffixes indicator validate sort"),
    _idioms("melt", FRAME, "id_vars value_vars var_name value_name"),
    _idioms("pivot_table", FRAME, "values index columns aggfunc", "fill_value observed dropna sort"),
    # Texts and times.
    _idioms("contains", _TEXTS, "pat case", "na regex"),
    _idioms("startswith endswith", _TEXTS, "pat", "na"),
    _idioms("lower upper title len", _TEXTS),
    _idioms("strip", _TEXTS, "to_strip"),
    _idioms("split", _TEXTS, "pat", "n regex"),
    _idioms("get", _TEXTS, "i"),
    _idioms("replace", _TEXTS, "pat repl n", "case regex"),
    _idioms("strftime", _TIMES, "date_format"),
    _idioms("day_name month_name total_seconds", _TIMES),
)
METHODS: Final[dict[str, list[Idiom]]] = {}
"""What may be called on a table or a view, by name; a name may mean several things, one of each kind."""
for _name, _idiom in (pair for row in _ROWS for pair in row):
    METHODS.setdefault(_name, []).append(_idiom)
WORDS: Final[dict[str, frozenset[str]]] = {
    name: frozenset(word for idiom in idioms for word in (*idiom.places, *idiom.words))
    for name, idioms in METHODS.items()
}
"""The named arguments of each method, of whatever kind."""
FUNCTIONS: Final[dict[str, Idiom]] = {
    name: idiom
    for row in (
        _idioms("concat", frozenset(), "objs", "axis ignore_index join keys sort"),
        _idioms("merge", frozenset(), "left right how on", f"{_SIDES} suffixes indicator sort"),
        _idioms("to_datetime", frozenset(), "arg", "errors format dayfirst utc unit"),
        _idioms("to_numeric", frozenset(), "arg", "errors"),
        _idioms("cut", frozenset(), "x bins", "labels right include_lowest"),
        _idioms("isna notna", frozenset(), "obj"),
    )
    for name, idiom in row
}  # fmt: skip
"""The functions of pandas that are words of the language, as in `pd.concat(...)`."""
ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "shape": PANDAS | ARRAY,
    "columns": FRAME,
    "dtypes": FRAME,
    "dtype": COLUMN | ARRAY,
    "index": PANDAS,
    "str": COLUMN,
    "dt": COLUMN,
    **dict.fromkeys(
        ("year", "quarter", "month", "day", "hour", "minute", "second", "dayofweek", "weekday", "dayofyear", "date"),
        frozenset({"DatetimeProperties"}),
    ),
    "days": frozenset({"TimedeltaProperties"}),
}
"""What may be read of a table or a view without a call, before a column or a label of the same name."""
_RENAMED: Final = {"dayofweek": "day_of_week", "weekday": "day_of_week", "dayofyear": "day_of_year"}
"""Common names that pandas is about to drop."""
PLACES: Final = frozenset({"loc", "iloc"})
"""What reads rows and cells of a table by a key in brackets."""

PLAIN: Final = frozenset({list, tuple, set, str, int, float})
INSTEAD: Final = {
    "head": "value[:5]", "tail": "value[-5:]", "tolist": "list(value)", "unique": "set(value)",
    "nunique": "len(set(value))", "sort_values": "sorted(value)", "nlargest": "sorted(value, reverse=True)[:3]",
    "nsmallest": "sorted(value)[:3]", "round": "round(value)", "abs": "abs(value)", "sum": "sum(value)",
    "max": "max(value)", "min": "min(value)", "mean": "sum(value) / len(value)", "astype": "[int(x) for x in value]",
    "isin": "value in others", "drop_duplicates": "list(dict.fromkeys(value))",
}  # fmt: skip
"""What to write for plain values, which have no such methods."""

OF_TABLES: Final = {
    "transform": 'group it first, value.groupby("key")["x"].transform("mean")',
    "replace": 'write value.str.replace("a", "b") for texts, or merge with a table of the old and the new values',
}
"""What to write for a table or a column, which has no such method."""

# -------------------------------------------------------------------- what arrays do


def _of_present(name: str) -> Callable[..., Any]:
    """Return what NumPy's own method gives for the items that are not missing; nan if there are none."""

    def summary(array: Any, **kwargs: Any) -> Any:
        rest = present(array)
        fails = name in ("max", "min") and not array.size  # NumPy's own error says so best
        return getattr(rest, name)(**kwargs) if rest.size or name == "sum" or fails else float("nan")

    return summary


def _median(array: Any) -> Any:
    rest = present(array)
    return sys.modules["numpy"].median(rest) if rest.size else float("nan")


_OF_ARRAYS: Final[dict[str, Callable[..., Any]]] = {
    **{name: _of_present(name) for name in ("sum", "max", "min", "mean", "std", "var")},
    "median": _median,
    "count": lambda array: present(array).size,
    "dropna": present,
    "isna": missing,
}

# -------------------------------------------------------------------- calls


def kind_of_any(value: Any) -> str:
    """Return the kind of a table or of a view, "" for anything else."""
    return kind_of(value) or view_of(value)


def find(name: str, kind: str) -> Idiom | None:
    """Return the idiom that a name means for a kind of table or view, None if it has none."""
    return next((idiom for idiom in METHODS.get(name, ()) if kind in idiom.kinds), None)


def call_method(table: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a listed method of a table or a view gives.

    Raises TypeError if an argument is not listed, ExpressionError if it is not plain, or the result too large.
    """
    kind = kind_of_any(table)
    idiom = find(name, kind)
    if idiom is None:
        raise TypeError(f"{an(kind)} has no .{name}() in a plan")
    given = _by_name(f".{name}() of {an(kind)}", idiom, args, kwargs, is_open=name in MADE_OF_NAMES)
    check_arguments(name, given)
    check_result(name, table, given)
    if kind == "ndarray" and name in _OF_ARRAYS:
        return plain(_OF_ARRAYS[name](table, **given))
    # Looked up in the class: a column of the same name would hide a table's method.
    return as_table(plain(getattr(type(table), name)(table, **given)))


def call_function(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a listed function of pandas gives; raises as `call_method` does, and if pandas is not there."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        raise ExpressionError(f"pd.{name}() works on tables of pandas, and there is none here")
    given = _by_name(f"pd.{name}()", FUNCTIONS[name], args, kwargs)
    check_arguments(name, given)
    check_result(f"pd.{name}", None, given)
    return as_table(plain(getattr(pandas, name)(**given)))


def as_table(value: Any) -> Any:
    """Return an array of pandas' own as NumPy's: texts, categories and times come as such out of `unique`."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.api.extensions.ExtensionArray):
        return sys.modules["numpy"].asarray(value)
    return value


def _by_name(
    what: str, idiom: Idiom, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_open: bool = False
) -> dict[str, Any]:
    """Return all arguments by their names."""
    known = {*idiom.places, *idiom.words}
    given = dict(zip(idiom.places, args, strict=False))
    if len(args) > len(idiom.places) or not (is_open or known.issuperset(kwargs)) or given.keys() & kwargs.keys():
        names = f"only {', '.join(f'{each}=' for each in sorted(known))}" if known else "none"
        raise TypeError(f"of the arguments of {what} a plan may give {names}")
    return given | kwargs


# -------------------------------------------------------------------- arguments

_SCALARS: Final = (str, int, float, bool, type(None), bytes, complex, date, time, timedelta)
_HOLDERS: Final = (list, tuple, dict, set, frozenset, slice)
_FORMAT: Final = re.compile(r"(?:%[-#]?[A-Za-z%]|[^%]){0,100}")
_WHOLE: Final = frozenset({"n", "periods", "decimals", "min_periods"})


def check_arguments(name: str, given: dict[str, Any]) -> None:
    """Raise an ExpressionError if an argument is not plain data or a table, or names what may not be named."""
    for word, value in given.items():
        _check_plain(f"{word}= of {name}()", value)
        if word in _WHOLE and name not in MADE_OF_NAMES and type(plain(value)) not in (int, dict):
            raise ExpressionError(f"{word}= of {name}() must be a whole number, not {type_name(value)}")
    named = [given[word] for word in ("func", "aggfunc") if word in given and name != "assign"]
    if name in ("agg", "aggregate"):
        named += [pair[1:] for word, pair in given.items() if word != "func" and type(pair) is tuple]
        odd = [word for word, pair in given.items() if word != "func" and (type(pair) is not tuple or len(pair) != 2)]  # noqa: PLR2004 - a pair
        if odd:
            raise ExpressionError(f'{odd[0]}= of {name}() must be a column and a name, such as ("price", "mean")')
    for each in named:
        _check_aggregation(each)
    if name == "transform" and type(given.get("func")) is not str:
        raise ExpressionError('func= of transform() must be the name of one aggregation, such as "mean"')
    if name == "astype":
        _check_type(given.get("dtype"))
    if name == "strftime" and not _FORMAT.fullmatch(str(given.get("date_format", ""))):
        raise ExpressionError('the format of strftime() must be directives without widths, such as "%Y-%m"')
    if name in ("contains", "split", "replace"):
        check_pattern(name, given)


def _check_plain(what: str, value: Any) -> None:
    left = [value]
    while left:
        each = left.pop()
        kind = type(each)
        if kind in _HOLDERS:
            parts = (each.start, each.stop, each.step) if kind is slice else each
            left += parts
            left += each.values() if kind is dict else ()
        elif not (kind in _SCALARS or kind_of(each) or _is_scalar(each)):
            raise ExpressionError(f"{what} must be plain values or tables, not {type_name(each)}")


def _is_scalar(value: Any) -> bool:
    """Whether a value is a scalar of pandas or NumPy: a time, an interval, a number, or what is missing."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(value, numpy.generic):
        return True
    if pandas is None:
        return False
    kinds = (pandas.Timestamp, pandas.Timedelta, pandas.Period, pandas.Interval)
    return type(value) in kinds or value is pandas.NaT or value is pandas.NA


def _check_aggregation(value: Any) -> None:
    names = value.values() if type(value) is dict else value if type(value) in (list, tuple) else [value]
    for each in names:
        if type(each) in (list, tuple):
            _check_aggregation(each)
        elif type(each) is not str or each not in AGGREGATIONS:
            raise ExpressionError(
                f"an aggregation is one of {', '.join(sorted(AGGREGATIONS))}, as text, not {each!r:.60}"
            )


def _check_type(value: Any) -> None:
    for each in value.values() if type(value) is dict else [value]:
        if type(each) is not str or each not in TYPES:
            raise ExpressionError(f"a type is one of {', '.join(sorted(TYPES))}, not {each!r:.60}")


# -------------------------------------------------------------------- fields


def read_field(table: Any, name: str) -> Any:
    """Return a listed attribute of a table or a view, otherwise the table's column, or label, of that name."""
    kind = kind_of_any(table)
    if kind in ATTRIBUTES.get(name, ()):
        return getattr(table, _RENAMED.get(name, name))
    if kind in GROUPS and name in list(table.obj):
        return table[name]
    labels = _labels(table)
    if name in labels:
        return plain(table[name] if kind == "DataFrame" else table.loc[name])
    hint = f"; to call the method, write .{name}()" if find(name, kind) else ""
    raise LookupError(f"{an(kind)} has no {name!r}{_known(table)}{hint}")


def _labels(table: Any) -> Any:
    kind = kind_of(table)
    return table.columns if kind == "DataFrame" else table.index if kind == "Series" else ()


_CALLED: Final = {
    "Series": "a column", "DataFrame": "a table", "ndarray": "an array", "DataFrameGroupBy": "a groupby",
    "SeriesGroupBy": "a groupby", "DatetimeIndexResampler": "a resample", "Rolling": "a rolling window",
    "StringMethods": ".str", "DatetimeProperties": ".dt", "TimedeltaProperties": ".dt",
}  # fmt: skip


def an(kind: str) -> str:
    """Return what a kind of table or view is called, with its article."""
    return _CALLED.get(kind, "an index")


def _known(table: Any) -> str:
    """Return the names of a table's columns, for a message; the labels of a column are data, and not for models."""
    if kind_of(table) != "DataFrame":
        return ""
    shown = [repr(label) for label in table.columns[:_SHOWN] if type(label) in (str, int)]
    return f"; there are {', '.join(shown)}{', …' if len(table.columns) > _SHOWN else ''}" if shown else ""


# -------------------------------------------------------------------- items


def read_item(table: Any, key: Any, note: Callable[[str], None]) -> Any:
    """Return `table[key]`; of a column, a whole number is a label, otherwise perhaps a position, which is noted."""
    kind, label = kind_of_any(table), plain(key)
    if callable(label):  # pandas would call it; anything else may be a label
        raise TypeError("a function cannot be a key")
    if kind == "Series" and type(label) is int:
        return plain(_by_label_or_place(table, label, note))
    if kind in PANDAS and type(label) in (str, int) and label not in _labels(table):
        what = "column" if kind == "DataFrame" else "label"
        raise LookupError(f"{an(kind)} has no {what} {label!r}{_known(table)}")
    if view_of(table) and not (kind in GROUPS or kind in _STEPS or kind in _TEXTS):
        raise LookupError(f"{an(kind)} has no items in a plan: choose a column before it")
    return as_table(plain(table[key]))


def read_place(table: Any, how: str, key: Any) -> Any:
    """Return `table.loc[key]` or `table.iloc[key]`."""
    kind = kind_of(table)
    if kind not in PANDAS:
        raise LookupError(f".{how} is for tables and columns, not {type_name(table)}")
    _check_plain(f"a key of .{how}", key)
    return as_table(plain(getattr(table, how)[key]))


def _by_label_or_place(column: Any, key: int, note: Callable[[str], None]) -> Any:
    index, size = column.index, len(column)
    if key in index:
        return column.loc[key]
    # A filter leaves an index of whole numbers with gaps, and without a name, as a result of groupby has one.
    if index.nlevels > 1 or index.dtype.kind not in "iu" or index.name is not None or column.name in _COUNTED:
        raise LookupError(f"a column has no label {key}; for a position, write list(column)[{key}]")
    if not -size <= key < size:
        raise LookupError(f"a column of {size:,} rows has neither a label nor a position {key}")
    note(f"the column has no label {key}, so {key} was read as a position")
    return column.iloc[key]
