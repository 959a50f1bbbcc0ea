"""Workers that die, clusters that are gone, and clients on a loop of their own."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest
from distributed import Client

from compiler_nb.compiler import Compiler
from compiler_nb.engine.cluster.engine import DaskEngine
from compiler_nb.errors import ToolError
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.tool import tool
from tests.support.cluster import BIG, execute, kill, numbers, total, wait_for


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_wrong_result_and_no_second_side_effect(dask_client, tmp_path):
    """One is killed in the middle of a call, one ends itself; lost values are made again, side effects are not."""
    gate, effects = tmp_path / "gate", tmp_path / "effects"

    @tool
    def slow(values: list) -> int:
        (tmp_path / "pid").write_text(str(os.getpid()))
        while not gate.exists():
            time.sleep(0.01)
        return sum(values)

    @tool
    def ends(n: int) -> int:
        if not (tmp_path / "ended").exists():
            (tmp_path / "ended").touch()
            os._exit(3)
        return n

    @tool(side_effects=True)
    def send(value: int) -> int:
        with effects.open("a") as file:
            file.write(f"{value}\n")
        return value

    def strike():
        kill(int(wait_for(tmp_path / "pid")))
        gate.touch()

    plan = f"""
parts = [numbers(n) for n in range({BIG}, {BIG + 4})]
first = send(7)
a = slow(parts[0])
b = ends(5)
sums = [total(part) for part in parts]
second = send(a)
answer([a, b, sums, first, second])
"""
    thread = threading.Thread(target=strike)
    thread.start()
    run = execute(dask_client, plan, [numbers, total, slow, ends, send], approve="auto")
    thread.join()
    sums = [sum(range(n)) for n in range(BIG, BIG + 4)]
    assert run.answer == [sums[0], 5, sums, 7, sums[0]], run.failures
    assert effects.read_text() == f"7\n{sums[0]}\n"
    dask_client.wait_for_workers(2, timeout=60)


@pytest.mark.slow
def test_a_call_that_kills_its_workers_is_given_up(dask_client):
    """After as many as Dask allows; the failure says so, and others go on."""

    @tool
    def deadly() -> int:
        os._exit(1)

    allowed = dask_client.run_on_scheduler(_allow_failures, 0)
    try:
        run = execute(dask_client, "a = deadly()\nb = numbers(2)\nanswer(b)", [deadly, numbers])
    finally:
        dask_client.run_on_scheduler(_allow_failures, allowed)
    assert run.answer == [0, 1]
    assert "deadly was lost with its workers" in run.failures["a"].message
    dask_client.wait_for_workers(2, timeout=60)


def _allow_failures(most, dask_scheduler):
    before, dask_scheduler.allowed_failures = dask_scheduler.allowed_failures, most
    return before


@pytest.mark.slow
def test_a_cluster_that_is_gone_is_said_so(dask_client, tmp_path):
    """In the middle of a run, and to the next one; nothing hangs."""
    began, gate = tmp_path / "began", tmp_path / "gate"

    @tool
    def hang() -> int:
        began.write_text("x")
        while not gate.exists():
            time.sleep(0.01)
        return 1

    with Client(dask_client.scheduler.address, set_as_default=False) as client:
        compiler = Compiler(None, [hang, numbers], engine=DaskEngine(client))

        def close():
            wait_for(began)
            client.close()

        thread = threading.Thread(target=close)
        thread.start()
        run = compiler.execute_sync(f"c = numbers({BIG})\na = hang()\nb = numbers(3)\nanswer([a, b])")
        thread.join()
        gate.touch()
        assert (run.status, "gone" in run.error) == ("failed", True), run.error
        again = compiler.execute_sync("a = numbers(3)\nanswer(a)")
        assert (again.status, "gone" in again.error) == ("failed", True), again.error
        with pytest.raises(ToolError, match="gone"):
            run["c"]


@pytest.mark.slow
def test_an_asynchronous_client_works_on_its_own_loop(dask_client):
    """On the loop of the run, and on another one; what has stayed comes home before the run ends."""

    async def main():
        address = dask_client.scheduler.address
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            compiler = Compiler(None, [numbers, total], engine=DaskEngine(client))
            plan = f"a = numbers({BIG})\nb = total(a)\nanswer(b)"
            one = await compiler.execute(plan)
            other = await asyncio.to_thread(compiler.execute_sync, plan)
            return one, other

    for run in asyncio.run(main()):
        assert (run.answer, len(run["a"])) == (sum(range(BIG)), BIG), run.error


def test_an_expression_of_a_later_plan_reads_a_value_that_stayed_on_the_cluster(dask_client):
    """It waits until the value is here, although the task that it reads was done before the plan was written."""
    replies = {
        "planner": f"xs = numbers({BIG})\nsum_ = total(xs)\njoin(sum_)",
        "replan": f"last = xs[{BIG - 1}] + 1\nanswer(last)",
        "joiner": ["Replan: the last one"],
    }
    compiler = Compiler(ScriptedModel(replies), [numbers, total], engine=DaskEngine(dask_client))
    assert compiler.run_sync("What is the last one?").answer == BIG
