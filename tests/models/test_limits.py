import asyncio
import math
import random

import pytest

from compiler_nb.models.limits import Gate, Limit, Limits
from tests.support.clock import run_virtually


@pytest.mark.parametrize("bad", [0, -1, 1.5, "8", True])
@pytest.mark.parametrize("name", ["concurrency", "rpm", "tpm"])
def test_a_limit_is_a_whole_number_from_one(name, bad):
    """A limit that lets nothing through is a mistake that says so."""
    with pytest.raises(ValueError, match=f"{name} is .*whole number from 1"):
        Limit(**{name: bad})


def test_concurrency_opens_when_a_call_ends():
    """With all places taken there is no time to wait for, only an end."""
    gate = Gate(Limit(concurrency=2))
    starts = [gate.begin(0.0), gate.begin(0.0)]
    assert gate.opens(1.0) == math.inf
    gate.end(starts[0])
    assert gate.opens(1.0) <= 1.0


def test_calls_per_minute_open_when_the_oldest_leaves_the_window():
    """The moment is exactly 60 s after the call that makes room."""
    gate = Gate(Limit(rpm=2))
    for now in (0.0, 10.0):
        gate.end(gate.begin(now))
    assert gate.opens(20.0) == 60.0
    assert gate.opens(60.0) <= 60.0
    gate.end(gate.begin(60.0))
    assert gate.opens(60.0) == 70.0


def test_tokens_per_minute_wait_for_room():
    """A call waits until enough tokens have left the window, not only for the next to leave."""
    gate = Gate(Limit(tpm=100))
    for now, tokens in ((0.0, 10), (5.0, 80)):
        gate.end(gate.begin(now, tokens))
    assert gate.opens(6.0, 10) <= 6.0
    assert gate.opens(6.0, 15) == 60.0
    assert gate.opens(6.0, 50) == 65.0


def test_a_call_above_the_limit_passes_alone():
    """Too large a call is not held for ever, but has the window to itself."""
    gate = Gate(Limit(tpm=100))
    assert gate.opens(0.0, 500) <= 0.0
    gate.end(gate.begin(0.0, 500))
    assert gate.opens(1.0, 1) == 60.0


def test_the_tokens_really_used_count():
    """An estimate is replaced when the call ends, also after it left the window."""
    gate = Gate(Limit(tpm=100))
    start = gate.begin(0.0, 90)
    start.used = 10
    gate.end(start)
    assert gate.opens(1.0, 90) <= 1.0
    late = gate.begin(1.0, 90)
    assert gate.opens(61.0, 100) <= 61.0
    late.used = 1_000
    gate.end(late)
    assert gate.opens(61.0, 100) <= 61.0


def test_a_pause_holds_everything_and_a_longer_one_stands():
    """After a 429 nothing begins before its time."""
    gate = Gate()
    gate.pause(10.0)
    gate.pause(5.0)
    assert gate.opens(1.0) == 10.0
    assert gate.opens(10.0) <= 10.0


def test_a_pause_is_of_one_source():
    """Another model, and the same one at another address, may begin; rates count for all of them together."""
    gate, mini, large = Gate(Limit(rpm=1)), ("http://a/v1", "mini"), ("http://a/v1", "large")
    gate.pause(10.0, mini, asked=9.0)
    assert gate.opens(1.0, source=mini) == 10.0
    assert gate.opens(1.0, source=large) <= 1.0
    assert gate.opens(1.0, source=("http://b/v1", "mini")) <= 1.0
    gate.begin(1.0)
    assert gate.opens(1.0, source=large) == 61.0


@pytest.mark.parametrize("seed", range(20))
def test_no_window_ever_holds_more_than_the_limit(seed):
    """Random calls, begun as early as they may, stay within rate and tokens and near the allowed rate."""
    chance = random.Random(seed)
    limit = Limit(rpm=chance.randint(1, 30), tpm=chance.randint(100, 3_000))
    gate, now, begun = Gate(limit), 0.0, []
    for _ in range(300):
        tokens = chance.randint(1, 100)
        while (opens := gate.opens(now, tokens)) > now:
            now = opens
        gate.end(gate.begin(now, tokens))
        begun.append((now, tokens))
    for start, _ in begun:
        window = [tokens for at, tokens in begun if start <= at < start + 60.0]
        assert len(window) <= limit.rpm
        assert sum(window) <= limit.tpm


@pytest.mark.parametrize("rpm", [1, 7, 60])
def test_the_allowed_rate_is_used_up(rpm):
    """Calls that begin as early as they may are as many as the limit allows in each minute."""
    gate, now, begun = Gate(Limit(rpm=rpm)), 0.0, []
    for _ in range(5 * rpm):
        now = max(now, gate.opens(now))
        gate.end(gate.begin(now))
        begun.append(now)
    assert begun == [60.0 * (number // rpm) for number in range(5 * rpm)]


def occupy(limits, provider, log, hold=0.002, tokens=0):
    """Return a coroutine function that holds a place for a while and logs when it got it."""

    async def call(number):
        async with limits.slot(provider, tokens):
            log.append((number, asyncio.get_running_loop().time(), limits.gate(provider).running))
            await asyncio.sleep(hold)

    return call


def test_slots_are_never_more_than_allowed_and_go_in_order():
    """Many callers share the places, first come first served, and all get through."""
    log = []

    async def main():
        call = occupy(Limits({"a": Limit(concurrency=3)}), "a", log, hold=0.001)
        await asyncio.gather(*(call(number) for number in range(30)))

    asyncio.run(main())
    assert [number for number, _, _ in log] == list(range(30))
    assert max(running for _, _, running in log) == 3


def test_a_rate_is_kept_and_used_up():
    """Starts follow the window, without more waiting than it asks for."""
    log = []

    async def main():
        limits = Limits({"a": Limit(rpm=5)})
        await asyncio.gather(*(occupy(limits, "a", log, hold=0)(number) for number in range(15)))

    run_virtually(main())
    assert [round(at, 6) for _, at, _ in log] == [0.0] * 5 + [60.0] * 5 + [120.0] * 5


def test_a_pause_holds_one_provider_and_no_other():
    """Other providers go on while one is paused, and it goes on by itself afterwards."""
    log = []

    async def main():
        limits = Limits()
        limits.pause("a", 0.03)
        await asyncio.gather(occupy(limits, "a", log)("a"), occupy(limits, "b", log)("b"))
        return {number: at for number, at, _ in log}

    assert run_virtually(main()) == {"a": 0.03, "b": 0.0}


def test_a_cancelled_waiter_leaves_its_place_to_the_next():
    """Neither a waiter nor a holder that is cancelled takes a place with it."""
    log = []

    async def main():
        limits = Limits({"a": Limit(concurrency=1)})
        call = occupy(limits, "a", log, hold=60)
        holder = asyncio.create_task(call("holder"))
        await asyncio.sleep(0)
        waiters = [asyncio.create_task(call(number)) for number in range(3)]
        await asyncio.sleep(0)
        waiters[0].cancel()
        holder.cancel()
        await asyncio.sleep(0.001)
        waiters[1].cancel()  # it has just been given the place
        await asyncio.sleep(0.001)
        assert log[-1][0] == 2
        waiters[2].cancel()
        await asyncio.gather(holder, *waiters, return_exceptions=True)
        assert limits.gate("a").running == 0

    asyncio.run(main())


def test_a_place_given_to_a_task_cancelled_in_the_same_moment_comes_back():
    """The race between a grant and a cancellation loses no place."""

    async def main():
        limits = Limits({"a": Limit(concurrency=1)})

        async def take():
            async with limits.slot("a"):
                pass

        async with limits.slot("a"):
            waiter = asyncio.create_task(take())
            await asyncio.sleep(0)
        waiter.cancel()  # granted by the exit above, not yet resumed
        await asyncio.gather(waiter, return_exceptions=True)
        assert limits.gate("a").running == 0
        await asyncio.wait_for(take(), 1)

    asyncio.run(main())


def test_a_call_that_is_paused_lets_others_by():
    """It keeps its turn among its own, and hears of each pause once."""
    log, heard = [], []
    mini, large = ("", "mini"), ("", "large")

    async def main():
        limits = Limits({"a": Limit(concurrency=1)})
        limits.pause("a", 5.0, mini, asked=4.0)

        async def call(number, source):
            async with limits.slot("a", source=source, told=lambda pause: heard.append((number, pause))):
                log.append((number, asyncio.get_running_loop().time()))
                await asyncio.sleep(1)

        calls = [asyncio.create_task(call(number, source)) for number, source in enumerate((mini, large, mini, large))]
        await asyncio.sleep(3)
        limits.pause("a", 6.0, mini, asked=6.0)
        await asyncio.gather(*calls)

    run_virtually(main())
    assert log == [(1, 0.0), (3, 1.0), (0, 9.0), (2, 10.0)]
    assert heard == [(0, (5.0, 4.0)), (2, (5.0, 4.0)), (0, (9.0, 6.0)), (2, (9.0, 6.0))]


def test_a_pause_ends_with_the_last_call_that_waits_for_it():
    """Whoever comes later may try at once; as long as one waits, all of that model do."""
    source = ("", "mini")

    async def main():
        limits, loop = Limits(), asyncio.get_running_loop()

        async def call():
            async with limits.slot("a", source=source):
                return loop.time()

        limits.pause("a", 45.0, source, asked=45.0)
        waiting = [asyncio.create_task(call()) for _ in range(2)]
        await asyncio.sleep(3)
        waiting[0].cancel()
        await asyncio.sleep(1)
        third = asyncio.create_task(call())
        await asyncio.sleep(1)
        assert not third.done()
        for each in (waiting[1], third):
            each.cancel()
        await asyncio.sleep(1)
        return await call()

    assert run_virtually(main()) == 6.0
