"""One try of a call: how it begins, waits for its provider, times out, is stopped, and what its end means.

Theory of operation
    An attempt begins at once, or first waits in a task of its own until its host admits it (its provider may count
    calls, and one with side effects is noted before it begins). From then on a runner performs it. While it waits for
    its provider it is parked: its slot is another's, and its timeout stands still. If it is to stop, it is asked to;
    if it has not ended after a grace, or nothing can stop it, it is abandoned.

    Whatever comes first ends it: its runner, the end of the grace, or a cancelled admission. All of them call `end`,
    which informs the host exactly once and drops whatever comes later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any, Final, Protocol

from compiler_nb.engine.call import Runner
from compiler_nb.engine.node import Node
from compiler_nb.engine.timer import Timer
from compiler_nb.errors import ArgumentError, ExpressionError, ServerLost
from compiler_nb.outcome import Cancelled, Failure
from compiler_nb.text import describe_error
from compiler_nb.tool import Tool

GRACE: Final = 0.2
"""Seconds that a call which was asked to stop has to end before it is abandoned."""
STOPPED: Final = Cancelled("it was stopped by the user")
_MAIN_THREAD: Final = ("created in a thread can only be used in that same thread", "main thread", "outside of the main")


class Host(Protocol):
    """What an attempt asks of the session that it belongs to; all is called on the loop's thread."""

    loop: asyncio.AbstractEventLoop
    timer: Timer

    async def admit(self, attempt: Attempt) -> bool:
        """Wait until an attempt may begin; return False if it must not, and has been taken back."""

    def park(self, attempt: Attempt) -> bool:
        """Lend an attempt's slot to others; return False if it has to keep it."""

    def unpark(self, attempt: Attempt) -> None:
        """Ask for a slot again; `resume` is called when it is there."""

    def abandoned(self, attempt: Attempt) -> None:
        """Note that an attempt still works although it was given up; its end follows."""

    def ended(self, attempt: Attempt, outcome: Any) -> None:
        """Note an attempt's end; called exactly once."""


class Attempt:
    """A call that has a slot, its arguments bound."""

    __slots__ = (
        "_admission", "_left", "_resumed", "args", "deadline", "function", "handle", "host", "id", "kwargs", "node",
        "over", "runner", "stopped", "tool",
    )  # fmt: skip

    def __init__(  # noqa: PLR0917 - what a call is
        self, node: Node, tool: Tool, args: tuple[Any, ...], kwargs: dict[str, Any], runner: Runner, host: Host
    ) -> None:
        self.node, self.tool, self.runner, self.host = node, tool, runner, host
        self.id, self.function, self.args, self.kwargs = node.task.id, tool.function, args, kwargs
        self.handle: Any = None  # the runner's
        self.deadline = inf  # on the loop's clock
        self.over = False
        self.stopped: Failure | Cancelled | None = None  # how it ends if it was asked to stop and has no other result
        self._admission: asyncio.Task[None] | None = None
        self._resumed: asyncio.Future[None] | None = None  # done when a parked call has a slot again
        self._left = inf  # seconds that were left of its timeout when it was parked

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.tool.name

    # ---------------------------------------------------------------- begin and end

    def begin(self) -> None:
        """Have the runner perform the call; its timeout runs from now on."""
        timeout = self.tool.timeout
        if timeout is not None:
            self.host.timer.watch(self, timeout)
        self.runner.start(self)

    def begin_admitted(self) -> None:
        """Begin as soon as the host admits it."""
        self._admission = self.host.loop.create_task(self._admit())

    async def _admit(self) -> None:
        try:
            admitted = await self.host.admit(self)
        except BaseException as error:  # noqa: BLE001 - it ends the attempt, whatever it is
            self.raised(error)
            return
        self._admission = None
        if admitted and not self.over:
            self.begin()

    def note_waiting(self, seconds: float) -> None:
        """Let the timeout not run before `note_begun`, unless that does not come within so many seconds."""
        if self.tool.timeout is not None:
            self.host.timer.watch(self, max(self.tool.timeout, seconds))

    def note_begun(self) -> None:
        """Let the timeout run from now on: the runner had it wait until now."""
        if self.tool.timeout is not None and not self.over and self.stopped is None:
            self.host.timer.watch(self, self.tool.timeout)

    def end(self, outcome: Any) -> None:
        """End the attempt, unless it has ended."""
        if self.over:
            return
        self.over = True
        self.host.ended(self, outcome)
        self.handle = None  # which holds this attempt in turn, with all its values

    def raised(self, error: BaseException) -> None:
        """End the attempt with what an exception means: the reason of its stop if that is what cancelled it."""
        if isinstance(error, asyncio.CancelledError) and self.stopped is not None:
            self.end(self.stopped)
        else:
            self.end(failure_of(error, self.tool))

    # ---------------------------------------------------------------- wait for a provider

    def park(self) -> None:
        """Lend the slot to others; the timeout stands still."""
        if not self.over and self.stopped is None and self.host.park(self):
            self._left, self.deadline = self.deadline - self.host.loop.time(), inf

    async def back(self) -> None:
        """Wait for a slot again."""
        if self.over or self.stopped is not None or not self.node.parked:
            return
        resumed = self._resumed
        if resumed is None:
            resumed = self._resumed = self.host.loop.create_future()
            self.host.unpark(self)  # which may resume it at once
        await asyncio.shield(resumed)  # a tool may ask twice at a time, and both wait for the one slot

    def resume(self) -> None:
        """Go on: the slot is there, and so is what was left of the timeout."""
        if self._left < inf:
            self.host.timer.watch(self, self._left)
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        self._resumed, self._left = None, inf

    # ---------------------------------------------------------------- stop

    def divert(self, then: Callable[[Any], None]) -> None:
        """Stop, and tell the end to `then` instead of the host; of several the last one counts."""
        host = self.host.host if isinstance(self.host, Diverted) else self.host
        self.host = Diverted(host, then)
        if self.stopped is None:
            self.stop(STOPPED)

    def time_out(self) -> None:
        """Stop an attempt whose deadline has come."""
        self.deadline = inf
        if not self.over and self.stopped is None:
            message, stuck = f"{self.name} took longer than its timeout of {self.tool.timeout:g} s", self.runner.stuck
            self.stop(Failure("abandoned", f"{message}; {stuck}") if stuck else Failure("timeout", message))

    def stop(self, outcome: Failure | Cancelled) -> None:
        """Ask the call to end; it gets this outcome unless it still ends by itself."""
        self.stopped = outcome
        if self._admission is not None:
            self._admission.cancel()
            self.end(outcome)
        elif self.runner.stuck:
            self._abandon()
        else:
            self.runner.stop(self)
            self.host.timer.call(GRACE, self._abandon)

    def _abandon(self) -> None:
        if self.over or self.stopped is None:
            return
        if self.runner.abandon(self):
            self.host.abandoned(self)
        self.end(self.stopped)


class Diverted:
    """Stands between an attempt and its host, and tells somebody else how the attempt ended."""

    def __init__(self, host: Host, then: Callable[[Any], None]) -> None:
        self.host, self.then, self.loop, self.timer = host, then, host.loop, host.timer

    async def admit(self, attempt: Attempt) -> bool:
        """Let nothing begin anymore."""
        return False

    def park(self, attempt: Attempt) -> bool:
        """Let it keep its slot, for it is about to end."""
        return False

    def unpark(self, attempt: Attempt) -> None:
        """Ask for a slot again."""
        self.host.unpark(attempt)

    def abandoned(self, attempt: Attempt) -> None:
        """Note that an attempt still works although it was given up."""
        self.host.abandoned(attempt)

    def ended(self, attempt: Attempt, outcome: Any) -> None:
        """Tell how it ended."""
        self.then(outcome)


def failure_of(error: BaseException, tool: Tool | None = None) -> Failure:
    """Return the Failure that an exception means, with a hint if it would not have come up on the main thread."""
    message = describe_error(error)
    if isinstance(error, ExpressionError):
        error.__traceback__ = None  # its frames hold what was made until then
    if isinstance(error, ArgumentError | ExpressionError):
        return Failure("arguments" if isinstance(error, ArgumentError) else "expression", message, error)
    if isinstance(error, ServerLost):
        return Failure("abandoned", message, error)
    if tool is not None and tool.thread != "main" and any(words in message for words in _MAIN_THREAD):
        message += f'. It may not leave the main thread: declare it @tool(thread="main") ({tool.name})'
    return Failure("raised", message, error)
