"""The shape of values is types and keys that look like fields, never contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.prompts.shapes import merge, shape_of, spell_seen, spell_sized


def seen(*values):
    """Return the words for what a tool returned in several calls."""
    shape = ()
    for value in values:
        shape = merge([shape, shape_of(value)])
    return spell_seen(shape)


class Point(NamedTuple):
    """A point."""

    lat: float
    lon: float


@dataclass
class Town:
    """A town."""

    name: str
    at: Point


LINES = [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 2}]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([{"order_id": "x", "lines": LINES}, {"order_id": "y", "lines": LINES[:1]}],
         "{order_id: str, lines: [{sku, qty}]}"),
        ([{"id": 1, "note": "x"}, {"id": 2}], "{id: int, …}"),
        ([{"id": 1, "note": "x"}, {"id": None, "note": None}], "{id: int or None, note: str or None}"),
        ([{f"name{number}": 1.0 * number for number in range(40)}], "dict of 40 str to float"),
        ([{"alice": 1, "bob": 2}, {"carol": 1, "dave": 2}], "dict of 2 str to int"),
        ([{"alice": 1, "bob": 2}, {"carol": 1}], "dict of str to int"),
        ([{"AAPL": {"close": 1.0}}, {"MSFT": {"close": 2.0}}], "dict of 1 str to {close}"),
        ([{1: "a"}], "dict of 1 int to str"),
        ([[LINES]], "[[{sku: str, qty: int}]]"),
        ([[], LINES], "[{sku: str, qty: int}]"),
        ([{"userId": 1, "a": {"b": {"c": 1}}}], "{userId: int, a: {b}}"),
        ([1, None, 2.5], "int or float or None"),
        ([{}], "dict"),
        ([(1.0, 2.0), {3}], "tuple of float or set of int"),
        ([np.zeros(3), np.zeros((2, 2))], "ndarray of float64"),
        ([pd.DataFrame({"city": ["x"], "b c": [1]}), pd.DataFrame({"city": ["y"], "kind": [2]})],
         f"DataFrame (city: {pd.DataFrame({'city': ['x']}).dtypes.iloc[0]}, … 1 more)"),
        ([Town("x", Point(1, 2))], "Town(name: str, at: Point(lat: float, lon: float))"),
    ],
)  # fmt: skip
def test_what_a_tool_returned_is_told_by_keys_and_types(values, words):
    """A key only if it stood in every result; keys that look like data are counted."""
    assert seen(*values) == words


DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("QXZ", min_size=1),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("QXZ ", min_size=1), inner)
    | st.tuples(inner, inner), max_leaves=30,
)  # fmt: skip


@pytest.mark.slow
@given(st.lists(DATA, max_size=5))
def test_no_shape_shows_contents(values):
    """Whatever is nested in whatever, and merged with whatever: no text of a value, and no key that is data."""
    shape = merge(shape_of(value) for value in values)
    words = f"{spell_seen(shape)} {spell_sized(shape)}"
    assert not set(words) & set("QXZ")


@pytest.mark.slow
@given(st.lists(DATA, min_size=1, max_size=6))
def test_the_order_in_which_results_come_changes_no_key(values):
    """Neither does merging them one by one, or all together."""
    one_by_one = ()
    for value in values:
        one_by_one = merge([one_by_one, shape_of(value)])
    assert one_by_one == merge([one_by_one, one_by_one])
    assert spell_seen(one_by_one) == spell_seen(merge(map(shape_of, values)))


@pytest.mark.slow
def test_a_large_result_is_looked_at_in_part():
    """What is kept does not grow with it, and the words stay short."""
    rows = [{"id": number, "lines": [{"sku": "x"}] * 50} for number in range(100_000)]
    assert seen(rows) == "[{id: int, lines: [{sku}]}]"
    wide = {f"a{number}": {f"b{inner}": [1] * inner for inner in range(40)} for number in range(40)}
    assert len(seen(wide)) <= 1_000
