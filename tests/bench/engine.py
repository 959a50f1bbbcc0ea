"""Schedule and engine against fixed baselines that stand in this file: bare asyncio tasks, counters, to_thread.

Baseline and ours run in turns in one process, on stock asyncio; a figure is the median of the rounds' ratios.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from statistics import mean, median
from typing import Any

from compiler_nb.compiler import Compiler
from compiler_nb.engine.session import Session
from compiler_nb.events import Log, TaskEnded, TaskStarted
from compiler_nb.operations.bounds import Bounds
from compiler_nb.plan.expression import Binary
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from compiler_nb.tool import Tool
from tests.bench import Figure

ROUNDS = 15
TRIES = 5
"""Processes that measure a figure which depends on where Python's collector happens to come: a fifth, for `inline`."""
Measure = Callable[[], Awaitable[float]]


def in_turns(ours: Measure, baseline: Measure, rounds: int = ROUNDS, *, collected: bool = False) -> float:
    """Return the median ratio of two measurements that are taken in turns.

    collected: whether Python's garbage is collected before each, so that neither pays for the other's. What stands here
    as a session and not as a run leaves its own in cycles, and the baseline comes next: that makes it a fifth slower.
    """
    ratios = []
    tidy = gc.collect if collected else int
    for number in range(rounds + 2):
        tidy()
        floor = asyncio.run(baseline())  # type: ignore[arg-type]
        tidy()
        value = asyncio.run(ours())  # type: ignore[arg-type]
        if number > 1:  # the first two warm the caches
            ratios.append(value / floor)
    return median(ratios)


async def noop() -> int:
    """Do nothing."""
    return 1


async def bare_tasks(count: int) -> float:
    """Return the seconds that `count` bare asyncio tasks of a no-op take, created and awaited."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for task in [loop.create_task(noop()) for _ in range(count)]:
        await task
    return time.perf_counter() - began


async def perform(
    tasks: Sequence[Task], tools: dict[str, Tool], capacity: int = 8, listener: Any = None
) -> tuple[float, Log]:
    """Return the seconds that the engine takes for tasks, each with its two events and its timeout, and the log."""
    log = Log("bench")
    if listener is not None:
        log.listeners.append(listener)
    began = time.perf_counter()
    session = Session(tools, log, max_concurrency=capacity)
    for task in tasks:
        session.add(task)
    session.close()
    await session.drained()
    seconds = time.perf_counter() - began
    session.finish()
    assert len(session.values) == len(tasks)
    return seconds, log


def calls(count: int) -> list[Task]:
    """Return independent calls of the no-op."""
    return [Task(f"t{number}", "call", "noop") for number in range(count)]


NOOP = {"noop": Tool(noop)}


async def engine(count: int) -> float:
    """Return the seconds of `count` no-op calls."""
    return (await perform(calls(count), NOOP))[0]


def overhead(*, collected: bool = False) -> float:
    """1,000 no-op calls, cap 8, priorities, events, timeouts, over as many bare tasks."""
    return in_turns(lambda: engine(1_000), lambda: bare_tasks(1_000), collected=collected)


def layered() -> float:
    """Ten layers of 100 calls with two references each, as users run them: `Compiler.execute`, over bare tasks."""
    first = [Task(f"t{number}", "call", "both", (number, number)) for number in range(100)]
    rest = [
        Task(
            f"t{number}",
            "call",
            "both",
            (Ref(f"t{number - 100}"), Ref(f"t{number - (99 if number % 100 < 99 else 199)}")),
        )
        for number in range(100, 1_000)
    ]
    plan = Plan((*first, *rest))

    async def both(left: int, right: int) -> int:
        return left + right

    compiler = Compiler(None, [both])

    async def ours() -> float:
        began = time.perf_counter()
        run = await compiler.execute(plan)
        seconds = time.perf_counter() - began
        assert run.status == "done", run.error
        return seconds

    return in_turns(ours, lambda: bare_tasks(1_000))


def linearity() -> float:
    """Per task at 10,000 tasks over per task at 1,000."""

    async def ours() -> float:
        return await engine(10_000) / 10

    return in_turns(ours, lambda: engine(1_000), 11)


# -------------------------------------------------------------------- release


async def bare_release(length: int) -> float:
    """Return the median gap between a parent's end and its child's start with bare counters."""
    gaps: list[float] = []
    done = asyncio.get_running_loop().create_future()
    waiting = [0] + [1] * (length - 1)

    async def node(number: int, ended: float) -> None:
        gaps.append(time.perf_counter() - ended)
        await asyncio.sleep(0.002)
        if number + 1 == length:
            done.set_result(None)
            return
        waiting[number + 1] -= 1
        if not waiting[number + 1]:
            running.append(asyncio.get_running_loop().create_task(node(number + 1, time.perf_counter())))

    running = [asyncio.get_running_loop().create_task(node(0, time.perf_counter()))]
    await done
    return median(gaps[1:])


async def our_release(length: int) -> float:
    """Return the same gap with the engine, measured inside the tools."""
    starts: list[float] = []
    ends: list[float] = []

    async def step(_: Any = None) -> int:
        starts.append(time.perf_counter())
        await asyncio.sleep(0.002)
        ends.append(time.perf_counter())
        return 1

    chain = [Task("t0", "call", "step")]
    chain += [Task(f"t{number}", "call", "step", (Ref(f"t{number - 1}"),)) for number in range(1, length)]
    await perform(chain, {"step": Tool(step)})
    return median(start - end for start, end in zip(starts[1:], ends, strict=False))


def release() -> float:
    """A parent's end to its child's start, over bare counters."""
    return in_turns(lambda: our_release(60), lambda: bare_release(60), 11)


# -------------------------------------------------------------------- makespan


def random_dag(count: int, seed: int) -> tuple[list[Task], dict[str, float]]:
    """Return a random graph of sleeping calls and their durations: lognormal, about 20 ms."""
    chance = random.Random(seed)
    tasks: list[Task] = []
    durations: dict[str, float] = {}
    for number in range(count):
        parents = chance.sample(range(max(0, number - 20), number), min(number, chance.choice((0, 1, 1, 2, 3))))
        seconds = min(chance.lognormvariate(-4.1, 0.6), 0.12)
        id_ = f"t{number}"
        durations[id_] = seconds
        tasks.append(Task(id_, "call", "sleep", (seconds, *(Ref(f"t{parent}") for parent in parents))))
    return tasks, durations


async def sleep(seconds: float) -> float:
    """Take so long, and return how long it was: timers of the loop are a millisecond late."""
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    return time.perf_counter() - began


def makespan() -> float:
    """Real time over max(critical path, work over cap), mean over random graphs, cap 8, the tools' real times."""

    async def timed(seconds: float, *_: Any) -> float:
        return await sleep(seconds)

    ratios = []
    for seed in range(24):
        tasks, _ = random_dag(60, seed)
        took: dict[str, float] = {}

        def note(event: Any, took: dict[str, float] = took) -> None:
            if isinstance(event, TaskEnded):
                took[event.task] = event.outcome

        seconds, _ = asyncio.run(perform(tasks, {"sleep": Tool(timed)}, 8, note))
        ratios.append(seconds / Plan(tuple(tasks)).lower_bound(took, 8))
    return mean(ratios)


def fan_out() -> float:
    """A two-stage fan-out of 200 items with random times at cap 8, over its lower bound with the tools' real times."""
    plan = Plan.parse("a = [first(x) for x in range(200)]\nb = [second(y) for y in a]\n", tools=None)
    ratios = []
    for seed in range(7):
        chance = random.Random(seed)
        times = [min(chance.lognormvariate(-4.1, 0.8), 0.2) for _ in range(400)]
        took = list(times)

        async def first(number: int, times: list[float] = times, took: list[float] = took) -> int:
            took[number] = await sleep(times[number])
            return number

        async def second(number: int, times: list[float] = times, took: list[float] = took) -> int:
            took[200 + number] = await sleep(times[200 + number])
            return number

        tools = {"first": Tool(first), "second": Tool(second)}
        seconds = asyncio.run(_fan_out(plan, tools))
        ratios.append(seconds / max(sum(took) / 8, *(took[n] + took[200 + n] for n in range(200))))
    return median(ratios)


def items() -> float:
    """Microseconds for an item of a fan-out of 100,000 no-ops, if only the bound of items is raised."""
    compiler = Compiler(None, [Tool(echo, name="echo")], bounds=Bounds(items=100_000))

    async def ours() -> float:
        began = time.perf_counter()
        run = await compiler.execute("r = [echo(x) for x in range(100000)]\nanswer(len(r))")
        assert run.answer == 100_000, run.error
        return time.perf_counter() - began

    return median(asyncio.run(ours()) for _ in range(3)) * 10


def items_memory() -> float:
    """Megabytes of the process that runs a fan-out of 100,000 no-ops, at most: nothing else was done in it."""
    items()
    import resource  # not on every platform, and only this figure needs it

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


async def echo(x: int) -> int:
    """Give a number back."""
    return x


async def _fan_out(plan: Plan, tools: dict[str, Tool]) -> float:
    session = Session(tools, Log("bench"), max_concurrency=8)
    began = time.perf_counter()
    for task in plan.tasks:
        session.add(task)
    session.close()
    await session.drained()
    seconds = time.perf_counter() - began
    session.finish()
    assert len(session.values["b"]) == 200
    return seconds


# -------------------------------------------------------------------- inline and sync


def inline(*, collected: bool = False) -> float:
    """1,000 inline expressions with an event each, over as many bare tasks."""
    tasks = [Task("t0", "expr", "", (1,))]
    tasks += [Task(f"t{number}", "expr", "", (Binary(Ref("t0"), "+", number),)) for number in range(1, 1_000)]

    async def ours() -> float:
        return (await perform(tasks, {}))[0]

    return in_turns(ours, lambda: bare_tasks(1_000), collected=collected)


def sync_burst() -> float:
    """1,000 sync no-op calls at cap 1,000, over a gather of as many asyncio.to_thread."""

    def nothing() -> int:
        return 1

    async def baseline() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(asyncio.to_thread(nothing) for _ in range(1_000)))
        return time.perf_counter() - began

    async def ours() -> float:
        tasks = [Task(f"t{number}", "call", "nothing") for number in range(1_000)]
        return (await perform(tasks, {"nothing": Tool(nothing)}, 1_000))[0]

    return in_turns(ours, baseline, 11)


def check_events() -> None:
    """Raise if the engine measured here does not report what it does: two events per call."""
    _, log = asyncio.run(perform(calls(10), NOOP))
    assert sum(isinstance(event, TaskStarted | TaskEnded) for event in log.events) == 20


check_events()
FIGURES = [
    Figure("engine", "1,000 no-op calls through the engine, cap 8 / a bare task each", 3, 2, overhead, processes=TRIES),
    Figure("layered", "1,000 layered calls, two references each, execute / bare tasks", 6, 4, layered, processes=TRIES),
    Figure("linear", "per task at 10,000 tasks / at 1,000", 1.6, 1.15, linearity),
    Figure("release", "parent's end -> child's start / bare counters", 3, 1.5, release),
    Figure("makespan", "makespan / max(critical path, work / cap), mean over 24 random graphs", 1.10, 1.04, makespan),
    Figure("fanout", "two-stage fan-out of 200 items, random times, cap 8, over its lower bound", 1.10, 1.04, fan_out),
    Figure("items", "an item of a fan-out of 100,000 no-op calls, Compiler.execute, microseconds", 60, 30, items),
    Figure("items_memory", "the process of such runs, MB at most", 1_000, 400, items_memory),
    Figure("inline", "inline expr tasks with events / a bare asyncio.Task each", 1.2, 0.7, inline, processes=TRIES),
    Figure("sync", "burst of 1,000 sync tools / asyncio.to_thread", 0.3, 0.1, sync_burst),
    # Last, for what they collect shifts when Python collects in the others.
    Figure(
        "engine-own",
        "calls as in engine, neither paying for the other's garbage",
        4,
        3,
        partial(overhead, collected=True),
    ),
    Figure("inline-own", "expr tasks as in inline, the same", 1.5, 1.2, partial(inline, collected=True)),
]
