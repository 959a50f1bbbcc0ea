"""A tool knows its signature, checks and binds its own arguments, and stays a function."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Required, TypedDict

import pytest
from pydantic import BaseModel

from compiler_nb.errors import ArgumentError, ToolError
from compiler_nb.tool import Toolbox, make_check, spell_type, tool


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


def test_a_planner_reads_a_line_and_a_sentence():
    """Names, types and defaults, then the first sentence of the docstring."""
    signature = "weather(city: str, days: int = 3, *, unit: Literal['C', 'F'] = 'C') -> dict[str, float]"
    assert weather.description == f"{signature}\n    Return the forecast."
    assert repr(weather) == f"<tool {signature}>"


class Line(TypedDict):
    """A line of an order."""

    sku: str
    qty: int


class Order(TypedDict, total=False):
    """An order."""

    order_id: Required[str]
    lines: list[Line]


class Spot(NamedTuple):
    """A place on a map."""

    lat: float
    lon: float


@dataclass
class Town:
    """A town."""

    name: str
    at: Spot | None


class Report(BaseModel):
    """What was found."""

    towns: dict[str, Town]
    at: dt.date


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Order, "{order_id: str, lines?: [{sku: str, qty: int}]}"),
        (list[Order], "[{order_id: str, lines?: [{sku: str, qty: int}]}]"),
        (Annotated[Spot, "degrees"], "Spot(lat: float, lon: float)"),
        (Town | None, "Town(name: str, at: Spot(lat: float, lon: float) or None) or None"),
        (Report, "Report(towns: dict of str to Town(name: str, at: Spot or None), at: date)"),
        (dict[str, float], ""), (list, ""), (dict, ""), (Any, ""), (None, ""), ("Nowhere", ""),
    ],
)  # fmt: skip
def test_the_fields_of_a_return_type_are_told(hint, words):
    """Of a TypedDict, a dataclass, a named tuple, a pydantic model, and what holds them, two levels deep."""

    def find(x: int):
        """Find it."""

    find.__annotations__["return"] = hint
    assert tool(find).result == words
    told = f"\n    returns {words}" if words else ""
    assert tool(find).description == f"{tool(find).signature}\n    Find it.{told}"


@pytest.mark.parametrize(
    "doc",
    [
        "Find it.\n\nArgs:\n    x: What.\n\nReturns:\n    A list of\n    dicts.\n\nRaises:\n    ValueError: Never.\n",
        "Find it.\n\nParameters\n----------\nx : int\n\nReturns\n-------\nA list of\n    dicts.\n\nNotes\n-----\nNo.\n",
        "Find it.\n\n:param x: What.\n:returns: A list of\n    dicts.\n:raises ValueError: Never.\n",
        "Find it.\n\nReturns: A list of dicts.\n",
    ],
)
def test_what_a_docstring_says_of_the_result_is_told(doc):
    """In each of the common styles; the rest of the docstring is not."""

    def find(x):
        return x

    find.__doc__ = doc
    assert tool(find).description == "find(x)\n    Find it.\n    returns A list of dicts."


def test_it_stays_a_function():
    """Called directly it is as if it were no tool."""
    assert weather("Kyoto", 2, unit="F") == {"Kyoto": 4.0}
    assert weather.__doc__.startswith("Return the forecast.")
    assert not weather.is_async


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
        (("a",), {"unit": "K"}, "'unit' is one of 'C', 'F', not 'K'"),
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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "join"}, "cannot be a tool's name"),
        ({"name": "_x"}, "cannot be a tool's name"),
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"thread": "other"}, "thread"),
        ({"side_effects": True, "retries": 1}, "side effects"),
        ({"side_effects": True, "pure": True}, "side effects"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_when_it_is_made(settings, words):
    """Each with what is wrong."""
    with pytest.raises(ToolError, match=words):
        tool(**{"name": "nap", **settings})(lambda: None)


def test_a_value_behind_a_gap_goes_to_no_other_parameter():
    """Plans may name all arguments: one that is only positional never takes the place of one that was left out."""

    @tool
    def add(a: int = 1, b: int = 2, /) -> int:
        return a + b

    assert add.bind((), {"a": 5, "b": 6}) == ((5, 6), {})
    assert add.bind((), {"b": 6}) == ((), {"b": 6})  # which Python refuses


def test_a_generator_is_not_a_tool():
    """It should return a list."""

    def numbers():
        yield 1

    with pytest.raises(ToolError, match="return a list"):
        tool(numbers)


def test_types_are_spelled_as_a_planner_reads_them():
    """Without the names of modules; a number keeps its dot, and `...` its own."""
    assert spell_type(Literal[1.5]) == "Literal[1.5]"
    assert spell_type(tuple[Place, ...]) == "tuple[Place, ...]"
    assert [spell_type(each) for each in (int, list[Place], Place | None, "text", dict[str, Any])] == [
        "int", "list[Place]", "Place | None", "text", "dict[str, Any]",
    ]  # fmt: skip
    assert make_check(Any) is make_check(object) is None


def test_a_toolbox_holds_tools_by_name():
    """In their order; a name can be used once."""
    box = Toolbox([weather, climb])
    assert list(box) == ["weather", "climb"]
    assert box["climb"] is climb
    with pytest.raises(ToolError, match="weather"):
        Toolbox([weather, tool(name="weather")(lambda: None)])


@pytest.mark.parametrize("given", [weather, weather.function, 3, None], ids=["tool", "function", "number", "None"])
def test_one_tool_is_not_a_list_of_tools(given):
    """The error says how to write one."""
    with pytest.raises(ToolError, match=r"tools must be a list of functions, such as \[weather\], not a \w+"):
        Toolbox(given)
