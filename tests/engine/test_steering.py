# ruff: noqa: D103 - tools and helpers of a test are read where they stand
"""A user skips a task, tries it again, or gives it a value, while the others go on."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb.engine.steering import CUT_OFF, Steering
from compiler_nb.errors import SteerError
from compiler_nb.events import TaskEnded, TaskHeld, TaskPlanned, TaskRevived, Warned
from compiler_nb.outcome import SET, Cancelled, Failure, Skipped
from compiler_nb.plan.plan import Plan
from compiler_nb.tool import tool
from compiler_nb.trace import Progress
from tests.support.clock import run_virtually
from tests.support.session import add, opened, states, told

MADE: list[str] = []
BROKEN: set[str] = set()


@tool(pure=True)
async def nap(seconds, value=None):
    await asyncio.sleep(seconds)
    return value


@tool(pure=True)
async def frail(name, *needs):
    await asyncio.sleep(1)
    if name in BROKEN:
        raise ValueError(name)
    return f"{name}!"


@tool(side_effects=True)
async def pay(name, *needs):
    MADE.append(name)
    await asyncio.sleep(1)
    if name in BROKEN:
        raise ValueError(name)
    return f"{name} paid"


@tool(side_effects=True, timeout=1.0)
async def slow_pay(name):
    MADE.append(name)
    await asyncio.sleep(5 if name in BROKEN else 0.5)
    return f"{name} paid"


@tool
async def status(name):
    MADE.append(f"status {name}")
    return len(MADE)


TOOLS = [nap, frail, pay, slow_pay, status]


@pytest.fixture(autouse=True)
def _fresh():
    MADE.clear()
    BROKEN.clear()


def plan(session, program: str) -> None:
    """Add the tasks of a plan as a run does."""
    for task in Plan.parse(program, tools=session.tools):
        session.log.emit(TaskPlanned, task.id, 0, task, "")
        session.add(task)
    session.close()


def story(program: str, *moves, broken=(), **options):
    """Perform a program; each move is a time, a verb and its arguments. Return the session, and what was refused."""
    refused: list[str] = []

    async def main():
        BROKEN.update(broken)
        async with opened(TOOLS, **options) as session:
            plan(session, program)
            for at, verb, *arguments in moves:
                await asyncio.sleep(max(at - session.log.now(), 0))
                if verb == "mend":
                    BROKEN.clear()
                elif verb == "pause":
                    session.pause(*arguments)
                else:
                    try:
                        getattr(Steering(session), verb)(*arguments)
                    except SteerError as error:
                        refused.append(str(error))
            await session.drained()
            states(session)  # the events tell what the schedule has
            return session

    return run_virtually(main()), refused


def values(session) -> dict:
    return {id_: end for id_, end in session.outcomes.items() if not isinstance(end, (Failure, Skipped, Cancelled))}


DIAMOND = "a = nap(1, 1)\nb = nap(3, 2)\nc = frail('c', b)\nd = [a, c]\n"

# ------------------------------------------------------------------- skip


@pytest.mark.parametrize("at", [0.5, 3.5])
def test_a_task_that_waits_or_runs_is_skipped_with_what_depends_on_it(at):
    """Both name it and the reason; the rest goes on, and nobody waits for what was skipped."""
    session, _ = story(DIAMOND, (at, "skip", "c", "not worth it"))
    assert session.outcomes["c"] == session.outcomes["d"] == Skipped("c", "not worth it", by_user=True)
    assert values(session) == {"a": 1, "b": 2}
    assert session.log.now() < 4.0


def test_a_call_that_waits_for_a_slot_is_skipped():
    """The next one gets the slot."""
    session, _ = story("a = nap(1, 1)\nb = nap(1, 2)\nc = nap(1, 3)\n", (0.5, "skip", "b"), max_concurrency=1)
    assert values(session) == {"a": 1, "c": 3}
    assert session.log.now() == pytest.approx(2.0)


def test_a_running_side_effect_that_is_skipped_is_in_doubt_and_says_so():
    """Later side effects are not made, because whether it had its effect is unknown."""
    session, _ = story("a = pay('a')\nb = pay('b')\n", (0.5, "skip", "a"), approve="auto")
    assert session.outcomes["a"] == Skipped("a", CUT_OFF, by_user=True)
    assert "whether it had its effect is unknown" in session.outcomes["b"].message
    assert [entry.standing for entry in session.effects.ledger.entries] == ["doubt"]
    assert MADE == ["a"]


def test_a_side_effect_that_is_skipped_before_it_begins_stops_no_other():
    """It is like a denied one."""
    session, _ = story("a = nap(1)\nb = pay('b', a)\nc = pay('c')\n", (0.5, "skip", "b"), approve="auto")
    assert (MADE, values(session)["c"]) == (["c"], "c paid")


def test_a_call_that_waits_for_approval_is_skipped():
    """Its question is withdrawn; the next one is asked for."""
    asked = []

    async def ask(task, shown):
        asked.append(task.id)
        await asyncio.sleep(100 if task.id == "a" else 1)
        return True

    session, _ = story("a = pay('a')\nb = pay('b')\n", (0.5, "skip", "a"), approve="ask", ask=ask)
    assert (MADE, asked, session.log.now() < 5) == (["b"], ["a", "b"], True)


def test_a_fanout_is_skipped_with_all_its_items():
    """Those that run are stopped, and no other starts."""
    session, _ = story("f = [nap(1, x) for x in range(6)]\ng = len(f)\n", (1.5, "skip", "f"), max_concurrency=2)
    skipped = Skipped("f", "", by_user=True)
    assert session.outcomes["f"] == session.outcomes["g"] == session.outcomes["f[2]"] == skipped
    assert values(session) == {"f[0]": 0, "f[1]": 1}
    assert session.log.now() < 2


def test_an_item_is_skipped_and_the_others_stay():
    """The fan-out fails in part, as if the item had failed."""
    session, _ = story("f = [nap(1, x) for x in range(3)]\n", (0.5, "skip", "f[1]"))
    outcome = session.outcomes["f"]
    assert (outcome.kind, outcome.partial[0], outcome.partial[2]) == ("items", 0, 2)


def test_what_has_ended_is_not_skipped():
    """It says how it ended."""
    _, refused = story(DIAMOND, (1.5, "skip", "a"))
    assert refused == ["a cannot be skipped: it is done"]


# ------------------------------------------------------------------- retry


def test_a_failed_task_is_tried_again_and_what_was_skipped_lives():
    """As long as others go on."""
    program = "a = frail('a')\nb = [a, 1]\nc = frail('c', b)\nlong = nap(9)\n"
    session, refused = story(program, (2, "mend"), (2, "retry", "a"), broken=["a"])
    assert not refused
    assert values(session) == {"a": "a!", "b": ["a!", 1], "c": "c!", "long": None}
    assert [event.task for event in told(session, TaskRevived)] == ["a", "b", "c"]


def test_a_skipped_task_has_its_cause_tried_again():
    """For it lacks nothing else."""
    program = "a = frail('a')\nb = [a, 1]\nlong = nap(9)\n"
    session, _ = story(program, (2, "mend"), (2, "retry", "b"), broken=["a"])
    assert values(session)["b"] == ["a!", 1]


def test_what_the_user_skipped_is_tried_again():
    """With what was skipped for it."""
    session, _ = story(DIAMOND, (0.5, "skip", "b"), (1.5, "retry", "b"))
    assert values(session) == {"a": 1, "b": 2, "c": "c!", "d": [1, "c!"]}


def test_a_running_call_is_stopped_and_begins_anew():
    """It is one attempt more."""
    session, _ = story("a = nap(2, 1)\n", (1, "retry", "a"))
    assert (values(session), session.log.now()) == ({"a": 1}, pytest.approx(3.0))
    assert session.schedule.nodes["a"].attempt == 2


def test_a_pause_between_two_attempts_ends_at_once():
    """And the timer of that pause starts nothing."""
    tries = []

    @tool(retries=1)
    async def shaky():
        tries.append(1)
        await asyncio.sleep(1)
        if len(tries) == 1:
            raise ValueError
        return len(tries)

    async def main():
        async with opened([shaky]) as session:
            add(session, "a = shaky()\n")
            session.close()
            await asyncio.sleep(1.01)
            Steering(session).retry("a")
            await session.drained()
            await asyncio.sleep(5)
            return session

    session = run_virtually(main())
    assert (session.outcomes["a"], len(tries)) == (2, 2)
    assert told(session, TaskEnded)[-1].at == pytest.approx(2.01)


@pytest.mark.parametrize("name", ["f", "f[1]", "g"])
def test_the_failed_items_of_a_fanout_are_tried_again(name):
    """The others keep their values; what reads the fan-out runs then."""
    program = "f = [frail(x) for x in ['a', 'b', 'c']]\ng = len(f)\nlong = nap(9)\n"
    session, _ = story(program, (2, "mend"), (2, "retry", name), broken=["b"])
    assert (values(session)["f"], values(session)["g"]) == (["a!", "b!", "c!"], 3)
    assert [session.schedule.nodes[f"f[{n}]"].attempt for n in range(3)] == [1, 2, 1]


def test_a_failed_item_is_tried_again_while_the_others_run():
    """The fan-out has not ended, and ends well."""
    program = "f = [frail(x) for x in ['a', 'b']]\ng = [nap(5, x) for x in f]\nh = len(g)\n"
    chain = "f = [nap(3, frail(x)) for x in ['a', 'b']]\n"
    session, _ = story(chain, (1.5, "mend"), (1.5, "retry", "f"), broken=["b"])
    assert values(session)["f"] == ["a!", "b!"]
    session, _ = story(f"long = nap(9)\n{program}", (2, "mend"), (2, "retry", "g[1]"), broken=["b"])
    assert values(session)["g"] == ["a!", "b!"]


def test_what_is_done_or_has_not_started_is_not_tried_again():
    """It says how it stands, and how it is made again."""
    _, refused = story(DIAMOND, (1.5, "retry", "a"), (1.5, "retry", "d"))
    assert refused == [
        "a cannot be tried again: it is done; when the run has ended: %compile rerun run --start a",
        "d cannot be tried again: it is waiting for what it needs",
    ]


# ------------------------------------------------------------------- retry of side effects


def yes(asked):
    async def ask(task, shown):
        asked.append(task.id)
        await asyncio.sleep(1)
        return True

    return ask


@pytest.mark.parametrize(("at", "broken"), [(0.5, []), (2, ["a"])])
def test_a_side_effect_in_doubt_is_asked_about_before_it_is_made_again(at, broken):
    """One that was stopped while it ran, or that timed out."""
    asked: list[str] = []
    program = "a = slow_pay('a')\nb = nap(9)\n"
    options = {"approve": "auto", "broken": broken}
    moves = [(0.4 if at < 1 else 2, "mend"), (0.4 if at < 1 else 2, "retry", "a")]
    session, _ = story(program, *moves, ask=yes(asked), **options)
    assert (asked, MADE, values(session)["a"]) == (["a"], ["a", "a"], "a paid")
    assert any("may have had its effect" in event.message for event in told(session, Warned))
    assert [entry.standing for entry in session.effects.ledger.entries] == ["done"]


def test_a_side_effect_in_doubt_is_never_repeated_if_nobody_can_be_asked():
    """It ends as denied."""
    session, _ = story("a = slow_pay('a')\nb = nap(9)\n", (2, "retry", "a"), broken=["a"], approve="auto")
    assert (MADE, session.outcomes["a"].kind) == (["a"], "denied")


def test_a_side_effect_that_failed_is_made_again_if_the_user_says_so_by_its_name():
    """That is a word for it; if it is only the cause of what is tried again, somebody is asked."""
    program = "a = pay('a')\nb = [a]\nlong = nap(9)\n"
    session, _ = story(program, (2, "mend"), (2, "retry", "a"), broken=["a"], approve="auto")
    assert (MADE, values(session)["b"]) == (["a", "a"], ["a paid"])
    MADE.clear()
    asked: list[str] = []
    session, _ = story(program, (2, "mend"), (2, "retry", "b"), broken=["a"], approve="auto", ask=yes(asked))
    assert (MADE, asked, values(session)["b"]) == (["a", "a"], ["a"], ["a paid"])


def test_later_side_effects_go_on_after_the_one_that_stopped_them():
    """In the order of the plan."""
    program = "a = pay('a')\nb = pay('b')\nlong = nap(9)\n"
    session, _ = story(program, (2, "mend"), (2, "retry", "a"), broken=["a"], approve="auto")
    assert (MADE, values(session)["b"]) == (["a", "a", "b"], "b paid")


def test_nothing_goes_on_above_what_has_begun():
    """A side effect would be made after what the plan makes or reads below it."""
    program = "a = pay('a')\nb = status('b')\nlong = nap(9)\n"
    session, refused = story(program, (3, "mend"), (3, "retry", "a"), broken=["a"], approve="auto")
    told = "a comes before b in the plan's order of side effects, and b has begun"
    assert refused == [f"a cannot be tried again: {told}; when the run has ended: %compile rerun run --start a"]
    assert (MADE, session.outcomes["a"].kind) == (["a", "status b"], "raised")


def test_what_comes_too_late_in_the_order_stays_skipped_and_says_so():
    """The rest goes on."""
    program = "x = frail('x')\na = pay('a', x)\nb = status('b')\nc = [x]\nlong = nap(9)\n"
    session, _ = story(program, (3, "mend"), (3, "retry", "x"), broken=["x"], approve="auto")
    assert (values(session)["c"], session.outcomes["a"]) == (["x!"], Skipped("x", "ValueError: x"))
    assert [event.task for event in told(session, Warned)] == ["a"]
    assert MADE == ["status b"]


# ------------------------------------------------------------------- set


@pytest.mark.parametrize("at", [0.5, 2.5, 3.5])
def test_a_task_that_has_not_ended_is_given_a_value(at):
    """One that waits or runs; what depends on it gets that value, which is marked."""
    session, _ = story(DIAMOND, (at, "set", "c", 7))
    assert (values(session)["d"], Progress(session.log.events).ends["c"].how) == ([1, 7], SET)
    assert session.log.now() < 4


def test_a_failed_task_is_given_a_value():
    """What was skipped for it runs."""
    program = "a = frail('a')\nb = [a, 1]\nc = frail('c', b)\nlong = nap(9)\n"
    session, _ = story(program, (2, "set", "a", 5), broken=["a"])
    assert values(session) == {"a": 5, "b": [5, 1], "c": "c!", "long": None}
    assert session.schedule.nodes["a"].attempt == 1


def test_a_done_task_is_given_another_value_until_something_reads_it():
    """While its reader waits for something else, and not later."""
    program = "a = nap(1, 1)\nb = nap(3, 2)\nc = nap(2, [a, b])\n"
    session, refused = story(program, (2, "set", "a", 7), (4, "set", "a", 8))
    assert values(session)["c"] == [7, 2]
    assert refused == [
        "a cannot be given another value: c has read it; when the run has ended: %compile rerun run --override a=VALUE"
    ]
    progress = Progress(session.log.events)
    assert (progress.ends["a"].outcome, progress.ends["a"].how) == (7, SET)


AFTERWARDS = "when the run has ended: %compile rerun run"


@pytest.mark.parametrize(
    ("program", "at", "id_", "reader"),
    [
        ("a = nap(1, 1)\nb = frail('b', a)\nlong = nap(9)\n", 3, "a", "b"),  # though it has failed
        (
            "a = nap(1, 1)\nb = nap(9, 1)\nx = nap(b, 1) if a > 0 else nap(b, 2)\n",
            2,
            "a",
            "x.1",
        ),  # its branch is chosen
        ("a = nap(1, 1)\nx = nap(5, 1) if a > 0 else nap(5, 2)\n", 2, "a", "x.1"),
        ("f = [nap(1, x) for x in range(2)]\nlong = nap(9)\n", 3, "f[0]", "f"),
    ],
)
def test_a_value_that_was_read_is_not_changed(program, at, id_, reader):
    """Whatever has become of its reader, which may not have begun, but gone this way because of it."""
    _, refused = story(program, (at, "set", id_, 0), broken=["b"])
    [why] = refused
    assert why.startswith(f"{id_} cannot be given another value: {reader} has read it")


def test_the_value_of_an_item_is_changed_while_its_fanout_waits_for_the_others():
    """What reads the fan-out gets the new one."""
    session, refused = story("f = [nap(x, x) for x in [1, 5]]\ng = sum(f)\n", (3, "set", "f[0]", 7))
    assert (values(session)["g"], refused) == (12, [])


@pytest.mark.parametrize(
    ("program", "id_", "stands"),
    [
        ("b = nap(5)\na = nap(1)\n", "a", "ready, and waits for a slot"),
        ("b = nap(5)\na = nap(1, b)\n", "a", "waiting for what it needs"),
        ("f = [nap(1, x) for x in range(2)]\nb = nap(9)\n", "f", f"done; {AFTERWARDS} --start f"),
    ],
)
def test_what_has_not_begun_or_is_done_is_not_tried_again(program, id_, stands):
    """It says how the task stands."""
    _, refused = story(program, (3, "retry", id_), max_concurrency=1)
    assert refused == [f"{id_} cannot be tried again: it is {stands}"]


def test_an_item_is_given_a_value():
    """A failed one, and one that runs."""
    program = "f = [frail(x) for x in ['a', 'b']]\ng = len(f)\nlong = nap(9)\n"
    session, _ = story(program, (0.5, "set", "f[0]", 1), (2, "set", "f[1]", 2), broken=["b"])
    assert (values(session)["f"], values(session)["g"]) == ([1, 2], 2)


@pytest.mark.parametrize(("at", "broken"), [(0.5, []), (2, ["b"])])
def test_a_fanout_is_given_a_value_as_a_whole(at, broken):
    """Its items end; what reads it gets the value."""
    program = "f = [frail(x) for x in ['a', 'b']]\ng = len(f)\nlong = nap(9)\n"
    session, _ = story(program, (at, "set", "f", [1, 2, 3]), broken=broken)
    assert (values(session)["f"], values(session)["g"]) == ([1, 2, 3], 3)


def test_a_fanout_that_was_given_a_value_is_read_as_that_by_later_plans():
    """Not its items, which have ended without values of their own."""

    async def main():
        async with opened(TOOLS) as session:
            program = "f = [frail(x) for x in ['a', 'b']]\ng = nap(1, f[1])\nh = [nap(1, x) for x in f]\n"
            first, *later = Plan.parse(program, tools=session.tools)
            session.add(first)
            await asyncio.sleep(0.5)
            Steering(session).set("f", [10, 20])
            await session.drained()
            for task in later:
                session.add(task)
            await session.drained()
            return session

    session = run_virtually(main())
    assert (values(session)["g"], values(session)["h"]) == (20, [10, 20])


def test_a_fanout_whose_items_are_read_one_by_one_is_not_given_a_value_as_a_whole():
    """Its items may be given theirs."""
    _, refused = story("f = [nap(5, x) for x in range(2)]\nb = nap(1, f[0])\n", (0.5, "set", "f", [1, 2]))
    way = "when the run has ended: %compile rerun run --override f=VALUE"
    assert refused == [f"f cannot be given another value: b reads its items one by one: give them values; {way}"]


def test_a_side_effect_that_is_given_a_value_is_not_made():
    """Its question is withdrawn, and later ones go on."""

    async def ask(task, shown):
        await asyncio.sleep(100 if task.id == "a" else 1)
        return True

    session, _ = story("a = pay('a')\nb = pay('b', a)\n", (0.5, "set", "a", "paid in cash"), approve="ask", ask=ask)
    assert (MADE, values(session)["a"]) == (["b"], "paid in cash")


def test_a_guarded_call_that_is_not_needed_is_given_no_value():
    """Nothing would read it."""
    _, refused = story("x = nap(1) if 1 > 2 else 5\nlong = nap(3)\n", (1, "set", "x.1", 5), (1, "retry", "x.1"))
    assert refused == [
        "x.1 cannot be given a value: it is not needed", "x.1 cannot be tried again: it is not needed",
    ]  # fmt: skip


def test_a_failure_is_no_value():
    """It says what to do instead."""
    _, refused = story(DIAMOND, (0.5, "set", "c", Failure("raised", "x")))
    assert refused == ["c cannot be given a Failure: that is not a value; skip the task instead"]


# ------------------------------------------------------------------- together with others


def test_while_a_run_is_paused_a_task_is_steered():
    """It starts when the pause is over."""
    program = "a = frail('a')\nb = nap(1, a)\nlong = nap(5)\n"
    moves = [(0.5, "pause", True), (2, "mend"), (2, "retry", "a"), (4, "pause", False)]
    session, _ = story(program, *moves, broken=["a"])
    assert values(session)["b"] == "a!"


def test_of_two_wishes_for_a_call_that_is_being_stopped_the_last_one_counts():
    """A call takes a moment to end."""

    @tool
    async def clings(x):
        try:
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(0.1)

    async def main():
        async with opened([clings]) as session:
            add(session, "a = clings(1)\n")
            session.close()
            await asyncio.sleep(1)
            Steering(session).skip("a")
            await asyncio.sleep(0.05)
            Steering(session).set("a", 3)
            await session.drained()
            return session

    assert run_virtually(main()).outcomes["a"] == 3


def test_a_side_effect_that_ends_well_while_it_is_stopped_is_done():
    """That is what happened, whatever was wanted."""

    @tool(side_effects=True)
    async def stubborn(x):
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            return "sent"

    async def main(verb):
        async with opened([stubborn], approve="auto") as session:
            add(session, "a = stubborn(1)\n")
            session.close()
            await asyncio.sleep(1)
            getattr(Steering(session), verb)("a")
            await session.drained()
            return session

    for verb in ("skip", "retry"):
        session = run_virtually(main(verb))
        assert session.outcomes["a"] == "sent"
        assert [event.message for event in told(session, Warned)] == [
            "a had ended before it could be stopped: it is done"
        ]


def test_a_fanout_of_side_effects_is_asked_for_anew_without_the_item_that_was_skipped():
    """What was shown would not be what is made."""

    async def ask(task, shown):
        await asyncio.sleep(3)
        return True

    session, _ = story("f = [pay(x) for x in ['a', 'b']]\n", (1, "skip", "f[0]"), approve="ask", ask=ask)
    shown = [event.arguments for event in told(session, TaskHeld) if event.reason == "approval"]
    assert (MADE, [text[:7] for text in shown]) == (["b"], ["2 calls", "1 call:"])


# ------------------------------------------------------------------- what is at work in other ways

HEAVY = "sum([i * i for i in range(20000)])"


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "given"), [("skip", ()), ("set", (7,))])
def test_a_heavy_expression_that_waits_for_a_slot_is_steered(verb, given):
    """It is ready and in no queue of calls; the slot goes to the next one, and nothing hangs."""

    async def main():
        async with opened(TOOLS, max_concurrency=1) as session:
            plan(session, f"a = nap(0.2, 1)\nb = {HEAVY}\nc = [b]\nd = nap(0, 4)\n")
            await asyncio.sleep(0.1)
            assert session.schedule.nodes["b"].state == "ready"
            getattr(Steering(session), verb)("b", *given)
            async with asyncio.timeout(10):
                await session.drained()
            assert session.schedule.free == 1
            return session

    session = asyncio.run(main())
    assert values(session) == {"a": 1, "d": 4} | ({"b": 7, "c": [7]} if given else {})


@pytest.mark.slow
def test_an_item_goes_on_before_its_fanout_is_collected():
    """A heavy expression has ended the turn of the loop: the fan-out was handed out, and waits for its item again."""

    async def main():
        async with opened(TOOLS) as session:
            plan(session, "xs = [nap(0.05 * x, x) for x in [1, 9]]\n")
            await asyncio.sleep(0.2)
            session.evaluator.inline.turn_is_over = True  # as a heavy expression leaves it
            Steering(session).skip("xs[1]")
            session.loop.call_soon(Steering(session).retry, "xs[1]")
            await asyncio.sleep(0.02)
            session.evaluator.inline.turn_is_over = False
            session.perform(())
            async with asyncio.timeout(10):
                await session.drained()
            return session

    assert values(asyncio.run(main())) == {"xs": [1, 9], "xs[0]": 1, "xs[1]": 9}


@pytest.mark.slow
def test_an_item_that_is_not_taken_yet_says_that_it_comes():
    """All items of a large fan-out have names at once, and the schedule takes them in turns of the loop."""
    _, refused = story("xs = [nap(0, x) for x in range(3000)]\n", (0, "skip", "xs[2999]"))
    assert refused == ["xs[2999] cannot be skipped: it is just being made; try again in a moment"]
