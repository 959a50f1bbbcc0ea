"""A call that waits for its provider holds nobody up, and is not held up by its own timeout."""
# ruff: noqa: D103 - tools of a test are read where they stand

from __future__ import annotations

import asyncio

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.engine.schedule import Schedule
from compiler_nb.errors import ProviderUnavailable, RateLimited
from compiler_nb.events import TaskEnded, TaskParked, TaskStarted
from compiler_nb.models.base import Chunk, Request
from compiler_nb.models.calls import Calls
from compiler_nb.models.limits import Limit, Limits
from compiler_nb.outcome import Failure
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from compiler_nb.tool import tool
from tests.support.clock import run_virtually
from tests.support.desk import begin
from tests.support.session import add, opened, told


class Moody:
    """A worker that refuses so many calls at first, each with the same fault, and then answers."""

    name, provider = "m", "moody"

    def __init__(self, *faults) -> None:
        self.faults = list(faults)

    async def stream(self, request: Request):
        if self.faults:
            raise self.faults.pop(0)
        yield Chunk("fine", "stop")


@tool
async def look(x):
    await asyncio.sleep(1)
    return x


def run_with_times(compiler, plan):
    """Execute a plan on virtual time; return the run, and when each task ended."""
    ends = {}

    async def main():
        loop = asyncio.get_running_loop()

        def note(event):
            if isinstance(event, TaskEnded):
                ends[event.task] = loop.time()

        run, work = begin(compiler, plan=plan, on_event=note)
        await work
        return run

    return run_virtually(main()), ends


@pytest.mark.parametrize(
    "faults",
    [[RateLimited("slow down", retry_after=60.0)], [ProviderUnavailable("down", status=503)] * 20],
    ids=["429", "503"],
)
def test_a_provider_that_makes_wait_starves_no_other_tool(faults):
    """Eight slots, twenty calls of a model that is away: what asks nobody goes on at once."""
    compiler = Compiler(None, [look], worker=Moody(*faults))
    plan = 'said = [llm("x", i) for i in range(20)]\nseen = [look(i) for i in range(8)]\n'
    run, ends = run_with_times(compiler, plan)
    assert run.status == "done"
    assert run["said"] == ["fine"] * 20
    assert ends["seen"] == 1.0
    assert ends["said"] > 1.5


def test_a_parked_call_says_so_and_why():
    """Two events, and words for itself and for those behind it."""
    words = []
    compiler = Compiler(None, [look], worker=Moody(RateLimited("slow down", retry_after=30.0)), max_concurrency=2)

    async def main():
        run, work = begin(compiler, plan='a = llm("a")\nb = llm("b")\nc = llm("c")\nd = look(1)\n')
        working = asyncio.ensure_future(work)
        await asyncio.sleep(10)
        words.extend([run.why("a"), run.why("c"), run.state("d")])
        await working
        return run

    run = run_virtually(main())
    assert "waiting for moody" in words[0]
    assert words[1:] == ["ready, waits for moody, as `a` and `b` do", "done"]
    parked = [(event.task, event.provider, event.parked) for event in run.events if isinstance(event, TaskParked)]
    assert sorted(parked) == [("a", "moody", False), ("a", "moody", True), ("b", "moody", False), ("b", "moody", True)]


def test_a_timeout_does_not_run_while_a_call_waits_for_its_provider():
    """What is left of it runs when the call goes on."""
    limits = Limits({"p": Limit(concurrency=1)})

    @tool(provider="p", timeout=1.5)
    async def ask(x):
        async with limits.slot("p", 0, session.parking(f"n{x}")):
            await asyncio.sleep(1)
        if x == 2:
            await asyncio.sleep(1)

    async def main():
        nonlocal session
        async with opened([ask]) as session:
            add(session, "n0 = ask(0)\nn1 = ask(1)\nn2 = ask(2)\n")
            await session.drained()
            return session

    session = None
    run_virtually(main())
    assert [session.outcomes[name] for name in ("n0", "n1")] == [None, None]
    assert isinstance(session.outcomes["n2"], Failure)
    assert (session.outcomes["n2"].kind, session.log.events[-1].at) == ("timeout", 3.5)


def test_a_tool_that_asks_twice_at_a_time_hangs_nobody():
    """Both of its calls wait for the one slot that its task gets back."""
    limits = Limits({"p": Limit(concurrency=1)})
    used = []

    @tool(provider="p")
    async def ask(x):
        async def once(turn):
            async with limits.slot("p", 0, session.parking(f"n{x}")):
                await asyncio.sleep(1)
                used.append((x, turn))

        await asyncio.gather(*(once(turn) for turn in range(3)))
        return x

    async def main():
        nonlocal session
        async with opened([ask, look], max_concurrency=1) as session:
            add(session, "n0 = ask(0)\nn1 = ask(1)\ns = look(1)\n")
            await asyncio.wait_for(session.drained(), 60)
            return session

    session = None
    run_virtually(main())
    assert len(used) == 6
    assert (session.outcomes["n0"], session.outcomes["n1"], session.schedule.free) == (0, 1, 1)


def test_a_parked_call_can_be_cancelled():
    """Its place goes to the next; nothing waits for it."""
    limits = Limits({"p": Limit(concurrency=1)})
    used = []

    @tool(provider="p")
    async def ask(x):
        async with limits.slot("p", 0, session.parking(f"n{x}")):
            used.append(x)
            await asyncio.sleep(1)

    async def main():
        nonlocal session
        async with opened([ask]) as session:
            add(session, "n0 = ask(0)\nn1 = ask(1)\n")
            await asyncio.sleep(0.5)
            session.cancel()
            await session.drained()
        async with limits.slot("p"):
            return limits.gate("p").running

    session = None
    assert run_virtually(main()) == 1
    assert used == [0]
    assert [session.schedule.nodes[name].state for name in ("n0", "n1")] == ["cancelled", "cancelled"]


def test_calls_a_minute_hold_for_tools_of_a_provider():
    """Three of a provider in a minute, of eight that are ready; what asks another goes on meanwhile."""

    @tool(provider="p")
    async def ask(x):
        return x

    compiler = Compiler(None, [ask, look], limits={"p": Limit(rpm=3)}, max_concurrency=4)
    run, ends = run_with_times(compiler, "asked = [ask(i) for i in range(8)]\nseen = [look(i) for i in range(8)]\n")
    assert run["asked"] == list(range(8))
    assert [ends[f"asked[{i}]"] for i in range(8)] == [0, 0, 0, 60, 60, 60, 120, 120]
    assert ends["seen"] <= 3


@pytest.mark.slow
@pytest.mark.parametrize("effects", [True, False])
def test_calls_a_minute_hold_on_threads_too(effects, monkeypatch):
    """A sync tool gets its thread when its provider lets it begin; one with side effects is noted then."""
    monkeypatch.setattr("compiler_nb.models.limits.WINDOW", 0.2)  # a thread's seconds are real ones
    seen = []

    @tool(provider="p", side_effects=effects)
    def send(x):
        seen.append(x)

    async def main():
        loop, limits = asyncio.get_running_loop(), Limits({"p": Limit(rpm=2)})
        async with opened([send], approve="auto") as session:
            session.rates, session.rated = limits, {"send": "p"}
            began = loop.time()
            add(session, "".join(f"n{i} = send({i})\n" for i in range(5)))
            session.close()
            await session.drained()
            return loop.time() - began

    assert asyncio.run(main()) >= 0.4
    assert sorted(seen) == list(range(5))


def test_a_task_that_asks_twice_waits_for_its_provider_each_time():
    """Each wait gives the slot back, and each gets one again."""
    limits = Limits({"p": Limit(rpm=1)})
    calls_made = []

    @tool(provider="p")
    async def ask(x):
        calls = Calls(lambda *_: None, limits=limits, parking=session.parking)
        for turn in range(2):
            await calls.text(Model(), Request("worker", ({"role": "user", "content": "x"},), f"n{x}"))
            calls_made.append((x, turn))

    class Model:
        name, provider = "m", "p"

        async def stream(self, request):
            yield Chunk("yes", "stop")

    async def main():
        nonlocal session
        async with opened([ask, look], max_concurrency=1) as session:
            add(session, "n0 = ask(0)\nn1 = ask(1)\ns = look(1)\n")
            await session.drained()
            return session

    session = None
    run_virtually(main())
    assert sorted(calls_made) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert session.schedule.free == 1
    starts = {event.task: event.at for event in told(session, TaskStarted)}
    assert starts["s"] < 1


def test_a_call_that_is_taken_gets_the_next_slot_before_new_ones():
    """Also before what a task that ends lets start: else a chain would hold it up, and its provider's place with it."""
    schedule = Schedule(1, resources={"p": ("provider:p",)})
    for task in (Task("a", "call", "p"), Task("c0", "call", "t"), Task("c1", "call", "t", (Ref("c0"),))):
        schedule.add(task, 0.0)
    assert [node.task.id for node in schedule.park("a")] == ["c0"]
    assert schedule.unpark("a") == []
    assert [node.task.id for node in schedule.finish("c0", 1, 0.0)] == ["a"]


def test_arguments_that_change_while_a_provider_is_waited_for_are_asked_for_again():
    """A word is for the arguments that were shown, however long the call waits until it begins."""
    sent, shown = [], []

    @tool(side_effects=True, provider="bank")
    async def pay(who, sums):
        sent.append((who, list(sums)))

    @tool
    async def make():
        return [1]

    @tool(pure=True)  # which it is not: so it does not wait for the payments
    async def grow(sums):
        await asyncio.sleep(5)
        sums.append(1_000_000)

    async def ask(task, arguments):
        shown.append((task.id, arguments))
        return len(shown) < 3

    plan = 's = make()\na = pay("a", [0])\nb = pay("b", s)\ng = grow(s)\n'

    async def main():
        compiler = Compiler(None, [pay, make, grow], limits={"bank": Limit(rpm=1)})
        run, work = begin(compiler, plan=plan, ask=ask)
        await work
        return run

    run = run_virtually(main())
    assert shown == [("a", '"a", [0]'), ("b", '"b", [1]'), ("b", '"b", [1, 1000000]')]
    assert sent == [("a", [0])]
    assert run.failures["b"].kind == "denied"


def test_a_side_effect_that_cannot_be_noted_is_counted_once():
    """Its provider counts the call, not the asking for it."""
    begun = []

    @tool(side_effects=True, provider="p")
    async def send(x):
        begun.append(asyncio.get_running_loop().time())

    async def yes(task, _):
        approved.add(task.id)
        return True

    async def intent(task):
        return task.id in approved

    approved = set()

    async def main():
        async with opened([send], approve="auto", ask=yes) as session:
            session.rates, session.rated, session.effects.intent = Limits({"p": Limit(rpm=2)}), {"send": "p"}, intent
            add(session, "n0 = send(0)\nn1 = send(1)\n")
            session.close()
            await session.drained()

    run_virtually(main())
    assert begun == [0, 0]


def test_a_value_whose_class_has_no_hash_is_a_value():
    """Its task ends like any other."""

    class Odd(type):
        __hash__ = None

    thing = Odd("Thing", (), {})()

    @tool
    async def get():
        return thing

    run = run_virtually(Compiler(None, [get]).execute("a = get()\nb = [a]\n"))
    assert (run.status, run["a"], run["b"]) == ("done", thing, [thing])
