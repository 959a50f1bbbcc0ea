"""The Dask engine against plain `distributed`: the same graph of calls, on the same two workers of this machine.

Plain Dask is given the whole graph at once, with futures as arguments; ours hands out each call when its inputs are
there, hears of its begin and its end, and has its value at home.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

from compiler_nb.compiler import Compiler
from compiler_nb.engine.cluster.engine import DaskEngine
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from tests.bench import Figure
from tests.support.cluster import started

if TYPE_CHECKING:
    from distributed import Client

WIDTH, LAYERS, ROUNDS = 50, 6, 7


def both(left: int, right: int) -> int:
    """Take two results."""
    return left + right


def plain(client: Client) -> float:
    """Return the seconds of the graph as Dask's own futures."""
    began = time.perf_counter()
    row = [client.submit(both, number, number, pure=False) for number in range(WIDTH)]
    rows = [row]
    for _ in range(LAYERS - 1):
        row = [client.submit(both, row[n], row[(n + 1) % WIDTH], pure=False) for n in range(WIDTH)]
        rows.append(row)
    client.gather(rows)
    return time.perf_counter() - began


def graph() -> Plan:
    """Return the same graph as a plan."""
    tasks = [Task(f"t{number}", "call", "both", (number, number)) for number in range(WIDTH)]
    for first in range(WIDTH, WIDTH * LAYERS, WIDTH):
        above = [Ref(f"t{first - WIDTH + number}") for number in range(WIDTH)]
        tasks += [
            Task(f"t{first + n}", "call", "both", (above[n], above[(n + 1) % WIDTH])) for n in range(WIDTH)
        ]  # fmt: skip
    return Plan(tuple(tasks))


def cost() -> float:
    """Return ours over plain, the median of rounds in turns."""
    plan, ratios = graph(), []
    with started() as client:
        compiler = Compiler(None, [both], engine=DaskEngine(client), max_concurrency=WIDTH)
        for number in range(ROUNDS + 1):
            floor = plain(client)
            began = time.perf_counter()
            run = compiler.execute_sync(plan)
            seconds = time.perf_counter() - began
            assert run.status == "done", run.error
            if number:
                ratios.append(seconds / floor)
    return median(ratios)


FIGURES = [
    Figure("dask", f"Dask engine, {LAYERS} layers of {WIDTH} calls / plain distributed", 2.5, 2.0, cost),
]
