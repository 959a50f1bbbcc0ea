"""What type an answer is to have: how it is written, what is taken for a value of it, and how models are told."""

from __future__ import annotations

import datetime as dt
import enum
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, Field, field_validator

from compiler_nb.signature.answers import AnswerType, WrongAnswer
from compiler_nb.signature.expressions import read_type

COVERS = ("expressions.py",)


class Report(BaseModel):
    """What is known of a city."""

    city: str
    high: float = Field(ge=-60)


@dataclass
class Town:
    """A town."""

    name: str
    counts: list[int]


class Colour(enum.Enum):
    """A colour."""

    RED, BLUE = "red", "blue"


class Picky(BaseModel):
    """It looks at its text."""

    text: str

    @field_validator("text")
    @classmethod
    def look(cls, text: str) -> str:
        """Refuse all."""
        raise ValueError(f"not {text}")


class Opaque:
    """A class of which pydantic knows nothing."""


@pytest.mark.parametrize(
    ("hint", "value", "found"),
    [
        (float, 3, 3.0),
        (float, "3", 3.0),
        (float, np.float64(2.5), 2.5),
        (int, 3.0, 3),
        (int, np.int64(4), 4),
        (bool, "true", True),
        (str, "x", "x"),
        (Report, {"city": "Oslo", "high": "4"}, Report(city="Oslo", high=4)),
        (Town, {"name": "Alba", "counts": [1, 2.0]}, Town("Alba", [1, 2])),
        (Colour, "red", Colour.RED),
        (list[str], ("a", "b"), ["a", "b"]),
        (dt.date, "2026-01-31", dt.date(2026, 1, 31)),
        (float | None, None, None),
        (Literal["a", "b"], "b", "b"),
        (Any, {"x": 1}, {"x": 1}),
    ],
)
def test_a_value_is_taken_if_nothing_is_lost(hint, value, found):
    """A text that is a number, a dict for a record, a number of NumPy's."""
    made = AnswerType(hint).read(value)
    assert made == found
    assert type(made) is type(found)


@pytest.mark.parametrize(
    ("hint", "value", "problem"),
    [
        (float, True, "True is not a number"),
        (float, "warm", "unable to parse string as a number"),
        (float, None, "valid number"),
        (int, 3.5, "fractional part"),
        (bool, 1, "a number is no bool"),
        (dt.datetime, 5, "a number is no datetime"),
        (str, 3, "valid string"),
        (Report, {"city": "Oslo", "high": True}, r"\['high'\] True is not a number"),
        (Report, {"city": "Oslo"}, r"\['high'\] field required"),
        (Town, {"name": "Alba", "counts": [1, True]}, r"\['counts'\]\[1\] True is not a number"),
        (set[int], [1, True], "True is not a number"),
        (Colour, "green", "'red' or 'blue'"),
        (pd.DataFrame, pd.Series([1]), "instance of DataFrame"),
        (Opaque, 3, "instance of Opaque"),
    ],
)
def test_a_value_is_refused_if_something_is_read_into_it(hint, value, problem):
    """The error says what came, what was wanted and what is wrong."""
    wanted = AnswerType(hint)
    with pytest.raises(WrongAnswer, match=problem) as error:
        wanted.read(value)
    assert wanted.name in str(error.value)
    assert f"({type(value).__name__}) came" in str(error.value)


def test_a_table_stays_the_object_that_it_is_and_rows_become_one():
    """A DataFrame is passed by reference; a list of rows is what a model can write."""
    table = pd.DataFrame({"a": [1]})
    wanted = AnswerType(pd.DataFrame)
    assert wanted.read(table) is table
    assert wanted.read_text('[{"a": 1}, {"a": 2}]').a.tolist() == [1, 2]
    assert AnswerType(dict[str, pd.DataFrame]).read({"t": table})["t"] is table


def test_a_models_text_is_json_or_the_value_itself():
    """A text is a text, even one that looks like a number; a choice may look like a number, too."""
    assert AnswerType(float).read_text("12.5") == 12.5
    assert AnswerType(Report).read_text('{"city": "Oslo", "high": 4}').high == 4
    assert AnswerType(Colour).read_text("blue") is Colour.BLUE
    assert AnswerType(Colour).read_text('"blue"') is Colour.BLUE
    assert AnswerType(str).read_text("12") == "12"
    assert AnswerType(Literal["404"]).read_text("404") == "404"
    with pytest.raises(WrongAnswer, match="unable to parse"):
        AnswerType(float).read_text("about 12 km")


def test_what_a_planner_is_told_of_a_fault_holds_nothing_of_the_value():
    """The words of the user's own check may; they are for people, and for the model that wrote the value."""
    with pytest.raises(WrongAnswer) as error:
        AnswerType(Picky).read({"text": "secret"})
    assert "secret" not in error.value.problem
    assert "not secret" in error.value.told


def test_models_are_told_fields_values_and_schema():
    """A planner in a line; a joiner with the schema if it has parts, and nothing if any text will do."""
    report = AnswerType(Report)
    assert "Report(city: str, high: float)" in report.for_planner
    assert '"high":{"minimum":-60' in report.for_joiner
    assert "one of 'red', 'blue'" in AnswerType(Colour).for_planner
    assert AnswerType(str).for_joiner == ""
    assert "join" not in AnswerType(Opaque).for_planner
    assert "Replan" in AnswerType(Opaque).for_joiner


def test_plain_data_stands_for_values_of_the_users_classes():
    """A history does not know their classes."""
    assert AnswerType(Report).plain(Report(city="Oslo", high=4)) == {"city": "Oslo", "high": 4.0}
    assert AnswerType(list[Town]).plain([Town("Alba", [1])]) == [{"name": "Alba", "counts": [1]}]
    assert AnswerType(Colour).plain(Colour.RED) == "red"
    thing = Opaque()
    assert AnswerType(Opaque).plain(thing) is thing


@pytest.mark.parametrize("hint", ["float", 3, float("nan"), [int], "list[str]"])
def test_what_is_no_type_is_refused_at_once(hint):
    """Before a model is asked."""
    with pytest.raises(ValueError, match="a type is wanted, such as float or list"):
        AnswerType(hint)


# -------------------------------------------------------------------- types as text

NAMES = {"Report": Report, "pd": pd, "dt": dt, "frame": pd.DataFrame({"a": [1]}), "Warm": Annotated[float, Field(gt=0)]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("float", float),
        ("list[str]", list[str]),
        ("dict[str, float]", dict[str, float]),
        ("tuple[int, ...]", tuple[int, ...]),
        ("Report | None", Report | None),
        ("Literal['a', 'b']", Literal["a", "b"]),
        ("pd.DataFrame", pd.DataFrame),
        ("DataFrame", pd.DataFrame),
        ("dt.date", dt.date),
        ("datetime", dt.datetime),
        ("Warm", NAMES["Warm"]),
        ("Any", Any),
    ],
)
def test_a_type_is_read_from_text(text, found):
    """The notebook's names first, then Python's own, typing's, and a few that everybody uses."""
    assert read_type(text, NAMES) == found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Repot", "no type is called Repot.*Did you mean 'Report'"),
        ("__import__('os')", "is not a type: write names, brackets and |, and no calls"),
        ("list[print('x')]", "no calls"),
        ("(lambda: float)()", "no calls"),
        ("frame['a']", "frame is not a type: it is a DataFrame"),
        ("pd.read_csv", "is not a type: it is a function"),
        ("pd._libs", "begins with an underscore"),
        ("frame.a", "is neither a module nor a class"),
        ("Report.high", "has no type high"),
        ("float[int]", "float takes no brackets"),
        ("float float", "not a type as Python writes it"),
        ("", "not a type as Python writes it"),
        ("3", "not a type"),
        ("x" * 1000, "longer than"),
        ("list[" * 200 + "int" + "]" * 200, "longer than|not a type"),
    ],
)
def test_nothing_is_run_for_a_type(text, fault):
    """Names, attributes of modules and classes, brackets and | are all that there is."""
    with pytest.raises(ValueError, match=fault):
        read_type(text, NAMES)


@pytest.mark.parametrize("text", ["NaN", "nan", "-Infinity", "1e400", '"inf"'])
def test_a_model_does_not_write_that_there_is_no_number(text):
    """JSON has no such numbers; a value of the plan's own that is not a number is one of the type all the same."""
    wanted = AnswerType(float)
    with pytest.raises(WrongAnswer, match="is not a finite number"):
        wanted.read_text(text)
    assert math.isnan(wanted.read(math.nan))
    with pytest.raises(WrongAnswer, match=r"\['a'\] .* is not a finite number"):
        AnswerType(dict[str, float]).read_text(f'{{"a": {text}}}' if text != "nan" else '{"a": "nan"}')
    assert AnswerType(float | str).read_text("NaN") == "NaN"


def test_a_table_may_be_given_by_columns():
    """As rows or as lists of one length; anything else is no table."""
    wanted = AnswerType(pd.DataFrame)
    assert list(wanted.read({"a": [1, 2], "b": ["x", "y"]})["b"]) == ["x", "y"]
    assert wanted.read_text('[{"a": 1}]').shape == (1, 1)
    for other in ({"a": [1, 2], "b": [1]}, {"a": 1}, {}, [1]):
        with pytest.raises(WrongAnswer):
            wanted.read(other)
