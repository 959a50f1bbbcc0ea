"""Performs calls on a cluster of Dask: sends them, hears their reports, and leaves their values there.

Theory of operation
    Two loops take part: the session's, on which a runner is called and calls end, and the client's, which may be a
    thread of its own (a synchronous Client) or any other loop. What is done there is `link.py`'s: what is to be sent
    waits in the link's outbox, and what was heard in the runner's inbox; each wakes the other loop once for many.
    A worker reports each call (see worker.py): that it has begun, what it prints, and its end, with the value if it is
    small, otherwise with what it is; then the value is a Remote, which holds Dask's future. A call that ends without a
    report was lost: its workers died, what was sent with it did, or the connection to the cluster.
    Dask runs a call again if its worker dies, and makes a lost value again that way; so only calls come here of which
    that does no harm. A value that has come home is never made again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final

from compiler_nb.engine.attempt import failure_of
from compiler_nb.engine.call import Call, Runner
from compiler_nb.engine.cluster.large import WITH_KEY, LargeObjects
from compiler_nb.engine.cluster.link import DaskLink, SentCall, StayingValue
from compiler_nb.engine.cluster.parcel import pack, pack_function, unpack_error, unpack_small
from compiler_nb.engine.cluster.remote import RemoteSession
from compiler_nb.engine.prints import PRINTS
from compiler_nb.errors import ClusterError
from compiler_nb.models.secret import mask
from compiler_nb.outcome import Failure, Remote
from compiler_nb.values.remotes import remotes_in, with_values

ANSWERS_WITHIN: Final = 10.0
"""Seconds in which a cluster that is asked for its workers answers."""
BEGINS_WITHIN: Final = 300.0
"""Seconds that a call with a shorter timeout may wait for a worker."""
FALL_BACK: Final = "run such calls in this process: DaskEngine(client, fall_back=True)"


class DaskRunner:
    """Performs the calls of one session. link: None until the cluster is connected; fall_back: as in DaskEngine."""

    stuck = "nothing can stop it on its worker"

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, DaskLink]], *, fall_back: bool) -> None:
        self.link: DaskLink | None = None
        self.fall_back = fall_back
        self._connect = connect
        self._functions: dict[str, bytes] = {}
        self._jobs: set[SentCall] = set()
        self._inbox: deque[tuple[SentCall, dict[str, Any]]] = deque()
        self._woken = False
        self._falling: dict[Call, asyncio.Task[None]] = {}

    def open(self, session: RemoteSession, here: Runner) -> None:
        """Belong to a session; here: performs what falls back."""
        self.session, self.here, self.loop, self.prints = session, here, session.loop, PRINTS.get()
        self.large = LargeObjects(session)

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
        return SentCall(uuid.uuid4().hex, call, self._functions[name], parcel, self.large, self.post)

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
            self.link.call(self.large.forget)

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
