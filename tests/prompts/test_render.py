"""Any value becomes a text: bounded, the same each time, whatever the value does."""

from __future__ import annotations

import datetime as dt
import enum
import json
import time
from collections import deque, namedtuple
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.outcome import Failure, Skipped
from compiler_nb.prompts.render import measure, render, render_value
from tests.support.hostile import OUTPUTS, EvilText

NUMBERS = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
Point = namedtuple("Point", "x y")  # noqa: PYI024 - a tool may well return one of these


class Color(enum.Enum):
    RED = "red"


@dataclass
class Record:
    name: str
    key: str = field(default="secret", repr=False)


@given(PLAIN)
def test_plain_data_is_json(value):
    """What JSON can say is JSON, and comes back equal."""
    text = render_value(value)
    assert text == value if isinstance(value, str) else json.loads(text) == value


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("limit", [0, 1, 10, 1_000])
def test_nothing_breaks_it(name, limit):
    """Hostile values are rendered within the limit."""
    text, whole, _ = render(OUTPUTS[name](), limit)
    assert len(text) <= limit
    assert whole or limit < 1_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.date(2026, 1, 5), '"2026-01-05"'),
        (Decimal("1.10"), '"1.10"'),
        (Color.RED, '"red"'),
        (Point(1, "a"), '{"x": 1, "y": "a"}'),
        (Record("a"), '{"name": "a"}'),
        (deque([1]), "[1]"),
        ({3, 1, 2}, "[1, 2, 3]"),
        ({1: "a", "1": "b"}, '{1: "a", "1": "b"}'),
        (b"ab", "<bytes of 2: b'ab'>"),
        ([10**5_000], "[<an integer of thousands of digits>]"),
        (object(), "<object>"),
        (ValueError("no"), "ValueError: no"),
        ([1, Failure("raised", "404")], "[1, <failure: 404>]"),
        (EvilText("good"), "good"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_other_values_are_told_plainly(value, text):
    """Dates, records, sets, bytes and foreign objects have one clear form without addresses."""
    assert render_value(value) == text


def test_what_is_shared_twice_is_no_cycle():
    """The same list at two places is written twice; only what holds itself is not."""
    inner = [1]
    assert render_value([inner, inner]) == "[[1], [1]]"
    inner.append(inner)
    assert render_value(inner) == "[1, <itself again>]"


def test_a_cut_is_told():
    """The last line says how much is shown of how much."""
    assert render_value("x" * 50, 10) == "x" * 10 + "\n… (the first 10 of 50 characters)"
    assert render_value(list(range(50)), 10) == "[0, 1, 2, \n… (the first 10 characters)"


def test_a_huge_value_costs_no_more_than_what_is_shown():
    """A hundred million characters, or items without end, are not written first and cut then."""

    class Endless(list):
        def __iter__(self):
            while True:
                yield 1

    began = time.process_time()
    assert not render(["x" * 100_000_000], 1_000).whole
    assert not render(Endless(), 1_000).whole
    assert not render({"x" * 1_000_000: 1}, 1_000).whole
    assert time.process_time() - began < 1


def test_models_of_pydantic_are_records():
    """Their fields are shown, those kept out of their repr are not."""
    pydantic = pytest.importorskip("pydantic")

    class Stock(pydantic.BaseModel):
        name: str
        key: str = pydantic.Field(default="secret", repr=False)

    assert render_value(Stock(name="A")) == '{"name": "A"}'


def test_a_short_table_is_whole():
    """All rows, the types, and the index if it says something."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"n": [1, 2], "t": ["a,b", None]})
    lines = render_value(table).splitlines()
    assert lines[:3] == ["DataFrame, 2 rows, 2 columns:", f"n (int64),t ({table.t.dtype})", '1,"a,b"']
    assert len(lines) == 4
    counts = pandas.Series([3, 4], index=["x", "y"], name="n")
    assert render_value(counts) == "Series, 2 rows:\nindex,n (int64)\nx,3\ny,4"
    assert measure(table) == "DataFrame of 2 by 2"


def test_a_long_table_is_its_head_and_says_so():
    """Of many rows and columns the first are shown; of long cells the beginning, with their length."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({f"c{number}": ["x" * 900] * 150 for number in range(60)})
    first, *rest = render_value(table).splitlines()
    assert first == "DataFrame, 1 of 150 rows, 50 of 60 columns:"
    assert "… (900 characters)" in rest[1]
    assert len(render_value(table)) <= 20_000
    table = pandas.DataFrame({"n": range(12_000)})
    assert render_value(table).splitlines()[0] == "DataFrame, 20 of 12,000 rows, 1 columns:"
    assert len(render_value(table).splitlines()) == 22


def test_odd_tables_are_tables():
    """No rows, no columns, names that repeat, indexes of several levels."""
    pandas = pytest.importorskip("pandas")
    assert render_value(pandas.DataFrame()) == "DataFrame, 0 rows, 0 columns:\n"
    twice = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    assert render_value(twice).splitlines()[1:] == ["a (int64),a (int64)", "1,2"]
    levels = twice.set_index(pandas.MultiIndex.from_tuples([("x", 1)]))
    assert render_value(levels).splitlines()[2] == '"[""x"", 1]",1,2'


def test_arrays_and_numbers_of_numpy_are_plain():
    """A small array is a list, a large one its first rows, which is said."""
    numpy = pytest.importorskip("numpy")
    small = {"a": numpy.arange(3), "n": numpy.float64(2.5), "i": numpy.int64(3)}
    assert render_value(small) == '{"a": [0, 1, 2], "n": 2.5, "i": 3}'
    assert render_value(numpy.zeros((5_000, 2))).startswith("ndarray of 5,000 by 2, 20 of 5,000 rows: [[0.0, 0.0],")
    assert "20 of 15,000,000 elements" in render_value(numpy.zeros((5_000, 3_000)))


def test_an_item_that_was_skipped_says_so_once():
    """Its text begins with the state that the mark names."""
    assert render_value([Skipped("ps[b]", "no price")], 100) == "[<skipped: ps[b] failed, no price>]"
