"""What a task returned is stored as it was when the task ended, whatever a later tool makes of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.events import Decided, ModelChunk, TaskEnded, TaskExpanded
from compiler_nb.history import History, NotStored
from compiler_nb.outcome import Answer, Failure, Skipped
from compiler_nb.plan.expression import Value
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from compiler_nb.tool import tool
from compiler_nb.values.copies import BYTES, FLYING, ITEMS, Snapshots, is_small
from tests.support.desk import run, scripted


@dataclass
class Shop:
    """A value of a class."""

    name: str
    goods: list[str] = field(default_factory=list)


@tool
def shop(name: str) -> Shop:
    """Return a shop."""
    return Shop(name, ["tea"])


MADE = {
    "list": lambda: [1, [2, {"a": 3}]],
    "dict": lambda: {"a": [1], ("k", 1): {2}},
    "set": lambda: {1, 2},
    "bytearray": lambda: bytearray(b"ab"),
    "tuple": lambda: (1, [2]),
    "frame": lambda: pd.DataFrame({"x": [1.5, 2.5], "s": ["a", "b"]}),
    "series": lambda: pd.Series([1, 2], name="n"),
    "array": lambda: np.arange(4.0),
}
CHANGE = {
    "list": lambda value: value[1][1].update(a=9),
    "dict": lambda value: value[("k", 1)].add(9),
    "set": lambda value: value.add(9),
    "bytearray": lambda value: value.extend(b"!"),
    "tuple": lambda value: value[1].append(9),
    "frame": lambda value: value.loc.__setitem__((0, "x"), 9.0),
    "series": lambda value: value.iloc.__setitem__(0, 9),
    "array": lambda value: value.__setitem__(0, 9.0),
}


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of a kind."""
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize("kind", MADE)
def test_a_value_is_stored_as_it_was_when_its_task_ended(tmp_path, kind):
    """And what a later tool makes of the same object, as that was then; what passes it on unchanged names it."""

    @tool
    async def make() -> Any:
        """Return it."""
        return MADE[kind]()

    @tool
    async def keep(x: Any) -> Any:
        """Return it again."""
        return x

    @tool
    async def change(x: Any) -> Any:
        """Change it in place, and return it."""
        CHANGE[kind](x)
        return x

    plan = "a = make()\nb = keep(a)\nc = [b, 1]\nd = change(c[0])\ne = {'d': d}\nanswer(e)\n"
    with History(tmp_path / "runs.db") as history:
        found = run(Compiler(None, [make, keep, change], planner=scripted(plan), history=history))
        loaded = history.load(found.id)
    before, after = MADE[kind](), MADE[kind]()
    CHANGE[kind](after)
    assert same(found["a"], after)
    assert same(loaded["a"], before)
    assert same(loaded["c"], [before, 1])
    if kind != "bytearray":  # which is held by value
        assert loaded["b"] is loaded["c"][0] is loaded["a"]
    assert same(loaded["d"], after)
    assert same(loaded["e"]["d"], after)
    assert same(loaded.answer["d"], after)


def test_inputs_are_stored_as_they_were_when_the_run_began(tmp_path):
    """They are the user's objects, and a tool may change them."""

    @tool
    async def change(table: Any, rows: Any) -> Any:
        """Change both."""
        table.loc[0, "x"] = 9.0
        rows.append(9)
        return [table, rows]

    given = {"df": MADE["frame"](), "rows": [1, 2]}
    with History(tmp_path / "runs.db") as history:
        found = run(
            Compiler(None, [change], planner=scripted("a = change(df, rows)\nanswer(1)\n"), history=history),
            inputs=given,
        )
        loaded = history.load(found.id)
    assert same(loaded.inputs["df"], MADE["frame"]())
    assert loaded.inputs["rows"] == [1, 2]
    assert same(loaded["a"], [given["df"], [1, 2, 9]])


def test_a_value_of_a_class_is_stored_as_it_was(tmp_path):
    """By its tool's return type; who holds it unchanged names it, who holds it changed cannot be stored."""

    @tool
    async def rename(x: Any) -> int:
        """Change it in place."""
        x.goods.append("salt")
        return 1

    @tool
    async def hold(x: Any, after: Any) -> Any:
        """Hold it."""
        return [x]

    plan = "a = shop('x')\nb = hold(a, 0)\nc = rename(b[0])\nd = hold(a, c)\nanswer(c)\n"
    with History(tmp_path / "runs.db") as history:
        found = run(Compiler(None, [shop, rename, hold], planner=scripted(plan), history=history))
        loaded = history.load(found.id, [shop])
    assert loaded["a"] == Shop("x", ["tea"])
    assert loaded["b"][0] is loaded["a"]
    assert isinstance(loaded["d"], NotStored)
    assert "changed since" in loaded["d"].reason


def test_the_items_of_a_fan_out_are_stored_as_they_were(tmp_path):
    """What they are called with, each one's value, and the whole with the changes that were made by then."""

    @tool
    async def mark(x: Any) -> Any:
        """Change it in place."""
        x["seen"] = True
        return x

    plan = "a = [{'n': 1}, {'n': 2}]\nrows = [mark(x) for x in a]\nanswer(rows)\n"
    with History(tmp_path / "runs.db") as history:
        found = run(Compiler(None, [mark], planner=scripted(plan), history=history))
        loaded = history.load(found.id)
    (expanded,) = [event for event in loaded.events if isinstance(event, TaskExpanded)]
    assert [item.args[0].value for item in expanded.items] == [{"n": 1}, {"n": 2}]
    assert loaded["rows"] == [{"n": 1, "seen": True}, {"n": 2, "seen": True}]
    assert loaded["rows"][0] is loaded["rows[0]"]


# ------------------------------------------------------------------- the copies


def taker(put=lambda event: None) -> Snapshots:
    """Return what takes the events of a run with one tool."""
    return Snapshots({"shop": shop}, put)


def ended(value: Any, task: str = "a", seq: int = 1) -> TaskEnded:
    """Return the end of a task."""
    return TaskEnded(seq, "r", 0, 0.1, task, 1, "done", value, "")


@pytest.mark.parametrize(
    "value", [None, 1, "x" * 10**6, 1.5, (1, "a"), frozenset({1}), np.float64(1), Skipped("a", "b")]
)
def test_what_cannot_change_goes_through_as_it_is(value):
    """The event is the same object, and so is one that has no value."""
    got: list[Any] = []
    listen = taker(got.append).listen
    events = [ended(value), ModelChunk(2, "r", 0, 0.1, 1, "x")]
    for event in events:
        listen(event)
    assert got[0] is events[0]
    assert got[1] is events[1]


def endless() -> list[Any]:
    """Return a list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda: list(range(ITEMS + 1)), lambda: [[1]] * ITEMS, lambda: np.zeros(BYTES), lambda: bytearray(BYTES + 1),
        endless, lambda: Shop("x", ["y"] * 5_000), object, lambda: np.array([object()]),
    ],
)  # fmt: skip
def test_what_is_too_large_or_has_no_copy_goes_as_it_is(make):
    """As it will be when it is coded."""
    got: list[Any] = []
    event = ended(make())
    taker(got.append).listen(event)
    assert got[0] is event


def test_a_table_above_the_bound_is_safe_where_pandas_copies_on_write():
    """It is not copied, and yet it is what it was."""
    got: list[Any] = []
    table = pd.DataFrame({"x": np.zeros(BYTES // 4)})
    taker(got.append).listen(ended(table))
    table.loc[0, "x"] = 9.0
    assert got[0].outcome.loc[0, "x"] == (0.0 if int(pd.__version__.split(".")[0]) >= 3 else 9.0)


def test_copies_that_wait_to_be_coded_are_bounded():
    """Above the bound arrays go as they are, until the writer has caught up."""
    got: list[Any] = []
    taking, array = taker(got.append), np.zeros(BYTES // 8)
    listen = taking.listen
    count = FLYING // BYTES
    for seq in range(count + 2):
        listen(ended(array.copy(), f"t{seq}", seq))
    copied = [event.outcome is not taking.known[id(event.outcome)].value if id(event.outcome) in taking.known else True
              for event in got]  # fmt: skip
    assert copied == [True] * count + [False] * 2
    for event in got:
        taking.landed(event)
    listen(ended(array, "last", 99))
    assert got[-1].outcome is not array


def test_failures_and_answers_carry_copies():
    """What there is of a fan-out, and what was decided."""
    got: list[Any] = []
    listen = taker(got.append).listen
    partial, value = [[1]], {"a": [1]}
    listen(ended(Failure("items", "x", partial=partial)))
    listen(Decided(2, "r", 0, 0.1, Answer(value), "plan"))
    partial[0].append(2)
    value["a"].append(2)
    assert got[0].outcome == Failure("items", "x", partial=[[1]])
    assert got[1].decision == Answer({"a": [1]})


def test_tasks_whose_arguments_are_texts_are_not_copied():
    """Only values that may change are looked into, wherever in the arguments they stand."""
    got: list[Any] = []
    rows = [1]
    plain, deep = Task("f[0]", "call", "get", ("x",)), Task("f[1]", "call", "get", ([Value(rows), Ref("a")],))
    taker(got.append).listen(TaskExpanded(1, "r", 0, 0.1, "f", 1, (plain, deep)))
    rows.append(2)
    assert got[0].items[0] is plain
    assert got[0].items[1].args == ([Value([1]), Ref("a")],)
    assert dataclasses.replace(got[0].items[1], args=()) == dataclasses.replace(deep, args=())


def test_small_is_told_without_running_anything():
    """By what the garbage collector sees, slots and cycles included."""
    assert is_small(Shop("x", ["y"] * 100))
    assert not is_small(Shop("x" * 5_000_000))
    assert not is_small(Shop("x", [str(n) for n in range(3_000)]))
    assert not is_small([np.zeros(BYTES)])
    assert is_small(endless())
