"""Clients of Dask: of a cluster that runs already, or of one that is started on this machine."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
from concurrent.futures import Future
from typing import Any, Final

from distributed import Client, LocalCluster
from distributed.comm import parse_address, parse_host_port

from compiler_nb.errors import ClusterError
from compiler_nb.models.providers import AD_TOKEN, PROVIDERS
from compiler_nb.text import describe_error

CONNECTS_WITHIN: Final = 10.0
"""Seconds in which a scheduler that is named by its address answers."""
MOST_WORKERS: Final = 8
"""Workers at most of a cluster that is started here."""


def connect(address: str) -> Client:
    """Return a client of a cluster that runs. Raises ClusterError if nobody answers."""
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
    scheme, place = parse_address(address)
    if scheme in ("tcp", "tls"):
        host, port = parse_host_port(place)
        socket.create_connection((host, port), CONNECTS_WITHIN).close()


def start() -> Client:
    """Start a cluster on this machine, a worker for each processor; it is closed when this process ends."""
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
