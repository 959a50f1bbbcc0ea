"""A call, and who performs it: what an attempt and a runner know of each other."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Protocol

CURRENT: Final[ContextVar[str]] = ContextVar("compiler_nb_task", default="")
"""The id of the task whose tool is running: model calls that a tool makes are counted as its own."""


class Call(Protocol):
    """One call, as a runner sees it."""

    id: str
    """The id of its task."""

    @property
    def name(self) -> str:
        """What users know it by: the name of the tool."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    runner: Runner
    """Who performs it; a function that returns a coroutine is handed on to the runner of coroutines."""
    handle: Any
    """What the runner keeps of it, such as an asyncio task."""

    def note_waiting(self, seconds: float) -> None:
        """Note that it waits to begin, for this many seconds at most: its timeout does not count meanwhile."""

    def note_begun(self) -> None:
        """Note that it begins now, if that is later than `start`: its timeout counts from here."""

    def end(self, outcome: Any) -> None:
        """Note that it ended with a value, or a Failure; called on the loop's thread."""

    def raised(self, error: BaseException) -> None:
        """Note that it raised; called on the loop's thread."""


class Runner(Protocol):
    """Performs calls; all methods are called on the loop's thread."""

    stuck: str
    """Why its calls cannot be stopped; "" if they can, so that they are given a grace to end."""

    def start(self, call: Call) -> None:
        """Begin a call; it may have ended when this returns."""

    def stop(self, call: Call) -> None:
        """Ask a call to end."""

    def abandon(self, call: Call) -> bool:
        """Give up on a call that has not ended; return whether it still works."""

    def close(self) -> None:
        """Let go of what the runner holds; no further call is started."""
