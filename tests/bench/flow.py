"""From a model's tokens to tools and an answer: through a real HTTP server, and over the streaming bound."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles

from compiler_nb import Compiler, OpenAIModel, Run, ScriptedModel, connect, tool
from compiler_nb.events import ModelChunk, ModelEnded, TaskEnded
from tests.bench import Figure
from tests.support.server import Server

LINES = 40
ROOT = Path(__file__).parents[2]


# -------------------------------------------------------------------- last token to start


async def serve() -> None:
    """Serve one plan after another: the last token of each line says when it was written."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        writer.write(head.encode())
        for number in range(LINES):
            writer.write(_event(f"a{number} = mark("))
            await writer.drain()
            await asyncio.sleep(0.004)
            writer.write(_event(f"{time.perf_counter()})\n"))
            await writer.drain()
            await asyncio.sleep(0.002)
        writer.write(_event("answer(1)\n") + _event("", "stop") + b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def _event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def last_token() -> float:
    """Milliseconds from the server's write of a task's last token to its tool's first line, p95."""
    gaps: list[float] = []

    @tool
    async def mark(written: float) -> int:
        gaps.append((time.perf_counter() - written) * 1e3)
        return 1

    command = [sys.executable, "-m", "tests.bench.flow"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        model = OpenAIModel("bench", base_url=f"http://127.0.0.1:{server.stdout.readline().strip()}/v1", api_key="none")
        for number in range(8):
            run = Compiler(model, [mark]).run_sync("measure")
            assert run.status == "done", run.error
            if not number:
                gaps.clear()  # the first one imports and connects
        server.stdin.close()
    assert len(gaps) == 7 * LINES
    return quantiles(gaps, n=20)[-1]


# -------------------------------------------------------------------- question to answer

PLAN = """\
ny = weather("New York")
la = weather("Los Angeles")
sf = weather("San Francisco")
warmest = max(ny, la, sf)
answer(warmest)
"""


def over_bound() -> float:
    """Question to answer with 3 tools of 50 ms, a comparison and an answer, over the streaming bound."""

    @tool
    async def weather(city: str) -> float:
        began = time.perf_counter()
        await asyncio.sleep(0.05)
        return time.perf_counter() - began

    model = ScriptedModel({"planner": PLAN}, ttft=0.1, tokens_per_second=150)
    ratios = []
    for _ in range(11):
        run = Compiler(model, [weather]).run_sync("Which city is the warmest?")
        assert run.status == "done", run.error
        ratios.append(run.seconds / bound(run))
    return median(ratios)


def bound(run: Run) -> float:
    """Return the shortest time that this run's tokens and tools allow: no tool before its line, none after the last."""
    text, line_ends = "", []
    for event in run.events:
        if isinstance(event, ModelChunk):
            line_ends += [event.at] * event.text.count("\n")
            text += event.text
    tools = [event.outcome for event in run.events if isinstance(event, TaskEnded) and not event.how]
    assert text == PLAN
    assert len(tools) == 3
    return max(line_ends[-1], *(at + seconds for at, seconds in zip(line_ends, tools, strict=False)))


# -------------------------------------------------------------------- the first question of a process


def first_question() -> float:
    """Return the first question of a fresh process, the model set 2 s before, over the streaming bound."""
    ratios = []
    with Server(PLAN, pace=1 / 150, always="slow-first=0.1") as server:
        for _ in range(11):
            command = [sys.executable, "-m", "tests.bench.flow", server.url]
            told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            ratios.append(float(told.stdout))
    return median(ratios)


def ask_first(url: str) -> None:
    """Print the ratio for this process; the bound is the second question's, to which nothing is new.

    A plan is whole when its stream has ended, so there is no answer before that.
    """

    @tool
    async def weather(city: str) -> float:
        began = time.perf_counter()
        await asyncio.sleep(0.05)
        return time.perf_counter() - began

    compiler = Compiler(connect("openai:bench", base_url=url, api_key="none"), [weather])
    time.sleep(2)
    began = time.perf_counter()
    first = compiler.run_sync("Which city is the warmest?")
    seconds = time.perf_counter() - began
    second = compiler.run_sync("Which city is the warmest?")
    assert (first.status, second.status) == ("done", "done"), first.error
    ends = [event.at for event in second.events if isinstance(event, ModelEnded)]
    print(seconds / max(bound(second), ends[-1]))


FIGURES = [
    Figure("token", "task's last token on the wire -> its tool starts, p95, ms", 2.0, 0.5, last_token),
    Figure("answer", "question -> answer, simulated provider, over the streaming bound", 1.03, 1.01, over_bound),
    Figure("first", "first question of a process, model set 2 s before, over the bound", 1.15, 1.03, first_question),
]

if __name__ == "__main__":
    if sys.argv[1:]:
        ask_first(sys.argv[1])
    else:
        asyncio.run(serve())
