"""Where tasks stand: what events tell, what is derived from them, and that this is what the engine holds."""

import asyncio
import random
import re
import threading

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.drive import Drive
from compiler_nb.errors import Problem
from compiler_nb.events import (
    Log,
    ModelChunk,
    ModelEnded,
    ModelStarted,
    Paused,
    PlanClosed,
    PlanProblem,
    RoundStarted,
    RunEnded,
    TaskApproved,
    TaskEnded,
    TaskExpanded,
    TaskHeld,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import ENDED, STATES, Usage
from compiler_nb.plan.task import Task
from compiler_nb.run import Run
from compiler_nb.tool import tool
from compiler_nb.trace import ModelCall, Progress, Span, Words
from compiler_nb.trace.readiness import ITEM, ITEMS, TWIN, VALUE
from compiler_nb.values.records import body_of, make_event
from tests.support.desk import Desk, scripted
from tests.support.readers import odd, random_readers, shaky_tool
from tests.support.story import Story

COVERS = ("readiness.py", "records.py")


def test_states_follow_the_events():
    """ready, also if it is held, running, back to waiting for a retry, and the end."""
    story, seen = Story().plan("a"), []

    def tell(*event):
        story.tell(*event)
        seen.append(Progress(story.events).states["a"])

    tell(TaskHeld, "a", 0, "approval", "x=1", "")
    tell(TaskApproved, "a", 0, True, "user")
    tell(TaskStarted, "a", 1, 1.0)
    tell(TaskRetried, "a", 1, "down", 0.1)
    tell(TaskStarted, "a", 2, 1.0)
    tell(TaskEnded, "a", 2, "done", 7, "")
    assert seen == ["ready", "ready", "running", "waiting", "running", "done"]


def test_a_call_is_ready_when_the_last_of_its_inputs_is_there():
    """Not before, and not where one failed; an expression is never ready."""
    story = Story().plan("a").plan("b").plan("c", "a", "b")
    story.tell(TaskPlanned, "x", 0, Task("x", "expr", after=("a",)), "")
    assert Progress(story.events).states == {"a": "ready", "b": "ready", "c": "waiting", "x": "waiting"}
    story.tell(TaskEnded, "a", 1, "done", 1, "")
    assert (Progress(story.events).states["c"], Progress(story.events).states["x"]) == ("waiting", "waiting")
    done = Progress(story.tell(TaskEnded, "b", 1, "done", 1, "").events)
    assert (done.states["c"], done.readiness.last["c"]) == ("ready", ("b", 6.0))
    failed = Story().plan("a").plan("c", "a").tell(TaskEnded, "a", 1, "failed", None, "")
    assert Progress(failed.events).states["c"] == "waiting"


def test_a_fan_out_runs_from_its_expansion_on():
    """Its items are ready when what they read is there."""
    items = (Task("rows[0].1", "call", "get"), Task("rows[0]", "call", "get", after=("rows[0].1",)))
    story = Story().plan("rows").tell(TaskExpanded, "rows", 1, items)
    assert Progress(story.events).states == {"rows": "running", "rows[0].1": "ready", "rows[0]": "waiting"}


def missing(story, id_):
    """Return what a task waits for."""
    return Progress(story.events).readiness.missing[id_]


def test_what_reads_an_item_waits_for_the_item_alone():
    """By a key of a dict or an index of a list; before the items are known it waits for these."""
    story = Story().program(
        'a = get(1)\nrows = {k: get(k) for k in a}\nb = get(rows["x"])\nl = [get(k) for k in a]\nc = get(l[-1])'
    )
    assert missing(story, "b") == {"rows": ITEMS}
    story.expand("rows", "rows[x].1", "rows[x]", "rows[y]").expand("l", "l[0]", "l[1]")
    assert missing(story, "b") == {"rows[x]": VALUE}
    assert missing(story, "c") == {"l[1]": VALUE}
    assert Progress(story.tell(TaskEnded, "rows[x]", 1, "done", 1, "").events).states["b"] == "ready"


def test_an_item_that_the_ids_do_not_tell_is_never_called_ready():
    """1 is shown as "1" is; a cut, repeated or unknown key may be another's."""
    for key, ids in (("1", ["rows[1]"]), ('"1"', ["rows[1]"]), ('"x"', ["rows[x]", "rows[x]#2"]), ('"z"', ["rows[x]"]),
                     ('"a, b"', ["rows[a, b]"]), ('"True"', ["rows[True]"])):  # fmt: skip
        story = (
            Story().program(f"a = get(1)\nrows = {{k: get(k) for k in a}}\nb = get(rows[{key}])").expand("rows", *ids)
        )
        assert missing(story, "b") == {"rows": ITEM}
        for id_ in ids:
            story.tell(TaskEnded, id_, 1, "done", 1, "")
        assert Progress(story.events).states["b"] == "waiting"
        assert Progress(story.tell(TaskEnded, "rows", 1, "done", {}, "inline").events).states["b"] == "ready"


def test_a_fan_out_over_another_waits_for_its_items_only_to_be_known():
    """And for the whole if a filter reads values."""
    story = Story().program(
        "a = get(1)\nrows = {k: get(k) for k in a}\nmore = [get(r) for r in rows.values()]\n"
        "some = [get(r) for r in rows.values() if r]"
    )
    assert missing(story, "more") == {"rows": ITEMS}
    assert missing(story, "some") == {"rows": VALUE}


def test_a_task_that_computes_what_an_earlier_text_does_waits_for_its_twin():
    """The plan's event names it; one without such a task is ready."""
    story = Story().tell(RoundStarted, "").plan("a").tell(RoundStarted, "more")
    for id_, source in (("c", "a"), ("e", "")):
        story.tell(TaskPlanned, id_, 0, Task(id_, "call", "get", (1,), fingerprint="f"), source)
    now = Progress(story.events)
    assert now.readiness.adopted == {"c": "a"}
    assert (now.readiness.missing["c"], now.states["c"], now.states["e"]) == ({"a": TWIN}, "waiting", "ready")


def test_what_is_held_for_the_plan_is_let_go_when_it_is_whole():
    """A text with problems is not a plan."""
    story = Story().plan("a").tell(TaskHeld, "a", 0, "plan", "", "")
    story.tell(PlanProblem, Problem("syntax", 1, 1, "no")).tell(PlanClosed, "", True, None, "python", None, (), False)
    assert Progress(story.events).hold("a").reason == "plan"
    assert Progress(story.tell(PlanClosed, "", True, None, "python", ("a",), (), False).events).hold("a") is None


def test_held_tells_the_arguments_of_those_that_wait_for_approval():
    """Until someone has decided."""
    story = Story().plan("a").tell(TaskHeld, "a", 0, "plan", "", "").tell(TaskHeld, "a", 0, "approval", "x=1", "")
    assert Progress(story.events).held == {"a": "x=1"}
    assert Progress(story.tell(TaskApproved, "a", 0, False, "user").events).held == {}


def test_pauses_have_a_beginning_and_an_end():
    """The last one may go on."""
    story = Story().tell(Paused, True).tell(Paused, False).tell(Paused, True)
    now = Progress(story.events)
    assert (now.paused, now.pauses) == (True, [(1.0, 2.0), (3.0, None)])


@pytest.mark.slow
def test_what_is_derived_is_what_the_schedule_holds():
    """In random runs of two rounds, at each event: ready when it is, and waiting only if it is tried again."""
    derived, adopted = [], 0

    def check(drive, progress, event):
        progress.catch_up()
        nodes = drive.session.schedule.nodes
        if isinstance(event, RunEnded):
            assert progress.states == {id_: node.state for id_, node in nodes.items()}
        for id_, state in progress.states.items():
            node = nodes.get(id_)
            if node is None or node.state in ENDED:  # what has just ended says so in the next event
                continue
            assert (state == "ready") <= (node.state in ("ready", "running")), (id_, event)
            if node.task.kind == "call" and node.state == "ready":
                assert state == "ready" or id_ in progress.retries, (id_, event)
                derived.append(id_)

    for seed in range(60):
        dice = random.Random(seed)
        tools = [*Desk().tools, odd, shaky_tool()]
        program = random_readers(dice)
        more = re.sub(r"\bt(\d)", r"u\1", program)  # other names, so that they are adopted
        more = more if seed % 20 else more.replace("nap(", "shaky(")
        model = scripted(program, more, joiner=["Replan: again", "Answer: x"])
        compiler = Compiler(None, tools, planner=model, joiner=model, max_concurrency=dice.choice([1, 2, 8]))
        run = Run(compiler.order("What?"), compiler.settings, Log("r"))
        drive, progress = Drive(run), Progress(run.log.events)
        run.log.listeners.append(lambda event, drive=drive, progress=progress: check(drive, progress, event))
        asyncio.run(drive.perform())
        assert not run.log.broken
        assert run.log.events[-1].status == "done"
        adopted += len(progress.readiness.adopted)
    assert min(len(derived), adopted) > 100


# ---------------------------------------------------------------- usage, attempts, calls


def called(story, call, usage, task=""):
    """Append a model's call."""
    role = "worker" if task else "planner"
    story.tell(ModelStarted, call, role, task, "p", "m", (), "", "")
    return story.tell(ModelEnded, call, "stop", usage, "", "", "", "")


def test_usage_is_the_sum_of_the_calls():
    """It is reported where all are; by task it is that of the calls its tool made."""
    story = called(called(called(Story(), 1, Usage(1, 10, 5)), 2, Usage(1, 3, 2), "a"), 3, Usage(1, 1, 1), "a")
    assert Progress(story.events).usage == Usage(3, 14, 8)
    assert Progress(story.events).calls[2].usage == Usage(1, 3, 2)
    assert {id_: cost.usage for id_, cost in Progress(story.events).costs.tasks.items()} == {"a": Usage(2, 4, 3)}
    called(story, 4, Usage(1, 1, 1, reported=False))
    assert Progress(story.events).usage.reported is False
    assert Progress([]).usage == Usage()


def test_a_call_that_goes_on_has_used_nothing_yet():
    """Only ended calls count."""
    story = Story().tell(ModelStarted, 1, "planner", "", "p", "m", (), "", "")
    assert Progress(story.events).usage == Usage()


def test_tasks_are_in_the_order_of_their_birth():
    """Items of a fan-out come when it is expanded."""
    items = (Task("rows[0]", "call", "get"), Task("rows[1]", "call", "get"))
    story = Story().plan("rows").plan("b").tell(TaskExpanded, "rows", 1, items)
    assert list(Progress(story.events).tasks) == ["rows", "b", "rows[0]", "rows[1]"]


def test_every_task_and_call_has_the_round_that_it_came_in():
    """Items that of their fan-out; a line that a later plan repeats keeps the first."""
    plans = {"planner": "a = get(1)\njoin()", "replan": "a = get(1)\nrows = [get(x) for x in [a, 2]]\njoin()",
             "joiner": ["Replan: more", "Answer: done"]}  # fmt: skip
    run = asyncio.run(Compiler(ScriptedModel(plans), Desk().tools).run("What?"))
    assert run.progress.round_of == {"a": 0, "rows": 1, "rows[0]": 1, "rows[1]": 1}
    assert [(call.role, call.round) for call in run.progress.calls.values()] == [
        ("planner", 0), ("joiner", 0), ("replan", 1), ("joiner", 1),
    ]  # fmt: skip


def test_spans_are_attempts():
    """Each with when it was ready, began and ended; one that runs has no end."""
    story = Story().plan("a")
    story.tell(TaskStarted, "a", 1, 1.5).tell(TaskRetried, "a", 1, "down", 0.1).tell(TaskStarted, "a", 2, 4.5)
    first, second = Progress(story.events).attempts
    assert first == Span("a", 1, 1.5, 2.0, 3.0, "failed", "down")
    assert second == Span("a", 2, 4.5, 4.0, None, "running")
    story.tell(TaskEnded, "a", 2, "done", 1, "")
    assert Progress(story.events).attempts[1].ended == 5.0


def test_what_was_adopted_has_no_span():
    """No attempt was made."""
    story = Story().plan("a").tell(TaskEnded, "a", 0, "done", 1, "adopted")
    assert Progress(story.events).attempts == []
    assert Progress(story.events).states == {"a": "done"}


@pytest.mark.slow
def test_the_folds_of_a_real_run_agree():
    """Retries, fan-outs and failures: every task has one end state, every attempt a span that ends."""
    tries = []

    @tool(retries=1)
    async def shaky(x: int) -> int:
        tries.append(x)
        if len(tries) == 1:
            raise OSError("down")
        return x

    plan = 'a = shaky(1)\nb = get([1, 2])\nc = [get(x) for x in b]\nd = fail("d")\ne = get(d)\njoin()\n'
    found = asyncio.run(Compiler(tools=[*Desk().tools, shaky]).execute(plan))
    states = Progress(found.events).states
    assert {id_ for id_, state in states.items() if state == "done"} == set(found.results)
    assert states["d"] == "failed"
    assert states["e"] == "skipped"
    spans = Progress(found.events).attempts
    assert [span.state for span in spans if span.task == "a"] == ["failed", "done"]
    assert all(span.ready <= span.started <= span.ended for span in spans)


def test_calls_of_models_have_a_beginning_a_first_word_and_an_end():
    """Each as far as it went, and which model answered if that was another."""
    story = (
        Story()
        .tell(ModelStarted, 1, "planner", "", "p", "m", (), "", "")
        .tell(ModelStarted, 2, "worker", "a", "p", "m", (), "", "")
    )
    assert [(call.role, call.started, call.first, call.ended) for call in Progress(story.events).calls.values()] == [
        ("planner", 1.0, None, None), ("worker", 2.0, None, None),
    ]  # fmt: skip
    story.tell(ModelChunk, 1, "x").tell(ModelChunk, 1, "y").tell(ModelEnded, 1, "stop", Usage(), "cut", "m-2", "", "")
    assert next(iter(Progress(story.events).calls.values())) == ModelCall(
        1, "planner", "", "p", "m", 1.0, 3.0, 5.0, "cut", "m-2", Usage()
    )


def test_a_call_that_was_stored_before_it_said_who_answered_is_still_one():
    """Events of older runs have fewer fields."""
    story = called(Story(), 1, Usage(1, 10, 5))
    started, ended = story.events
    old = make_event("ModelEnded", ended[:4], body_of(ended)[:-3])
    assert old == ended
    assert next(iter(Progress([started, old]).calls.values())).answered == ""


# ---------------------------------------------------------------- catching up


def test_a_run_that_nobody_looks_at_folds_nothing():
    """The look pays, not the run."""

    async def perform():
        found = await Compiler(tools=Desk().tools).execute("a = get(1)\nb = get(a)\nanswer(b)")
        return found._progress.taken, found.answer, found._progress.taken - len(found.events)

    assert asyncio.run(perform()) == (0, 1, 0)


@pytest.mark.slow
def test_two_threads_may_look_while_the_run_goes_on():
    """Each event is folded once, and what is iterated over does not change meanwhile."""
    log = Log("r")
    progress, failed = Progress(log.events), []

    def look():
        try:
            while progress.catch_up().status == "running":
                for id_ in list(progress.tasks):
                    assert progress.states[id_] in STATES
                assert progress.outcomes.keys() <= progress.tasks.keys()
                assert len(progress.attempts) <= 2 * len(progress.tasks)
                with progress.lock:
                    words = Words(progress, progress.at, {"": 2}, {})
                    assert all(words.whole(id_) for id_ in list(progress.tasks)[-3:])
        except Exception as error:  # noqa: BLE001 - whatever it is
            failed.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2_000):
        log.emit(TaskPlanned, f"t{number}", 0, Task(f"t{number}", "call", "get"), "")
        log.emit(TaskStarted, f"t{number}", 1, log.now())
        log.emit(TaskEnded, f"t{number}", 1, "done", number, "")
    log.emit(RunEnded, "done", "")
    for thread in threads:
        thread.join(20)
    assert failed == []
    assert [progress.outcomes[f"t{number}"] for number in range(2_000)] == list(range(2_000))
    assert len(progress.changes) == 3 * 2_000


def test_who_looks_while_another_thread_folds_waits_for_it():
    """A fan-out of many items is one event: nobody sees it half folded, and it is folded once."""
    log = Log("r")
    fanout = Task("rows", "fanout")
    items = tuple(Task(f"rows[{number}]", "call", "get") for number in range(5))
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Progress):
        def _take(self, event):
            if type(event) is TaskExpanded:
                inside.set()
                assert go_on.wait(20)
            super()._take(event)

    progress = Slow(log.events)
    log.emit(TaskPlanned, "rows", 0, fanout, "")
    log.emit(TaskExpanded, "rows", 1, items)
    first = threading.Thread(target=progress.catch_up)
    first.start()
    assert inside.wait(20)
    seen = []
    second = threading.Thread(target=lambda: seen.append(progress.catch_up().states.get("rows[4]")))
    second.start()
    second.join(0.05)  # it must not have come through
    assert seen == []
    go_on.set()
    first.join(20)
    second.join(20)
    assert (seen, progress.taken, len(progress.tasks)) == (["ready"], 2, 6)
