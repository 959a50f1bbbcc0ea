"""Each way to perform a call behind one protocol, also on a platform that has no threads."""
# ruff: noqa: D103 - tools of a test are read where they stand

from __future__ import annotations

import asyncio
import functools
import sys
import threading

import pytest

from compiler_nb.engine.call import CURRENT
from compiler_nb.engine.runners import make_runners
from compiler_nb.events import TaskEnded, Warned
from compiler_nb.outcome import Cancelled, Failure
from compiler_nb.tool import tool
from tests.support.session import add, opened, states, told


class Noted:
    """A call that notes how it ended."""

    def __init__(self, function, *args):
        self.id, self.name, self.function, self.args, self.kwargs, self.handle = "a", "f", function, args, {}, None
        self.ends = []

    def end(self, outcome):
        self.ends.append(outcome)

    def raised(self, error):
        self.ends.append(error)


async def nap(seconds):
    await asyncio.sleep(seconds)
    return CURRENT.get()


def name_of_task():
    return CURRENT.get()


def fail():
    raise SystemExit(3)


async def afail():
    fail()


async def until(check):
    async with asyncio.timeout(5):
        while not check():  # noqa: ASYNC110 - threads change what it looks at
            await asyncio.sleep(0.001)


KINDS = [("async", True), ("pool", True), ("main", True), ("pool", False), ("main", False)]


@pytest.mark.parametrize(("kind", "threads"), KINDS)
def test_a_runner_tells_each_call_once_how_it_ended(kind, threads):
    """With its value, in the context of its own task, or with whatever it raised."""

    async def main():
        runners = make_runners(asyncio.get_running_loop(), 2, threads=threads)
        good = Noted(nap, 0.001) if kind == "async" else Noted(name_of_task)
        bad = Noted(afail if kind == "async" else fail)
        for each in (good, bad):
            runners[kind].start(each)
        await until(lambda: good.ends and bad.ends)
        await asyncio.sleep(0.01)
        for runner in runners.values():
            runner.close()
        return good.ends, bad.ends

    good, bad = asyncio.run(main())
    assert good == ["a"]
    assert [type(error) for error in bad] == [SystemExit]


@pytest.mark.parametrize(("kind", "threads"), KINDS)
def test_what_a_tool_returns_lazily_is_read_once_for_all_readers(kind, threads):
    """A list, which nobody uses up; what is very long stays lazy and whole."""

    def squares(count):
        return map(int.__mul__, range(count), range(count))

    async def asquares(count):
        return squares(count)

    async def scene():
        runners = make_runners(asyncio.get_running_loop(), 2, lambda work: bool(work()) or True, threads=threads)
        calls = [Noted(asquares if kind == "async" else squares, count) for count in (3, 20_000)]
        for call in calls:
            runners[kind].start(call)
        await until(lambda: all(call.ends for call in calls))
        for runner in runners.values():
            runner.close()
        assert calls[0].ends == [[0, 1, 4]]
        assert len(list(calls[1].ends[0])) == 20_000

    asyncio.run(scene())


@pytest.mark.parametrize(("kind", "threads"), KINDS)
def test_a_call_that_is_stopped_before_it_began_never_runs(kind, threads):
    """A coroutine tells so; of a function it is known at once, for its runner says that nothing can stop it."""
    ran = []

    async def main():
        runner = make_runners(asyncio.get_running_loop(), 1, threads=threads)[kind]
        release = threading.Event()
        if kind == "pool" and threads:
            runner.start(Noted(release.wait))

        async def work():
            ran.append(1)

        call = Noted(work if kind == "async" else lambda: ran.append(1))
        runner.start(call)
        runner.stop(call)
        if runner.stuck:
            assert not runner.abandon(call)
        release.set()
        await asyncio.sleep(0.02)
        runner.close()
        return call.ends

    ends = asyncio.run(main())
    assert not ran
    assert [type(end) for end in ends] == ([asyncio.CancelledError] if kind == "async" else [])


def test_which_platforms_have_threads(monkeypatch):
    """In a browser there are none, so that sync tools run in turn."""

    async def main():
        return {kind: type(each).__name__ for kind, each in make_runners(asyncio.get_running_loop(), 2).items()}

    assert asyncio.run(main()) == {"async": "Coroutines", "pool": "Threads", "main": "OnMain", "evaluator": "Threads"}
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert asyncio.run(main()) == {"async": "Coroutines", "pool": "InTurn", "main": "InTurn"}


# ------------------------------------------------------------------- without threads


@tool
def double(x):
    return 2 * x


@tool(thread="main")
def where(x):
    return threading.current_thread() is threading.main_thread()


@tool
async def wait(x):
    await asyncio.sleep(0.001)
    return x


def perform_in_turn(program, tools, during=None):
    """Perform a program without a thread; return the session, and the threads that it had."""
    threads = []

    async def main():
        runners = make_runners(asyncio.get_running_loop(), 8, threads=False)
        async with opened(tools, runners=runners) as session:
            add(session, program)
            session.close()
            if during is not None:
                during(session)
            await asyncio.wait_for(session.drained(), 10)
            threads.extend(threading.enumerate())
            return session

    before = set(threading.enumerate())
    return asyncio.run(main()), set(threads) - before


def test_without_threads_everything_still_runs():
    """Calls, fan-outs, expressions and tools of the main thread; no thread is started."""
    program = "xs = [double(x) for x in range(20)]\na = wait(xs)\nb = where(1)\nc = double(sum(a))"
    session, threads = perform_in_turn(program, [double, where, wait])
    assert (session.outcomes["c"], session.outcomes["b"]) == (760, True)
    assert set(states(session).values()) == {"done"}
    assert not threads


def test_without_threads_others_get_their_turn_between_two_calls():
    """A coroutine goes on while many sync tools wait: they are one callback of the loop each."""
    program = "w = wait(1)\nxs = [double(x) for x in range(2_000)]"
    session, _ = perform_in_turn(program, [double, wait])
    ends = [event.task for event in told(session, TaskEnded)]
    assert ends.index("w") < len(ends) - 2


def test_without_threads_a_failure_stays_in_its_task():
    """Whatever it is."""
    bad = tool(name="bad")(fail)
    session, _ = perform_in_turn("a = bad()\nb = double(1)", [bad, double])
    assert states(session) == {"a": "failed", "b": "done"}
    assert isinstance(session.outcomes["a"], Failure)


def test_without_threads_what_waits_for_its_turn_can_be_cancelled():
    """It never runs, and is not called abandoned."""
    ran = []

    @tool
    def work(x):
        ran.append(x)

    session, _ = perform_in_turn("a = work(1)\nb = work(2)", [work], lambda session: session.cancel())
    assert session.outcomes == {"a": Cancelled(), "b": Cancelled()}
    assert not ran
    assert not told(session, Warned)


# ------------------------------------------------------------------- elsewhere


class Remote:
    """A runner of a cluster: values stay there, and a stop may be refused."""

    stuck = ""

    def __init__(self):
        self.stopped = []

    def start(self, call):
        """Compute it "there": what comes back stands for the value."""
        call.handle = asyncio.get_running_loop().call_later(0.001, self._done, call)

    @staticmethod
    def _done(call) -> None:
        args = [arg.value if isinstance(arg, Standing) else arg for arg in call.args]
        call.end(Standing(call.function(*args)))

    def stop(self, call):
        """Refuse."""
        self.stopped.append(call.id)

    def abandon(self, call):
        call.handle.cancel()
        return True

    def close(self):
        """Nothing to let go of."""


class Standing:
    """Stands for a value that lies elsewhere."""

    def __init__(self, value):
        self.value = value


def test_a_runner_may_be_elsewhere():
    """A value that stands for another passes from call to call as it is; nothing but the runner is another."""

    async def main():
        loop = asyncio.get_running_loop()
        async with opened([double], runners={**make_runners(loop, 2), "pool": Remote()}) as session:
            add(session, "a = double(1)\nb = double(a)\nc = double(b)")
            await session.drained()
            return session

    assert asyncio.run(main()).outcomes["c"].value == 8


def test_a_stop_may_be_refused():
    """The call is abandoned after its grace, like one that swallows its cancellation."""
    remote = Remote()
    remote.start = lambda call: setattr(call, "handle", asyncio.get_running_loop().call_later(9, print))

    async def main():
        loop = asyncio.get_running_loop()
        slow = tool(name="slow", timeout=0.01)(double.function)
        async with opened([slow], runners={**make_runners(loop, 2), "pool": remote}) as session:
            add(session, "a = slow(1)")
            await session.drained()
            return session

    session = asyncio.run(main())
    assert (session.outcomes["a"].kind, session.abandoned_calls) == ("timeout", 1)
    assert remote.stopped == ["a"]


# -------------------------------------------------------------------- plain functions around async ones


def decorated(function):
    """Return what a plain decorator makes of an async function."""

    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


async def later(x):
    """Return twice a number, after a moment."""
    await asyncio.sleep(0.001)
    return 2 * x


async def forgetful(x):
    """Forget to await."""
    return later(x)


class Later:
    """Returns a coroutine when it is called."""

    def __call__(self, x):
        """Return a coroutine."""
        return later(x)


class Query:
    """An object of another library that can be awaited."""

    def __init__(self, x):
        self.x = x

    def __await__(self):
        return later(self.x).__await__()


FORMS = {
    "awaitable": Query,
    "wrapped": decorated(later),
    "partial": functools.partial(later, 4),
    "returned": lambda x: later(x),  # noqa: PLW0108 - what is tested
    "called": Later(),
    "partly": functools.partial(Later(), 4),
    "forgotten": forgetful,
}


@pytest.mark.parametrize("thread", ["pool", "main"])
@pytest.mark.parametrize("form", FORMS)
def test_a_tool_wrapped_by_a_plain_decorator_is_awaited(form, thread):
    """Whatever returns something awaitable: its value is the task's, and nothing is left that was never awaited."""

    async def main():
        own = tool(name="own", thread=thread)(FORMS[form])
        async with opened([own]) as session:
            add(session, "a = own()" if form in ("partial", "partly") else "a = own(4)")
            await session.drained()
            return dict(session.outcomes)

    assert asyncio.run(main()) == {"a": 8}


def test_a_wrapped_tool_keeps_its_timeout_and_its_cancellation():
    """Once its coroutine runs it can be stopped like any other."""
    ended = []

    async def hang(x):
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(x)

    slow = tool(name="slow", timeout=0.05)(decorated(hang))
    long = tool(name="long")(decorated(hang))

    async def main():
        async with opened([slow, long]) as session:
            add(session, "a = slow(1)\nb = long(2)")
            await session.ready(["a"])
            await asyncio.sleep(0.01)
            session.cancel()
            await session.drained()
            return dict(session.outcomes)

    found = asyncio.run(main())
    assert (found["a"].kind, found["b"], sorted(ended)) == ("timeout", Cancelled(), [1, 2])


def test_a_coroutine_that_comes_too_late_is_closed():
    """A function that was abandoned returns one: nobody awaits it, and nobody is warned of that."""
    go = threading.Event()

    @tool(timeout=0.02)
    def late(x):
        go.wait(10)
        return later(x)

    async def main():
        async with opened([late]) as session:
            add(session, "a = late(1)")
            await session.drained()
            go.set()
            await until(lambda: not session.runners["pool"].pool.abandoned)
            return session.outcomes["a"]

    assert asyncio.run(main()).kind == "abandoned"
