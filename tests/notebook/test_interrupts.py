"""Interrupts reach a tool that holds the main thread, and nobody else; the signal is given back."""

from __future__ import annotations

import asyncio
import contextvars
import signal

import pytest

from compiler_nb.engine.pool import ThreadJob
from compiler_nb.notebook.interrupts import _PACKAGE, RaisedInTools
from tests.support.jobs import call_of


@pytest.fixture(autouse=True)
def signals():
    """Give SIGINT back as it was."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def press():
    """Press the stop button."""
    signal.raise_signal(signal.SIGINT)


def job(function):
    """Return a sync tool's call."""
    return ThreadJob(call_of(function), contextvars.copy_context(), lambda _: None)


def test_a_tool_gets_what_everybody_else_does_not():
    """In a tool it is raised, and stops the run; elsewhere the kernel's own handler gets it."""
    told, stopped = [], []
    signal.signal(signal.SIGINT, lambda *_: told.append(1))
    with RaisedInTools(lambda: stopped.append(1), kernel=False):
        press()
        assert (told, stopped) == ([1], [])
        work = job(press)
        work.run()
        assert isinstance(work.error, KeyboardInterrupt)
        assert (told, stopped) == ([1], [1])
    press()
    assert told == [1, 1]


def test_on_the_kernels_loop_the_kernel_is_told_too():
    """Nobody else would end the cell there."""
    told = []
    signal.signal(signal.SIGINT, lambda *_: told.append(1))
    with RaisedInTools(lambda: None, kernel=True):
        work = job(press)
        work.run()
    assert isinstance(work.error, KeyboardInterrupt)
    assert told == [1]


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler])
def test_the_signal_is_given_back(before):
    """Whoever had it."""
    signal.signal(signal.SIGINT, before)
    with RaisedInTools(lambda: None, kernel=False):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_waits_that_overlap_give_it_back_with_the_last():
    """However they end."""

    async def wait(seconds):
        with RaisedInTools(lambda: None, kernel=False):
            await asyncio.sleep(seconds)

    async def main():
        before = signal.getsignal(signal.SIGINT)
        await asyncio.gather(wait(0.02), wait(0.06), wait(0.04))
        assert signal.getsignal(signal.SIGINT) is before

    asyncio.run(main())


def test_a_folder_that_begins_like_ours_is_not_ours():
    """A user's `compiler_nb_tools` beside the package is a tool's own code."""
    assert _PACKAGE.endswith(("/", "\\"))
