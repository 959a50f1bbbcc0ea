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
    random, worked = Random(seed()), 0
    count = times(5_000)
    for _ in range(count):
        values = tables.random_values(random)
        text = tables.Writer(random).expression(random.randint(1, 3))
        before = {name: value.copy() for name, value in values.items() if hasattr(value, "copy")}
        theirs = outcome_of(published.by_the_table, text, values)
        ours = outcome_of(value_of, text, values)
        if isinstance(theirs, Exception):
            assert isinstance(ours, ExpressionError), (text, theirs, ours, values["t"])
        else:
            assert published.alike(ours, theirs), (text, ours, theirs, values)
            worked += 1
        assert all(published.alike(values[name], value) for name, value in before.items()), text
    figure(f"{count:,} expressions, of which {worked:,} have a value")
    assert worked > count / 2
