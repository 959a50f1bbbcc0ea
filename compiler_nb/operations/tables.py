"""Tables in expressions: exactly pandas' and NumPy's own types, which are found without importing either.

Theory of operation
    What a plan may ask of a table stands in METHODS and ATTRIBUTES: another idiom is another row. Each is the library's
    own, called by its name; only an array, which has fewer methods and does not skip what is missing, brings a function
    of ours. Every number that comes out of a table is a Python number. Nothing here changes a table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from compiler_nb.text import name_of

_INDEXES: Final = (
    "Index", "RangeIndex", "DatetimeIndex", "TimedeltaIndex", "PeriodIndex", "CategoricalIndex", "MultiIndex",
)  # fmt: skip
_LIBRARIES: Final = {"ndarray": "numpy"} | dict.fromkeys(("Series", "DataFrame", *_INDEXES), "pandas")
_COUNTED: Final = frozenset({"count", "proportion"})
"""The names that `value_counts` gives its result."""
_SHOWN: Final = 8
"""Labels that an error shows."""


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
    """Return what is iterated of a table; numbers as Python's."""
    # `tolist` would make numbers of nanoseconds of an array's dates.
    if kind_of(table) == "DataFrame" or (kind_of(table) == "ndarray" and (table.ndim != 1 or table.dtype.kind in "mM")):
        return table
    return table.tolist()


def cells(table: Any) -> list[Any]:
    """Return all cells of a table as they are, row by row."""
    return list(sys.modules["numpy"].asarray(table, dtype=object).ravel())


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


# -------------------------------------------------------------------- methods and attributes


class Idiom(NamedTuple):
    """A method of tables: the kinds that have it, its named arguments, how many may be given by place.

    array: what an array does, given the same arguments; copies: whether each cell becomes an object of Python's.
    """

    kinds: frozenset[str]
    keywords: frozenset[str] = frozenset()
    places: int = 0
    array: Callable[..., Any] | None = None
    copies: bool = False


def _of_present(name: str) -> Callable[..., Any]:
    """Return what NumPy's own method gives of the items that are not missing; nan if there are none."""

    def summary(array: Any, **kwargs: Any) -> Any:
        rest = present(array)
        fails = name in ("max", "min") and not array.size  # NumPy's own error says so best
        return getattr(rest, name)(**kwargs) if rest.size or name == "sum" or fails else float("nan")

    return summary


def _median(array: Any) -> Any:
    rest = present(array)
    return sys.modules["numpy"].median(rest) if rest.size else float("nan")


_PANDAS: Final = frozenset({"Series", "DataFrame"})
_ALL: Final = _PANDAS | {"ndarray"}
_SUMMARY: Final = frozenset({"numeric_only", "skipna", "axis"})
METHODS: Final[dict[str, Idiom]] = {
    **{name: Idiom(_ALL, _SUMMARY, array=_of_present(name)) for name in ("sum", "max", "min", "mean")},
    "std": Idiom(_ALL, _SUMMARY | {"ddof"}, array=_of_present("std")),
    "median": Idiom(_ALL, _SUMMARY, array=_median),
    "count": Idiom(_ALL, frozenset({"numeric_only", "axis"}), array=lambda array: present(array).size),
    "dropna": Idiom(_ALL, frozenset({"subset", "how", "thresh", "axis"}), array=present),
    "isna": Idiom(_ALL, array=missing),
    "to_dict": Idiom(_PANDAS, frozenset({"orient"}), places=1, copies=True),
}
"""What may be called on a table: only what computes, nothing that writes, takes code, or changes the table."""
_OF_ARRAYS: Final = frozenset({"ddof"})
ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "shape": _ALL,
    "columns": frozenset({"DataFrame"}),
    "dtypes": frozenset({"DataFrame"}),
    "dtype": frozenset({"Series", "ndarray"}),
    "index": _PANDAS,
}
"""What may be read of a table without a call, before a column or a label of the same name."""


def call_method(table: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a listed method of a table gives. Raises TypeError if an argument is not listed."""
    row, kind = METHODS[name], kind_of(table)
    allowed = row.keywords & _OF_ARRAYS if kind == "ndarray" else row.keywords
    if len(args) > row.places or not allowed.issuperset(kwargs):
        names = f"only {', '.join(f'{each}=' for each in sorted(allowed))}" if allowed else "none"
        raise TypeError(f"of the arguments of .{name}() of {_an(kind)} a plan may give {names}")
    # Looked up in the class: a column of the same name would hide a table's method.
    call = row.array if kind == "ndarray" and row.array is not None else getattr(type(table), name)
    return plain(call(table, *args, **kwargs))


def read_field(table: Any, name: str) -> Any:
    """Return a listed attribute of a table, otherwise its column, or its label, of that name."""
    kind = kind_of(table)
    if kind in ATTRIBUTES.get(name, ()):
        return getattr(table, name)
    labels = _labels(table)
    if name in labels:
        return plain(table[name] if kind == "DataFrame" else table.loc[name])
    hint = f"; to call the method, write .{name}()" if name in METHODS else ""
    raise LookupError(f"{_an(kind)} has no {name!r}{_known(table)}{hint}")


def _labels(table: Any) -> Any:
    kind = kind_of(table)
    return table.columns if kind == "DataFrame" else table.index if kind == "Series" else ()


def _an(kind: str) -> str:
    return {"Series": "a column", "DataFrame": "a table", "ndarray": "an array"}.get(kind, "an index")


def _known(table: Any) -> str:
    """Return the names of a table's columns, for a message; the labels of a column are data, and not for models."""
    if kind_of(table) != "DataFrame":
        return ""
    shown = [repr(label) for label in table.columns[:_SHOWN] if type(label) in (str, int)]
    return f"; there are {', '.join(shown)}{', …' if len(table.columns) > _SHOWN else ''}" if shown else ""


# -------------------------------------------------------------------- items


def read_item(table: Any, key: Any, note: Callable[[str], None]) -> Any:
    """Return `table[key]`; of a column, a whole number is a label, otherwise perhaps a position, which is noted."""
    kind, label = kind_of(table), plain(key)
    if callable(label):  # pandas would call it
        raise TypeError("a function cannot be a key")
    if kind == "Series" and type(label) is int:
        return plain(_by_label_or_place(table, label, note))
    if kind in _PANDAS and type(label) in (str, int) and label not in _labels(table):
        what = "column" if kind == "DataFrame" else "label"
        raise LookupError(f"{_an(kind)} has no {what} {label!r}{_known(table)}")
    return plain(table[key])


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
