"""What runs on a worker of Dask: one call of a tool, and what it reports while it runs and when it ends.

Reports are events of Dask: small, in order with the states of tasks, and sent to the process that asked for the call.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final

from dask.sizeof import sizeof
from distributed import get_worker

from compiler_nb.engine.call import CURRENT
from compiler_nb.engine.cluster.parcel import Boxed, check_result, pack_error, pack_small, unpack, unpack_function
from compiler_nb.engine.printout import CHARACTERS
from compiler_nb.engine.prints import PAUSE, PRINTS, ROUTER
from compiler_nb.engine.results import is_awaitable, settled, still_to_await
from compiler_nb.errors import ClusterError
from compiler_nb.signature.arguments import Signature
from compiler_nb.text import describe_error, shorten_value
from compiler_nb.tracebacks import traceback_of

TOLD: Final = 200
"""Characters by which a value is described that stays."""


def perform(  # noqa: PLR0917 - Dask passes arguments by position
    topic: str, call: str, name: str, task: str, function: bytes | Boxed, arguments: bytes, *beside: Boxed
) -> Boxed | None:
    """Call a tool's function on this worker, and report; return its value if it stays here.

    topic, call: where reports go, and which call they are of; name, task: the tool's and the task's; beside: what the
    packed arguments leave out.
    """
    worker = get_worker()

    def tell(**report: Any) -> None:
        worker.log_event(topic, {"call": call, **report})

    tell(began=True)
    prints = _Prints(tell)
    try:
        value = copy_context().run(_call, prints, name, task, function, arguments, beside)
        small = pack_small(value)
        if small is None:
            check_result(name, value)
    except BaseException as error:  # noqa: BLE001 - SystemExit and its kin stay in their task
        prints.flush()
        message = describe_error(error)
        tell(error=pack_error(error), message=message, told=traceback_of(error), stays=isinstance(error, ClusterError))
        return Boxed(None, message)
    prints.flush()
    if small is not None:
        tell(value=small)
        return None
    tell(left=shorten_value(value, TOLD), size=int(sizeof(value)))
    return Boxed(value)


def _call(  # noqa: PLR0917 - what a call is
    prints: _Prints, name: str, task: str, function: bytes | Boxed, arguments: bytes, beside: tuple[Boxed, ...]
) -> Any:
    lost = next((each.lost for each in beside if each.lost), "")
    if lost:
        raise ClusterError(f"an argument was lost with its worker, and could not be made again: {lost}")
    CURRENT.set(task)
    PRINTS.set(prints)  # type: ignore[arg-type]  # it has what the router asks for
    if sys.stdout is not ROUTER:
        ROUTER.open()
    called = unpack_function(function.value if isinstance(function, Boxed) else function)
    args, kwargs = unpack(arguments, [each.value for each in beside])
    if beside:  # those values were not there to be checked when the call was bound
        args, kwargs = Signature(called, name).bind(args, kwargs)
    value = called(*args, **kwargs)
    return settled(asyncio.run(_awaited(value)) if is_awaitable(value) else value)


async def _awaited(value: Any) -> Any:
    while (rest := still_to_await(value)) is not None:
        value = await rest
    return value


class _Prints:
    """What one call prints: reported every PAUSE seconds at most, and up to twice what is kept of it."""

    open = True

    def __init__(self, tell: Callable[..., None]) -> None:
        self.tell, self.new, self.left, self.last = tell, "", 2 * CHARACTERS, time.monotonic()
        self._lock = threading.Lock()

    def write(self, task: str, text: str) -> None:
        """Take a text that the task prints, on any thread."""
        with self._lock:
            self.new += text[: self.left]
            self.left -= min(len(text), self.left)
        if time.monotonic() - self.last > PAUSE:
            self.flush()

    def flush(self) -> None:
        """Report what is new."""
        with self._lock:
            new, self.new, self.last = self.new, "", time.monotonic()
        if new:
            self.tell(printed=new)
