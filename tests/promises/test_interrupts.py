"""After an interrupt nothing of a run works, and its results are kept."""

from __future__ import annotations

import json
import math
import time
from random import Random

import pytest

from tests.support.kernel import SETUP, VERSIONS, Kernel, installed, running_kernel
from tests.support.scale import seed, times

pytestmark = [pytest.mark.promise, pytest.mark.kernel, pytest.mark.alone]
PROMPT = 1.0
"""Seconds within which the prompt is back, of 99 in a hundred interrupts."""
QUIET = 1.0
"""Seconds after an interrupt from which on nothing works."""
TOOLS = """
worked, plans = [], []

def note(run):
    if run not in [each for each, _ in worked]:
        print("begun")
    worked.append((run, time.monotonic()))

@tool
async def first(run: int) -> int:
    "Be done at once."
    return run

@tool
async def work(run: int, n: int) -> int:
    "Work for long."
    while True:
        note(run)
        await asyncio.sleep(0.02)

@tool
async def stubborn(run: int, n: int) -> int:
    "Clean up for a while when stopped."
    try:
        return await work.function(run, n)
    finally:
        for _ in range(5):
            note(run)
            await asyncio.sleep(0.02)

@tool
def chew(run: int, n: int) -> int:
    "Work on a thread, a little."
    note(run)
    time.sleep(0.05)
    return run

model = ScriptedModel({"planner": lambda request: plans[-1] + "\\n# more" * 500}, tokens_per_second=400)
"""
PLANS = {
    "await": "r{0} = first({0})\nb{0} = [work(r{0}, n) for n in range(20)]",
    "stubborn": "r{0} = first({0})\nb{0} = [stubborn(r{0}, n) for n in range(20)]",
    "sync": "r{0} = first({0})\nb{0} = [chew(r{0}, n) for n in range(500)]",
}
CELLS = {
    "await": "%%plan\n{plan}",
    "kernel": "%%plan --loop kernel\n{plan}",
    "block": "get_ipython().run_cell_magic('plan', '', {plan!r})",
    "model": "plans.append({plan!r})\nget_ipython().run_cell_magic('compile', '-m model', {plan!r})",
    "background": "%%plan -b -o run\n{plan}",
}


def interrupted(kernel: Kernel, way: str, plan: str, wait: float) -> tuple[float, float]:
    """Stop a run in the midst of its work; return when, and how long it took until the prompt was back."""
    id_ = kernel.send(CELLS[way].format(plan=plan), cell=plan)
    kernel.until(id_, "stream")
    kernel.listen_for(wait)
    if way == "background":
        kernel.wait(id_)
    began = time.monotonic()
    if way == "background":
        assert kernel.run("%compile cancel run\nrun.wait(1)").status == "ok"
    else:
        kernel.manager.interrupt_kernel()
        reply = kernel.wait(id_)
        assert (reply.status, reply.name) == ("error", "KeyboardInterrupt"), (way, plan)
    return began, time.monotonic() - began


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version or "newest")
def test_after_an_interrupt_nothing_works_and_results_are_kept(version, figure):
    """30 in a real kernel of each version, in five ways and three kinds of tools, at random moments.

    The prompt is back within a second, nothing works a second later, and what had finished is a variable.
    """
    random, taken, moments = Random(seed()), [], {}
    with running_kernel(SETUP + TOOLS, version=installed(version)) as kernel:
        for number in range(times(30)):
            way, kind = list(CELLS)[number % len(CELLS)], list(PLANS)[number // len(CELLS) % len(PLANS)]
            began, seconds = interrupted(kernel, way, PLANS[kind].format(number), random.uniform(0, 0.2))
            taken.append(seconds)
            moments[number] = began
            kept = kernel.value(f"run.status, run.results.get('r{number}'), run.state('b{number}')")
            assert kept == f"('cancelled', {number}, 'cancelled')", (way, kind)
        kernel.listen_for(QUIET)
        bound = json.loads(kernel.value(f"[globals().get(f'r{{n}}', -1) for n in range({times(30)})]"))
        worked = json.loads(kernel.value("[list(each) for each in worked]"))
    assert sorted({run for run, _ in worked}) == list(moments), "not each of them had begun to work"
    assert [(run, at) for run, at in worked if at > moments[run] + QUIET] == []
    assert bound == list(moments)
    slowest = sorted(taken)[math.ceil(0.99 * len(taken)) - 1]
    figure(f"{len(taken)} interrupts, prompt back within {slowest:.2f} s (p99)")
    assert slowest <= PROMPT
