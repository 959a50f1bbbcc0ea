"""What `plot` is given, as columns: tables, Series, dicts, lists and arrays, and what each column holds.

matplotlib brings numpy; pandas is asked only about what it made itself, so plots need no pandas.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from compiler_nb.errors import ToolError
from compiler_nb.text import cut, named_parts, shorten_value, suggest, type_name

if TYPE_CHECKING:
    import numpy as np

LABEL: Final = 40
"""Characters of a category that are drawn."""
LISTED: Final = 10
"""Names of columns that an error lists."""
VALUE: Final = "value"
"""The name of numbers that have no name."""
PAIR: Final = ("x", "y")
"""The names of the two columns of a list of pairs."""
TAKEN: Final = "a DataFrame, a Series, an array, a dict of columns or of numbers, or a list of numbers, pairs or dicts"
_NUMBERS: Final = (int, float, decimal.Decimal, fractions.Fraction)


class Sheet(NamedTuple):
    """Data as columns of one length, by name.

    columns: what may be y; levels: what names the rows: one column or, of a MultiIndex, several; none if rows are only
    counted. rows: how many there are.
    """

    columns: dict[Any, Any]
    levels: dict[Any, Any]
    rows: int

    def column(self, name: Any, role: str) -> Any:
        """Return the values of a column, or of a level of the index. Raises ToolError that names the nearest one."""
        known = self.columns | self.levels
        try:
            if name in known:
                return known[name]
        except TypeError:  # a list, or a column itself
            raise ToolError(
                f"plot: {role} must be the name of a column, not a {type_name(name)}: put the values into data, as in "
                "plot({'day': days, 'price': prices}, 'day', 'price')"
            ) from None
        shown = ", ".join(map(label, islice(known, LISTED))) + (", …" if len(known) > LISTED else "")
        near = suggest(label(name), map(label, known))
        raise ToolError(f"plot: there is no column {label(name)!r} for {role}.{near} The columns are: {shown}")


class Measured(NamedTuple):
    """The values of a column to draw: numbers, times, or texts as positions (0, 1, …) in `names`.

    values: float64, or datetime64 of times; what is missing is NaN or NaT.
    """

    kind: Literal["number", "time", "text"]
    values: np.ndarray[Any, Any]
    names: tuple[str, ...] = ()

    def labels(self, most: int) -> list[str]:
        """Return the first values as texts."""
        import numpy as np  # noqa: PLC0415 - comes with matplotlib

        shown = self.values[:most]
        if self.kind == "text":
            return ["" if code != code else self.names[int(code)] for code in shown.tolist()]  # noqa: PLR0124 - NaN
        if self.kind == "number":
            return [f"{number:.6g}" for number in shown.tolist()]
        days = shown.astype("datetime64[D]")
        whole = bool(np.all((days == shown) | np.isnat(shown)))
        texts = np.datetime_as_string(days if whole else shown, unit="D" if whole else "m")
        return [text.replace("T", " ") for text in texts.tolist()]


def label(name: Any) -> str:
    """Return the name of a column as a text: those of several levels in one."""
    if type(name) is tuple:
        return cut(" ".join(filter(None, map(label, name))), LABEL)
    return cut(name, LABEL) if isinstance(name, str) else shorten_value(name, LABEL)


# -------------------------------------------------------------------- data as columns


def sheet_of(data: Any) -> Sheet:
    """Return data as columns. Raises ToolError if it is not a table; the message says what would be one."""
    sheet = _sheet(data)
    if not sheet.rows or not sheet.columns:
        raise ToolError("plot: there is nothing to draw: data has no rows")
    return sheet


def _sheet(data: Any) -> Sheet:
    pandas, numpy = sys.modules.get("pandas"), sys.modules["numpy"]
    if pandas and isinstance(data, pandas.DataFrame):
        return _of_frame(data, pandas)
    if pandas and isinstance(data, pandas.Series):
        return _of_frame(data.to_frame(VALUE if data.name is None else data.name), pandas)
    if pandas and isinstance(data, pandas.core.groupby.GroupBy):
        raise ToolError("plot: groups are not numbers yet: aggregate them, as in data.groupby('city')['price'].mean()")
    if pandas and isinstance(data, pandas.Index):
        return _counted({VALUE if data.name is None else data.name: data})
    if isinstance(data, numpy.ndarray):
        return _of_array(data)
    if isinstance(data, Mapping):
        return _of_mapping(data)
    if isinstance(data, Sequence) and not isinstance(data, str | bytes | bytearray):
        return _of_rows(data)
    raise ToolError(f"plot: data must be {TAKEN}, not a {type_name(data)}")


def _of_frame(frame: Any, pandas: Any) -> Sheet:
    names = list(frame.columns)
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ToolError(f"plot: two columns are called {label(twice)!r}: rename one")
    columns = {_key(name): frame.iloc[:, number] for number, name in enumerate(names)}
    index = frame.index
    if isinstance(index, pandas.RangeIndex) and index.name is None:
        return Sheet(columns, {}, len(frame))
    many = index.nlevels > 1
    levels = {
        (f"level {number}" if many else "") if name is None else name: index.get_level_values(number)
        for number, name in enumerate(index.names)
    }
    return Sheet(columns, levels, len(frame))


def _key(name: Any) -> Any:
    """Return the name of a column as it is asked for: of several levels as one text."""
    return label(name) if type(name) is tuple else name


def _counted(columns: dict[Any, Any]) -> Sheet:
    """Return columns whose rows have no names. Raises ToolError if their lengths differ."""
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{label(name)}: {count:,}" for name, count in islice(lengths.items(), LISTED))
        raise ToolError(f"plot: the columns have different lengths ({shown}): give as many values for each")
    return Sheet(columns, {}, next(iter(lengths.values()), 0))


def _of_array(array: Any) -> Sheet:
    if array.dtype.names:
        return _counted({name: array[name] for name in array.dtype.names})
    if array.ndim == 1:
        return _counted({VALUE: array})
    if array.ndim == 2:  # noqa: PLR2004 - rows and columns
        return _counted({number: array[:, number] for number in range(array.shape[1])})
    raise ToolError(f"plot: an array of {array.ndim} dimensions cannot be drawn: give one of 1 or 2")


def _of_mapping(data: Mapping[Any, Any]) -> Sheet:
    """Return a dict of columns, of records, or of numbers by name."""
    parts = list(data.values())
    if parts and all(map(_is_column, parts)):
        return _counted({_key(name): _listed(values) for name, values in data.items()})
    if parts and all(isinstance(part, Mapping) for part in parts):
        rows = _of_rows(parts)
        return rows._replace(levels={"": list(data)})
    odd = next((part for part in parts if _is_column(part) or isinstance(part, Mapping)), None)
    if odd is not None:
        raise ToolError("plot: some values of the dict are columns and some are not: give columns, numbers or dicts")
    return Sheet({VALUE: parts}, {"": list(data)}, len(parts))


def _is_column(value: Any) -> bool:
    return isinstance(value, list | tuple | range) or (hasattr(type(value), "dtype") and bool(value.ndim))


def _listed(values: Any) -> Any:
    return values if hasattr(type(values), "dtype") else list(values)


def _of_rows(rows: Sequence[Any]) -> Sheet:
    """Return a list of dicts, records, pairs or numbers."""
    first = rows[0] if len(rows) else None
    if isinstance(first, Mapping):
        if not all(isinstance(row, Mapping) for row in rows):
            raise ToolError("plot: some rows are dicts and some are not: give rows of one kind")
        names = dict.fromkeys(name for row in rows for name in row)
        return _counted({_key(name): [row.get(name) for row in rows] for name in names})
    if (fields := named_parts(first)) is not None:
        return _counted({name: [getattr(row, name, None) for row in rows] for name, _ in fields})
    if isinstance(first, list | tuple):
        widths = {len(row) if isinstance(row, list | tuple) else 0 for row in rows}
        if len(widths) > 1:
            raise ToolError("plot: the rows have different lengths: give as many values in each")
        width = widths.pop()
        places: Iterable[Any] = PAIR if width == len(PAIR) else range(width)
        return _counted({name: [row[number] for row in rows] for number, name in enumerate(places)})
    return _counted({VALUE: list(rows)})


# -------------------------------------------------------------------- what a column holds


def present(values: Any) -> Any:
    """Return an array without what is missing: NaN and NaT differ from themselves."""
    return values[values == values]  # noqa: PLR0124 - see above


def measured(values: Any) -> Measured:
    """Return a column as what can be drawn: numbers, times, or texts."""
    import numpy as np  # noqa: PLC0415 - comes with matplotlib

    pandas = sys.modules.get("pandas")
    if pandas and isinstance(values, pandas.Series | pandas.Index | pandas.api.extensions.ExtensionArray):
        return _of_pandas(pandas.Series(values), pandas)
    array = values if isinstance(values, np.ndarray) else _objects(values)
    if array.dtype.kind in "biuf":
        return _numbers(array)
    if array.dtype.kind == "M":
        return Measured("time", array.astype("datetime64[us]"))
    if array.dtype.kind == "m":
        return Measured("number", np.where(np.isnat(array), np.nan, array / np.timedelta64(1, "s")))
    return _of_objects(array.astype(object).ravel().tolist())


def _objects(values: Iterable[Any]) -> Any:
    """Return a list as an array of what it holds: numpy would make texts of numbers and texts together."""
    import numpy as np  # noqa: PLC0415 - comes with matplotlib

    held = list(values)
    array = np.empty(len(held), object)
    array[:] = held
    return array


def _numbers(values: Any) -> Measured:
    import numpy as np  # noqa: PLC0415 - comes with matplotlib

    array = np.asarray(values, np.float64)
    return Measured("number", np.where(np.isfinite(array), array, np.nan))


def _of_pandas(series: Any, pandas: Any) -> Measured:
    types, dtype = pandas.api.types, series.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(float)
        codes[codes < 0] = float("nan")
        return Measured("text", codes, tuple(map(label, dtype.categories.tolist())))
    if types.is_bool_dtype(dtype) or (types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)):
        return _numbers(series.to_numpy(dtype=float, na_value=float("nan")))
    if isinstance(dtype, pandas.PeriodDtype):
        series, dtype = series.dt.to_timestamp(), None
    if isinstance(dtype, pandas.DatetimeTZDtype):
        series = series.dt.tz_localize(None)
    if series.dtype.kind in "mM":
        return measured(series.to_numpy())
    return _of_objects(series.astype(object).where(series.notna(), None).tolist())


def _of_objects(values: list[Any]) -> Measured:
    import numpy as np  # noqa: PLC0415 - comes with matplotlib

    held = [None if _is_missing(value) else value for value in values]
    kinds = {type(value) for value in held if value is not None}
    if all(issubclass(kind, (*_NUMBERS, np.number, np.bool_)) and kind is not complex for kind in kinds):
        return _numbers([float("nan") if value is None else _number(value) for value in held])
    if all(issubclass(kind, dt.date | np.datetime64) for kind in kinds):
        return Measured("time", np.array([_time(value) for value in held], "datetime64[us]"))
    if all(issubclass(kind, dt.timedelta) for kind in kinds):
        return _numbers([float("nan") if value is None else value.total_seconds() for value in held])
    names: dict[str, int] = {}
    texts = (None if value is None else label(value) for value in held)
    codes = [float("nan") if text is None else names.setdefault(text, len(names)) for text in texts]
    return Measured("text", np.array(codes, float), tuple(names))


def what_of(values: Any) -> str:
    """Return what a column holds that is not drawn as a number, in words."""
    found = next((value for value in values if not _is_missing(value)), "")
    return "text" if isinstance(found, str) else f"values of the type {type_name(found)}"


def _is_missing(value: Any) -> bool:
    kind = type(value)
    return value is None or (kind is float and value != value) or kind.__name__ in ("NAType", "NaTType")  # noqa: PLR0124


def _number(value: Any) -> float:
    try:
        return float(value)
    except (OverflowError, ValueError):  # an integer that no float holds, a signalling NaN
        return float("nan")


def _time(value: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - comes with matplotlib

    if value is None:
        return np.datetime64("NaT")
    return np.datetime64(value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value)


def numbers_of(sheet: Sheet, without: Sequence[Any]) -> dict[Any, Measured]:
    """Return the columns that hold numbers, truth values apart."""
    asked = {name: values for name, values in sheet.columns.items() if name not in without and _may_count(values)}
    read = {name: measured(values) for name, values in asked.items()}
    return {name: found for name, found in read.items() if found.kind == "number"}


def _may_count(values: Any) -> bool:
    """Whether a column may hold numbers; of a table its type says so, without a look at a million texts."""
    kind = getattr(getattr(values, "dtype", None), "kind", None)
    if kind is None:
        return bool(values) and type(values[0]) is not bool
    return kind in ("iufm" if hasattr(values, "iloc") else "iufmO")
