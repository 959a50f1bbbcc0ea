"""Tools that fail in every way that tools can fail, and random plans of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from compiler_nb.engine.call import CURRENT
from compiler_nb.events import TaskEnded, TaskExpanded, TaskParked, TaskPlanned, TaskRetried, TaskStarted
from compiler_nb.tool import tool
from tests.support.hostile import ERRORS, VALUES

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from compiler_nb.events import Event
    from compiler_nb.tool import Tool

PATIENCE = 20.0
"""Real seconds after which a thread that was to return soon is waited for no longer."""
HUGE = 100_000_000
ERROR_NAMES = sorted(set(ERRORS) - {"a huge message"})
VALUE_NAMES = sorted(set(VALUES) - {"a coroutine"})


class Faults:
    """The tools of one run, async (a_), on threads (s_) and on the main thread (m_), and what they leave behind.

    held: the asyncio tasks and threads that hang in a tool, until `let_go`.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.released = threading.Event()
        self.waiting: list[asyncio.Future[None]] = []
        self.held: set[object] = set()
        self.tries: Counter[str] = Counter()
        self._tools: dict[str, str] = {}  # by task
        self._working: set[str] = set()  # tasks on threads that soon return
        self._until = time.monotonic() + PATIENCE

    # ---------------------------------------------------------------- what tools do

    def ok(self, *values: Any) -> Any:
        """Return the last value."""
        return values[-1] if values else 1

    def error(self, name: str, *_: Any) -> Any:
        """Raise an error of a kind."""
        error = ERRORS[name]()
        raise error

    def value(self, name: str, *_: Any) -> Any:
        """Return a hostile value."""
        return VALUES[name]()

    def block(self, *values: Any) -> Any:
        """Hold its thread for a while."""
        time.sleep(0.001)
        return self.ok(*values)

    def huge(self, *_: Any) -> bytes:
        """Return 100 MB."""
        return bytes(HUGE)

    def mutate(self, *values: Any) -> Any:
        """Change its arguments."""
        for value in values:
            if type(value) in (list, dict):
                value.clear()
                value.append(value) if type(value) is list else value.update(itself=value)
        return values

    def flaky(self, *values: Any) -> Any:
        """Raise, then return."""
        self.tries[CURRENT.get()] += 1
        if self.tries[CURRENT.get()] < 3:
            raise SystemExit(self.tries[CURRENT.get()])
        return self.ok(*values)

    def hang(self, *_: Any) -> None:
        """Hang on a thread."""
        self.held.add(threading.current_thread())
        self.released.wait()

    async def ahang(self, *_: Any) -> None:
        """Hang until cancelled."""
        await asyncio.get_running_loop().create_future()

    async def swallow(self, *_: Any) -> None:
        """Hang, whatever happens."""
        self.held.add(asyncio.current_task())
        while not self.released.is_set():
            self.waiting.append(asyncio.get_running_loop().create_future())
            try:
                await self.waiting[-1]
            except BaseException:  # noqa: BLE001, S112 - that is its fault
                continue

    async def slow(self, *values: Any) -> Any:
        """Take its time."""
        await asyncio.sleep(self.random.random() * 9)
        return self.ok(*values)

    async def suicide(self, *values: Any) -> Any:
        """Cancel its own task."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)
        return self.ok(*values)

    async def leave(self, *values: Any) -> Any:
        """Cancel its own task in its last moment."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return self.ok(*values)

    # ---------------------------------------------------------------- as tools

    def tools(self) -> list[Tool]:
        """Return the tools."""
        shared = {
            "ok": self.ok, "error": self.error, "value": self.value, "block": self.block, "huge": self.huge,
            "mutate": self.mutate, "flaky": self.flaky,
        }  # fmt: skip
        alone = {
            "a_hang": self.ahang, "s_hang": self.hang, "a_swallow": self.swallow, "a_slow": self.slow,
            "a_suicide": self.suicide, "a_leave": self.leave,
        }  # fmt: skip
        named: dict[str, Callable[..., Any]] = dict(alone)
        for name, function in shared.items():
            named |= {f"a_{name}": _async(function), f"s_{name}": _plain(function), f"m_{name}": _plain(function)}
        found = []
        for name, function in named.items():
            kind = name.partition("_")[2]
            options = {"timeout": 5.0, "retries": {"flaky": 2, "hang": 1}.get(kind, 0)}
            options |= {"provider": self.random.choice([None, "some", "few"])}
            found.append(tool(name=name, thread="main" if name[0] == "m" else "pool", **options)(function))

        @tool
        async def typed(number: int) -> int:
            """Take a whole number."""
            return number

        @tool(side_effects=True)
        async def send(to: Any) -> str:
            """Send."""
            return "sent"

        return [*found, typed, send]

    # ---------------------------------------------------------------- around a run

    def note(self, event: Event) -> None:
        """Keep track of what works on threads; a listener."""
        if isinstance(event, TaskPlanned):
            self._tools[event.task] = event.planned.tool
        elif isinstance(event, TaskExpanded):
            self._tools |= {task.id: task.tool for task in event.items}
        elif isinstance(event, TaskEnded | TaskRetried) or (isinstance(event, TaskParked) and event.parked):
            self._working.discard(event.task)
        elif isinstance(event, TaskStarted | TaskParked):
            name = self._tools[event.task]
            if name.startswith("s_") and name != "s_hang":
                self._working.add(event.task)

    def busy(self) -> bool:
        """Whether a thread works that soon returns."""
        return bool(self._working) and time.monotonic() < self._until

    def let_go(self) -> None:
        """Let everything end that hangs."""
        self.released.set()
        for future in self.waiting:
            if not future.done():
                future.set_result(None)


def _async(function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*values: Any) -> Any:
        return function(*values)

    return call


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        return function(*values)

    return call


# -------------------------------------------------------------------- random plans

GOOD = ("ok", "ok", "ok", "block", "mutate", "flaky", "slow")
BAD = ("error", "error", "value", "value", "hang", "swallow", "suicide", "leave", "typed", "send")
EXPRESSIONS = (
    "[{0}, {1}]", "{{'k': {0}}}", "{0} == {1}", "{0} + {1}", 'f"{{{0}}}: {{{1}}}"', "len({0})", "{0}['k']", "{0}[0]",
    "sorted([{0}, {1}])", "{0} or {1}", "[x for x in {0} if x]", "max({0}, {1})", "{{7: {0}, 'k': {1}}}",
    "{0} in [{1}]", "sum({0})", "str({0})[:9]", "list({0})",
)  # fmt: skip


class Plans:
    """Writes random plans: chains, fan-outs, expressions, with so large a share of tools that fail."""

    def __init__(self, random: Random) -> None:
        self.random, self.share = random, random.choice([0.1, 0.3, 0.6])
        self.names: list[str] = []

    def text(self, size: int) -> str:
        """Return a plan of so many lines."""
        lines = []
        for number in range(size):
            form = self.random.choice([self.call, self.call, self.call, self.nested, self.fan, self.fan, self.pure])
            lines.append(f"v{number} = {form() if number else self.call()}")
            self.names.append(f"v{number}")
        last = self.random.choice(["join()", "answer({0})", "answer([{0}, {1}])", f"join({self.names[-1]})"])
        return "\n".join([*lines, last.format(self.ref(), self.ref())]) + "\n"

    def ref(self) -> str:
        """Return a name, mostly a late one, or a literal."""
        if self.names and self.random.random() < 0.8:
            return self.names[-1 if self.random.random() < 0.5 else self.random.randrange(len(self.names))]
        return self.random.choice(["1", "'x'", "[3, 1]", "{'k': 2}"])

    def call(self, *given: str) -> str:
        """Return a call of a tool with some arguments."""
        random = self.random
        bad = random.random() < self.share
        name = random.choice(BAD if bad else GOOD)
        args = [*given, *(self.ref() for _ in range(random.choice([0, 1, 1, 2])))]
        if bad and random.random() < 0.02:
            name = "huge"
        if name == "send" and given:
            name = "ok"  # a side effect stands alone on its line
        if name in ("typed", "send"):
            return f"{name}([{args[0] if args else 1}][0])"  # what it takes is known only when it runs
        if name in ("error", "value"):
            args.insert(0, repr(random.choice(ERROR_NAMES if name == "error" else VALUE_NAMES)))
        kinds = {"hang": "as", "swallow": "a", "slow": "a", "suicide": "a", "leave": "a"}.get(name, "aaasssm")
        return f"{random.choice(kinds)}_{name}({', '.join(args)})"

    def nested(self) -> str:
        """Return a call within a call."""
        return self.call(self.call("1"))

    def fan(self) -> str:
        """Return a fan-out, over what may be no list at all."""
        source = self.random.choice([self.ref(), "[1, 2, 3]", "range(5)", "['a', 'b']"])
        return self.random.choice([
            f"[{self.call('x')} for x in {source}]",
            f"[{self.call(self.call('x'))} for x in {source} if x != 2]",
            f"{{x: {self.call('x')} for x in {source}}}",
            f"[{self.call('x')} for i, x in enumerate({source})]",
        ])  # fmt: skip

    def pure(self) -> str:
        """Return an expression without a call."""
        return self.random.choice(EXPRESSIONS).format(self.ref(), self.ref())
