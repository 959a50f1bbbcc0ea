"""An object that is too large to be copied is named if it is what was stored, and stored anew if it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.events import Event, Log, TaskEnded, TaskPlanned
from compiler_nb.history import History, NotStored
from compiler_nb.history.rows import RunRows
from compiler_nb.plan.task import Task
from compiler_nb.run import Run
from compiler_nb.settings.order import Order
from compiler_nb.settings.settings import Settings
from compiler_nb.tool import Toolbox, tool
from compiler_nb.values.code import decode, encode
from compiler_nb.values.coded import LARGEST, Coded, Known, Shared
from compiler_nb.values.copies import BYTES, ITEMS
from tests.support.desk import run, scripted

HALF = BYTES // 8


@dataclass
class Box:
    """A value of a class."""

    goods: list[str]


@tool
def pack() -> Box:
    """Return a box that is too large to be coded at once."""
    return Box([str(number) for number in range(3_000)])


class Runs:
    """A run that is coded event by event; `stored` holds what comes back of each task."""

    def __init__(self) -> None:
        self.got: list[Event] = []
        made = Run(Order(), Settings(tools=Toolbox([pack])), Log("r"))
        self.record = RunRows(made, self.got.append, LARGEST, self.got.append)
        self.listen = self.record.snapshots.listen
        self.stored: dict[str, Any] = {}

    def plan(self, task: str, name: str) -> None:
        """Plan a call of a tool."""
        self.listen(TaskPlanned(0, "r", 0, 0.1, task, 0, Task(task, "call", name, ())))
        list(self.record.rows([self.got[-1]]))

    def end(self, task: str, value: Any) -> Any:
        """End a task, and return what comes back of its value."""
        self.listen(TaskEnded(len(self.got), "r", 0, 0.1, task, 1, "done", value, ""))
        event = self.got[-1]
        assert isinstance(event, TaskEnded)
        self.stored[task] = decoded(self.record._body(event), self.stored)[3]
        return self.stored[task]


def decoded(coded: Coded, shared: dict[str, Any]) -> Any:
    """Return what comes back of a coded value."""
    return decode(coded.text, blob=coded.blobs.__getitem__, shared=shared, hint=lambda _: Box)


def grow(value: Any) -> None:
    """Change a value in place."""
    if isinstance(value, pd.DataFrame):
        value["b"] *= 2
    elif isinstance(value, np.ndarray):
        value += 1
    else:
        value.append("new")


LARGE = {
    "table": lambda: pd.DataFrame({"a": np.arange(float(HALF)), "b": np.arange(float(HALF))}),
    "array": lambda: np.arange(float(HALF + 1)),
    "list": lambda: list(range(2 * ITEMS)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("within", [False, True], ids=["alone", "within"])
def test_a_large_object_is_named_until_it_is_changed(kind, within):
    """Whoever returns it, or holds it, before and after."""
    runs, value = Runs(), LARGE[kind]()

    def held() -> Any:
        return [value, 1] if within else value

    first = runs.end("a", value)
    second = runs.end("b", held())
    assert (second[0] if within else second) is first
    grow(value)
    third = runs.end("c", held())
    assert str(third[0] if within else third) == str(value)
    assert str(first) == str(LARGE[kind]())


def test_a_small_object_within_what_is_too_large_is_stored_as_it_is_now():
    """It is not copied either, and compared all the same."""
    runs, small = Runs(), {"n": 1}
    runs.end("a", small)
    rest = list(range(2 * ITEMS))
    assert runs.end("b", [small, rest])[0] is runs.stored["a"]
    small["n"] = 2
    assert runs.end("c", [small, rest])[0] == {"n": 2}
    assert runs.stored["a"] == {"n": 1}


def test_a_large_value_of_a_class_that_was_changed_is_not_stored_by_who_holds_it():
    """Only its own tool's return type knows it; unchanged it is named."""
    runs, box = Runs(), pack.function()
    runs.plan("a", "pack")
    assert runs.end("a", box) == box
    assert runs.end("b", [box])[0] is runs.stored["a"]
    box.goods.append("new")
    found = runs.end("c", [box])
    assert isinstance(found, NotStored)
    assert "changed since" in found.reason
    runs.plan("d", "pack")
    assert runs.end("d", box) == box


def test_an_object_that_holds_itself_by_now_is_not_stored():
    """Itself, or by another that is known, too."""
    runs, one, rest = Runs(), [1], list(range(2 * ITEMS))
    two = [one]
    runs.end("a", one)
    runs.end("b", two)
    one.append(two)
    assert isinstance(runs.end("c", [two, rest]), NotStored)
    one[:] = [one]
    assert isinstance(runs.end("d", [one, rest]), NotStored)
    new: list[object] = [1]
    new.append(new)
    assert isinstance(runs.end("e", new), NotStored)
    assert isinstance(runs.end("f", [new, 3]), NotStored)


def test_what_was_changed_brings_its_own_blobs():
    """Beside those of others, and as often as it is held."""
    one, two, three = np.arange(2), [np.arange(3.0), {"x": np.arange(4.0)}], np.arange(5)
    coded = encode([one, two, three, two], shared=Shared({id(two): Known(two, "t")}, {"t": "of another content"}))
    assert repr(decoded(coded, {})) == repr([one, two, three, two])


def test_objects_that_hold_one_another_are_coded_once_each():
    """Each is compared with what was stored, and so is what it holds: 60 of them, raw or copied."""
    raw: Any = [0]
    copied: Any = raw
    objects: dict[int, Known] = {}
    for number in range(60):
        raw, copied = [raw], Known([copied], f"t{number}")
        objects[id(raw)] = Known(raw, f"t{number}")
    shared = Shared(objects, dict.fromkeys((f"t{number}" for number in range(60)), "of another content"))
    assert decoded(encode(raw, shared=shared), {}) == raw
    assert decoded(encode(copied, shared=shared), {}) == raw


@pytest.mark.slow
def test_a_large_table_that_a_tool_changes_and_returns_is_stored_changed(tmp_path):
    """As is usual with pandas: what the next task gets is what is loaded."""

    @tool
    async def load() -> Any:
        """Return a table."""
        return LARGE["table"]()

    @tool
    async def double(table: Any) -> Any:
        """Change it in place, and return it."""
        grow(table)
        return table

    plan = "d = load()\ne = double(d)\nanswer(e['b'].sum())\n"
    with History(tmp_path / "runs.db") as history:
        found = run(Compiler(None, [load, double], planner=scripted(plan), history=history))
        loaded = history.load(found.id)
    assert loaded["e"].equals(found["e"])
