"""One try of a call: where it runs, and what its errors mean."""

from __future__ import annotations

import threading
from contextvars import Context, ContextVar, copy_context
from math import inf
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.errors import ArgumentError, ExpressionError
from compiler_nb.outcome import Failure
from compiler_nb.text import describe_error

if TYPE_CHECKING:
    from asyncio import Future
    from asyncio import Task as AsyncTask

    from compiler_nb.engine.node import Node
    from compiler_nb.engine.pool import Job
    from compiler_nb.tool import Tool

CURRENT: Final[ContextVar[str]] = ContextVar("compiler_nb_task", default="")
"""The id of the task whose tool is running: model calls that a tool makes are counted as its own."""

_MAIN_THREAD: Final = ("created in a thread can only be used in that same thread", "main thread", "outside of the main")


class Attempt:
    """A running call: its node, and the asyncio task or the thread's job that performs it."""

    task: AsyncTask[None] | None = None
    job: Job | None = None
    back: Future[None] | None = None  # done when a parked call has a slot again
    ended = timed_out = cancelled = False
    deadline = inf  # on the loop's clock

    def __init__(self, node: Node, tool: Tool) -> None:
        self.node, self.tool = node, tool


def failure_of(error: BaseException, tool: Tool | None, attempt: int) -> Failure:
    """Return the Failure that an exception means; one that only the main thread would not have had names the mend."""
    kind = "raised"
    if isinstance(error, ArgumentError):
        kind = "arguments"
    elif isinstance(error, ExpressionError):
        kind = "expression"
    message = describe_error(error)
    if tool is not None and tool.thread != "main" and kind == "raised" and _wants_main_thread(message):
        message += f'. It may not leave the main thread: declare it @tool(thread="main") ({tool.name})'
    return Failure(kind, message, error, attempt)


def is_unused(context: Context) -> bool:
    """Whether a tool left the context as it was: told at once where it set nothing, else by comparing values."""
    try:
        return copy_context() == context
    except Exception:  # noqa: BLE001 - a value's own __eq__ may raise anything
        return False


def _wants_main_thread(message: str) -> bool:
    return any(part in message for part in _MAIN_THREAD)


def on_main_thread() -> bool:
    """Whether this is the main thread of the process."""
    return threading.current_thread() is threading.main_thread()


def spell_arguments(args: tuple[Any, ...], kwargs: dict[str, Any], show: Any) -> str:
    """Return bound arguments as one line, each shown by `show`."""
    return ", ".join([*(show(value) for value in args), *(f"{name}={show(value)}" for name, value in kwargs.items())])
