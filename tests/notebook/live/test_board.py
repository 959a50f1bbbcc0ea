"""A run's events become frames, and frames become what a page shows."""

from __future__ import annotations

import asyncio
import json
import random
import re

import pytest

from compiler_nb import Compiler, ScriptedModel, tool
from compiler_nb.drawing.boxes import state_of
from compiler_nb.drawing.graph import make_graph
from compiler_nb.drawing.scene import scene_of_run
from compiler_nb.errors import ModelError
from compiler_nb.events import (
    ClusterFound,
    Log,
    ModelChunk,
    ModelStarted,
    ModelWaits,
    Paused,
    PlanClosed,
    RoundStarted,
    RunEnded,
    TaskEnded,
    TaskFetched,
    TaskHeld,
    TaskParked,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.notebook.live.board import CODE, Board
from compiler_nb.notebook.live.canvas import AT_ONCE, FEW, Canvas
from compiler_nb.notebook.live.details import details
from compiler_nb.notebook.output.footer import footer_of
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.outcome import STATES, Remote
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from compiler_nb.text import TIMES
from compiler_nb.trace import Progress
from tests.support.desk import Desk, begin
from tests.support.frames import Page, watch
from tests.support.held import HeldModel
from tests.support.hostile import OUTPUTS
from tests.support.readers import odd, random_readers, shaky_tool

COVERS = ("canvas.py", "texts.py", "untold.py")


@tool
async def get(x: object) -> object:
    """Return it."""
    return x


@tool
async def fail(x: object) -> object:
    """Raise."""
    raise LookupError(f"no {x}")


@tool(retries=1)
async def twice(x: object) -> object:
    """Raise the first time."""
    TRIED.append(x)
    if len(TRIED) == 1:
        raise ConnectionError("line is dead")
    return x


TEXTS = [made for each in OUTPUTS.values() if isinstance(made := each(), str)]
TRIED: list[object] = []
PLANS = {
    "chain": "a = get(1)\nb = get(a)\nanswer(b)",
    "expressions": "a = get(1)\nb = a + 1\nc = max(a, b)\nanswer(c)",
    "fan-out": "xs = get([1, 2, 3])\nys = [get(x) for x in xs]\nzs = {y: get(fail(y)) for y in ys}\nanswer(ys)",
    "failure": "a = fail(1)\nb = get(a)\nc = get(2)\njoin(b, c)",
    "nested": "# says why\na = get(f'{get(1)} and {get(2)}')\nanswer(a)",
}


def begun():
    """Return a log without events, and a board of what it will hold."""
    log = Log("r")
    return log, Board(Progress(log.events))


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
@pytest.mark.parametrize("every", [1, 3, 1_000])
def test_frames_tell_what_a_snapshot_tells(plan, every):
    """However the events are cut into frames, a page that saw them all and one that is reloaded show the same."""
    run, board, page = watch(plan, [get, fail], every)
    again = Page([board.snapshot(run.seconds)])
    assert page.states == again.states
    assert page.states == run.progress.states
    assert page.seen() == again.seen()


def test_a_board_can_be_made_of_a_run_that_is_over():
    """The events of a finished run, folded at once, tell the same tasks and states."""
    run, _, page = watch(PLANS["fan-out"], [get, fail])
    late = Board(run.progress, live=False)
    late.frame(run.seconds)
    again = Page([late.snapshot(run.seconds)])
    assert (again.tasks, again.states, again.answer) == (page.tasks, page.states, page.answer)


def test_text_streams_in_sections_with_their_problems():
    """A plan that had to be repaired is two texts, the first with its problem on its line."""
    replies = {"planner": "a = get(1)\nb = gte(2)\njoin()\n", "repair": "a = get(1)\nb = get(2)\njoin(b)\n"}
    replies["joiner"] = "Two."
    _, _, page = watch(replies, [get])
    assert [page.sections[number]["role"] for number in sorted(page.sections)] == ["planner", "repair"]
    assert page.text == {0: replies["planner"], 1: replies["repair"]}
    ((section, line, column, message),) = page.problems
    assert (section, line, column) == (0, 2, 5)
    assert "gte" in message
    assert page.answer["text"].endswith("Two.")
    assert "Two." in page.answer["html"]
    assert page.facts["status"] == "done"


def test_a_replan_is_a_text_of_its_own_round():
    """With the joiner's reason, and the tasks of both rounds numbered on."""
    replies = {"planner": "a = get(1)\njoin(a)\n", "joiner": ["Replan: more is needed", "Done."],
               "replan": "b = get(2)\njoin(b)\n"}  # fmt: skip
    _, _, page = watch(replies, [get])
    assert [(each["round"], each["reason"]) for each in page.sections.values()] == [(0, ""), (1, "more is needed")]
    assert [row[:2] + row[5:7] for row in page.tasks] == [["a", "call", 0, 1], ["b", "call", 1, 1]]
    assert page.answer["text"] == "Done."


def test_the_page_is_told_under_which_grammar_each_text_was_written():
    """Plan, repair and answer, as soon as a call has ended; a text that is held to nothing says nothing."""
    replies = {"planner": "a = gte(1)\njoin()\n", "repair": "a = get(1)\njoin(a)\n", "joiner": "One."}
    for model, plan, end in ((HeldModel(replies), "3 tools", "a decision"), (ScriptedModel(replies), "", "")):
        page = Page([Board(Compiler(model, [get]).run_sync("q").progress).frame(1.0)])
        said = [f"written under a grammar of {each}" if each else "" for each in (plan, plan, end)]
        assert [page.sections[number]["written"] for number in (0, 1)] == said[:2]
        assert [row[6] for row in page.facts["models"]] == said


def test_what_the_joiner_said_goes_when_another_round_begins():
    """Its wish for another plan is not an answer: the round's frame says so, and so does a snapshot."""
    log, board = begun()
    log.emit(RoundStarted, "")
    log.emit(ModelStarted, 1, "joiner", "", "scripted", "scripted", (), "", "")
    log.emit(ModelChunk, 1, "REPLAN: more")
    page = Page([board.frame(0.1)])
    assert page.answer["text"] == "REPLAN: more"
    log.emit(RoundStarted, "more")
    page.apply(board.frame(0.2))
    assert page.answer["text"] == "" == Page([board.snapshot(0.2)]).answer["text"]


def test_items_know_their_fan_out_and_what_they_need():
    """An item names its owner; chains within an element need each other."""
    _, _, page = watch(PLANS["fan-out"], [get, fail])
    rows = {row[0]: row for row in page.tasks}
    assert page.ids[rows["ys[0]"][7]] == "ys"
    assert [page.ids[need] for need in rows["ys"][8]] == ["xs"]
    assert [page.ids[need] for need in rows["zs[1]"][8]] == ["zs[1].1"]
    assert page.states["zs"] == "failed"
    assert page.states["zs[1]"] == "skipped"


def test_a_task_is_ready_from_the_end_of_its_last_input():
    """Also while it waits for a slot: no event says so, the page sees it."""
    log, board = begun()
    for event in (
        (TaskPlanned, "a", 0, Task("a", "call", "get"), ""),
        (TaskPlanned, "b", 0, Task("b", "call", "get", (Ref("a"),)), ""),
        (TaskStarted, "a", 1, 0.0),
        (TaskEnded, "a", 1, "done", 1, ""),
    ):
        log.emit(*event)
    page = Page([board.frame(1.0)])
    assert page.states == {"a": "done", "b": "ready"}
    ended = page.history[-2]
    assert page.history[-1] == (1, STATES.index("ready"), ended[2])


def test_what_waits_for_approval_says_its_arguments_until_it_is_judged():
    """The page lists it while it is held, and no longer."""
    log, board = begun()
    for event in (
        (TaskPlanned, "a", 0, Task("a", "call", "send"), ""),
        (TaskHeld, "a", 0, "approval", "to='bob'", "m"),
    ):
        log.emit(*event)
    page = Page([board.frame(0.1)])
    assert page.by_task["held"] == {0: ["approval", "to='bob'", "m", "", ""]}
    assert page.states == {"a": "ready"}
    log.emit(TaskEnded, "a", 0, "cancelled", None, "")
    page.apply(board.frame(0.2))
    assert page.by_task["held"] == {}


def test_the_page_is_told_how_many_workers_there_are():
    """Beside the number of tasks, and when it is reloaded."""
    log, board = begun()
    log.emit(ClusterFound, "tcp://127.0.0.1:8786", 2, 8)
    page = Page([board.frame(0.1)])
    assert page.facts["run"]["where"] == "on 2 Dask workers, 8 calls at a time"
    assert board.snapshot(0.2)["run"]["where"] == "on 2 Dask workers, 8 calls at a time"


def test_a_value_that_comes_home_is_shown():
    """Before, the page says what stays on the cluster; it follows its fetch, and a page that is reloaded agrees."""
    log, board = begun()
    log.emit(TaskPlanned, "a", 0, Task("a", "call", "load"), "")
    log.emit(TaskStarted, "a", 1, 0.0)
    log.emit(TaskEnded, "a", 1, "done", Remote("a list of 3", 9, None), "")
    page = Page([board.frame(0.1)])
    before = page.by_task["values"][0]
    log.emit(TaskFetched, "a", 1, [1, 2, 3])
    page.apply(board.frame(0.2))
    assert "on the cluster" in str(before)
    assert page.by_task["values"][0] == Page([board.snapshot(0.3)]).by_task["values"][0] != before


@pytest.mark.parametrize("then", [
    (TaskParked, "a", 1, "openai", False),
    (TaskRetried, "a", 1, "no", 1.0),
    (TaskEnded, "a", 1, "cancelled", None, ""),
], ids=["goes on", "is tried again", "ends"])  # fmt: skip
def test_a_task_that_waits_for_its_provider_says_so_while_it_does(then):
    """It stays running; the page knows its provider until it goes on, also from a snapshot."""
    log, board = begun()
    for event in (
        (TaskPlanned, "a", 0, Task("a", "call", "ask"), ""),
        (TaskStarted, "a", 1, 0.0),
        (TaskParked, "a", 1, "openai", True),
    ):
        log.emit(*event)
    page = Page([board.frame(0.1)])
    assert page.states == {"a": "running"}
    assert page.by_task["parked"] == {0: ["openai"]} == Page([board.snapshot(0.1)]).by_task["parked"]
    log.emit(*then)
    page.apply(board.frame(0.2))
    assert page.by_task["parked"] == {} == Page([board.snapshot(0.2)]).by_task["parked"]


def bare(words):
    """Return a reason without the details that stand in brackets."""
    while words != (shorter := re.sub(r" \([^()]*\)", "", words)):
        words = shorter
    return words.replace("`", "").removeprefix("ready, ")


def agree(plan, tools, **settings):
    """Run a plan; at each event a page that was told all so far shows what `run.state` and `run.why` say."""
    run, work = begin(Compiler(None, tools, **settings), plan=plan)
    board, page = Board(run.progress, run.words), Page()
    seen = set()

    def look(event):
        if (frame := board.frame(run.seconds)) is not None:
            page.apply(frame)
        assert page.states == {id_: run.state(id_) for id_ in page.ids}
        for number, id_ in enumerate(page.ids):
            told, words = page.whys.get(number, ""), bare(run.why(id_))
            waits = run.state(id_) in ("waiting", "ready")
            assert bool(told) == waits, (id_, told, words)
            seen.add((run.state(id_), told.split(" `")[0]) if waits else run.state(id_))
            if waits and "tri" not in words:
                assert told == words, event

    run.log.listeners.append(look)
    asyncio.run(work)
    assert not run.log.broken
    assert page.states == run.progress.states
    return seen


def test_a_task_that_reads_one_item_is_ready_in_the_page_when_it_is_for_why():
    """The one slot is taken: what reads `rows["A"]` waits for it, not for the rest of the rows."""
    plan = 'keys = get(["A", "B", "C"])\nrows = {k: nap(k) for k in keys}\nx = get(rows["A"])\nanswer(x)'
    assert ("ready", "waits for a slot") in agree(plan, Desk().tools, max_concurrency=1)


@pytest.mark.slow
def test_the_page_and_the_run_agree_at_every_event():
    """In random plans with fan-outs, failures and retries: each task's state, and why it waits."""
    seen = set()
    for seed in range(25):
        dice = random.Random(seed)
        tools = [*Desk().tools, odd, shaky_tool()]
        seen |= agree(random_readers(dice), tools, max_concurrency=dice.choice([1, 2, 8]))
    assert {"running", "done", "failed", "skipped"} <= seen


def test_the_page_shows_that_items_were_left_out():
    """In the corner of the fan-out's box, and under the answer; a page that is reloaded shows the same."""
    plan = "rows = [odd(n) for n in 'abc']\nmore = [get(n) for n in rows]\nanswer(len(more))\n"
    _, board, page = watch(plan, [odd, get], drop_failed=0.5)
    assert page.by_task["counts"] == {page.ids.index(name): [f"{TIMES} 2 of 3"] for name in ("rows", "more")}
    assert "without 1 of 3 items of rows, which failed; without 1 of 3 items of more, which" in page.answer["html"]
    assert Page([board.snapshot(1.0)]).seen() == page.seen()


def test_notes_on_the_text_of_a_plan_stand_at_their_lines():
    """With column 0: they are no problems."""
    run, _, page = watch("1. get(Oslo)\n2. get(3\n", [get])
    assert page.problems == [
        [0, 1, 0, "Oslo has no quotes and was read as text"], [0, 2, 0, ") was added at the end"]
    ]  # fmt: skip
    assert "<p>note: ) was added at the end</p>" in details(run, "2")
    assert "note" not in details(Compiler(tools=[get]).execute_sync("a = get(1)\nanswer(a)\n"), "a")


def closed(count):
    """Return the board of a plan that came at once."""
    log, board = begun()
    for number in range(count):
        log.emit(TaskPlanned, f"t{number}", 0, Task(f"t{number}", "call", "get", (number,)), "")
    log.emit(PlanClosed, "", True, None, "python", None, (), False)
    return board


@pytest.mark.parametrize(("count", "boxes"), [(AT_ONCE, AT_ONCE), (AT_ONCE + 1, 0)])
def test_many_tasks_that_come_at_once_are_drawn_once(count, boxes):
    """A page is not to draw boxes that the whole picture replaces at once; those of a few are there before it."""
    board = closed(count)
    page = Page([board.frame(0.1)])
    assert len(page.pieces) == boxes
    draw = board.drawing("own")
    assert board.frame(0.2) is None  # while it is drawn
    board.show_drawn(draw())
    page.apply(board.frame(0.3))
    assert page.pieces[0].count('class="cnb-task') == count
    assert board.frame(0.4) is None


def test_boxes_are_drawn_where_there_is_no_picture():
    """A page is not left without any because the whole could not be drawn."""
    board = closed(AT_ONCE + 1)
    board.frame(0.1)
    board.drawing("own")
    board.show_drawn(None)
    assert len(board.frame(0.2)["graph"]["boxes"]) == AT_ONCE + 1


@pytest.mark.slow
def test_an_attempt_that_failed_leaves_a_note():
    """A retry is seen: the error of the first attempt, and two times running."""
    TRIED.clear()
    _, _, page = watch("a = twice(1)\nanswer(a)", [twice])
    assert "line is dead" in page.by_task["notes"][0][0]
    told = [code for _, code, _ in page.history]
    assert told == [CODE[what] for what in ("ready", "running", "retried", "ready", "running", "done")]


def test_a_page_that_is_reloaded_gets_the_notes_of_all_attempts():
    """As the one that saw them come."""
    log, board = begun()
    log.emit(TaskPlanned, "a", 0, Task("a", "call", "get"), "")
    frames = []
    for number in (1, 2):
        log.emit(TaskStarted, "a", number, 0.0)
        log.emit(TaskRetried, "a", number, f"no {number}", 1.0)
        frames.append(board.frame(0.1))
    told = [note for frame in frames for note in frame["notes"]]
    assert told == [[0, "attempt 1 failed: no 1"], [0, "attempt 2 failed: no 2"]] == board.snapshot(0.2)["notes"]


def test_a_thousand_tasks_with_three_changes_each_are_thirty_kilobytes():
    """What frames of 60 ms carry of 1,000 tasks that become ready, run and end, within two seconds."""
    log, board = begun()
    for number in range(1_000):
        log.emit(TaskPlanned, f"t{number}", 0, Task(f"t{number}", "call", "get", (number,)), "")
    board.frame(0.0)
    size = frames = 0
    for start in range(0, 1_000, 30):
        for number in range(start, min(start + 30, 1_000)):
            log.events.append(TaskStarted(0, "r", 0, 1.0 + start / 500, f"t{number}", 1, 0.5))
            log.events.append(TaskEnded(0, "r", 0, 1.1 + start / 500, f"t{number}", 1, "done", number, ""))
        frame = board.frame(1.2)
        size += len(json.dumps({"frame": frame}, separators=(",", ":")))
        frames += 1
    assert frames == 34
    assert size <= 30_000


def test_many_tasks_say_calls_and_values_only_when_asked():
    """Above 200 tasks a frame names them; a page asks for the rows that it shows."""
    plan = "\n".join(f"a{number} = get({number})" for number in range(FEW + 50)) + "\nanswer(a0)"
    _, board, page = watch(plan, [get], 10_000)
    assert len(page.tasks) == FEW + 50
    assert not page.tasks[-1][3]
    assert board.canvas.stale
    answer = board.rows_from(FEW, FEW + 50)
    assert answer["calls"][0] == [FEW, f"get({FEW})"]
    assert answer["values"][-1] == [FEW + 49, f"= {FEW + 49}"] or answer["values"][-1] == [FEW + 49, str(FEW + 49)]
    board.show_drawn(board.drawing("own")())
    drawn = board.snapshot(1.0)["graph"]
    assert sum(map(len, drawn["groups"])) == FEW + 50
    assert not board.canvas.stale


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_is_data(text):
    """In ids' values, arguments and answers nothing that could be markup is left as such in what is inserted."""
    _, board, page = watch({"planner": f"a = get({text[:2_000]!r})\nanswer(a)\n"}, [get])
    board.show_drawn(board.drawing("own")())
    inserted = [board.snapshot(1.0)["graph"]["svg"], *(str(piece) for piece in page.pieces), page.answer["html"]]
    for html in inserted:
        tags = set(re.findall(r"<\s*([a-zA-Z!/?]+)", html))
        assert not {tag.lower() for tag in tags} & {"script", "img", "iframe", "foreignobject", "image", "a", "style"}


def test_the_boxes_of_guarded_calls_come_with_their_line():
    """A call in an expression has no box of its own; as an argument of another call it has one."""
    plan = Plan.parse(
        "up = f(1)\nx = g(1) if up else h(2)\ny = f(g(3) if up else 0)\nanswer(g(x) if up else y)", dialect="python"
    )
    canvas = Canvas()
    boxes = []
    for number, task in enumerate(plan):  # a frame may be asked for after each task
        canvas.add(number, task)
        boxes += canvas.news().get("graph", {}).get("boxes", [])
    ids = [task.id for task in plan]
    assert [ids[number] for number, _ in boxes] == ["up", "x", "y.1", "y"]
    assert ["cnb-cell" in svg for _, svg in boxes] == [False, True, False, False]


def test_a_page_is_told_what_providers_ask_to_wait():
    """Whom for, how long, and until when, so that it can count down; after that nothing."""
    log, board = begun()
    log.emit_at(1.0, ModelWaits, (1, "planner", "", "openai", "m", 45.0, 45.2, True))
    log.emit_at(2.0, ModelWaits, (2, "worker", "a", "openai", "m", 0.0, 3.0, True))
    log.emit_at(2.0, ModelWaits, (3, "worker", "b", "vllm", "m", 0.0, 3.0, True))
    assert board.frame(2.0)["waits"] == [["waits for openai", 45.0, 46200], ["waits for vllm", 0.0, 5000]]
    assert board.snapshot(2.0)["waits"] == [["waits for openai", 45.0, 46200], ["waits for vllm", 0.0, 5000]]
    for call, provider in enumerate(("openai", "openai", "vllm"), 1):
        log.emit_at(5.0, ModelWaits, (call, "planner", "", provider, "m", 0.0, 0.0, False))
    assert board.frame(5.0)["waits"] == []
    assert Progress(log.events).waited == {"openai": 4.0, "vllm": 3.0}


def told_of(count, failing, every=1_000):
    """Return the run of a fan-out of so many items, in chains of two, the board, its page, and the largest frame."""

    @tool
    async def check(x: int) -> int:
        """Raise for some."""
        if x in failing:
            raise LookupError(f"no {x}")
        return x

    sizes = []
    done = Compiler(None, [get, check]).execute_sync(f"rows = [get(check(n)) for n in range({count})]\njoin()")
    events = []
    board, page = Board(Progress(events)), Page()
    for number, event in enumerate(done.events, 1):
        events.append(event)
        due = number % every == 0 or number == len(done.events)
        if due and (frame := board.frame(event.at)) is not None:
            sizes.append(len(json.dumps(frame)))
            page.apply(frame)
    return done, board, page, max(sizes)


@pytest.mark.slow
def test_a_fan_out_of_ten_thousand_items_is_told_in_small_frames():
    """A page is told the numbers, the first items and those that failed, each with its chain; 10 bytes for an item."""
    done, board, page, largest = told_of(10_000, {5, 7_777, 9_999})
    assert largest < 100_000, f"{largest:,} bytes"
    assert len(json.dumps(board.snapshot(1.0))) < 150_000
    number = page.ids.index("rows")
    assert page.by_task["items"][number] == [[0, 0, 0, 9_997, 0, 3, 0], 9_898]
    assert page.facts["counted"] == [[0, 0, 0, 0, 1, 0, 0], 0, 3, 0]
    late = ["rows[7777].1", "rows[7777]", "rows[9999].1", "rows[9999]"]
    assert sorted(page.ids[-4:]) == sorted(late)
    assert {id_: page.states[id_] for id_ in late[:2]} == {"rows[7777].1": "failed", "rows[7777]": "skipped"}
    assert page.states == {id_: done.progress.states[id_] for id_ in page.ids}
    again = Page([board.snapshot(1.0)])
    assert (again.states, again.by_task, again.tasks) == (page.states, page.by_task, page.tasks)


@pytest.mark.slow
def test_items_of_a_large_fan_out_come_when_asked_for_with_all_that_happened_to_them():
    """The next ones, in their order, with their attempts; each is told once."""
    done, board, page, _ = told_of(3_000, {700})
    known = len(page.ids)
    board.tell_more("rows")
    page.apply(board.frame(2.0))
    assert page.ids[known : known + 3] == ["rows[100].1", "rows[100]", "rows[101].1"]
    assert len(page.ids) == len(set(page.ids)) == known + 400
    assert page.states == {id_: done.progress.states[id_] for id_ in page.ids}
    changes = [code for number, code, _ in page.history if number == known]
    assert changes == [CODE["ready"], CODE["running"], CODE["done"]]
    for _ in range(20):
        board.tell_more("rows")
        if (frame := board.frame(3.0)) is not None:
            page.apply(frame)
    assert len(page.ids) == len(set(page.ids)) == 6_001
    assert page.by_task["items"] == {0: [[0, 0, 0, 2_999, 0, 1, 0], 0]}


@pytest.mark.slow
def test_many_small_fan_outs_are_told_up_to_a_number_of_items():
    """What a page holds does not grow with the number of fan-outs either; nor do those tell more that fail."""
    names = [f"r{n}" for n in range(8)]
    plan = "".join(f"{name} = [fail(n) for n in range(900)]\n" for name in names)
    done = Compiler(None, [fail]).execute_sync(f"{plan}join()")
    board = Board(done.progress, live=False)
    page = Page([board.frame(1.0)])
    told = [len([id_ for id_ in page.ids if id_.startswith(f"{name}[")]) for name in names]
    assert sorted(told) == [400] * 6 + [900] * 2  # which two are expanded first depends on the machine
    assert page.facts["counted"][1:3] == [0, 7_200]


def test_the_head_counts_as_the_last_line_does():
    """Tasks are those of the plan; items that failed are told apart, and their fan-out is not one more failure."""
    plan = "xs = [get(fail(n)) if n == 1 else get(n) for n in range(4)]\nys = [fail(n) for n in range(2)]\na = get(1)\n"
    plan += "b = fail(a)\nc = get(b)\nd = get(a) if a > 5 else 0\njoin()"
    run, board, page = watch(plan, [get, fail])
    tally, failed, items, busy = page.facts["counted"]
    assert (sum(tally), failed, items, busy) == (6, 1, 3, 0)
    assert footer_of(run, Binding(), times=False).startswith("6 tasks")
    assert Page([board.snapshot(1.0)]).facts["counted"] == page.facts["counted"]


def shown_by(run, page):
    """Return what the boxes of a page show, by task, and what the still picture shows."""
    drawn = {
        box.task: state_of(box, run.progress.states) for box in make_graph(scene_of_run(run.progress)).boxes.values()
    }
    shown = {id_: STATES[page.shown.get(page.ids.index(id_), STATES.index(page.states[id_]))] for id_ in drawn if id_}
    return shown, {id_: state for id_, state in drawn.items() if id_}


def test_the_box_of_a_line_with_guarded_calls_shows_what_the_still_picture_shows():
    """At each event, and after a reload: the call that is made, its failure, and that none of them was needed."""
    plan = "up = get(0)\nx = get(1) if up else get(2)\ny = fail(3) if not up else 0\nget(4) if up else None\nanswer(x)"
    run, work = begin(Compiler(None, [get, fail]), plan=plan)
    board, page, seen = Board(run.progress, run.words), Page(), set()

    def look(_):
        if (frame := board.frame(run.seconds)) is not None:
            page.apply(frame)
        told, drawn = shown_by(run, page)
        assert told == drawn
        seen.update(told[id_] for id_ in ("x", "y") if id_ in told and told[id_] != page.states[id_])

    run.log.listeners.append(look)
    asyncio.run(work)
    assert not run.log.broken
    assert seen >= {"running", "failed"}
    line = next(id_ for id_ in page.ids if id_.startswith("@") and "." not in id_)
    assert (page.states[line], shown_by(run, page)[0][line]) == ("done", "skipped")
    assert Page([board.snapshot(1.0)]).seen() == page.seen()


def test_the_numbers_of_items_are_those_of_the_run():
    """Calls of their chains are not counted, nor those that a test says are not needed; whatever their keys are."""
    plan = 'rows = {k: get(get(k)) for k in ["a.1", "b"]}\nmore = [get(n) if n > 1 else 0 for n in range(3)]\njoin()'
    run, board, page = watch(plan, [get])
    told = {page.ids[number]: numbers for number, numbers in page.by_task["items"].items()}
    assert told == {id_: [run.progress.tallies.by_state(id_), 0] for id_ in ("rows", "more")}
    assert told["rows"] == [[0, 0, 0, 2, 0, 0, 0], 0]
    assert Page([board.snapshot(1.0)]).by_task["items"] == page.by_task["items"]


def test_the_head_says_what_goes_on():
    """Waiting for providers, for approval, paused with what still runs, and how it ended."""
    log, board = begun()
    page = Page()

    def phase(kind, *fields):
        log.emit(kind, *fields)
        if (frame := board.frame(9.0)) is not None:
            page.apply(frame)
        return page.facts["phase"]

    assert board.facts["phase"] == "starting"
    for id_ in "ab":
        log.emit(TaskPlanned, id_, 0, Task(id_, "call", "ask"), "")
    assert phase(PlanClosed, "", True, None, "python", None, (), False) == "running tasks"
    assert phase(TaskHeld, "b", 0, "approval", "", "m") == "waits for approval"
    assert phase(TaskStarted, "a", 1, 1.0) == "running tasks"
    assert phase(Paused, True) == "paused · 1 still running"
    assert phase(Paused, False) == "running tasks"
    assert phase(TaskParked, "a", 1, "openai", True) == "running tasks · 1 waits for openai"
    log.emit_at(2.5, ModelWaits, (1, "worker", "a", "openai", "m", 45.0, 45.2, True))
    page.apply(board.frame(2.5))
    assert (page.facts["phase"], page.facts["waits"]) == ("running tasks", [["1 waits for openai", 45.0, 47700]])
    assert phase(RunEnded, "cancelled", "") == "stopped"


def test_what_waits_for_approval_says_what_it_starts_after():
    """It changes when the one above it has ended, and is told again then; the reason is not read for it."""

    @tool(side_effects=True)
    async def send(to: str) -> str:
        """Send it."""
        return to

    async def nobody_answers(*_):
        return await asyncio.get_running_loop().create_future()

    plan = "a = send('x')\nb = send('y')\nanswer(b)"
    run, work = begin(Compiler(None, [send], approve="ask"), plan=plan, ask=nobody_answers)
    board, page, turns = Board(run.progress, run.words), Page(), []

    def look(_):
        if (frame := board.frame(run.seconds)) is not None:
            page.apply(frame)
        turns.append({page.ids[number]: row[4] for number, row in page.by_task["held"].items()})
        assert Page([board.snapshot(1.0)]).by_task["held"] == page.by_task["held"]
        if {"a": "", "b": "a"} in turns[-1:]:
            run.approve("a")
        if {"b": ""} in turns[-1:]:
            run.approve("b")

    run.log.listeners.append(look)
    asyncio.run(work)
    assert not run.log.broken
    assert {"a": "", "b": "a"} in turns


def test_a_page_is_told_how_the_joiner_ended():
    """It reads, has answered, or failed; one that a stop cut off was cancelled."""

    def states_of(replies):
        _, _, page = watch({"planner": "a = get(1)\njoin()\n", "joiner": replies}, [get])
        return [(row[0], STATES[row[9]]) for row in page.facts["models"]]

    def fails(_):
        raise ModelError("no")

    assert states_of("fine") == [("planner", "done"), ("joiner", "done")]
    assert states_of(fails) == [("planner", "done"), ("joiner", "failed")]


def test_a_page_is_told_whose_result_a_task_of_a_later_round_adopted():
    """By number, so that its timeline can name it; expressions and items of fan-outs have no rows there."""

    @tool
    def height(mountain: str) -> int:
        """Return a height."""
        return len(mountain)

    texts = {
        "planner": 'a = height("Eiger")\nb = [height(n) for n in ["x"]]\njoin()\n',
        "replan": 'c = height("Eiger")\nd = [height(n) for n in ["x"]]\ne = c + 1\njoin()\n',
        "joiner": ["Replan: once more", "done"],
    }
    run = Compiler(ScriptedModel(texts), [height]).run_sync("Which?")
    board = Board(run.progress)
    board.catch_up()
    told = board.snapshot(1.0)
    ids = [row[0] for row in told["tasks"]]
    assert [(ids[task], ids[source]) for task, source in told["sources"]] == [("c", "a"), ("d", "b")]
    assert "c" in run.timeline().text
