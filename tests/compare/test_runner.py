from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
import weakref

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import HistoryError, NoModel, ProviderUnavailable
from compiler_nb.history import History
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.run import Run
from compiler_nb.settings.budget import Budget
from compiler_nb.tool import tool
from tests.support.desk import Desk

COVERS = ["doors.py", "store.py", "cells.py", "ways.py"]
PLAN = "a = get(1)\nb = get(2)\nanswer(a + b)\n"
OTHER = "a = get(1)\nanswer(a)\n"


def says(text, name="scripted", **more):
    """Return a model that writes one plan for all questions; the name is the one that it is known by."""
    return ScriptedModel({"planner": text, **more}, name=name)


def asks(desk=None, model=None, **settings):
    """Return a compiler whose planner writes PLAN."""
    return Compiler(model or says(PLAN), (desk or Desk()).tools, **settings)


def is_asked(question, request):
    """Whether a request is about a question."""
    return question in request.messages[-1]["content"]


async def until(happened):
    """Wait until something has happened."""
    while not happened():  # noqa: ASYNC110 - what a test waits for has no event
        await asyncio.sleep(0.01)


def compare(compiler, *given, **settings):
    """Return the grid of a comparison."""
    return asyncio.run(compiler.compare(*given, **{"progress": False, **settings}))


def equal(question, answer, expected):
    """Score 1 if the answer is what was expected."""
    return float(answer == expected)


# -------------------------------------------------------------------- what is found


def test_a_user_compares_two_prompts_and_reads_score_stability_and_cost():
    """Each variant asks each question so many times; the table says what came of it."""
    other = says(OTHER, "other")
    grid = compare(asks(), [("one?", 3), ("two?", 1)], {"base": {}, "other": {"planner": other}}, repeat=3, score=equal)
    assert (grid.status, grid.total, len(grid.cells)) == ("done", 12, 12)
    base, changed = grid.summary["base"], grid.row("other", 1)
    assert (base.score.mean, round(base.score.spread, 2), base.stability) == (0.5, 0.55, 1.0)
    assert (changed.score.mean, changed.tasks.mean, changed.width.mean, changed.answer) == (1.0, 1, 1, 1)
    assert base.tokens.mean > 0
    assert base.cost == 0
    assert len(other.calls) == 6
    assert grid.answers == {"base": [3] * 6, "other": [1] * 6}


def test_each_cell_opens_its_run():
    """By variant, question and repetition; what there is not is named."""
    grid = compare(asks(), ["one?", "two?"], repeat=2)
    assert grid["base", 1, 1].question == "two?"
    assert grid["base", 1].id != grid["base", 1, 1].id
    assert isinstance(grid["base"], Run)
    with pytest.raises(KeyError, match="its variants are base; questions 0 to 1, repetitions 0 to 1"):
        grid["bse", 0, 0]


def test_stability_is_the_share_of_the_commonest_plan():
    """Names and the order of independent lines do not count, nor does a run without a plan."""
    plans = [PLAN, "y = get(2)\nx = get(1)\nanswer(x + y)\n", OTHER, "nonsense(", "nonsense("]
    grid = compare(asks(model=ScriptedModel({"planner": plans}), max_repairs=0), "one?", repeat=5, max_concurrency=1)
    assert grid.row("base", 0).stability == 2 / 5
    assert grid.row("base", 0).answered == 3


def test_the_learned_shapes_are_those_of_the_start():
    """No run of a grid is told what another one found, not even when the grid goes on later."""
    desk, model = Desk(), says("a = get({'max': 1})\nanswer(a)\n")
    compiler = asks(desk, model)
    compare(compiler, ["one?", "two?"], max_concurrency=1)
    compare(compiler, ["one?", "two?", "three?"], max_concurrency=1)
    assert len(model.calls) == 3
    assert len({request.messages[0]["content"] for request in model.calls}) == 1
    asyncio.run(compiler.run("four?"))
    assert model.calls[0].messages[0] != model.calls[3].messages[0]


def test_map_answers_many_questions_with_failures_inside():
    """The runs come in order, some at a time."""
    desk = Desk()
    model = ScriptedModel({"planner": lambda asked: "a = fail(1)\nanswer(a)\n" if is_asked("two?", asked) else PLAN})
    runs = asyncio.run(asks(desk, model).map(["one?", "two?", {"question": "three?"}], max_concurrency=2))
    assert [run.question for run in runs] == ["one?", "two?", "three?"]
    assert [run.status for run in runs] == ["done", "failed", "done"]
    assert [run.answer for run in asks().map_sync(["one?"])] == [3]
    with pytest.raises(NoModel):
        Compiler().map_sync(["one?"])
    with pytest.raises(ValueError, match="max_concurrency must be a whole number"):
        asks().map_sync(["one?"], max_concurrency=0)


# -------------------------------------------------------------------- what is wrong


def test_all_that_is_wrong_is_told_before_anything_runs():
    """Questions, variants and settings together."""
    compiler = asks()
    with pytest.raises(ValueError, match="repeat") as told:
        compare(
            compiler, ["one?", 3], {"base": {}, "hot": {"temprature": 0}, "no": 3, "odd": {"max_replans": -1}},
            repeat=0, score=1, approve="ask", budget=3, max_concurrency=0,
        )  # fmt: skip
    for each in (
        "repeat must be a whole number from 1, not 0", "max_concurrency must be", "budget must be a Budget",
        "approve='ask' asks for each run of a grid", "score must be a function", "question 1 must be a text",
        "variant 'hot': there is no setting 'temprature'. Did you mean 'temperature'?",
        "variant 'no' must be a dict", "variant 'odd': max_replans must be a whole number from 0, not -1",
    ):  # fmt: skip
        assert each in str(told.value)
    assert compiler.settings.planner.calls == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"variants": {}}, "variants must be a dict"),
        ({"variants": {"": {}}}, "the name of a variant must be a text"),
        ({"variants": {"a": {}, "b": {"max_replans": 2}}}, "the variants 'a' and 'b' have the same settings"),
        ({"variants": {"a": {"approve": "auto"}}}, "approve: it is given to compare"),
        ({"variants": {"a": {"history": "x.db"}}}, "history: a grid keeps its runs in one history"),
        ({"variants": {"a": {"planner": "nope:x"}}}, "variant 'a': there is no provider 'nope'"),
        ({"variants": {"a": {"temperature": 0}}}, "scripted:scripted takes no such parameters"),
        ({"variants": {"a": {"planner_prompt": "no slots"}}}, "variant 'a': prompts"),
        ({"budget": Budget(replans=1)}, "max_replans is a setting of a variant"),
        ({"approve": "maybe"}, "approve must be 'deny' or 'auto'"),
    ],
)
def test_what_is_wrong_with_a_grid_is_named(settings, told):
    """Each with its fix."""
    with pytest.raises(ValueError, match=told):
        compare(asks(), "one?", **settings)


def test_a_grid_without_a_model_names_the_ways_to_one():
    """As a run does."""
    with pytest.raises(ValueError, match=r"^no model is set") as told:
        compare(Compiler(), "one?", variants={"a": {}, "b": {"max_replans": 0}})
    assert str(told.value).count("no model is set") == 1  # it is long
    with pytest.raises(ValueError, match=r"^variant 'a' and 'b': no model is set"):
        compare(
            Compiler(), "one?", variants={"a": {}, "b": {"max_replans": 0}, "c": {"model": asks().settings.planner}}
        )


def test_a_scorer_that_fails_is_a_cell_and_not_the_end():
    """An exception, a text and NaN are named; runs without an answer are not scored; scorers may be async."""
    found = iter(["text", float("nan"), True])

    def odd(question, answer, expected):
        if question == "two?":
            raise LookupError("no such key")
        return next(found)

    grid = compare(asks(), ["one?", "two?"], repeat=3, score=odd, max_concurrency=1)
    assert [cell.score for cell in grid.repetitions("base", 0)] == [None, None, 1.0]
    assert [cell.unscored for cell in grid.repetitions("base", 0)][:2] == [
        'the scorer returned "text", not a finite number', "the scorer returned nan, not a finite number",
    ]  # fmt: skip
    assert grid.row("base", 1).unscored == "the scorer raised LookupError: no such key"
    assert "1.00 (1 of 6)" in str(grid)

    async def later(question, answer, expected):
        await asyncio.sleep(0)
        return 0.5

    assert compare(asks(), "one?", score=later).row("base", 0).score.mean == 0.5
    failing = compare(asks(model=says("a = fail(1)\nanswer(a)\n")), "one?", score=equal)
    assert failing.row("base", 0).unscored == "no answer"


# -------------------------------------------------------------------- side effects


def test_side_effects_are_denied_unless_the_user_allows_them():
    """N repetitions never send a mail N times in silence."""
    desk = Desk()
    compiler = asks(desk, says("a = send(1)\njoin(a)\n", joiner="fine"), approve="auto")
    grid = compare(compiler, "one?", repeat=3)
    assert desk.asked("send") == []
    assert "side effects are denied in a grid: send; approve='auto' makes them in each run" in grid.notes
    compare(compiler, "one?", repeat=3, approve="auto")
    assert desk.asked("send") == [1, 1, 1]


# -------------------------------------------------------------------- budget, interrupts


def test_a_grid_that_overruns_its_budget_stops_with_what_is_done():
    """It says so; the same call goes on."""
    model = says(PLAN)
    compiler = asks(model=model)
    grid = compare(compiler, [f"{n}?" for n in range(20)], budget=Budget(calls=7))
    assert (grid.status, len(grid.cells), len(model.calls)) == ("limit", 7, 7)
    assert "the grid's budget of 7 calls of models is used up; the same call goes on with it" in str(grid)
    grid = compare(compiler, [f"{n}?" for n in range(20)])
    assert (grid.status, grid.taken, len(model.calls), grid.error) == ("done", 7, 20, "")


def test_a_run_that_the_budget_cuts_off_is_no_result():
    """A worker that is refused a call leaves an answer that measures nothing."""
    model = says("a = llm('x')\nanswer(1)\n", worker="fine")
    grid = compare(asks(model=model), ["one?", "two?"], budget=Budget(calls=3), max_concurrency=1)
    assert (len(model.calls), len(grid.cells), grid.status) == (3, 1, "limit")
    used = grid.row("base", 0).tokens.mean
    grid = compare(asks(model=says(PLAN)), [f"{n}?" for n in range(20)], budget=Budget(tokens=int(used)))
    assert 0 < len(grid.cells) < 20
    assert "tokens is used up" in grid.error


@pytest.mark.slow
def test_a_grid_may_take_so_many_seconds():
    """What has not ended by then is cancelled."""
    desk = Desk()
    model = ScriptedModel({"planner": lambda asked: PLAN if is_asked("one?", asked) else "a = wait(1)\nanswer(a)\n"})
    grid = compare(asks(desk, model), ["one?", "two?"], budget=Budget(seconds=0.5))
    assert (grid.status, len(grid.cells), desk.working) == ("limit", 1, 0)
    assert "the grid took longer than 0.5 s" in grid.error


def test_an_interrupted_grid_keeps_what_is_done():
    """It is `compiler.grid`; nothing of it works on; the same call goes on."""
    desk = Desk()
    model = ScriptedModel({"planner": lambda asked: PLAN if is_asked("one?", asked) else "a = wait(1)\nanswer(a)\n"})
    compiler = asks(desk, model)

    async def interrupted():
        task = asyncio.create_task(compiler.compare(["one?", "two?"], progress=False))
        await until(lambda: desk.working and compiler.grid.cells)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert (compiler.grid.status, len(compiler.grid.cells), desk.working) == ("cancelled", 1, 0)
    desk.gate = None
    desk.open()
    assert compare(compiler, ["one?", "two?"]).taken == 1
    assert len(model.calls) == 3


def test_the_stop_button_stops_a_grid_that_is_waited_for():
    """As `runner.stop` does, from any thread."""
    desk = Desk()
    compiler = asks(desk, says("a = wait(1)\nanswer(a)\n"))

    async def stopped():
        await until(lambda: desk.working)
        await asyncio.to_thread(runner.stop)

    runner = compiler.prepare("one?")

    async def both():
        await asyncio.gather(runner.perform(), stopped())

    asyncio.run(both())
    assert (compiler.grid.status, len(compiler.grid.cells), desk.working) == ("cancelled", 0, 0)
    assert "(cancelled: stopped; the same call goes on with it)" in compiler.grid.heading


def test_an_interrupt_of_a_grid_that_is_waited_for_keeps_what_is_done():
    """It is raised, the last look at the grid is shown, and the same call goes on."""
    desk, looks = Desk(), []
    model = ScriptedModel({"planner": lambda asked: PLAN if is_asked("one?", asked) else "a = wait(1)\nanswer(a)\n"})
    compiler = asks(desk, model)

    def interrupt():
        while not (desk.working and compiler.grid.cells):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        compiler.compare_sync(["one?", "two?"], progress=lambda grid: looks.append((grid.status, len(grid.cells))))
    assert looks[-1] == ("cancelled", 1)
    assert compiler.grid["base", 0].answer == 3


# -------------------------------------------------------------------- what is kept


def test_the_same_call_does_only_what_is_missing_after_a_restart(tmp_path):
    """A history has the cells; another question, another repetition, a changed tool or prompt are missing."""
    path, models = tmp_path / "runs.db", [says(PLAN) for _ in range(5)]

    def again(model, questions, desk=None, tools=None, **settings):
        with History(path) as history:
            compiler = Compiler(model, tools or (desk or Desk()).tools, history=history)
            grid = compare(compiler, questions, **settings)
            return grid, [grid["base", 0].answer, grid["base", 0].question]

    again(models[0], ["one?", "two?"], repeat=2)
    grid, opened = again(models[1], ["one?", "two?"], repeat=2)
    assert (len(models[0].calls), len(models[1].calls), grid.taken, grid.status) == (4, 0, 4, "done")
    assert opened == [3, "one?"]
    grid, _ = again(models[2], ["two?", "one?", "three?"], repeat=3)
    assert (grid.taken, len(models[2].calls)) == (4, 5)

    @tool
    async def get(x: int) -> int:
        """Return it."""
        return x + 0

    grid, _ = again(models[3], ["one?"], tools=[get])
    assert (grid.taken, len(models[3].calls)) == (0, 1)
    grid, _ = again(models[4], ["one?"], tools=[get], fresh=True)
    assert (grid.taken, len(models[4].calls)) == (0, 1)


def test_a_grid_without_a_history_says_so():
    """It is known in this process only."""
    assert "no history is set: this grid can be gone on with in this process only" in str(compare(asks(), "one?"))


def test_another_scorer_scores_what_is_kept_and_runs_nothing(tmp_path):
    """So does another expected answer; without a scorer there is no score."""
    model = says(PLAN)
    compiler = asks(model=model, history=tmp_path / "runs.db")
    assert compare(compiler, [("one?", 3)], score=equal).row("base", 0).score.mean == 1
    assert compare(compiler, [("one?", 4)], score=equal).row("base", 0).score.mean == 0
    grid = compare(compiler, [("one?", 4)], score=lambda asked, answer, expected: answer / expected)
    assert grid.row("base", 0).score.mean == 0.75
    assert compare(compiler, "one?").row("base", 0).score is None
    assert len(model.calls) == 1


@pytest.mark.slow
def test_a_model_that_did_not_answer_is_asked_again_the_next_time(tmp_path):
    """A fault of the provider's is no result of the prompt; a plan that is none is."""
    model = ScriptedModel({"planner": [ProviderUnavailable("down")] * 3 + ["nonsense("] + [PLAN]})
    compiler = asks(model=model, history=tmp_path / "runs.db", max_repairs=0)
    grid = compare(compiler, "one?")
    assert (grid.row("base", 0).answered, grid.repetitions("base", 0)[0].passing) == (0, True)
    grid = compare(compiler, "one?")
    assert (grid.taken, grid.repetitions("base", 0)[0].passing) == (0, False)
    assert compare(compiler, "one?").taken == 1


def test_a_cache_answers_no_repetition_from_another_one(tmp_path):
    """Or every plan would be stable."""
    model = says(PLAN)
    compiler = asks(model=model, history=tmp_path / "runs.db", cache="all")
    compare(compiler, "one?", repeat=3)
    assert len(model.calls) == 3
    compare(compiler, "one?", repeat=3, fresh=True)
    assert len(model.calls) == 3


def test_a_history_that_cannot_be_read_is_told_before_anything_runs(tmp_path):
    """One of another program, or of a newer version."""
    path = tmp_path / "runs.db"
    path.write_text("this is no history, and is longer than the head of one" * 10)
    model = says(PLAN)
    with pytest.raises(HistoryError, match=r"runs\.db"):
        compare(asks(model=model, history=path), "one?")
    assert model.calls == []


@pytest.mark.slow
def test_a_thousand_cells_are_not_a_thousand_runs(tmp_path):
    """What a history has is not held; the cells are plain data, and each still opens its run."""
    held = weakref.WeakSet()
    compiler = asks(history=tmp_path / "runs.db")
    begin = compiler._variant

    def noted(arguments):
        made = begin(arguments)
        inner = made.begin

        def begin_noted(*given, **more):
            run, work = inner(*given, **more)
            held.add(run)
            return run, work

        made.begin = begin_noted
        return made

    compiler._variant = noted
    grid = compare(compiler, [f"{n}?" for n in range(25)], repeat=4, max_concurrency=8)
    compiler.settings.planner.calls.clear()
    gc.collect()
    assert len(grid.cells) == 100
    assert len(held) <= 8
    assert grid["base", 24, 3].answer == 3


def test_a_run_that_was_cancelled_is_no_result_and_the_next_call_makes_it():
    """Whoever ends one run of a grid does not find it in the table."""
    compiler = asks()
    runner = compiler.prepare(["one?", "two?"])
    cancelled = []

    def cancel_first():
        for run in runner.running.values():
            if not cancelled:
                cancelled.append(run)
                run.cancel()

    runner.changed = cancel_first
    asyncio.run(runner.perform())
    assert (cancelled[0].status, len(runner.grid.cells)) == ("cancelled", 1)
    again = compare(compiler, ["one?", "two?"])
    assert (again.taken, len(again.cells), again.status) == (1, 2, "done")
