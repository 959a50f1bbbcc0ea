"""One call of a model with everything around it: limits, timers, retries, events.

A model only streams; what is the same for every model is here. `Calls` belongs to a run, whose events it emits; the
limits behind it may be shared by several runs of one event loop.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import threading
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from compiler_nb.errors import ModelError, ModelRefused, ModelTimeout, RateLimited, StreamBroken
from compiler_nb.events import ModelChunk, ModelEnded, ModelStarted, Warned
from compiler_nb.models.base import Chunk, Model, Request
from compiler_nb.models.limits import Doors, Limit, Limits, Parking
from compiler_nb.models.patience import Attempt, Watch
from compiler_nb.models.providers import CONCURRENCY, is_same_model, known_secrets
from compiler_nb.models.scripted import estimate_tokens
from compiler_nb.models.secret import Screen, mask
from compiler_nb.outcome import Usage
from compiler_nb.text import describe_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from compiler_nb.events import Emit
    from compiler_nb.models.secret import Secret

LONGEST_DELAY: Final = 20.0
"""Seconds that a back-off of our own takes at most."""
SILENT_TRIES: Final = 2
"""Tries where the provider did not even answer: another one would only take longer."""
STOPPED: Final = {
    "length": "the reply is cut off at the longest that the model may give: ask for less, or allow it more tokens",
    "content_filter": "the reply is cut off by the provider's filter: rephrase what is asked",
}
"""What it means that a model had to stop, by its finish."""
MOST_TOKENS: Final = 100_000_000
"""A usage above this is no measurement."""


class Reply(NamedTuple):
    """A whole reply: its text, why it ended, and what it used."""

    text: str
    finish: str
    usage: Usage


class Calls:
    """Calls models for one run, numbers the calls, and emits their events.

    limits: by provider, or the Limits that several runs share; first_token, idle: seconds to wait for the first and
    for each next piece; tries: at most, before the first piece only; backoff: seconds before the second try, doubled
    each time; longest_wait: seconds that a call waits, all its tries together, for a provider that is asked too often:
    as long as these last, such tries do not count; closing: seconds that a model has to end when it is stopped;
    parking: how the task that asks waits for its provider, None where it has nothing to give up.
    """

    def __init__(
        self,
        emit: Emit,
        *,
        limits: Mapping[str, Limit] | Limits | None = None,
        first_token: float = 120.0,
        idle: float = 30.0,
        tries: int = 4,
        backoff: float = 0.5,
        longest_wait: float = 120.0,
        closing: float = 1.0,
        parking: Callable[[str], Parking | None] | None = None,
    ) -> None:
        self.emit, self.parking = emit, parking
        self.limits = limits if isinstance(limits, Limits) else default_limits(limits)
        self.first_token, self.idle = first_token, idle
        self.tries, self.backoff, self.longest_wait = tries, backoff, longest_wait
        self.closing = closing
        self.numbers = itertools.count(1)
        self.answerers: set[tuple[str, str]] = set()  # (asked, answered) of which the user was told

    def open(self, model: Model, request: Request) -> Stream:
        """Return the reply as it comes: `async with calls.open(...) as reply: async for text in reply: ...`."""
        return Stream(self, model, request)

    async def text(self, model: Model, request: Request) -> Reply:
        """Return the whole reply; one that broke off is asked for once more, then its fault is raised.

        A worker's reply is a task's value, and half of one is none: it is an error where the model had to stop.
        """
        asked = tried = 0
        while True:
            asked += 1
            stream = self.open(model, request)
            fault: ModelError | None = None
            try:
                async with stream:
                    text = "".join([piece async for piece in stream])
            except ModelError as error:
                fault = error
            if fault is None and not stream.finish:
                fault = stream.cut()
            if fault is None:
                if request.role == "worker" and stream.finish in STOPPED:
                    raise stream.stopped()
                return Reply(text, stream.finish, stream.usage)
            tried += stream.tried
            if not fault.retryable or asked == SILENT_TRIES or not stream.spoke:
                fault.attempts = tried
                raise fault


def default_limits(limits: Mapping[str, Limit] | None = None, doors: Doors | None = None) -> Limits:
    """Return the limits as given, and for other providers those that they need: one call at a time for a local one."""
    needed = {name: Limit(concurrency=number) for name, number in CONCURRENCY.items()}
    return Limits({**needed, **(limits or {})}, doors=doors)


_SHARED: Final[dict[asyncio.AbstractEventLoop, Doors]] = {}
_LOCK: Final = threading.Lock()


def shared_limits(limits: Mapping[str, Limit]) -> Limits:
    """Return limits that hold for all who call on the running loop, where a provider has equal ones."""
    loop = asyncio.get_running_loop()
    with _LOCK:
        for closed in [other for other in _SHARED if other.is_closed()]:
            del _SHARED[closed]
        doors = _SHARED.setdefault(loop, {})
    return default_limits(limits, doors)


class Stream:
    """A reply as it comes. Iterate it, in one task and within `async with`, for its pieces.

    call: its number, 0 before it began; finish: why the model ended, "" while it has not, and where it was cut without
    a word (`cut()` is the error for that); usage: what it used, estimated (`reported` is False) where the provider gave
    no sane numbers; spoke: whether any text came; tried: requests made; answered: the model that the reply names,
    "" where it is the asked one. What a model has in `secrets` never comes out of it.
    Emits ModelStarted when its place at the provider is there, ModelChunk, and ModelEnded however it ends.
    Raises a ModelError after the tries that are worth while; none is made once text came.
    """

    def __init__(self, calls: Calls, model: Model, request: Request) -> None:
        self.call, self.finish, self.spoke, self.tried, self.answered = 0, "", False, 0, ""
        self._calls, self._model, self._request = calls, model, _without_keys(request, model)
        self._secrets: tuple[Secret, ...] = getattr(model, "secrets", ())
        self._screen = Screen(self._secrets) if self._secrets else None
        self._sent = estimate_tokens(sum(len(message["content"]) for message in request.messages))
        self._received = 0  # characters
        self._usage: Usage | None = None
        self._strings_only = True
        self._silent = 0  # tries that nobody answered
        self._waited = 0.0  # seconds, for a provider that is asked too often
        self._parking = calls.parking(request.task) if calls.parking is not None else None
        self._pieces = self._run()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pieces.aclose()

    def __aiter__(self) -> AsyncIterator[str]:
        return self._pieces

    @property
    def usage(self) -> Usage:
        """What the call has used so far."""
        return self._usage or Usage(1, self._sent, estimate_tokens(self._received), 0, reported=False)

    def cut(self) -> StreamBroken:
        """Return the error for a reply that ended without a finish."""
        mend = "ask again, or look at the server, or at a proxy before it"
        told = f"{self._name}: the reply ended before the model did; it may be cut off: {mend}"
        return StreamBroken(told, **self._where)

    def stopped(self) -> ModelError:
        """Return the error for a reply whose model had to stop."""
        kind = ModelRefused if self.finish == "content_filter" else ModelError
        return kind(f"{self._name}: {STOPPED[self.finish]}", **self._where)

    async def _run(self) -> AsyncGenerator[str, None]:
        calls = self._calls
        error = ""
        place = functools.partial(calls.limits.slot, self._model.provider, self._sent, self._parking)
        try:
            while True:
                self.tried += 1
                async with place() as slot, self._attempt() as attempt:
                    watch = attempt.watch
                    async for chunk in attempt.chunks:
                        text = self._take(chunk)
                        del chunk  # a traceback may show it, and a provider may have repeated the key in it
                        if text:
                            watch.rest()
                            calls.emit(ModelChunk, self.call, text)
                            yield text
                        watch.expect(calls.idle)
                    slot.tokens = self.usage.tokens
                if text := self._screen.close() if self._screen is not None else "":
                    calls.emit(ModelChunk, self.call, text)
                    yield text
                if attempt.fault is None and not (self.spoke or self.finish or self._strings_only):
                    attempt.fault = self.cut()
                if attempt.fault is None:
                    break
                await self._wait(attempt.fault)
            if self._strings_only:
                self.finish = "stop"  # plain strings have no other way to say so
        except BaseException as ended:
            error = "" if isinstance(ended, GeneratorExit) else describe_error(ended)
            raise
        finally:
            if self.call:
                calls.emit(ModelEnded, self.call, self.finish, self.usage, error, self.answered)

    @asynccontextmanager
    async def _attempt(self) -> AsyncIterator[Attempt]:
        """Open the model's stream, and close it again; what it raised is kept as the attempt's fault."""
        self._begin()
        attempt = Attempt(self._open(), Watch(self._calls.first_token, self._calls.closing))
        try:
            yield attempt
        except asyncio.CancelledError:
            if not attempt.watch.stop():
                raise
            attempt.fault = self._late()
        except Exception as raised:  # noqa: BLE001 - a model may raise anything
            attempt.fault = self._late() if attempt.watch.stop() else self._fault(raised)
        finally:
            attempt.watch.stop()
            await self._close(attempt.chunks)

    def _begin(self) -> None:
        self.finish, self._strings_only = "", True
        if not self.call:
            self.call = next(self._calls.numbers)
            asked, model = self._request, self._model
            who = (asked.role, asked.task, model.provider, model.name)
            self._calls.emit(ModelStarted, self.call, *who, asked.messages, asked.prompt)

    def _open(self) -> AsyncGenerator[Chunk | str, None]:
        stream: Any = self._model.stream(self._request)
        if not hasattr(stream, "__aiter__"):
            if asyncio.iscoroutine(stream):
                stream.close()
            kind = type(self._model).__name__
            raise ModelError(f"{kind}.stream is no async generator: write `async def` and `yield`", **self._where)
        return stream  # type: ignore[no-any-return]  # any async iterator will do

    def _take(self, chunk: Any) -> str:
        """Return what may be shown of a chunk's text, and keep the rest of the chunk."""
        if type(chunk) is str:
            text = chunk
        elif isinstance(chunk, Chunk):
            self._strings_only = False
            text = chunk.text
            if chunk.finish:
                self.finish = mask(chunk.finish, self._secrets)
            if chunk.model:
                self._name_answerer(mask(chunk.model, self._secrets))
            if chunk.usage is not None:
                self._usage = sane(chunk.usage)
        else:
            kind = type(chunk).__name__
            raise ModelError(f"{self._name} yields {kind}; a model yields str or Chunk", **self._where)
        if text:
            self.spoke = True
            self._received += len(text)
        return text if self._screen is None else self._screen.feed(text)

    def _name_answerer(self, answered: str) -> None:
        """Note which model the reply names, and tell the user once where it is another than was asked for."""
        asked = self._model.name
        self.answered = answered if answered != asked else ""
        told = self._calls.answerers
        # a deployment is called as its owner likes, and names the model behind it
        if self._model.provider == "azure" or is_same_model(asked, answered) or (asked, answered) in told:
            return
        told.add((asked, answered))
        message = f"call {self.call}: {self._name} was asked, {answered} answered: is it an alias, or a proxy's choice?"
        self._calls.emit(Warned, self._request.task, message)

    async def _close(self, chunks: Any) -> None:
        """Close a model's stream, whatever it does about it."""
        if hasattr(chunks, "aclose"):
            with suppress(Exception):
                async with asyncio.timeout(self._calls.closing):
                    await chunks.aclose()

    def _late(self) -> ModelError:
        if self.spoke:
            return ModelTimeout(f"{self._name} said nothing more for {self._calls.idle:g} s", **self._where)
        told = f"{self._name} said nothing for {self._calls.first_token:g} s: is it up, or overloaded?"
        return ModelTimeout(told, **self._where)

    def _fault(self, raised: Exception) -> ModelError:
        if isinstance(raised, ModelError):
            raised.attempts, raised.kept = 1, ""  # a script may raise one again, which was told of another call
            return raised
        told = describe_error(raised)
        masked = mask(told, self._secrets)
        fault = ModelError(f"{self._name} raised {masked}", **self._where)
        fault.__cause__ = raised if masked == told else None
        return fault

    def _delay(self, fault: ModelError) -> float | None:
        """Return the seconds until the next try, None where none is worth while."""
        calls = self._calls
        if self.spoke or not fault.retryable:
            return None
        delay = min(LONGEST_DELAY, calls.backoff * 2.0 ** min(self.tried - 1, 30))
        delay *= random.uniform(0.5, 1.0)  # noqa: S311 - it spreads calls, it guards nothing
        if isinstance(fault, RateLimited):
            delay += fault.retry_after or 0.0
            self._waited += delay
            return delay if self._waited <= calls.longest_wait else None
        self._silent += fault.status is None
        return delay if self.tried < calls.tries and self._silent < SILENT_TRIES else None

    async def _wait(self, fault: ModelError) -> None:
        """Wait before the next try, or raise the fault; where a provider counts calls, all that go to it wait."""
        delay = self._delay(fault)
        if delay is None:
            fault.attempts = self.tried
            raise fault
        message = f"call {self.call}, try {self.tried} failed, the next comes in {delay:.1f} s: {fault}"
        self._calls.emit(Warned, self._request.task, message)
        if isinstance(fault, RateLimited):
            self._calls.limits.pause(self._model.provider, delay)
        elif self._parking is None:
            await asyncio.sleep(delay)
        else:
            self._parking.park()
            await asyncio.sleep(delay)
            await self._parking.back()

    @property
    def _name(self) -> str:
        return f"{self._model.provider}:{self._model.name}"

    @property
    def _where(self) -> dict[str, Any]:
        return {"provider": self._model.provider, "model": self._model.name}


def _without_keys(request: Request, model: Model) -> Request:
    """Return a request that tells no key, although a tool may have returned one, or a question hold it."""
    secrets = known_secrets((model,))
    if not secrets:
        return request
    messages = [{**message, "content": mask(message["content"], secrets)} for message in request.messages]
    return replace(request, messages=tuple(messages))


def sane(usage: Usage) -> Usage | None:
    """Return a usage that can be true, None for one that cannot."""
    calls, sent, received, cached, reported = usage
    numbers = (sent, received, cached)
    if any(type(number) is not int or not 0 <= number <= MOST_TOKENS for number in numbers) or not sent + received:
        return None
    return Usage(max(1, calls), sent, received, min(cached, sent), reported)
