# ruff: noqa: D103 - tools of a test are read where they stand
"""Guarded calls as they run: made if the test chooses their branch, and otherwise not needed."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb import Compiler, RunFailed, tool
from compiler_nb.drive import Drive
from compiler_nb.events import Log, TaskChosen, TaskEnded, TaskHeld, TaskPlanned, TaskStarted
from compiler_nb.outcome import UNNEEDED, Cancelled, Failure, Skipped
from compiler_nb.plan.plan import Plan
from compiler_nb.run import Run
from compiler_nb.settings.order import Order
from compiler_nb.trace import Progress, Words
from tests.support.clock import run_virtually
from tests.support.session import add, opened, perform, states, told


@tool
async def load(host):
    await asyncio.sleep(1)
    if host == "bad":
        raise ValueError("no such host")
    return f"<{host}>"


@tool
async def check(host):
    await asyncio.sleep(0.5)
    if host == "bad":
        raise ValueError("cannot be checked")
    return host == "down"


@tool(side_effects=True)
async def restart(host):
    return f"restarted {host}"


TOOLS = (load, check, restart)


def run(plan, **inputs):
    """Run a plan to its end; side effects start unasked."""
    return Compiler(tools=TOOLS, approve="auto").execute_sync(plan, inputs=inputs)


def started(session):
    """Return the ids of the calls that began, in order."""
    return [event.task for event in told(session, TaskStarted)]


# ------------------------------------------------------------------- needed or not


@pytest.mark.parametrize(("ok", "made", "value"), [(True, "x.1", "<a>"), (False, "x.2", "<b>")])
def test_the_test_chooses_which_call_is_made(ok, made, value):
    """x.1 or x.2 --> x; the other one is not needed, and skips nobody."""
    session = run_virtually(perform("x = load('a') if ok else load('b')\ny = load(x)", TOOLS, inputs={"ok": ok}))
    other = {"x.1": "x.2", "x.2": "x.1"}[made]
    assert states(session) == {made: "done", other: "skipped", "x": "done", "y": "done"}
    assert (session.outcomes[other], session.outcomes["x"]) == (UNNEEDED, value)
    assert started(session) == [made, "y"]


def test_a_guarded_call_waits_for_its_test_and_then_for_its_arguments():
    """Both are there after 1 s; what its test says is known before."""
    session = run_virtually(perform("a = load('a')\nup = check('down')\nx = load(a) if up else 0", TOOLS))
    (chosen,) = told(session, TaskChosen)
    assert (chosen.task, chosen.at) == ("x.1", 0.5)
    assert [event.ready_at for event in told(session, TaskStarted) if event.task == "x.1"] == [1.0]
    states(session)


def test_a_call_that_is_not_needed_does_not_wait_for_its_arguments():
    """It ends when the test is there, and so does the line."""
    session = run_virtually(perform("a = load('a')\nup = check('up')\nx = load(a) if up else 0", TOOLS))
    assert {event.task: event.at for event in told(session, TaskEnded)} == {"up": 0.5, "x.1": 0.5, "x": 0.5, "a": 1.0}


def test_a_failed_argument_of_the_branch_not_taken_harms_nobody():
    """The call that reads it is not needed; the other one is done."""
    session = run_virtually(perform("a = load('bad')\nx = load(a) if ok else load('b')", TOOLS, inputs={"ok": False}))
    assert states(session) == {"a": "failed", "x.1": "skipped", "x.2": "done", "x": "done"}
    late = run_virtually(
        perform("a = load('bad')\nn = check('up')\nx = load(a) if n else 5", TOOLS, inputs={"ok": False})
    )
    assert late.outcomes["x"] == 5


@pytest.mark.slow
def test_a_failed_value_in_the_branch_not_taken_harms_nobody():
    """It is no call, so the line reads it itself, and only if the test says so."""
    session = run_virtually(
        perform(
            "a = load('bad')\nx = load('b') if ok else a\ny = load('c') if not ok else [a]", TOOLS, inputs={"ok": True}
        )
    )
    assert session.outcomes["x"] == "<b>"
    assert session.outcomes["y"] == Skipped("a", "ValueError: no such host")
    states(session)
    done = run("a = load('bad')\nanswer(load('b') if ok else a)", ok=True)
    assert (done.status, done.answer) == ("done", "<b>")
    failed = run("a = load('bad')\nanswer(load('b') if ok else a)", ok=False)
    assert failed.status == "failed"
    assert failed.error.startswith("the answer cannot be evaluated: a failed: ValueError: no such host; ")


def test_a_failed_value_that_came_first_harms_nobody_either():
    """The failure is there before the line is."""

    async def main():
        async with opened(TOOLS) as session:
            add(session, "a = load('bad')\nup = check('down')")
            await session.drained()
            for task in list(
                Plan.parse("a = load('bad')\nup = check('down')\nx = load('b') if up else a", tools=TOOLS)
            )[2:]:
                session.add(task)
            await session.drained()
            return session.outcomes["x"]

    assert run_virtually(main()) == "<b>"


def test_a_failed_argument_of_the_branch_that_is_taken_skips_the_line():
    """As it does without a test."""
    session = run_virtually(perform("a = load('bad')\nx = load(a) if ok else load('b')", TOOLS, inputs={"ok": True}))
    assert states(session) == {"a": "failed", "x.1": "skipped", "x.2": "skipped", "x": "skipped"}
    assert session.outcomes["x"] == Skipped("a", "ValueError: no such host")
    assert session.outcomes["x.2"] == UNNEEDED


def test_an_argument_that_failed_before_the_test_was_known_skips_the_line():
    """The call is needed, and its argument has failed long ago; nothing hangs."""
    program = "a = load('bad')\nb = load('b')\nx = load(a) if check(b) == 0 else 0\ny = load(x)"
    session = run_virtually(perform(program, TOOLS))
    assert [session.outcomes[id_].cause for id_ in ("x.2", "x", "y")] == ["a"] * 3


def test_a_failed_test_skips_both_branches():
    """They name the failure, not each other."""
    session = run_virtually(perform("x = load('a') if check('bad') else load('b')", TOOLS))
    cause = Skipped("x.1", "ValueError: cannot be checked")
    assert [session.outcomes[id_] for id_ in ("x.2", "x.3", "x")] == [cause] * 3
    states(session)


def test_a_test_that_cannot_be_evaluated_fails_the_calls():
    """With the error; the line is skipped."""
    session = run_virtually(perform("x = load('a') if ok['no'] else 0", TOOLS, inputs={"ok": {}}))
    assert isinstance(session.outcomes["x.1"], Failure)
    assert session.outcomes["x.1"].kind == "expression"
    assert session.outcomes["x"].cause == "x.1"
    states(session)


def test_a_truth_that_nobody_can_tell_fails_the_call():
    """An object whose own truth raises."""

    class Odd:
        def __bool__(self):
            raise TypeError("neither nor")

    session = run_virtually(perform("x = load('a') if ok else 0", TOOLS, inputs={"ok": Odd()}))
    assert "neither nor" in session.outcomes["x.1"].message


def test_a_call_within_a_guarded_call_is_needed_with_it():
    """load('a') --> x.2, or neither."""
    session = run_virtually(perform("x = load(load('a')) if ok else 0", TOOLS, inputs={"ok": False}))
    assert (started(session), session.outcomes["x"]) == ([], 0)


def test_a_branch_as_an_argument():
    """The call waits for what is needed of its arguments only."""
    session = run_virtually(perform("x = load(load('b') if ok else 'a')", TOOLS, inputs={"ok": False}))
    assert session.outcomes["x"] == "<a>"
    assert states(session) == {"x.1": "skipped", "x": "done"}


@pytest.mark.slow
def test_an_answer_with_a_guarded_call():
    """It needs no value of the call that is not needed."""
    done = run("answer(load('a') if ok else 'nothing')", ok=False)
    assert (done.status, done.answer) == ("done", "nothing")
    assert run("answer(load('a') if ok else 'nothing')", ok=True).answer == "<a>"


def test_a_cancelled_run_cancels_what_is_not_chosen_yet():
    """Its state is cancelled, not skipped."""

    async def main():
        async with opened(TOOLS) as session:
            add(session, "x = load('a') if check('down') else 0")
            await asyncio.sleep(0.1)
            session.cancel()
            await session.drained()
            return session

    session = run_virtually(main())
    assert all(isinstance(outcome, Cancelled) for outcome in session.outcomes.values())
    assert set(states(session).values()) == {"cancelled"}


# ------------------------------------------------------------------- fan-outs


def test_each_item_chooses_for_itself():
    """The items whose test is false are None at once."""
    session = run_virtually(
        perform("xs = {h: load(h) if check(h) else None for h in hosts}", TOOLS, inputs={"hosts": ["up", "down"]})
    )
    assert session.outcomes["xs"] == {"up": None, "down": "<down>"}
    assert states(session)["xs[up].2"] == "skipped"


def test_an_item_that_is_none_is_no_missing_guard():
    """The name in the guard becomes the item's value, which may be None."""
    session = run_virtually(perform("xs = [load(h) if h else 0 for h in hosts]", TOOLS, inputs={"hosts": [None, "a"]}))
    assert session.outcomes["xs"] == [0, "<a>"]
    assert started(session) == ["xs[1].1"]


def test_an_item_waits_for_the_item_that_its_guard_reads():
    """Up[a] --> xs[a], item by item, while up[b] still runs."""
    session = run_virtually(
        perform(
            "up = {h: check(h) for h in hosts}\nxs = {h: load(h) if up[h] else 0 for h in hosts}\n"
            "one = load('c') if up['down'] else 1",
            TOOLS,
            inputs={"hosts": ["down", "bad"]},
        )
    )
    outcomes = session.outcomes
    assert (outcomes["xs[down]"], outcomes["one"]) == ("<down>", "<c>")
    assert outcomes["xs[bad]"].cause == "up[bad]"
    states(session)


@pytest.mark.parametrize("ok", [True, False])
def test_a_fanout_in_a_branch_is_expanded_if_it_is_needed(ok):
    """What reads it waits for its line."""
    session = run_virtually(
        perform(
            "xs = [load(h) for h in load('x')] if ok else []\nys = [check(x) for x in xs]", TOOLS, inputs={"ok": ok}
        )
    )
    assert session.outcomes["xs"] == (["<<>", "<x>", "<>>"] if ok else [])
    assert len(session.outcomes["ys"]) == (3 if ok else 0)
    assert ("xs.2[0]" in session.tasks) is ok
    states(session)


def test_a_reader_of_an_item_of_a_fanout_that_is_not_needed():
    """xs.1 is not needed: the line takes the other branch."""
    session = run_virtually(perform("x = [load(h) for h in 'ab'][0] if ok else 7", TOOLS, inputs={"ok": False}))
    assert session.outcomes["x"] == 7
    states(session)


# ------------------------------------------------------------------- side effects


async def asked(program, answer, **inputs):
    """Perform a program whose side effects are asked for; return the session and what was asked."""
    questions = []

    async def ask(task, shown):
        questions.append((task.id, shown))
        return answer

    async with opened(TOOLS, inputs=inputs, ask=ask) as session:
        add(session, program)
        session.close()
        await session.drained()
        return session, questions


def test_a_side_effect_that_is_not_needed_is_not_asked_for():
    """Only the one whose test is true."""
    program = "restart('a') if down else None\nrestart('b') if check('down') else None"
    session, questions = run_virtually(asked(program, True, down=False))
    assert questions == [("@2.2", '"b"')]
    assert states(session)["@1.1"] == "skipped"
    assert session.outcomes["@2"] == "restarted b"


def test_the_guarded_side_effects_of_a_fanout_are_asked_for_together():
    """Once the tests of all items are there; what is not needed is not in the question."""
    program = "xs = [restart(h) if check(h) else None for h in hosts]"
    session, questions = run_virtually(asked(program, True, hosts=["down", "up", "down", "bad"]))
    ((id_, shown),) = questions
    assert (id_, shown.partition(":")[0]) == ("xs", "2 calls")
    assert [session.outcomes[f"xs[{number}]"] for number in range(3)] == ["restarted down", None, "restarted down"]
    denied, _ = run_virtually(asked(program, False, hosts=["down", "up"]))
    assert denied.outcomes["xs[0].2"].kind == "denied"
    assert denied.outcomes["xs[1]"] is None


def test_a_denied_guarded_call_skips_its_line():
    """It was needed, so the line has no value."""
    session, _ = run_virtually(asked("x = restart('a') if down else None", False, down=True))
    assert session.outcomes["x"].cause == "x.1"


@pytest.mark.parametrize("name", ["x", "x.1"])
def test_approve_by_the_name_of_the_line(name):
    """`run.approve("x")` means the guarded call in it."""
    compiler = Compiler(tools=TOOLS, approve="ask")

    async def main():
        def on_event(event):
            if isinstance(event, TaskHeld) and event.reason == "approval":
                asyncio.get_running_loop().call_soon(lambda: runs[0].approve(name))

        runs = []

        async def ask(task, shown):
            await asyncio.Event().wait()

        plan = Plan.parse("x = restart('a') if down else None", tools=TOOLS, inputs=["down"])
        run = Run(Order(plan=plan, inputs={"down": True}), compiler.settings, Log("r"))
        run.log.listeners.append(on_event)
        runs.append(run)
        await asyncio.wait_for(Drive(run, ask=ask).perform(), 5)
        return run

    assert asyncio.run(main())["x"] == "restarted a"


# ------------------------------------------------------------------- what is said of it


@pytest.mark.slow
def test_a_call_that_is_not_needed_is_no_failure():
    """Not in the failures, not in the results, and nothing is raised for it."""
    done = run("x = load('a') if ok else None\njoin(x)", ok=False)
    assert (done.status, done.failures, done.results, done.answer) == ("done", {}, {"x": None}, {"x": None})
    assert done.raise_for_failures() is done
    assert (done.state("x.1"), done.why("x.1")) == ("skipped", "not needed: called only if ok")
    failed = run("x = load('bad') if ok else load('b')", ok=True)
    assert list(failed.failures) == ["x.1", "x"]
    with pytest.raises(RunFailed, match=r"x\.1: ValueError"):
        failed.raise_for_failures()


def test_why_says_what_decides():
    """While the test is not known, a guarded call waits to know whether it is needed."""

    async def main():
        async with opened(TOOLS) as session:
            plan = Plan.parse("a = load('a')\nx = load(a) if check('down') else 0", tools=TOOLS)
            for task in plan:
                session.log.emit(TaskPlanned, task.id, 0, task, "")
                session.add(task)
            await asyncio.sleep(0.2)
            words = [why(session, "x.2")]
            await asyncio.sleep(0.5)
            words.append(why(session, "x.2"))
            await session.drained()
            return [*words, why(session, "x.2")]

    before, after, end = run_virtually(main())
    assert before == "waits for `x.1` (running 0.2 s), to know whether it is needed"
    assert after == "waits for `a` (running 0.7 s)"
    assert end.startswith("done after 1.0 s; it waited 1.0 s for `a`")


def why(session, id_):
    """Say why a task waits now."""
    return Words(Progress(session.log.events), session.log.now(), {}, {}).whole(id_)
