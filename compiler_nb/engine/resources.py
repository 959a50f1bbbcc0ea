"""What tools hold open while a run goes on, such as a server's session: opened when needed, closed at the end.

Theory of operation
    Several calls use one resource at the same time, and the libraries that we meet want it to be opened and closed by
    one and the same task. So each resource has a keeper: a task that opens it, waits until it is to be closed, and
    closes it. Who needs it waits for what the keeper has opened. A resource that is broken is dropped, and the next
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
        self._keepers: dict[Hashable, Keeper] = {}
        self._all: set[asyncio.Task[None]] = set()

    async def get(self, key: Hashable, open_: Open) -> Any:
        """Return what is open under a key; if nothing is, or it is `broken`, open it. Raises what opening raises."""
        while (keeper := self._keepers.get(key)) is not None and keeper.is_broken:
            await self.drop(key, keeper.opened.result())
        if keeper is None:
            keeper = self._keepers[key] = Keeper(open_)
            self._all.add(keeper.task)
            keeper.task.add_done_callback(self._all.discard)
        try:
            return await asyncio.shield(keeper.opened)
        except BaseException:
            if keeper.task.done() and self._keepers.get(key) is keeper:
                del self._keepers[key]
            raise

    async def drop(self, key: Hashable, value: Any) -> None:
        """Close what is open under a key if it is this value, which is broken, and wait for that."""
        keeper = self._keepers.get(key)
        if keeper is not None and keeper.holds(value):
            del self._keepers[key]
            keeper.close()
            await asyncio.wait([keeper.task], timeout=CLOSING)

    async def close(self) -> None:
        """Close everything. Raises nothing that a resource raises while it is closed."""
        for keeper in self._keepers.values():
            keeper.close()
        self._keepers.clear()
        if self._all:
            _, late = await asyncio.wait(self._all, timeout=CLOSING)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=CANCELLING)


class Keeper:
    """Opens a resource, keeps it open, and closes it, all in one task; `opened` is what it gives, or why it is not."""

    def __init__(self, open_: Open) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[Any] = loop.create_future()
        self._closing = asyncio.Event()
        self.task = loop.create_task(self._keep(open_), context=Context())  # it is of no one call

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
        """Whether what it has opened is of no use anymore, as that says itself."""
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
