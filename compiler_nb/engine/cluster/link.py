"""The client's side of calls on a cluster: they are sent, heard of, sent again if need be, and their values fetched.

A client of Dask is used on its own loop only, which may be any loop: methods of a DaskLink run there unless they say
otherwise. Whoever sent a call hears of it by `post`; see `runner` for what becomes of that.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from distributed import Client, Future, KilledWorker

from compiler_nb.engine.call import Call
from compiler_nb.engine.cluster.large import LargeObjects
from compiler_nb.engine.cluster.parcel import LARGE, Boxed, Parcel
from compiler_nb.engine.cluster.worker import perform
from compiler_nb.errors import ClusterError
from compiler_nb.outcome import Remote
from compiler_nb.text import describe_error

TRIES: Final = 3
"""How often a call is sent whose arguments were lost with a worker."""
T = TypeVar("T")


class StayingValue(NamedTuple):
    """Where a value stays: Dask's future of it, and the link through which it comes home."""

    link: DaskLink
    future: Future

    def fetch(self, remotes: list[Remote]) -> list[Any]:
        """Return values, on a thread that may wait. Raises ClusterError."""
        return self.link.fetch(remotes)


@dataclass(eq=False, slots=True)
class SentCall:
    """A call that is sent, and what is known of it since.

    key: which call it is, in reports; large: sends what is large of it; post: takes reports, on the client's loop.
    """

    key: str
    call: Call
    function: bytes
    parcel: Parcel
    large: LargeObjects
    post: Callable[[SentCall, dict[str, Any]], None]
    future: Future | None = None
    sent: int = 0
    begun: bool = False
    reported: bool = False  # its end was
    over: bool = False


class DaskLink:
    """What all runs of one engine share: the client, used on its own loop, and the calls that are there."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop
        self.topic = f"compiler_nb-{uuid.uuid4().hex}"
        self.address = getattr(client.scheduler, "address", "its address")  # a client that was closed has no scheduler
        # Whether the client lives on a loop of the user's, where nobody may wait; `client.asynchronous` does not say
        # that, but whether it is asked on that loop.
        self.on_foreign_loop = bool(getattr(client, "_asynchronous", False))
        self.jobs: dict[str, SentCall] = {}
        self._outbox: deque[Callable[[], None]] = deque()
        self._woken = False
        self._works: set[asyncio.Task[Any]] = set()

    def call(self, what: Callable[[], None]) -> None:
        """Do something soon on the client's loop; on any thread. Raises RuntimeError if the loop is closed."""
        self._outbox.append(what)
        if not self._woken:
            self._woken = True
            self.loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._woken = False
        while self._outbox:
            self._outbox.popleft()()

    async def ask(self, work: Callable[[], Coroutine[Any, Any, T]], seconds: float | None = None) -> T:
        """Await something on the client's loop, from another one. Raises ClusterError if nobody answers in time."""
        if self.loop.is_closed():
            raise ClusterError(self.gone)
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self.loop))
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise ClusterError(f"{self.gone} (no answer in {seconds:g} s)") from None

    @property
    def gone(self) -> str:
        """What is said of a cluster that cannot be reached."""
        return f"the Dask cluster at {self.address} is gone: start one and make another Client, or use engine='local'"

    async def look(self) -> dict[str, int]:
        """Return the threads of each worker, and hear reports from now on. Raises ClusterError."""
        if self.client.status != "running":
            raise ClusterError(self.gone)
        try:
            found: dict[str, int] = await self.client.scheduler.ncores(workers=None)
        except (OSError, ValueError) as error:
            raise ClusterError(f"{self.gone} ({describe_error(error)})") from None
        self.client.subscribe_topic(self.topic, self._hear)
        return found

    # ---------------------------------------------------------------- calls

    def submit(self, job: SentCall) -> None:
        """Send a call, with what it needs beside; on the client's loop."""
        self.jobs[job.key] = job
        task = self.loop.create_task(self._submit(job))
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    async def _submit(self, job: SentCall) -> None:
        if self.client.status != "running":
            job.post(job, {"lost": self.gone})
            return
        send = partial(job.large.send, self.client, job.call)
        try:
            beside = [each.place.future if type(each) is Remote else await send(each) for each in job.parcel.beside]
            function = job.function if len(job.function) < LARGE else await send(job.function)
            if job.over:
                return
            job.sent += 1
            name, key = job.call.name, f"{job.call.name}-{job.key}-{job.sent}"
            arguments = (self.topic, job.key, name, job.call.id, function, job.parcel.data, *beside)
            job.future = self.client.submit(perform, *arguments, key=key, pure=False, retries=0)
        except ClusterError as error:
            job.post(job, {"refused": error})
            return
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the cluster ends the call
            told = describe_error(error)[:200]
            job.post(job, {"lost": f"{job.call.name} cannot be sent to the cluster: {told}"})
            return
        # Not `add_done_callback`, which calls on a thread of Dask's: none can be started when the process ends.
        while job.future is not None and job.future.status == "pending":
            await job.future._state.wait()  # noqa: SLF001 - see above
        await self._explain(job)

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take a report; called on the client's loop."""
        report = event[1]
        job = self.jobs.get(report["call"])
        if job is not None:
            job.reported = job.reported or not report.keys() & {"began", "printed"}
            job.post(job, report)

    async def _explain(self, job: SentCall) -> None:
        """Send a call again whose arguments were lost, or say why it has ended without a report."""
        future = job.future
        if job.over or job.reported or future is None:
            return
        if future.status == "cancelled" and self.client.status == "running" and job.sent < TRIES:
            job.large.forget()
            await self._submit(job)
            return
        told = self.gone
        if future.status == "error":
            error = await future.exception(asynchronous=True)
            told = describe_error(error)
            if isinstance(error, KilledWorker):
                died = f"{error.allowed_failures + 1} workers died while they ran it"
                told = f"{job.call.name} was lost with its workers: {died}; their logs say why (memory, most often)"
        elif future.status == "finished":
            told = f"{job.call.name} has ended on its worker, but its report was lost"
        job.post(job, {"lost": told})

    def release(self, job: SentCall, *, cancel: bool) -> None:
        """Forget a call that is over; cancel: have Dask drop it, too. On the client's loop."""
        self.jobs.pop(job.key, None)
        if cancel and job.future is not None and self.client.status == "running":
            work = self.loop.create_task(self.client.cancel([job.future], asynchronous=True))
            self._works.add(work)
            work.add_done_callback(self._works.discard)
        job.future = None

    # ---------------------------------------------------------------- values

    async def gather(self, remotes: list[Remote]) -> list[Any]:
        """Return values; on the client's loop. Raises ClusterError."""
        if self.client.status != "running":
            raise ClusterError(self.gone)
        try:
            boxes: list[Boxed] = await self.client.gather([each.place.future for each in remotes], asynchronous=True)
        except Exception as error:
            told = ", ".join(dict.fromkeys(each.told for each in remotes[:3]))
            reason = describe_error(error).partition("\n")[0]
            raise ClusterError(f"a value on the cluster ({told}) cannot come home: {reason}") from error
        lost = next((each.lost for each in boxes if each.lost), "")
        if lost:
            raise ClusterError(f"a value was lost with its worker, and could not be made again: {lost}")
        return [each.value for each in boxes]

    def fetch(self, remotes: list[Remote]) -> list[Any]:
        """Return values, on a thread that may wait. Raises ClusterError."""
        if getattr(self.loop, "_thread_id", None) == threading.get_ident():
            raise ClusterError("the value is on the cluster, and this is the loop of its asynchronous client")
        if self.loop.is_closed():
            raise ClusterError(self.gone)
        return asyncio.run_coroutine_threadsafe(self.gather(remotes), self.loop).result()
