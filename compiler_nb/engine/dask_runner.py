"""Performs calls on a cluster of Dask: sends them, hears their reports, and leaves their values there.

Theory of operation
    Two loops take part: the session's, on which a runner is called and calls end, and the client's, which may be a
    thread of its own (a synchronous Client) or any other loop. The client is used on its own loop only: what is to be
    sent waits in an outbox, and what was heard in the runner's inbox; each wakes the other loop once for many.
    A worker reports each call (see dask_worker.py): that it has begun, what it prints, and its end, with the value if
    it is small, otherwise with what it is; then the value is a Remote, which holds Dask's future. A call that ends
    without a report was lost: its workers died, what was sent with it did, or the connection to the cluster.
    Dask runs a call again if its worker dies, and makes a lost value again that way; so only calls come here of which
    that does no harm. A value that has come home is never made again.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from distributed import Client, Future, KilledWorker

from compiler_nb.engine.attempt import failure_of
from compiler_nb.engine.call import Call, Runner
from compiler_nb.engine.dask_worker import perform
from compiler_nb.engine.parcel import (
    LARGE,
    Boxed,
    LeakError,
    Parcel,
    Whole,
    check_bytes,
    check_large,
    pack,
    pack_function,
    unpack_error,
    unpack_small,
)
from compiler_nb.engine.prints import PRINTS
from compiler_nb.engine.remote import RemoteSession
from compiler_nb.errors import ClusterError
from compiler_nb.models.secret import mask, whole_forms
from compiler_nb.outcome import Failure, Remote
from compiler_nb.text import describe_error, type_name
from compiler_nb.values.remotes import remotes_in, with_values

ANSWERS_WITHIN: Final = 10.0
"""Seconds in which a cluster that is asked for its workers answers."""
BEGINS_WITHIN: Final = 300.0
"""Seconds that a call with a shorter timeout may wait for a worker."""
TRIES: Final = 3
"""How often a call is sent whose arguments were lost with a worker."""
FALL_BACK: Final = "run such calls in this process: DaskEngine(client, fall_back=True)"
WITH_KEY: Final = "would take a key to the cluster, and keys never leave this process"
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
    """A call that is sent: under which key, with what; then what is known of it."""

    key: str
    call: Call
    runner: DaskRunner
    function: bytes
    parcel: Parcel
    future: Future | None = None
    sent: int = 0
    begun: bool = False
    reported: bool = False  # its end was
    over: bool = False


# -------------------------------------------------------------------- the client's side


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
            job.runner.post(job, {"lost": self.gone})
            return
        try:
            beside = [
                each.place.future if type(each) is Remote else await job.runner.sent(job.call, each)
                for each in job.parcel.beside
            ]
            function = job.function if len(job.function) < LARGE else await job.runner.sent(job.call, job.function)
            if job.over:
                return
            job.sent += 1
            name, key = job.call.name, f"{job.call.name}-{job.key}-{job.sent}"
            arguments = (self.topic, job.key, name, job.call.id, function, job.parcel.data, *beside)
            job.future = self.client.submit(perform, *arguments, key=key, pure=False, retries=0)
        except ClusterError as error:
            job.runner.post(job, {"refused": error})
            return
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the cluster ends the call
            told = describe_error(error)[:200]
            job.runner.post(job, {"lost": f"{job.call.name} cannot be sent to the cluster: {told}"})
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
            job.runner.post(job, report)

    async def _explain(self, job: SentCall) -> None:
        """Send a call again whose arguments were lost, or say why it has ended without a report."""
        future = job.future
        if job.over or job.reported or future is None:
            return
        if future.status == "cancelled" and self.client.status == "running" and job.sent < TRIES:
            job.runner.forget_sent(self)
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
        job.runner.post(job, {"lost": told})

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


# -------------------------------------------------------------------- the session's side


class DaskRunner:
    """Performs the calls of one session. link: None until the cluster is connected; fall_back: as in DaskEngine."""

    stuck = "nothing can stop it on its worker"
    _numbers = itertools.count()

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, DaskLink]], *, fall_back: bool) -> None:
        self.link: DaskLink | None = None
        self.fall_back = fall_back
        self._connect = connect
        self._functions: dict[str, bytes] = {}
        self._jobs: set[SentCall] = set()
        self._inbox: deque[tuple[SentCall, dict[str, Any]]] = deque()
        self._woken = False
        self._falling: dict[Call, asyncio.Task[None]] = {}
        self._sent: dict[int | bytes, tuple[Any, asyncio.Task[Future]]] = {}  # large objects; used on the client's loop

    def open(self, session: RemoteSession, here: Runner) -> None:
        """Belong to a session; here: performs what falls back."""
        self.session, self.here, self.loop, self.prints = session, here, session.loop, PRINTS.get()

    async def connect(self) -> tuple[str, int, int]:
        """Connect to the cluster; return its address, and how many workers and threads it has. Raises ClusterError."""
        self.link = link = await self._connect()
        threads = await link.ask(link.look, ANSWERS_WITHIN)
        return link.address, len(threads), sum(threads.values())

    @property
    def waits(self) -> bool:
        """Whether values must come home before the run ends, for nobody could wait for them later."""
        return self.link is not None and self.link.on_foreign_loop

    async def bring(self, remotes: list[Remote]) -> list[Any]:
        """Return values. Raises ClusterError."""
        link: DaskLink = remotes[0].place.link
        return await link.ask(lambda: link.gather(remotes))

    # ---------------------------------------------------------------- calls

    def start(self, call: Call) -> None:
        """Send a call; one that cannot be sent fails at once, or runs here."""
        if self.link is None:
            call.end(Failure("raised", "the cluster is not connected"))
            return
        try:
            job = self._packed(call)
            self._jobs.add(job)
            call.handle = job
            call.note_waiting(BEGINS_WITHIN)
            self.link.call(partial(self.link.submit, job))
        except ClusterError as error:
            self._refuse(call, error)
        except RuntimeError:  # the client's loop is closed
            call.end(Failure("raised", self.link.gone))

    def _refuse(self, call: Call, error: ClusterError) -> None:
        """End a call that cannot be sent, or perform it here."""
        if self.fall_back:
            self._fall_back(call)
        else:
            call.end(Failure("arguments", f"{error}; {FALL_BACK}", error))

    def _packed(self, call: Call) -> SentCall:
        """Return a call as it is sent. Raises ClusterError if it cannot be pickled, or holds a key."""
        name = call.name
        if name not in self._functions:
            self._functions[name] = self._without_key(name, pack_function(name, call.function))
        names = self.session.tools[name].positional
        parcel = pack(name, call.args, call.kwargs, lambda place: names[place] if place < len(names) else str(place))
        self._without_key(name, parcel.data)
        return SentCall(f"{next(self._numbers)}-{uuid.uuid4().hex[:8]}", call, self, self._functions[name], parcel)

    def _without_key(self, name: str, data: bytes) -> bytes:
        """Return what is to be sent. Raises ClusterError if there is a key in it."""
        if self.session.secrets:
            narrow = data.replace(b"\0", b"")  # texts of arrays have wide characters
            for text in (data.decode("latin-1"), narrow.decode("latin-1")):
                if mask(text, self.session.secrets) is not text:
                    raise ClusterError(f"{name} {WITH_KEY}")
        return data

    def _fall_back(self, call: Call) -> None:
        """Perform a call here; its values come home first."""

        async def work() -> None:
            remotes = list(dict.fromkeys(remotes_in([call.args, call.kwargs])))
            try:
                found = dict(zip(remotes, await self.bring(remotes), strict=True)) if remotes else {}
                bound = with_values(call.args, found), with_values(call.kwargs, found)
                call.args, call.kwargs = self.session.tools[call.name].bind(*bound)
            except Exception as error:  # noqa: BLE001 - the cluster, or a check of a user's type
                call.raised(error)
                return
            if self._falling.pop(call, None) is not None:  # or it was given up meanwhile
                call.note_begun()
                call.runner = self.here
                self.here.start(call)

        call.handle = None
        self._falling[call] = self.loop.create_task(work())

    def stop(self, call: Call) -> None:
        """Do nothing: a function cannot be asked to end."""

    def abandon(self, call: Call) -> bool:
        """Have Dask drop a call that it has not begun; return whether it has."""
        if (falling := self._falling.pop(call, None)) is not None:
            falling.cancel()
        job = call.handle
        if type(job) is not SentCall:
            return False
        self._leave(job, cancel=True)
        return job.begun

    def _leave(self, job: SentCall, *, cancel: bool = False) -> None:
        job.over = True
        self._jobs.discard(job)
        if self.link is not None and not self.link.loop.is_closed():
            self.link.call(partial(self.link.release, job, cancel=cancel))

    def close(self) -> None:
        """Let go of what is still there."""
        for job in list(self._jobs):
            self._leave(job, cancel=True)
        for falling in self._falling.values():
            falling.cancel()
        if self.link is not None and not self.link.loop.is_closed():
            self.link.call(self._sent.clear)

    # ---------------------------------------------------------------- reports

    def post(self, job: SentCall, report: dict[str, Any]) -> None:
        """Take a report, on the client's loop."""
        self._inbox.append((job, report))
        if not self._woken:
            self._woken = True
            if not self.loop.is_closed():
                self.loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._woken = False
        while self._inbox:
            job, report = self._inbox.popleft()
            if not job.over:
                self._take(job, report)

    def _take(self, job: SentCall, report: dict[str, Any]) -> None:
        call, link = job.call, self.link
        if "began" in report:
            job.begun = True
            call.note_begun()
        elif "printed" in report:
            if self.prints is not None and self.prints.open:
                self.prints.write(call.id, report["printed"])
        elif "value" in report:
            self._leave(job)
            call.end(unpack_small(report["value"]))
        elif "left" in report and link is not None and job.future is not None:
            value = Remote(report["left"], report["size"], StayingValue(link, job.future))
            self._leave(job)
            call.end(value)
        elif "refused" in report:
            self._leave(job)
            self._refuse(call, report["refused"])
        elif report.get("stays") and self.fall_back:
            self._leave(job)
            self._fall_back(call)
        else:
            self._leave(job)
            call.end(self._failure(call, report))

    def _failure(self, call: Call, report: dict[str, Any]) -> Failure:
        """Return how a call failed there."""
        if "lost" in report:
            return Failure("raised", report["lost"], ClusterError(report["lost"]))
        error, message = unpack_error(report["error"]), report["message"]
        failure = failure_of(error, self.session.tools[call.name]) if error is not None else Failure("raised", message)
        if isinstance(error, ModuleNotFoundError) and error.name:
            message = f"{failure.message}; its worker has no such module: client.upload_file('{error.name}.py')"
            failure = replace(failure, message=message)
        if report["stays"]:
            failure = replace(failure, message=f"{failure.message.removeprefix('ClusterError: ')}; {FALL_BACK}")
        return replace(failure, told=report["told"])

    # ---------------------------------------------------------------- large objects, on the client's loop

    async def sent(self, call: Call, value: Any) -> Future:
        """Return the future of an object that is sent once, however many calls take it. Raises ClusterError."""
        key = value.digest if type(value) is Whole else id(value)
        if key not in self._sent:
            self._sent[key] = (value, asyncio.get_running_loop().create_task(self._checked(value)))
        try:
            return await self._sent[key][1]
        except LeakError:
            raise ClusterError(f"{call.name} {WITH_KEY}") from None
        except ClusterError as error:
            names = self.session.tools[call.name].positional
            given = [*zip(names, call.args, strict=False), *call.kwargs.items()]
            told = next((f"the argument {name!r}" for name, each in given if each is value), "an argument")
            raise ClusterError(f"{call.name}: {told} ({type_name(value)}) {error}") from None

    async def _checked(self, value: Any) -> Future:
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
        link: DaskLink = self.link  # type: ignore[assignment]  # whoever sends is connected
        return await _scatter(link.client, value)

    def forget_sent(self, link: DaskLink) -> None:
        """Send large objects again when they are needed: a worker died that may have held one."""
        self._sent.clear()


async def _scatter(client: Client, value: Any) -> Future:
    (future,) = await client.scatter([Boxed(value)], hash=False, asynchronous=True)
    return future
