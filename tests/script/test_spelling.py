"""Expressions as plain Python: what they give is what they give in a plan, with the helpers of the script."""

from __future__ import annotations

import copy
import warnings
from random import Random

import pandas as pd
import pytest

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import Scope
from compiler_nb.operations.idioms import ATTRIBUTES, METHODS
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.script import table_helpers, task_helpers
from compiler_nb.script.kinds import UNKNOWN
from compiler_nb.script.spelling import ScriptSpeller
from tests.support import published, tables
from tests.support.expressions import NAMES, parse, random_expression, same
from tests.support.scale import seed, times

COVERS = ("kinds.py", "table_helpers.py", "task_helpers.py")


def spelled(text, names, kinds=None):
    """Return an expression of a plan as the script has it."""
    return ScriptSpeller(str, lambda id_: (kinds or {}).get(id_, UNKNOWN)).spell(parse(text, names))


def performed(text, values):
    """Return what a script makes of the text of an expression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(text, {**vars(task_helpers), **vars(table_helpers), "pd": pd, **values})  # noqa: S307 - the tests' own text


@pytest.mark.slow
def test_table_expressions_give_what_they_give_in_a_plan():
    """500 random ones over tables with missing values, groups, arrays and rows: 0 differ."""
    tried = 0
    for number in range(times(500)):
        random = Random(seed() + number)
        values = tables.random_values(random)
        text = tables.Writer(random).expression(random.randint(1, 3))
        try:
            expected = evaluate(parse(text, values), Scope(copy.deepcopy(values)))
        except ExpressionError:
            continue  # a bound, or what pandas refuses, too
        found = performed(spelled(text, values), copy.deepcopy(values))
        assert published.alike(found, expected), f"seed {seed() + number}: {text}\n{spelled(text, values)}"
        tried += 1
    assert tried > times(250)


@pytest.mark.slow
def test_plain_expressions_give_what_they_give_in_a_plan():
    """2,000 random ones of numbers, texts, lists and dicts: 0 differ."""
    tried = 0
    for number in range(times(2_000)):
        text = random_expression(Random(seed() + number))
        try:
            expected = evaluate(parse(text, NAMES), Scope(NAMES))
        except (ExpressionError, AssertionError):
            continue
        found = performed(spelled(text, NAMES), NAMES)
        assert same(expected, found), f"seed {seed() + number}: {text}\n{spelled(text, NAMES)}"
        tried += 1
    assert tried > times(250)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("[x * 2 for x in [1, 2] if x > 1]", "[x * 2 for x in [1, 2] if x > 1]"),
        ('f"{max([1, 2]):>4}"', 'f"{max([1, 2]):>4}"'),
        ("sum(len(x) for x in ['a'])", 'sum((len(x) for x in ["a"]))'),
        ("a['x'] + 1", '_get(a, "x") + 1'),
        ("a.groupby('c')['x'].mean()", 'a.groupby("c")["x"].mean()'),
        ("a[1:]", "a[1:]"),
        ("max(a)", "_max(a)"),
        ("max(a, 3)", "max(a, 3)"),
        ("list(zip([1], [2]))", "list(zip([1], [2]))"),
        ("zip([1], [2])", "list(zip([1], [2]))"),
        ("[k for k, v in {'a': 1}.items()]", '[k for k, v in {"a": 1}.items()]'),
        ("[max for max in [1]]", "[max_ for max_ in [1]]"),
        ("a.assign(y=lambda d: d.x * 2)", 'a.assign(y=lambda d: d["x"] * 2)'),
    ],
)
def test_a_helper_stands_only_where_python_would_give_something_else(text, plain):
    """What is known to be Python's own is written as it is."""
    assert spelled(text, ["a"]) == plain


def test_the_helpers_read_the_attributes_that_plans_read():
    """The table in the script's text says what the table of idioms says; a column may have any other name."""
    ours = (
        {(name, kind) for name, kinds in ATTRIBUTES.items() for kind in kinds}
        | {("loc", kind) for kind in ("Series", "DataFrame")}
        | {("iloc", kind) for kind in ("Series", "DataFrame")}
    )
    assert {(name, kind) for kind, names in table_helpers._READ.items() for name in names} == ours
    assert "mean" in METHODS


def test_a_default_dict_does_not_grow_in_a_script():
    """As in a plan."""
    from collections import defaultdict

    table = defaultdict(list, a=[1])
    assert (table_helpers._get(table, "b"), table_helpers._field(table, "a"), dict(table)) == ([], [1], {"a": [1]})


@pytest.mark.parametrize("text", ["max(s)", "min(s, default=7)", "sorted(s)", "sorted(s, reverse=True)"])
def test_a_script_orders_categories_of_numbers_with_gaps_as_a_plan_does(text):
    """Whole numbers have no missing one among them, so that the column itself cannot become numbers."""
    column = pd.Series([2, None, 1], dtype=pd.CategoricalDtype([2, 1, 9]))
    expected = evaluate(parse(text, ["s"]), Scope({"s": column}))
    assert same(performed(spelled(text, ["s"]), {"s": column}), expected)
