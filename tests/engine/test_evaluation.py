"""What is too heavy for the loop is evaluated on a thread, wherever it stands."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from compiler_nb import Bounds, Compiler
from compiler_nb.engine.runners import make_runners
from compiler_nb.events import TaskStarted
from compiler_nb.outcome import Cancelled, Failure, Skipped
from compiler_nb.tool import tool
from tests.support.session import add, opened, perform, states, told

HEAVY = "sum([i * i for i in range(20000)])"
VALUE = sum(i * i for i in range(20000))


class Stubborn:
    """Takes its time to be compared, and cannot be stopped: as a call of a library."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __eq__(self, other: object) -> bool:
        time.sleep(self.seconds)
        return False

    __hash__ = None  # type: ignore[assignment]


@tool
async def same(value: Any) -> Any:
    """Give the value back."""
    return value


@tool
async def fail(value: Any) -> Any:
    """Fail."""
    raise ValueError("no such host")


@tool(side_effects=True)
async def send(value: Any) -> Any:
    """Send a value."""
    return value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (f"x = {HEAVY}", {"x": VALUE}),
        (f"x = same({HEAVY})", {"x": VALUE}),
        (f"x = same(value={HEAVY})", {"x": VALUE}),
        (f"x = same(1) if {HEAVY} > 5 else None", {"x": 1, "x.1": 1}),
        (f"x = same(1) if {HEAVY} < 5 else None", {"x": None}),
        (f"x = [same(i) for i in [{HEAVY}]]", {"x": [VALUE], "x[0]": VALUE}),
        (f"x = send({HEAVY})", {"x": VALUE}),
        (f"a = same(1)\nb = {HEAVY}\nx = a + b", {"a": 1, "b": VALUE, "x": VALUE + 1}),
    ],
)
@pytest.mark.parametrize("slots", [1, 8])
def test_a_heavy_expression_gives_its_value_wherever_it_stands(program, expected, slots):
    """As an expression, an argument, a guard, the source of a fan-out, and below a call that needs approval."""
    session = asyncio.run(perform(program, [same, send], max_concurrency=slots, approve="auto"))
    assert session.values == expected
    assert session.schedule.free == slots
    assert not session.attempts
    states(session)


def test_a_heavy_expression_has_a_time_in_the_picture():
    """It starts and ends like a call, and a light one does not."""
    session = asyncio.run(perform(f"x = {HEAVY}\ny = 1 + 1\nz = same({HEAVY})", [same]))
    assert {event.task for event in told(session, TaskStarted)} == {"x", "z"}


def test_an_answer_may_be_heavy():
    """It is evaluated on a thread, too."""
    run = asyncio.run(Compiler(None, [same]).execute(f"a = same(1)\nanswer(a + {HEAVY})"))
    assert (run.status, run.answer) == ("done", VALUE + 1)


def test_a_heavy_expression_that_reads_what_failed_is_skipped():
    """If the branch that is taken reads it."""
    session = asyncio.run(perform(f"a = fail(1)\nx = 1 if {HEAVY} < 5 else a\ny = [a, {HEAVY}]", [fail]))
    assert session.outcomes["x"] == session.outcomes["y"] == Skipped("a", "ValueError: no such host")
    states(session)


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("x = [i for i in range(30000)]", "steps"),
        ("x = 'x' * 100000", "bytes"),
        ("x = sum([[i for i in range(300)] == [0] for j in range(300)])", "seconds"),
        ("x = [same(i) for i in range(11)]", "items"),
    ],
)
def test_a_bound_of_a_compiler_holds_and_is_named(program, name):
    """Steps, bytes, seconds and items, each with the setting by which it is raised."""
    small: dict[str, Any] = {"steps": 1_000, "bytes": 1_000, "seconds": 0.001, "items": 10}
    run = asyncio.run(Compiler(None, [same], bounds=Bounds(**{name: small[name]})).execute(program))
    failure = run.failures["x"]
    assert f'(Bounds.{name}): use a tool, or raise it: bounds={{"{name}": {2 * small[name]:_}}}' in str(failure)
    assert isinstance(failure, Failure)
    assert failure.kind == ("timeout" if name == "seconds" else "expression")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most"), [("run_steps", 50_000), ("run_bytes", 500_000), ("run_seconds", 0.02)])
def test_a_bound_of_a_run_holds_for_all_of_its_expressions_together(name, most):
    """120 lines that are harmless alone: the first ones are done, the others name the bound."""
    lines = "\n".join(f"x{number} = sum([i * i for i in range(8000)])" for number in range(40))
    run = asyncio.run(Compiler(None, [], bounds={name: most}).execute(lines))
    assert f'(Bounds.{name}): use a tool, or raise it: bounds={{"{name}": {2 * most:_}}}' in str(run.failures["x39"])


@pytest.mark.slow
def test_with_more_items_allowed_a_large_fan_out_fits_the_other_bounds():
    """Only the number of items must be raised."""

    @tool
    async def number(x: int) -> int:
        return x

    text = "r = {f'{x}': number(x) for x in range(30000) if x % 2 < 2}\nanswer(len(r))"
    run = asyncio.run(Compiler(None, [number], bounds={"items": 100_000}).execute(text))
    assert run.answer == 30_000, run.error


@pytest.mark.slow
def test_a_fan_out_pays_for_the_literals_that_it_repeats():
    """A long list among the arguments is written out for each item: the run ends at once, and says what to raise."""

    @tool
    async def pick(x: int, xs: list[int]) -> int:
        return xs[x]

    compiler = Compiler(None, [pick], bounds={"items": 100_000})
    few = asyncio.run(compiler.execute(f"r = [pick(x, {list(range(3000))}) for x in range(100)]\nanswer(sum(r))"))
    assert few.answer == sum(range(100))
    began = time.process_time()
    run = asyncio.run(compiler.execute(f"r = [pick(x, {list(range(3000))}) for x in range(100000)]"))
    assert "(Bounds.steps): use a tool" in str(run.failures["r"])
    assert time.process_time() - began < 3


@pytest.mark.parametrize("bounds", [{"itms": 1}, {"items": 0}, 5, "10"])
def test_wrong_bounds_are_refused_when_they_are_given(bounds):
    """Not in the middle of a run."""
    with pytest.raises(ValueError, match=r"bound|Bounds"):
        Compiler(None, [], bounds=bounds)


def test_stop_ends_heavy_expressions_at_once():
    """120 lines of sums ignored it for seconds: what had not begun is never begun."""
    lines = "\n".join(f"x{number} = sum([i * i for i in range(24000)])" for number in range(120))

    async def main():
        async with opened([]) as session:
            add(session, lines)
            while not session.values:  # noqa: ASYNC110 - the first of them tells nobody
                await asyncio.sleep(0.001)
            session.cancel()
            known = len(session.values)
            await session.drained()
            return session, known

    session, known = asyncio.run(main())
    assert len(session.values) == known < 120
    assert type(session.outcomes["x119"]) is Cancelled
    assert not session.abandoned_calls


@pytest.mark.slow
def test_a_run_keeps_to_its_timeout_whatever_its_expressions_do():
    """Each line is evaluated within the time that is left: what comes later is never begun."""
    lines = "\n".join(f"x{number} = sum([i * i for i in range(24000)])" for number in range(240))
    run = asyncio.run(Compiler(None, [], timeout=0.1).execute(lines))
    assert run.status == "limit"
    assert len(run.results) < 240
    assert type(run.failures["x239"]) is Cancelled


@pytest.mark.slow
def test_what_cannot_be_stopped_is_called_abandoned():
    """As a sync tool is: the run goes on, and a warning says what still works."""

    async def main():
        inputs = {"stubborn": Stubborn(1.5), "zeros": [0] * 200_000}
        async with opened([], inputs=inputs, bounds=Bounds(seconds=0.1)) as session:
            add(session, "x = [len(zeros + zeros), stubborn == 1]\ny = 1 + 1")
            await session.drained()
            return session

    session = asyncio.run(main())
    failure = session.outcomes["x"]
    assert (failure.kind, session.abandoned_calls) == ("abandoned", 1)
    assert "more than 0.1 seconds (Bounds.seconds)" in failure.message
    assert session.outcomes["y"] == 2


@pytest.mark.slow
def test_many_light_expressions_let_the_loop_have_its_turn():
    """One after the other they take long; nothing else waits for all of them."""

    async def main():
        holds, last = [], time.perf_counter()
        async with opened([]) as session:
            add(session, "\n".join(f"x{n} = sum([i * i for i in range(400)])" for n in range(1500)))
            while session.schedule.unfinished:
                last = time.perf_counter()
                await asyncio.sleep(0)
                holds.append(time.perf_counter() - last)
            return session, holds

    session, holds = asyncio.run(main())
    assert len(session.values) == 1500
    assert len(holds) > 3


# ------------------------------------------------------------------- a heavy argument of a call with side effects


SLOW = f"{HEAVY} if slow == 1 else {HEAVY}"
"""Takes as long as `slow` says, on a thread."""


def send_it(argument, during=None, *, seconds=0.0, **options):
    """Send a value that is heavy to compute, and approve it; return the session, what was asked, and what was sent."""
    asked, sent = [], []

    @tool(side_effects=True)
    async def send(value: Any) -> Any:
        sent.append(value)
        return value

    async def ask(task: Any, shown: str) -> bool:
        asked.append(shown)
        if during is not None:
            during(session)
        return True

    async def main():
        nonlocal session
        async with opened([send], ask=ask, inputs={"slow": Stubborn(seconds)}, **options) as session:
            add(session, f"x = send({argument})")
            session.close()
            if seconds:
                await asyncio.sleep(seconds / 2)
                if during is not None:
                    during(session)
            await session.drained()
            await asyncio.sleep(seconds)
            return session

    session: Any = None
    return asyncio.run(main()), asked, sent


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["auto", "ask"])
@pytest.mark.parametrize("value", ["1", HEAVY])
def test_a_heavy_expression_above_a_side_effect_does_not_let_it_happen_twice(value, rule):
    """It ends the turn of the loop before the call is held for the end of the plan, which comes in the same moment."""
    asked, sent = [], []

    @tool(side_effects=True)
    async def mail(value: int) -> None:
        """Send a mail."""
        sent.append(value)
        await asyncio.sleep(0.01)

    async def ask(task, shown):
        asked.append(shown)
        return True

    async def main():
        async with opened([mail, same], approve=rule, ask=ask, max_concurrency=1) as session:
            add(session, f"w = {HEAVY}\nx = mail({value})\ny = same(2)\n")
            session.close()
            async with asyncio.timeout(10):
                await session.drained()
            return session

    session = asyncio.run(main())
    assert len(sent) == 1
    assert len(asked) == (rule == "ask")
    assert (session.schedule.free, set(states(session).values())) == (1, {"done"})


def test_who_approves_a_heavy_argument_sees_its_value():
    """It is computed before anybody is asked, and the call is made once."""
    session, asked, sent = send_it(HEAVY)
    assert (asked, sent) == ([str(VALUE)], [VALUE])
    assert len(told(session, TaskStarted)) == 1
    assert states(session) == {"x": "done"}


@pytest.mark.slow
def test_a_stop_while_a_heavy_argument_is_computed_sends_nothing():
    """Nobody is asked anymore, and nothing is sent later, when the thread has its value."""
    session, asked, sent = send_it(SLOW, lambda session: session.cancel(), seconds=0.4)
    assert (asked, sent) == ([], [])
    assert states(session) == {"x": "cancelled"}


@pytest.mark.slow
def test_a_stop_after_a_heavy_argument_was_approved_sends_nothing():
    """The value is computed again when the call starts; the stop comes before that is there."""

    def stop(session: Any) -> None:
        session.loop.call_later(0.02, session.cancel)

    session, asked, sent = send_it("sum([i * i for i in range(100000)])", stop)
    assert (len(asked), sent) == (1, [])
    assert states(session) == {"x": "cancelled"}


@pytest.mark.slow
def test_a_heavy_argument_that_takes_too_long_is_neither_asked_for_nor_sent():
    """The error names the bound."""
    session, asked, sent = send_it(SLOW, seconds=0.5, bounds=Bounds(seconds=0.1))
    assert (asked, sent) == ([], [])
    assert "(Bounds.seconds)" in session.outcomes["x"].message
    assert states(session) == {"x": "failed"}


# ------------------------------------------------------------------- without threads


def alone(program, tools=(same,), **options):
    """Perform a program without threads."""

    async def main():
        runners = make_runners(asyncio.get_running_loop(), 8, threads=False)
        async with opened(tools, runners=runners, **options) as session:
            add(session, program)
            session.close()
            await session.drained()
            return session

    return asyncio.run(main())


TABLE = pytest.importorskip("pandas").DataFrame({"a": range(300_000), "b": 1.0})
STEPS = "takes more than 50,000 steps, the most without threads: use a tool"
CELLS = "a table has 600,000 cells, more than 500,000, the most without threads: use a tool"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("x = [i for i in range(60000)]", STEPS),
        ("x = same([i for i in range(60000)])", STEPS),
        ("x = same(1) if [i for i in range(60000)] else None", STEPS),
        ("x = [same(i) for i in range(101)]", "goes over more than 100 items (Bounds.items): use a tool, or raise it"),
        ("x = [same(i) for i in [j for j in range(60000)]]", STEPS),
        ("x = ['x' * 900000 for i in range(20)]", "makes more than 10,000,000 bytes, the most without threads"),
        ("x = df['a']", CELLS),
        ("x = df.a", CELLS),
        ("x = df.mean()", CELLS),
        ("x = df + 1", CELLS),
        ("x = -df", CELLS),
        ("x = df == 1", CELLS),
        ("x = f'{df}'", CELLS),
        ("x = sum(df)", CELLS),
        ("x = [i for i in df]", CELLS),
    ],
)
def test_where_there_are_no_threads_sizes_are_bounded(program, said):
    """Nothing could stop it, and all else would wait; settings cannot raise these bounds."""
    bounds = Bounds(items=100, steps=10_000_000, bytes=10**9)
    session = alone(program, inputs={"df": TABLE}, bounds=bounds)
    outcome = next(outcome for outcome in session.outcomes.values() if isinstance(outcome, Failure))
    assert said in outcome.message


@pytest.mark.slow
def test_where_there_are_no_threads_what_is_small_is_computed():
    """Tables, too."""
    program = (
        "a = len([i for i in range(10000)])\nb = df['b'].sum()\nc = [same(i) for i in range(a)]\nd = len(df) + len(big)"
    )
    session = alone(program, inputs={"df": TABLE[:1_000], "big": TABLE})
    assert (session.values["a"], session.values["b"], len(session.values["c"])) == (10_000, 1_000.0, 10_000)
    assert session.values["d"] == 301_000
