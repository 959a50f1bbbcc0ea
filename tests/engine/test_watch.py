"""A tool that blocks the event loop is named while it does; one that only works much is not."""

from __future__ import annotations

import asyncio
import threading
import time

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


def test_it_is_named_once_while_it_blocks():
    """With the mend, within half a second, to whoever wants to know at once; in the log afterwards."""
    heard: list[tuple[float, str, str]] = []

    async def main():
        run, work = begin(Compiler(None, [blocking]), "", plan="a = blocking(1.2)\nb = blocking(0.01)\nanswer(a)")
        began = time.monotonic()
        run.control.listen(lambda task, message: heard.append((time.monotonic() - began, task, message)))
        await work
        return run

    run = asyncio.run(main())
    ((after, task, message),) = heard
    assert task == "a"
    assert BLOCKED_AFTER <= after < 1.2
    assert "blocking blocks the event loop" in message
    assert "plain `def`" in message
    assert warnings(run) == [("a", message)]
    assert run.answer == 1.2


def test_what_gives_others_their_turn_is_not_named():
    """However long it works."""
    run = Compiler(None, [busy]).execute_sync("a = busy(0.8)\nanswer(a)")
    assert run.answer > 0
    assert warnings(run) == []


def test_nobody_watches_when_nothing_runs():
    """The thread ends with the last session, and comes again with the next."""
    Compiler(None, [busy]).execute_sync("a = busy(0.05)\nanswer(a)")
    deadline = time.monotonic() + 20 * PERIOD
    while any(thread.name == "compiler_nb watch" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(PERIOD / 2)
    assert Compiler(None, [blocking]).execute_sync("a = blocking(0.6)\nanswer(a)").answer == 0.6
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
