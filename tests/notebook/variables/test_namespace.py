"""What a question may use: tools, inputs, and text pasted from variables."""

from __future__ import annotations

import math

import pytest

from compiler_nb import OptionError, Toolbox, tool
from compiler_nb.notebook.variables.namespace import Namespace
from compiler_nb.toolbox.mcp import McpTools


@tool
def one(x: int) -> int:
    """One."""
    return x


def plain(x):
    """Return x."""
    return x


def test_tools_are_collected():
    """Every Tool of the notebook once, whatever its variables; named functions are wrapped, boxes opened."""
    names = Namespace({"one": one, "again": one, "_": one, "plain": plain, "box": Toolbox([plain]), "n": 3})
    assert list(names.tools()) == ["one"]
    assert list(names.tools(["plain", "one"])) == ["plain", "one"]
    assert list(names.tools(["box"])) == ["plain"]
    for wrong, message in {"pla": "Did you mean 'plain'", "n": "made of a function"}.items():
        with pytest.raises(OptionError, match=message):
            names.tools([wrong])


def test_the_tools_of_a_server_are_collected():
    """Unasked, as every Tool of the notebook is, and by the name of the variable that holds them."""
    group = McpTools([tool(name="search")(plain), tool(name="fetch")(plain)], "web", "1")
    names = Namespace({"one": one, "web": group, "plain": plain})
    assert list(names.tools()) == ["one", "search", "fetch"]
    assert list(names.tools(["web", "plain"])) == ["search", "fetch", "plain"]


def test_two_tools_of_one_name_are_an_option_error():
    """The clash is told in a sentence."""
    with pytest.raises(OptionError, match="two tools are called 'one'"):
        Namespace({"one": one, "other": tool(name="one")(plain)}).tools()


def test_names_in_a_question():
    """`@name` offers a variable that exists; an address, a decorator and unknown names are text."""
    names = Namespace({"df": 1, "x": 2, "_hidden": 3})
    assert names.named_in("compare @df with @x, @df, me@x.org, @nobody and @_hidden") == ["df", "x"]
    assert names.inputs(["df"]) == {"df": 1}
    with pytest.raises(OptionError, match="-i: no variable is called 'y'"):
        names.inputs(["y"])


def test_names_read_by_a_plan():
    """A plan may read the notebook's data by name; modules and functions are no inputs."""
    names = Namespace({"tickers": ["A"], "math": math, "one": one, "other": 1})
    assert names.read_by("rows = {t: price(t) for t in tickers}\nx = one(math)") == ["tickers"]


class Broken:
    def __str__(self):
        raise RuntimeError("no")


def test_braces_paste_what_exists():
    """`{name}` pastes in one pass; unknown, doubled and other braces stay as typed."""
    names = Namespace({"city": "Rome {n} @n", "n": 3, "bad": Broken(), "long": "x" * 200_000})
    question = 'In {city}: {n} {{n}} {unknown} {"a": 1} {}'
    assert names.paste(question) == 'In Rome {n} @n: 3 {{n}} {unknown} {"a": 1} {}'
    with pytest.raises(OptionError, match=r"\{bad\} cannot be pasted: RuntimeError: no"):
        names.paste("{bad}")
    with pytest.raises(OptionError, match="200,000 characters long; offer it by @long"):
        names.paste("{long}")
