# ruff: noqa: D103 - tools and helpers of a test are read where they stand
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import BOUNDS, Scope
from compiler_nb.outcome import Failure, Skipped
from compiler_nb.plan.fanout import Shape, collect, expand, needs
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.tree import Ref
from tests.support.witness import LOOKED_UP, Witness

if TYPE_CHECKING:
    from compiler_nb.plan.task import Task

EARLIER = {"rows": "f1", "pages": "f2", "k": "f3", "xs": "f4", "who": "f5"}
CONTAINERS = {"rows": "dict", "pages": "list"}
SHAPES = {
    "rows": Shape.of("dict", ["A", "B"], ["rows[A]", "rows[B]"]),
    "pages": Shape.of("list", [None, None], ["pages[0]", "pages[1]"]),
}


def fanout(comprehension: str) -> Task:
    """Return the task of `f = comprehension`; rows is a dict fan-out, pages a list one, k, xs and who are tasks."""
    parser = PlanParser(dialect="python", earlier=EARLIER)
    (task,) = parser.feed(f"f = {comprehension}\n")
    return task


def waits(comprehension: str):
    return needs(fanout(comprehension), lambda id_: CONTAINERS.get(id_, ""))


def items(comprehension: str, **values) -> dict[str, tuple]:
    """Return the arguments of the items by id, with rows and pages expanded but not ended unless given."""
    expansion = expand(fanout(comprehension), Scope(values), SHAPES)
    return {task.id: task.args for task, _ in expansion.tasks}


# ------------------------------------------------------------------- what it waits for


@pytest.mark.parametrize(
    ("comprehension", "whole", "shapes"),
    [
        ("[t(x) for x in xs]", ("xs",), ()),
        ("[t(x) for x in [1, k]]", ("k",), ()),
        ("[t(x, k) for x in xs]", ("xs",), ()),
        ("[t(x) for x in xs if x > k]", ("xs", "k"), ()),
        ("[t(p) for p in pages]", (), ("pages",)),
        ("[t(r) for r in rows]", (), ("rows",)),
        ("{r: t(rows[r]) for r in rows}", (), ("rows",)),
        ("{r: t(rows[r]) for r in rows if r != 'A'}", (), ("rows",)),
        ("{r: t(rows[r]) for r in xs}", ("xs",), ("rows",)),
        ("[t(pages[i]) for i in range(2)]", (), ("pages",)),
        ("[t(p) for p in pages if p > 1]", ("pages",), ()),
        ("{p: t(p) for p in pages}", ("pages",), ()),
        ("[t(a) for a, b in pages]", ("pages",), ()),
        ("[t(p, x) for p, x in zip(pages, xs)]", ("xs",), ("pages",)),
        ("[t(p, x) for p, x in zip(pages, xs) if x]", ("xs",), ("pages",)),
        ("[t(p, x) for p, x in zip(pages, xs) if p]", ("pages", "xs"), ()),
        ("[t(p) for i, p in enumerate(pages) if i]", (), ("pages",)),
        ("[t(p) for i, p in enumerate(pages, k)]", ("k",), ("pages",)),
        ("[t(v) for key, v in rows.items() if key != 'A']", (), ("rows",)),
        ("[t(v) for key, v in rows.items() if v]", ("rows",), ()),
        ("[t(v) for v in rows.values()]", (), ("rows",)),
        ("[t(v) for v in rows.keys() if v]", (), ("rows",)),
        ("[t(p) for p in reversed(pages)]", (), ("pages",)),
        ("[t(p) for p in pages[:1]]", (), ("pages",)),
        ("[t(p) for p in pages[:k]]", ("pages", "k"), ()),
        ("[t(p) for p in sorted(pages)]", ("pages",), ()),
        ("[t(p) for p in [x for x in pages if x]]", ("pages",), ()),
    ],
)
def test_a_fanout_waits_for_as_little_as_it_can(comprehension, whole, shapes):
    """For items only by their shape, unless a filter, a key or the source itself reads their values."""
    assert waits(comprehension) == (whole, shapes)


# ------------------------------------------------------------------- items


def test_an_item_is_a_task_per_value():
    """List items are numbered, dict items bear their keys, and the values stand in the arguments."""
    assert items("[t(x, n=1) for x in xs]", xs=["a", "b"]) == {"f[0]": ("a",), "f[1]": ("b",)}
    assert items("{x: t(x) for x in xs}", xs=["a", 7]) == {"f[a]": ("a",), "f[7]": (7,)}
    assert items("{(a, b): t(a) for a, b in xs}", xs=[("x", 1)]) == {"f[x, 1]": ("x",)}
    assert items("[t(x) for x in xs if x > 1]", xs=[1, 2, 3]) == {"f[0]": (2,), "f[1]": (3,)}
    assert items("[t(x) for x in xs]", xs=[]) == {}


def test_a_key_is_shown_harmlessly():
    """Brackets, hashes and control characters cannot forge an id; what is no plain value is numbered."""
    assert list(items("{x: t(x) for x in xs}", xs=["a].1", "#2", "a\nb", "x" * 99, (1, (2,))])) == [
        "f[a_.1]", "f[_2]", "f[a_b]", f"f[{'x' * 40}]", "f[item 4]",
    ]  # fmt: skip


def test_repeated_keys_are_numbered():
    """The second item of a key is #2; the dict has the last one's value, as in Python."""
    expansion = expand(fanout("{x: t(x) for x in xs}"), Scope({"xs": ["a", "b", "a"]}), {})
    assert [task.id for task, _ in expansion.tasks] == ["f[a]", "f[b]", "f[a]#2"]
    assert collect(expansion.shape, {"f[a]": 1, "f[b]": 2, "f[a]#2": 3}) == {"a": 3, "b": 2}


def test_the_calls_of_an_element_are_a_chain():
    """Steps are .1, .2, ...; what is no call itself is collected by an expression."""
    found = expand(fanout("[t(u(x), v(w(x))) for x in xs]"), Scope({"xs": ["a"]}), {}).tasks
    assert [(task.id, task.dependencies, is_item) for task, is_item in found] == [
        ("f[0].1", (), False), ("f[0].2", (), False), ("f[0].3", ("f[0].2",), False),
        ("f[0]", ("f[0].1", "f[0].3"), True),
    ]  # fmt: skip
    found = expand(fanout("[{'k': x, 'v': u(x)} for x in xs]"), Scope({"xs": ["a"]}), {}).tasks
    assert [(task.id, task.kind, task.args) for task, _ in found] == [
        ("f[0].1", "call", ("a",)), ("f[0]", "expr", ({"k": "a", "v": Ref("f[0].1")},)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("comprehension", "linked"),
    [
        ("[t(p) for p in pages]", ["pages[0]", "pages[1]"]),
        ("[t(p) for p in reversed(pages)]", ["pages[1]", "pages[0]"]),
        ("[t(p) for p in pages[1:]]", ["pages[1]"]),
        ("[t(p) for i, p in enumerate(pages)]", ["pages[0]", "pages[1]"]),
        ("[t(p) for p, x in zip(pages, xs)]", ["pages[0]", "pages[1]"]),
        ("[t(pair[0]) for pair in zip(pages, xs)]", ["pages[0]", "pages[1]"]),
        ("[t(pages[i]) for i in [1, -2]]", ["pages[1]", "pages[0]"]),
        ("{r: t(rows[r]) for r in rows}", ["rows[A]", "rows[B]"]),
        ("[t(v) for k2, v in rows.items()]", ["rows[A]", "rows[B]"]),
        ("[t(v) for v in rows.values()]", ["rows[A]", "rows[B]"]),
        ("[t(rows[r]) for r in ['B']]", ["rows[B]"]),
        ("[t(rows['A']) for r in xs]", ["rows[A]", "rows[A]"]),
        ("[t(p['x'][0]) for p in pages]", ["pages[0]", "pages[1]"]),
    ],
)
def test_items_are_linked_to_items(comprehension, linked):
    """By key, index, iteration, zip, enumerate and items(): each item depends on one item, not on the whole."""
    expansion = expand(fanout(comprehension), Scope({"xs": [1, 2]}), SHAPES)
    assert [task.dependencies for task, _ in expansion.tasks] == [(id_,) for id_ in linked]


def test_a_key_that_is_not_there_is_said_when_the_whole_is():
    """Such an item waits for the whole fan-out, and fails like any other look-up."""
    expansion = expand(fanout("[t(rows[r]) for r in ['Z']]"), Scope({}), SHAPES)
    assert [task.dependencies for task, _ in expansion.tasks] == [("rows",)]


def test_items_of_a_fanout_that_failed_in_part_are_linked_as_well():
    """What is done of it can be used."""
    failed = Failure("items", "1 of 2 items failed", partial=[1, Failure("raised", "x")])
    assert items("[t(p) for p in pages]", pages=failed) == {"f[0]": (Ref("pages[0]"),), "f[1]": (Ref("pages[1]"),)}


def test_a_value_is_never_read_as_a_reference():
    """A string from a tool that looks like an id or a template is a value."""
    assert items("[t(f'{x}!') for x in xs]", xs=["rows", "{k}"]).keys() == {"f[0]", "f[1]"}
    expansion = expand(fanout("[t(x) for x in xs]"), Scope({"xs": ["rows", "$k", {"id": "rows"}]}), SHAPES)
    assert [task.dependencies for task, _ in expansion.tasks] == [(), (), ()]


def test_equal_items_have_different_fingerprints():
    """The fingerprint of an item is its fan-out's and its place; names do not matter."""
    first, second = (task for task, _ in expand(fanout("[t(x) for x in xs]"), Scope({"xs": ["a", "a"]}), {}).tasks)
    assert first.fingerprint != second.fingerprint


# ------------------------------------------------------------------- limits and faults


class Endless:
    """A sequence that never ends."""

    def __getitem__(self, index):
        return index


@pytest.mark.slow
def test_there_are_at_most_ten_thousand_items():
    """More is a failure that says to use a tool."""
    assert len(items("[t(x) for x in xs]", xs=range(BOUNDS.items))) == BOUNDS.items == 10_000
    with pytest.raises(ExpressionError, match=r"more than 10,000 items \(Bounds.items\): use a tool"):
        items("[t(x) for x in xs]", xs=range(BOUNDS.items + 1))
    with pytest.raises(ExpressionError, match="more than 10,000 items"):
        items("[t(x) for x in xs]", xs=Endless())


@pytest.mark.parametrize(
    ("xs", "told"),
    [
        (5, "TypeError: 'int' object is not iterable (with xs = 5); a fan-out goes over a list"),
        (None, "'NoneType' object is not iterable (with xs = None)"),
        ([1, 2], "1 cannot be unpacked into 2 names (with xs = list of 2)"),
        ({"ab": 1, "c": 2}, "cannot be unpacked into 2 names (with xs = dict of 2)"),
        ([(1, 2, 3)], "tuple of 3 cannot be unpacked into 2 names"),
    ],
)
def test_a_source_that_does_not_fit_is_an_error(xs, told):
    """Not iterable, or not to be taken apart: the error names the comprehension, the reason and the value."""
    with pytest.raises(ExpressionError) as caught:
        items("[t(a) for a, b in xs]", xs=xs)
    assert str(caught.value).startswith("[t(a) for a, b in xs]: ")
    assert told in str(caught.value)


def test_an_empty_source_is_an_empty_value():
    """Of any kind; nothing is called."""
    for xs in ([], (), {}, "", set(), range(0)):
        assert items("[t(x) for x in xs]", xs=xs) == {}
    assert collect(Shape.of("dict", [], []), {}) == {}


class Growing:
    """Gives one more item with each that is taken."""

    def __init__(self, limit):
        self.found = [0]
        self.limit = limit

    def __iter__(self):
        for item in self.found:
            if len(self.found) < self.limit:
                self.found.append(item + 1)
            yield item


def test_a_source_that_changes_while_it_is_read_is_read_once():
    """It ends, or is too long, or fails as Python's own does; what it holds later makes no more items."""
    xs = Growing(50)
    assert len(items("[t(x) for x in xs]", xs=xs)) == 50
    with pytest.raises(ExpressionError, match="more than 10,000 items"):
        items("[t(x) for x in xs]", xs=Growing(10**9))

    class Changing(dict):
        def __iter__(self):
            for key in super().__iter__():
                self[key, 1] = 1
                yield key

    with pytest.raises(ExpressionError, match="RuntimeError: dictionary changed size during iteration"):
        items("[t(x) for x in xs]", xs=Changing(a=1))
    source = [1, 2]
    expansion = expand(fanout("[t(x) for x in xs]"), Scope({"xs": source}), {})
    source.append(3)
    assert [task.args for task, _ in expansion.tasks] == [(1,), (2,)]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, GeneratorExit])
def test_a_source_that_raises_is_an_error_of_ours(error):
    """Where it is iterated, filtered, unpacked or used as a key."""

    class Biting:
        def __iter__(self):
            raise error("bitten")

        __bool__ = __hash__ = __iter__

    for comprehension in ("[t(x) for x in xs]", "[t(1) for x in [xs] if x]", "{x: t(1) for x in [xs]}"):
        with pytest.raises(ExpressionError, match="bitten"):
            items(comprehension, xs=Biting())


def test_nothing_is_looked_up_on_items():
    """Neither on the source, nor on keys, nor on what is passed on."""
    for comprehension in (
        "[t(x, x[0]) for x in xs if x]",
        "{x: t(y + 1) for x, y in [(xs, xs)]}",
        "[t(k) for k in xs]",
    ):
        items(comprehension, xs=Witness(), k=Witness())
    assert not LOOKED_UP


def test_items_that_share_parts_or_nest_deeply_are_passed_on():
    """What Python would take forever to compare is a value like any other; as a key it is refused."""
    twin: tuple = ()
    for _ in range(200):
        twin = (twin, twin)
    assert items("[t(x) for x in xs]", xs=[twin])["f[0]"][0].value is twin
    assert items("[t(p) for p in zip(pages, xs)]", xs=[twin])["f[0]"][0][0] == Ref("pages[0]")
    with pytest.raises(ExpressionError, match="use a tool"):
        items("{x: t(1) for x in xs}", xs=[twin])
    assert items("[t(rows[x]) for x in xs]", xs=[twin])  # it fails when the whole is there, as any other key


# ------------------------------------------------------------------- the value


def test_the_value_is_in_order():
    """A list or a dict, in the order of the source."""
    assert collect(SHAPES["rows"], {"rows[B]": 2, "rows[A]": 1}) == {"A": 1, "B": 2}
    assert list(collect(SHAPES["rows"], {"rows[B]": 2, "rows[A]": 1})) == ["A", "B"]
    assert collect(SHAPES["pages"], {"pages[1]": 2, "pages[0]": None}) == [None, 2]


def test_a_failed_item_makes_a_failure_with_the_partial_value():
    """It carries what there is, with the failures in their places, and names the first."""
    why, after = Failure("raised", "ValueError: x"), Skipped("rows[B].1", "ValueError: y")
    value = collect(SHAPES["rows"], {"rows[A]": 1, "rows[B]": after})
    assert (value.kind, value.partial) == ("items", {"A": 1, "B": after})
    value = collect(SHAPES["pages"], {"pages[0]": why, "pages[1]": 2})
    assert value.partial == [why, 2]
    assert value.message == "1 of 2 items failed: ValueError: x (pages[0])"
