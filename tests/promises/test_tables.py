"""The promise about tables: an expression gives what pandas gives, but for the differences that are published."""

from __future__ import annotations

import warnings
from random import Random
from typing import Any

import pytest

from compiler_nb.errors import ExpressionError
from tests.support.expressions import value_of
from tests.support.scale import seed, times

pytest.importorskip("pandas")
from tests.support import published, tables

pytestmark = pytest.mark.promise
EACH = 5
"""Expressions that are tried over the same tables: to make and compare these takes longer than an expression."""


def outcome_of(function: Any, text: str, values: dict[str, Any]) -> Any:
    """Return a value, or the exception."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas: both ways give the same
            return function(text, **values)
    except Exception as error:  # noqa: BLE001 - whatever pandas raises
        return error


def test_an_expression_over_tables_gives_what_pandas_gives_after_the_published_table(figure):
    """Random expressions over random tables: equal in value and type, or both fail; and no table is changed."""
    random, count, worked = Random(seed()), times(5_000), 0
    for at in range(0, count, EACH):
        values = tables.random_values(random)
        before = {name: value.copy() for name, value in values.items() if hasattr(value, "copy")}
        texts = [tables.Writer(random).expression(random.randint(1, 3)) for _ in range(min(EACH, count - at))]
        worked += sum(is_as_in_pandas(text, values) for text in texts)
        assert all(published.alike(values[name], value) for name, value in before.items()), texts
    figure(f"{count:,} expressions, of which {worked:,} have a value")
    assert worked > count / 2


def is_as_in_pandas(text: str, values: dict[str, Any]) -> bool:
    """Whether an expression has a value; it must be pandas' own, and fail if that fails."""
    theirs = outcome_of(published.by_the_table, text, values)
    ours = outcome_of(value_of, text, values)
    if isinstance(theirs, Exception):
        assert isinstance(ours, ExpressionError), (text, theirs, ours, values["t"])
        return False
    assert published.alike(ours, theirs), (text, ours, theirs, values)
    return True
