"""What a run says of tasks that wait for their turn, and of the time that this took."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.events import TaskPlanned
from compiler_nb.plan.plan import Plan
from compiler_nb.tool import tool
from compiler_nb.trace import Progress, Words, times
from tests.support.clock import run_virtually
from tests.support.session import opened


@tool(side_effects=True)
async def put(item: str) -> str:
    """Take five seconds."""
    await asyncio.sleep(5)
    if item == "bad":
        raise ValueError("sold out")
    return item


@tool(side_effects=True)
async def buy() -> None:
    """Take two seconds."""
    await asyncio.sleep(2)


@tool
async def total(shop: str = "") -> str:
    """Take a second."""
    await asyncio.sleep(1)
    return shop


def look(program: str, *moments: float, approve="auto", ask=None):
    """Perform a program; return what is said of each task at these moments, and when all has ended."""

    async def main():
        said, now = [], 0.0
        async with opened([put, buy, total], approve=approve, ask=ask) as session:
            for task in Plan.parse(program, tools=session.tools):
                session.log.emit(TaskPlanned, task.id, 0, task, "")
                session.add(task)
            session.close()
            for moment in (*moments, None):
                await (asyncio.sleep(moment - now) if moment is not None else session.drained())
                now, progress = moment or 0.0, Progress(session.log.events)
                words = Words(progress, session.log.now(), {}, {}, {"put", "buy"})
                said.append({id_: (words.whole(id_), words.short(id_)) for id_ in progress.tasks})
        return said, progress

    return run_virtually(main())


FREE = "; if it does not, @tool(pure=True) frees it"


def test_why_says_which_call_is_waited_for_and_what_would_free_a_read():
    """A later side effect waits for those above it; a read might be pure."""
    (first, second, end), _ = look('put("tea")\nbuy()\nt = total()\n', 0.5, 6.0)
    one = "`@1` (put, running 0.5 s)"
    assert first["@2"] == (f"waits for {one}: side effects are made one after another", "waits for put")
    assert first["t"][0].startswith("waits for `@2` (buy, waiting): ")
    assert first["t"][1] == "waits for buy"
    assert second["t"][0] == f"waits for `@2` (buy, running 1.0 s): total may read what buy changes{FREE}"
    assert end["t"][0] == "done after 1.0 s; it waited 7.0 s for `@2`"
    assert end["@2"][0] == "done after 2.0 s; it waited 5.0 s for `@1`"


def test_why_says_which_reads_a_side_effect_waits_for():
    """It might change what they read."""
    (said, _), _ = look("a = total()\nb = total()\nbuy()\n", 0.5)
    told, short = said["@3"]
    assert told == f"waits for `a` (running 0.5 s) and `b` (running 0.5 s): total may read what buy changes{FREE}"
    assert short == "waits for a and b"


def test_an_item_waits_for_what_its_fan_out_follows():
    """The fan-out itself is there already."""
    (said, _), _ = look('put("tea")\nrows = [total(s) for s in ["x", "y"]]\n', 0.5)
    told, short = said["rows[0]"]
    assert told == f"waits for `@1` (put, running 0.5 s): total may read what put changes{FREE}"
    assert short == "waits for put"


def test_a_call_that_was_not_needed_stands_for_what_it_follows():
    """The next one waits for the one that runs."""
    (said, _), _ = look('put("tea")\nx = put("jam") if 1 > 2 else None\nbuy()\n', 0.5)
    assert said["@3"][1] == "waits for put"
    assert "`@1`" in said["@3"][0]


def test_one_that_waits_for_approval_says_that_its_turn_comes_later():
    """It may be approved before."""

    async def ask(task, shown):
        if task.id == "@2":
            await asyncio.sleep(4)
        return True

    (said, later, end), _ = look('put("tea")\nbuy()\n', 1.0, 4.5, approve="ask", ask=ask)
    assert said["@2"][0] == (
        "ready, waits for approval of (), then for `@1` (put, running 1.0 s): side effects are made one after another"
    )
    assert said["@2"][1] == "waits for approval, then for put"
    assert later["@2"][0].startswith("ready, waits for `@1` (put, running 4.5 s)")
    assert end["@2"][0] == "done after 2.0 s; it waited 5.0 s for `@1`"


def test_a_side_effect_that_was_skipped_says_why():
    """It depends on nothing that failed."""
    (end,), progress = look('put("bad")\nb = buy()\nt = total()\n')
    assert end["b"][0] == (
        "skipped, because `@1` failed: ValueError: sold out; no later side effect of the plan is made"
    )
    assert progress.states["t"] == "done"


def test_the_critical_path_goes_along_the_order():
    """Times say what any schedule would have needed."""
    _, progress = look('put("tea")\nrows = [total(s) for s in ["x", "y"]]\nbuy()\n')
    found = times(progress)
    assert found.least == pytest.approx(8.0, abs=0.01)
    assert found.path in {("@1", "rows[0]", "@3"), ("@1", "rows[1]", "@3")}


def test_a_stored_run_knows_the_order(tmp_path):
    """Its tasks carry what they follow."""

    @tool(side_effects=True)
    def send(text: str) -> str:
        return text

    compiler = Compiler(None, [send], approve="auto", history=tmp_path / "runs.db")
    run = compiler.execute_sync(Plan.parse('send("a")\nsend("b")\n'))
    stored = compiler.settings.history.load(run.id)
    assert [task.follows for task in stored.plan] == [(), ("@1",)]
    assert stored.plan.levels() == run.plan.levels() == (("@1",), ("@2",))
