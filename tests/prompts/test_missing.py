"""A planner is told how many values of a column are missing and, if the user allows it, the range of what is there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.planner.requests import describe_schema
from compiler_nb.prompts import missing
from compiler_nb.prompts.missing import look_at, tables_in
from compiler_nb.prompts.shapes import Looks, merge, shape_of, spell_sized
from tests.support.desk import Desk, run, scripted, texts

DAYS = pd.to_datetime(["2026-01-02", None, "2026-03-04"])
ORDERS = pd.DataFrame({
    "id": [1, 2, 3], "price": [1.5, None, 9.25], "day": DAYS, "zoned": DAYS.tz_localize("Asia/Tokyo"),
    "town": pd.Series(["a", None, None], dtype="str"), "kind": pd.Categorical(["x", None, "x"]),
    "count": pd.array([1, None, 3], dtype="Int64"), "ok": [True, False, True], "none": [None] * 3,
})  # fmt: skip


def told(value, *, ranges=False):
    """Return what a planner is told of a value."""
    return describe_schema(value, look_at(tables_in([value]), ranges=ranges))


def test_the_schema_says_how_many_values_are_missing():
    """Of columns of all kinds; one that lacks nothing is described as before."""
    assert told(ORDERS) == (
        "DataFrame of 3 rows (id: int64, price: float64 with 1 missing, day: datetime64[us] with 1 missing, "
        "zoned: datetime64[us, Asia/Tokyo] with 1 missing, town: str with 2 missing, kind: category with 1 missing, "
        "count: Int64 with 1 missing, ok: bool, none: object with all missing)"
    )


def test_a_preview_says_ranges_of_numbers_and_times():
    """A column of midnights shows days; texts, categories and truth values have no range."""
    assert told(ORDERS, ranges=True) == (
        "DataFrame of 3 rows (id: int64 from 1 to 3, price: float64 from 1.5 to 9.25 with 1 missing, "
        "day: datetime64[us] from 2026-01-02 to 2026-03-04 with 1 missing, "
        "zoned: datetime64[us, Asia/Tokyo] from 2026-01-02 00:00:00+09:00 to 2026-03-04 00:00:00+09:00 with 1 missing, "
        "town: str with 2 missing, kind: category with 1 missing, count: Int64 from 1 to 3 with 1 missing, ok: bool, "
        "none: object with all missing)"
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (ORDERS["price"], "Series of shape (3,), float64 from 1.5 to 9.25 with 1 missing"),
        (np.array([[1.0, np.nan], [-2, 3]]), "ndarray of shape (2, 2), float64 from -2 to 3 with 1 missing"),
        (np.arange(12.0).reshape(3, 4)[:, 1], "ndarray of shape (3,), float64 from 1 to 9"),
        (np.array(["2026-01-01", "NaT"], dtype="M8[s]"), "ndarray of shape (2,), datetime64[s] with 1 missing"),
        (np.array([None, 1], dtype=object), "ndarray of shape (2,), object"),
        ({"orders": ORDERS[["price"]], "n": 3},
         "dict (orders: DataFrame of 3 rows (price: float64 from 1.5 to 9.25 with 1 missing), n: int)"),
        (ORDERS.iloc[:0][["id", "price"]], "DataFrame of 0 rows (id: int64, price: float64)"),
        (ORDERS[["price", "price"]],
         ("DataFrame of 3 rows (price: float64 from 1.5 to 9.25 with 1 missing, "
          "price: float64 from 1.5 to 9.25 with 1 missing)")),
        (pd.DataFrame([[1, None]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
         "DataFrame of 1 rows (('a', 1): int64 from 1 to 1, ('a', 2): object with all missing)"),
        (pd.DataFrame({DAYS[0]: [None], "x": [np.inf]}), "DataFrame of 1 rows (x: float64 from inf to inf, … 1 more)"),
        (ORDERS[["price", "town"]].convert_dtypes(dtype_backend="pyarrow"),
         ("DataFrame of 3 rows (price: double[pyarrow] from 1.5 to 9.25 with 1 missing, "
          "town: string[pyarrow] with 2 missing)")),
        (pd.Series(pd.to_timedelta([1, 36], unit="h")),
         "Series of shape (2,), timedelta64[us] from 0 days 01:00:00 to 1 days 12:00:00"),
        ([ORDERS[["price"]]], "list of 1 DataFrame of 3 rows (price: float64)"),
    ],
)  # fmt: skip
def test_columns_arrays_and_tables_of_every_form_are_looked_at(value, words):
    """Duplicate and nested labels, empty tables, Arrow's types, arrays that lie apart in memory; lists are not."""
    assert told(value, ranges=True) == words


def test_what_is_missing_in_one_table_is_not_said_of_several():
    """Shapes that are merged, as of what a tool returned in several calls, say nothing of it."""
    tables = [ORDERS[["price"]], ORDERS[["price"]].iloc[:2]]
    notes = look_at(tables)
    merged = merge(shape_of(table, Looks(notes=notes)) for table in tables)
    assert spell_sized(merged) == "DataFrame of rows (price: float64)"


def test_long_columns_are_looked_at_in_pieces(monkeypatch):
    """So that no step holds the interpreter for long; what comes of it is the same."""
    whole = told(ORDERS, ranges=True)
    monkeypatch.setattr(missing, "PIECE", 20)  # one cell at a time of a column of objects
    monkeypatch.setattr(missing, "OBJECT", 20)
    assert told(ORDERS, ranges=True) == whole
    monkeypatch.setattr(missing, "PIECE", 1)
    monkeypatch.setattr(missing, "OBJECT", 1)
    assert told(ORDERS, ranges=True) == whole


def test_what_is_too_much_to_be_counted_says_so(monkeypatch):
    """By sizes, never by time: the same table always gives the same words."""
    monkeypatch.setattr(missing, "MOST_CELLS", 3)
    assert told(ORDERS[["price", "day", "id"]]) == (
        "DataFrame of 3 rows (price: float64 with 1 missing, day: datetime64[us], id: int64, "
        "missing values of 2 columns not counted)"
    )
    monkeypatch.setattr(missing, "MOST_CELLS", 2)
    assert told(ORDERS["price"]) == "Series of shape (3,), float64 with missing values not counted"


class Watched(pd.DataFrame):
    """A table of a user's own class, whose columns cannot be looked at."""

    @property
    def iloc(self):
        """Raise."""
        raise ValueError("SECRET")


def test_a_table_that_cannot_be_looked_at_is_described_without():
    """Whatever its class does."""
    assert told(Watched({"a": [None]})) == "Watched of 1 rows (a: object)"


# -------------------------------------------------------------------- in a run


def test_an_analyst_asks_about_a_table_and_the_planner_knows_what_is_missing():
    """In the prompt, not before the first picture; its contents are in neither."""
    model = scripted("a = get(orders)\nanswer(len(a))\n")
    found = run(Compiler(model, Desk().tools), "How many @orders?", inputs={"orders": ORDERS[["id", "price"]]})
    assert found.answer == 3
    (text,) = texts(model, "planner")
    assert "orders: DataFrame of 3 rows (id: int64, price: float64 with 1 missing)" in text
    assert "9.25" not in text
    assert found.events[0].inputs == {"orders": "DataFrame of 3 rows (id: int64, price: float64)"}


def test_under_preview_inputs_and_results_have_ranges():
    """In the first request and in one for another plan."""
    model = scripted("a = get(orders)\njoin(a)\n", "answer(1)\n", joiner=["Replan: more"])
    run(Compiler(model, Desk().tools, preview=True), inputs={"orders": ORDERS[["price"]]})
    said = "DataFrame of 3 rows (price: float64 from 1.5 to 9.25 with 1 missing)"
    assert f"orders: {said}" in texts(model, "planner")[0]
    assert f"a: {said}" in texts(model, "replan")[0]
