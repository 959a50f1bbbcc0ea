"""DaskEngine: the calls of sync tools run on a cluster of Dask; and the words that name an engine.

Settings need this file, so it loads nothing of Dask; the rest of the folder is loaded when a run begins on a cluster.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.events import Log
from compiler_nb.text import type_name
from compiler_nb.tool import Tool

if TYPE_CHECKING:  # loaded only if it is used
    from distributed import Client

    from compiler_nb.engine.cluster.link import DaskLink
    from compiler_nb.engine.cluster.remote import RemoteSession

LOCAL: Final = "local"
DASK: Final = "dask"
MISSING: Final = "engine='dask' needs Dask, which is not installed: pip install 'compiler_nb[dask]'"


class DaskEngine:
    """Runs calls of sync tools on a cluster: `Compiler(engine=DaskEngine(client))`.

    client: a `distributed.Client`, synchronous or not; fall_back: whether calls whose tool, arguments or result cannot
    be pickled run in this process, instead of failing.
    Tools with side effects or a provider, async tools, and those of `thread="main"` always run in this process. A tool
    without side effects may be called again if its worker dies.
    Raises ValueError if it is given anything but a Client.
    """

    def __init__(self, client: Client, *, fall_back: bool = False) -> None:
        if not has_dask():
            raise ValueError(MISSING)
        from distributed import Client as Known  # noqa: PLC0415 - an extra

        if not isinstance(client, Known):
            made = "such as DaskEngine(Client('tcp://127.0.0.1:8786'))"
            raise ValueError(f"DaskEngine takes a Client of Dask, {made}, not {type_name(client)}")  # noqa: TRY004 - as all settings
        self.client, self.fall_back = client, fall_back
        self._link: DaskLink | None = None

    def __repr__(self) -> str:
        return f"DaskEngine({self.client!r}{', fall_back=True' if self.fall_back else ''})"

    def __deepcopy__(self, _: Any) -> DaskEngine:
        return self  # `%config` copies settings, and a cluster has no copy

    async def link(self) -> DaskLink:
        """Return what all runs of this engine share."""
        from compiler_nb.engine.cluster.link import DaskLink  # noqa: PLC0415 - an extra

        if self._link is None:
            self._link = DaskLink(self.client)
        return self._link

    def session(self, tools: Mapping[str, Tool], log: Log, **options: Any) -> RemoteSession:
        """Return a session whose calls run on the cluster."""
        from compiler_nb.engine.cluster.remote import RemoteSession  # noqa: PLC0415 - as above
        from compiler_nb.engine.cluster.runner import DaskRunner  # noqa: PLC0415 - an extra

        return RemoteSession(tools, log, elsewhere=DaskRunner(self.link, fall_back=self.fall_back), **options)


class NamedEngine(DaskEngine):
    """The engine that "dask" or "dask:ADDRESS" names: it connects when the first run begins, or starts a cluster."""

    def __init__(self, address: str) -> None:
        self.address, self.fall_back = address, False
        self._made: DaskEngine | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        name = f"{DASK}:{self.address}".rstrip(":")
        return f"DaskEngine({self._made.client!r}, {name!r})" if self._made is not None else f"DaskEngine({name!r})"

    async def link(self) -> DaskLink:
        """Connect, or start a cluster, unless that was done; return what all runs share. Raises ClusterError."""
        return await (await asyncio.to_thread(self._connected)).link()

    def _connected(self) -> DaskEngine:
        from compiler_nb.engine.cluster.clients import connect, start  # noqa: PLC0415 - an extra

        with self._lock:
            if self._made is None or self._made.client.status == "closed":
                self._made = DaskEngine(connect(self.address) if self.address else start())
            return self._made


_NAMED: Final[dict[str, NamedEngine]] = {}


def read_engine(given: Any, variables: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Return an engine as runs use it: "local", or a DaskEngine.

    variables: those of a notebook, one of which a word may name; `local` and `dask` stay what they are. Raises
    ValueError if it is no engine, or needs Dask, which is not installed.
    """
    word, colon, address = given.partition(":") if isinstance(given, str) else ("", "", "")
    if given not in (LOCAL, DASK) and word in variables and not colon:
        given = variables[word]
    if given is LOCAL or given == LOCAL or isinstance(given, DaskEngine):
        return given
    if word != DASK or (colon and not address):
        raise ValueError(f"engine must be 'local', 'dask', 'dask:ADDRESS' or a DaskEngine, not {given!r}")
    if not has_dask():
        raise ValueError(MISSING)
    return _NAMED.setdefault(given, NamedEngine(address))


def has_dask() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("distributed") is not None
