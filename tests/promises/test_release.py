"""A run that nobody holds anymore frees its values at once: Python's collector of cycles may not come for hours."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from compiler_nb import Compiler, ScriptedModel, tool
from compiler_nb.history.history import History


class Large:
    """Stands for a value that takes much memory."""


made: list[weakref.ref[Large]] = []


async def load(n: int) -> object:
    """Return a large value."""
    value = Large()
    made.append(weakref.ref(value))
    return value


async def use(value: object) -> int:
    """Read it on the loop."""
    return 1


def use_on_thread(value: object) -> int:
    """Read it on a thread."""
    return 1


async def fail(value: object) -> int:
    """Raise while it holds a value."""
    raise ValueError("it fails")


tried: list[int] = []


@tool(retries=1)
async def fail_once(value: object) -> int:
    """Raise the first time."""
    tried.append(1)
    if len(tried) == 1:
        raise ValueError("not yet")
    return 1


@tool(side_effects=True)
async def send(value: object) -> int:
    """Change something."""
    return 1


@tool(timeout=0.01)
async def hang(value: object) -> int:
    """Take too long."""
    await asyncio.sleep(60)
    return 1


@tool(pure=True)
def pure(value: object) -> int:
    """Compute without side effects."""
    return 1


@tool
async def leave(value: object) -> int:
    """Leave something running, which keeps the context of the call."""
    left.append(asyncio.get_running_loop().create_task(asyncio.sleep(60)))
    return 1


left: list[asyncio.Task[None]] = []
TOOLS: list[Any] = [load, use, use_on_thread, fail, fail_once, send, hang, pure, leave]
PLANS = {
    "calls": "a = load(1)\nb = use(a)\nanswer(b)",
    "thread": "a = load(1)\nb = use_on_thread(a)\nanswer(b)",
    "items": "a = [load(n) for n in range(3)]\nb = [use(each) for each in a]\nanswer(len(b))",
    "answer": "a = load(1)\nanswer([a])",
    "expressions": "a = load(1)\nb = [a, a]\nc = use(b[0]) if len(b) else 0\nanswer(c)",
    "heavy": "a = load(1)\nb = sum(n for n in range(200000))\nc = use([a, b])\nanswer(c)",
    "failure": "a = load(1)\nb = fail(a)\nanswer(b)",
    "retry": "a = load(1)\nb = fail_once(a)\nanswer(b)",
    "effect": "a = load(1)\nb = send(a)\nanswer(b)",
    "timeout": "a = load(1)\nb = hang(a)\nanswer(b)",
    "pure": "a = load(1)\nb = pure(a)\nanswer(b)",
    "context": "a = load(1)\nb = leave(a)\nanswer(b)",
}


@pytest.fixture(autouse=True)
def _without_collector() -> Iterator[None]:
    made.clear()
    tried.clear()
    gc.disable()
    yield
    gc.enable()


def alive() -> int:
    """Return how many of the values exist; a thread needs a moment to let go of its last call."""
    end = time.monotonic() + 5
    while (count := sum(ref() is not None for ref in made)) and time.monotonic() < end:
        time.sleep(0.001)
    return count


async def perform(compiler: Compiler, plan: str) -> None:
    """Execute a plan, and let go of its run."""
    run = await compiler.execute(plan)
    assert made
    assert all(ref() is not None for ref in made)  # the run holds its values
    assert run.status in ("done", "failed"), run.error
    del run


@pytest.mark.parametrize("name", PLANS)
def test_a_run_that_nobody_holds_frees_its_values_at_once(name: str) -> None:
    """Whatever a plan does: on the loop and on threads, in fan-outs, as it fails, times out or tries again."""
    compiler = Compiler(None, TOOLS, approve="auto")

    async def main() -> int:
        await perform(compiler, PLANS[name])
        await asyncio.sleep(0)
        count = alive()
        for task in left:
            task.cancel()
        left.clear()
        return count

    assert asyncio.run(main()) == 0


def test_a_run_that_nobody_holds_frees_its_inputs_at_once() -> None:
    """What an input was when the run began is known as long as the run is held, and no longer."""
    tables: list[weakref.ref[pd.DataFrame]] = []

    async def main() -> None:
        table = pd.DataFrame({"a": [1, 2]})
        tables.append(weakref.ref(table))
        run = await Compiler(None, TOOLS).execute("a = use(x)\nanswer(a)", inputs={"x": table})
        table["b"] = 1
        assert run.has_changed("x")

    async def outside() -> bool:
        await main()
        await asyncio.sleep(0)
        return tables[0]() is None

    assert asyncio.run(outside())


def test_a_run_with_replans_and_a_joiner_frees_its_values_at_once() -> None:
    """Two rounds, of which the first fails."""
    plans = ["a = load(1)\nb = fail(a)\njoin()", "c = load(2)\nd = use(c)\njoin()"]
    model = ScriptedModel([plans[0], "Replan: it failed", plans[1], "Answer: fine"])
    compiler = Compiler(model, TOOLS)

    async def main() -> int:
        run = await compiler.run("what?")
        assert run.answer == "fine", run.error
        del run
        await asyncio.sleep(0)
        return alive()

    assert asyncio.run(main()) == 0
    assert len(made) == 2


def test_a_call_that_outlives_a_run_that_was_cancelled_twice_reports_its_end() -> None:
    """The second cancellation breaks off the run's end: what is still at work asks the session, which is there."""
    faults: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        begun = asyncio.Event()

        async def linger() -> int:
            begun.set()
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.05)
            return 1

        run = loop.create_task(Compiler(None, [linger]).execute("a = linger()\nanswer(a)"))
        await begun.wait()
        for _ in range(2):
            run.cancel()
            await asyncio.sleep(0.01)
        assert isinstance((await asyncio.gather(run, return_exceptions=True))[0], asyncio.CancelledError)
        del run
        await asyncio.sleep(0.1)
        gc.collect()  # an error that nobody reads is told when its task is collected

    asyncio.run(main())
    assert faults == []


def test_a_run_that_a_history_keeps_frees_its_values_at_once(tmp_path: Path) -> None:
    """The thread that writes lets go of it, too, of values that cannot be stored as well."""
    compiler = Compiler(None, TOOLS, history=History(tmp_path / "runs.db"))

    async def main() -> int:
        await perform(compiler, PLANS["items"])
        await asyncio.to_thread(alive)  # the thread that writes comes to its end
        return alive()

    assert asyncio.run(main()) == 0
