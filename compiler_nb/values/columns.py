"""Arrays and tables as columns: numbers and times as NumPy's own bytes, texts and mixed cells as JSON.

Theory of operation
    A table is its index, its labels and one array for each column, each with a form of its own: plain arrays are bytes
    beside a type and a shape; a category is codes and categories; a nullable column is its data and a mask; a column of
    texts or of mixed cells is a list like any other. pandas is given arrays that are built already, with their types,
    so that it has nothing to guess, to parse or to look up.
    Whoever reads trusts nothing. Bytes are as long as type and shape say, or refused before an array is made. Each
    piece of bytes is used once, so that nothing grows beyond what is stored. A part must have one of the forms that
    are allowed in its place. Types of a library are named by us and never by the file; what a file does name (types of
    numbers, units, zones, frequencies) is compared with what we know.
    What is written is read back at once: a table that would not be the same is not stored, and says so.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from compiler_nb.outcome import NotStored
from compiler_nb.values.forms import (
    Form,
    FromData,
    Head,
    ToData,
    Unstorable,
    expect,
    integer_of,
    is_zone,
    of_kind,
    read_zone,
    write_zone,
)

_DTYPE: Final = re.compile(r"[<>|](?:[biufcSU][0-9]{1,9}|[mM]8\[(?:[YMWDhms]|ms|us|ns|ps|fs|as)\])")
"""Types of numbers, texts and times of fixed size: no objects, no records."""
_FREQUENCY: Final = re.compile(r"-?[0-9]{0,4}[A-Za-z]{1,4}(?:-[A-Z]{3})?")
_AXES: Final = 64
"""Axes that an array has at most."""
_ROWS: Final = 100_000_000
"""Rows of a table that has no columns, which take no room."""
_MASKED: Final = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64",
                  "boolean")  # fmt: skip
_UNITS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NOT_A_TIME: Final = -(2**63)
_FIRST, _LAST = -62_135_510_400, 253_402_128_000
"""Seconds since 1970 of the years 1 to 9999, but for two days at either end."""
_ARROW: Final = frozenset((
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double", "string",
    "large_string", "date32[day]", *(f"{kind}[{unit}]" for kind in ("timestamp", "duration") for unit in _UNITS),
))  # fmt: skip
"""Arrow's types that are stored, and times in a zone."""
_ARROW_ZONED: Final = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]")
_OFFSET: Final = re.compile(r"[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]")
_DAY: Final = 86_400
_ARRAYS: Final = ("array", "category", "masked", "texts", "zoned", "periods", "intervals", "arrow")
_INDEXES: Final = ("index", "range index", "levels")


# -------------------------------------------------------------------- arrays


def _write_array(array: Any, to: ToData) -> Head:
    if array.dtype == object:
        cells = array.ravel().tolist()
        _check_texts(cells, to)
        return {"shape": list(array.shape), "v": to.many(cells)}
    dtype = array.dtype.str
    if not _DTYPE.fullmatch(dtype):
        raise Unstorable(f"an array of {array.dtype} is not plain data")
    to.spend(array.nbytes)  # before it is copied
    return {"dtype": dtype, "shape": list(array.shape), **to.keep(array.tobytes())}


def _read_array(head: Head, by: FromData) -> Any:
    shape = head["shape"]
    expect(
        type(shape) is list and len(shape) <= _AXES and all(type(size) is int and size >= 0 for size in shape),
        "a stored array has no valid shape",
    )
    if "dtype" not in head:
        return _cells(by.many(head["v"])).reshape(shape)
    dtype, data = _dtype(head["dtype"]), by.kept(head)
    expect(
        math.prod(shape) * dtype.itemsize == len(data),
        "a stored array has more or fewer bytes than its type and shape say",
    )
    # without the copy it would be read-only, which a tool that changes it does not expect
    return _numpy().frombuffer(data, dtype=dtype).reshape(shape).copy()


def _check_texts(cells: list[Any], to: ToData) -> None:
    """Raise Unstorable if one of the texts holds a key: masked it would be another table."""
    to.check("\n".join(cell for cell in cells if type(cell) is str).encode("utf-8", "surrogatepass"))


def _dtype(name: Any) -> Any:
    expect(_DTYPE.fullmatch(name), "a stored array is not of numbers, texts or times")
    return _numpy().dtype(name)


def _cells(items: list[Any]) -> Any:
    cells = _numpy().empty(len(items), dtype=object)
    for place, item in enumerate(items):  # one by one: a list of lists would become a table
        cells[place] = item
    return cells


def _write_number(value: Any, to: ToData) -> Head:
    if not _DTYPE.fullmatch(value.dtype.str) or value.dtype.type is not type(value):
        raise Unstorable(f"a {value.dtype} is not plain data")
    return {"dtype": value.dtype.str, "v": value.tobytes().hex()}


def _read_number(head: Head, by: FromData) -> Any:
    return _numpy().frombuffer(bytes.fromhex(head["v"]), dtype=_dtype(head["dtype"]), count=1)[0]


# -------------------------------------------------------------------- pandas' own arrays


def _write_category(array: Any, to: ToData) -> Head:
    categories = _pandas().Index(_array_of(array.categories))  # a range is written out: a forged one would never end
    return {"v": to.many([array.codes, categories]), "ordered": bool(array.ordered)}


def _read_category(head: Head, by: FromData) -> Any:
    codes, categories = head["v"]
    return _pandas().Categorical.from_codes(
        by.part(codes, ("array",)), by.part(categories, ("index",)), ordered=head["ordered"] is True
    )


def _write_masked(array: Any, to: ToData) -> Head:
    kind = array.dtype.numpy_dtype
    return {"v": to.many([array.to_numpy(kind, na_value=kind.type(0)), array.isna()]), "type": str(array.dtype)}


def _read_masked(head: Head, by: FromData) -> Any:
    data, mask = (by.part(part, ("array",)) for part in head["v"])
    expect(head["type"] in _MASKED, "a stored column is of an unknown type")
    dtype = _pandas().api.types.pandas_dtype(head["type"])
    expect(data.ndim == 1 and data.dtype == dtype.numpy_dtype, "a stored column is not of the type that it says")
    return dtype.construct_array_type()(data, mask)


def _write_texts(array: Any, to: ToData) -> Head:
    texts = [None if missing else text for text, missing in zip(array.tolist(), array.isna(), strict=True)]
    _check_texts(texts, to)
    return {"v": to.many(texts), "storage": array.dtype.storage, "nan": array.dtype.na_value is not _pandas().NA}


def _read_texts(head: Head, by: FromData) -> Any:
    pandas, texts = _pandas(), by.many(head["v"])
    expect(
        head["storage"] in ("python", "pyarrow") and all(type(each) in (str, type(None)) for each in texts),
        "a stored column is not of texts",
    )
    missing = math.nan if head["nan"] is True else pandas.NA
    return pandas.array(texts, dtype=pandas.StringDtype(head["storage"], na_value=missing))


def _write_zoned(array: Any, to: ToData) -> Head:
    name = str(array.dtype.tz)  # pandas 2 has zones of another library, of the same names
    zone = name if is_zone(name) else write_zone(array.dtype.tz)
    return {"v": to.data(array.asi8), "unit": array.dtype.unit, "zone": zone}


def _read_zoned(head: Head, by: FromData) -> Any:
    zone, unit, data = head["zone"], head["unit"], _counts(head, by)
    expect(unit in _UNITS, "a stored column is of times in an unknown unit")
    _check_years(data[data != _NOT_A_TIME] // _UNITS[unit])
    known = read_zone(zone)
    dtype = _pandas().DatetimeTZDtype(unit, zone if type(zone) is str else known)  # by its name pandas finds its own
    return _pandas().DatetimeIndex(data.view(f"M8[{unit}]"), tz="UTC").astype(dtype).array


def _check_years(seconds: Any) -> None:
    expect(
        seconds.size == 0 or (seconds.min() > _FIRST and seconds.max() < _LAST),  # pandas could not even show others
        "a stored column has times outside the years 1 to 9999",
    )


def _write_periods(array: Any, to: ToData) -> Head:
    return {"v": to.data(array.asi8), "freq": array.freqstr}


def _read_periods(head: Head, by: FromData) -> Any:
    return _pandas().arrays.PeriodArray(_counts(head, by), dtype=_pandas().PeriodDtype(_frequency(head["freq"])))


def _counts(head: Head, by: FromData) -> Any:
    """Return the whole numbers by which times or periods are stored."""
    data = by.part(head["v"], ("array",))
    expect(data.ndim == 1 and data.dtype.str[1:] == "i8", "a stored column is not of times or periods")
    return data


def _frequency(name: Any) -> str:
    expect(_FREQUENCY.fullmatch(of_kind(str, name)), "a stored column has an unknown frequency")
    return str(name)


def _write_intervals(array: Any, to: ToData) -> Head:
    return {"v": to.many([array.left, array.right]), "closed": array.closed}


def _read_intervals(head: Head, by: FromData) -> Any:
    left, right = (by.part(part, ("index",)) for part in head["v"])
    return _pandas().arrays.IntervalArray.from_arrays(left, right, closed=head["closed"])


def _arrow_type(name: Any) -> Any:
    """Return the Arrow type of a name, None if it is not one that is stored."""
    import pyarrow as pa  # noqa: PLC0415 - an extra, and only if a column of Arrow's was stored

    if name in _ARROW:
        return pa.type_for_alias(name)
    zoned = _ARROW_ZONED.fullmatch(name)
    known = zoned is not None and (is_zone(zoned[2]) or _OFFSET.fullmatch(zoned[2]))
    return pa.timestamp(zoned[1], zoned[2]) if zoned is not None and known else None


def _arrow_counts(name: str) -> str:
    """Return the type of the numbers by which an Arrow type is stored."""
    return "int32" if name == "date32[day]" else "int64" if name.startswith(("timestamp", "duration")) else name


def _write_arrow(array: Any, to: ToData) -> Head:
    name, cells = str(array.dtype.pyarrow_dtype), array.__arrow_array__()
    if _arrow_type(name) is None:
        raise Unstorable(f"a column of Arrow's type {name} cannot be stored")
    if name.endswith("string"):
        texts = cells.to_pylist()
        _check_texts(texts, to)
        return {"v": to.many(texts), "type": name}
    numbers = cells.cast(_arrow_counts(name)).fill_null(False if name == "bool" else 0)
    return {"v": to.many([numbers.to_numpy(), _numpy().array(array.isna())]), "type": name}


def _read_arrow(head: Head, by: FromData) -> Any:
    name = of_kind(str, head["type"])
    kind = _arrow_type(name)
    expect(kind is not None, "a stored column is of an unknown type")
    import pyarrow as pa  # noqa: PLC0415 - as above

    if name.endswith("string"):
        cells = pa.array(by.many(head["v"]), kind)
    else:
        numbers, mask = (by.part(part, ("array",)) for part in head["v"])
        counts = pa.type_for_alias(_arrow_counts(name))
        expect(
            numbers.ndim == 1 and numbers.dtype == counts.to_pandas_dtype() and mask.dtype == bool,
            "a stored column is not of the type that it says",
        )
        if name.startswith(("date32", "timestamp")):
            known = numbers[~mask].astype("i8")
            _check_years(known * _DAY if name.startswith("date32") else known // _UNITS[kind.unit])
        cells = pa.array(numbers, counts, mask=mask).cast(kind)
    return _pandas().arrays.ArrowExtensionArray(cells)


def _write_cell(value: Any, to: ToData) -> Head:
    return {"v": to.data(_array_of(_pandas().Series([value])))}


def _read_cell(head: Head, by: FromData) -> Any:
    return _pandas().Series(by.part(head["v"], _ARRAYS)).iloc[0]


# -------------------------------------------------------------------- indexes and tables


def _array_of(column: Any) -> Any:
    """Return the array of a column or an index."""
    return column.to_numpy() if type(column.dtype).__module__.partition(".")[0] == "numpy" else column.array


def _write_index(index: Any, to: ToData) -> Head:
    freq = getattr(index, "freq", None) if index.dtype.kind in "mM" else None
    head = {"v": to.data(_array_of(index)), "name": to.data(index.name)}
    return head if freq is None else head | {"freq": freq.freqstr}


def _read_index(head: Head, by: FromData) -> Any:
    array = by.part(head["v"], _ARRAYS)
    index = _pandas().Index(array, dtype=array.dtype, name=by.data(head["name"]))
    if "freq" in head:
        index.freq = _frequency(head["freq"])
    return index


def _write_range(index: Any, to: ToData) -> Head:
    return {"v": [hex(part) for part in (index.start, index.stop, index.step)], "name": to.data(index.name)}


def _read_range(head: Head, by: FromData) -> Any:
    return _pandas().RangeIndex(*map(integer_of, head["v"]), name=by.data(head["name"]))


def _write_levels(index: Any, to: ToData) -> Head:
    levels = [_array_of(index.get_level_values(number)) for number in range(index.nlevels)]
    return {"v": to.many(levels), "name": to.many(list(index.names))}


def _read_levels(head: Head, by: FromData) -> Any:
    pandas, arrays = _pandas(), [by.part(part, _ARRAYS) for part in head["v"]]
    levels = [pandas.Index(array, dtype=array.dtype) for array in arrays]
    return pandas.MultiIndex.from_arrays(levels, names=by.many(head["name"]))


def _write_attrs(table: Any, to: ToData) -> Head:
    """Return what a table says of itself; raises Unstorable if that has no form, or holds a key."""
    if not table.attrs:
        return {}
    try:
        data = to.data(dict(table.attrs))
    except Unstorable as error:
        raise Unstorable(f"its attrs cannot be stored: {error}") from None
    to.check(json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return {"attrs": data}


def _read_attrs(table: Any, head: Head, by: FromData) -> Any:
    if "attrs" in head:
        table.attrs = by.data(head["attrs"])
    return table


def _write_frame(frame: Any, to: ToData) -> Head:
    to.spend(frame.shape[1])
    columns = [_array_of(frame.iloc[:, number]) for number in range(frame.shape[1])]
    head = {"v": to.many(columns), "index": to.data(frame.index), "columns": to.data(frame.columns)}
    return head | _write_attrs(frame, to)


def _read_frame(head: Head, by: FromData) -> Any:
    pandas, index = _pandas(), by.part(head["index"], _INDEXES)
    arrays = [by.part(part, _ARRAYS) for part in head["v"]]
    expect(
        all(len(array) == len(index) for array in arrays) and (arrays or len(index) <= _ROWS),
        "a stored table has columns of another length than its index",
    )
    columns = {number: pandas.Series(array, index, dtype=array.dtype) for number, array in enumerate(arrays)}
    frame = pandas.DataFrame(columns, index=index)
    return _read_attrs(frame.set_axis(by.part(head["columns"], _INDEXES), axis=1), head, by)


def _write_series(series: Any, to: ToData) -> Head:
    head = {"v": to.data(_array_of(series)), "index": to.data(series.index), "name": to.data(series.name)}
    return head | _write_attrs(series, to)


def _read_series(head: Head, by: FromData) -> Any:
    array = by.part(head["v"], _ARRAYS)
    index, name = by.part(head["index"], _INDEXES), by.data(head["name"])
    return _read_attrs(_pandas().Series(array, index, dtype=array.dtype, name=name), head, by)


def _numpy() -> Any:
    import numpy  # noqa: PLC0415, ICN001 - an extra, and only if an array was stored

    return numpy


def _pandas() -> Any:
    import pandas  # noqa: PLC0415, ICN001 - an extra, and only if a table was stored

    return pandas


def _earlier(head: Head, by: FromData) -> NotStored:
    return NotStored("DataFrame", "an earlier version stored it as Parquet, which is not read anymore")


def _same_frame(back: Any, frame: Any) -> bool:
    columns = range(frame.shape[1])
    return _same_index(back.index, frame.index) and _same_index(back.columns, frame.columns) and all(
        _same_column(back.iloc[:, number], frame.iloc[:, number]) for number in columns
    )  # fmt: skip


def _same_series(back: Any, series: Any) -> bool:
    return _same_index(back.index, series.index) and _same_column(back, series)


def _same_column(back: Any, column: Any) -> bool:
    """Return whether a column is the same; cells of mixed types have forms that are exact, and may not compare."""
    return bool(back.dtype == column.dtype and (column.dtype == object or back.equals(column)))


def _same_index(back: Any, index: Any) -> bool:
    return bool(back.identical(index))  # names, types and frequencies too


def _same(back: Any, value: Any) -> bool:
    return back is value or bool(back == value)


LIBRARY: Final = (
    Form("numpy.ndarray", "array", _write_array, _read_array),
    Form("numpy.generic", "scalar", _write_number, _read_number, fixed=True),
    Form("pandas.DataFrame", "table", _write_frame, _read_frame, _same_frame),
    Form("pandas.Series", "column", _write_series, _read_series, _same_series),
    Form("pandas.RangeIndex", "range index", _write_range, _read_range, _same_index, fixed=True),
    Form("pandas.MultiIndex", "levels", _write_levels, _read_levels, _same_index, fixed=True),
    *(Form(f"pandas.{name}", "index", _write_index, _read_index, _same_index, fixed=True)
      for name in ("Index", "DatetimeIndex", "TimedeltaIndex", "PeriodIndex", "IntervalIndex", "CategoricalIndex")),
    Form("pandas.Categorical", "category", _write_category, _read_category),
    *(Form(f"pandas.arrays.{name}", "masked", _write_masked, _read_masked)
      for name in ("IntegerArray", "FloatingArray", "BooleanArray")),
    *(Form(f"pandas.arrays.{name}", "texts", _write_texts, _read_texts)
      for name in ("StringArray", "ArrowStringArray")),
    Form("pandas.arrays.DatetimeArray", "zoned", _write_zoned, _read_zoned),
    Form("pandas.arrays.PeriodArray", "periods", _write_periods, _read_periods),
    Form("pandas.arrays.IntervalArray", "intervals", _write_intervals, _read_intervals),
    Form("pandas.arrays.ArrowExtensionArray", "arrow", _write_arrow, _read_arrow),
    *(Form(f"pandas.{name}", "cell", _write_cell, _read_cell, _same, fixed=True)
      for name in ("Timestamp", "Timedelta", "Period", "Interval", "NaT")),
    Form("pandas.NA", "NA", lambda value, to: {}, lambda head, by: _pandas().NA, fixed=True),
    *(Form(None, name, lambda value, to: {}, _earlier) for name in ("frame", "series")),
)  # fmt: skip
