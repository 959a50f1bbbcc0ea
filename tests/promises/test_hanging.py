"""A hanging async tool is cut at its timeout; a hanging sync tool is called abandoned and gives its slot back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.events import TaskEnded, TaskStarted
from compiler_nb.tool import tool
from tests.support.kernel import running_kernel
from tests.support.scale import times

if TYPE_CHECKING:
    from compiler_nb.run import Run
    from compiler_nb.tool import Tool

pytestmark = pytest.mark.promise
ROOT = Path(__file__).parents[2]
TIMEOUT = 0.05
GRACE = 0.25
"""Seconds within which a tool is cut after its timeout."""
NEXT = 0.1
"""Seconds within which the next tool starts."""
EXIT = 2.0


@tool
async def after(x: int = 0) -> int:
    """Take the place of what hung."""
    return x


def check_cut(hang: Tool, kind: str, release: threading.Event, places: int) -> None:
    """See that twenty calls that hang, and those that wait behind them, end in time."""
    release.clear()
    count = 20
    plan = f"h = [hang(x) for x in range({count})]\na = [after(x) for x in range({count})]"

    async def main() -> Run:
        run = await Compiler(None, [hang, after], max_concurrency=places).execute(plan)
        release.set()
        return run

    run = asyncio.run(main())
    started = {event.task: event.at for event in run.events if isinstance(event, TaskStarted)}
    over = {event.task: event.at for event in run.events if isinstance(event, TaskEnded)}
    hung = [f"h[{number}]" for number in range(count)]
    assert {run.progress.outcomes[id_].kind for id_ in hung} == {kind}
    assert all(TIMEOUT <= over[id_] - started[id_] <= TIMEOUT + GRACE for id_ in hung)
    assert run["a"] == list(range(count))
    starts, ends = sorted(started.values()), sorted(over[id_] for id_ in started)
    assert all(0 <= start - end <= NEXT for end, start in zip(ends, starts[places:], strict=False)), "a place is empty"


def test_a_hanging_async_tool_is_cut_at_its_timeout(figure):
    """20 of them, some of which swallow that, on four places: each within 0.25 s, and the next starts within 0.1 s."""
    release = threading.Event()

    @tool(timeout=TIMEOUT)
    async def hang(x: int) -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                if x % 4:
                    raise

    for _ in range(times(1)):
        check_cut(hang, "timeout", release, places=4)
    figure(f"{20 * times(1):,} tools")


@pytest.mark.parametrize("places", [1, 4])
def test_a_hanging_sync_tool_is_called_abandoned_and_gives_its_slot_back(places, figure):
    """20 of them: each is given up within 0.25 s after its timeout, and the next starts within 0.1 s."""
    release = threading.Event()

    @tool(timeout=TIMEOUT)
    def hang(x: int) -> None:
        release.wait()

    for _ in range(times(1)):
        check_cut(hang, "abandoned", release, places)
    figure(f"{20 * times(1):,} tools")


HANGS = """
from compiler_nb import Compiler, tool
import asyncio, time

@tool(timeout=0.1)
def hang(x: int) -> None:
    time.sleep(60)

@tool(timeout=0.1)
async def swallow(x: int) -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

@tool
def busy(x: int) -> None:
    time.sleep(60)
"""
SCRIPT = f"""{HANGS}
plan = "a = [hang(x) for x in range(5)]\\nb = [swallow(x) for x in range(5)]"
run = Compiler(None, [hang, swallow]).execute_sync(plan)
print(sorted(set(outcome.kind for outcome in run.progress.outcomes.values())), flush=True)
"""


def test_a_process_with_hung_tools_ends_within_two_seconds(figure):
    """Neither their threads nor the loop hold the interpreter's exit up."""
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "['abandoned', 'items', 'timeout']\n"
        began = time.monotonic()
        assert process.wait(10) == 0
        took = time.monotonic() - began
        figure(f"exit within {took:.2f} s")
        assert took <= EXIT


@pytest.mark.alone
@pytest.mark.kernel
def test_a_kernel_with_hung_tools_ends_within_two_seconds(figure):
    """Asked to shut down, with tools that were abandoned, and others that still run in the background."""
    with running_kernel(f"%load_ext compiler_nb\n{HANGS}") as kernel:
        kernel.run("%%plan --no-raise\na = [hang(x) for x in range(5)]\nb = [swallow(x) for x in range(5)]")
        kernel.run("%%plan -b -o behind\nc = [busy(x) for x in range(5)]\nd = [swallow(x) for x in range(5)]")
        assert kernel.value("behind.status") == "running"
        began = time.monotonic()
        kernel.client.shutdown()
        while kernel.manager.is_alive() and time.monotonic() - began < 10:
            time.sleep(0.02)
        took = time.monotonic() - began
        figure(f"exit within {took:.2f} s")
        assert took <= EXIT
