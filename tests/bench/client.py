"""CPU per streamed piece: ours, with events and timers, over the SDK's own stream.

The server is a process of its own. Both clients read the same bytes, in turns, in one process; what is counted is this
process's CPU time. By default pieces come one to a write, as fast as the server writes: what reading them costs. With
a pace every piece also wakes the loop and the machine, which costs both clients the same and hides the difference.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from compiler_nb.events import Log, ModelChunk
from compiler_nb.models.base import Request
from compiler_nb.models.calls import Calls
from compiler_nb.models.openai import OpenAIModel
from tests.bench import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = Request("planner", ({"role": "user", "content": "plan"},))


class Measured(NamedTuple):
    """CPU in µs per piece, medians of the rounds, and the median of the rounds' ratios."""

    ours: float
    sdk: float
    ratio: float


@contextmanager
def serve(pieces: int, pace: float, batch: int) -> Iterator[str]:
    """Run the server of tests.support.server in a process; yield its base URL."""
    command = [sys.executable, "-m", "tests.support.server", str(pieces), str(pace), str(batch)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


async def read_ours(url: str) -> int:
    """Read a reply as a run does; return its pieces."""
    log = Log("bench")
    model = OpenAIModel("bench", base_url=url, api_key="sk-bench-Q7w9zXk2LmN4pR6tV8yB0cD3fG5hJ1aS")
    async with Calls(log.emit).open(model, QUESTION) as reply:
        async for _ in reply:
            pass
    assert reply.finish == "stop"
    return sum(type(event) is ModelChunk for event in log.events)


async def read_sdk(url: str, client: Any) -> int:
    """Read a reply by the SDK's own stream; return its pieces."""
    messages = [dict(message) for message in QUESTION.messages]
    options = {"include_usage": True}
    stream = await client.chat.completions.create(model="x", messages=messages, stream=True, stream_options=options)
    pieces = 0
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            pieces += 1
    return pieces


async def _rounds(url: str, rounds: int, pieces: int) -> list[tuple[float, float]]:
    import openai

    measured: list[tuple[float, float]] = []
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        await read_ours(url)
        await read_sdk(url, client)
        for _ in range(rounds):
            started = time.process_time()
            await read_ours(url)
            between = time.process_time()
            await read_sdk(url, client)
            measured.append(((between - started) / pieces, (time.process_time() - between) / pieces))
    return measured


def measure(rounds: int = 11, pieces: int = 1_000, pace: float = 0.0, batch: int = 1) -> Measured:
    """Return CPU per piece; pace: seconds between writes, batch: pieces per write."""
    with serve(pieces, pace, batch) as url:
        measured = asyncio.run(_rounds(url, rounds, pieces))
    ours, sdk = (median(column) * 1e6 for column in zip(*measured, strict=True))
    return Measured(ours, sdk, median(mine / theirs for mine, theirs in measured))


FIGURES = [
    Figure(
        "chunk",
        "CPU per streamed chunk, one to a write, events and timer included / the SDK's own stream",
        0.25,
        0.17,
        lambda: measure().ratio,
    )
]


def main() -> None:
    """Print the figure: one piece to a write, twenty, and one each 0.3 ms."""
    for batch, pace in ((1, 0.0), (20, 0.0), (1, 0.0003)):
        ours, sdk, ratio = measure(pace=pace, batch=batch)
        how = f"{batch:>2} to a write, pace {pace * 1e3:g} ms"
        print(f"{how}: ours {ours:.1f} µs, SDK {sdk:.1f} µs, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
