import asyncio
import concurrent.futures
import contextvars
import inspect
import threading
import time

import pytest

from compiler_nb.engine.background import WAITS, Background, MainThread, waiting

LOOPS = Background()
COLOUR = contextvars.ContextVar("colour", default="none")


async def who():
    """Return the thread that it runs on."""
    return threading.current_thread()


def test_work_runs_on_a_daemon_thread_of_its_own():
    """One loop for all, started at first use."""
    fresh = Background()
    assert fresh.loop is None
    first, second = fresh.run(who()), fresh.run(who())
    assert first is second is not threading.current_thread()
    assert first.daemon
    assert first.name == "compiler_nb-loop"


def test_results_and_errors_come_back():
    """As if it had been awaited."""

    async def fails():
        raise LookupError("no")

    async def cancelled():
        raise asyncio.CancelledError

    assert LOOPS.run(asyncio.sleep(0, 7)) == 7
    with pytest.raises(LookupError, match="no"):
        LOOPS.run(fails())
    with pytest.raises(concurrent.futures.CancelledError):
        LOOPS.run(cancelled())


def test_work_has_the_callers_context():
    """So that prints land in the right cell."""

    async def read():
        return COLOUR.get()

    token = COLOUR.set("red")
    assert LOOPS.run(read()) == "red"
    COLOUR.reset(token)


def test_it_may_be_called_where_another_loop_runs():
    """Nothing is nested or patched."""

    async def cell():
        return LOOPS.run(asyncio.sleep(0, 3))

    assert asyncio.run(cell()) == 3


def test_it_may_not_be_called_on_its_own_loop():
    """That would wait for itself: a clear error instead."""

    async def inner():
        return LOOPS.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="await the coroutine instead"):
        LOOPS.run(inner())


def test_a_submitted_task_can_be_stopped():
    """From any thread."""
    future = LOOPS.submit(asyncio.sleep(30))
    assert future.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(5)


def test_a_system_exit_ends_its_task_and_not_the_loop():
    """The caller gets it; the next work is done."""

    async def leaves():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        LOOPS.run(leaves())
    assert LOOPS.run(asyncio.sleep(0, 5)) == 5


def test_the_waiting_thread_serves_what_must_run_on_it(monkeypatch):
    """At once, not at the next heartbeat, and in order."""
    monkeypatch.setattr("compiler_nb.engine.background.HEARTBEAT", 30.0)
    main, ran = MainThread(), []

    async def asks():
        loop = asyncio.get_running_loop()
        for number in range(3):
            done = loop.create_future()

            def job(number=number, done=done):
                ran.append((number, threading.current_thread()))
                loop.call_soon_threadsafe(done.set_result, None)

            assert main.post(job)
            await done

    began = time.perf_counter()
    LOOPS.run(asks(), main=main)
    assert time.perf_counter() - began < 15
    assert ran == [(number, threading.current_thread()) for number in range(3)]


def test_nobody_serves_unless_a_thread_waits():
    """`post` says so, and queues nothing."""
    main = MainThread()
    assert main.post(pytest.fail) is False
    with main.serving():
        told = []
        main.posted = lambda: told.append(1)
        assert main.post(lambda: told.append(2)) is True
        main.serve_waiting()
    assert told == [1, 2]
    assert main.post(pytest.fail) is False
    main.serve_waiting()


@pytest.mark.parametrize("own", [False, True])
def test_an_interrupt_stops_the_work_and_is_raised(own):
    """By the work's own `stop` if it has one."""
    main, stopped, ended = MainThread(), [], []

    def interrupt():
        raise KeyboardInterrupt

    async def works():
        try:
            main.post(interrupt)
            await asyncio.sleep(30)
        finally:
            ended.append(1)

    task = []

    async def outer():
        task.append(asyncio.current_task())
        await works()

    def stop():
        stopped.append(1)
        LOOPS.loop.call_soon_threadsafe(task[0].cancel)

    with pytest.raises(KeyboardInterrupt):
        LOOPS.run(outer(), main=main, stop=stop if own else None)
    assert (ended, stopped) == ([1], [1] if own else [])


@pytest.mark.slow
def test_an_interrupted_work_that_does_not_end_is_left():
    """The prompt comes back after a second."""
    main, free = MainThread(), threading.Event()

    def interrupt():
        raise KeyboardInterrupt

    async def deaf():
        main.post(interrupt)
        while not free.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        LOOPS.run(deaf(), main=main)
    free.set()
    assert 0.9 < time.perf_counter() - began < 15  # the work would never end by itself


# -------------------------------------------------------------------- twins that wait


async def add(left: int, right: int = 2) -> int:
    """Add."""
    await asyncio.sleep(0)
    return left + right


def test_a_twin_takes_what_its_door_takes():
    """Its help shows the same parameters and defaults, under its own name."""
    twin = waiting(add)
    assert twin(1) == twin(left=1) == 3
    assert inspect.signature(twin) == inspect.signature(add)
    assert (twin.__name__, twin.__doc__.split(",")[0]) == ("add_sync", "Do what `add` does")
    assert not inspect.iscoroutinefunction(twin)


def test_a_twin_on_the_main_thread_serves_it():
    """What runs on the loop may post there as long as the twin waits; on another thread there is nothing to post to."""

    async def where() -> bool | None:
        post, ran = WAITS.get(), threading.Event()
        return post and post(ran.set) and await asyncio.to_thread(ran.wait, 5)

    assert waiting(where)() is True
    assert WAITS.get() is None
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(waiting(where)).result(5) is None
