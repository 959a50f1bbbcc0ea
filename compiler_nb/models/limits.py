"""How many calls a provider allows: at a time, per minute, and in tokens per minute.

`Gate` is the pure rule for one provider, with time as an argument; `Limits` lets coroutines wait at the gates.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeAlias, TypeVar

from compiler_nb.models.providers import HAND, PROVIDERS

T = TypeVar("T")

WINDOW: Final = 60.0
"""Seconds over which calls and tokens are counted."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a provider allows; None means no limit.

    concurrency: calls at a time; rpm: requests a minute; tpm: tokens a minute, in and out. Raises ValueError if one is
    not a whole number from 1.
    """

    concurrency: int | None = None
    rpm: int | None = None
    tpm: int | None = None

    @property
    def per_minute(self) -> str:
        """What it allows in a minute, in words; "" if that has no limit."""
        allowed = {"requests": self.rpm, "tokens": self.tpm}
        return ", ".join(f"{count:,} {what} a minute" for what, count in allowed.items() if count)

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name} is {value!r}; give a whole number from 1, or None for no limit")


UNLIMITED: Final = Limit()
NEEDED: Final = {
    HAND: Limit(concurrency=1),
    **{name: Limit(provider.concurrency) for name, provider in PROVIDERS.items() if provider.concurrency},
}
"""The limits that providers have unless the user sets others: a small local server takes one call at a time."""


def read_limits(given: Mapping[str, Limit | Mapping[str, int]] | None) -> dict[str, Limit]:
    """Return limits by provider, each given as a Limit or as its fields: {"rpm": 60}.

    Raises ValueError if one is neither, or if a field is invalid.
    """
    if not isinstance(given, Mapping | None):
        raise ValueError(f"limits must be a dict of Limits by provider, not {given!r}")  # noqa: TRY004 - as all settings
    found: dict[str, Limit] = {}
    for name, limit in (given or {}).items():
        try:
            found[name] = limit if isinstance(limit, Limit) else Limit(**limit)
        except (TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, ValueError) else f"it is {limit!r}"
            fields = ", ".join(Limit.__slots__)
            raise ValueError(f"limits of {name}: {reason}; give a Limit, or a dict with some of {fields}") from None
    return found


Source: TypeAlias = tuple[str, str]
"""What a provider's pause applies to: the address and the name of a model."""
NOBODY: Final = ("", "")


class Pause(NamedTuple):
    """A time in which no call of one source begins; asked: the seconds that the provider asked for, 0 if it did not."""

    until: float
    asked: float = 0.0


@dataclass(slots=True, eq=False)
class Start:
    """A call that began; it counts in the window until `expires`, with the tokens known so far.

    used: the tokens that it has really used, set by the caller when it knows them.
    """

    expires: float
    tokens: int
    used: int | None = None


class Gate:
    """What one provider still allows. All moments are seconds of one clock.

    No window of 60 s ever holds more calls or tokens than the limit, given the tokens that are known when calls begin.
    A call of more tokens than the limit passes alone, for otherwise it would wait forever.
    """

    def __init__(self, limit: Limit = UNLIMITED) -> None:
        self.limit = limit
        self.running = self.begun = 0
        self.pauses: dict[Source, Pause] = {}
        self._starts: deque[Start] = deque()
        self._tokens = 0

    def opens(self, now: float, tokens: int = 0, source: Source = NOBODY) -> float:
        """Return the earliest time at which a call may begin, not after `now` if at once, inf if another must end."""
        limit, starts = self.limit, self._starts
        if limit.concurrency is not None and self.running >= limit.concurrency:
            return math.inf
        while starts and starts[0].expires <= now:
            self._tokens -= starts.popleft().tokens
        opens = self.pauses[source].until if source in self.pauses else -math.inf
        if limit.rpm is not None and len(starts) >= limit.rpm:
            opens = max(opens, starts[len(starts) - limit.rpm].expires)
        if limit.tpm is not None and self._tokens + tokens > limit.tpm and starts:
            opens = max(opens, self._room(tokens, limit.tpm))
        return opens

    def begin(self, now: float, tokens: int = 0) -> Start:
        """Count a call that begins now and expects to use so many tokens."""
        start = Start(now + WINDOW, tokens)
        self.running += 1
        self.begun += 1
        if self.limit.rpm is not None or self.limit.tpm is not None:
            self._starts.append(start)
            self._tokens += tokens
        return start

    def end(self, start: Start) -> None:
        """Count a call's end, and the tokens that it really used."""
        self.running -= 1
        # a start that has left the window has taken its tokens with it
        if start.used is not None and self._starts and start.expires >= self._starts[0].expires:
            self._tokens += start.used - start.tokens
            start.tokens = start.used

    def pause(self, until: float, source: Source = NOBODY, asked: float = 0.0) -> None:
        """Let nothing of a source begin before a moment. A longer pause stays."""
        self.pauses[source] = max(self.pauses.get(source, Pause(-math.inf)), Pause(until, asked))

    def _room(self, tokens: int, limit: int) -> float:
        """Return when enough tokens have left the window."""
        left = self._tokens
        for start in self._starts:
            left -= start.tokens
            if left + tokens <= limit:
                return start.expires
        return self._starts[-1].expires


class Parking(Protocol):
    """A caller who can wait for a provider without holding anything meanwhile."""

    def park(self) -> None:
        """Give up what is held, and begin to wait."""

    async def back(self) -> None:
        """Stop waiting; when this returns, what was given up is held again."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A call that waits at a door; told: is called with each pause that it has to wait for."""

    tokens: int
    source: Source
    told: Callable[[Pause], None]
    place: asyncio.Future[Start]
    pause: Pause | None = field(default=None, init=False)  # the last one that it was told of


class Door(Gate):
    """A gate with the calls of one event loop that wait at it, the oldest first."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit)
        self.queue: deque[Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Let waiting calls begin if they may, and set a timer for the next; those that are paused let others by."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        later, paused = math.inf, []
        while self.queue:
            waiter = self.queue.popleft()
            if waiter.place.done():  # its caller was cancelled
                continue
            now, pause = loop.time(), self.pauses.get(waiter.source)
            if pause is not None and pause.until > now:
                later = min(later, pause.until)
                paused.append(waiter)
                if pause != waiter.pause:
                    waiter.pause = pause
                    waiter.told(pause)
                continue
            opens = self.opens(now, waiter.tokens)
            if opens > now:
                later = min(later, opens)
                self.queue.appendleft(waiter)
                break
            waiter.place.set_result(self.begin(now, waiter.tokens))
        self.queue.extendleft(reversed(paused))
        if later < math.inf:
            self._timer = loop.call_later(later - loop.time(), self.wake)

    def leave(self, left: Waiter) -> None:
        """Note that a call no longer waits. A pause ends with the last call that waits for it."""
        if not any(each.source == left.source and not each.place.done() for each in self.queue):
            self.pauses.pop(left.source, None)


Doors: TypeAlias = dict[tuple[str, Limit], Door]


class Limits:
    """The gates of all providers, for the coroutines of one event loop. The call that has waited longest goes first.

    limits: by provider, besides those that are NEEDED; all other providers are unlimited; doors: shared by several
    Limits, by provider and limit.
    """

    def __init__(self, limits: Mapping[str, Limit] | None = None, doors: Doors | None = None) -> None:
        self._limits = {**NEEDED, **(limits or {})}
        self._doors: Doors = {} if doors is None else doors

    def gate(self, provider: str) -> Door:
        """Return a provider's gate."""
        limit = self._limits.get(provider, UNLIMITED)
        return self._doors.setdefault((provider, limit), Door(limit))

    @asynccontextmanager
    async def slot(
        self,
        provider: str,
        tokens: int = 0,
        parking: Parking | None = None,
        source: Source = NOBODY,
        told: Callable[[Pause], None] = lambda pause: None,
    ) -> AsyncIterator[Start]:
        """Wait for a place at a provider, and hold it.

        tokens: what the call is expected to use; parking: parked if the call must wait; source: whose pauses it waits
        for; told: called with each of them, perhaps while another call runs.
        """
        door = self.gate(provider)
        place: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        waiter = Waiter(tokens, source, told, place)
        door.queue.append(waiter)  # even if the call need not wait: otherwise it would overtake others
        door.wake()
        try:
            if parking is not None and not place.done():
                parking.park()
                await place
                await parking.back()
            yield await place
        finally:
            # a cancelled call may have its place already: it can come at the same moment, and before `back` returns
            if place.done() and not place.cancelled():
                door.end(place.result())
            else:
                door.leave(waiter)
            door.wake()

    async def admit(self, provider: str, parking: Parking | None = None) -> None:
        """Wait until a call by somebody else's client may begin, and count it; its place is not held."""
        async with self.slot(provider, parking=parking):
            pass

    def pause(self, provider: str, seconds: float, source: Source = NOBODY, asked: float = 0.0) -> None:
        """Let nothing of one source begin for some seconds; other providers, addresses and models go on.

        asked: the seconds that the provider asked for, 0 if it did not.
        """
        door = self.gate(provider)
        door.pause(asyncio.get_running_loop().time() + seconds, source, asked)
        door.wake()


def of_loop(kept: dict[asyncio.AbstractEventLoop, T], make: Callable[[], T]) -> T:
    """Return what is kept for the running loop, made at its first use; forget what was kept for closed loops.

    May be called from any thread: each loop's entry is only added on the loop's own thread.
    """
    for loop in list(kept):
        if loop.is_closed():
            kept.pop(loop, None)  # another thread may have been faster
    return kept.setdefault(asyncio.get_running_loop(), make())


_SHARED: Final[dict[asyncio.AbstractEventLoop, Doors]] = {}


def shared_limits(limits: Mapping[str, Limit]) -> Limits:
    """Return limits that count together with all others of the running loop that allow a provider the same."""
    return Limits(limits, of_loop(_SHARED, dict))
