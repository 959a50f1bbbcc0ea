"""Pure expressions: how tests read them, what Python makes of them, and random ones."""

from __future__ import annotations

import math
import re
import warnings
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from compiler_nb.plan.functions import FUNCTIONS
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.task import Return

if TYPE_CHECKING:
    from collections.abc import Collection

    from compiler_nb.plan.task import Tree

NAMES: dict[str, Any] = {
    "n": 3,
    "x": 2.5,
    "word": "hello",
    "xs": [3, 1, 2, 4],
    "words": ["bb", "a", "ccc"],
    "d": {"a": 1, "b": 3, "c": 2},
    "table": [{"name": "one", "size": 1}, {"name": "two", "size": 2}],
}
"""The results of tasks that the expressions read."""


def parse(text: str, names: Collection[str]) -> Tree:
    """Return the tree of one expression that may read these tasks."""
    parser = PlanParser(dialect="python", earlier=dict.fromkeys(names, ""))
    parser.feed(f"answer({text if _is_one(text) else f'({text})'})")
    final = parser.plan().final
    assert isinstance(final, Return)
    return final.expression


def _is_one(text: str) -> bool:
    return "," not in text


def python_value(text: str) -> Any:
    """Return what Python makes of an expression, in a namespace with nothing but our functions and names."""
    builtins = {name: __builtins__[name] for name in FUNCTIONS}  # type: ignore[index]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a number that is indexed
        return eval(f"({text})", {"__builtins__": builtins, **NAMES})  # noqa: S307 - the tests' own text


def same(ours: Any, theirs: Any) -> bool:
    """Whether two values are equal in value and type; nan equals nan, and lists stand for Python's lazy iterators."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return ours == theirs or (math.isnan(ours) and math.isnan(theirs))
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict):
        return same(list(ours.items()), list(theirs.items()))
    return bool(ours == theirs)


NUMBERS = ("n", "x", "(0)", "(1)", "(-2)", "(2.5)", "(7)", "True", "len(word)", "xs[0]", "d['b']")
TEXTS = ("word", "words[0]", "'ab'", "''", "f'{n}-{x:.1f}'", "str(n)")
LISTS = ("xs", "[1, 2]", "[]", "list(range(4))", "sorted(d.values())", "[len(w) for w in words]")


def expressions() -> st.SearchStrategy[str]:
    """Random expressions over NAMES; many of them raise in Python."""
    number, text, items = st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.sampled_from(LISTS)
    return st.recursive(number | text | items, _grown, max_leaves=14)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def form(pattern: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(*parts).map(lambda found: "(" + pattern.format(*found, v=_new_name(found)) + ")")

    sign = st.sampled_from("+ - * / // % == != < <= > >= and or in".split())
    return st.one_of(
        form("{0} {1} {2}", inner, sign, inner),
        form("{0} {1} {2} {3} {4}", inner, st.sampled_from(["<", "==", "!=", ">="]), inner, st.sampled_from("<>"), inner),
        form("{0} ** {1}", inner, st.sampled_from(["0", "1", "2", "-1", "0.5"])),
        form("{0}{1}", st.sampled_from(["-", "+", "not "]), inner),
        form("{0} if {1} else {2}", inner, inner, inner),
        form("{0}[{1}]", inner, inner),
        form("{0}[{1}:{2}]", inner, inner, inner),
        form("[{0}, {1}]", inner, inner),
        form("{{'k': {0}, 'l': {1}}}", inner, inner),
        form("[{v} for {v} in {0} if {v} != {1}]", inner, inner),
        form("[{0} for {v} in {1}]", inner, inner),
        form("{{{v}: {0} for {v} in {1}}}", inner, inner),
        form("{0}({1})", st.sampled_from(sorted(set(FUNCTIONS) - {"reversed", "zip", "enumerate"})), inner),
        form("{0}({1}, {2})", st.sampled_from(["max", "min", "sum", "round", "range", "dict", "int"]), inner, inner),
        form("sorted({0}, key=lambda {v}: {1}, reverse={2})", inner, inner, inner),
        form("{0}({1}, key=lambda {v}: ({v}, {2}))", st.sampled_from(["max", "min"]), inner, inner),
        form("list({0}({1}))", st.sampled_from(["reversed", "zip", "enumerate"]), inner),
        form("{0}({v} for {v} in {1} if {2})", st.sampled_from(["any", "all", "sum", "max", "list", "set"]), inner, inner),
        form("{0}.{1}()", inner, st.sampled_from(["upper", "strip", "title", "split", "lower"])),
        form("{0}.{1}({2})", inner, st.sampled_from(["split", "join", "get", "startswith"]), inner),
        form("xs.{0}({1})", st.sampled_from(["count", "index"]), inner),
        form("f'{{{0}}}|{{{1}!r:>9}}'", inner.filter(_fits), inner.filter(_fits)),
    )


def _fits(text: str) -> bool:
    """Whether a text may stand in a field: fields hold no quotes of the string's own kind in older Pythons."""
    return "'" not in text and len(text) < 80


def _new_name(parts: tuple[str, ...]) -> str:
    """Return a loop's name that is in none of its parts, since no name is bound within its own scope again."""
    return "v" * (1 + max((len(found) for part in parts for found in re.findall("v+", part)), default=0))
