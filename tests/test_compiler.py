import asyncio
import importlib
import inspect
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from types import SimpleNamespace

import pandas as pd
import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import NoModel, PlanError, RunFailed
from compiler_nb.events import ModelEnded, ModelStarted, RunStarted, TaskEnded, TaskStarted
from compiler_nb.models.base import Chunk
from compiler_nb.models.limits import _SHARED, Limit
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import Cancelled
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from compiler_nb.planner.requests import system_prompt
from compiler_nb.prompts import load
from compiler_nb.settings.budget import Budget
from compiler_nb.settings.settings import Settings
from compiler_nb.tool import Toolbox, tool
from tests.support.desk import Desk, Pieces, begin, planner_of, run, scripted, texts

PLAN = "a = get(1)\nb = get(a)\nanswer(b)\n"


# -------------------------------------------------------------------- doors


def test_without_a_model_there_is_no_run():
    """The error names the ways to one, before anything starts."""
    with pytest.raises(NoModel, match="no model is set"):
        run(Compiler())
    with pytest.raises(NoModel, match="no model is set"):
        asyncio.run(Compiler().plan("What?"))


@pytest.mark.parametrize("first", [tool(len), [tool(len)], run, {"len": len}])
def test_tools_in_the_place_of_the_model_are_told(first):
    """As somebody writes who has no model yet."""
    with pytest.raises(
        ValueError, match=r"tools come after the model: write Compiler\(model, \[weather\]\), or Compiler\(to"
    ):
        Compiler(first)


def test_a_compiler_shows_its_models_and_tools():
    """In one line, as the last line of a cell."""
    assert repr(Compiler(scripted(PLAN), [run])) == "<compiler: scripted:scripted; tools: run, llm, extract>"
    assert repr(Compiler()) == "<compiler: no model; tools: llm, extract>"


def test_a_plan_needs_no_model():
    """A Plan, or its text, is executed as it is; a text without a last line ends in join()."""
    desk = Desk()
    compiler = Compiler(tools=desk.tools)
    assert asyncio.run(compiler.execute("a = get(1)\nb = get(a)\n")).answer == {"a": 1, "b": 1}
    plan = Plan.parse("a = get(2)\njoin(a)\n", tools=desk.tools)
    found = asyncio.run(compiler.execute(plan))
    assert (found.status, found.answer, found.plan) == ("done", {"a": 2}, plan)


def test_a_text_that_is_no_plan_is_not_executed():
    """PlanError comes before the run."""
    desk = Desk()
    with pytest.raises(PlanError, match="nope"):
        asyncio.run(Compiler(tools=desk.tools).execute("a = get(1)\nb = nope(1)\n"))
    assert desk.calls == []


def test_a_plan_that_reads_what_is_not_there_is_not_executed():
    """A task of another round, or an input that is not given, is named before anything starts."""
    plan = Plan((Task("b", "call", "get", (Ref("ny"),)),))
    with pytest.raises(PlanError, match="b reads the task 'ny', which is not there"):
        asyncio.run(Compiler(tools=Desk().tools).execute(plan))
    plan = Plan.parse("a = get(df)\n", tools=Desk().tools, inputs=["df"])
    with pytest.raises(PlanError, match="a reads the input 'df'"):
        asyncio.run(Compiler(tools=Desk().tools).execute(plan))
    assert asyncio.run(Compiler(tools=Desk().tools).execute(plan, {"df": 3})).answer == {"a": 3}


def test_a_plan_can_be_had_without_running_it():
    """`plan` calls the planner, has problems repaired, and calls no tool."""
    desk = Desk()
    compiler = planner_of("a = nope(1)\n", PLAN, desk=desk)
    plan = asyncio.run(compiler.plan("What?"))
    assert [task.id for task in plan.tasks] == ["a", "b"]
    assert desk.calls == []
    with pytest.raises(PlanError, match="nix"):
        asyncio.run(planner_of("a = nope(1)\n", "a = nix(1)\n").plan("What?"))


def test_a_plan_that_comes_too_late_or_costs_too_much_is_an_error():
    """A limit is not a fault of the plan's."""
    for settings in ({"timeout": 0.05}, {"budget": Budget(calls=0)}):
        slow = ScriptedModel({"planner": PLAN}, ttft=9)
        with pytest.raises(RunFailed, match=r"longer than|is used up") as caught:
            asyncio.run(Compiler(slow, Desk().tools, **settings).plan("What?"))
        assert caught.value.run.status == "limit"


def test_the_sync_twins_do_the_same():
    """On our own loop, from a plain cell."""
    assert planner_of(PLAN).run_sync("What?").answer == 1
    assert planner_of(PLAN).plan_sync("What?").final.expression == Ref("b")
    assert Compiler(tools=Desk().tools).execute_sync("a = nap(3)\nanswer(a)\n").answer == 3


def test_help_shows_the_options_of_each_twin():
    """A door names its options once; its twin that waits has the same, with their defaults."""
    doors = [name for name in dir(Compiler) if name.endswith("_sync")]
    assert len(doors) == 7
    for name in doors:
        assert inspect.signature(getattr(Compiler, name)) == inspect.signature(getattr(Compiler, name[:-5]))


def test_a_setting_has_one_default():
    """Compiler takes more kinds of values than Settings holds, so both list the settings; their defaults agree."""
    made, plain = Compiler().settings, Settings()
    differ = {each.name for each in fields(Settings) if getattr(made, each.name) != getattr(plain, each.name)}
    assert differ == {"tools"}  # `llm` and `extract` are always offered


def test_the_sync_twins_work_where_a_loop_runs():
    """A notebook's cell has a running loop in its thread."""

    async def cell():
        return planner_of(PLAN).run_sync("What?")

    assert asyncio.run(cell()).answer == 1


def test_a_sync_twin_within_a_tool():
    """A sync tool may ask a compiler of its own; an async one gets a clear error, for it would stop the loop."""
    inner = planner_of("answer(1)\n", "answer(2)\n")

    @tool
    def sync_ask(x: int) -> int:
        return inner.run_sync("What?").answer

    @tool
    async def async_ask(x: int) -> int:
        return inner.run_sync("What?").answer

    found = Compiler(tools=[sync_ask, async_ask]).execute_sync("a = sync_ask(1)\nb = async_ask(1)\njoin()\n")
    assert found["a"] == 1
    assert "await the coroutine instead" in found.failures["b"].message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dialect": "yaml"}, "dialect must be 'auto' or 'python' or 'numbered' or 'json', not 'yaml'"),
        ({"approve": "sometimes"}, "approve must be"),
        ({"share": "some"}, "share must be"),
        ({"max_concurrency": 0}, "max_concurrency must be a whole number from 1, not 0"),
        ({"max_replans": -1}, "max_replans must be a whole number from 0"),
        ({"max_repairs": 1.5}, "max_repairs must be a whole number from 0"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"limits": {"openai": 5}}, "limits of openai: it is 5; give a Limit, or a dict with some of concurrency"),
        ({"limits": {"openai": {"rpm": 0}}}, "limits of openai: rpm is 0; give a whole number from 1"),
        ({"limits": {"openai": {"rps": 9}}}, "limits of openai: it is {'rps': 9}"),
        ({"prompts": {"worker": "Hi"}}, "a role in prompts must be 'planner' or 'joiner', not 'worker'"),
    ],
)
def test_a_wrong_setting_is_refused_at_once(settings, words):
    """With what it may be."""
    with pytest.raises(ValueError, match=words):
        Compiler(**settings)


def test_a_run_knows_its_beginning():
    """Question, tools, inputs by schema and models by role are its first event."""
    model = scripted(PLAN, joiner="ok")
    found = run(Compiler(None, Desk().tools, planner=model), inputs={"n": 1})
    first = found.events[0]
    assert isinstance(first, RunStarted)
    assert (first.question, first.inputs, first.models) == ("What?", {"n": "int"}, {"planner": "scripted:scripted"})
    assert {"get", "send", "llm", "extract"} <= set(first.tools)


class Small(ScriptedModel):
    """A model that asks for short prompts, and for numbered lines."""

    prompts, dialect = "small", "numbered"


def asked(model):
    """Return the requests to a model by role, the last of each."""
    return {request.role: request.messages for request in model.calls}


def test_a_small_model_is_asked_in_few_words_with_the_users_own_tools():
    """It may ask for that itself: short rules, examples as if they had been asked before, in the dialect it wants."""
    replies = {"planner": "1. get(7)\n2. join()", "replan": "2. get(8)\n3. join()", "joiner": ["Replan: more", "Both."]}
    model = Small(replies)
    compiler = Compiler(model, Desk().tools)
    found = run(compiler)
    assert (found.status, found.answer, found.results, compiler.settings.dialect) == (
        "done", "Both.", {"1": 7, "2": 8}, "numbered",
    )  # fmt: skip
    said = asked(model)
    system, *turns, last = said["planner"]
    assert (
        system["content"].partition("\n")[0]
        == system_prompt("numbered", Toolbox(), wording="small").text.partition("\n")[0]
    )
    assert [each["role"] for each in turns] == ["user", "assistant"] * (len(turns) // 2)
    for question, plan in zip(turns[::2], turns[1::2], strict=True):
        assert question["content"].startswith("Question: ")
        shown = Plan.parse(plan["content"], dialect="numbered", tools=compiler.settings.tools)
        assert {task.tool for task in shown.tasks} < {tool.name for tool in Desk().tools}
    assert last == {"role": "user", "content": "Question: What?"}
    assert said["replan"][-1]["content"].endswith("Write a plan for what is missing only.")
    assert said["joiner"][0]["content"] == load("small_joiner").text
    assert "the examples" in str(found.disclosed())


@pytest.mark.parametrize("prompts", ["full", {"planner": "full", "joiner": "full"}])
def test_a_user_may_ask_any_model_in_any_wording(prompts):
    """What is said in the settings goes before what the model asks for, for all roles or for one; so do own texts."""
    replies = {"planner": "a = get(7)\njoin(a)", "joiner": "7"}
    model = Small(replies)
    run(Compiler(model, Desk().tools, prompts=prompts, dialect="python"))
    assert "straight-line Python" in asked(model)["planner"][0]["content"]
    assert (len(asked(model)["planner"]), asked(model)["joiner"][0]["content"]) == (2, load("joiner").text)
    other = ScriptedModel(replies)
    run(Compiler(other, Desk().tools, prompts={"planner": "small", "joiner": "BRIEFLY"}))
    assert asked(other)["joiner"][0]["content"] == "BRIEFLY"
    assert "straight-line" not in asked(other)["planner"][0]["content"]
    own = Small({**replies, "planner": "1. get(7)\n2. join($1)"})
    examples = [("How?", "1. get(9)")]
    run(Compiler(own, Desk().tools, examples=examples))
    assert [each["content"] for each in asked(own)["planner"][1:3]] == ["Question: How?", "1. get(9)"]
    run(Compiler(own, Desk().tools, examples=examples, prompts={"planner": "{{rules}} {{tools}}{{examples}}"}))
    assert len(asked(own)["planner"]) == 2


def test_a_model_that_asks_for_prompts_that_there_are_not_is_refused():
    """Before anything is asked, with what there is."""
    model = Small([])
    model.prompts = "tiny"
    with pytest.raises(ValueError, match=r"planner\.prompts must be 'full' or 'small', not 'tiny'"):
        Compiler(model)
    with pytest.raises(ValueError, match="prompts must be 'auto', 'full' or 'small', or a dict"):
        Compiler(prompts="tiny")


def test_prompts_and_examples_replace_the_packages():
    """The user's own text reaches the model, with what it wants filled in."""
    model = scripted("a = get(1)\njoin(a)\n", joiner="ok")
    prompts = {"planner": "PLAN IT WITH {{ tools }}{{examples}}", "joiner": "JOIN IT"}
    run(Compiler(model, Desk().tools, prompts=prompts, examples=[("How?", "x = get(9)\n")]))
    (planner,), (joiner,) = texts(model, "planner"), texts(model, "joiner")
    assert planner.startswith("PLAN IT WITH get(x: Any) -> Any")
    assert "Question: How?\nx = get(9)" in planner
    assert joiner.startswith("JOIN IT\n")


# -------------------------------------------------------------------- inputs


class Table(list):
    """A list with a name."""


def test_inputs_are_offered_by_name_and_schema_only():
    """Neither contents nor other variables reach a planner's request, first or later; values pass by reference."""
    rows = pd.DataFrame({"town": ["CANARY1"], "price": [7.0]})
    nested = {"title": "CANARY2", "CANARY3 key": ["CANARY4"]}
    inputs = {"rows": rows, "nested": nested, "word": "CANARY5", "thing": Table(["CANARY6"])}
    got = []

    @tool
    def look(x: object) -> object:
        got.append(x)
        return x

    model = scripted(
        "a = look(rows)\nb = look(nested)\njoin()\n", "c = look(word)\nd = nope(1)\n",
        "c = look(word)\nd = look(thing)\nanswer(len(c))\n", joiner=["Replan: more"],
    )  # fmt: skip
    found = run(Compiler(model, [look]), inputs=inputs)
    assert found.answer == 7
    assert [any(value is each for each in inputs.values()) for value in got] == [True] * 4
    asked = "\n".join(texts(model, "planner", "replan", "repair"))
    assert "CANARY" not in asked
    assert asked.count("rows: DataFrame of 1 rows (town: ") == 3
    assert "a: DataFrame of 1 rows" in asked


def test_previews_are_shown_where_they_are_wanted():
    """`preview=True` shows the planner contents of results, in a replan only."""
    model = scripted('a = get("KANTON")\njoin()\n', "answer(a)\n", joiner=["Replan: more"])
    assert run(Compiler(model, Desk().tools, preview=True)).answer == "KANTON"
    assert "KANTON" in texts(model, "replan")[0].rpartition("Results so far")[2]


# -------------------------------------------------------------------- cancelling


@pytest.mark.parametrize("moment", range(24))
def test_a_run_can_be_cancelled_from_another_thread_at_any_moment(moment):
    """It ends as cancelled (or had ended), nothing of it still works, and what finished stays."""
    desk = Desk()
    plan = 'a = get("a")\nb = nap(a)\nc = wait(b)\nd = [get(x) for x in get([1, 2])]\nsend(c)\njoin(c, d)\n'
    model = ScriptedModel({"planner": plan, "joiner": "ok"}, tokens_per_second=20_000)
    found, work = begin(Compiler(model, desk.tools, approve="auto"), "What?", on_event=lambda event: at(event.seq))

    def at(seq):
        if seq == moment * 2:
            thread.start()

    thread = threading.Thread(target=found.cancel)

    async def main():
        opening = asyncio.get_running_loop().call_later(0.05, desk.open)
        await work
        opening.cancel()
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    left = asyncio.run(main())
    assert left == []
    assert desk.working == 0
    assert found.status == "cancelled" or thread.ident is None or found.answer == "ok"
    ended = {event.task for event in found.events if isinstance(event, TaskEnded)}
    assert ended == set(found.progress.tasks)
    calls = {event.call for event in found.events if isinstance(event, ModelStarted)}
    assert calls == {event.call for event in found.events if isinstance(event, ModelEnded)}


def test_a_run_that_is_cancelled_before_it_begins_does_nothing():
    """Its status says so."""
    desk = Desk()
    model = scripted(PLAN)
    found, work = begin(Compiler(None, desk.tools, planner=model), "What?")
    found.cancel()
    asyncio.run(work)
    assert (found.status, found.error) == ("cancelled", "the run was cancelled")
    assert (desk.calls, model.calls) == ([], [])


def test_a_cancelled_run_keeps_what_finished():
    """The rest is cancelled; the awaiting task goes on."""
    desk = Desk()

    async def main():
        found, work = begin(planner_of("a = get(1)\nb = wait(a)\nc = get(b)\njoin(c)\n", desk=desk), "What?")
        asyncio.get_running_loop().call_later(0.01, found.cancel)
        await work
        await asyncio.sleep(0)
        return found, asyncio.current_task().cancelling()

    found, cancelling = asyncio.run(main())
    assert (found.status, found.error, cancelling) == ("cancelled", "the run was cancelled", 0)
    assert found.results == {"a": 1}
    assert [type(end) for end in found.failures.values()] == [Cancelled, Cancelled]
    assert desk.working == 0


def test_cancelling_while_it_ends_changes_nothing():
    """A run that takes too long, and is cancelled while a stubborn tool gets its grace, ends as it was going to."""
    runs = []

    @tool
    async def stubborn(x: int) -> int:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            runs[0].cancel()  # now, while it ends
            await asyncio.sleep(0.01)
        return x

    async def main():
        found, work = begin(Compiler(tools=[stubborn], timeout=0.02), plan="a = stubborn(1)\n")
        runs.append(found)
        await work
        return found

    assert asyncio.run(main()).status == "limit"


def test_cancelling_an_ended_run_does_nothing():
    """Its status stays."""
    found = run(planner_of(PLAN))
    found.cancel()
    assert found.status == "done"


def test_a_cancellation_from_outside_is_raised():
    """`await compiler.run(...)` in a cancelled task drains the run and raises what cancelled it."""
    desk, runs = Desk(), []

    async def main():
        compiler = planner_of("a = get(1)\nb = wait(a)\njoin(b)\n", desk=desk)
        found, work = begin(compiler, "What?")
        runs.append(found)
        async with asyncio.timeout(0.02):
            await work

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert (runs[0].status, runs[0].results, desk.working) == ("cancelled", {"a": 1}, 0)


@pytest.mark.parametrize("role", ["planner", "joiner"])
def test_a_model_that_is_speaking_is_stopped(role):
    """The cancellation does not wait for its next piece."""
    desk = Desk()
    replies = {"planner": "a = get(1)\njoin(a)\n", "joiner": "never"}
    slow = ScriptedModel(replies, ttft=30)
    quick = ScriptedModel(replies)
    compiler = Compiler(quick if role == "joiner" else slow, desk.tools, joiner=slow)

    async def main():
        found, work = begin(compiler, "What?")
        asyncio.get_running_loop().call_later(0.02, found.cancel)
        await work
        return found

    began = time.perf_counter()
    found = asyncio.run(main())
    assert time.perf_counter() - began < 15  # of the model's 30
    assert (found.status, found.results) == ("cancelled", {"a": 1} if role == "joiner" else {})


# -------------------------------------------------------------------- interrupts, threads


def test_an_interrupt_of_the_waiting_thread_cancels_the_run():
    """KeyboardInterrupt in a tool that the waiting thread serves is raised there, and the run is cancelled."""
    desk, runs = Desk(), []

    @tool(thread="main")
    def interrupted(x: int) -> int:
        raise KeyboardInterrupt

    compiler = Compiler(tools=[*desk.tools, interrupted])
    begin = compiler.begin
    compiler.begin = lambda *args, **given: runs.append(begin(*args, **given)) or runs[0]
    with pytest.raises(KeyboardInterrupt):
        compiler.execute_sync("a = wait(1)\nb = interrupted(2)\njoin(a, b)\n")
    found = runs[0][0].wait(1)
    assert (found.status, desk.working) == ("cancelled", 0)
    assert isinstance(found.failures["a"], Cancelled)


def thread_tool():
    """Return a tool of the main thread that says where it ran."""

    @tool(thread="main")
    def where(x: int) -> bool:
        return threading.current_thread() is threading.main_thread()

    return where


def test_main_thread_tools():
    """The waiting cell serves them; an awaited run in the main thread does too."""
    compiler = Compiler(tools=[thread_tool()])
    plan = "a = where(1)\nanswer(a)\n"
    assert compiler.execute_sync(plan).answer is True
    assert asyncio.run(compiler.execute(plan)).answer is True


def test_main_thread_tools_of_a_run_within_a_run():
    """A tool that awaits another run has its tools of the main thread served by whoever waits outside."""
    inner = Compiler(tools=[thread_tool()])

    @tool
    async def ask(x: int) -> bool:
        return (await inner.execute("a = where(1)\nanswer(a)\n")).answer

    assert Compiler(tools=[ask]).execute_sync("a = ask(1)\nanswer(a)\n").answer is True


@pytest.mark.parametrize("door", ["await", "sync"])
def test_main_thread_tools_where_nobody_serves_the_main_thread(door):
    """On another thread, awaited or waited for, they fail with a clear word instead of running on the wrong thread."""
    compiler = Compiler(tools=[thread_tool()])
    plan = "a = where(1)\njoin(a)\n"
    work = (lambda: compiler.execute_sync(plan)) if door == "sync" else (lambda: asyncio.run(compiler.execute(plan)))
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(work).result(5)
    assert found.status == "failed"
    assert "where needs the main thread, and nothing serves it there" in found.failures["a"].message


# -------------------------------------------------------------------- several runs


def plan_for(request):
    """Write a plan that holds the question's number."""
    number = request.messages[-1]["content"].rpartition("Question: ")[2].strip()
    return f"a = nap({number})\nb = get(a)\nanswer([a, b])\n"


def test_runs_at_once_do_not_mix():
    """Fifty questions to one compiler: each gets its own answer, events and results."""
    compiler = Compiler(None, Desk().tools, planner=ScriptedModel({"planner": plan_for}))

    async def main():
        return await asyncio.gather(*(compiler.run(str(number)) for number in range(50)))

    for number, found in enumerate(asyncio.run(main())):
        assert found.answer == [number, number]
        assert found.results == {"a": number, "b": number}
        assert {event.run for event in found.events} == {found.id}
        assert [event.seq for event in found.events] == list(range(len(found.events)))


def test_runs_from_several_threads_do_not_mix():
    """`run_sync` is for any thread."""
    compiler = Compiler(None, Desk().tools, planner=ScriptedModel({"planner": plan_for}))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: compiler.run_sync(str(number)), range(24)))
    assert [each.answer for each in found] == [[number, number] for number in range(24)]


class Crowd:
    """A model that counts how many calls it serves at a time."""

    provider = name = "crowd"

    def __init__(self):
        self.now = self.most = 0

    async def stream(self, request):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.002)
        self.now -= 1
        yield Chunk("answer(1)\n", "stop")


@pytest.mark.parametrize("door", ["await", "sync"])
def test_the_limits_of_a_provider_hold_for_all_runs_together(door):
    """Three calls at a time, however many runs go on, of one compiler or of several, if its limit is the same."""
    crowd = Crowd()
    limits = [{"crowd": Limit(concurrency=3)}, {"crowd": {"concurrency": 3}, "other": Limit(rpm=1)}] * 6
    compilers = [Compiler(None, planner=crowd, limits=each) for each in limits]

    async def main():
        return await asyncio.gather(*(compiler.run("What?") for compiler in compilers))

    if door == "await":
        found = asyncio.run(main())
    else:
        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(lambda compiler: compiler.run_sync("What?"), compilers))
    assert [each.answer for each in found] == [1] * 12
    assert crowd.most == 3


def test_a_loop_that_is_closed_is_forgotten():
    """What its runs have shared goes when the next loop comes."""
    compiler = Compiler(None, planner=Crowd(), limits={"crowd": Limit(concurrency=1)})
    for _ in range(3):
        run(compiler)
    assert sum(loop.is_closed() for loop in _SHARED) <= 1


def test_a_listener_that_fails_is_dropped():
    """The run goes on without it."""

    def bad(event):
        raise RuntimeError("no")

    found = run(planner_of(PLAN), on_event=bad)
    assert found.answer == 1
    assert len(found.log.broken) == 1


def test_a_model_may_be_anything_with_a_stream():
    """Tasks start while it speaks."""
    desk, seen = Desk(), SimpleNamespace(started=False)

    async def look():
        await asyncio.sleep(0.002)
        seen.started = desk.asked("get") == [1]

    model = Pieces([Chunk("a = get(1)\nb = "), look, Chunk("get(2)\njoin(b)\n"), Chunk("", "stop")])
    found = run(Compiler(None, desk.tools, planner=model))
    assert (found.answer, seen.started) == ({"b": 2}, True)
    started = next(event for event in found.events if isinstance(event, TaskStarted))
    assert started.task == "a"


def test_a_compiler_calls_a_tool_as_its_module_says_it_now(tmp_path, monkeypatch):
    """A module that is loaded again counts from the next run on; one that has begun keeps its own."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(*text):
        (tmp_path / "costs.py").write_text("\n".join(("from compiler_nb import tool", "@tool", *text)))

    write("def price(x):", "    return 1")
    module = importlib.import_module("costs")
    compiler = Compiler(tools=[module.price])
    assert compiler.execute_sync("answer(price(1))").answer == 1
    begun, work = compiler.begin(compiler.order(plan=Plan.parse("answer(price(1))")))
    write("def price(x, times=5):", "    return x * times")
    importlib.reload(module)
    asyncio.run(work)
    assert begun.answer == 1
    assert compiler.execute_sync("answer([price(1), price(2, times=2)])").answer == [5, 4]
    del sys.modules["costs"]
