"""Values of pure tools are used again in later runs, and a call that is made says why."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from compiler_nb import Compiler, History, Run, ScriptedModel, Tool, tool
from compiler_nb.cache import Cache
from compiler_nb.events import CacheLooked, TaskStarted
from compiler_nb.outcome import CACHED

TOOLS = """
RATE = 1.5
def convert(x): return x * RATE
def tickers(count: int) -> list: return ["A", "BB", "CCC"][:count]
def price(name: str, day: str = "2026-01-05") -> float: return convert(len(name))
def best(rows: dict) -> str: return max(rows, key=rows.get)
"""
PLAN = """
names = tickers(3)
rows = {t: price(t, day="2026-01-05") for t in names}
top = best(rows)
answer(top)
"""


def tools(*changes: tuple[str, str]) -> list[Tool]:
    """Return the tools as another kernel has them, with changes in their text."""
    text = TOOLS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    exec(text, module := {"__name__": "__main__"})  # noqa: S102 - our own
    return [Tool(module[name], pure=True) for name in ("tickers", "price", "best")]


@pytest.fixture
def path(tmp_path):
    """Return where the history lies."""
    return tmp_path / "runs.db"


def again(path: Path | None, plan: str = PLAN, own: Any = None, inputs: Any = None, **settings: Any) -> Run:
    """Return a run of a plan in a process of its own, as far as that goes: everything is made anew."""
    history = History(path) if path is not None else None
    compiler = Compiler(None, own or tools(), cache=settings.pop("cache", "pure"), history=history, **settings)
    try:
        return run(compiler, plan, inputs)
    finally:
        if history is not None:
            history.close()


def run(compiler: Compiler, plan: str, inputs: Any = None) -> Run:
    """Return the run of a plan."""
    return asyncio.run(compiler.execute(plan, inputs=inputs))


def made(found: Run) -> list[str]:
    """Return the tasks whose tools were called."""
    return sorted(event.task for event in found.events if type(event) is TaskStarted)


def told(found: Run, task: str) -> str:
    """Return why the cache did not know a task."""
    (look,) = [event for event in found.events if type(event) is CacheLooked and event.task == task]
    assert not look.hit
    return look.told


def test_a_second_run_calls_no_pure_tool(path):
    """Items of fan-outs included; each says where its value comes from, and in which state it was before."""
    first, second = again(path), again(path)
    assert (first.answer, second.answer) == ("CCC", "CCC")
    assert len(made(first)) == 5
    assert made(second) == []
    assert second.why("top").startswith(f"done, from the cache (made in {first.id}, where it took ")
    assert {second.progress.ends[id_].how for id_ in ("names", "top", "rows[A]")} == {CACHED}
    assert second.progress.ends["names"].attempt == 0
    assert second.usage.calls == 0
    table = second.to_pandas().set_index("task")
    assert table.loc["top", "how"] == "cached"


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["off", "plan"])
def test_values_are_not_used_unless_it_is_asked_for(path, cache):
    """Nothing is kept either."""
    again(path, cache=cache)
    assert len(made(again(path))) == 5


def test_a_changed_tool_is_called_again_and_says_so(path):
    """What depends on it is called only if its value changed: arguments count, not where they come from."""
    again(path)
    found = again(path, own=tools(("convert(len(name))", "convert(len(name) + 1)")))
    assert made(found) == ["rows[A]", "rows[BB]", "rows[CCC]", "top"]
    assert told(found, "rows[A]") == "tool `price` changed"
    assert told(found, "top") == "upstream `rows` changed"
    same = again(path, own=tools(("convert(len(name))", "convert(len(name)) + 0")))
    assert made(same) == ["rows[A]", "rows[BB]", "rows[CCC]"]
    assert "not from the cache: tool `price` changed" in same.why("rows[A]")


@pytest.mark.slow
def test_what_a_tool_reaches_is_named(path):
    """A value of its module, or a function."""
    again(path)
    assert told(again(path, own=tools(("RATE = 1.5", "RATE = 2"))), "rows[A]") == (
        "tool `price` changed: it reaches `RATE`"
    )
    other = again(path, own=tools(("return x * RATE", "return RATE * x")))
    assert told(other, "rows[A]") == "tool `price` changed: it reaches `convert`"


@pytest.mark.slow
def test_a_changed_argument_is_named_with_both_values(path):
    """As the plan writes it."""
    again(path)
    found = again(path, PLAN.replace("2026-01-05", "2026-01-06"))
    assert told(found, "rows[A]") == "argument `day`: '2026-01-05' → '2026-01-06'"
    assert made(found) == ["rows[A]", "rows[BB]", "rows[CCC]"]
    assert told(again(path, PLAN.replace("tickers(3)", "tickers(2)")), "names") == "argument `count`: 3 → 2"


def test_a_changed_input_is_named(path):
    """By its content: an equal one is the same."""
    plan = "top = best(prices)\nanswer(top)"
    again(path, plan, inputs={"prices": {"A": 1}})
    assert made(again(path, plan, inputs={"prices": {"A": 1}})) == []
    found = again(path, plan, inputs={"prices": {"A": 1, "B": 2}})
    assert (found.answer, told(found, "top")) == ("B", "input `prices` changed")


def test_a_first_call_says_that_nothing_is_kept(path):
    """And a new item that there was none with its arguments."""
    assert told(again(path), "names") == "nothing is kept of `tickers` yet"
    found = again(path, PLAN.replace("for t in names", "for t in ['DDDD']"))
    assert told(found, "rows[DDDD]") == "`price` was not called with these arguments: name='DDDD', day='2026-01-05'"


def test_the_words_of_a_run_say_it_all(path):
    """A line for each that was looked for; a stored run says the same."""
    again(path)
    found = again(path, own=tools(("RATE = 1.5", "RATE = 2")))
    lines = found.cached().splitlines()
    assert lines[0].startswith("names: from the cache: made in ")
    assert lines[1] == "rows[A]: not from the cache: tool `price` changed: it reaches `RATE`"
    with History(path) as history:
        stored = history.load(found.id)
        assert stored.cached() == found.cached()
        assert stored.why("top") == found.why("top")


def test_side_effects_and_tools_that_are_not_pure_are_never_taken_from_the_cache(path):
    """Whatever is asked for."""
    called = Path(path).with_name("called")

    @tool(side_effects=True)
    def send(x: int) -> int:
        """Send it."""
        return x

    @tool
    def look(x: int) -> int:
        """Look at it."""
        return x

    for _ in range(2):
        found = again(path, "a = look(1)\nb = send(2)\nanswer([a, b])", [look, send], approve="auto", cache="all")
        assert made(found) == ["a", "b"]
    assert not called.exists()


@dataclass
class City:
    """A place."""

    name: str


class Odd:
    """Nothing can be told of it."""


@tool(pure=True)
def city(name: str) -> City:
    """Return a city."""
    return City(name)


@tool(pure=True)
def odd(name: str) -> Any:
    """Return what has no form."""
    return Odd()


@tool(pure=True)
def table(rows: int) -> Any:
    """Return a table and an array."""
    return {"table": pd.DataFrame({"a": range(rows)}), "array": np.arange(rows)}


@tool(pure=True)
def name_of(place: Any) -> str:
    """Return the name of what it is."""
    return type(place).__name__


def test_values_of_classes_and_tables_are_kept(path):
    """As a history keeps them; and as arguments they are compared by their content."""
    plan = 'a = city("Oslo")\nb = name_of(a)\nc = table(3)\nanswer([a, b, c])'
    first, second = (again(path, plan, [city, name_of, table]) for _ in range(2))
    assert made(second) == []
    assert second.answer[:2] == first.answer[:2] == [City("Oslo"), "City"]
    pd.testing.assert_frame_equal(second.answer[2]["table"], first.answer[2]["table"])
    assert np.array_equal(second.answer[2]["array"], np.arange(3))


def test_what_cannot_be_kept_or_compared_is_named_and_simply_runs(path):
    """The value of one tool, and the argument of another."""
    plan = 'a = odd("x")\nb = name_of(a)\nanswer(b)'
    for number in range(2):
        found = again(path, plan, [odd, name_of])
        assert (found.answer, made(found)) == ("Odd", ["a", "b"])
        assert told(found, "b") == "argument `place`: Odd has no content to compare"
        if number:
            why = "its value is not kept: it is not plain data: it is computed again when it is needed"
            assert told(found, "a") == why


LOCK = threading.Lock()
CONNECTION = sqlite3.connect(":memory:", check_same_thread=False)


@tool(pure=True)
def reads_connection(x: int) -> int:
    """Read what has no content."""
    return int(CONNECTION.execute("SELECT ?", (x,)).fetchone()[0])


def test_a_tool_that_reads_what_cannot_be_compared_is_named(path):
    """It is called each time."""
    for _ in range(2):
        found = again(path, "a = reads_connection(1)\nanswer(a)", [reads_connection])
        assert told(found, "a") == (
            "tool `reads_connection`: it reads CONNECTION: Connection has no content to compare"
        )
        assert made(found) == ["a"]


SEEN: list[int] = []


@tool(pure=True)
def remembers(x: int) -> int:
    """Change what it reads: it is not pure."""
    SEEN.append(x)
    return len(SEEN)


def test_a_tool_that_changes_what_it_reads_is_never_taken_from_the_cache(path):
    """Though it says that it is pure."""
    plan = "a = remembers(1)\nanswer(a)"
    first, second = again(path, plan, [remembers]), again(path, plan, [remembers])
    assert second.answer == first.answer + 1
    assert told(second, "a") == "tool `remembers` changed: it reaches `SEEN`"


@pytest.mark.slow
def test_an_argument_that_changes_while_the_tool_runs_is_not_kept_under(path):
    """The value is of neither content for certain."""
    rows, begun, grown = [1], threading.Event(), threading.Event()

    @tool(pure=True)
    def total(values: Any) -> int:
        """Add them up, slowly."""
        begun.set()
        grown.wait(60)
        return sum(values)

    @tool
    def grow(values: Any) -> int:
        """Change an argument of another call."""
        begun.wait(60)
        values.append(2)
        grown.set()
        return len(values)

    with History(path) as history:
        compiler = Compiler(None, [total, grow], cache="pure", history=history)
        found = run(compiler, "a = total(rows)\nb = grow(rows)\nanswer([a, b])", {"rows": rows})
        assert found.answer == [3, 2]
        assert run(compiler, "a = total(rows)\nanswer(a)", {"rows": [1]}).answer == 1


def test_a_value_that_a_later_tool_changes_is_kept_as_it_was_returned(path):
    """It is copied at once."""

    @tool
    def spoil(values: Any) -> int:
        """Change it."""
        values.append("spoiled")
        return len(values)

    for _ in range(2):
        found = again(path, "a = tickers(2)\nb = spoil(a)\nc = tickers(2)\nanswer(b)", [*tools(), spoil])
        assert found.answer == 3


def test_without_a_history_it_is_kept_by_the_compiler():
    """For as long as that lives."""
    compiler = Compiler(None, tools(), cache="pure")
    assert len(made(run(compiler, PLAN))) == 5
    assert made(run(compiler, PLAN)) == []
    assert len(made(again(None))) == 5
    compiler.cache.clear()
    assert len(made(run(compiler, PLAN))) == 5


@pytest.mark.slow
def test_a_run_that_is_cancelled_keeps_what_was_done(path):
    """And the next one goes on from there."""

    @tool(pure=True)
    async def wait(seconds: float) -> float:
        """Wait."""
        await asyncio.sleep(seconds)
        return seconds

    async def main() -> Run:
        with History(path) as history:
            compiler = Compiler(None, [wait], cache="pure", history=history)
            found, work = compiler.begin(compiler.order(plan="a = wait(0.01)\nb = wait(30)\nanswer([a, b])"))
            asyncio.get_running_loop().call_later(0.3, found.cancel)
            await work
            return found

    assert asyncio.run(main()).status == "cancelled"
    assert made(again(path, "a = wait(0.01)\nanswer(a)", [wait])) == []


def test_no_key_gets_into_the_cache(path):
    """A value that holds one is not kept, and says so; an argument is not shown."""
    key = "sk-very-secret-0123456789"

    class Keyed(ScriptedModel):
        """A model with a key."""

        @property
        def secrets(self) -> Any:
            from compiler_nb.models.secret import Secret

            return (Secret(key),)

    @tool(pure=True)
    def echo(x: str) -> str:
        """Return it."""
        return x

    for number in range(2):
        found = again(path, f'a = echo("{key}")\nanswer(1)', [echo], joiner=Keyed("x"))
        assert made(found) == ["a"]
        if number:
            assert told(found, "a") == "its value is not kept: it holds a key"
    assert key[4:].encode() not in path.read_bytes()


def test_a_damaged_entry_is_made_again(path):
    """Nothing is raised, and the right value is kept in its place."""
    again(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE cache SET data = replace(data, 'CCC', 'XXX')")
        db.execute("UPDATE cache SET body = '{}' WHERE name = 'values of price'")
    found = again(path)
    assert (found.answer, len(made(found))) == ("CCC", 5)
    assert made(again(path)) == []


def test_two_threads_and_two_histories_share_a_file(path):
    """Each gives what is right; what one has made the next one takes."""
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(again(path).answer)) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert answers == ["CCC"] * 6
    assert made(again(path)) == []


@pytest.mark.slow
def test_a_thousand_calls_are_looked_for_together(path, monkeypatch):
    """The file is not read once for each of them."""
    plan = "rows = {n: price(str(n)) for n in range(1000)}\nanswer(len(rows))"
    again(path, plan)
    find, asked = Cache.find, []
    monkeypatch.setattr(Cache, "find", lambda cache, keys: asked.append(len(keys)) or find(cache, keys))
    found = again(path, plan)
    assert (found.answer, made(found)) == (1000, [])
    assert sum(asked) >= 1_000
    assert len(asked) < 50


def test_the_time_that_looking_took_is_no_wait_for_a_slot(path, monkeypatch):
    """`why` says that the call waited for the cache; what a busy machine took besides, it may name, too."""

    def slow(cache: Cache, keys: Any) -> Any:
        time.sleep(0.5)
        return find(cache, keys)

    find = Cache.find
    monkeypatch.setattr(Cache, "find", slow)
    why = again(path, "n = tickers(3)\nanswer(n)\n").why("n")
    assert "for the cache" in why
    assert not re.search(r"(\d{3} ms|\d s) for a slot", why)
