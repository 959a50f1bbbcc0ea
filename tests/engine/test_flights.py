"""Equal calls of a pure tool in one run are one call, with a cache or without."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import Any

import pytest

from compiler_nb import Compiler, Run, tool
from compiler_nb.events import TaskStarted
from compiler_nb.outcome import Failure


class Bench:
    """Tools, and what was called."""

    def __init__(self) -> None:
        self.called: list[Any] = []

    def tools(self) -> list[Any]:
        """Pure ones, and one that is not."""

        @tool(pure=True)
        async def double(x: Any, y: int = 1) -> Any:
            """Return it twice."""
            self.called.append(x)
            await asyncio.sleep(0.005)
            if x == "bad":
                raise ValueError("bad")
            return [x, x]

        @tool(pure=True)
        def slow(x: Any) -> Any:
            """Return it, from a thread."""
            self.called.append(x)
            time.sleep(0.01)
            return {"x": x}

        @tool(pure=True)
        def lazy(x: int) -> Any:
            """Return what can be read once."""
            self.called.append(x)
            return (each for each in range(x))

        @tool
        def spoil(x: Any) -> int:
            """Change what another tool returned."""
            x.append("spoiled")
            return len(x)

        @tool
        def plain(x: int) -> int:
            """Return it."""
            self.called.append(x)
            return x

        @tool
        def consume(x: Any) -> list[Any]:
            """Read it."""
            return list(x)

        return [double, slow, lazy, spoil, plain, consume]


@pytest.fixture
def bench():
    """Return tools."""
    return Bench()


def execute(bench: Bench, plan: str, **settings: Any) -> Run:
    """Return the run of a plan."""
    return asyncio.run(Compiler(None, bench.tools(), **settings).execute(plan))


def test_two_equal_calls_are_one(bench):
    """However the arguments are given; on threads, too; the value is each one's own."""
    found = execute(bench, "a = double(1)\nb = double(x=1)\nc = slow(2)\nd = slow(2)\nanswer([a, b, c, d])")
    assert found.answer == [[1, 1], [1, 1], {"x": 2}, {"x": 2}]
    assert bench.called in ([1, 2], [2, 1])
    assert found["a"] is not found["b"]
    assert found.why("b") == "done, with the value of the equal call `a`"
    assert [type(event) for event in found.events].count(TaskStarted) == 2


def test_the_items_of_a_fan_out_are_one_if_they_are_equal(bench):
    """And those of two fan-outs."""
    plan = "a = {n: double(n % 2) for n in range(6)}\nb = [double(n) for n in range(3)]\nanswer([a, b])"
    found = execute(bench, plan)
    assert found.answer == [{n: [n % 2] * 2 for n in range(6)}, [[0, 0], [1, 1], [2, 2]]]
    assert sorted(bench.called) == [0, 1, 2]


@pytest.mark.parametrize(("first", "second"), [("1", "1.0"), ("1", "True"), ("0.0", "-0.0"), ("[1]", "(1,)"),
                                               ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}')])  # fmt: skip
def test_what_code_can_tell_apart_is_not_equal(bench, first, second):
    """1 is not 1.0, and dicts have an order."""
    found = execute(bench, f"a = double({first})\nb = double({second})\nanswer([a, b])")
    assert len(bench.called) == 2
    assert repr(found.answer[1][0]) == repr(eval(second))  # noqa: S307 - our own


def test_a_tool_that_is_not_pure_is_called_each_time(bench):
    """Nobody said that equal arguments give equal values."""
    execute(bench, "a = plain(1)\nb = plain(1)\nanswer(a + b)")
    assert bench.called == [1, 1]


def test_if_the_first_call_fails_the_second_is_made_itself(bench):
    """Each has its own failure."""
    found = execute(bench, 'a = double("bad")\nb = double("bad")\nc = double("bad")\njoin()')
    assert bench.called == ["bad"] * 3
    assert {type(each) for each in found.failures.values()} == {Failure}


def test_a_value_that_was_changed_meanwhile_is_not_given_to_a_later_call(bench):
    """It is made again; a call that waited got a copy of it before."""
    found = execute(bench, "a = double(1)\nb = double(1)\nc = spoil(a)\nd = double(1 if c else 2)\nanswer([b, d])")
    assert found.answer == [[1, 1], [1, 1]]
    assert bench.called == [1, 1]


def test_what_can_be_read_once_is_made_for_each(bench):
    """Two readers of one generator would get half of it."""
    found = execute(bench, "a = lazy(3)\nb = lazy(3)\nc = consume(a)\nd = consume(b)\nanswer([c, d])")
    assert found.answer == [[0, 1, 2], [0, 1, 2]]


def test_arguments_without_content_are_no_reason_to_share(bench):
    """A lock is only itself: calls with it are made."""
    plan = "a = double(lock)\nb = double(lock)\njoin()"
    found = asyncio.run(Compiler(None, bench.tools()).execute(plan, inputs={"lock": threading.Lock()}))
    assert (found.status, len(bench.called)) == ("done", 2)


@pytest.mark.slow
def test_large_arguments_are_compared_on_a_thread(bench):
    """The loop goes on meanwhile."""
    large = list(range(50_000))

    @tool(pure=True)
    async def count(x: Any) -> int:
        """Count them, slowly."""
        bench.called.append(len(x))
        await asyncio.sleep(0.5)
        return len(x)

    plan = "a = count(rows)\nb = count(rows)\nanswer(a + b)"
    found = asyncio.run(Compiler(None, [count]).execute(plan, inputs={"rows": large}))
    assert (found.answer, bench.called) == (100_000, [50_000])


def test_a_run_that_is_cancelled_leaves_nobody_waiting(bench):
    """The first call is stopped, and with it what waited for it."""

    @tool(pure=True)
    async def wait(x: int) -> int:
        """Wait for long."""
        await asyncio.sleep(60)
        return x

    async def main() -> Run:
        compiler = Compiler(None, [wait])
        found, work = compiler.begin(compiler.order(plan="a = wait(1)\nb = wait(1)\njoin()"))
        asyncio.get_running_loop().call_later(0.05, found.cancel)
        await work
        return found

    found = asyncio.run(main())
    assert (found.status, {found.state(each) for each in "ab"}) == ("cancelled", {"cancelled"})


@pytest.mark.slow
def test_a_value_that_the_user_gave_is_no_others(bench):
    """The user meant that task."""

    @tool(pure=True)
    async def wait(x: int) -> int:
        """Wait for a moment."""
        await asyncio.sleep(0.05 if len(bench.called) else 0.5)
        bench.called.append(x)
        return x

    async def main() -> Run:
        compiler = Compiler(None, [wait])
        found, work = compiler.begin(compiler.order(plan="a = wait(1)\nb = wait(1)\nanswer([a, b])"))
        asyncio.get_running_loop().call_later(0.1, lambda: threading.Thread(target=found.set, args=("a", 7)).start())
        await work
        return found

    assert asyncio.run(main()).answer == [7, 1]


@pytest.mark.slow
def test_a_plan_that_closes_while_its_calls_are_looked_for_makes_each_once(bench):
    """They are handed out anew then: with expressions between them that hold the loop for long, too."""
    heavy = "sum([i * i for i in range(20000)])"
    lines = "".join(f"a{n} = double({n})\nb{n} = {heavy} + {n}\nc{n} = double(b{n})\n" for n in range(20))
    found = execute(bench, f"{lines}join()", max_concurrency=2)
    assert (found.status, sorted(map(str, bench.called))) == ("done", sorted(set(map(str, bench.called))))
    assert len(bench.called) == 40


def test_it_says_that_it_waits_for_the_equal_call(bench):
    """Not for a slot: in full, in short, and when it was made itself in the end, too."""
    told: list[str] = []
    go = asyncio.Event()

    @tool(pure=True)
    async def wait(x: int) -> int:
        """Fail at first, after a moment."""
        await go.wait()
        bench.called.append(x)
        if len(bench.called) == 1:
            raise ValueError("bad")
        return x

    async def main() -> Run:
        compiler = Compiler(None, [wait])
        found, work = compiler.begin(compiler.order(plan="a = wait(1)\nb = wait(1)\nanswer(b)"))
        ended = asyncio.ensure_future(work)
        async with asyncio.timeout(60):
            while not found.progress.hold("b"):  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.005)
        told.extend([found.why("b"), found.words().short("b")])
        assert found.progress.held == {}  # nobody is asked
        go.set()
        await ended
        return found

    found = asyncio.run(main())
    assert re.fullmatch(r"ready, waits for the equal call `a` \(running .* m?s\)", told[0])
    assert told[1] == "waits for the equal call a"
    assert (found.answer, len(bench.called)) == (1, 2)
    assert re.search(r"^done after .*; it waited .* m?s for an equal call$", found.why("b"))
