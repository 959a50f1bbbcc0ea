"""A task that waits too long for a piece is cancelled; time that its reader takes does not count."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb.models.silence import SilenceTimer
from tests.support.clock import run_virtually


async def until_cancelled(timer, steps):
    """Sleep and tell the timer what happened; return when the task was cancelled, and whether by the timer."""
    now = asyncio.get_running_loop().time
    try:
        for seconds, then in steps:
            await asyncio.sleep(seconds)
            then(timer)
    except asyncio.CancelledError:
        return now(), timer.stop()
    return None, timer.stop()


def expect(timer):
    """Wait up to two seconds for the next piece."""
    timer.expect(2.0)


@pytest.mark.parametrize(
    ("steps", "cancelled"),
    [
        ([(9, expect)], 5.0),
        ([(4, expect), (9, expect)], 6.0),
        ([(4, expect), (1, expect), (1.5, expect), (9, expect)], 8.5),
        ([(1, SilenceTimer.rest), (60, expect), (1, expect)], None),
        ([(1, SilenceTimer.rest), (60, expect), (9, expect)], 63.0),
    ],
)
def test_silence_is_cut(steps, cancelled):
    """After five seconds without a first piece, and two without a next one."""

    async def main():
        return await until_cancelled(SilenceTimer(5.0, 1.0), steps)

    assert run_virtually(main()) == (cancelled, cancelled is not None)


def test_a_cancellation_by_others_is_not_the_timers():
    """It stays a cancellation, also if the timer fires at the same moment."""

    async def main():
        task = asyncio.create_task(until_cancelled_by_both())
        await asyncio.sleep(5.0)
        task.cancel()
        return await task

    async def until_cancelled_by_both():
        return await until_cancelled(SilenceTimer(5.0, 1.0), [(9, expect)])

    at, is_ours = run_virtually(main())
    assert (at, is_ours) == (5.0, False)


def test_a_task_that_goes_on_is_cancelled_again():
    """Every second, until it ends."""

    async def main():
        timer, heard = SilenceTimer(5.0, 1.0), []
        while len(heard) < 3:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard.append(asyncio.get_running_loop().time())
        return heard, timer.stop()

    assert run_virtually(main()) == ([5.0, 6.0, 7.0], True)
