"""What tools hold open while a run goes on, such as a server's session: opened when needed, closed at the end.

Theory of operation
    Several calls use one resource at the same time, and the libraries that we meet want it to be opened and closed by
    one and the same task. So each resource has a holder: a task that opens it, waits until it is to be closed, and
    closes it. Who needs it waits for what the holder has opened. A resource that is broken is dropped, and the next
    call that needs it opens another. When the run has ended, all are closed, within a bounded time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from contextvars import Context, ContextVar
from typing import Any, Final, TypeAlias

CLOSING: Final = 5.0
"""Seconds that all resources of a run have to close; then they are cancelled."""
CANCELLING: Final = 1.0
"""Seconds that they have after that."""
Open: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]


class Resources:
    """The resources of one run, by what they are known by. All is called on the run's loop."""

    def __init__(self) -> None:
        self._holders: dict[Hashable, Holder] = {}
        self._all: set[asyncio.Task[None]] = set()

    async def get(self, key: Hashable, open_: Open) -> Any:
        """Return what is open under a key; if nothing is, or it is `broken`, open it. Raises what opening raises."""
        while (holder := self._holders.get(key)) is not None and holder.is_broken:
            await self.drop(key, holder.opened.result())
        if holder is None:
            holder = self._holders[key] = Holder(open_)
            self._all.add(holder.task)
            holder.task.add_done_callback(self._all.discard)
        try:
            return await asyncio.shield(holder.opened)
        except BaseException:
            if holder.task.done() and self._holders.get(key) is holder:
                del self._holders[key]
            raise

    async def drop(self, key: Hashable, value: Any) -> None:
        """Close what is open under a key if it is this value, which is broken, and wait for that."""
        holder = self._holders.get(key)
        if holder is not None and holder.holds(value):
            del self._holders[key]
            holder.close()
            await asyncio.wait([holder.task], timeout=CLOSING)

    async def close(self) -> None:
        """Close everything. Raises nothing that a resource raises while it is closed."""
        for holder in self._holders.values():
            holder.close()
        self._holders.clear()
        if self._all:
            _, late = await asyncio.wait(self._all, timeout=CLOSING)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=CANCELLING)


class Holder:
    """Opens a resource, keeps it open, and closes it, all in one task; `opened` is what it gives, or why it is not."""

    def __init__(self, open_: Open) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[Any] = loop.create_future()
        self._closing = asyncio.Event()
        self.task = loop.create_task(self._keep(open_), context=Context())  # it belongs to no single call

    async def _keep(self, open_: Open) -> None:
        try:
            async with open_() as value:
                self.opened.set_result(value)
                await self._closing.wait()
        except BaseException as error:  # noqa: BLE001 - whoever waits for it is told; a broken one closes as it can
            if not self.opened.done():
                self.opened.set_exception(error if isinstance(error, Exception) else ConnectionError("it was closed"))
                self.opened.exception()  # maybe nobody waits anymore
        finally:
            self._closing.set()

    @property
    def is_open(self) -> bool:
        """Whether it has opened something."""
        return self.opened.done() and self.opened.exception() is None

    @property
    def is_broken(self) -> bool:
        """Whether what it has opened says that it is broken."""
        return self.is_open and bool(getattr(self.opened.result(), "broken", False))

    def holds(self, value: Any) -> bool:
        """Whether this is what it has opened."""
        return self.is_open and self.opened.result() is value

    def close(self) -> None:
        """Close what is open, or break off its opening."""
        self._closing.set()
        if not self.opened.done():
            self.task.cancel()


RESOURCES: Final[ContextVar[Resources | None]] = ContextVar("compiler_nb_resources", default=None)
"""Those of the run that a tool is called in; None outside of runs."""


@contextlib.asynccontextmanager
async def resources_for_a_call() -> Any:
    """Give the resources of the running run; outside of runs, some that are closed at the end of the block."""
    found = RESOURCES.get()
    if found is not None:
        yield found
        return
    own = Resources()
    try:
        yield own
    finally:
        await own.close()
