# ruff: noqa: D103 - tools and helpers of a test are read where they stand
from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time

import pytest

from compiler_nb.engine.attempt import GRACE
from compiler_nb.engine.call import CURRENT
from compiler_nb.engine.pool import ABANDONED_LIMIT
from compiler_nb.events import TaskApproved, TaskEnded, TaskHeld, TaskRetried, TaskStarted, Warned
from compiler_nb.outcome import Cancelled, Failure, Skipped
from compiler_nb.plan.plan import Plan
from compiler_nb.tool import tool
from tests.support.clock import run_virtually
from tests.support.hostile import ERRORS, VALUES
from tests.support.session import add, opened, perform, states, told

COVERS = ("attempt.py", "call.py", "node.py", "runners.py", "timer.py")


@tool
async def aid(x):
    """Return what it gets, async."""
    return x


@tool
def sid(x):
    """Return what it gets, sync."""
    return x


@tool
async def nap(seconds, value=None):
    """Return a value after a while."""
    await asyncio.sleep(seconds)
    return value


def soon(main):
    """Run a coroutine for real, and never for long."""

    async def bounded():
        return await asyncio.wait_for(main, 10)

    return asyncio.run(bounded())


# ------------------------------------------------------------------- values


@pytest.mark.parametrize("chosen", ["aid", "sid"])
def test_a_program_gives_its_values(chosen):
    """Calls, expressions, fan-outs and nested calls, async or sync."""
    program = f"""\
a = {chosen}(2)
xs = {chosen}([1, a, 3])
rows = {{x: {chosen}({chosen}(x) * 10) for x in xs if x != 3}}
more = [{chosen}(rows[x] + 1) for x in rows]
b = sum(more) + {chosen}(a)
"""
    session = soon(perform(program, [aid, sid]))
    assert session.outcomes["rows"] == {1: 10, 2: 20}
    assert (session.outcomes["more"], session.outcomes["b"]) == ([11, 21], 34)
    assert set(states(session).values()) == {"done"}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_the_next_tool_gets_exactly_what_a_tool_returned(name, kind):
    """The object itself: not awaited, not iterated, not copied, not compared, not shown."""
    value = VALUES[name]()
    got = []

    def give():
        return value

    async def agive():
        return value

    @tool
    def take(x, *, named):
        got.extend([x, *named])

    first = tool(name="first")(give if kind == "sync" else agive)
    session = soon(perform("a = first()\nb = take(a, named=[a])\nc = a", [first, take]))
    assert [id(each) for each in got] == [id(value)] * 2
    assert states(session) == {"a": "done", "b": "done"}
    if name == "a coroutine":
        value.close()


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_whatever_a_tool_raises_stays_in_its_task(name, kind):
    """It fails, what hangs on it is skipped with the cause, and all others finish."""

    def throw():
        error = ERRORS[name]()
        raise error

    async def athrow():
        throw()

    bad = tool(name="bad")(throw if kind == "sync" else athrow)
    program = "a = bad()\nb = aid(a)\nc = b['x']\nd = aid(1)\ne = sid(d)"
    session = soon(perform(program, [bad, aid, sid]))
    assert states(session) == {"a": "failed", "b": "skipped", "c": "skipped", "d": "done", "e": "done"}
    failure = session.outcomes["a"]
    assert (failure.kind, failure.attempts) == ("raised", 1)
    assert type(ERRORS[name]()).__name__ in failure.message
    assert len(failure.message) < 2_100
    assert session.outcomes["c"] == Skipped("a", failure.message)


def test_arguments_that_do_not_fit_fail_before_the_tool_is_called():
    """With the kind that says whose fault it is."""

    @tool
    def typed(n: int): ...

    session = soon(perform("a = sid('x')\nb = typed(a)\nc = a[5]\nd = typed(a + 1)", [sid, typed]))
    assert {id_: session.outcomes[id_].kind for id_ in "bcd"} == {
        "b": "arguments", "c": "expression", "d": "expression",
    }  # fmt: skip


def test_a_value_of_a_failure_is_never_a_value():
    """A fan-out with a failed item hands out nothing but its partial value, and only to who asks for it."""

    @tool
    async def half(x):
        if x == 2:
            raise ValueError(x)
        return x

    session = soon(perform("a = [half(x) for x in [1, 2, 3]]\nb = aid(a)\nc = [aid(x) for x in a]", [half, aid]))
    assert session.outcomes["a"].partial[::2] == [1, 3]
    assert states(session)["b"] == "skipped"
    assert [session.outcomes["c"].partial[at] for at in (0, 2)] == [1, 3]
    assert states(session)["c[1]"] == "skipped"


# ------------------------------------------------------------------- time


def test_nothing_waits_for_what_it_does_not_need():
    """No wave barrier: each chain goes at its own pace, items of fan-outs too."""
    program = """\
a = nap(1, 'a')
b = nap(3, 'b')
c = nap(1, a)
xs = [nap(x, x) for x in [1, 5]]
ys = [nap(x) for x in xs]
"""

    async def main():
        session = await perform(program, [nap])
        return {event.task: round(event.at, 3) for event in told(session, TaskEnded)}

    ends = run_virtually(main())
    assert (ends["c"], ends["b"], ends["ys[0]"], ends["ys[1]"]) == (2.0, 3.0, 2.0, 10.0)


def test_a_hanging_coroutine_is_cut_at_its_timeout():
    """The failure says how long it may take; what is left of it is nothing."""

    async def main():
        slow = tool(timeout=5, name="slow")(nap.function)
        session = await perform("a = slow(99)\nb = aid(a)\nc = aid(1)", [slow, aid])
        assert session.outcomes["a"].kind == "timeout"
        assert session.outcomes["a"].message == "slow took longer than its timeout of 5 s"
        assert states(session) == {"a": "failed", "b": "skipped", "c": "done"}
        assert session.log.now() == pytest.approx(5)
        assert session.abandoned_calls == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(main())


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_a_tool_that_swallows_its_cancellation_is_abandoned(how):
    """After the grace its slot is free, and what it returns later is dropped."""
    release = []

    @tool(timeout=1 if how == "timeout" else 100)
    async def stubborn():
        future = asyncio.get_running_loop().create_future()
        release.append(future)
        while not future.done():
            try:
                await asyncio.shield(future)
            except asyncio.CancelledError:
                continue
        return "late"

    async def main():
        async with opened([stubborn, aid], max_concurrency=1) as session:
            add(session, "a = stubborn()\nb = aid(1)")
            await asyncio.sleep(0.5)
            if how == "cancel":
                session.cancel()
            await session.drained()
            assert session.log.now() == pytest.approx((1 if how == "timeout" else 0.5) + GRACE)
            assert session.abandoned_calls == 1
            assert [event.task for event in told(session, Warned)] == ["a"]
            before = dict(session.outcomes)
            assert states(session) == (
                {"a": "failed", "b": "done"} if how == "timeout" else {"a": "cancelled", "b": "cancelled"}
            )
            release[0].set_result(None)
            await asyncio.sleep(1)
            assert session.outcomes == before

    run_virtually(main())


def test_a_hung_thread_is_abandoned_and_gives_its_slot_back():
    """It cannot be stopped, so it is called that; the next tool starts at once."""
    release = threading.Event()

    @tool(timeout=0.02)
    def hung():
        release.wait(5)

    async def main():
        session = await perform("a = hung()\nb = hung()\nc = sid(a)\nd = sid(1)", [hung, sid], max_concurrency=1)
        assert {id_: session.outcomes[id_].kind for id_ in "ab"} == {"a": "abandoned", "b": "abandoned"}
        assert "its thread cannot be stopped" in session.outcomes["a"].message
        assert states(session) == {"a": "failed", "b": "failed", "c": "skipped", "d": "done"}
        assert session.log.now() < 1

    soon(main())
    release.set()


def test_too_many_hung_threads_are_an_end():
    """From a bound on no further sync tool is started, and the failure says to restart."""
    release = threading.Event()

    @tool(timeout=0.01)
    def hung(x):
        release.wait(5)

    async def main():
        program = f"a = [hung(x) for x in range({ABANDONED_LIMIT})]\nb = [sid(x) for x in range(2)]"
        async with opened([hung, sid], max_concurrency=16) as session:
            add(session, program.splitlines()[0])
            await session.drained()
            add(session, program.splitlines()[1])
            await session.drained()
            assert "restart the kernel" in session.outcomes["b[0]"].message
            assert [*map(type, session.outcomes["b"].partial)] == [Failure, Failure]

    soon(main())
    release.set()


def test_a_failed_attempt_is_tried_again():
    """As often as the tool says, with a pause in which its slot is free."""
    tries = []

    @tool(retries=2)
    async def flaky(x):
        tries.append(x)
        if len(tries) < 3:
            raise ValueError(len(tries))
        return x

    async def main():
        session = await perform("a = flaky(1)\nb = aid(a)", [flaky, aid], max_concurrency=1)
        assert session.outcomes == {"a": 1, "b": 1}
        assert [(event.attempt, event.error) for event in told(session, TaskRetried)] == [
            (1, "ValueError: 1"), (2, "ValueError: 2"),
        ]  # fmt: skip
        assert [event.attempt for event in told(session, TaskStarted)] == [1, 2, 3, 1]
        assert all(0 < event.delay < 1 for event in told(session, TaskRetried))

    run_virtually(main())


def test_retries_end_in_a_failure_that_counts_them():
    """The last error is the failure's."""

    @tool(retries=2)
    async def bad():
        raise ValueError("no")

    failure = run_virtually(perform("a = bad()", [bad])).outcomes["a"]
    assert (failure.attempts, failure.message) == (3, "ValueError: no")


# ------------------------------------------------------------------- what a tool sees


def test_context_does_not_leak_from_one_attempt_to_the_next():
    """Each attempt has the session's context, whatever ran before it in the same asyncio task or thread."""
    var = contextvars.ContextVar("var", default="clean")

    @tool
    async def adirty(x):
        seen = var.get()
        var.set("dirty")
        return [*x, seen, CURRENT.get()]

    @tool
    def sdirty(x):
        seen = var.get()
        var.set("dirty")
        return [*x, seen, CURRENT.get()]

    async def main():
        var.set("mine")
        program = "a = adirty([])\nb = adirty(a)\nc = sdirty(b)\nd = sdirty(c)\ne = adirty(d)\nf = adirty([])"
        return await perform(program, [adirty, sdirty], max_concurrency=1)

    session = soon(main())
    assert session.outcomes["e"] == [part for id_ in "abcde" for part in ("mine", id_)]


def test_a_context_that_cannot_be_compared_harms_nobody():
    """A tool may keep anything in a context variable."""
    var = contextvars.ContextVar("odd")

    class Odd:
        def __eq__(self, other):
            raise RuntimeError("compared")

        __hash__ = None

    var.set(Odd())

    @tool
    async def odd(x):
        var.set(Odd())
        return x

    session = soon(perform("a = odd(1)\nb = odd(a)\nc = odd(b)", [odd]))
    assert session.outcomes == {"a": 1, "b": 1, "c": 1}


def test_asyncios_own_tools_work_within_a_tool():
    """current_task, timeout, TaskGroup and create_task, in task after task of a chain."""

    @tool
    async def busy(n):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(9)
        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(asyncio.sleep(0.001, i)) for i in range(3)]
        assert asyncio.current_task().cancelling() == 0
        return n + sum(part.result() for part in parts)

    session = run_virtually(perform("a = busy(0)\nb = busy(a)\nc = busy(b)\nd = busy(1)", [busy], max_concurrency=1))
    assert (session.outcomes["c"], session.outcomes["d"]) == (9, 4)


def test_a_tool_that_cancels_its_own_task_hurts_only_itself():
    """The next attempt does not run in a task with a cancellation pending."""

    @tool
    async def suicidal(x):
        asyncio.current_task().cancel()
        return x

    session = soon(perform("a = suicidal(1)\nb = nap(0.001, a)\nc = nap(0.001, b)", [suicidal, nap]))
    assert session.outcomes == {"a": 1, "b": 1, "c": 1}


def test_a_tool_of_the_main_thread_runs_there():
    """On the loop if that is the main thread, else where `main` posts it; if nobody serves it, it fails."""
    where = []

    @tool(thread="main")
    def here(x):
        where.append(threading.current_thread())
        return x

    assert soon(perform("a = here(1)\nb = here(a)", [here])).outcomes == {"a": 1, "b": 1}
    assert where == [threading.main_thread()] * 2

    posted = []
    found = []

    def elsewhere(**options):
        thread = threading.Thread(target=lambda: found.append(soon(perform("a = here(1)", [here], **options))))
        thread.start()
        return thread

    elsewhere().join(5)
    assert "nothing serves it there" in found[0].outcomes["a"].message
    thread = elsewhere(main=lambda serve: posted.append(serve) or True)
    while not posted:
        time.sleep(0.001)
    posted[0]()
    thread.join(5)
    assert found[1].outcomes == {"a": 1}


# ------------------------------------------------------------------- cancel


@pytest.mark.parametrize("moment", range(14))
def test_cancelled_at_any_moment_nothing_is_left_running(moment):
    """What finished stays, the rest is cancelled, and no tool still works."""
    program = """\
a = nap(1, [1, 2])
b = bad(1)
c = [nap(x, x) for x in a]
d = [nap(x, x) for x in c]
e = nap(3)
f = flaky(1)
g = len(d)
"""

    @tool
    async def bad(x):
        await asyncio.sleep(1.5)
        raise ValueError(x)

    @tool(retries=5)
    async def flaky(x):
        await asyncio.sleep(0.7)
        raise ValueError(x)

    async def main():
        async with opened([nap, bad, flaky], max_concurrency=2) as session:
            add(session, program)
            await asyncio.sleep(moment * 0.4)
            done = {id_ for id_, state in states(session).items() if state in ("done", "failed", "skipped")}
            session.cancel()
            session.cancel()
            started = len(told(session, TaskStarted))
            await session.drained()
            after = states(session)
            assert {id_ for id_, state in after.items() if state != "cancelled"} == done
            assert set(after) == set(session.outcomes)
            await asyncio.sleep(20)
            assert len(told(session, TaskStarted)) == started
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert sorted(event.task for event in told(session, TaskEnded)) == sorted(after)

    run_virtually(main())


def test_what_is_added_after_cancel_is_cancelled():
    """Whichever way it is added."""

    async def main():
        async with opened([aid]) as session:
            plan = add(session, "a = aid(1)\nb = aid(a)\nc = aid(1)\nd = [aid(x) for x in a]")
            await session.drained()
            session.cancel()
            again = [task.__class__(f"x{task.id}", task.kind, task.tool, task.args) for task in plan]
            session.add(again[0])
            session.pin(again[2], 5)
            session.adopt(again[1], "b")
            session.add(again[3])
            assert {session.outcomes[task.id] for task in again} == {Cancelled()}
            assert session.outcomes["b"] == 1

    run_virtually(main())


# ------------------------------------------------------------------- approval


@tool(side_effects=True)
async def send(to):
    """Send."""
    return f"sent {to}"


async def asked(program="a = send('x')\nb = aid(a)", **options):
    async with opened([send, aid, nap], **options) as session:
        add(session, program)
        await asyncio.sleep(1)
        assert not any(event.task == "a" for event in told(session, TaskStarted)), "started before the plan was whole"
        session.close()
        await session.drained()
        return session


@pytest.mark.parametrize(
    ("options", "state", "why"),
    [
        ({"approve": "auto"}, "done", ""),
        ({"approve": ["send"]}, "done", ""),
        ({"approve": ["other"]}, "failed", "side effects are not approved here"),
        ({"approve": "deny"}, "failed", "side effects are not approved here"),
        ({"approve": "ask"}, "failed", "nobody is there to approve it"),
    ],
)
def test_side_effects_wait_for_the_plans_end_and_for_approval(options, state, why):
    """A rule decides at once; if there is no one to ask it is denied."""
    session = run_virtually(asked(**options))
    assert states(session) == {"a": state, "b": "done" if state == "done" else "skipped"}
    assert why in str(session.outcomes["a"])
    assert told(session, TaskHeld)[0].reason == "plan"
    if state == "failed":
        assert session.outcomes["a"].kind == "denied"


@pytest.mark.parametrize("answer", [True, False])
def test_someone_is_asked_once_with_the_arguments(answer):
    """With arguments resolved; yes starts it, no is a failure of the kind denied."""
    questions = []

    async def ask(task, arguments):
        questions.append((task.id, arguments))
        await asyncio.sleep(1)
        return answer

    session = run_virtually(asked("n = nap(0.1, 'x')\na = send(n + 'y')", ask=ask))
    assert questions == [("a", '"xy"')]
    assert states(session)["a"] == ("done" if answer else "failed")
    assert [event.approved for event in told(session, TaskApproved)] == [answer]
    assert session.outcomes["a"] == ("sent xy" if answer else Failure("denied", "send was not approved", attempts=0))


def test_who_cannot_be_asked_has_not_approved():
    """A question that raises is a no."""

    async def ask(task, arguments):
        raise RuntimeError("no page")

    session = run_virtually(asked(ask=ask))
    assert "nobody could be asked (RuntimeError: no page)" in session.outcomes["a"].message


def test_approval_may_come_from_elsewhere():
    """`approve` and `deny` by id; the open question is taken back, and a second word changes nothing."""

    async def ask(task, arguments):
        await asyncio.sleep(1_000)

    async def main():
        async with opened([send], ask=ask) as session:
            add(session, "a = send('x')\nb = send('y')")
            session.approve("a")
            assert states(session) == {"a": "ready", "b": "waiting"}, "approved before the plan was whole"
            session.close()
            session.approve("a")
            session.approve("a")
            session.deny("b")
            session.deny("a")
            session.approve("nobody")
            await session.drained()
            assert states(session) == {"a": "done", "b": "failed"}
            assert session.log.now() < 1

    run_virtually(main())


def test_arguments_of_a_held_task_that_do_not_fit_are_said_at_once():
    """Nobody is asked about what cannot run."""

    async def main():
        session = await asked("n = nap(0.1)\na = send(n['x'])")
        assert session.outcomes["a"].kind == "expression"

    run_virtually(main())


# ------------------------------------------------------------------- known outcomes


def test_a_pinned_task_has_its_value_whatever_runs():
    """No slot, no attempt; what hangs on it starts."""

    async def main():
        async with opened([nap, aid, send], max_concurrency=1) as session:
            add(session, "busy = nap(5)")
            program = "a = aid(1)\nb = aid(a)\nc = [aid(x) for x in [1]]\nd = send('x')\ne = [aid(x) for x in c]"
            plan = add_parsed(session, program)
            session.pin(plan["a"], 7)
            session.add(plan["b"])
            session.pin(plan["c"], [8, 9], "cached")
            session.pin(plan["d"], "sent")
            session.add(plan["e"])
            await session.drained()
            assert (session.outcomes["b"], session.outcomes["d"], session.outcomes["e"]) == (7, "sent", [8, 9])
            assert {event.task: event.how for event in told(session, TaskEnded) if event.how} == {
                "a": "pinned", "c": "cached", "d": "pinned", "e": "inline",
            }  # fmt: skip

    run_virtually(main())


def add_parsed(session, program):
    return Plan.parse(program, dialect="python", tools=session.tools)


@pytest.mark.parametrize("when", ["done", "running", "failing", "failed", "cancelled", "skipped"])
def test_an_adopted_task_has_its_sources_outcome(when):
    """The same object or the same failure, whether the source has ended or not."""
    calls = []

    @tool
    async def work(x):
        calls.append(x)
        await asyncio.sleep(1)
        if "fail" in when or when == "skipped":
            raise ValueError(x)
        return [x]

    async def main():
        async with opened([work, aid]) as session:
            skipped = "p = work(1)\na = aid(p)\nb = aid(p)\nc = aid(b)"
            plan = add_parsed(session, skipped if when == "skipped" else "a = work(1)\nb = work(1)\nc = aid(b)")
            for task in plan:
                if task.id == "b":
                    if when in ("done", "failed"):
                        await session.drained()
                    session.adopt(task, "a")
                else:
                    session.add(task)
            if when == "cancelled":
                session.cancel()
            await session.drained()
            assert session.outcomes["b"] == session.outcomes["a"]
            assert len(calls) == (0 if when == "cancelled" else 1)
            ends = {"failing": "failed", "running": "done"}.get(when, when)
            assert states(session)["b"] == ends
            assert states(session)["c"] == {"failed": "skipped"}.get(ends, ends)

    run_virtually(main())


def test_who_waits_for_some_tasks_is_told_when_they_have_ended():
    """`ready` says whether all of them are done, and waits for no others."""

    async def main():
        async with opened([nap]) as session:
            add(session, "a = nap(1)\nb = nap(2)\nc = nap(50)")
            assert await session.ready(iter(["a", "b"]))
            assert session.log.now() == pytest.approx(2)
            session.cancel()
            assert not await session.ready(["a", "c"])

    run_virtually(main())


# ------------------------------------------------------------------- many


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [1, 8])
def test_a_chain_of_quick_tools_does_not_starve_the_loop(capacity):
    """Others on the loop get their turn while thousands of no-op tools follow one another."""

    async def main():
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        watcher = asyncio.create_task(other())
        program = "a0 = aid(0)\n" + "\n".join(f"a{n} = aid(a{n - 1})" for n in range(1, 2_000))
        session = await perform(program, [aid], max_concurrency=capacity)
        watcher.cancel()
        assert session.outcomes["a1999"] == 0
        return turns

    assert soon(main()) >= 2_000 / 50


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["chain", "star", "expressions"])
def test_ten_thousand_tasks_are_no_recursion(shape):
    """A chain, a star, and a chain of expressions."""
    lines = {
        "chain": [f"a{n} = aid(a{n - 1})" for n in range(1, 9_998)],
        "star": [f"a{n} = aid(a0)" for n in range(1, 9_998)],
        "expressions": [f"a{n} = a{n - 1} + 0" for n in range(1, 9_998)],
    }[shape]
    gc.collect()
    session = soon(perform("\n".join(["a0 = aid(5)", *lines]), [aid]))
    assert session.outcomes["a9997"] == 5
    assert len(session.outcomes) == 9_998


@pytest.mark.slow
def test_a_failure_at_the_head_of_a_long_chain_skips_all_of_it():
    """Without recursion, each with the cause."""

    @tool
    async def bad():
        raise ValueError("x")

    program = "\n".join(["a0 = bad()", *(f"a{n} = aid(a{n - 1})" for n in range(1, 5_000))])
    session = soon(perform(program, [aid, bad]))
    assert session.outcomes["a4999"] == Skipped("a0", "ValueError: x")


def test_a_session_has_no_more_attributes_than_python_reads_fast():
    """CPython (3.11 and 3.12) shares the keys of up to 30; with more, each `self.x` of the engine takes a look-up."""
    session = run_virtually(perform("answer(1)\n", []))
    assert len(vars(session)) <= 30
    assert len(vars(session.schedule)) <= 30
