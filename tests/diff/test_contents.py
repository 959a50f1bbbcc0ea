from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from compiler_nb.diff.contents import NO, Comparer
from compiler_nb.outcome import Cancelled, Failure, NotStored, Skipped


class Evil:
    """A value whose every method runs what it should not."""

    def __eq__(self, other):
        raise AssertionError("its code was run")

    def __hash__(self):
        raise AssertionError("its code was run")

    __repr__ = __str__ = __bool__ = __hash__  # type: ignore[assignment]


def compared(before, after):
    """Compare two values."""
    return Comparer().compare(before, after)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (8, 9, "8 → 9"),
        ("NY", "New York", '"NY" → "New York"'),
        ("x" * 90 + "1", "x" * 90 + "2", f'…{"x" * 12}1" → …{"x" * 12}2"'),
        ({"max": 8, "city": "NY"}, {"max": 9, "city": "NY"}, '["max"]: 8 → 9'),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, '["a"]["b"][1]: 2 → 3'),
        ({"a": 1}, {"b": 1}, '["a"]: 1 → (none); ["b"]: (none) → 1'),
        ([1, 2], [1, 2, 3], "2 items → 3 items"),
        ({n: n for n in range(9)}, {n: -n for n in range(9)}, "[1]: 1 → -1; [2]: 2 → -2; [3]: 3 → -3; [4]: 4 → -4; …"),
        (Failure("raised", "LookupError: x"), 3, "raised: LookupError: x → 3"),
        (Skipped("a", "no"), Skipped("b", "no"), "because a failed → because b failed"),
    ],
)
def test_it_says_where_values_differ(before, after, words):
    """From what to what; in containers the places that differ."""
    found = compared(before, after)
    assert (found.kind, found.words) == ("changed", words)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, 1.0),
        (float("nan"), float("nan")),
        ({"a": [1, (2, 3)]}, {"a": [1, (2, 3)]}),
        (Failure("raised", "x"), Failure("raised", "x")),
        (Cancelled("stopped"), Cancelled("stopped")),
        (np.arange(5), np.arange(5)),
        (pd.DataFrame({"a": [1.5, None]}), pd.DataFrame({"a": [1.5, None]})),
    ],
)
def test_equal_contents_are_the_same(before, after):
    """Nothing is told of them."""
    assert compared(before, after)[:1] == ("same",)
    assert compared(before, after).words == ""


def test_tables_differ_in_size_or_in_columns():
    """Not in cells one by one."""
    frame = pd.DataFrame({"day": ["a", "b"], "close": [1.0, 2.0]})
    assert compared(frame, frame.assign(close=[1.0, 3.0])).words == 'column "close" differs'
    assert compared(frame, frame.iloc[:1]).words == "2 rows, 2 columns → 1 row, 2 columns"
    assert compared({"t": frame}, {"t": frame.rename(columns={"day": "at"})}).words == '["t"]: other names of columns'


def test_no_code_of_a_value_runs_and_what_has_no_content_is_said_so():
    """Two objects without fields cannot be compared, whatever their own methods say."""
    found = compared(Evil(), Evil())
    assert (found.kind, found.words) == ("unknown", "cannot be compared: Evil has no content to compare")
    assert compared({Evil.__name__: Evil()}, {Evil.__name__: 1}).kind == "changed"
    evil = Evil()
    assert compared(evil, evil).kind == "same"


def test_what_was_not_stored_cannot_be_compared():
    """A run from a history may lack values."""
    found = compared(NotStored("Session", "it is too large"), 3)
    assert found.words == "cannot be compared: a Session was not stored (it is too large)"


def test_one_value_alone_is_added_or_dropped():
    """As of a task that only one plan has."""
    assert compared(NO, 3)[:3] == ("added", "", "3")
    assert compared(3, NO)[:3] == ("dropped", "3", "")
    assert compared(3, None).words == "3 → None"


@pytest.mark.slow
def test_all_values_of_a_run_are_compared_within_one_bound():
    """What comes after the bound is not looked at."""
    comparer, began = Comparer(), time.process_time()
    found = [comparer.compare(list(range(50_000)), list(range(1, 50_001))) for _ in range(100)]
    assert time.process_time() - began < 8
    assert found[0].kind == "changed"
    assert found[-1].words == "cannot be compared: list is too large to compare"
