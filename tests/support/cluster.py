"""A small cluster of Dask on this machine, for the tests of one session: two workers, of one thread each."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from distributed import Client, LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def started(workers: int = 2) -> Iterator[Client]:
    """Give a client of a cluster that is closed in the end."""
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "memory_limit": 0, "silence_logs": 50}
    with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


def kill(pid: int) -> None:
    """Kill a worker."""
    os.kill(pid, signal.SIGKILL)


def wait_for(path: object, seconds: float = 120.0) -> str:
    """Wait until a file is there and not empty; return its text."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.005)
    raise TimeoutError(path)
