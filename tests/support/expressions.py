"""Pure expressions: how tests read them, what Python makes of them, and random ones."""

from __future__ import annotations

import math
import re
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import Scope
from compiler_nb.operations.functions import FUNCTIONS
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.task import Return

if TYPE_CHECKING:
    from collections.abc import Collection
    from random import Random

    from compiler_nb.plan.tree import Tree

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
    final = parser.parts().final
    assert isinstance(final, Return)
    return final.expression


def _is_one(text: str) -> bool:
    return "," not in text


def value_of(text: str, /, **values: Any) -> Any:
    """Return what our evaluator makes of an expression; `values` are the results of tasks by name."""
    return evaluate(parse(text, values), Scope(values))


def error_of(text: str, /, **values: Any) -> str:
    """Return the message of the ExpressionError that an expression ends in."""
    with pytest.raises(ExpressionError) as caught:
        value_of(text, **values)
    return str(caught.value)


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


LEAVES = (
    "n", "x", "(0)", "(1)", "(-2)", "(2.5)", "(7)", "True", "len(word)", "xs[0]", "d['b']", "word", "words[0]",
    "'ab'", "''", "f'{n}-{x:.1f}'", "str(n)", "xs", "[1,2]", "[]", "list(range(4))", "sorted(d.values())",
    "[len(w)for(w)in(words)]", "d", "table",
)  # fmt: skip
FORMS = (
    """
{0} + {1}|{0} - {1}|{0} * {1}|{0} / {1}|{0} // {1}|{0} % {1}|{0} ** 2|{0} ** -1|-{0}|+{0}|not {0}
{0} < {1}|{0} == {1}|{0} != {1}|{0} >= {1}|{0} in {1}|{0} not in {1}|{0} < {1} <= {2}|{0} == {1} != {2}
{0} and {1}|{0} or {1}|{0} if {1} else {2}|{0}[{1}]|{0}[{1}:{2}]|{0}[::{1}]|[{0}, {1}]|({0}, {1})|{{'k': {0}, 'l': {1}}}
[{v} for {v} in {0} if {v} != {1}]|[{0} for {v} in {1}]|{{{v}: {0} for {v} in {1}}}|{{{v} for {v} in {0}}}
[({v}, {0}) for {v} in {1} if {2}]|any({v} for {v} in {0} if {1})|all({v} != {0} for {v} in {1})|any([{0}, {1}])
sum({v} for {v} in {0})|max(({v} for {v} in {0}), default={1})|sorted({0}, key=lambda {v}: {1}, reverse={2})
max({0}, key=lambda {v}: ({v}, {1}))|min({0}, key=len)|max(d, key=d.get)|max({0})|min({0}, {1})|sum({0})|sum({0}, {1})
len({0})|abs({0})|round({0})|round({0}, {1})|sorted({0})|list(reversed({0}))|list(zip({0}, {1}))|list(enumerate({0}))
list(range({0}))|any({0})|all({0})|str({0})|int({0})|float({0})|bool({0})|list({0})|dict({0})|tuple({0})|set({0})
{0}.upper()|{0}.strip()|{0}.title()|{0}.split()|{0}.split({1})|{0}.join({1})|{0}.replace({1}, {2})|{0}.startswith({1})
{0}.get({1})|{0}.get({1}, {2})|list({0}.items())|list({0}.keys())|xs.index({0})|xs.count({0})
""".strip()
    .replace("\n", "|")
    .split("|")
)


def random_expression(random: Random, size: int = 12) -> str:
    """Return a random expression over NAMES of at most so many leaves; many raise in Python."""
    if size <= 1:
        return random.choice(LEAVES)
    form = random.choice(FORMS)
    count = sum(f"{{{number}}}" in form for number in range(3))
    largest = (size - 1) // max(count, 1)
    parts = [random_expression(random, random.randint(0, largest)) for _ in range(count)]
    return f"({form.format(*parts, v=_new_name(parts))})"


def _new_name(parts: list[str]) -> str:
    """Return a loop's name that is in none of its parts, since no name is bound within its own scope again."""
    return "v" * (1 + max((len(found) for part in parts for found in re.findall(r"\bv+\b", part)), default=0))
