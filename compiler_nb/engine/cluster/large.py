"""Large objects for calls on a cluster: each is sent once, however many calls take it, and never with a key in it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from distributed import Client, Future

from compiler_nb.engine.call import Call
from compiler_nb.engine.cluster.parcel import Boxed, LeakError, Whole, check_bytes, check_large
from compiler_nb.engine.session import Session
from compiler_nb.errors import ClusterError
from compiler_nb.models.secret import whole_forms
from compiler_nb.text import describe_error, type_name

WITH_KEY: Final = "would take a key to the cluster, and keys never leave this process"


class LargeObjects:
    """Those that the calls of one session take; all is called on the client's loop."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._sent: dict[int | bytes, tuple[Any, asyncio.Task[Future]]] = {}

    async def send(self, client: Client, call: Call, value: Any) -> Future:
        """Return the future of an object that is sent once, however many calls take it. Raises ClusterError."""
        key = value.digest if type(value) is Whole else id(value)
        if key not in self._sent:
            self._sent[key] = (value, asyncio.get_running_loop().create_task(self._checked(client, value)))
        try:
            return await self._sent[key][1]
        except LeakError:
            raise ClusterError(f"{call.name} {WITH_KEY}") from None
        except ClusterError as error:
            names = self.session.tools[call.name].positional
            given = [*zip(names, call.args, strict=False), *call.kwargs.items()]
            told = next((f"the argument {name!r}" for name, each in given if each is value), "an argument")
            raise ClusterError(f"{call.name}: {told} ({type_name(value)}) {error}") from None

    async def _checked(self, client: Client, value: Any) -> Future:
        """Send a large object, unless it cannot be, or holds a key. Raises ClusterError, LeakError."""
        keys = whole_forms(self.session.secrets)
        try:
            if type(value) is Whole:
                check_bytes(value.data, keys)
            elif type(value) is not bytes:  # of a function, which was looked at
                await asyncio.to_thread(check_large, value, keys)
        except LeakError:
            raise
        except Exception as error:  # noqa: BLE001 - a value's own methods may raise anything
            raise ClusterError(f"cannot be sent to the cluster: {describe_error(error)[:200]}") from None
        (future,) = await client.scatter([Boxed(value)], hash=False, asynchronous=True)
        return future

    def forget(self) -> None:
        """Send each again if it is needed: a worker died that may have held it, or the run is over."""
        self._sent.clear()
