import asyncio
import re
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.drive import finish
from compiler_nb.errors import HistoryError, RunFailed, SteerError, ToolError
from compiler_nb.events import PlanClosed, TaskStarted
from compiler_nb.history import History
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import Cancelled, Failure, Skipped, Usage
from compiler_nb.tool import tool
from tests.support.desk import Desk, begin, planner_of, run, scripted, texts
from tests.support.stored import until

# a -> b     f* -> g     rows = [r0 r1* r2]
PLAN = 'a = get("x")\nb = nap(a)\nf = fail("f")\ng = get(f)\nrows = [odd(n) for n in [1, 2, 3]]\njoin()\n'


@tool
async def odd(n: int) -> int:
    """Return an odd number."""
    if n % 2 == 0:
        raise ValueError(f"{n} is even")
    return n


def mixed(**settings):
    """Return a run in which something failed."""
    return run(Compiler(None, [*Desk().tools, odd], planner=scripted(PLAN), **settings))


def test_results_and_failures_part_the_tasks():
    """What is done by id, and the others with their Failure or Skipped; both in the plan's order."""
    found = mixed()
    assert found.results == {"a": "x", "b": "x", "rows[0]": 1, "rows[2]": 3}
    assert list(found.failures) == ["f", "g", "rows", "rows[1]"]
    assert {type(found.failures[id_]) for id_ in ("f", "rows", "rows[1]")} == {Failure}
    assert found.failures["g"] == Skipped("f", "LookupError: no f")
    assert list(found.progress.outcomes) == list(found.progress.tasks)


def test_an_item_is_a_result():
    """`run["b"]` is the value; what has none raises with the reason and the cause."""
    found = mixed()
    assert (found["b"], found["rows[2]"]) == ("x", 3)
    with pytest.raises(ToolError, match="f: LookupError: no f") as caught:
        found["f"]
    assert isinstance(caught.value.__cause__, LookupError)
    with pytest.raises(ToolError, match="g: skipped: f failed, LookupError: no f"):
        found["g"]
    with pytest.raises(KeyError, match="no task 'zz' in this run; its tasks are: a, b, f, g"):
        found["zz"]


SWAPPED = "a = get('A')\nb = get('B')\nn = get(1)\nn = None\na, b = b, a\nanswer([a, b])\n"
TWICE = "x = get(5)\nx = x + 1\ny = get(x)\nanswer([x, y])\n"


@pytest.mark.parametrize("stored", [False, True])
def test_a_name_assigned_twice_means_the_last_one(tmp_path, stored):
    """`run["x"]`, why, state, start and overrides; results go by id. A stored run too."""
    with History(tmp_path / "runs.db") as history:
        desk = Desk()
        compiler = Compiler(None, desk.tools, planner=scripted(TWICE), history=history)
        found = run(compiler)
        found = history.load(found.id, compiler.settings.tools) if stored else found
        assert found.answer == [6, 6]
        assert (found["x"], found.state("x"), found.partial("x")) == (6, "done", 6)
        assert found.why("x").startswith("done")
        assert found.results == {"x": 5, "x_2": 6, "y": 6}
        assert found._ipython_key_completions_() == ["x", "y", "x_2"]
        desk.calls.clear()
        assert asyncio.run(compiler.rerun(found, overrides={"x": 100})).answer == [100, 100]
        assert asyncio.run(compiler.rerun(found, start="x")).answer == [6, 6]
        assert desk.asked("get") == [5, 100, 6]


@pytest.mark.parametrize("stored", [False, True])
def test_two_names_that_change_places_mean_each_others_values(tmp_path, stored):
    """As in Python: `run["a"]`, why, start and overrides mean the last of them. A stored run too."""
    with History(tmp_path / "runs.db") as history:
        desk = Desk()
        compiler = Compiler(None, desk.tools, planner=scripted(SWAPPED), history=history)
        found = run(compiler)
        found = history.load(found.id, compiler.settings.tools) if stored else found
        assert (found.answer, found["a"], found["b"], found["n"]) == (["B", "A"], "B", "A", None)
        assert found.why("a").startswith("done")
        assert [task.id for task in found.progress.variables] == ["n_2", "a_2", "b_2"]
        again = asyncio.run(compiler.rerun(found, overrides={"a": 100}))
        assert (again.answer, again["a"], again["b"]) == ([100, "A"], 100, "A")
        desk.calls.clear()
        assert asyncio.run(compiler.rerun(found, start="a")).answer == ["B", "A"]
        assert desk.calls == []


def test_a_name_whose_last_version_failed_has_no_value():
    """What the name held before is not given out in its stead."""
    found = run(planner_of("x = get(5)\nx = fail(x)\njoin()\n"))
    with pytest.raises(ToolError, match="x_2: LookupError"):
        found["x"]
    assert [task.id for task in found.progress.variables] == ["x_2"]


def test_a_call_that_waits_is_approved_by_the_id_that_is_listed():
    """Of two versions of a name that both wait, `approve("x")` lets the one with that id go on, as lists show ids."""

    @tool(side_effects=True)
    async def pay(x: int) -> int:
        return x

    async def silent(task, shown):
        return await asyncio.Event().wait()

    async def main():
        compiler = Compiler(None, [pay], planner=scripted("x = pay(1)\nx = pay(2)\njoin()\n"))
        found, work = begin(compiler, "?", ask=silent)
        task = asyncio.create_task(work)
        await until(lambda: "x" in found.progress.held)
        found.approve("x")
        await until(lambda: "x" in found.results and "x_2" in found.progress.held)
        found.deny("x")
        await task
        return found

    found = asyncio.run(main())
    assert (found.results, found.failures["x_2"].kind) == ({"x": 1}, "denied")


def test_numbered_tasks_have_a_variables_name_too():
    """`run["1"]` and `run["t1"]`."""
    found = run(planner_of('1. get("x")\n2. join()<END_OF_PLAN>', dialect="numbered"))
    assert (found["1"], found["t1"], found.state("t1")) == ("x", "x", "done")


def test_a_task_that_has_not_ended_has_no_result():
    """The error says why it waits."""
    desk, seen = Desk(), []
    compiler = planner_of("a = wait(1)\nb = get(a)\njoin(b)\n", desk=desk)
    found, work = begin(compiler, "What?")

    def look(event):
        if isinstance(event, PlanClosed):
            with pytest.raises(ToolError) as caught:
                found["b"]
            seen.append(str(caught.value))
            desk.open()

    found.log.listeners.append(look)

    asyncio.run(work)
    assert re.fullmatch(r"b has not ended: waits for `a` \(running \d+ ms\)", seen[0])


def test_partial_shows_what_a_fan_out_has():
    """The failures stand in their places; of other tasks it is the value."""
    found = mixed()
    first, second, third = found.partial("rows")
    assert (first, third) == (1, 3)
    assert isinstance(second, Failure)
    assert found.partial("a") == "x"


def test_failures_are_raised_only_where_one_asks():
    """The run is done; `raise_for_failures` names what failed, and returns a run where nothing did."""
    found = mixed()
    assert found.status == "done"
    with pytest.raises(RunFailed, match="f: LookupError: no f; rows: ") as caught:
        found.raise_for_failures()
    assert caught.value.run is found
    good = run(planner_of("a = get(1)\nanswer(a)\n"))
    assert good.raise_for_failures() is good
    bad = run(planner_of("a = nope(1)\n", "a = nope(1)\n"))
    with pytest.raises(RunFailed, match="no tool is called 'nope'"):
        bad.raise_for_failures()


def test_why_tells_in_words():
    """How a task ended, and why one did not run."""
    found = mixed()
    assert re.match(r"done after \d+ ms", found.why("a"))
    assert re.match(r"failed after \d+ ms: LookupError: no f", found.why("f"))
    assert found.why("g") == "skipped, because `f` failed: LookupError: no f"


def test_why_without_a_task_names_those_that_it_speaks_of():
    """What the run's time went to, and then each task."""
    lines = mixed().why().splitlines()
    assert re.match(r"the run took \d+ ms: ", lines[0])
    assert [line.partition(":")[0] for line in lines[1:]] == ["a", "b", "f", "g", "rows"]
    assert "g: skipped, because `f` failed: LookupError: no f" in lines


def test_usage_is_counted_by_call_and_by_task():
    """The worker's tokens belong to the task whose tool asked, items of fan-outs included."""
    model = scripted(
        'a = llm("say", "x")\nb = [llm("say more", n) for n in get([1, 2])]\njoin(a)\n',
        joiner="ok", worker=lambda request: "word " * (8 if request.task == "a" else 4),
    )  # fmt: skip
    found = run(Compiler(model, Desk().tools))
    assert found.answer == "ok"
    by_task = {id_: cost.usage for id_, cost in found.costs().tasks.items()}
    assert set(by_task) == {"a", "b", "b[0]", "b[1]"}
    assert (by_task["a"].calls, by_task["a"].output_tokens, by_task["b[0]"].output_tokens) == (1, 10, 5)
    assert found.usage.calls == 5
    assert by_task["b"] == by_task["b[0]"] + by_task["b[1]"]
    assert found.usage.tokens > by_task["a"].tokens + by_task["b"].tokens
    assert [request.task for request in model.calls if request.role == "worker"] == ["a", "b[0]", "b[1]"]


def test_the_exact_prompt_is_at_hand():
    """By role, the last one that was sent."""
    found = run(planner_of("a = nope(1)\n", "a = get(1)\nanswer(a)\n"), "How far?")
    assert found.prompt().startswith("[system]\nYou are the planner.")
    assert found.prompt("planner").endswith("Question: How far?")
    assert "no tool is called 'nope'" in found.prompt("repair")
    with pytest.raises(KeyError, match="this run asked no model as 'joiner'"):
        found.prompt("joiner")


def test_to_pandas_has_a_row_per_task():
    """With state, times and outcome."""
    table = mixed().to_pandas().set_index("task")
    columns = ["kind", "tool", "state", "ready", "started", "ended", "tokens", "outcome", "at", "model", "cost", "how"]
    assert list(table.columns) == columns
    assert table.loc["b", "state"] == "done"
    assert table.loc["b", "ready"] <= table.loc["b", "started"] <= table.loc["b", "ended"]
    assert table.loc["g", "state"] == "skipped"
    assert table.loc["rows[1]", "tool"] == "odd"
    assert len(table) == 8


def test_it_can_be_drawn(tmp_path):
    """All its tasks with their states and values, items of fan-outs as cells; the picture can be saved."""
    picture = mixed().visualize()
    svg = picture._repr_mimebundle_()["image/svg+xml"]
    assert re.search(r'data-task="f" data-state="failed"', svg)
    assert re.search(r'data-task="rows\[1\]" data-state="failed"', svg)
    assert "<title>a · done\nget(&quot;x&quot;)\n= &quot;x&quot;</title>" in svg
    assert picture.save(tmp_path / "plan.svg").read_text(encoding="utf-8") == svg
    assert run(planner_of("a = nope(1)\n", "a = nope(1)\n")).visualize() is not None


def test_its_timeline_shows_when_what_ran():
    """Attempts, models above them, and the times in words; a run that goes on has one, too."""
    found = mixed().timeline()
    assert re.search(r'data-task="f" data-state="failed"', found.svg)
    assert re.findall(r'class="cnb-role[ \w-]*"[^>]*>(\w+)<', found.svg) == ["planner"]
    assert {*re.findall(r'data-task="([^"]+)"', found.svg)} == {"a", "b", "f", "rows[0]", "rows[1]", "rows[2]"}
    assert re.search(r"^\d+ ms: planner", found.text, re.MULTILINE)
    assert found.text.endswith("* critical path")
    begun, work = begin(planner_of("answer(1)\n"), "What?")
    assert "data-task" not in begun.timeline().svg
    work.close()


def test_its_repr_is_one_short_line():
    """Status, tasks and error."""
    assert repr(run(planner_of("a = get(1)\nanswer(a)\n"))) == "<run done: 1 task>"
    failed = repr(run(planner_of("a = nope(1)\n", "a = nope(1)\n")))
    assert failed.startswith("<run failed: 0 tasks, the planner's plan is refused: line 1, column")
    assert failed.endswith("…>")
    assert len(failed) < 130


def test_one_can_wait_for_it_on_another_thread():
    """`wait` returns the run, or raises after its time."""
    desk = Desk()
    began = time.monotonic()
    found, work = begin(planner_of("a = nap(1)\nanswer(a)\n", desk=desk), "What?")
    with pytest.raises(TimeoutError, match=r"has not ended after 0.001 s"):
        found.wait(0.001)
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    assert found.wait(60).answer == 1
    thread.join()
    assert 0 < found.seconds <= time.monotonic() - began


def test_it_ends_once():
    """The first status stands."""
    found = run(planner_of("answer(1)\n"))
    count = len(found.events)
    finish(found, "failed", "late")
    assert (found.status, found.error, len(found.events)) == ("done", "", count)


def test_cancelled_tasks_are_among_the_failures():
    """They raise when their value is asked for."""
    found = run(planner_of("a = wait(1)\njoin(a)\n", timeout=0.01))
    assert isinstance(found.failures["a"], Cancelled)
    with pytest.raises(ToolError, match="a: the run took longer than"):
        found["a"]
    assert found.usage == Usage(1, found.usage.input_tokens, found.usage.output_tokens)


# ---------------------------------------------------------------- however a run came to be

OFFERED = {
    "after", "answer", "answer_cut", "answer_type", "approve", "cached", "cancel", "cost", "costs", "deny", "diff",
    "disclosed", "error", "events", "failures", "id", "inputs", "load", "partial", "pause", "plan", "prompt",
    "question", "raise_for_failures", "reply", "results", "resume", "retry", "rounds", "save", "seconds", "set",
    "settings", "skip", "state", "status", "timeline", "to_otel", "to_pandas", "to_script", "usage", "view",
    "visualize", "why",
}  # fmt: skip
ARGUMENTS = {"state": ("b",), "why": ("b",), "partial": ("rows",), "approve": ("b",), "deny": ("b",),
             "skip": ("b",), "retry": ("b",), "set": ("b", 1)}  # fmt: skip
STEERING = {"approve", "deny", "pause", "resume"}
"""What the history cannot do for a run that it has kept."""
FILES = {"load", "save", "to_otel"}
STEERED = {"skip", "retry", "set"}
"""What nobody can do for a run that has ended."""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Give a run that has just ended, the same as it was stored, and stored by a process that was killed before."""
    path = tmp_path_factory.mktemp("kinds") / "runs.db"
    with History(path) as history:
        ended = mixed(history=history)
        found = {"ended": ended, "stored": history.load(ended.id)}
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE runs SET status = 'running', owner = 'elsewhere:1:1', at = 0")
        kinds = db.execute("SELECT seq, kind FROM events ORDER BY seq").fetchall()
        expanded = next(seq for seq, kind in kinds if kind == "TaskExpanded")
        ends = [seq for seq, kind in kinds if kind == "TaskEnded" and seq > expanded]
        db.execute("DELETE FROM events WHERE seq > ?", (ends[1],))
    with History(path) as history:
        found["broken off"] = history.load(ended.id)
    return found


def test_a_user_is_offered_what_is_promised_and_no_more(kinds):
    """`dir` is what an editor completes."""
    for found in kinds.values():
        assert {name for name in dir(found) if not name.startswith("_")} == OFFERED


@pytest.mark.parametrize("name", sorted(OFFERED))
@pytest.mark.parametrize("kind", ["ended", "stored", "broken off"])
def test_every_public_attribute_works_or_raises_a_named_error(kinds, kind, name):
    """A stored run is a run like any other; what it cannot do, or what failed in it, has a name."""
    found = kinds[kind]
    value = getattr(found, name)
    if name in FILES:
        return  # tests of their own say what these do with stored runs
    if name in STEERED:
        with pytest.raises(SteerError, match=f"the run {found.id} has ended .* %compile rerun {found.id} --"):
            value(*ARGUMENTS[name])
    elif name in STEERING and kind != "ended":
        with pytest.raises(HistoryError):
            value(*ARGUMENTS.get(name, ()))
    elif name == "raise_for_failures":
        with pytest.raises(RunFailed):
            value()
    elif name == "diff":
        assert value(mixed()).text
    elif callable(value):
        value(*ARGUMENTS.get(name, ()))


def test_a_run_that_was_broken_off_says_what_became_of_it(kinds):
    """What had ended stays, the rest is cancelled, and the run has an end."""
    ended, broken = kinds["ended"], kinds["broken off"]
    assert (broken.status, broken.error) == ("cancelled", "its process ended before the run did")
    assert broken.progress.states.keys() == ended.progress.states.keys()
    assert broken.results.items() <= ended.results.items()
    assert {"cancelled"} < set(broken.progress.states.values())
    assert broken.plan == kinds["stored"].plan == ended.plan


def test_a_stored_plan_keeps_its_dialect_and_its_tasks(tmp_path):
    """Also if it is numbered, or if another text had to be repaired first and held tasks that the plan does not."""
    numbered = planner_of('1. get("x")\n2. join()<END_OF_PLAN>', dialect="numbered", history=tmp_path / "one.db")
    repaired = planner_of("a = get(1)\nb = nope(2)\n", "c = get(3)\na = get(1)\njoin(a)\n", history=tmp_path / "two.db")
    for compiler, dialect, ids in ((numbered, "numbered", ["1"]), (repaired, "python", ["c", "a"])):
        found = run(compiler)
        loaded = compiler.settings.history.load(found.id)
        for each in (found, loaded):
            assert (each.plan.dialect, list(each.plan.by_id), each.rounds) == (dialect, ids, found.rounds)
    assert loaded.rounds[0].repaired == ("a = get(1)\nb = nope(2)\n",)


def test_a_run_that_has_not_begun_can_be_looked_at():
    """Looking raises nothing: it is running, and there is nothing yet."""
    begun, work = begin(planner_of("a = get(1)\nanswer(a)\n"), "What?", inputs={"n": 1})
    work.close()
    read = {name: getattr(begun, name) for name in sorted(OFFERED)}
    assert (read["status"], read["question"], read["inputs"]) == ("running", "What?", {"n": 1})
    assert (read["answer"], read["plan"], read["results"]) == (None, None, {})


# ---------------------------------------------------------------- one task in a user's hands

STORY = "a = wait(1)\nb = fail(2)\nc = [a, b]\nd = get(c)\n"


def steered(*moves, answer="answer(d)\n", models=None, **options):
    """Return a run to whose tasks another thread does something once `b` has failed, and what that raised."""
    desk, raised = Desk(), []
    model = ScriptedModel({"planner": STORY + answer, **(models or {})})
    joiner = model if models else None
    found, work = begin(Compiler(None, desk.tools, planner=model, joiner=joiner, **options), "What?")

    def steer():
        while "b" not in found.progress.ends:
            time.sleep(0.005)
        for verb, *arguments in moves:
            try:
                getattr(found, verb)(*arguments)
            except (SteerError, KeyError) as error:
                raised.append(error)
        found.control.call(desk.open)

    thread = threading.Thread(target=steer)
    thread.start()
    asyncio.run(work)
    thread.join()
    return found, raised, model


def test_one_task_is_given_a_value_while_the_run_goes_on():
    """What was skipped for it runs, and the plan's own answer is there although it was lost before."""
    found, raised, _ = steered(("set", "b", 7))
    assert not raised
    assert (found.answer, found.status) == ([1, 7], "done")
    assert found.why("b").startswith("done after")
    assert ", set by you" in found.why("b")
    assert list(found.to_pandas().set_index("task").how) == ["", "set by you", "", ""]


def test_one_task_is_skipped_or_tried_again_while_the_run_goes_on():
    """The failed tool is called again, and what depends on a skipped one says whose word that was."""
    found, _, _ = steered(("retry", "b"), ("skip", "a", "enough"))
    assert [event.attempt for event in found.events if isinstance(event, TaskStarted) and event.task == "b"] == [1, 2]
    assert (found.why("a"), found.status) == ("skipped by you: enough", "failed")


def test_what_cannot_be_done_to_a_task_is_refused_to_whoever_wants_it():
    """On that thread, by name; and nothing has changed."""
    found, raised, _ = steered(("retry", "d"), ("set", "nobody", 1), ("skip", "b"))
    assert [type(error) for error in raised] == [KeyError, SteerError]
    assert "b cannot be skipped: it is failed" in str(raised[1])
    assert found.failures["b"].kind == "raised"


def test_a_tool_that_steers_its_own_run_gets_a_warning_if_it_is_refused():
    """It runs on the run's thread, which cannot wait for itself."""
    runs = []

    @tool
    async def steer(x):
        runs[0].skip("a")
        await asyncio.sleep(0.01)

    model = scripted("a = get(1)\nb = steer(a)\n")
    found, work = begin(Compiler(None, [*Desk().tools, steer], planner=model), "What?")
    runs.append(found)
    asyncio.run(work)
    assert "a cannot be skipped" in found.progress.warnings["a"][0]


def test_a_joiner_and_another_planner_are_told_which_values_the_user_gave():
    """So that nobody takes them for what a tool returned."""
    plans = [STORY + "join()\n", "answer(b)\n"]
    found, _, model = steered(
        ("set", "b", 7), models={"planner": plans, "replan": "answer(b)\n", "joiner": "Replan: more"}
    )
    assert found.answer == 7
    joined, replanned = texts(model, "joiner")[0], texts(model, "replan")[0]
    assert "(set by the user)" in joined
    assert "b: int (set by the user)" in replanned


def test_a_run_is_saved_in_the_form_that_its_ending_names(tmp_path):
    """Another ending is an error that lists them all."""
    found = asyncio.run(Compiler(tools=Desk().tools).execute("a = get(1)\nanswer(a)"))
    for name, begins in {
        "run.jsonl": b'{"run": 1', "run.trace.json": b'{"traceEvents"', "run.html": b"<!doctype html>",
        "run.svg": b"<svg", "run.txt": b"", "run.dot": b"digraph", "RUN.SVG": b"<svg",
        "run.py": b'"""',
    }.items():  # fmt: skip
        assert found.save(tmp_path / name).read_bytes().startswith(begins), name
    for name in ("run.json", "run", ".jsonl", "run.xls"):
        with pytest.raises(ValueError, match=re.escape(".trace.json, .py, .svg, .png, .pdf, .txt or .dot")):
            found.save(tmp_path / name)


def test_a_picture_is_saved_as_pdf_if_graphviz_is_there(tmp_path):
    """As PNG is."""
    found = asyncio.run(Compiler(tools=Desk().tools).execute("a = get(1)\nanswer(a)"))
    if found.visualize().png() is None:
        with pytest.raises(RuntimeError, match=r"cannot be saved as \.pdf here: that needs Graphviz"):
            found.save(tmp_path / "run.pdf")
    else:
        assert found.save(tmp_path / "run.pdf").read_bytes().startswith(b"%PDF")
