"""Arrays and tables come back equal, of their types, with their index and names; what cannot says why."""

from __future__ import annotations

import datetime as dt
import sys
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from compiler_nb.errors import HistoryError
from compiler_nb.history import NotStored
from compiler_nb.values.code import content_hash, decode, encode


def labelled(table, **attrs):
    """Return a table that says something of itself."""
    table.attrs = attrs
    return table


DAYS = pd.date_range("2026", periods=2, freq="D")
PAIRS = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None])
CELLS = [
    np.arange(3),
    pd.Timestamp("2026"),
    pd.NaT,
    pd.NA,
    None,
    float("nan"),
    True,
    "x",
    [{"a": (1,)}],
    dt.date(2026, 1, 5),
]
STORED = {
    "numbers": pd.DataFrame({"i": [1, 2], "f": [1.5, float("nan")], "b": [True, False], "c": [1j, 2]}),
    "small numbers": pd.DataFrame({"h": np.array([1], "f2"), "u": np.array([1], "u1"), "e": np.array([1], ">i4")}),
    "texts": pd.DataFrame({"s": ["x", None, "\u6771"]}),
    "texts as objects": pd.DataFrame({"s": pd.Series(["x", None], dtype=object)}),
    "texts of other storages": pd.DataFrame({
        each: pd.array(["x", None], dtype=f"string[{each}]") for each in ("python", "pyarrow")}),
    "mixed cells": pd.DataFrame({"m": pd.Series(CELLS, dtype=object)}),
    "categories": pd.DataFrame({"c": pd.Categorical(["x", None, "y"], categories=["y", "x", "z"], ordered=True)}),
    "categories of numbers": pd.Series(pd.Categorical([1, 2, 1])),
    "bins": pd.Series(pd.cut([1, 2, 3], 2)),
    "times": pd.DataFrame({
        unit: pd.to_datetime(["2026-01-05", None]).as_unit(unit) for unit in ("s", "ms", "us", "ns")}),
    "times in a zone": pd.DataFrame({"z": DAYS.tz_localize("Europe/Paris"), "u": DAYS.tz_localize("UTC")}),
    "times at an offset": pd.Series(DAYS.tz_localize(dt.timezone(dt.timedelta(hours=-3.5)))),
    "an hour that comes twice": pd.Series(pd.to_datetime(["2026-10-25 00:30", "2026-10-25 01:30"], utc=True).tz_convert(
        "Europe/Paris")),
    "spans": pd.Series(pd.to_timedelta([1, None], unit="s")),
    "periods": pd.Series(pd.period_range("2026", periods=2, freq="Q-NOV")),
    "intervals": pd.Series(pd.interval_range(pd.Timestamp("2026"), periods=2, closed="left")),
    "nullable": pd.DataFrame({
        each: pd.array([1, None], dtype=each) for each in ("Int8", "UInt64", "Float32", "boolean")}),
    "an index of times": pd.DataFrame({"a": [1, 2]}, index=DAYS.tz_localize("Europe/Paris")),
    "an index of weeks": pd.Series([1, 2], index=pd.date_range("2026", periods=2, freq="W-SUN")),
    "an index of periods": pd.Series([1, 2], index=pd.period_range("2026", periods=2, freq="M")),
    "an index of steps": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(3, 7, 2, name="n")),
    "an index of two levels": pd.DataFrame({"a": [1, 2]}, index=PAIRS),
    "columns of two levels": pd.DataFrame([[1, 2]], columns=PAIRS),
    "columns of one name": pd.DataFrame([[1, "a"]], columns=["x", "x"]),
    "columns of odd names": pd.DataFrame([[1, 2, 3]], columns=[1, ("a", 2), None]),
    "columns of Arrow": pd.DataFrame({str(each): pd.array(cells, dtype=pd.ArrowDtype(each)) for each, cells in (
        *((kind, [1, None]) for kind in (pa.int8(), pa.uint64(), pa.float32(), pa.duration("s"), pa.timestamp("ns"))),
        (pa.int64(), [2**60 + 1, None]), (pa.float64(), [0.1, None]), (pa.bool_(), [True, None]),
        (pa.string(), ["x", None]), (pa.large_string(), ["\u6771", None]), (pa.date32(), [dt.date(2026, 1, 5), None]),
        (pa.timestamp("us", "Europe/Paris"), [dt.datetime(2026, 1, 5, tzinfo=dt.UTC), None]),
        (pa.timestamp("ms", "-03:30"), [dt.datetime(2026, 1, 5, tzinfo=dt.UTC), None]))}),
    "an index of Arrow": pd.Series([1], index=pd.Index(["x"], dtype=pd.ArrowDtype(pa.string()))),
    "no rows of Arrow": pd.Series([], dtype="int64[pyarrow]"),
    "a table with attrs": labelled(pd.DataFrame({"a": [1]}), unit="m", steps=[1, (2, None)], made={1: DAYS[0]}),
    "a column with attrs": labelled(pd.Series([1]), unit="m"),
    "nothing": pd.DataFrame(), "no columns": pd.DataFrame(index=[1, 2]), "no rows": pd.DataFrame({"a": []}),
    "a named series": pd.Series([1, 2], name=("x", 1)),
    "an index": pd.Index(["a"], name=("x", 1)), "levels": PAIRS, "a range": pd.RangeIndex(5),
    "an array of pandas": pd.array([1, None], dtype="Int64"),
    "a time": pd.Timestamp("2026-01-05 10:00:00.123456789", tz="Europe/Paris"), "a span": pd.Timedelta("1s"),
    "a period": pd.Period("2026-01", "M"), "an interval": pd.Interval(0, 1), "no time": pd.NaT, "missing": pd.NA,
    "an array": np.arange(6, dtype="i2").reshape(2, 3), "an array without rows": np.zeros((0, 3)),
    "an array of texts": np.array(["a", "bc"]), "an array of times": np.array(["2026-01-05"], "M8[D]"),
    "an array without axes": np.array(1.5), "an array of objects": np.array([[1, "a"], [None, [1]]], dtype=object),
    "a number": np.float32(0.1),
}  # fmt: skip


@pytest.mark.parametrize("name", STORED)
def test_what_comes_back_is_equal(name):
    """And has the same hash."""
    value = STORED[name]
    coded = encode(value)
    assert coded.stored, coded.text
    back = decode(coded.text, blob=coded.blobs.__getitem__)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(back, value)
    elif isinstance(value, pd.Series):
        pd.testing.assert_series_equal(back, value)
    elif isinstance(value, pd.Index):
        pd.testing.assert_index_equal(back, value, exact=True)
    else:
        assert (type(back), repr(back)) == (type(value), repr(value))
    assert getattr(back, "attrs", None) == getattr(value, "attrs", None)
    assert content_hash(back) == content_hash(value) is not None


class Own(np.float64):
    """A number of a class of the user's."""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (pd.Series([1], dtype="Sparse[int]"), "pandas's SparseArray cannot be stored"),
        (pd.Series([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))), "Arrow's type list<"),
        (labelled(pd.DataFrame({"a": [1]}), made_by=object()), "its attrs cannot be stored: it is not plain data"),
        (labelled(pd.Series([1]), made_by=object()), "its attrs cannot be stored: it is not plain data"),
        (pd.DataFrame({"a": [object()]}), "not plain data"),
        (np.array([(1, 2.0)], dtype="i4,f8"), "is not plain data"),
        (Own(1), "not plain data"),
        (pd.Series(pd.to_datetime(["2026"]).tz_localize("dateutil/Europe/Paris")), "its time zone is a"),
        (np.zeros(200_000), "more than 1,000,000 bytes"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else type(value).__name__,
)
def test_what_has_no_form_says_why(value, reason):
    """Never another value in its place."""
    back = decode(encode(value, largest=1_000_000).text)
    assert isinstance(back, NotStored)
    assert reason in back.reason


@pytest.mark.parametrize("name", ["frame", "series"])
def test_a_table_of_an_earlier_version_is_not_stored_anymore(name):
    """The rest of its run is read all the same."""
    (one, back) = decode(f'[1,{{"$":"{name}","blob":0,"hash":"x"}}]')
    assert one == 1
    assert "Parquet" in back.reason


def test_a_zone_of_the_same_name_is_the_zone():
    """Whatever library it is of."""
    value = pd.Series(pd.to_datetime(["2026-01-05"]).tz_localize(ZoneInfo("UTC")))
    coded = encode(value)
    pd.testing.assert_series_equal(decode(coded.text, blob=coded.blobs.__getitem__), value)


def test_a_table_that_a_key_is_in_is_not_stored():
    """In texts, mixed cells or bytes; masked it would be another table."""
    tables = [pd.DataFrame({"a": value}) for value in (["my-key"], [1, "my-key"], [b"my-key"])]
    arrow = pd.Series(["my-key"], dtype=pd.ArrowDtype(pa.string()))
    for table in (*tables, arrow, labelled(pd.DataFrame(), by="my-key"), labelled(pd.Series([1]), by=["my-key"])):
        coded = encode(table, leaks=lambda data: b"my-key" in data)
        assert "it holds a key" in decode(coded.text).reason


@pytest.mark.parametrize(
    "kind", ["list<item: int64>", "os.system", "timestamp[us, tz=/etc/passwd]", "int32", "date32[day]"]
)
def test_a_forged_type_of_arrow_is_an_error(kind):
    """Only the types that are written are read, and only of numbers of theirs."""
    coded = encode(pd.array([1, 2], dtype="int64[pyarrow]"))
    with pytest.raises(HistoryError, match="stored column is"):
        decode(coded.text.replace("int64", kind), blob=coded.blobs.__getitem__)


def test_a_forged_time_of_arrow_that_could_not_be_shown_is_an_error():
    """As with pandas' own times."""
    coded = encode(pd.array([2**62], dtype="int64[pyarrow]"))
    with pytest.raises(HistoryError, match="outside the years"):
        decode(coded.text.replace("int64", "timestamp[s]"), blob=coded.blobs.__getitem__)


def test_a_column_of_arrow_says_what_reading_it_needs(monkeypatch):
    """Without pyarrow it cannot be read."""
    coded = encode(pd.array([1], dtype="int64[pyarrow]"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(HistoryError, match="needs pyarrow, which is not installed"):
        decode(coded.text, blob=coded.blobs.__getitem__)
