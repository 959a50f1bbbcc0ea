"""How many calls a provider bears: at a time, in a minute, and in tokens.

`Gate` is the pure rule for one provider, with time as an argument; `Limits` lets coroutines wait at the gates.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

WINDOW: Final = 60.0
"""Seconds over which calls and tokens are counted."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a provider allows: calls at a time, calls per minute, tokens per minute; None for any number."""

    concurrency: int | None = None
    rpm: int | None = None
    tpm: int | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name} is {value!r}; give a whole number from 1, or None for no limit")


UNLIMITED: Final = Limit()


def read_limits(given: Mapping[str, Limit | Mapping[str, int]] | None) -> dict[str, Limit]:
    """Return limits by provider, each a Limit or its fields, {"rpm": 60}; raises ValueError for anything else."""
    found = {}
    for name, limit in (given or {}).items():
        try:
            found[name] = limit if isinstance(limit, Limit) else Limit(**limit)
        except (TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, ValueError) else f"it is {limit!r}"
            fields = ", ".join(Limit.__slots__)
            raise ValueError(f"limits of {name}: {reason}; give a Limit, or a dict with some of {fields}") from None
    return found


@dataclass(slots=True, eq=False)
class Start:
    """A call that began; it counts in the window until `expires`, with its tokens as far as they are known."""

    expires: float
    tokens: int


class Gate:
    """What one provider still allows; any moment is given in seconds of one clock.

    No window of 60 s ever holds more calls or tokens than the limit, as far as the tokens are known when calls begin.
    One call of more tokens than the limit passes alone.
    """

    def __init__(self, limit: Limit = UNLIMITED, window: float = WINDOW) -> None:
        self.limit, self.window = limit, window
        self.running = 0
        self.paused_until = -math.inf
        self._starts: deque[Start] = deque()
        self._tokens = 0

    def opens(self, now: float, tokens: int = 0) -> float:
        """Return when a call may begin as things are: `now` or before for at once, inf for when another ends."""
        limit = self.limit
        if limit.concurrency is not None and self.running >= limit.concurrency:
            return math.inf
        self._forget(now)
        starts = self._starts
        opens = self.paused_until
        if limit.rpm is not None and len(starts) >= limit.rpm:
            opens = max(opens, starts[len(starts) - limit.rpm].expires)
        if limit.tpm is not None and self._tokens + tokens > limit.tpm and starts:
            opens = max(opens, self._room(tokens, limit.tpm))
        return opens

    def begin(self, now: float, tokens: int = 0) -> Start:
        """Count a call that begins now and expects to use so many tokens."""
        start = Start(now + self.window, tokens)
        self.running += 1
        if self.limit.rpm is not None or self.limit.tpm is not None:
            self._starts.append(start)
            self._tokens += tokens
        return start

    def end(self, start: Start, tokens: int | None = None) -> None:
        """Count a call's end, and the tokens that it really used."""
        self.running -= 1
        if tokens is not None and self._starts and start.expires >= self._starts[0].expires:
            self._tokens += tokens - start.tokens
            start.tokens = tokens

    def pause(self, until: float) -> None:
        """Let nothing begin before a moment; a longer pause stands."""
        self.paused_until = max(self.paused_until, until)

    def _forget(self, now: float) -> None:
        starts = self._starts
        while starts and starts[0].expires <= now:
            self._tokens -= starts.popleft().tokens

    def _room(self, tokens: int, limit: int) -> float:
        """Return when the window has lost enough tokens."""
        left = self._tokens
        for start in self._starts:
            left -= start.tokens
            if left + tokens <= limit:
                return start.expires
        return self._starts[-1].expires


class Parking(Protocol):
    """Somebody who waits for a place, and holds nothing meanwhile."""

    def park(self) -> None:
        """Begin to wait."""

    async def back(self) -> None:
        """Go on: the place is there, and what was given up is held again at the end of this."""


class Slot:
    """A place at a provider; `tokens` is what the call really used, None while that is not known."""

    __slots__ = ("tokens",)

    def __init__(self) -> None:
        self.tokens: int | None = None


class Door:
    """A provider's gate and those who wait at it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.queue: deque[tuple[int, asyncio.Future[Start]]] = deque()
        self.timer: asyncio.TimerHandle | None = None


Doors: TypeAlias = dict[tuple[str, Limit], Door]


class Limits:
    """The gates of all providers, for the coroutines of one event loop; who waits longest goes first.

    limits: by provider, others are unlimited; clock: seconds, by default the loop's own; window: seconds; doors: those
    that several Limits share, by provider and limit.
    """

    def __init__(
        self,
        limits: Mapping[str, Limit] | None = None,
        *,
        clock: Callable[[], float] | None = None,
        window: float = WINDOW,
        doors: Doors | None = None,
    ) -> None:
        self._limits, self._clock, self._window = dict(limits or {}), clock, window
        self._doors: Doors = {} if doors is None else doors

    def _door(self, provider: str) -> Door:
        limit = self._limits.get(provider, UNLIMITED)
        door = self._doors.get((provider, limit))
        if door is None:
            door = self._doors[provider, limit] = Door(Gate(limit, self._window))
        return door

    def gate(self, provider: str) -> Gate:
        """Return a provider's gate."""
        return self._door(provider).gate

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    @asynccontextmanager
    async def slot(self, provider: str, tokens: int = 0, parking: Parking | None = None) -> AsyncIterator[Slot]:
        """Hold a place at a provider, after waiting for one.

        tokens: what the call is expected to use; parking: told where it has to wait.
        """
        start = await self._begin(provider, tokens, parking)
        slot = Slot()
        try:
            yield slot
        finally:
            self.gate(provider).end(start, slot.tokens)
            self.wake(provider)

    async def admit(self, provider: str, parking: Parking | None = None) -> None:
        """Count a call by somebody else's client, after waiting until it may begin; its place is not held."""
        start = await self._begin(provider, 0, parking)
        self.gate(provider).end(start)
        self.wake(provider)

    def pause(self, provider: str, seconds: float) -> None:
        """Let nothing begin at one provider for some seconds; others go on."""
        self.gate(provider).pause(self.now() + seconds)

    def wake(self, provider: str) -> None:
        """Let those begin who may, and come back when the next one may."""
        door = self._door(provider)
        gate, queue = door.gate, door.queue
        if door.timer is not None:
            door.timer.cancel()
            door.timer = None
        while queue:
            tokens, future = queue[0]
            if not future.done():
                now = self.now()
                opens = gate.opens(now, tokens)
                if opens > now:
                    if opens < math.inf:
                        loop = asyncio.get_running_loop()
                        door.timer = loop.call_later(opens - now, self.wake, provider)
                    return
                future.set_result(gate.begin(now, tokens))
            queue.popleft()

    async def _begin(self, provider: str, tokens: int, parking: Parking | None) -> Start:
        door = self._door(provider)
        gate = door.gate
        if not door.queue:
            now = self.now()
            if gate.opens(now, tokens) <= now:
                return gate.begin(now, tokens)
        future: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        door.queue.append((tokens, future))
        self.wake(provider)
        try:
            if parking is None or future.done():
                return await future
            parking.park()
            start = await future
            await parking.back()
            return start  # noqa: TRY300 - a cancellation until here gives the place back
        except BaseException:
            if future.done() and not future.cancelled():  # the place came in the same moment
                gate.end(future.result())
            self.wake(provider)
            raise
