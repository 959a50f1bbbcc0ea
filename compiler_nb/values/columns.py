"""Tables and arrays as bytes: pandas by Parquet, numpy by its plain buffers."""

from __future__ import annotations

import hashlib
import math
import re
import sys
from typing import Any, Final, NamedTuple

from compiler_nb.errors import HistoryError
from compiler_nb.values import parquet
from compiler_nb.values.unstorable import Unstorable

_DTYPE: Final = re.compile(r"[<>|][biufcmMUS][0-9]{1,9}(\[[a-zA-Z0-9]{1,8}\])?")
"""Types of numbers, texts and times of fixed size: no objects."""
_AXES: Final = 64
"""Axes that an array has at most."""
_NAMES: Final = (str, int, bool)


class Form(NamedTuple):
    """How a value is written: what the JSON says, and the bytes beside it."""

    head: dict[str, Any]
    blob: bytes | None


def encode(value: Any, largest: int) -> Form | None:
    """Return the form of a table, an array or one of its scalars, None for anything else; raises Unstorable.

    Its library is there already, or it would not be one.
    """
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    kind = type(value)
    if pandas is not None and kind is pandas.DataFrame:
        return _frame(value, largest, {"$": "frame"})
    if pandas is not None and kind is pandas.Series:
        named = value.to_frame("value" if value.name is None else value.name)
        return _frame(named, largest, {"$": "series", "named": value.name is not None})
    if numpy is not None and (kind is numpy.ndarray or issubclass(kind, numpy.generic)):
        return _array(numpy.ascontiguousarray(value), largest, scalar=kind is not numpy.ndarray, shape=value.shape)
    return None


def _frame(frame: Any, largest: int, head: dict[str, Any]) -> Form:
    if int(frame.memory_usage(index=True).sum()) > 10 * largest:
        raise Unstorable(f"it takes more than {largest:,} bytes; History(path, largest=...) allows more")
    flat = frame
    if frame.columns.nlevels > 1:  # Parquet has names of one level only
        head |= {"columns": [_plain(each) for each in frame.columns], "names": _plain(frame.columns.names)}
        flat = frame.set_axis([str(number) for number in range(frame.shape[1])], axis=1)
    try:
        blob = parquet.write(flat)
        back = _read_frame(head, blob)
    except ImportError:
        raise Unstorable("tables are stored by pyarrow, which is not installed: pip install pyarrow") from None
    except HistoryError as error:
        raise Unstorable(f"it does not come back from Parquet: {error}") from None
    if not _equal(back, frame):
        raise Unstorable("it does not come back equal from Parquet")
    return Form(head, blob)


def _plain(names: Any) -> list[Any]:
    """Return the names of one column by levels, as JSON has them."""
    if not all(name is None or type(name) in _NAMES for name in names):
        raise Unstorable("its columns' names are no texts or whole numbers")
    return list(names)


def _equal(back: Any, frame: Any) -> bool:
    same = back.columns.equals(frame.columns) and list(back.dtypes) == list(frame.dtypes)
    return bool(same and type(back.index) is type(frame.index) and back.index.equals(frame.index)) and bool(
        back.index.names == frame.index.names and back.equals(frame)
    )


def _read_frame(head: dict[str, Any], blob: bytes) -> Any:
    frame = parquet.read(blob)
    if "columns" in head:
        pandas, levels = sys.modules["pandas"], _plain(head["names"])
        names = [tuple(_plain(each)) for each in head["columns"]]
        if any(len(each) != len(levels) for each in names):
            raise HistoryError("a stored table has names of other levels than it says")
        frame.columns = pandas.MultiIndex.from_tuples(names, names=levels)
    return frame


def _array(array: Any, largest: int, *, scalar: bool, shape: tuple[int, ...]) -> Form:
    dtype = array.dtype.str
    if not _DTYPE.fullmatch(dtype):
        raise Unstorable(f"an array of {array.dtype} is no plain data")
    if array.nbytes > largest:
        raise Unstorable(f"it takes more than {largest:,} bytes; History(path, largest=...) allows more")
    if scalar:
        return Form({"$": "scalar", "dtype": dtype, "v": array.tobytes().hex()}, None)
    return Form({"$": "array", "dtype": dtype, "shape": list(shape)}, array.tobytes())


def decode(head: dict[str, Any], blob: bytes) -> Any:
    """Return the table, array or scalar; raises HistoryError where there is none, or its library is not there."""
    name = head["$"]
    try:
        if name in ("frame", "series"):
            frame = _read_frame(head, blob)
            if name == "frame":
                return frame
            series = frame.iloc[:, 0]
            return series if head["named"] else series.rename(None)
        if name in ("array", "scalar"):
            return _decode_array(head, blob)
    except ImportError as error:
        raise HistoryError(f"a stored {name} takes {error.name}, which is not installed") from None
    raise HistoryError(f"a stored value has the unknown form {str(name)[:40]!r}")


def _decode_array(head: dict[str, Any], blob: bytes) -> Any:
    import numpy  # noqa: PLC0415, ICN001 - where an array was stored

    if not _DTYPE.fullmatch(head["dtype"]):
        raise HistoryError("a stored array has a type that is none of numbers")
    dtype = numpy.dtype(head["dtype"])
    if head["$"] == "scalar":
        return numpy.frombuffer(bytes.fromhex(head["v"]), dtype=dtype, count=1)[0]
    shape = head["shape"]
    if len(shape) > _AXES or not all(type(size) is int and size >= 0 for size in shape):
        raise HistoryError("a stored array has a shape that is none")
    if math.prod(shape) * dtype.itemsize != len(blob):
        raise HistoryError("a stored array has another size than its bytes")
    return numpy.frombuffer(blob, dtype=dtype).reshape(shape).copy()


def content_hash(value: Any) -> str | None:
    """Return a hash of a large table's content without writing it down, None for anything else."""
    pandas = sys.modules["pandas"]
    if type(value) is not pandas.DataFrame and type(value) is not pandas.Series:
        return None
    told = hashlib.blake2b(digest_size=16)
    columns = value.columns if type(value) is pandas.DataFrame else [value.name]
    types = value.dtypes if type(value) is pandas.DataFrame else [value.dtype]
    told.update(repr([type(value).__name__, list(columns), [str(each) for each in types]]).encode())
    try:
        told.update(pandas.util.hash_pandas_object(value, index=True).to_numpy().tobytes())
    except TypeError:  # cells that are lists, dicts, objects
        return None
    return told.hexdigest()
