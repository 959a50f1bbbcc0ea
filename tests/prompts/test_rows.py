"""How much of a table a prompt shows is counted, and said in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from compiler_nb.prompts.render import render

pandas = pytest.importorskip("pandas")
numpy = pytest.importorskip("numpy")


def table(rows: int, columns: int = 1) -> Any:
    """Return a table of numbers."""
    return pandas.DataFrame({f"c{number}": range(rows) for number in range(columns)})


@dataclass
class Report:
    """A record that holds a table."""

    title: str
    rows: Any


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (table(13_000), "20 of 13,000 rows"),
        (table(100), "all 100 rows"),
        (table(0), "all 0 rows"),
        (table(13_000)["c0"], "20 of 13,000 rows"),
        (table(30, 60), "30 of 30 rows, 50 of 60 columns"),
        ({"a": table(13_000), "b": [table(500)]}, "40 of 13,500 rows of 2 tables"),
        ([table(3), table(4)], "all 7 rows of 2 tables"),
        (Report("sales", table(13_000)), "20 of 13,000 rows"),
        (pandas.DataFrame({"t": ["x" * 600, "y"]}), "2 of 2 rows, 1 value cut"),
        (pandas.DataFrame({"x" * 600: [1]}), "1 of 1 rows, 1 value cut"),
        (numpy.zeros((5_000, 2)), "20 of 5,000 rows"),
        (numpy.zeros((50, 3_000)), "20 of 150,000 elements"),
        ({"photo": bytes(100)}, "1 value cut"),
        ({"n": 10**5_000}, "1 value cut"),
        ("text", ""),
        ({"max": 12}, ""),
        ([1, 2, 3], ""),
        (list(range(500)), "all 500 items"),
        ({str(number): number for number in range(50)}, "all 50 items"),
    ],
    ids=lambda value: value if isinstance(value, str) and value else type(value).__name__,
)
def test_how_much_of_a_value_is_shown_is_said_in_words(value, shown):
    """Rows of rows, also of tables in dicts, lists and records; nothing of what is short and whole."""
    assert (render(value).whole, render(value).shown) == (True, shown)


def test_a_value_that_is_cut_says_where():
    """Of a text how much of how much it is."""
    assert render("x" * 300, 200).shown == "200 of 300 characters"
    assert render(list(range(1_000)), 200).shown == "the first 200 characters"
