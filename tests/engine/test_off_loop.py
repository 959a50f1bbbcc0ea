"""Work that would hold the loop is done on a thread, or on the loop if the platform has no threads."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from compiler_nb import Compiler, tool
from compiler_nb.engine.off_loop import off_loop

MANY = [str(number) for number in range(100_000)]


def refuse(thread):
    """Start no thread."""
    raise RuntimeError(f"{thread.name} is refused")


@tool(pure=True)
def count(values: list) -> int:
    """Count values."""
    return len(values)


async def count_many():
    """Return how a run ends whose pure tool gets an argument that is too large to be looked at on the loop."""
    compiler = Compiler(tools=[count])
    return await asyncio.wait_for(compiler.execute("n = count(many)\nanswer(n)\n", inputs={"many": MANY}), 30)


def test_work_is_done_on_another_thread():
    """So the loop goes on meanwhile."""
    assert asyncio.run(off_loop(threading.current_thread)) is not threading.main_thread()
    assert asyncio.run(count_many()).answer == len(MANY)


def test_without_threads_it_is_done_here(monkeypatch):
    """A call of a pure tool with a large argument, which never started, ends; a twin says what to write instead."""
    monkeypatch.setattr(sys, "platform", "emscripten")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert asyncio.run(off_loop(threading.current_thread)) is threading.main_thread()
    assert asyncio.run(count_many()).answer == len(MANY)
    with pytest.raises(RuntimeError, match=r"^there are no threads here to wait on: write `await`"):
        Compiler(tools=[count]).execute_sync("n = count([])\nanswer(n)\n")


def test_without_threads_a_run_is_gone_on_with(monkeypatch):
    """An earlier run is looked up on the loop: a rerun, and an edited plan."""
    monkeypatch.setattr(sys, "platform", "emscripten")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    compiler = Compiler(tools=[count])

    async def go_on():
        first = await compiler.execute("n = count([1, 2])\nanswer(n)\n")
        again = await compiler.rerun(first)
        edited = await compiler.execute("n = count([1, 2])\nanswer(n + 1)\n", source=again)
        return [run.answer for run in (first, again, edited)]

    assert asyncio.run(go_on()) == [2, 2, 3]
