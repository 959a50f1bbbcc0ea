"""DaskEngine: the calls of sync tools run on a cluster of Dask; and the clusters that `engine="dask"` means."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib.util
import os
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.errors import ClusterError
from compiler_nb.events import Log
from compiler_nb.models.providers import AD_TOKEN, PROVIDERS
from compiler_nb.text import describe_error, type_name
from compiler_nb.tool import Tool

if TYPE_CHECKING:  # loaded only if it is used
    from distributed import Client

    from compiler_nb.engine.dask_runner import DaskLink
    from compiler_nb.engine.remote import RemoteSession

LOCAL: Final = "local"
DASK: Final = "dask"
MISSING: Final = "engine='dask' needs Dask, which is not installed: pip install 'compiler_nb[dask]'"
CONNECTS_WITHIN: Final = 10.0
"""Seconds in which a scheduler that is named by its address answers."""
MOST_WORKERS: Final = 8
"""Workers at most of a cluster that is started here."""


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
        from compiler_nb.engine.dask_runner import DaskLink  # noqa: PLC0415 - an extra

        if self._link is None:
            self._link = DaskLink(self.client)
        return self._link

    def session(self, tools: Mapping[str, Tool], log: Log, **options: Any) -> RemoteSession:
        """Return a session whose calls run on the cluster."""
        from compiler_nb.engine.dask_runner import DaskRunner  # noqa: PLC0415 - an extra
        from compiler_nb.engine.remote import RemoteSession  # noqa: PLC0415 - as above

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
        with self._lock:
            if self._made is None or self._made.client.status == "closed":
                self._made = DaskEngine(connect(self.address) if self.address else start())
            return self._made


def connect(address: str) -> Client:
    """Return a client of a cluster that runs. Raises ClusterError if nobody answers."""
    from distributed import Client  # noqa: PLC0415 - an extra

    made: Future[Client] = Future()

    def make() -> None:
        try:
            made.set_result(Client(address, timeout=CONNECTS_WITHIN, set_as_default=False))
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            made.set_exception(error)

    try:
        _knock(address)
        # whatever else answers there may keep Dask waiting for ever
        threading.Thread(target=make, name="compiler_nb-dask", daemon=True).start()
        client = made.result(CONNECTS_WITHIN + 1)
    except (OSError, ValueError, TimeoutError) as error:
        fix = "start one there (dask scheduler), or leave out the address"
        told = describe_error(error)[:200] if str(error) else "something else answers"
        raise ClusterError(f"no Dask scheduler answers at {address}: {fix} ({told})") from None
    atexit.register(_close, client)
    return client


def _knock(address: str) -> None:
    """Raise OSError if nobody listens there, which Dask tries again for seconds; ValueError if it is no address."""
    from distributed.comm import parse_address, parse_host_port  # noqa: PLC0415 - an extra

    scheme, place = parse_address(address)
    if scheme in ("tcp", "tls"):
        host, port = parse_host_port(place)
        socket.create_connection((host, port), CONNECTS_WITHIN).close()


def start() -> Client:
    """Start a cluster on this machine, a worker for each processor; it is closed when this process ends."""
    from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra

    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    try:
        cluster = LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", env=_without_keys()
        )  # fmt: skip
    except Exception as error:
        raise ClusterError(f"no Dask cluster can be started here: {describe_error(error)}") from error
    client = Client(cluster, set_as_default=False)
    atexit.register(_close, client, cluster)
    return client


def _without_keys() -> dict[str, str]:
    """Return what workers have in the place of the keys of models, which they would inherit with the environment."""
    named = {name for provider in PROVIDERS.values() for name in provider.key_variables} | {AD_TOKEN}
    return dict.fromkeys(sorted(named & os.environ.keys()), "")


def _close(*each: Any) -> None:
    for one in each:
        with contextlib.suppress(Exception):  # the process ends
            one.close(timeout=2)


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
