import numpy as np
import pandas as pd
import pytest

from compiler_nb.outcome import Failure
from compiler_nb.planner.schema import describe_schema
from tests.support.hostile import EvilRepr


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "int"),
        ("SECRET", "str"),
        (None, "NoneType"),
        ([], "list of 0"),
        ([{"max": 1.5}, {}], "list of 2 dict (max: float)"),
        (("SECRET",), "tuple of 1 str"),
        ({"max": 7, "days": ["SECRET"]}, "dict (max: int, days: list of 1 str)"),
        ({"AAPL": 1, "MSFT": 2}, "dict of 2 str to int"),
        ({"the secret key": 1}, "dict of 1 str to int"),
        ({}, "dict of 0"),
        ({str(number): number for number in range(2_000)}, "dict of 2,000 str to int"),
        (np.zeros((3, 4)), "ndarray of shape (3, 4), float64"),
        (pd.DataFrame({"town": ["SECRET"], "price": [1.0]}).astype({"town": "category"}),
         "DataFrame of 1 rows (town: category, price: float64)"),
        (pd.Series([1, 2]), "Series of shape (2,), int64"),
        (lambda: "SECRET", "function"),
        (Failure("raised", "SECRET"), "Failure"),
    ],
)  # fmt: skip
def test_a_schema_says_type_and_shape_and_nothing_of_the_contents(value, text):
    """In words that a planner understands."""
    assert describe_schema(value) == text


def test_a_wide_table_is_described_shortly():
    """Forty columns, and how many more."""
    wide = pd.DataFrame({f"c{number}": [1] for number in range(60)})
    text = describe_schema(wide)
    assert text.endswith("c39: int64, … 20 more)")


def test_an_object_that_cannot_be_read_says_nothing_either():
    """Neither its own words nor an exception of ours get out."""

    class Leaky(list):
        @property
        def columns(self):
            raise ValueError("SECRET")

    assert describe_schema(Leaky()) == "Leaky (its shape cannot be read: ValueError)"
    assert describe_schema(EvilRepr()).startswith("EvilRepr")
