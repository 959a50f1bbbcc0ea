"""One call of a model with everything around it: limits, timers, retries, events.

A model only streams; what is the same for every model is here. `Calls` belongs to one run and emits its events; the
limits behind it may be shared by several runs of one event loop.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self

from compiler_nb.errors import ModelError, ModelTimeout, StreamBroken
from compiler_nb.events import Emit, ModelChunk, ModelEnded, ModelStarted, ModelWaits, Warned
from compiler_nb.models.base import Chunk, Model, Request, estimate_request, estimate_tokens, where_of
from compiler_nb.models.endings import STOPPED, describe_limit, stop_of
from compiler_nb.models.limits import Gate, Limit, Limits, Parking, Pause
from compiler_nb.models.providers import PROVIDERS, is_same_model, known_secrets
from compiler_nb.models.recall import Asked, ReplyMemory
from compiler_nb.models.retries import Retries
from compiler_nb.models.secret import Screen, Secret, mask
from compiler_nb.models.silence import SilenceTimer
from compiler_nb.outcome import Usage
from compiler_nb.text import describe_error

MOST_TOKENS: Final = 100_000_000
"""A usage above this cannot be true."""


class Reply(NamedTuple):
    """A reply that ended: its text, and the error to raise if it must be whole but the model had to stop.

    cut: at which limit the text is cut off, and how to allow more, in words; "" if no limit did that.
    """

    text: str
    stopped: ModelError | None
    cut: str = ""


class Calls:
    """Calls models for one run, numbers the calls, and emits their events.

    limits: by provider, or the Limits that several runs share; first_token, idle: seconds to wait for the first and
    for each next piece; tries, backoff, longest_wait: as in Retries; a call is only tried again before its first piece;
    closing: seconds that a model has to end when it is stopped; parking: how the task that calls waits for its
    provider, or None if it holds nothing that it could give up; allow: called before a call is made, with its request
    and the estimated tokens of the calls that are under way; it raises if the call may not be made.
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
        allow: Callable[[Request, int], None] = lambda request, under_way: None,
    ) -> None:
        self.emit, self.parking, self._allow = emit, parking, allow
        self.under_way = 0  # tokens that the calls which go on are estimated to send
        self.limits = limits if isinstance(limits, Limits) else Limits(limits)
        self.first_token, self.idle, self.closing = first_token, idle, closing
        self.retries = Retries(tries, backoff, longest_wait)
        self.numbers = itertools.count(1)
        self.memory: ReplyMemory | None = None
        self.used = Usage()  # what the last call used
        self.answerers: set[tuple[str, str]] = set()  # pairs (asked, answered) that the user has been told of

    def allow(self, request: Request) -> None:
        """Raise what `allow` raises if a call may not be made now; whoever uses `open` asks first."""
        self._allow(request, self.under_way)

    def open(self, model: Model, request: Request) -> Stream:
        """Return the reply as it comes: `async with calls.open(...) as reply: async for text in reply: ...`."""
        return Stream(self, model, request)

    async def recall(self, asked: Asked, check: Callable[[str], bool] = lambda text: True) -> str | None:
        """Return the reply that is kept of an equal request, if one is and it passes the check, else None."""
        return await self.memory.recall(asked, lambda: next(self.numbers), check) if self.memory is not None else None

    def keep(self, asked: Asked, text: str) -> None:
        """Keep a reply that was just made, if replies are kept."""
        if self.memory is not None:
            self.memory.keep(asked, text, self.used)

    async def text(self, model: Model, request: Request) -> Reply:
        """Return the whole reply. If it breaks off, ask once more, then raise the fault.

        A worker's reply is a task's value, and half a value is useless: an error if the model had to stop.
        """
        tried = 0
        while True:
            self.allow(request)
            stream = self.open(model, request)
            try:
                async with stream:
                    text = "".join([piece async for piece in stream])
                if not stream.finish:
                    raise stream.cut()
                stopped = stream.stopped(text) if stream.finish in STOPPED else None
                if stopped is not None and request.role == "worker":
                    raise stopped
                return Reply(text, stopped, stream.limit)
            except ModelError as fault:
                # without any text, all tries that could help have been made
                is_last = tried or not stream.received or not fault.retryable
                tried += stream.tried
                fault.attempts = tried
                if is_last:
                    raise


@dataclass(slots=True)
class Try:
    """One try of a call: the model's stream, the timer over its silence, and what went wrong."""

    chunks: AsyncGenerator[Chunk | str, None]
    timer: SilenceTimer
    fault: ModelError | None = None


class Stream:
    """A reply as it comes. Iterate it, in one task and within `async with`, for its pieces.

    call: its number, 0 before it begins or has to wait; finish: why the model ended, "" until then, and also if the
    reply broke off (`cut()` is the error for that); usage: what the call used, estimated (`reported` is False) if the
    provider gave no plausible numbers; received: characters of text that came; tried: requests made; answered: the
    model that the reply names, "" if it is the one that was asked; grammar: what the reply is held to, in words, "" if
    to nothing. No secret of the model ever comes out of the stream.
    Emits ModelStarted when the provider has a place for the call, ModelWaits while the provider makes it wait,
    ModelChunk, and ModelEnded however the call ends.
    Raises a ModelError after the tries that could help; nothing is tried again once text came.
    """

    def __init__(self, calls: Calls, model: Model, request: Request) -> None:
        self.call, self.finish, self.answered, self.grammar, self.template = 0, "", "", "", ""
        self.received, self.tried = 0, 0
        self._calls, self._model, self._request = calls, model, _without_keys(request, model)
        self._secrets: tuple[Secret, ...] = getattr(model, "secrets", ())
        self._screen = Screen(self._secrets)
        self._patience: float = getattr(model, "patience", 0.0)
        self._sent = estimate_request(request)
        self._usage: Usage | None = None
        self._heard = False  # whether anything came
        self._started = self._waits = False
        self._crowded, self._begun = False, 0  # whether other calls went on during a try; what had begun before it
        self._source = (getattr(model, "address", ""), model.name)
        self._retries = replace(calls.retries, backoff=getattr(model, "backoff", calls.retries.backoff))
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
        """What the call has used so far; no tokens if it was never answered: no server counts those."""
        if not self._heard:
            return Usage(1)
        return self._usage or Usage(1, self._sent, estimate_tokens(self.received), 0, reported=False)

    def cut(self) -> StreamBroken:
        """Return the error for a reply that ended without a finish."""
        what = "the reply ended without a finish reason and may be cut off"
        hint = "ask again, or check the server and any proxy in front of it"
        return StreamBroken(self._and_crowded(f"{self._name}: {what}; {hint}"), **where_of(self._model))

    def stopped(self, text: str) -> ModelError:
        """Return the error for a reply whose model had to stop; text: what it said."""
        return stop_of(self._model, self._request, self.finish, text, self.usage)

    @property
    def limit(self) -> str:
        """At which limit the reply is cut off, and how to allow more; "" if the model ended for another reason."""
        if self.finish != "length":
            return ""
        limit, fix = describe_limit(self._model, self.usage)
        return f"cut off at {limit}; hint: {fix}"

    async def _run(self) -> AsyncGenerator[str, None]:
        calls, limits, error = self._calls, self._calls.limits, ""
        context = copy_context()  # of this run, since another one may be running when it is told
        calls.under_way += self._sent
        try:
            while True:
                async with limits.slot(
                    self._model.provider, self._sent, self._parking, self._source,
                    lambda pause: context.run(self._be_told, pause),
                ) as slot:  # fmt: skip
                    self._go_on()
                    async with self._try() as current:
                        async for chunk in current.chunks:
                            text = self._take(chunk)
                            del chunk  # a traceback shows local variables, and a provider may have repeated the key
                            if text:
                                current.timer.rest()
                                calls.emit(ModelChunk, self.call, text)
                                yield text
                            current.timer.expect(calls.idle if self.received else max(calls.idle, self._patience))
                        slot.used = self.usage.tokens
                    if text := self._screen.close():
                        calls.emit(ModelChunk, self.call, text)
                        yield text
                    delay = self._delay(current.fault)  # before another call gets the place
                if delay is None:
                    break
                await self._sleep(delay)
            if self._strings_only:
                self.finish = "stop"  # plain strings cannot say it in another way
        except BaseException as ended:
            error = "" if isinstance(ended, GeneratorExit) else describe_error(ended)
            raise
        finally:
            calls.under_way -= self._sent
            self._go_on()
            if self._started:
                calls.used = self.usage
                known = (self.answered, self.grammar, self.template)
                calls.emit(ModelEnded, self.call, self.finish, self.usage, error, *known)

    @asynccontextmanager
    async def _try(self) -> AsyncIterator[Try]:
        """Open the model's stream, and close it again; whatever the model raised is kept as the fault of the try."""
        current = Try(self._open(), SilenceTimer(max(self._calls.first_token, self._patience), self._calls.closing))
        try:
            yield current
        except asyncio.CancelledError:
            if not current.timer.stop():
                raise
            current.fault = self._late()
        except Exception as raised:  # noqa: BLE001 - a model may raise anything
            current.fault = self._late() if current.timer.stop() else self._fault(raised)
        finally:
            current.timer.stop()
            with suppress(Exception):  # whatever it raises, and also if it cannot be closed
                async with asyncio.timeout(self._calls.closing):
                    await current.chunks.aclose()

    def _open(self) -> AsyncGenerator[Chunk | str, None]:
        """Begin a try: count it, say so if it is the first, and return the model's stream."""
        asked, model = self._request, self._model
        self.finish, self.grammar, self._strings_only = "", "", True
        self.tried += 1
        self._crowded, self._begun = self._gate.running > 1, self._gate.begun
        if not self._started:
            self._started = True
            self._number()
            who = (asked.role, asked.task, model.provider, model.name)
            address = mask(getattr(model, "address", ""), self._secrets)
            self._calls.emit(ModelStarted, self.call, *who, asked.messages, asked.prompt, address)
        stream: Any = model.stream(asked)
        if not hasattr(stream, "__aiter__"):
            if asyncio.iscoroutine(stream):
                stream.close()
            what = f"{type(model).__name__}.stream is not an async generator; write it with `async def` and `yield`"
            raise ModelError(what, **where_of(model))
        return stream  # type: ignore[no-any-return]  # any async iterator will do

    def _take(self, chunk: Any) -> str:
        """Return the part of a chunk's text that may be shown, and keep the rest of the chunk."""
        self._heard = True
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
            self.grammar = chunk.grammar or self.grammar
            self.template = chunk.template or self.template
            if chunk.notice:
                told = mask(chunk.notice, self._secrets)
                self._calls.emit(Warned, self._request.task, f"call {self.call}: {self._name}: {told}")
        else:
            kind = type(chunk).__name__
            raise ModelError(f"{self._name} yields {kind}; a model yields str or Chunk", **where_of(self._model))
        self.received += len(text)
        return self._screen.feed(text)

    def _name_answerer(self, answered: str) -> None:
        """Note which model the reply names, and tell the user once if it is not the one that was asked."""
        calls, asked = self._calls, self._model.name
        self.answered = answered if answered != asked else ""
        # an Azure deployment has a name of its owner's choice, and the reply names the model behind it
        is_known = self._model.provider == "azure" or is_same_model(asked, answered)
        if not is_known and (asked, answered) not in calls.answerers:
            calls.answerers.add((asked, answered))
            what = f"{self._name} was asked, but {answered} answered; is it an alias, or does a proxy choose?"
            calls.emit(Warned, self._request.task, f"call {self.call}: {what}")

    def _late(self) -> ModelError:
        calls = self._calls
        more = f"said nothing more for {calls.idle:g} s"
        silent = max(calls.first_token, self._patience)
        what = more if self.received else f"said nothing for {silent:g} s; is it down or overloaded?"
        return ModelTimeout(f"{self._name} {what}", **where_of(self._model))

    def _fault(self, raised: Exception) -> ModelError:
        if isinstance(raised, ModelError):
            raised.attempts, raised.kept = 1, ""  # a script may raise one error twice: forget the earlier call
            return raised
        text = describe_error(raised)
        masked = mask(text, self._secrets)
        fault = ModelError(f"{self._name} raised {masked}", **where_of(self._model))
        fault.__cause__ = raised if masked == text else None  # a traceback would show the key in the cause
        return fault

    def _delay(self, fault: ModelError | None) -> float | None:
        """Return the seconds until the next try, 0 if limits keep them, None if the call is over; or raise its fault.

        All calls of a model wait while its provider asks for that, or still loads it.
        """
        self._crowded = self._crowded or self._gate.begun > self._begun
        if fault is None and not (self.received or self.finish or self._strings_only):
            fault = self.cut()
        if fault is None:
            return None
        if isinstance(fault, StreamBroken):
            fault.args = (self._and_crowded(fault.args[0]),)
        delay = None if self.received else self._retries.delay(fault, self.tried)
        if delay is None:
            fault.attempts = self.tried
            raise fault
        message = f"call {self.call}: try {self.tried} failed, trying again in {delay:.1f} s: {fault}"
        self._calls.emit(Warned, self._request.task, message)
        if not (fault.patient or fault.retry_after):
            return delay
        self._calls.limits.pause(self._model.provider, delay, self._source, fault.retry_after or 0.0)
        return 0.0

    # ---------------------------------------------------------------- waiting

    async def _sleep(self, delay: float) -> None:
        """Wait until this call is tried again, holding nothing meanwhile."""
        if not delay:
            return
        self._tell_wait(0.0, delay)
        if self._parking is not None:
            self._parking.park()
        await asyncio.sleep(delay)
        if self._parking is not None:
            await self._parking.back()

    def _be_told(self, pause: Pause) -> None:
        self._tell_wait(pause.asked, pause.until - asyncio.get_running_loop().time())

    def _go_on(self) -> None:
        """Note that the provider lets the call go on."""
        if self._waits:
            self._tell_wait(0.0, 0.0, waits=False)

    def _tell_wait(self, asked: float, left: float, *, waits: bool = True) -> None:
        self._number()
        self._waits, model = waits, self._model
        who = (self._request.role, self._request.task, model.provider, model.name)
        self._calls.emit(ModelWaits, self.call, *who, asked, left, waits)

    def _number(self) -> None:
        self.call = self.call or next(self._calls.numbers)

    # ---------------------------------------------------------------- one call at a time

    @property
    def _gate(self) -> Gate:
        return self._calls.limits.gate(self._model.provider)

    def _and_crowded(self, message: str) -> str:
        """Return the message of a reply that broke off, with a hint if a small server may have mixed up its calls."""
        is_small = self._source[0] not in {"", *(known.address for known in PROVIDERS.values() if known.needs_key)}
        limit = f"limits={{{self._model.provider!r}: Limit(concurrency=1)}}"
        hint = f"; other calls went on at the same time: if the server takes only one, set {limit}"
        return message + hint if self._crowded and is_small and hint not in message else message

    @property
    def _name(self) -> str:
        return f"{self._model.provider}:{self._model.name}"


def _without_keys(request: Request, model: Model) -> Request:
    """Return the request without any key: a tool may have returned one, or a question may hold it."""
    secrets = known_secrets((model,))
    messages = [{**message, "content": mask(message["content"], secrets)} for message in request.messages]
    return replace(request, messages=tuple(messages))


def sane(usage: Usage) -> Usage | None:
    """Return a usage if it is plausible, otherwise None."""
    calls, sent, received, cached, reported, thought, written = usage
    numbers = (sent, received, cached, thought, written)
    if any(type(number) is not int or not 0 <= number <= MOST_TOKENS for number in numbers) or not sent + received:
        return None
    return Usage(max(1, calls), sent, received, min(cached, sent), reported, min(thought, received), min(written, sent))
