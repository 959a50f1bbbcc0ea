"""Where tasks stand: what events tell, what is derived from them, and that this is what the engine holds."""

import asyncio
import random
import re

from compiler_nb import trace
from compiler_nb.compiler import Compiler
from compiler_nb.drive import Drive
from compiler_nb.errors import Problem
from compiler_nb.events import (
    Log,
    Paused,
    PlanClosed,
    PlanProblem,
    RoundStarted,
    TaskApproved,
    TaskEnded,
    TaskExpanded,
    TaskHeld,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.outcome import ENDED
from compiler_nb.plan.task import Task
from compiler_nb.run import Run
from compiler_nb.tool import tool
from compiler_nb.trace.progress import ITEM, ITEMS, TWIN, VALUE, Progress
from tests.support.desk import Desk, scripted
from tests.support.story import Story


def test_states_follow_the_events():
    """ready, also where it is held, running, back to waiting for a retry, and the end."""
    story, seen = Story().plan("a"), []

    def tell(*event):
        story.tell(*event)
        seen.append(trace.states(story.events)["a"])

    tell(TaskHeld, "a", 0, "approval", "x=1", "")
    tell(TaskApproved, "a", 0, True, "user")
    tell(TaskStarted, "a", 1, 1.0)
    tell(TaskRetried, "a", 1, "down", 0.1)
    tell(TaskStarted, "a", 2, 1.0)
    tell(TaskEnded, "a", 2, "done", 7, "")
    assert seen == ["ready", "ready", "running", "waiting", "running", "done"]


def test_a_call_is_ready_when_the_last_of_its_inputs_is_there():
    """Not before, and not where one failed; an expression is never ready."""
    story = Story().plan("a").plan("b").plan("c", "a", "b").tell(TaskPlanned, "x", 0, Task("x", "expr", after=("a",)))
    assert trace.states(story.events) == {"a": "ready", "b": "ready", "c": "waiting", "x": "waiting"}
    story.tell(TaskEnded, "a", 1, "done", 1, "")
    assert (trace.states(story.events)["c"], trace.states(story.events)["x"]) == ("waiting", "waiting")
    done = Progress(story.tell(TaskEnded, "b", 1, "done", 1, "").events)
    assert (done.states["c"], done.last["c"]) == ("ready", ("b", 6.0))
    failed = Story().plan("a").plan("c", "a").tell(TaskEnded, "a", 1, "failed", None, "")
    assert trace.states(failed.events)["c"] == "waiting"


def test_a_fan_out_runs_from_its_expansion_on():
    """Its items are ready when what they read is there."""
    items = (Task("rows[0].1", "call", "get"), Task("rows[0]", "call", "get", after=("rows[0].1",)))
    story = Story().plan("rows").tell(TaskExpanded, "rows", 1, items)
    assert trace.states(story.events) == {"rows": "running", "rows[0].1": "ready", "rows[0]": "waiting"}


def missing(story, id_):
    """Return what a task waits for."""
    return Progress(story.events).missing[id_]


def test_what_reads_an_item_waits_for_the_item_alone():
    """By a key of a dict or an index of a list; before the items are known it waits for these."""
    story = Story().program(
        'a = get(1)\nrows = {k: get(k) for k in a}\nb = get(rows["x"])\nl = [get(k) for k in a]\nc = get(l[-1])'
    )
    assert missing(story, "b") == {"rows": ITEMS}
    story.expand("rows", "rows[x].1", "rows[x]", "rows[y]").expand("l", "l[0]", "l[1]")
    assert missing(story, "b") == {"rows[x]": VALUE}
    assert missing(story, "c") == {"l[1]": VALUE}
    assert trace.states(story.tell(TaskEnded, "rows[x]", 1, "done", 1, "").events)["b"] == "ready"


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
        assert trace.states(story.events)["b"] == "waiting"
        assert trace.states(story.tell(TaskEnded, "rows", 1, "done", {}, "inline").events)["b"] == "ready"


def test_a_fan_out_over_another_waits_for_its_items_only_to_be_known():
    """And for the whole where a filter reads values."""
    story = Story().program(
        "a = get(1)\nrows = {k: get(k) for k in a}\nmore = [get(r) for r in rows.values()]\n"
        "some = [get(r) for r in rows.values() if r]"
    )
    assert missing(story, "more") == {"rows": ITEMS}
    assert missing(story, "some") == {"rows": VALUE}


def test_a_task_that_computes_what_an_earlier_text_does_waits_for_its_twin():
    """Of equal tasks the k-th adopts the k-th; one that starts was none after all."""

    def twin(id_):
        return Task(id_, "call", "get", (1,), fingerprint="f")

    story = Story().tell(RoundStarted, "").tell(TaskPlanned, "a", 0, twin("a")).tell(TaskPlanned, "b", 0, twin("b"))
    story.tell(PlanClosed, "", True, None, "python", None).tell(RoundStarted, "more")
    for id_ in ("c", "d", "e"):
        story.tell(TaskPlanned, id_, 0, twin(id_))
    now = Progress(story.events)
    assert now.adopted == {"c": "a", "d": "b"}
    assert (now.missing["c"], now.states["c"], now.states["e"]) == ({"a": TWIN}, "waiting", "ready")
    assert not Progress(story.tell(TaskStarted, "c", 1, 0.0).events).adopted.get("c")


def test_what_is_held_for_the_plan_is_let_go_when_it_is_whole():
    """A text with problems is none."""
    story = Story().plan("a").tell(TaskHeld, "a", 0, "plan", "", "")
    story.tell(PlanProblem, Problem("syntax", 1, 1, "no")).tell(PlanClosed, "", True, None, "python", None)
    assert Progress(story.events).hold("a").reason == "plan"
    assert Progress(story.tell(PlanClosed, "", True, None, "python", None).events).hold("a") is None


def test_held_tells_the_arguments_of_those_that_wait_for_approval():
    """Until someone has decided."""
    story = Story().plan("a").tell(TaskHeld, "a", 0, "plan", "", "").tell(TaskHeld, "a", 0, "approval", "x=1", "")
    assert trace.held(story.events) == {"a": "x=1"}
    assert trace.held(story.tell(TaskApproved, "a", 0, False, "user").events) == {}


def test_pauses_have_a_beginning_and_an_end():
    """The last one may go on."""
    story = Story().tell(Paused, True).tell(Paused, False).tell(Paused, True)
    now = Progress(story.events)
    assert (now.paused, now.pauses) == (True, [(1.0, 2.0), (3.0, None)])


def random_program(dice):
    """Return a plan in which anything may read anything that stands before it, items by key included."""
    lines, plain, dicts = ['keys = get(["a", "b", "c"])'], ["keys"], []
    for number in range(dice.randrange(3, 12)):
        name = f"t{number}"
        kind = dice.random()
        if kind < 0.25:
            source = dice.choice(["keys", *dicts])
            lines.append(f"{name} = {{k: {dice.choice(['get', 'nap', 'odd'])}(k) for k in {source}}}")
            dicts.append(name)
        elif kind < 0.45 and dicts:
            lines.append(f'{name} = get({dice.choice(dicts)}["{dice.choice("abc")}"])')
        elif kind < 0.6 and dicts:
            lines.append(f"{name} = [get(r) for r in {dice.choice(dicts)}.values()]")
        elif kind < 0.7:
            lines.append(f"{name} = [{', '.join(dice.sample(plain, min(2, len(plain))))}]")
        else:
            lines.append(f"{name} = {dice.choice(['get', 'nap'])}({dice.choice([*plain, *dicts])})")
            plain.append(name)
    return "\n".join([*lines, "join()"])


def shaky_tool():
    """Return a tool whose first call with an argument fails."""
    tries = set()

    @tool(retries=1)
    async def shaky(x: object) -> object:
        await asyncio.sleep(0)
        if str(x) not in tries:
            tries.add(str(x))
            raise OSError("down")
        return x

    return shaky


def test_what_is_derived_is_what_the_schedule_holds():
    """In random runs of two rounds, at each event: ready where it is, and waiting only where it is tried again."""
    derived, adopted = [], 0

    @tool
    async def odd(x: object) -> object:
        if x == "b":
            raise ValueError("even")
        return x

    def check(drive, progress, event):
        progress.take(event)
        for id_, state in progress.states.items():
            node = drive.session.schedule.nodes.get(id_)
            if node is None or node.state in ENDED:  # what has just ended says so in the next event
                continue
            assert (state == "ready") <= (node.state in ("ready", "running")), (id_, event)
            if node.kind == "call" and node.state == "ready":
                assert state == "ready" or id_ in progress.retries, (id_, event)
                derived.append(id_)

    for seed in range(60):
        dice = random.Random(seed)
        tools = [*Desk().tools, odd, shaky_tool()]
        program = random_program(dice)
        more = re.sub(r"\bt(\d)", r"u\1", program)  # other names, so that they are adopted
        more = more if seed % 20 else more.replace("nap(", "shaky(")
        model = scripted(program, more, joiner=["Replan: again", "Answer: x"])
        compiler = Compiler(None, tools, planner=model, joiner=model, max_concurrency=dice.choice([1, 2, 8]))
        run = Run(compiler.order("What?"), compiler.settings, Log("r"))
        drive, progress = Drive(run), Progress()
        run.log.listeners.append(lambda event, drive=drive, progress=progress: check(drive, progress, event))
        asyncio.run(drive.perform())
        assert not run.log.broken
        assert progress.states == {id_: node.state for id_, node in drive.session.schedule.nodes.items()}
        adopted += len(progress.adopted)
    assert min(len(derived), adopted) > 100
