"""Values as JSON that says what they are: what comes back is equal, or says that it was not stored, and why."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from compiler_nb.errors import HistoryError
from compiler_nb.history import NotStored
from compiler_nb.outcome import Answer, Cancelled, Failure, Skipped
from compiler_nb.plan.expression import Value
from compiler_nb.plan.plan import Plan
from compiler_nb.values.code import content_hash, decode, encode, encode_fields
from compiler_nb.values.coded import Known, Shared
from compiler_nb.values.typed import _adapter_of, prepare
from tests.support.corpus import INPUTS, PYTHON, TOOLS
from tests.support.hostile import VALUES

COVERS = ("coded.py", "decoder.py", "encoder.py", "forms.py", "records.py", "table.py", "typed.py")


class Point(BaseModel):
    """A pydantic model."""

    x: int
    when: dt.date


@dataclass
class Pair:
    """A dataclass."""

    left: str
    points: list[Point]


@dataclass
class Ready:
    """A dataclass that no other test uses."""

    left: str


class Tricky(str):
    """A subclass."""

    __slots__ = ()


def there_and_back(value, hint=None):
    """Return a value after it was coded."""
    coded = encode(value, hint=hint)
    json.loads(coded.text)
    return decode(coded.text, blob=coded.blobs.__getitem__, hint=lambda name: hint)


zoned = st.datetimes(
    timezones=st.just(dt.UTC) | st.just(ZoneInfo("Europe/Paris")) | st.just(dt.timezone(dt.timedelta(hours=-3.5)))
)
keys = st.text() | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), st.text()) | st.dates()
plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()) | st.binary()
    | st.dates() | st.datetimes() | zoned | st.times() | st.timedeltas() | st.decimals(allow_nan=False) | st.uuids()
    | st.complex_numbers(allow_nan=False) | st.fractions() | st.frozensets(st.integers())
    | st.builds(range, st.integers())
)  # fmt: skip
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(keys, inner) | st.dictionaries(st.text("$v"), inner)
    ),
)


@pytest.mark.slow
@given(values)
def test_plain_data_comes_back_equal_and_of_its_type(value):
    """Nested as it may be, keys of any kind, texts with half a surrogate pair."""
    back = there_and_back(value)
    assert back == value
    assert content_hash(back) == content_hash(value) is not None


@pytest.mark.parametrize(
    "value",
    [
        math.nan, -0.0, 10**400, -(2**63), {"$": "task", "v": "x"}, {None}, bytearray(b"x"), "\ud800",
        Decimal("NaN"), Fraction(1, 3), UUID(int=5),
        dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
        Failure("items", "one failed", None, 1, {"a": 1, "b": Skipped("x", "y")}), Cancelled(), Answer([1]),
        np.float64(0.1), np.datetime64("2026-01-05"),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_odd_values_come_back(value):
    """Nan as nan, a dict that looks like ours as a dict, outcomes as outcomes."""
    assert repr(there_and_back(value)) == repr(value)


def test_arrays_and_tables_come_back():
    """With their types, index, names and missing values."""
    array = np.arange(6, dtype="i2").reshape(2, 3)
    back = there_and_back({"a": array})["a"]
    assert (back.dtype, back.tolist()) == (array.dtype, array.tolist())
    table = pd.DataFrame(
        {"n": [1, 2], "s": ["a", None], "t": pd.to_datetime(["2026-01-05", None]), "c": pd.Categorical(["x", "y"])},
        index=pd.Index(["p", "q"], name="key"),
    )
    pd.testing.assert_frame_equal(there_and_back(table), table)
    pd.testing.assert_frame_equal(there_and_back([table])[0], table)
    for name in ("s", None):
        pd.testing.assert_series_equal(there_and_back(table["s"].rename(name)), table["s"].rename(name))


@pytest.mark.parametrize(
    "value", [Point(x=1, when=dt.date(2026, 1, 5)), Pair("l", [Point(x=2, when=dt.date(2026, 1, 6))])]
)
def test_a_class_comes_back_by_its_tools_return_type_only(value):
    """No name in a file leads to a class."""
    assert there_and_back(value, type(value)) == value
    coded = encode(value, hint=type(value))
    told = decode(coded.text)
    assert isinstance(told, NotStored)
    assert told.type == type(value).__name__
    changed = decode(coded.text, hint=lambda name: dict[str, int])
    assert repr(changed) == f"<not stored: {told.type}, the tool's return type has changed>"


def test_only_types_of_the_users_own_are_made_ready():
    """Where they stand within others, too; one that cannot be is let be."""
    before = _adapter_of.cache_info().currsize
    prepare([None, int, list[str], dict[str, float] | None, dt.date, pd.DataFrame, np.ndarray, "x"])
    assert _adapter_of.cache_info().currsize == before
    prepare([Ready, list[Ready], Tricky])
    assert _adapter_of.cache_info().currsize >= before + 2


@pytest.mark.parametrize(
    ("value", "hint", "reason"),
    [
        (object(), None, "not plain data"), (Tricky("x"), None, "not plain data"),
        ([Point, {"a": Point}], None, "not plain data"),
        (np.array([object()]), None, "not plain data"), (pd.DataFrame({"a": [[1], object()]}), None, "not plain data"),
        (pd.Series([1], dtype="Sparse[int]"), None, "pandas's SparseArray cannot be stored"),
        (Point(x=1, when=dt.date(2026, 1, 5)), dict, "does not come back equal"),
        ("x" * 2_000, None, "more than 1,000"),
        ([1] * 1_000, None, "more than 1,000"), (np.zeros(10_000), None, "more than 1,000"),
    ],
)  # fmt: skip
def test_what_has_no_form_says_why(value, hint, reason):
    """Never another one in disguise."""
    coded = encode(value, hint=hint, largest=1_000)
    back = decode(coded.text)
    assert (type(back), coded.stored) == (NotStored, False)
    assert back.type == type(value).__name__
    assert reason in back.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", VALUES)
def test_hostile_values_are_stored_or_say_why_not(name):
    """Whatever a tool returns: no exception, and what comes back is the same or NotStored."""
    value = VALUES[name]()
    back = there_and_back(value)
    if type(back) is not NotStored:
        assert type(back) is type(value)
    if name == "a coroutine":
        value.close()


def test_plans_come_back():
    """Every good plan of the corpus: tasks, expressions, last line, fingerprints."""
    for case in PYTHON:
        if case.expected.kinds or not isinstance(case.text, str):
            continue
        plan = Plan.parse(case.text, dialect="python", tools=TOOLS, inputs=INPUTS)
        coded = encode_fields([plan.tasks, plan.final])
        tasks, final = decode(coded.text)
        assert (tasks, final) == (plan.tasks, plan.final)
        assert [task.fingerprint for task in tasks] == [task.fingerprint for task in plan.tasks]


def test_a_record_is_there_although_its_value_is_not():
    """An answer, an item's value, what there is of a fan-out."""
    partial = {"a": object()}
    (answer, value, failure) = decode(
        encode_fields([Answer(object()), Value(object()), Failure("items", "x", partial=partial)]).text
    )
    assert {type(answer.value), type(value.value), type(failure.partial)} == {NotStored}
    assert failure.message == "x"


def test_an_object_that_is_stored_already_is_named():
    """It comes back as the same object; what only looks like it does not."""
    table = {"a": [1, 2, 3]}
    shared = Shared({id(table): Known(table, "t")}, {"t": encode(table).digest})
    coded = encode([table, {"a": [1, 2, 3]}], shared=shared)
    back = decode(coded.text, shared={"t": table})
    assert back[0] is table
    assert back[1] == table


@pytest.mark.parametrize(
    "text",
    ["", "[", "[" * 100_000, '{"$":"tuple"}', '{"$":"Task","v":[1]}', '{"$":"Ref","v":["a","b"]}',
     '{"$":"task","v":"x"}',
     '{"$":"table","blob":0,"hash":""}', '{"$":"int","v":"9"}', '{"$":["x"]}',
     '{"$":"array","dtype":"|O8","shape":[1]}',
     '{"$":"datetime","v":["x",null,0]}', '{"$":"date","v":5}', '{"$":"absent","type":1,"reason":""}'],
)  # fmt: skip
def test_a_damaged_text_is_a_history_error(text):
    """One kind of error, whatever is wrong."""
    with pytest.raises(HistoryError):
        decode(text)
