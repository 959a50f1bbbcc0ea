"""A tool checks and binds its own arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import pytest

from compiler_nb.errors import ArgumentError
from compiler_nb.plan.plan import Plan
from compiler_nb.signature.checks import make_check
from compiler_nb.tool import tool

COVERS = ("checks.py",)


@dataclass
class Place:
    """Where something is."""

    name: str
    height: float = 0.0


@tool
def weather(city: str, days: int = 3, *, unit: Literal["C", "F"] = "C") -> dict[str, float]:
    """Return the forecast.

    It may be wrong.
    """
    return {city: days * (1.0 if unit == "C" else 2.0)}


@tool
def climb(place: Place, *tools: str, rest: float | None = None) -> str:
    """Climb."""
    return f"{place.name} {place.height} {tools} {rest}"


@pytest.mark.parametrize(
    ("args", "kwargs", "bound"),
    [
        (("Kyoto",), {}, (("Kyoto",), {})),
        (("Kyoto", 2), {"unit": "F"}, (("Kyoto", 2), {"unit": "F"})),
        ((), {"city": "Kyoto"}, ((), {"city": "Kyoto"})),
    ],
)
def test_arguments_are_bound(args, kwargs, bound):
    """Those that fit are given on as they are."""
    assert weather.bind(args, kwargs) == bound


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "needs city"),
        (("a", 1, 2), {}, "takes at most 2 positional arguments, not 3"),
        (("a",), {"city": "b"}, "gets 'city' twice"),
        (("a",), {"town": "b"}, "has no argument 'town'"),
        ((1,), {}, "'city'"),
        (("a", "many"), {}, "'days'"),
        (("a",), {"unit": "K"}, "'unit' must be one of 'C', 'F', not 'K'"),
    ],
)
def test_what_does_not_fit_is_named(args, kwargs, words):
    """With the signature, or the argument that has the wrong type."""
    with pytest.raises(ArgumentError) as caught:
        weather.bind(args, kwargs)
    assert words in str(caught.value)
    assert str(caught.value).startswith("weather")


def test_values_are_coerced_only_if_nothing_is_lost():
    """A dict becomes the object that it describes, a whole number a float, and a list the rest of the arguments."""
    (place, *tools), named = climb.bind((), {"place": {"name": "Fuji", "height": 3776}, "tools": ["rope"], "rest": 1})
    assert (place, tools) == (Place("Fuji", 3776.0), ["rope"])
    assert type(place.height) is type(named["rest"]) is float
    with pytest.raises(ArgumentError, match="'place'"):
        climb.bind(({"name": 3},), {})


def test_a_value_behind_a_gap_goes_to_no_other_parameter():
    """Plans may name all arguments: one that is only positional never takes the place of one that was left out."""

    @tool
    def add(a: int = 1, b: int = 2, /) -> int:
        return a + b

    assert add.bind((), {"a": 5, "b": 6}) == ((5, 6), {})
    assert add.bind((), {"b": 6}) == ((), {"b": 6})  # which Python refuses


def test_what_may_be_anything_has_no_check():
    """Any value is accepted as it is."""
    assert make_check(Any) is make_check(object) is None


class Parcel(TypedDict):
    """What pydantic checks from Python 3.12 on only."""

    id: str


def test_a_tool_may_take_a_typed_dict_of_the_standard_library():
    """A type that cannot be checked is no reason to refuse a plan."""

    @tool
    def ship(parcel: Parcel, priority: int = 1) -> str:
        """Send it."""
        return parcel["id"]

    assert Plan.parse('a = ship({"id": "7"})\nanswer(a)\n', tools=[ship])["a"].args == ({"id": "7"},)
    assert ship.bind(({"id": "7"}, 2), {}) == (({"id": "7"}, 2), {})
