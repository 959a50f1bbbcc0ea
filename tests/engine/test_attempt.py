"""An attempt informs its host of its end exactly once, whichever of its ends come, and in whatever order."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from compiler_nb.engine.attempt import GRACE, Attempt
from compiler_nb.engine.node import Node
from compiler_nb.engine.timer import Timer
from compiler_nb.outcome import Cancelled, Failure
from compiler_nb.plan.task import Task
from compiler_nb.tool import Tool
from tests.support.clock import run_virtually


class Runner:
    """Performs nothing: a test ends its calls; it notes what it is asked for."""

    def __init__(self, stuck=""):
        self.stuck, self.asked = stuck, []

    def start(self, call):
        self.asked.append("start")

    def stop(self, call):
        self.asked.append("stop")

    def abandon(self, call):
        self.asked.append("abandon")
        return True


class Host:
    """Notes what attempts tell it; `admitted` lets them begin."""

    def __init__(self):
        self.loop, self.attempts = asyncio.get_running_loop(), {}
        self.timer = Timer(self.loop, self.attempts)
        self.admitted, self.may_begin = asyncio.Event(), True
        self.told = []

    async def admit(self, attempt):
        await self.admitted.wait()
        return self.may_begin

    def park(self, attempt):
        attempt.node.parked = "provider"
        return True

    def unpark(self, attempt):
        self.told.append("unpark")

    def abandoned(self, attempt):
        self.told.append("abandoned")

    def ended(self, attempt, outcome):
        del self.attempts[attempt.id]
        self.told.append(outcome)


def make(timeout=1.0, stuck=""):
    """Return an attempt, its host and its runner."""
    host, runner = Host(), Runner(stuck)
    node = Node(Task("a", "call", "f"))
    attempt = Attempt(node, Tool(lambda: None, name="f", timeout=timeout), (), {}, runner, host)
    host.attempts["a"] = attempt
    return attempt, host, runner


ENDS = {
    "value": lambda attempt: attempt.end(1),
    "error": lambda attempt: attempt.raised(ZeroDivisionError("no")),
    "cancellation": lambda attempt: attempt.raised(asyncio.CancelledError()),
    "stop": lambda attempt: attempt.stop(Cancelled()),
    "timeout": lambda attempt: attempt.time_out(),
}


@pytest.mark.parametrize("stuck", ["", "its thread cannot be stopped"])
@pytest.mark.parametrize("order", list(itertools.permutations(ENDS, 3)), ids="-".join)
def test_it_ends_once_whatever_comes(order, stuck):
    """Also if the runner reports a call that was stopped, or never reports one."""

    async def main():
        attempt, host, _ = make(stuck=stuck)
        attempt.begin()
        for name in order:
            ENDS[name](attempt)
        await asyncio.sleep(5)
        assert len([each for each in host.told if each != "abandoned"]) == 1
        assert host.told[:-1] in ([], ["abandoned"])
        assert attempt.over
        assert attempt.handle is None

    run_virtually(main())


def test_a_call_that_is_asked_to_stop_has_a_grace():
    """Its own value counts until then; afterwards it is abandoned, and what it returns is dropped."""

    async def main():
        for late in (False, True):
            attempt, host, runner = make()
            attempt.begin()
            attempt.stop(Cancelled())
            await asyncio.sleep(GRACE * (2 if late else 0.5))
            attempt.end(1)
            assert host.told == (["abandoned", Cancelled()] if late else [1])
            assert runner.asked == ["start", "stop"] + ["abandon"] * late

    run_virtually(main())


def test_what_cannot_be_stopped_is_abandoned_at_its_timeout():
    """The failure says why."""

    async def main():
        attempt, host, runner = make(timeout=0.5, stuck="it is stuck")
        attempt.begin()
        await asyncio.sleep(1)
        assert runner.asked == ["start", "abandon"]
        assert host.told == [
            "abandoned", Failure("abandoned", "f took longer than its timeout of 0.5 s; it is stuck"),
        ]  # fmt: skip

    run_virtually(main())


def test_a_timeout_stands_still_while_it_is_parked():
    """It goes on with what was left when the slot is there again."""

    async def main():
        attempt, host, _ = make(timeout=1.0)
        attempt.begin()
        await asyncio.sleep(0.6)
        attempt.park()
        await asyncio.sleep(10)
        waits = [asyncio.ensure_future(attempt.back()) for _ in range(2)]
        await asyncio.sleep(0)
        assert host.told == ["unpark"]  # two that wait ask for one slot
        attempt.node.parked = ""
        attempt.resume()
        await asyncio.gather(*waits)
        await asyncio.sleep(0.3)
        assert host.told == ["unpark"]
        await asyncio.sleep(0.5)
        assert [each.kind for each in host.told[1:] if each != "abandoned"] == ["timeout"]

    run_virtually(main())


@pytest.mark.parametrize("may_begin", [True, False])
def test_it_begins_when_it_is_admitted(may_begin):
    """Its timeout runs from then on; one that is not admitted is the host's, and ends nothing."""

    async def main():
        attempt, host, runner = make()
        host.may_begin = may_begin
        attempt.begin_admitted()
        await asyncio.sleep(30)
        assert (runner.asked, host.told) == ([], [])
        host.admitted.set()
        await asyncio.sleep(0.5)
        assert (runner.asked, host.told) == (["start"] * may_begin, [])

    run_virtually(main())


def test_a_stop_ends_one_that_waits_to_be_admitted():
    """At once; the runner never hears of it."""

    async def main():
        attempt, host, runner = make()
        attempt.begin_admitted()
        await asyncio.sleep(1)
        attempt.stop(Cancelled())
        host.admitted.set()
        await asyncio.sleep(1)
        assert (runner.asked, host.told) == ([], [Cancelled()])

    run_virtually(main())
