"""Asking a person, in the main thread, to approve a call that has side effects."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Final

from compiler_nb.engine.background import MainThread
from compiler_nb.engine.effects.approval import AGAIN, Ask
from compiler_nb.errors import ToolUnavailable
from compiler_nb.notebook.interrupts import handled_by
from compiler_nb.outcome import NOT_REPEATED
from compiler_nb.plan.task import Task
from compiler_nb.text import cut

SHOWN: Final = 2_000
"""How many characters of a call a person is shown."""
NOBODY: Final = "nobody can be asked here; --approve auto or --approve TOOL allows the call"


def asker(main: MainThread, question: Callable[[str], str] | None = None) -> Ask:
    """Return what asks a person to approve a task, in the thread that `main` serves.

    question: shows a text and returns the reply; defaults to `input`. What is returned raises ToolUnavailable if nobody
    can be asked.
    """

    async def ask(task: Task, arguments: str) -> bool | str:
        answer: Future[bool | str | None] = Future()

        def put() -> None:
            if not answer.set_running_or_notify_cancel():
                return  # the call was stopped while the question waited for the main thread
            approved: bool | str | None = False  # stays so if an interrupt ends the question
            try:
                # looked up here, because the kernel replaces `input` for each cell
                approved = put_question(_text(task, arguments), question or input)
            finally:
                answer.set_result(approved)

        approved = await asyncio.wrap_future(answer) if main.post(put) else None
        if approved is None:
            raise ToolUnavailable(NOBODY)
        return approved

    return ask


def page_asker(heard: Callable[[], Awaitable[bool]], otherwise: Ask | None) -> Ask:
    """Return what leaves a question to the page's buttons and to `%compile approve`.

    If the page's buttons do not reach the kernel, `otherwise` asks; if it is None, the question stays open.
    """

    async def ask(task: Task, arguments: str) -> bool | str:
        if otherwise is not None and not await heard():
            return await otherwise(task, arguments)
        never: bool = await asyncio.get_running_loop().create_future()
        return never  # approve() and deny() of the run end the wait

    return ask


def _text(task: Task, arguments: str) -> str:
    """Return what a person is asked, in one line."""
    shown, note, done = arguments.partition(f"; {NOT_REPEATED}")
    call = cut(f"{task.tool}({shown})", SHOWN)
    if note:
        return f"{call} is {note[2:]}{done}. Go on with that result? [y/N, or {AGAIN} to make the call once more] "
    return f"{call} has side effects. Run it? [y/N] "


def put_question(text: str, question: Callable[[str], str]) -> bool | str | None:
    """Ask a question and return whether the reply is yes, or AGAIN; None if nobody can answer."""
    with handled_by(signal.default_int_handler):  # while a cell awaits, the kernel's own would only tell its loop
        try:
            reply = question(text).strip().lower()
        except (NotImplementedError, EOFError, OSError):  # a kernel without stdin raises the first of them
            return None
    return AGAIN if reply == AGAIN else reply in ("y", "yes")
