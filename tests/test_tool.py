"""A tool is described to planners, stays a function, and stands in a toolbox under its name."""

from __future__ import annotations

from typing import Literal

import pytest

from compiler_nb.errors import ToolError
from compiler_nb.tool import Toolbox, tool


@tool
def weather(city: str, days: int = 3, *, unit: Literal["C", "F"] = "C") -> dict[str, float]:
    """Return the forecast.

    It may be wrong.
    """
    return {city: days * (1.0 if unit == "C" else 2.0)}


@tool
def climb(place: str) -> str:
    """Climb."""
    return place


def test_a_planner_reads_a_line_and_a_sentence():
    """Names, types and defaults, then the first sentence of the docstring."""
    signature = "weather(city: str, days: int = 3, *, unit: Literal['C', 'F'] = 'C') -> dict[str, float]"
    assert weather.description == f"{signature}\n    Return the forecast."
    assert repr(weather) == f"<tool {signature}>"


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


def test_a_generator_is_not_a_tool():
    """It should return a list."""

    def numbers():
        yield 1

    with pytest.raises(ToolError, match="return a list"):
        tool(numbers)


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
