from __future__ import annotations

from random import Random

import pytest

from compiler_nb.plan.expression import Value, spell, spell_call, spell_pattern
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import variable
from compiler_nb.plan.tree import Input, Ref, references, replace, walk
from tests.plan.test_evaluate import SAME
from tests.support.expressions import NAMES, parse, random_expression
from tests.support.scale import seed, times

COVERS = ("tree.py",)


@pytest.mark.parametrize("text", SAME)
def test_a_tree_that_is_spelled_can_be_read_again(text):
    """What `spell` writes is Python that gives the same tree."""
    tree = parse(text, NAMES)
    assert parse(spell(tree), NAMES) == tree


def test_a_random_tree_that_is_spelled_can_be_read_again():
    """However operators nest."""
    random = Random(seed())
    for _ in range(times(500)):
        tree = parse(random_expression(random), NAMES)
        assert parse(spell(tree), NAMES) == tree, spell(tree)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("(1 + n) * 2", "(1 + n) * 2"),
        ("1 + (n * 2)", "1 + n * 2"),
        ("(-n) ** 2", "(-n) ** 2"),
        ("-(n ** 2)", "-n ** 2"),
        ("2 ** (-1)", "2 ** (-1)"),
        ("n - (1 - n)", "n - (1 - n)"),
        ("(1 if n else 2) + 1", "(1 if n else 2) + 1"),
        ("not (n and x)", "not (n and x)"),
        ("(n < 1) == True", "(n < 1) == True"),
        ("[v for v in (xs if n else words)]", "[v for v in (xs if n else words)]"),
        ("xs[1:][::2]", "xs[1:][::2]"),
        ("f'{n:>5}{{}}'", 'f"{n:>5}{{}}"'),
        ("max(d, key=d.get)", "max(d, key=d.get)"),
        ("set()", "set()"),
        ("(n,)", "(n,)"),
    ],
)
def test_a_tree_is_spelled_with_no_more_brackets_than_it_needs(text, spelled):
    """As a person would write it."""
    assert spell(parse(text, NAMES)) == spelled


def test_a_task_is_named_by_its_variable():
    """t1 for the id "1", unless the caller names tasks in another way; values are shown in short."""
    assert variable("1") == "t1"
    assert spell([Ref("1"), Input("df"), Value("x" * 99), Value(3)]) == "[t1, df, <str>, 3]"
    assert spell(Ref("1"), lambda id_: f"${id_}") == "$1"


def test_a_task_is_spelled_as_its_line():
    """Calls, expressions and fan-outs; the calls of an element stand where their values are used."""
    lines = {
        "a": 'search("x", k=1)',
        "b": "{k: f(g(v), n=1) for k, v in a.items() if v}",
        "c": '[{"k": f(x)} for x in b]',
        "d": 'a["n"] + len(c)',
    }
    plan = Plan.parse("\n".join(f"{name} = {line}" for name, line in lines.items()), dialect="python")
    assert {task.id: spell_call(task) for task in plan} == lines
    assert spell_pattern(("a", ("b", "c"))) == "a, (b, c)"


def test_a_walk_meets_each_node_in_the_order_of_the_text():
    """Before what it holds; never into a value, and never deep enough to fall."""
    tree = parse("[n + x, {word: xs[n]}]", NAMES)
    assert references(tree) == ("n", "x", "word", "xs")
    assert list(walk(Value(Ref("a")))) == [Value(Ref("a"))]
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert list(walk(deep)) == []


def test_replacing_changes_what_is_named_and_nothing_else():
    """A new tree; where nothing changes, nodes stay the same objects."""
    tree = parse("[n + x, {word: n}]", NAMES)
    changed = replace(tree, lambda node: 5 if node == Ref("n") else node)
    assert changed == parse("[5 + x, {word: 5}]", NAMES)
    assert replace(tree, lambda node: node)[0] is tree[0]
