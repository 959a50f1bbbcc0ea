"""How a cell waits: awaiting, blocking, in the background, and on its own loop."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from compiler_nb.engine.background import BACKGROUND, MainThread
from compiler_nb.notebook.loop import Detached, Idle, block, wait


class Job:
    """Some work to wait for: `stop` cancels it, and `ended` holds what it returned."""

    def __init__(self, work, stop=None, *, kernel=False):
        self.main, self.kernel, self.ended = MainThread(), kernel, []
        self.work = self.perform(work)
        self.stop = stop or (lambda: self.loop.call_soon_threadsafe(self.task.cancel))

    async def perform(self, work):
        self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
        self.ended.append(await work)


async def threads() -> str:
    """Return the name of the thread that this runs on."""
    return threading.current_thread().name


@pytest.mark.parametrize("kernel", [False, True])
def test_awaiting_performs_the_work_elsewhere_or_here(kernel):
    """The background loop's thread runs it, or with `kernel` the waiting one."""
    job = Job(threads(), kernel=kernel)
    assert asyncio.run(wait(job)) is False
    assert (job.ended[0] == "MainThread") == kernel


@pytest.mark.parametrize("kernel", [False, True])
def test_a_cancelled_wait_stops_the_work_and_returns(kernel):
    """An interrupt arrives as a cancellation: the work is stopped, given time to end, and True comes back."""
    ended = []

    async def work(stopped):
        await stopped.wait()
        await asyncio.sleep(0.01)  # it takes a moment to end
        ended.append(True)

    async def cell():
        loop = asyncio.get_running_loop() if kernel else BACKGROUND.start()
        stopped = asyncio.Event()
        task = asyncio.create_task(
            wait(Job(work(stopped), lambda: loop.call_soon_threadsafe(stopped.set), kernel=kernel))
        )
        await asyncio.sleep(0.01)
        task.cancel()
        return await task

    assert asyncio.run(cell()) is True
    assert ended == [True]


def test_the_main_thread_is_served_at_once(monkeypatch):
    """A job posted from the loop runs here, and does not wait for the next heartbeat."""
    monkeypatch.setattr("compiler_nb.notebook.loop.HEARTBEAT", 30.0)
    ran = []

    async def work():
        done = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        job.main.post(
            lambda: (ran.append(threading.current_thread().name), loop.call_soon_threadsafe(done.set_result, None))
        )
        await done
        ran.append(time.perf_counter() - began)

    job = Job(work())
    assert asyncio.run(wait(job)) is False
    assert ran[0] == "MainThread"
    assert ran[1] < 15
    assert not job.main.served


def test_an_interrupt_within_a_served_job_stops_the_work():
    """A person who interrupts a question stops the run."""

    def interrupt():
        raise KeyboardInterrupt

    async def work():
        job.main.post(interrupt)
        await asyncio.sleep(30)

    job = Job(work())
    assert asyncio.run(wait(job)) is True


def test_blocking_waits_and_tells_of_an_interrupt():
    """Without a loop to await on the thread waits; an interrupt in a served job stops the work."""
    job = Job(threads())
    assert block(job) is False
    assert job.ended == ["compiler_nb-loop"]
    job = Job(asyncio.sleep(30))

    def interrupt():
        raise KeyboardInterrupt

    timer = threading.Timer(0.02, lambda: job.main.post(interrupt))
    timer.start()
    assert block(job) is True


def test_what_the_work_raises_is_raised():
    """A fault of ours is not lost."""

    async def broken():
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        asyncio.run(wait(Job(broken())))
    with pytest.raises(ValueError, match="ours"):
        block(Job(broken()))


def idle_shell(errors=None):
    """Return a double of a shell where no cell runs."""
    errors = [] if errors is None else errors
    return SimpleNamespace(display_trap=SimpleNamespace(_nested_level=0), showtraceback=lambda: errors.append(1))


def test_idle_waits_for_the_running_cell():
    """Its jobs run after the cell, in the main thread only, and one that raises stops no other."""
    errors, ran = [], []
    shell = idle_shell(errors)
    idle = Idle(shell)
    shell.display_trap._nested_level = 1
    idle.post(lambda: 1 / 0)
    idle.post(lambda: ran.append(1))
    idle.run_waiting()
    assert not ran
    shell.display_trap._nested_level = 0
    other = threading.Thread(target=idle.run_waiting)
    other.start()
    other.join()
    assert not ran
    idle.run_waiting()
    assert (ran, errors) == ([1], [1])


def test_a_background_run_is_served_and_ended_when_idle():
    """Jobs for the main thread and the end run on the attached loop, without a cell."""
    main, seen = MainThread(), []

    async def work():
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        assert main.post(lambda: (seen.append(threading.current_thread().name), loop.call_soon_threadsafe(done.set)))
        await done.wait()

    async def kernel():
        ended = asyncio.Event()
        Detached(main, Idle(idle_shell())).start(work(), ended.set)
        await asyncio.wait_for(ended.wait(), 5)

    asyncio.run(kernel())
    assert seen == ["MainThread"]
    assert not main.served


def test_the_end_of_a_background_run_follows_once():
    """A run says that it is over before its work has ended; whoever waited for it finds its results bound."""
    idle, ended = Idle(idle_shell()), []
    detached = Detached(MainThread(), idle)
    gate = threading.Event()

    async def work():
        detached.over()
        gate.set()
        await asyncio.sleep(0.02)

    detached.start(work(), lambda: ended.append(1))
    assert gate.wait(5)
    idle.run_waiting()
    assert ended == [1]
    time.sleep(0.05)
    idle.run_waiting()
    assert ended == [1]
