"""A process that runs a plan with side effects and is killed: `main` runs in it.

Each call of a tool is a line in the file `calls`, written at once; a side effect's says which tasks had ended before it
was begun, for those must be in the history by then.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler_nb.compiler import Compiler
from compiler_nb.events import TaskEnded, TaskStarted
from compiler_nb.tool import Tool, tool

if TYPE_CHECKING:
    from compiler_nb.events import Event

STEP = 0.012
PLAN = """
a = get("a")
b = get([a, "b"])
c = slow([a, "c"])
one = send("one", [b])
two = send("two", [one])
rows = {n: get([n, two]) for n in [1, 2, 3, 4]}
three = send("three", [rows[2], c])
sent = [send(f"row {n}", [rows[n], three]) for n in rows]
four = send("four", [sent])
answer([a, b, c, four])
"""


class Outside:
    """The world that tools change: a file of calls, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.file = os.open(folder / "calls", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self.ended: list[str] = []
        self.known: list[str] = []  # what had ended when a side effect began

    def listen(self, event: Event) -> None:
        """Note what has ended."""
        if isinstance(event, TaskEnded):
            self.ended.append(event.task)
        elif isinstance(event, TaskStarted):
            self.known = list(self.ended)

    def note(self, name: str, argument: Any, known: list[str]) -> None:
        """Write a line."""
        os.write(self.file, (json.dumps([name, argument, known]) + "\n").encode())

    @property
    def tools(self) -> list[Tool]:
        """The tools."""

        @tool
        async def get(x: Any) -> Any:
            """Get it."""
            self.note("get", x, [])
            await asyncio.sleep(STEP)
            return x

        @tool
        def slow(x: Any) -> Any:
            """Get it slowly, on a thread."""
            self.note("slow", x, [])
            time.sleep(5 * STEP)
            return x

        @tool(side_effects=True)
        async def send(what: str, after: Any) -> str:
            """Send it."""
            await asyncio.sleep(STEP / 2)
            self.note("send", what, list(self.known) if not what.startswith("row") else [])
            await asyncio.sleep(STEP / 2)
            return f"sent {what}"

        return [get, slow, send]


def compiler_in(folder: Path) -> tuple[Compiler, Outside]:
    """Return a compiler that keeps its runs in a folder, and what its tools change."""
    outside = Outside(folder)
    return Compiler(None, outside.tools, approve="auto", history=folder / "runs.db"), outside


def main(folder: str) -> None:
    """Run the plan, and say on standard output that it begins."""
    compiler, outside = compiler_in(Path(folder))
    os.write(1, b"ready\n")
    asyncio.run(compiler.execute(PLAN, on_event=outside.listen, question="killed"))
