import asyncio

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import ModelError, StreamBroken
from compiler_nb.events import (
    Log,
    PlanClosed,
    PlanProblem,
    TaskStarted,
)
from compiler_nb.history import History
from compiler_nb.models.base import Chunk, Request
from compiler_nb.models.calls import Calls
from compiler_nb.outcome import Cancelled
from compiler_nb.plan.parser import PlanParser
from compiler_nb.planner.writing import write_plan
from compiler_nb.tool import Toolbox
from tests.support.desk import Desk, Pieces, planner_of, run, scripted, texts

TOOLS = Toolbox(Desk().tools)


def read(pieces, **limits):
    """Return whether a model's reply was complete, the ids that were taken, and the parser."""
    taken = []

    async def main():
        calls, parser = Calls(Log("r").emit, **limits), PlanParser(dialect="python", tools=TOOLS)
        try:
            complete = await write_plan(calls, Pieces(pieces), Request("planner", ()), parser, taken.append)
        except ModelError as error:
            complete = error
        return complete, [task.id for task in taken], parser

    return asyncio.run(main())


def test_tasks_are_taken_while_the_model_speaks():
    """Each as soon as its line is complete."""
    seen = []

    async def main():
        parser = PlanParser(dialect="python", tools=TOOLS)

        async def look():
            seen.append(len(parser.builder.tasks))

        model = Pieces([Chunk("a = get(1)"), look, Chunk("\nb"), look, Chunk(" = get(2)\n"), look, Chunk("", "stop")])
        return await write_plan(Calls(Log("r").emit), model, Request("planner", ()), parser, lambda task: None)

    assert asyncio.run(main())
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(("finish", "complete"), [("stop", True), ("", False), ("length", False), ("weird", True)])
def test_a_reply_is_complete_where_the_model_ended(finish, complete):
    """A last line without its end counts only then; else the error says whose, why, how often, and what is kept."""
    ended, ids, parser = read([Chunk("a = get(1)\nb = get(2)"), Chunk("", finish)])
    assert (ended is True, ids) == (complete, ["a", "b"] if complete else ["a"])
    if not complete:
        why = {"": "the reply ended without a finish", "length": "the planner's reply is cut off at the model's"}[
            finish
        ]
        assert str(ended).startswith(f"pieces:pieces: {why}")
        assert str(ended).endswith("(kept: a)")
        assert ended.retryable
    assert [problem.kind for problem in parser.problems] == ([] if complete else ["truncated"])


def test_a_failed_call_leaves_what_had_come():
    """The error is raised, and the parser is closed as cut."""
    error, ids, parser = read([Chunk("a = get(1)\nb = g"), ModelError("down")])
    assert (str(error), ids, parser.closed) == ("down (kept: a)", ["a"], True)
    assert [problem.kind for problem in parser.problems] == ["truncated"]


def test_a_model_without_end_is_not_read_for_ever():
    """After the longest text that can be a plan nothing more is read."""
    told = []

    def endless():
        while True:
            told.append(1)
            yield Chunk("# " + "x" * 99_998 + "\n")

    complete, _, parser = read(endless())
    assert complete is False
    assert len(told) <= 12
    assert "too_large" in [problem.kind for problem in parser.problems]


async def breathe():
    """Give the tools a moment."""
    await asyncio.sleep(0.002)


def kinds(found):
    """Return the kinds of a round's problems."""
    return [problem.kind for problem in found.problems]


def test_a_bad_plan_is_repaired_once():
    """The planner sees its text and the problems by line; what ran is not run again, and names keep their ids."""
    desk = Desk()
    model = scripted('a = get("a")\nb = gte(a)\njoin(b)\n', 'a = get("a")\nb = get(a)\njoin(b)\n')
    found = run(Compiler(None, desk.tools, planner=model))
    assert (found.status, found.answer) == ("done", {"b": "a"})
    assert list(found.results) == ["a", "b"]
    assert desk.asked("get") == ["a", "a"]
    (text,) = texts(model, "repair")
    assert "- line 2: no tool is called 'gte'. Did you mean 'get'?" in text
    assert "b = gte(a)" in text
    assert found.rounds[0].repaired == ('a = get("a")\nb = gte(a)\njoin(b)\n',)
    assert found.rounds[0].problems == ()
    assert [event.problem.kind for event in found.events if isinstance(event, PlanProblem)] == ["unknown_tool"]


def test_a_repaired_plan_may_be_another():
    """What it changes runs, what it leaves out does not start anymore, and the joiner is not told of that."""
    desk = Desk()
    model = scripted("a = wait(1)\nb = get(a)\nc = nope(b)\njoin(c)\n", "a = wait(2)\njoin(a)\n", joiner="ok")

    def look(event):
        if isinstance(event, TaskStarted) and event.task == "a_2":
            desk.open()

    found = run(Compiler(model, desk.tools), on_event=look)
    assert found.status == "done"
    assert found.results == {"a": 1, "a_2": 2}
    assert found.failures == {"b": Cancelled("it is not in the repaired plan")}
    assert "repaired" not in texts(model, "joiner")[0]


def test_a_second_bad_plan_ends_the_run():
    """It is failed, with the problems, and finished results stay."""
    found = run(planner_of("a = get(1)\nb = nope(2)\n", "c = nap(3)\nd = nix(4)\n"))
    assert found.status == "failed"
    assert "no tool is called 'nix'" in found.error
    assert "line 2" in found.error
    assert kinds(found.rounds[0]) == ["unknown_tool"]
    assert found.results["a"] == 1


def test_no_repair_where_none_is_allowed():
    """`max_repairs=0` is one text."""
    model = scripted("a = nope(1)\n", "a = get(1)\n")
    found = run(Compiler(None, Desk().tools, planner=model, max_repairs=0))
    assert (found.status, len(model.calls)) == ("failed", 1)


@pytest.mark.parametrize("finish", ["", "length", "content_filter"])
def test_a_cut_plan_is_repaired(finish):
    """Its last line is dropped, no join is implied, and no side effect starts before it is whole."""
    desk = Desk()
    whole = 'a = get("a")\nsend(a)\nb = get(a)\njoin(b)\n'
    model = Pieces([Chunk('a = get("a")\nsend(a)\nb = ge'), Chunk("", finish)], [Chunk(whole), Chunk("", "stop")])
    seen = []

    def look(event):
        if isinstance(event, PlanProblem):
            seen.append((event.problem.kind, desk.asked("send")))

    found = run(Compiler(None, desk.tools, planner=model, approve="auto"), on_event=look)
    assert seen == [("truncated", [])]
    assert (found.status, found.answer) == ("done", {"b": "a"})
    assert desk.calls.count(("send", "a")) == 1


def test_a_plan_that_stays_cut_has_no_side_effects():
    """The run fails and says why."""
    desk = Desk()
    cut = [Chunk('send("x")\na = get("a")\n'), Chunk("", "length")]
    found = run(Compiler(None, desk.tools, planner=Pieces(cut, cut), approve="auto"))
    assert (found.status, kinds(found.rounds[0])) == ("failed", ["truncated"])
    assert desk.asked("send") == []


@pytest.mark.parametrize(("line", "plans"), [('send("x")\n', 2), ('get("x")\n', 1)])
def test_a_last_line_without_an_end_is_whole_only_without_side_effects(line, plans):
    """The author of `answer(...)` said nothing more, but did not end: side effects wait for a text that is whole."""
    desk = Desk()
    cut, whole = [Chunk(line + "answer(1)\n")], [Chunk(line + "answer(1)\n"), Chunk("", "stop")]
    model = Pieces(cut, whole)
    found = run(Compiler(None, desk.tools, planner=model, approve="auto"))
    assert (found.status, found.answer, len(model.calls), len(desk.calls)) == ("done", 1, plans, 1)


def test_a_stream_that_breaks_off_is_repaired_like_a_cut_one():
    """What had come runs once; if it breaks again, the run fails by name and keeps its results."""
    desk = Desk()
    broken = [Chunk("a = get(1)\nb = ge"), breathe, StreamBroken("the line went dead")]
    found = run(Compiler(None, desk.tools, planner=Pieces(broken, [Chunk("a = get(1)\njoin(a)\n", "stop")])))
    assert (found.status, found.answer, desk.asked("get")) == ("done", {"a": 1}, [1])
    found = run(Compiler(None, desk.tools, planner=Pieces(broken, broken)))
    assert (found.status, found.results) == ("failed", {"a": 1})
    assert found.error == "the line went dead (tried 2 times, kept: a)"


def test_a_planner_that_fails_ends_the_run():
    """It says so; what whole lines have asked for ends first, what waits for what they give included."""
    desk = Desk()

    def look(event):
        if isinstance(event, PlanClosed):
            desk.open()

    pieces = [Chunk("a = get(1)\nb = wait(2)\nc = get(b)\nd = ge"), breathe, ModelError("the model is out of order")]
    found = run(Compiler(None, desk.tools, planner=Pieces(pieces)), on_event=look)
    assert (found.status, found.error) == ("failed", "the model is out of order (kept: a, b, c)")
    assert found.results == {"a": 1, "b": 2, "c": 2}
    assert desk.working == 0


def test_side_effects_of_a_plan_that_never_comes_are_dropped():
    """Those that wait already and those that are asked for later; the rest of the plan's lines ends."""
    desk = Desk()

    def look(event):
        if isinstance(event, PlanClosed):
            desk.open()

    lines = [
        'x = wait("later")',
        "xs = get([x, x])",
        'send("now")',
        "send(x)",
        "s = [send(y) for y in xs]",
        "e = get(s)",
    ]
    text = "\n".join([*lines, "below = get(1)\n"])
    found = run(Compiler(None, desk.tools, planner=Pieces([Chunk(text), breathe, ModelError("gone")])), on_event=look)
    assert (found.status, found.error) == ("failed", "gone (kept: x, xs)")
    assert found.results == {"x": "later", "xs": ["later", "later"]}
    assert desk.asked("send") == []
    assert "side effects wait for a whole plan, and there is none" in str(found.failures["s"])
    assert "side effects wait for a whole plan, and there is none" in str(found.failures["below"])


def test_a_plan_keeps_the_notes_on_its_text(tmp_path):
    """Where it was not read as it is written, the run says so, and a stored run too."""
    history = History(tmp_path / "runs.db")
    desk = Desk()
    text = '1. get(Austin Powers)\n2. get("under $12"\n'
    found = run(Compiler(None, desk.tools, planner=Pieces([Chunk(text, "stop")]), dialect="numbered", history=history))
    notes = (
        "line 1: Austin Powers has no quotes and was read as text",
        "line 2: $12 is text: no line above has this number",
        "line 2: ) was added at the end",
    )
    assert found.plan.notes == notes
    assert history.load(found.id).plan.notes == notes
