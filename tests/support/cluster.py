"""A small cluster of Dask on this machine, for the tests of one session: two workers, of one thread each.

And plans on it: tools whose results stay there, and what runs them.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, LocalCluster

from compiler_nb.compiler import Compiler
from compiler_nb.engine.cluster.engine import DaskEngine
from compiler_nb.tool import tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from compiler_nb.run import Run

BIG = 5_000
"""Numbers that make a list which stays on its worker."""
KEY = "sk-canary-6f1b9d2c84aa7e35"
"""The key of a model, which no worker may see."""


@tool
def numbers(count: int) -> list:
    """Make a list; one of BIG numbers is more than comes home with the end of a call."""
    return list(range(count))


@tool
def total(values: list) -> int:
    """Add numbers."""
    return sum(values)


def execute(
    where: Any, plan: str, tools: Iterable[Any], inputs: Mapping[str, Any] | None = None, **options: Any
) -> Run:
    """Run a plan: on an engine, or on a client's cluster, then `fall_back` is an option, too."""
    if isinstance(where, Client):
        where = DaskEngine(where, fall_back=options.pop("fall_back", False))
    return Compiler(None, tools, engine=where, **options).execute_sync(plan, inputs)


@contextmanager
def started(workers: int = 2) -> Iterator[Client]:
    """Give a client of a cluster that is closed in the end."""
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "memory_limit": 0, "silence_logs": 50}
    patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"})  # it would give up killed workers
    with (
        patient,
        LocalCluster(n_workers=workers, **options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def kill(pid: int, way: signal.Signals = signal.SIGKILL) -> None:
    """Kill a worker."""
    os.kill(pid, way)


def wait_for_another(client: Client, lost: str) -> None:
    """Wait until a worker is gone, by its address, and another has taken its place."""
    end = time.monotonic() + 120.0
    while lost in client.scheduler_info(n_workers=-1)["workers"]:
        if time.monotonic() > end:
            raise TimeoutError(lost)
        time.sleep(0.02)
    client.wait_for_workers(2, timeout=120)


def wait_for(path: object, seconds: float = 120.0) -> str:
    """Wait until a file is there and not empty; return its text."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.005)
    raise TimeoutError(path)
