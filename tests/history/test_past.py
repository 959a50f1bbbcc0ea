"""Going on with a run that did not finish, and running a finished one's plan again."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import HistoryError, NoModel, RunClaimed
from compiler_nb.events import ModelStarted, TaskPlanned, Warned
from compiler_nb.history import History
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import Failure
from compiler_nb.tool import tool
from tests.support.desk import Desk, Pieces, begin, planner_of, run, scripted, texts
from tests.support.stored import until

# a -> b -> c*      rows = [r0 r1 r2*]
PLAN = 'a = get("x")\nb = nap(a)\nrows = [get(n) for n in [1, 2]]\nc = wait(b)\nd = get(c)\nanswer([d, rows])\n'


async def stopped(compiler: Compiler, desk: Desk, inputs=None):
    """Return a run that was cancelled while `wait` waited."""
    found, work = begin(compiler, "What?", inputs=inputs)
    task = asyncio.create_task(work)
    await until(lambda: desk.working)
    found.cancel()
    await task
    return found


def resumed(compiler: Compiler, desk: Desk, stored, inputs=None):
    """Return a run resumed after its tools were let go on, and the calls that this made."""
    desk.open()
    desk.calls.clear()
    desk.gate = None
    again = asyncio.run(compiler.resume(stored, inputs=inputs))
    return again, sorted(name for name, _ in desk.calls)


@pytest.mark.parametrize("stored", [True, False])
def test_only_what_had_not_finished_runs(tmp_path, stored):
    """From the file in another session, or from the Run in the same one without a history; no model is asked again."""
    desk = Desk()
    history = History(tmp_path / "runs.db") if stored else None
    old = asyncio.run(stopped(planner_of(PLAN, desk=desk, history=history), desk))
    assert old.status == "cancelled"
    compiler = planner_of("answer(0)\n", desk=desk, history=history)
    again, calls = resumed(compiler, desk, old.id if stored else old)
    assert (again.status, again.answer, calls) == ("done", ["x", [1, 2]], ["get", "wait"])
    assert not [event for event in again.events if isinstance(event, ModelStarted)]
    assert (again.order.past.parent, again.question) == (old.id, "What?")
    if history is not None:
        assert [row.status for row in history.runs()] == ["done", "cancelled"]
        history.close()


def test_a_plan_that_was_being_written_is_asked_for_again(tmp_path):
    """What it had released and is done is adopted by equal tasks of the new plan; the k-th by the k-th."""
    desk, calls = Desk(), []

    @tool
    async def count(x: int) -> int:
        """Count the calls."""
        calls.append(x)
        return len(calls)

    async def stop():
        await until(lambda: len(calls) == 3)
        runs[0].cancel()
        await asyncio.sleep(1)

    tools = [*desk.tools, count]
    with History(tmp_path / "runs.db") as history:
        compiler = Compiler(
            None, tools, planner=Pieces(["a = count(1)\nb = count(1)\nc = count(2)\n", stop]), history=history
        )
        runs = []

        async def main():
            found, work = begin(compiler, "What?")
            runs.append(found)
            await work

        asyncio.run(main())
        done = runs[0].results
        model = scripted("x = count(1)\ny = count(2)\nz = count(1)\nw = count(1)\nanswer([x, y, z, w])\n")
        again = asyncio.run(Compiler(None, tools, planner=model, history=history).resume(runs[0].id))
    assert again.answer == [done["a"], done["c"], done["b"], 4]
    assert calls == [1, 1, 2, 1]
    assert len(model.calls) == 1


def test_other_code_or_other_inputs_run_anew(tmp_path):
    """A tool whose code changed, a table with another content; what they feed, too; the rest is adopted."""
    import pandas as pd

    calls = []

    def tools(*, changed: bool):
        @tool
        async def total(table: object) -> float:
            """Sum it up."""
            calls.append("total")
            return float(table["x"].sum())

        @tool
        async def first(x: float) -> float:
            """Compute."""
            calls.append("first")
            return x + 1

        @tool(name="first")
        async def other(x: float) -> float:
            """Compute otherwise."""
            calls.append("other")
            return x + 2

        desk = Desk()
        return desk, [total, other if changed else first, *desk.tools]

    plan = "t = total(df)\nf = first(t)\ng = first(1)\nw = wait(f)\nanswer([t, f, g, w])\n"
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    with History(tmp_path / "runs.db") as history:
        desk, offered = tools(changed=False)
        first = Compiler(None, offered, planner=scripted(plan), history=history)
        old = asyncio.run(stopped(first, desk, {"df": frame}))
        assert sorted(calls) == ["first", "first", "total"]
        for changed, inputs, expected, answer in [
            (False, None, [], [3.0, 4.0, 2.0, 4.0]),
            (False, {"df": frame.copy()}, [], [3.0, 4.0, 2.0, 4.0]),
            (False, {"df": frame * 2}, ["first", "total"], [6.0, 7.0, 2.0, 7.0]),
            (True, None, ["other", "other"], [3.0, 5.0, 3.0, 5.0]),
        ]:
            calls.clear()
            desk, offered = tools(changed=changed)
            desk.open()
            again = asyncio.run(Compiler(None, offered, history=history).resume(old.id, inputs=inputs))
            assert (sorted(calls), again.answer) == (expected, answer)


def test_a_value_that_was_not_stored_is_computed_anew_where_it_is_needed(tmp_path):
    """By a tool without side effects; one that nothing reads any more is left alone."""
    made, desk = [], Desk()

    @tool
    async def thing(x: int) -> object:
        """Return something that cannot be stored."""
        made.append(x)
        return lambda: x

    @tool
    async def use(x: object) -> int:
        """Use it."""
        return x()

    plan = "a = thing(1)\nb = thing(2)\nu = use(b)\nw = wait(u)\nv = use(a)\nanswer([u, v, w])\n"
    with History(tmp_path / "runs.db") as history:
        old = asyncio.run(
            stopped(Compiler(None, [thing, use, *desk.tools], planner=scripted(plan), history=history), desk)
        )
        assert old["v"] == 1
        made.clear()
        with_lost = planner_of(desk=desk, history=history)
        with_lost = Compiler(None, [thing, use, *desk.tools], history=history)
        again, _ = resumed(with_lost, desk, old.id)
        assert (again.answer, made) == ([2, 1, 2], [])
        again = asyncio.run(with_lost.rerun(old.id, start="u"))
        assert (again.answer, made) == ([2, 1, 2], [2])


def test_a_side_effect_whose_end_is_unknown_is_shown_in_doubt_and_asked_for(tmp_path):
    """Denied where nobody is there, under auto too, and in a resume of the resume; done once a person says so."""
    sent, reached = [], []

    @tool(side_effects=True)
    async def send(x: str) -> str:
        """Send."""
        sent.append(x)
        reached.append(x)
        if len(sent) == 2:
            await asyncio.sleep(60)
        return f"sent {x}"

    async def cut():
        found, work = begin(compiler, "What?")
        task = asyncio.create_task(work)
        await until(lambda: len(sent) == 2)
        found.cancel()
        await task
        return found

    async def ask(task, arguments):
        reached.append(f"asked {task.id}")
        return True

    async def approved(stored):
        found, work = compiler.begin(compiler.order_resumed(compiler.recall(stored)), ask=ask)
        await work
        return found

    with History(tmp_path / "runs.db") as history:
        plan = 'a = send("one")\nb = send(f"{a}, two")\nc = send(f"{b}, three")\nanswer(c)\n'
        compiler = Compiler(None, [send], planner=scripted(plan), approve="auto", history=history)
        old = asyncio.run(cut())
        assert history.runs()[0].status == "cancelled"
        second = asyncio.run(compiler.resume(old.id))
        assert sent == ["one", "sent one, two"]
        assert second["a"] == "sent one"
        assert second.failures["b"].kind == "denied"
        assert [event.task for event in second.events if isinstance(event, Warned)] == ["b"]
        third = asyncio.run(compiler.resume(second.id))
        assert (len(sent), third.failures["b"].kind) == (2, "denied")
        last = asyncio.run(approved(third.id))
        assert (last.status, sent[2:]) == ("done", ["sent one, two", "sent sent one, two, three"])
        assert reached[2:] == ["asked b", "sent one, two", "sent sent one, two, three"]
        once_more = asyncio.run(compiler.resume(old.id))  # the first run again: what came of it since counts
        assert (len(sent), once_more.answer) == (4, last.answer)
        assert f"not repeated: done in round 1 of the run {last.id}" in once_more.why("b")


def test_a_side_effect_that_failed_is_not_repeated_in_silence(tmp_path):
    """A resume asks for it, for it may have done half of its work; `failed=True` is a word for it."""
    sent = []

    @tool(side_effects=True)
    async def send(x: str) -> str:
        """Fail at first."""
        sent.append(x)
        if len(sent) == 1:
            raise OSError("the line broke")
        return "sent"

    with History(tmp_path / "runs.db") as history:
        compiler = Compiler(
            None, [send], planner=scripted('a = send("x")\nanswer(a)\n'), approve="auto", history=history
        )
        old = run(compiler)
        again = asyncio.run(compiler.resume(old.id))
        assert (sent, again.failures["a"].kind) == (["x"], "denied")
        assert asyncio.run(compiler.rerun(old.id, failed=True)).answer == "sent"
        assert sent == ["x", "x"]


def test_a_round_that_was_decided_is_not_decided_again(tmp_path):
    """The joiner's wish for another plan stands, with what failed then; the next plan is asked for."""
    desk = Desk()
    plans = ('a = get("x")\nf = fail("y")\njoin()\n', 'w = wait("w")\nanswer([a, w])\n')
    joins = ["Action: Replan(try again)"]
    with History(tmp_path / "runs.db") as history:
        model = scripted(*plans, joiner=joins, replan=[plans[1]])
        old = asyncio.run(stopped(Compiler(model, desk.tools, history=history), desk))
        assert len(old.rounds) == 2
        again, calls = resumed(Compiler(None, desk.tools, history=history), desk, old.id)
    assert (again.answer, calls, len(again.rounds)) == (["x", "w"], ["wait"], 2)
    assert again.rounds[0].decision == old.rounds[0].decision


def test_a_given_plan_is_not_replaced_by_another(tmp_path):
    """It was cut off while its joiner was asked: the planner is not asked, whatever the joiner wants then."""
    desk = Desk()

    async def cut_off(compiler):
        found, work = begin(compiler, plan='a = get("x")\njoin()\n')
        task = asyncio.create_task(work)
        await until(lambda: any(isinstance(event, ModelStarted) for event in found.events))
        found.cancel()
        await task
        return found

    slow = ScriptedModel({"joiner": ["Action: Finish(1)"]}, ttft=30.0)
    old = asyncio.run(cut_off(Compiler(slow, desk.tools)))
    assert old.status == "cancelled"
    model = scripted("answer(0)\n", joiner=["Action: Replan(try again)"], replan=["answer(1)\n"])
    again, calls = resumed(Compiler(model, desk.tools), desk, old)
    assert (again.status, calls, [event.role for event in again.events if isinstance(event, ModelStarted)]) == (
        "limit", [], ["joiner"],
    )  # fmt: skip


def test_an_order_can_be_begun_again():
    """What an earlier run has left is there for each run of it."""
    desk = Desk()
    compiler = planner_of(PLAN, desk=desk)
    old = asyncio.run(stopped(compiler, desk))
    desk.open()
    desk.gate = None
    order, counts = compiler.order_resumed(old), []
    for _ in range(2):
        desk.calls.clear()
        found, work = compiler.begin(order)
        asyncio.run(work)
        counts.append((found.answer, sorted(name for name, _ in desk.calls)))
        desk.gate = None
    assert counts == [(["x", [1, 2]], ["get", "wait"])] * 2


@pytest.mark.parametrize("stored", [True, False])
def test_a_question_that_is_resumed_twice_may_replan(tmp_path, stored):
    """The run in the middle asked no model, but its plan had not been given either."""
    desk = Desk()
    history = History(tmp_path / "runs.db") if stored else None
    plan = "a = wait(1)\njoin()\n"
    old = asyncio.run(stopped(planner_of(plan, desk=desk, history=history), desk))

    async def again():
        found, work = (compiler := planner_of(plan, desk=desk, history=history)).begin(compiler.order_resumed(old))
        task = asyncio.create_task(work)
        await until(lambda: desk.working)
        found.cancel()
        await task
        return found

    desk.gate = None
    middle = asyncio.run(again())
    assert not [event for event in middle.events if isinstance(event, ModelStarted)]
    model = scripted("", joiner=["Action: Replan(more)", "Action: Finish(well)"], replan=["b = get(2)\njoin()\n"])
    found, _ = resumed(Compiler(model, desk.tools, history=history), desk, middle.id if stored else middle)
    assert (found.status, found.answer, len(found.rounds)) == ("done", "well", 2)
    if history is not None:
        assert not history.load(middle.id, []).order.executing
        history.close()


def test_what_cannot_be_resumed_says_why(tmp_path):
    """No history, no such run, one that goes on, an input that was not stored, no planner for a missing plan."""
    desk = Desk()
    with pytest.raises(HistoryError, match="no history to look for 'x' in"):
        asyncio.run(planner_of(desk=desk).resume("x"))
    with History(tmp_path / "runs.db") as history:
        compiler = planner_of("a = wait(thing)\nanswer(a)\n", desk=desk, history=history)
        with pytest.raises(HistoryError, match="there is no"):
            asyncio.run(compiler.resume("x"))

        async def running():
            found, work = begin(compiler, "What?", inputs={"thing": object})
            task = asyncio.create_task(work)
            await until(lambda: desk.working)
            with pytest.raises(RunClaimed, match="is still running: wait for its end, or cancel it"):
                await compiler.resume(found.id)
            found.cancel()
            await task
            return found

        old = asyncio.run(running())
        with pytest.raises(HistoryError, match="the input thing was not stored"):
            asyncio.run(compiler.resume(old.id))
        lost = run(planner_of("a = (\n", "a = (\n", desk=desk, history=history))
        with pytest.raises(NoModel):
            asyncio.run(Compiler(None, desk.tools, history=history).resume(lost.id))


# ------------------------------------------------------------------- again

AGAIN = (
    'a = get("x")\nb = get([a, 1])\nf = flaky(b)\nrows = [flaky(n) for n in [1, 2, 3]]\ng = nap(f)\nanswer([a, rows])\n'
)


@pytest.fixture
def finished(tmp_path):
    """A compiler, a desk, the odd numbers that fail, and a run of AGAIN in which some failed."""
    desk, bad = Desk(), {2, "x"}

    @tool
    async def flaky(x: object) -> object:
        """Fail for some."""
        desk.note("flaky", x)
        if (x if isinstance(x, int) else x[0]) in bad:
            raise ValueError(f"{x}")
        return x

    with History(tmp_path / "runs.db") as history:
        compiler = Compiler(None, [*desk.tools, flaky], planner=scripted(AGAIN), history=history)
        found = run(compiler)
        assert set(found.failures) == {"f", "rows", "g", "rows[1]"}
        desk.calls.clear()
        bad.clear()
        yield compiler, desk, found


@pytest.mark.slow
@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({"failed": True}, [("flaky", ["x", 1]), ("flaky", 2), ("nap", ["x", 1])]),
        ({"start": "f"}, [("flaky", ["x", 1]), ("nap", ["x", 1])]),
        ({"start": "f", "overrides": {"b": ["z", 2]}}, [("flaky", ["z", 2]), ("nap", ["z", 2])]),
        ({"start": "g", "overrides": {"f": 9}}, [("nap", 9)]),
        ({"start": "rows"}, [("flaky", 1), ("flaky", 2), ("flaky", 3)]),
    ],
)
def test_a_part_of_a_plan_is_run_again(finished, stored, options, calls):
    """What stands before it keeps its outcome; overridden values are pinned; a fan-out repeats failed items only."""
    compiler, desk, found = finished
    again = asyncio.run(compiler.rerun(found.id if stored else found, **options))
    assert sorted(desk.calls, key=repr) == sorted(calls, key=repr)
    assert again.order.past.parent == found.id
    assert [event.task for event in again.events if isinstance(event, TaskPlanned)] == ["a", "b", "f", "rows", "g"]


ITEMS = """xs = get([1, 2, 3])
rows = {n: pick(n) for n in xs}
pairs = [get([pick(n), n]) for n in xs]
more = [r + 1 for r in rows.values()]
answer([more, pairs])
"""


@pytest.mark.slow
@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    ("options", "calls", "answer"),
    [
        ({"start": "more", "overrides": {"rows[2]": 9}}, [], [[2, 10, 4], [[1, 1], [2, 2], [3, 3]]]),
        ({"start": "more", "overrides": {"rows[2]": 9, "rows[1]": 7}}, [], [[8, 10, 4], [[1, 1], [2, 2], [3, 3]]]),
        ({"start": "rows[3]"}, [("pick", 3)], [[2, 3, 4], [[1, 1], [2, 2], [3, 3]]]),
        ({"start": "pairs[1].1"}, [("get", [2, 2]), ("pick", 2)], [[2, 3, 4], [[1, 1], [2, 2], [3, 3]]]),
        (
            {"start": "more", "overrides": {"pairs[0].1": 5}},
            [("get", [5, 1])],
            [[2, 3, 4], [[5, 1], [2, 2], [3, 3]]],
        ),
        (
            {"overrides": {"rows[2]": 9, "pairs": []}},
            [("get", [1, 2, 3]), ("pick", 1), ("pick", 3)],
            [[2, 10, 4], []],
        ),
    ],
)
def test_one_item_of_a_fan_out_is_given_a_value_or_runs_again(tmp_path, stored, options, calls, answer):
    """The others keep their values, as far as nothing above them runs again."""
    desk = Desk()

    @tool
    def pick(n: int) -> int:
        """Return it."""
        desk.note("pick", n)
        return n

    tools = [pick, *desk.tools]
    with History(tmp_path / "runs.db") as history:
        compiler = Compiler(tools=tools, history=history)
        found = compiler.execute_sync(ITEMS)
        assert found.answer == [[2, 3, 4], [[1, 1], [2, 2], [3, 3]]]
        desk.calls.clear()
        again = compiler.rerun_sync(found.id if stored else found, **options)
    assert again.answer == answer
    assert sorted(desk.calls, key=repr) == sorted(calls, key=repr)


ROUNDS = (
    "rows = {n: pick(n) for n in [1, 2, 3]}\nmore = [r + 1 for r in rows.values()]\nk = get(7)\ni = get(8)\njoin()\n",
    "total = sum(more)\nk = get(7)\nx = flaky(total)\nanswer([x, k, len(rows)])\n",
)
"""The second round reads what exists of two fan-outs that failed in part, and repeats a line of the first."""


@pytest.mark.slow
@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    ("options", "calls", "answer"),
    [
        (None, [("flaky", 42)], [42, 7, 2]),
        ({}, [("flaky", 42), ("get", 7), *(("pick", n) for n in (1, 2, 3))], [42, 7, 2]),
        ({"start": "x"}, [("flaky", 42)], [42, 7, 2]),
        ({"start": "x", "overrides": {"k": 9}}, [("flaky", 42)], [42, 9, 2]),
        ({"failed": True}, [("flaky", 42), ("pick", 2)], [42, 7, 2]),
    ],
)
def test_a_round_that_reads_the_items_that_exist_is_run_again(tmp_path, stored, options, calls, answer):
    """A resume (no options) and a rerun go by the rounds of the run, so that the later one reads these items again."""
    desk, broken = Desk(), [True]

    @tool
    async def pick(n: int) -> int:
        """Fail for 2."""
        desk.note("pick", n)
        if n == 2:
            raise OSError("disk")
        return 10 * n

    @tool
    async def flaky(x: int) -> int:
        """Fail the first time."""
        desk.note("flaky", x)
        if broken:
            broken.clear()
            raise ValueError("flaky")
        return x

    with History(tmp_path / "runs.db") as history:
        model = scripted(*ROUNDS, joiner=["Replan: go on", "Replan: go on"])
        compiler = Compiler(model, [*desk.tools, pick, flaky], history=history, max_replans=1)
        found = run(compiler)
        assert (found.status, len(found.rounds)) == ("limit", 2)
        old = found.id if stored else found
        desk.calls.clear()
        again = asyncio.run(compiler.resume(old) if options is None else compiler.rerun(old, **options))
        assert (again.status, again.answer, sorted(desk.calls)) == ("done", answer, sorted(calls))
        assert (len(again.rounds), again.rounds[0].decision.reason) == (2, "go on")
        assert isinstance(again.partial("rows")[2], Failure)
        assert compiler.rerun_sync(again.id if stored else again, start="x").answer == answer


def test_the_planner_of_a_resumed_run_is_told_which_items_failed(tmp_path):
    """By their ids, as in the run that it goes on with."""
    with History(tmp_path / "runs.db") as history:
        plan = "rows = {n: fail(n) if n in (2, '2') else get(n) for n in [1, 2, '2']}\njoin()\n"
        model = scripted(plan, "answer(len(rows))\n", joiner=[OSError("gone"), "Replan: go on"])
        compiler = Compiler(model, Desk().tools, history=history)
        first = run(compiler)
        assert first.status == "failed"
        assert compiler.resume_sync(first.id).answer == 1
        (asked,) = texts(model, "replan")
        assert "rows[2]: " in asked
        assert "rows[2]#2: " in asked


def test_a_whole_plan_is_run_again(finished):
    """Without a model."""
    compiler, desk, found = finished
    again = compiler.rerun_sync(found)
    assert (again.status, again.answer) == ("done", ["x", [1, 2, 3]])
    assert len(desk.calls) == 7
    with pytest.raises(KeyError, match="no task 'q' in this run"):
        compiler.rerun_sync(found, start="q")
    assert compiler.resume_sync(again).answer == again.answer
    assert len(desk.calls) == 7


PRICES = "a = price('X')\nb = price('X')\nc = twice(b)\nanswer([a, b, c])"


@pytest.mark.parametrize(
    ("first", "edited", "answers"),
    [
        # asked twice for what was asked for once: the second price is another, and so is what is made of it
        (
            "a = price('X')\nb = twice(a)\nanswer([a, b])",
            "a = price('X')\nnow = price('X')\nc = twice(now)\nb = twice(a)\nanswer([a, b, now, c])",
            [[1, 2], [1, 2, 2, 4]],
        ),
        # the first of two is gone: the other gets its price, so what was made of its own is made again
        (PRICES, "b = price('X')\nc = twice(b)\nanswer([b, c])", [[1, 2, 4], [1, 2]]),
        (PRICES, "a = price('X')\nb = price('X')\nd = twice(a)\nc = twice(b)\nanswer([a, b, c, d])",
         [[1, 2, 4], [1, 2, 4, 2]]),
    ],
)  # fmt: skip
def test_what_is_taken_over_of_equal_calls_belongs_together(first, edited, answers):
    """Each price is of another moment, and what is made of a price is made of the one that the run shows."""
    prices, calls = itertools.count(1), []

    @tool
    async def price(name: str) -> int:
        """Return the price of this moment."""
        return next(prices)

    @tool
    async def twice(x: int) -> int:
        """Double it."""
        calls.append(x)
        return 2 * x

    compiler = Compiler(None, [price, twice])
    old = compiler.execute_sync(first)
    assert [old.answer, compiler.execute_sync(edited, source=old).answer] == answers
    assert len(calls) == 2, "what belongs together is taken over"
