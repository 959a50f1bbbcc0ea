"""The promises of a cluster: it gives what this process gives, and workers that die cost nothing but time."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.engine.background import BACKGROUND
from compiler_nb.engine.cluster import parcel
from compiler_nb.engine.cluster.engine import DaskEngine
from compiler_nb.events import TaskEnded, TaskStarted
from compiler_nb.outcome import Failure, is_lost
from compiler_nb.tool import Tool, tool
from tests.support.cluster import kill, wait_for_another
from tests.support.programs import TOOLS, Ledger, Store, broken, in_lines, random_program, sequentially
from tests.support.scale import seed, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

    from compiler_nb.events import Event
    from compiler_nb.run import Run

pytestmark = pytest.mark.promise
DEADLINE = 120.0
"""Seconds that no run takes."""
WAYS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)


def called(name: str, share: int, seconds: float, *args: object) -> int:
    """Be a tool of random programs."""
    time.sleep(seconds)
    return broken(name, args, share)


def tools_of(store: Store, share: int = 0, seconds: float = 0.0) -> list[Tool]:
    """Return the tools of random programs; those that have a state, or change one, run in this process."""
    ledger = Ledger()

    @tool
    async def keep(key, value):
        return ledger.keep(key, value)

    @tool(side_effects=True)
    def swap(key, value, mark):
        return store.swap(key, value, mark)

    @tool(side_effects=True)
    async def put(key, value, mark):
        return store.put(key, value, mark)

    @tool
    async def total(key):
        return store.total(key)

    made = [tool(name=name)(_named(name, share, seconds)) for name in TOOLS]
    return [*made, keep, swap, put, total]


def _named(name: str, share: int, seconds: float) -> Callable[..., int]:
    def call(*args):
        return called(name, share, seconds, *args)

    return call


def execute(
    engine: object, program: str, tools: list[Tool], on_event: Callable[[Event], None] | None = None, **options: int
) -> Run:
    """Run a program, within the deadline."""
    compiler = Compiler(None, tools, engine=engine, approve="auto", timeout=DEADLINE, **options)
    return compiler.execute_sync(program, on_event=on_event)


def ends(run: Run) -> dict[str, object]:
    """Return how each task has ended: its value, or its state; of a call, what its tool has raised.

    What names the cause of a skipped task is left out: of several, it is the one that failed first.
    """
    found: dict[str, object] = {}
    for id_, outcome in sorted(run.progress.outcomes.items()):
        raised = outcome.message if isinstance(outcome, Failure) and outcome.kind == "raised" else ""
        found[id_] = (run.state(id_), raised) if is_lost(outcome) else outcome
    return found


def stay(parts: int) -> None:
    """Let values with more parts than this stay on the worker; called there."""
    parcel.PARTS = parts


@pytest.fixture
def cluster(dask_client: Client) -> Iterator[Client]:
    """Give a cluster on which all values stay, however small, until somebody here needs them."""
    dask_client.run(stay, 0)
    yield dask_client
    dask_client.run(stay, parcel.PARTS)


def test_a_cluster_gives_what_this_process_gives(cluster, figure):
    """50 random plans, some calls of which fail: the same values, states and reasons, and the same side effects."""
    tasks = lost = 0
    for number in range(times(50)):
        random = Random(seed() + number)
        program = random_program(random, random.randint(2, 12), effects=random.random() < 0.5)
        share, options = random.choice([0, 7]), {"max_concurrency": random.choice([1, 4, 8])}
        stores = Store(), Store()
        engines = "local", DaskEngine(cluster)
        here, there = (
            execute(engine, program, tools_of(store, share), **options)
            for engine, store in zip(engines, stores, strict=True)
        )
        shown = f"seed {seed() + number}:\n{program}"
        there.bring_home()
        assert (here.status, ends(here)) == (there.status, ends(there)), shown
        assert in_lines(stores[0].made) == in_lines(stores[1].made), shown
        tasks, lost = tasks + len(here.results), lost + len(here.failures)
    figure(f"{times(50):,} plans, {tasks:,} tasks done and {lost:,} not, 0 differ")


def test_workers_that_die_repeat_no_side_effect_and_change_no_value(cluster, figure):
    """5 random programs over a state; a worker is killed in the middle of each, in one way or another."""
    killed = effects = again = 0
    while killed < times(5):
        random = Random(seed() + killed)
        program = random_program(random, 20, effects=True)
        expected, store = Store(), Store()
        values, calls = sequentially(program, store=expected)
        address, pid = random.choice(sorted(cluster.run(os.getpid).items()))
        strike = Strike(random.randint(1, 30), partial(kill, pid, random.choice(WAYS)))
        run = execute(DaskEngine(cluster), program, tools_of(store, seconds=0.002), strike.note)
        strike.now()
        shown = f"seed {seed() + killed}, {run.error}:\n{program}"
        assert run.status == "done", (shown, run.failures)
        run.bring_home()
        tasks, outcomes = run.progress.tasks, run.progress.outcomes
        given = {(task.line, task.name): outcomes[id_] for id_, task in tasks.items() if id_.isidentifier()}
        assert given == {place: values[place] for place in given}, shown
        assert in_lines(store.made) == in_lines(expected.made), shown
        killed, effects, again = killed + 1, effects + len(store.made), again + sum(calls.values())
        wait_for_another(cluster, address)
        cluster.run(stay, 0)
    figure(f"{killed:,} workers killed over {again:,} calls, {effects:,} side effects: 0 repeated, 0 values differ")


class Strike:
    """Does something once, when so many tasks have started or ended."""

    def __init__(self, after: int, work: Callable[[], None]) -> None:
        self.left, self.work = after, work

    def note(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, TaskStarted | TaskEnded):
            self.left -= 1
            if self.left == 0:
                self.now()

    def now(self) -> None:
        """Do it, unless that was done."""
        work, self.work = self.work, lambda: None
        work()


def test_a_run_on_a_cluster_always_ends(cluster, figure):
    """20 random plans, most of them stopped in the middle: each ends in time, every task in one state."""
    stopped = 0
    for number in range(times(20)):
        random = Random(seed() + number)
        program = random_program(random, random.randint(2, 12), effects=random.random() < 0.5)
        run = stopped_run(cluster, program, random)
        shown = f"seed {seed() + number}, {run.status}: {run.error}\n{program}"
        assert run.status in ("done", "failed", "cancelled"), shown
        assert set(run.progress.outcomes) == set(run.progress.tasks), shown
        stopped += run.status == "cancelled"
    figure(f"{times(20):,} runs, {stopped:,} stopped: all ended")


def stopped_run(client: Client, program: str, random: Random) -> Run:
    """Run a program that is stopped when so many tasks have started or ended."""
    compiler = Compiler(None, tools_of(Store(), 7, 0.002), engine=DaskEngine(client), approve="auto", timeout=DEADLINE)
    strike = Strike(random.randint(1, 20), lambda: run.cancel())  # noqa: PLW0108 - it is made below
    run, work = compiler.begin(compiler.order(plan=program), on_event=strike.note)
    BACKGROUND.run(work)
    return run
