"""Tools that note what is asked of them, models that say what a test says, and short ways to a run."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from compiler_nb.compiler import Compiler
from compiler_nb.models.base import Chunk
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.tool import Tool, tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping

    from compiler_nb.models.base import Request
    from compiler_nb.run import Run


class Desk:
    """Tools that share one list: `calls` holds (tool, argument) in the order of the starts, `working` counts waiters.

    get returns its argument; wait returns it after `open()`; fail raises; send has side effects; nap is a sync `get`.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.working = 0
        self.opened = False
        self.gate: asyncio.Event | None = None
        self.lock = threading.Lock()

    def note(self, name: str, argument: Any) -> None:
        """Note a call."""
        with self.lock:
            self.calls.append((name, argument))

    def asked(self, name: str) -> list[Any]:
        """Return the arguments of a tool's calls."""
        return [argument for called, argument in self.calls if called == name]

    def open(self) -> None:
        """Let those go on who wait, now and from now on."""
        self.opened = True
        if self.gate is not None:
            self.gate.set()

    @property
    def tools(self) -> list[Tool]:
        """The tools."""

        @tool
        async def get(x: Any) -> Any:
            """Return it."""
            self.note("get", x)
            return x

        @tool
        async def wait(x: Any) -> Any:
            """Return it later."""
            self.note("wait", x)
            self.gate = self.gate or asyncio.Event()
            self.working += 1
            try:
                if not self.opened:
                    await self.gate.wait()
            finally:
                self.working -= 1
            return x

        @tool
        async def fail(x: Any) -> Any:
            """Raise."""
            self.note("fail", x)
            raise LookupError(f"no {x}")

        @tool(side_effects=True)
        async def send(x: Any) -> str:
            """Send it."""
            self.note("send", x)
            return "sent"

        @tool
        def nap(x: Any) -> Any:
            """Return it from a thread."""
            self.note("nap", x)
            return x

        return [get, wait, fail, send, nap]


class Pieces:
    """A planner that yields given chunks, or calls what is callable between them; other roles answer "fine"."""

    provider = name = "pieces"

    def __init__(self, *plans: Iterable[Any]) -> None:
        self.plans = list(plans)
        self.calls: list[Request] = []

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """Yield the next plan's pieces."""
        self.calls.append(request)
        if request.role in ("joiner", "worker"):
            yield Chunk("fine", "stop")
            return
        for piece in self.plans.pop(0):
            if isinstance(piece, Exception):
                raise piece
            if callable(piece):
                await piece()
            else:
                yield piece


def scripted(*plans: Any, joiner: Any = None, **roles: Any) -> ScriptedModel:
    """Return a model that writes these plans one after the other, whatever it is called for them."""
    return ScriptedModel({"planner": list(plans), **({"joiner": joiner} if joiner is not None else {}), **roles})


def planner_of(*plans: Any, desk: Desk | None = None, **settings: Any) -> Compiler:
    """Return a compiler without a joiner."""
    return Compiler(None, (desk or Desk()).tools, planner=scripted(*plans), **settings)


def run(compiler: Compiler, question: str = "What?", **given: Any) -> Run:
    """Return the run of a question on a loop of its own."""
    return asyncio.run(compiler.run(question, **given))


def begin(
    compiler: Compiler, question: str = "", *, plan: Any = None, inputs: Mapping[str, Any] | None = None, **front: Any
) -> tuple[Run, Coroutine[Any, Any, None]]:
    """Return a run that has not begun, and the coroutine that performs it; `front` as for `Compiler.begin`."""
    return compiler.begin(compiler.order(question, plan=plan, inputs=inputs), **front)


def texts(model: Any, *roles: str) -> list[str]:
    """Return what was sent to a model in these roles (in all if none is named), one text for each request."""
    asked = [request for request in model.calls if not roles or request.role in roles]
    return ["\n".join(message["content"] for message in request.messages) for request in asked]
