"""A tool is described to planners, stays a function, and stands in a toolbox under its name."""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import Literal, NotRequired, TypedDict

import pytest

from compiler_nb.errors import ArgumentError, ToolError
from compiler_nb.tool import Tool, Toolbox, tool


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


def test_a_function_belongs_to_no_server():
    """Prompts group tools by the server that performs them: see `toolbox/mcp.py`."""
    assert weather.server is None


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


def test_help_of_the_decorator_tells_its_options():
    """All that a Tool takes."""
    for option in list(inspect.signature(Tool).parameters)[1:]:
        assert f"{option}: " in " ".join(tool.__doc__.split())


def test_it_stays_a_function():
    """Called directly it is as if it were no tool."""
    assert weather("Kyoto", 2, unit="F") == {"Kyoto": 4.0}
    assert weather.__doc__.startswith("Return the forecast.")
    assert not weather.is_async


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "join"}, "cannot be a tool's name"),
        ({"name": "_x"}, r"begins with an underscore, so no plan .* begins with a letter: @tool\(name='...'\)"),
        ({"name": "f" * 65}, r"has 65 characters, so no plan can call this tool; .* at most 64: @tool\(name='...'\)"),
        ({"name": "\ufb01nd"}, r"Python reads '\ufb01nd' as 'find', so .* write it that way: @tool\(name='...'\)"),
        ({"name": "col\u00b7lecció"}, r"cannot be a tool's name; give another: @tool\(name='...'\)"),
        ({"name": "if"}, "cannot be a tool's name"),
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


# -------------------------------------------------------------------- modules that are loaded again


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module anew, and loads it again if it was loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(text: str):
        (tmp_path / "pricing.py").write_text(f"import functools\nfrom compiler_nb import tool, Tool\n{text}")
        importlib.invalidate_caches()
        found = sys.modules.get("pricing")
        return importlib.reload(found) if found is not None else importlib.import_module("pricing")

    yield write
    sys.modules.pop("pricing", None)


def test_a_tool_whose_module_was_loaded_again_is_what_the_module_says_now(module):
    """Its code, its signature and its options; as long as nothing was loaded again it is the tool itself."""
    old = module("@tool\ndef price(x): return 1\n").price
    assert old.newest() is old
    new = module("@tool(timeout=5)\ndef price(x, y=0): return 2\n").price
    assert old.newest() is new
    assert new.newest() is new
    box = Toolbox([old, climb])
    assert [*box.newest().items()] == [("price", new), ("climb", climb)]
    assert box.newest().newest() is not box
    assert Toolbox([climb, weather]).newest()["climb"] is climb


def test_a_tool_that_was_made_of_a_function_keeps_its_name_and_options(module):
    """Whether its module holds a function or a tool of another name."""
    found = module("def price(x): return 1\n@tool\ndef load(x): return 1\n")
    old = [tool(name="cost", timeout=7, pure=True)(found.price), tool(name="fetch", retries=2)(found.load.function)]
    module("def price(x): return 2\n@tool\ndef load(x): return 2\n")
    cost, fetch = (each.newest() for each in old)
    assert (cost(0), cost.name, cost.timeout, cost.pure) == (2, "cost", 7, True)
    assert (fetch(0), fetch.name, fetch.retries) == (2, "fetch", 2)


def test_a_tool_with_side_effects_keeps_them_when_its_module_says_nothing_of_any(module):
    """The user's own tool of a module's function goes on being asked for."""
    found = module("@tool\ndef send(x): return 1\n@tool\ndef post(x): return 1\n")
    mine, post = tool(side_effects=True)(found.send.function), found.post
    module("@tool\ndef send(x): return 2\n@tool(side_effects=True)\ndef post(x): return 2\n")
    assert (mine.newest()(0), mine.newest().side_effects) == (2, True)
    assert post.newest().side_effects


LOGGED = "def logged(f):\n  @functools.wraps(f)\n  def inner(*a): return f(*a)\n  return inner\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def make():\n  @tool\n  def price(x): return 1\n  return price\nmine = make()", "def price(x): return 2"),
        ("@tool\ndef price(x): return 1\nmine = price", "price = 5"),
        ("@tool\ndef price(x): return 1\nmine = price", "del price"),
        ("@tool\ndef price(x): return 1\nmine = price", "class price: pass"),
        ("mine = tool(name='f')(lambda x: 1)", "f = lambda x: 2"),
        ("mine = tool(name='f')(functools.partial(pow, 2))", "pow = 3"),
        (f"{LOGGED}def price(x): return 1\nmine = tool(logged(price))", "def price(x): return 2"),
        ("class C:\n  def price(self, x=0): return 1\nmine = tool(C().price)", "class C:\n  def price(self): return 2"),
    ],
    ids=["local", "a number", "gone", "a class", "a lambda", "a partial", "without its decorator", "a method"],
)  # fmt: skip
def test_a_name_that_means_something_else_now_leaves_the_tool_as_it_was(module, before, after):
    """Never what stands within a function, never what is no function, never a function without its decorators."""
    mine = module(before).mine
    module(after)
    assert mine.newest() is mine


def test_a_notebook_s_own_function_is_what_was_given(monkeypatch):
    """Two compilers may hold two versions of one name."""
    monkeypatch.setitem(vars(sys.modules["__main__"]), "price", lambda x: 2)
    exec("@tool\ndef price(x): return 1", names := {"__name__": "__main__", "tool": tool})  # noqa: S102 - a cell
    assert names["price"].newest() is names["price"]


class Stop(TypedDict):
    """Where something is."""

    place: str
    minutes: NotRequired[int]


def test_the_schema_of_a_tool_that_takes_typings_typed_dict():
    """On every Python, wherever it stands; a call is checked by it, too."""

    @tool
    def drive(start: Stop, *, then: list[Stop] | None = None, speed: float = 1.0) -> Stop:
        """Drive."""
        return start

    schema = drive.schema
    assert schema["required"] == ["start"]
    assert list(schema["properties"]) == ["start", "then", "speed"]
    (stop,) = schema["$defs"].values()
    assert (stop["required"], list(stop["properties"])) == (["place"], ["place", "minutes"])
    assert drive.bind(({"place": "Oslo"},), {}) == (({"place": "Oslo"},), {})
    with pytest.raises(ArgumentError, match="'start' must be"):
        drive.bind(({"minutes": 5},), {})


def test_options_count_if_a_function_is_given_with_them():
    """`tool(book, side_effects=True)` is what `tool(side_effects=True)(book)` is."""

    def book(x: int) -> int:
        """Book."""
        return x

    assert tool(book, side_effects=True, name="order").side_effects
    assert tool(book, side_effects=True, name="order").name == "order"
    with pytest.raises(TypeError):
        tool(book, effects=True)
