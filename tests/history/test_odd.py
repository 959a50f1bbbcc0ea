"""Values whose classes do what they like cost themselves at most: the run ends, and the rest of it is kept."""

from __future__ import annotations

import contextlib
import shutil
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.events import Event, Log, RunEnded, RunStarted, TaskEnded, Warned
from compiler_nb.history import History, NotStored
from compiler_nb.history.file import File
from compiler_nb.plan.expression import Value
from compiler_nb.run import Run
from compiler_nb.settings.order import Order
from compiler_nb.settings.settings import Settings
from compiler_nb.tool import tool
from compiler_nb.values.code import content_hash, decode, encode, encode_fields
from compiler_nb.values.copies import BYTES, Snapshots, is_small
from compiler_nb.values.forms import is_zone
from compiler_nb.values.functions import code_hash
from tests.support.desk import run, scripted


@dataclass(eq=False)
class Exits:
    """A value whose comparison ends the program."""

    x: int

    def __eq__(self, other):
        raise SystemExit(3)

    __hash__ = None  # type: ignore[assignment]


class Nameless(type):
    """Tells neither its module nor its name."""

    @property
    def __module__(cls):
        raise SystemExit("no module")

    @property
    def __name__(cls):
        raise SystemExit("no name")


class Unhashable(type):
    """Its classes are equal to nothing, and have no hash."""

    def __eq__(cls, other):
        raise SystemExit("no type")

    __hash__ = None  # type: ignore[assignment]


class Liar:
    """Does not say what it is."""

    @property  # type: ignore[misc]
    def __class__(self):
        raise SystemExit("no class")


NAMELESS, UNHASHABLE = Nameless("Nameless", (), {}), Unhashable("Unhashable", (), {})
ODD = {"exits": lambda: Exits(1), "nameless": NAMELESS, "unhashable": UNHASHABLE, "liar": Liar}


@tool
async def look(x: Any) -> int:
    """Return a number."""
    return 1


@pytest.mark.parametrize("count", [3, 3_000])
def test_a_value_whose_comparison_exits_is_not_stored(tmp_path, count):
    """Coded on the run's loop or on the writer's thread; this run and the next are kept."""

    @tool
    async def make() -> list[Exits]:
        """Return them."""
        return [Exits(number) for number in range(count)]

    with History(tmp_path / "runs.db") as history:
        plan, tools = "a = make()\nb = look(a)\nanswer(b)\n", [make, look]
        found = [run(Compiler(None, tools, planner=scripted(plan), history=history)) for _ in range(2)]
        loaded = [history.load(each.id, [make]) for each in found]
    for each in loaded:
        assert (each.status, each.answer) == ("done", 1)
        assert isinstance(each["a"], NotStored)
        assert each["a"].reason == "SystemExit: 3"


@pytest.mark.parametrize("kind", ["nameless", "unhashable"])
@pytest.mark.parametrize("within", [False, True], ids=["alone", "within"])
def test_a_value_of_an_odd_class_is_not_stored(kind, within):
    """It goes through the listener as it is, and says what it is."""
    got: list[Any] = []
    value = ODD[kind]()
    event = TaskEnded(1, "r", 0, 0.1, "a", 1, "done", [value] if within else value, "")
    taker = Snapshots({}, got.append)
    taker.inputs({"x": value})
    taker.listen(event)
    assert got[0].outcome == event.outcome
    coded = encode(got[0].outcome)
    assert "not plain data" in decode(coded.text).reason


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_value_among_the_fields_of_an_event_costs_only_itself(kind):
    """Of a fan-out's item, say; and a tool that holds one has a hash of its code."""
    value = ODD[kind]()
    first, second, third = decode(encode_fields([1, Value(value), value]).text)
    assert first == 1
    assert {type(second.value), type(third)} == {NotStored}

    @tool
    def hold(x: int, held: Any = value) -> int:
        """Return it."""
        return x

    assert code_hash(hold)


def test_a_table_that_cannot_be_written_costs_only_itself():
    """Neither the event that it is in nor the hash of an input raises."""
    odd = pd.DataFrame({"x": [1, "a", Exits(1)]})
    first, second = decode(encode_fields([1, odd]).text)
    assert first == 1
    assert isinstance(second, NotStored)
    assert content_hash(odd) is None


def test_the_listener_passes_on_an_event_that_cannot_be_taken():
    """Whatever it is that raises."""
    got: list[Any] = []
    taker = Snapshots({}, got.append)
    taker.tools = None  # type: ignore[assignment]
    event = TaskEnded(1, "r", 0, 0.1, "a", 1, "done", [1], "")
    taker.listen(event)
    assert got == [event]


def test_a_log_drops_a_listener_that_exits():
    """What it watches goes on, and the others hear it."""
    log, heard = Log("r"), []

    def leave(event: Event) -> None:
        raise SystemExit(3)

    log.listeners += [leave, heard.append]
    log.emit(Warned, "", "one")
    log.emit(Warned, "", "two")
    assert [event.message for event in heard] == ["one", "two"]
    assert [type(error) for error in log.broken] == [SystemExit]


class Deaf(History):
    """A history whose listener raises when a task ends."""

    def begin(self, run, lost):
        listen = super().begin(run, lost)

        def fail(event: Event) -> None:
            listen(event)
            if type(event) is TaskEnded:
                raise ValueError("no ear")

        return fail


def test_no_side_effect_begins_that_would_not_be_noted(tmp_path):
    """Where the history's listener was dropped, this is said, and nothing counts as noted."""
    paid = []

    @tool(side_effects=True)
    async def pay(x: Any) -> int:
        """Pay."""
        paid.append(x)
        return 1

    with Deaf(tmp_path / "runs.db") as history:
        plan = "a = look(0)\nb = pay(a)\nanswer(b)\n"
        found = run(Compiler(None, [look, pay], planner=scripted(plan), history=history, approve="auto"))
    assert paid == []
    assert "b" in found.failures
    (warning,) = [event.message for event in found.events if isinstance(event, Warned) and not event.task]
    assert warning == "this run is not kept: ValueError: no ear"


def test_a_run_goes_on_if_no_thread_can_be_started(tmp_path, monkeypatch):
    """It says that it is not kept; a side effect that cannot be noted does not begin."""
    paid = []

    @tool(side_effects=True)
    async def pay(x: Any) -> int:
        """Pay."""
        paid.append(x)
        return 1

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    history = History(tmp_path / "runs.db")
    plan = "a = look(0)\nb = pay(a)\nanswer(b)\n"
    found = run(Compiler(None, [look, pay], planner=scripted(plan), history=history, approve="auto"))
    history.close()
    assert found.state("a") == "done"
    assert "b" in found.failures
    assert paid == []
    (warning,) = [event.message for event in found.events if isinstance(event, Warned) and not event.task]
    assert warning.startswith("this run is not kept: no thread can be started")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_whose_thread_has_ended_starts_another(tmp_path):
    """The run that it wrote is lost, and says so; the next one is kept."""
    lost: list[str] = []

    def leave(_: bool) -> None:
        raise SystemExit(3)

    def write(run: str) -> bool:
        log, told = Log(run), []
        log.listeners.append(history.begin(Run(Order(), Settings(), log), lost.append))
        log.emit(RunStarted, "q", (), {}, {}, 1.0)
        log.emit(RunEnded, "done", "")
        history.flush(run, told.append)
        assert history._writer.wait(5)
        return bool(told == [True])

    with History(tmp_path / "runs.db") as history:
        history.begin(Run(Order(), Settings(), Log("first")), lost.append)
        thread = history._writer._thread
        assert isinstance(thread, threading.Thread)
        history.flush("first", leave)
        thread.join(5)
        told: list[bool] = []
        history.flush("first", told.append)
        assert told == [False]
        assert write("second")
        assert [row.id for row in history.runs()] == ["second"]
    assert lost == ["the thread that wrote it has ended"]


@pytest.mark.parametrize("name", ["leapseconds", "zone.tab", "tzdata.zi", "America", "Nowhere/City"])
def test_another_file_of_the_database_is_no_zone(name):
    """Only what can be read as one is."""
    assert not is_zone(name)
    assert is_zone("Europe/Oslo")


def test_a_view_of_a_large_array_is_not_small():
    """It counts as what it shows; an array of objects is never small, for what it holds is not seen."""
    large = np.zeros(2 * BYTES // 8)
    assert not is_small([large[:-1]])
    assert not is_small([memoryview(large)])
    assert not is_small([np.array([object()])])
    assert is_small([large[:10]])


def test_closing_lets_go_of_a_file_that_is_gone(tmp_path):
    """And of its folder."""
    path = tmp_path / "there" / "runs.db"
    file = File(path)
    shutil.rmtree(path.parent)
    file.close()
    with contextlib.closing(file.connection), pytest.raises(Exception, match="closed database"):
        file.connection.execute("SELECT 1")
