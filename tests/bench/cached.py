"""An unchanged question run again with the cache on: how long until its first picture, of the whole plan."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from compiler_nb import Compiler, History, ScriptedModel, tool
from compiler_nb.events import CacheLooked, ModelStarted, PlanClosed, TaskStarted
from tests.bench import Figure

ROUNDS = 11
PLAN = """
names = tickers(12)
rows = {n: price(n, day="2026-01-05") for n in names}
best = top(rows)
note = llm("Say why.", best)
join(best, note)
"""


@tool(pure=True)
def tickers(count: int) -> list[str]:
    """Return names."""
    return [f"T{number}" for number in range(count)]


@tool(pure=True)
def price(name: str, day: str) -> dict[str, float]:
    """Return prices."""
    time.sleep(0.05)
    return {"close": float(name[1:]), "day": float(day[-1])}


@tool(pure=True)
def top(rows: dict[str, dict[str, float]]) -> str:
    """Return the dearest."""
    return max(rows, key=lambda name: rows[name]["close"])


def first_picture() -> float:
    """Milliseconds from the question to its plan, and for drawing it; then everything else is in the cache, too."""
    seconds = []
    with TemporaryDirectory() as folder:
        for number in range(ROUNDS + 2):
            model = ScriptedModel({"planner": PLAN, "joiner": "T11", "worker": "It is dear."}, ttft=0.2)
            with History(Path(folder, "runs.db")) as history:
                compiler = Compiler(model, [tickers, price, top], history=history, cache="all")
                began, drawn = time.perf_counter(), [0.0]

                def draw(event: object, drawn: list[float] = drawn) -> None:
                    if type(event) is PlanClosed:
                        drawn[0] = time.perf_counter()

                run = compiler.run_sync("Which is the dearest?", on_event=draw)
                ended = time.perf_counter()
                run.visualize("own")
                seconds.append(drawn[0] - began + time.perf_counter() - ended)
            assert (run.status, run.answer) == ("done", "T11"), run.error
            called = [event.task for event in run.events if type(event) is TaskStarted]
            if number:
                assert not any(type(event) is ModelStarted for event in run.events)
                assert called == ["note"]  # whose model is not asked
                assert sum(type(event) is CacheLooked for event in run.events) == 17
    return median(seconds[2:]) * 1e3  # the first fills the cache, the second imports what reads it


FIGURES = [Figure("cached", "unchanged question again, all cached: its first picture, ms", 50.0, 25.0, first_picture)]
