"""Approval is asked in the main thread; where nobody answers it is denied with the reason."""

from __future__ import annotations

import asyncio
import signal

import pytest

from compiler_nb import Task, ToolUnavailable
from compiler_nb.engine.background import BACKGROUND, MainThread
from compiler_nb.notebook.ask import asker, put_question
from compiler_nb.notebook.interrupts import handled_by

TASK = Task("a", "call", "send")


def nobody(text):
    """Answer as a kernel without stdin does."""
    raise NotImplementedError("no stdin")


@pytest.mark.parametrize(
    ("reply", "approved"), [("y", True), (" YES ", True), ("n", False), ("", False), ("sure", False)]
)
def test_a_person_decides(reply, approved):
    """Only a yes is one; the call is shown as it will be made."""
    main, asked = MainThread(), []

    def question(text):
        asked.append(text)
        return reply

    assert BACKGROUND.run(asker(main, question)(TASK, "'bob\x1b', 3"), main=main) is approved
    assert asked == ["send('bob\\x1b', 3) has side effects. Run it? [y/N] "]


@pytest.mark.parametrize(("reply", "approved"), [("y", True), ("again", "again"), (" Again ", "again"), ("", False)])
def test_a_person_is_told_what_is_done_and_may_have_it_made_again(reply, approved):
    """The question says so."""
    main, asked = MainThread(), []

    def question(text):
        asked.append(text)
        return reply

    shown = "'bob'; not repeated: done in round 1"
    assert BACKGROUND.run(asker(main, question)(TASK, shown), main=main) == approved
    told = "send('bob') is not repeated: done in round 1. Go on with that result? "
    assert asked == [f"{told}[y/N, or again to make the call once more] "]


def test_nobody_to_ask_is_an_error_with_the_mend():
    """The engine denies the task with this reason."""
    main = MainThread()
    with pytest.raises(ToolUnavailable, match="--approve auto"):
        BACKGROUND.run(asker(main, nobody)(TASK, ""), main=main)
    with pytest.raises(ToolUnavailable, match="nobody can be asked"):
        asyncio.run(asker(MainThread(), nobody)(TASK, ""))


def test_an_interrupt_ends_the_question():
    """It goes on to the waiting cell, and the task is not approved."""
    main = MainThread()

    def interrupt(text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        BACKGROUND.run(asker(main, interrupt)(TASK, ""), main=main)


def test_a_call_that_was_stopped_is_not_asked_about():
    """The main thread may be busy for long, and by then the answer would be for nobody."""
    main, asked = MainThread(), []

    async def stopped():
        asking = asyncio.ensure_future(asker(main, asked.append)(TASK, ""))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])

    with main.serving():
        asyncio.run(stopped())
        main.serve_waiting()
    assert asked == []


def test_while_a_question_is_open_an_interrupt_is_felt():
    """A kernel that awaits has replaced the handler; it is put back afterwards."""
    handler = lambda *_: None
    before = signal.signal(signal.SIGINT, handler)
    try:
        with handled_by(signal.default_int_handler):
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is handler
        assert put_question("x", nobody) is None
    finally:
        signal.signal(signal.SIGINT, before)
