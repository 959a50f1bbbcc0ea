"""One timer for deadlines, which stand on what has them, and for calls."""

from __future__ import annotations

import asyncio
from math import inf

from compiler_nb.engine.timer import Timer
from tests.support.clock import run_virtually


class Timed:
    """Notes when its deadline came."""

    def __init__(self, rang):
        self.deadline, self.rang = inf, rang

    def time_out(self):
        self.deadline = inf
        self.rang.append(asyncio.get_running_loop().time())


def test_deadlines_and_calls_come_in_their_time():
    """Whatever the order in which they were set; a deadline that was taken back does not come."""

    async def main():
        loop, rang = asyncio.get_running_loop(), []
        timed = {name: Timed(rang) for name in "abc"}
        timer, began = Timer(loop, timed), loop.time()
        timer.watch(timed["a"], 30.0)
        timer.call(20.0, lambda: rang.append(loop.time()))
        timer.watch(timed["b"], 10.0)
        timer.watch(timed["c"], 15.0)
        timed["c"].deadline = inf
        await asyncio.sleep(60)
        assert [round(at - began, 3) for at in rang] == [10.0, 20.0, 30.0]

    run_virtually(main())


def test_calls_of_one_moment_keep_their_order():
    """And one may set another."""

    async def main():
        loop, order = asyncio.get_running_loop(), []
        timer = Timer(loop, {})
        for number in range(3):
            timer.call(1.0, lambda number=number: order.append(number))
        timer.call(1.0, lambda: timer.call(1.0, lambda: order.append("later")))
        await asyncio.sleep(1.5)
        assert order == [0, 1, 2]
        await asyncio.sleep(1)
        assert order == [0, 1, 2, "later"]

    run_virtually(main())


def test_a_closed_timer_is_silent():
    """Neither a deadline nor a call comes."""

    async def main():
        rang = []
        timed = Timed(rang)
        timer = Timer(asyncio.get_running_loop(), {"a": timed})
        timer.watch(timed, 1.0)
        timer.call(2.0, lambda: rang.append("call"))
        timer.close()
        await asyncio.sleep(5)
        assert rang == []

    run_virtually(main())
