from __future__ import annotations

import asyncio
import datetime as dt
import enum
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import PurePosixPath
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.outcome import Cancelled, Failure, Skipped
from compiler_nb.text import TIMES, cut, describe_outcome, quote, shorten_value, visible
from tests.support.pictures import HOSTILE


class Point(NamedTuple):
    x: int
    y: int


class Evil:
    calls = 0

    def __repr__(self):
        Evil.calls += 1
        raise RuntimeError("no")

    __str__ = __len__ = __iter__ = __hash__ = __bool__ = __format__ = __repr__

    def __getattr__(self, name):
        Evil.calls += 1
        raise SystemError(name)


class Slow:
    def __repr__(self):
        time.sleep(1)


class Colour(enum.Enum):
    RED = 1


@dataclass
class Weather:
    city: str
    key: str = field(default="sk-secret", repr=False)
    days: list = field(default_factory=list)


class Text(str):
    __slots__ = ()

    def __repr__(self):
        raise RuntimeError("no")


def deep():
    """Return a list 100,000 deep."""
    value = []
    for _ in range(100_000):
        value = [value]
    return value


def cyclic():
    """Return a value that holds itself."""
    value = {}
    value["self"] = [value]
    return value


PLAIN = [
    (None, "None"), (True, "True"), (3, "3"), (-2.5, "-2.5"), (float("nan"), "nan"), (1 + 2j, "(1+2j)"),
    ("New York", '"New York"'), ("it's", '''"it's"'''), ('say "x"', """'say "x"'"""), (b"ab", "b'ab'"),
    ([], "[]"), ([1, "a"], '[1, "a"]'), ((1,), "(1,)"), ({}, "{}"), ({"max": 31.2}, '{"max": 31.2}'),
    (set(), "set()"), ({2, 1}, "{1, 2}"), (deque([1]), "[1]"), (range(3), "range(0, 3)"),
    (list(range(9)), "[0, 1, 2, 3, 4, 5, … 3 more]"), (set(range(1_000)), "{1,000 items}"),
    (dt.date(2026, 1, 5), "2026-01-05"), (Decimal("1.50"), "1.50"), (PurePosixPath("a/b"), "a/b"),
    (Colour.RED, "Colour.RED"), (Point(1, 2), "Point(x=1, y=2)"), (Weather("LA"), 'Weather(city="LA", days=[])'),
    (ValueError("x"), 'ValueError("x")'), (Evil(), "<Evil>"), (Slow(), "<Slow>"), (Text("x"), "<Text>"),
    (Weather, "<class Weather>"), (len, "<builtin_function_or_method>"), (iter([]), "<list_iterator>"),
    (10**100_000, "(an integer of about 100,001 digits)"), (-(10**4_500), "-(an integer of about 4,501 digits)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), PLAIN, ids=[text[:30] for _, text in PLAIN])
def test_values_are_shown_as_one_would_write_them(value, text):
    """Plain data and known records in full, foreign objects by their type, and their code is never run."""
    assert shorten_value(value) == text
    assert Evil.calls == 0


@pytest.mark.parametrize(
    "value",
    [
        "x" * 100_000_000, b"x" * 50_000_000, [0] * 10_000_000, {n: n for n in range(100_000)}, deep(), cyclic(),
        [["x" * 1_000] * 50] * 50, [Evil()] * 9, {"k": Evil()}, Weather("x" * 1_000_000, days=[deep()]), Evil,
    ],
    ids=["text", "bytes", "list", "dict", "deep", "cyclic", "nested", "evils", "evil", "record", "class"],
)  # fmt: skip
def test_a_huge_or_evil_value_takes_no_time_and_one_line(value):
    """The work is bounded whatever the size; the best of three tells."""
    seconds = []
    for _ in range(3):
        began = time.thread_time()
        text = shorten_value(value)
        seconds.append(time.thread_time() - began)
    assert min(seconds) < 0.02
    assert 0 < len(text) <= 120
    assert text.isprintable()


def test_a_coroutine_is_neither_awaited_nor_lost():
    """It is shown by its type."""
    coroutine = asyncio.sleep(0)
    assert shorten_value(coroutine) == "<coroutine>"
    coroutine.close()


def test_tables_and_arrays_are_shown_by_shape():
    """A DataFrame tells rows, columns and the first names."""
    pandas = pytest.importorskip("pandas")
    numpy = pytest.importorskip("numpy")
    frame = pandas.DataFrame({"date": range(1_200), "region": 0, "a\u202eb": 0, 4: 0, 5: 0})
    assert shorten_value(frame) == f"DataFrame 1,200 {TIMES} 5 (date, region, a\\u202eb, 4, …)"
    assert shorten_value(frame["date"]) == 'Series 1,200 ("date", int64)'
    assert shorten_value(numpy.zeros((3, 4))) == f"ndarray 3 {TIMES} 4 float64"
    assert shorten_value(numpy.float32(1.5)) == "1.5"
    assert shorten_value([pandas.Timestamp("2026-01-05")]) == "[2026-01-05T00:00:00]"


def test_models_of_pydantic_are_shown_by_their_fields():
    """Their own repr is not called either."""
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("City", name=(str, ...), key=(pydantic.SecretStr, ...))
    assert shorten_value(model(name="LA", key="sk-secret")) == 'City(name="LA", key=<SecretStr>)'


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_become_one_visible_line(text):
    """Control, bidirectional and invisible characters are written as escapes."""
    for line in (shorten_value(text), shorten_value([text]), shorten_value({text: text}), cut(text, 80)):
        assert line.isprintable()
        assert len(line) <= 120


def test_invisible_characters_that_python_calls_printable_are_shown_too():
    """Fillers and variation selectors can carry a message that nobody sees."""
    assert visible("a\u3164b\ufe00c\U000e0101d") == r"a\u3164b\ufe00c\U000e0101d"
    assert visible("日本\u3000é 👍") == "日本\u3000é 👍"


@given(st.text(), st.integers(1, 50))
def test_a_cut_text_keeps_its_bound_and_its_beginning(text, limit):
    """The last character says that there is more."""
    line = cut(text, limit)
    assert len(line) <= limit
    assert line == visible(text) or line.endswith("…")


@pytest.mark.slow
@given(st.recursive(st.none() | st.integers() | st.text() | st.binary(), lambda x: st.lists(x) | st.tuples(x, x)))
def test_any_plain_value_gives_a_bounded_printable_line(value):
    """No plain value breaks it."""
    text = shorten_value(value, 60)
    assert len(text) <= 60
    assert all(char.isprintable() or char in "\u00a0\u3000" for char in text)


def test_quotes_tell_the_length_of_what_they_cut():
    """A long string shows its beginning and its size."""
    assert quote("x" * 1_000, 3) == '"xxx"… (1,000 characters)'


def test_outcomes_say_what_went_wrong():
    """A failure by its kind and message, a skipped task by its cause."""
    assert describe_outcome(Failure("timeout", "no answer in 3 s")) == "timeout: no answer in 3 s"
    assert describe_outcome(Skipped("ny", "404")) == "because ny failed"
    assert describe_outcome(Cancelled()) == "the run was cancelled"
    assert describe_outcome([1]) == "[1]"
    assert shorten_value([Failure("raised", "a\nb")]) == r"[raised: a\nb]"


def test_libraries_are_not_imported_to_look_at_a_value():
    """Only what is loaded already can have made the value."""
    assert "torch" not in sys.modules
    shorten_value(object())
    assert "torch" not in sys.modules
