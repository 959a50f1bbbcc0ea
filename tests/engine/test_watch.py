"""A tool that blocks the event loop is named while it does; one that only works much is not."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from compiler_nb import Compiler, tool
from compiler_nb.engine.watch import BLOCKED_AFTER, PERIOD, WATCH
from compiler_nb.events import Log, TaskEnded, Warned
from tests.support.desk import begin


@tool
async def blocking(seconds: float) -> float:
    """Hold the loop."""
    time.sleep(seconds)  # noqa: ASYNC251 - that is its fault
    return seconds


@tool
async def busy(seconds: float) -> int:
    """Work much, and let others work in between."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        count += 1
        await asyncio.sleep(0)
    return count


def warnings(run):
    """Return the warnings of a run."""
    return [(event.task, event.message) for event in run.events if isinstance(event, Warned)]


@pytest.mark.slow
def test_it_is_named_once_while_it_blocks():
    """With the fix, while it still blocks, to whoever wants to know at once; in the log afterwards."""
    heard: list[tuple[float, str, str]] = []
    named = threading.Event()

    @tool
    async def stuck() -> bool:
        """Hold the loop until it is named."""
        return named.wait(30)

    def listen(task, message):
        heard.append((time.monotonic(), task, message))
        named.set()

    async def main():
        run, work = begin(Compiler(None, [stuck, blocking]), "", plan="a = stuck()\nb = blocking(0.01)\nanswer(a)")
        run.control.listen(listen)
        await work
        return run

    began = time.monotonic()

    run = asyncio.run(main())
    ((at, task, message),) = heard
    assert task == "a"
    assert at - began >= BLOCKED_AFTER
    assert "stuck blocks the event loop" in message
    assert "plain `def`" in message
    assert warnings(run) == [("a", message)]
    assert run.answer is True


@pytest.mark.slow
def test_what_gives_others_their_turn_is_not_named():
    """However long it works."""
    run = Compiler(None, [busy]).execute_sync("a = busy(0.5)\nanswer(a)")
    assert run.answer > 0
    assert warnings(run) == []


@pytest.mark.slow
def test_nobody_watches_when_nothing_runs():
    """The thread ends with the last session, and comes again with the next."""
    Compiler(None, [busy]).execute_sync("a = busy(0.05)\nanswer(a)")
    deadline = time.monotonic() + 30
    while any(thread.name == "compiler_nb watch" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(PERIOD / 2)
    assert Compiler(None, [blocking]).execute_sync("a = blocking(0.3)\nanswer(a)").answer == 0.3
    assert not WATCH._looks


def test_a_log_that_is_closed_takes_nothing():
    """What cannot be stopped is not heard any more."""
    log = Log("r")
    log.emit(Warned, "a", "x")
    log.close()
    log.emit(Warned, "a", "y")
    log.emit_at(0.0, Warned, ("a", "z"))
    log.emit_at(0.0, TaskEnded, ("a", 1, "done", 1, ""))
    assert len(log.events) == 1
