import asyncio
import re

import pytest
from pydantic import BaseModel

from compiler_nb.compiler import Compiler
from compiler_nb.errors import HistoryError, ModelError, RunFailed
from compiler_nb.events import (
    Decided,
    ModelChunk,
    ModelStarted,
    PlanClosed,
    RoundStarted,
    TaskEnded,
)
from compiler_nb.history import History
from compiler_nb.models.base import Chunk, estimate_request
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import Answer, Cancelled, Failure, Replan, Skipped
from compiler_nb.plan.task import Task
from compiler_nb.settings.budget import Budget
from compiler_nb.tool import tool
from tests.support.desk import Desk, Pieces, begin, planner_of, run, scripted, texts


async def breathe():
    """Give the tools a moment."""
    await asyncio.sleep(0.002)


# -------------------------------------------------------------------- how a round ends


@pytest.mark.parametrize("joiner", [None, "never asked"])
def test_an_answer_of_the_plan_costs_no_call_of_the_joiner(joiner):
    """`answer(x)` is the answer itself, with a joiner and without."""
    desk = Desk()
    model = scripted('a = get("x")\nanswer(a + "y")\n', **({"joiner": joiner} if joiner else {}))
    compiler = Compiler(model if joiner else None, desk.tools, planner=model)
    found = run(compiler)
    assert (found.status, found.answer, found.error) == ("done", "xy", "")
    assert found.rounds[0].decision == Answer("xy")
    assert [request.role for request in model.calls] == ["planner"]


def test_a_literal_alone_is_an_answer():
    """A plan may need no task."""
    assert run(planner_of("answer(42)\n")).answer == 42


def test_the_joiner_sees_what_join_names():
    """`join(a)` shows the joiner that result, `join()` all; its text is the answer."""
    desk = Desk()
    model = scripted('a = get("alpha")\nb = get("beta")\njoin(a)\n', joiner="It is alpha.")
    found = run(Compiler(model, desk.tools))
    assert (found.status, found.answer) == ("done", "It is alpha.")
    (text,) = texts(model, "joiner")
    assert "alpha" in text
    assert "beta" not in text


@pytest.mark.parametrize(
    ("last", "error"),
    [
        ("join(a, b)", "b: LookupError: no 1"),
        ("join(b)", "b: LookupError: no 1"),
        ("join(c)", "c was skipped because b failed: LookupError: no 1"),
        ("join(a)", ""),
        ("join()", ""),
    ],
)
def test_join_without_a_joiner_fails_with_what_it_names(last, error):
    """A named task that failed is no answer; `join()` answers with what there is."""
    found = run(planner_of(f"a = get(1)\nb = fail(1)\nc = get(b)\n{last}\n"))
    assert (found.status, found.answer, found.error) == (("failed", None, error) if error else ("done", {"a": 1}, ""))


def test_join_without_a_joiner_fails_if_nothing_succeeded():
    """Nothing is no answer, and the error says what became of each task."""
    found = run(planner_of("a = fail(1)\nb = fail(2)\njoin()\n"))
    assert (found.status, found.answer, found.error) == ("failed", None, "a: LookupError: no 1; b: LookupError: no 2")


WRONG = 'a = get(1)\nanswer(a["max"])\n'
REASON = """ExpressionError: a["max"]: TypeError: 'int' object is not subscriptable (with a = 1)"""


def test_an_answer_that_cannot_be_evaluated_names_its_error():
    """In the failures of the run, for the joiner, and for the planner of another plan."""
    model = scripted(WRONG, "answer(a)\n", joiner=["Replan: again"])
    found = run(Compiler(model, Desk().tools))
    assert (found.answer, list(found.failures), str(found.failures["answer"])) == (1, ["answer"], REASON)
    assert f"answer: failed (expression): {REASON}" in texts(model, "joiner")[0]
    assert f"answer: {REASON}" in texts(model, "replan")[0]
    with pytest.raises(RunFailed, match="answer: "):
        found.raise_for_failures()


def test_an_answer_that_cannot_be_evaluated_fails_a_run_without_a_joiner():
    """The error is the run's."""
    found = run(planner_of(WRONG))
    assert (found.status, found.error) == ("failed", f"the answer cannot be evaluated: {REASON}")
    assert str(found.failures["answer"]) == REASON


@pytest.mark.parametrize(("last", "answer"), [("join(b)", {"b": 2}), ("join()", {"a": 1, "b": 2}), ("", None)])
def test_join_without_a_joiner_gives_the_values(last, answer):
    """The dict of its values by name, in the order of the plan; no last line is `join()`."""
    found = run(planner_of(f"a = nap(1)\nb = get(2)\n{last}\n"))
    assert (found.status, found.answer) == ("done", answer or {"a": 1, "b": 2})
    assert list(found.answer) == list(answer or {"a": 1, "b": 2})


def test_an_answer_that_cannot_be_evaluated_falls_to_the_joiner():
    """What it needs failed, so the round goes on as `join()`, and the joiner is told why."""
    desk = Desk()
    model = scripted('a = fail("ny")\nb = get("kept")\nanswer(a)\n', joiner="Sorry.")
    found = run(Compiler(model, desk.tools))
    assert (found.status, found.answer) == ("done", "Sorry.")
    (text,) = texts(model, "joiner")
    assert "no ny" in text
    assert "kept" in text


@pytest.mark.parametrize("plan", ['a = fail("ny")\nanswer(a)\n', "a = get(1)\nanswer(a / 0)\n"])
def test_an_answer_that_cannot_be_evaluated_fails_without_a_joiner(plan):
    """The run says what stood in the way."""
    found = run(planner_of(plan))
    assert (found.status, found.answer) == ("failed", None)
    assert found.error.startswith("the answer cannot be evaluated: ")


def test_an_answer_is_told_as_soon_as_it_exists():
    """Another task may still run then; the run ends after it."""
    desk, seen = Desk(), []

    def look(event):
        if isinstance(event, Decided):
            seen.append((event.decision, desk.working))
            desk.open()

    compiler = planner_of('b = wait("late")\na = get("now")\nanswer(a)\n', desk=desk)
    found = run(compiler, on_event=look)
    assert seen == [(Answer("now"), 1)]
    assert found.results == {"b": "late", "a": "now"}
    assert isinstance(found.events[-2], TaskEnded)


def test_side_effects_end_although_the_answer_is_there():
    """A run ends when every task has ended."""
    desk = Desk()
    found = run(planner_of('a = get("x")\nsend(a)\nanswer(a)\n', desk=desk, approve="auto"))
    assert desk.asked("send") == ["x"]
    assert found.results["@2"] == "sent"


def test_the_joiner_streams():
    """Its pieces are events before its decision is."""
    found = run(Compiler(scripted("a = get(1)\njoin(a)\n", joiner="One two three four."), Desk().tools))
    call = next(e.call for e in found.events if isinstance(e, ModelStarted) and e.role == "joiner")
    pieces = [event for event in found.events if isinstance(event, ModelChunk) and event.call == call]
    decided = next(event for event in found.events if isinstance(event, Decided))
    assert len(pieces) > 2
    assert pieces[-1].seq < decided.seq
    assert "".join(piece.text for piece in pieces) == "One two three four."


def test_a_failure_leaves_its_siblings_alone():
    """Descendants are skipped and name the cause, the rest is done, the joiner is told; such a run raises nothing."""
    # a* -> b -> c     d -> e
    desk = Desk()
    model = scripted('a = fail("a")\nb = get(a)\nc = get(b)\nd = get("d")\ne = get(d)\njoin()\n', joiner="Partly.")
    found = run(Compiler(model, desk.tools))
    assert found.status == "done"
    assert found.results == {"d": "d", "e": "d"}
    assert isinstance(found.failures["a"], Failure)
    assert [found.failures[id_] for id_ in "bc"] == [Skipped("a", "LookupError: no a")] * 2
    assert "LookupError: no a" in texts(model, "joiner")[0]


# -------------------------------------------------------------------- replan


def test_a_replan_reads_earlier_results_by_name():
    """The second plan uses what the first computed; the joiner's reason and schemas reach the planner."""
    desk = Desk()
    model = scripted(
        'ny = get({"max": 7})\njoin(ny)\n', 'la = get(ny["max"] + 1)\nanswer([ny["max"], la])\n',
        joiner=["Replan: la is missing"],
    )  # fmt: skip
    found = run(Compiler(model, desk.tools))
    assert (found.status, found.answer) == ("done", [7, 8])
    assert [round_.reason for round_ in found.rounds] == ["", "la is missing"]
    assert [round_.decision for round_ in found.rounds] == [Replan("la is missing"), Answer([7, 8])]
    (text,) = texts(model, "replan")
    assert "la is missing" in text
    assert "ny: dict (max: int)" in text
    assert [event.reason for event in found.events if isinstance(event, RoundStarted)] == ["", "la is missing"]
    assert found.plan == found.rounds[1].plan


def test_a_later_joiner_knows_the_earlier_reasons():
    """So that it does not ask for the same again."""
    model = scripted("a = get(1)\njoin(a)\n", "b = get(2)\njoin()\n", joiner=["Replan: need the second", "Done."])
    assert run(Compiler(model, Desk().tools)).answer == "Done."
    assert "need the second" in texts(model, "joiner")[1]


def test_a_name_that_means_something_else_now_gets_another_id():
    """Ids are unique in a run: the second `ny` is `ny_2`, and a reference means the latest."""
    desk = Desk()
    compiler = Compiler(
        scripted("ny = get(1)\njoin(ny)\n", "ny = get(2)\nb = get(ny)\nanswer(b)\n", joiner=["Replan: other"]),
        desk.tools,
    )
    found = run(compiler)
    assert found.results == {"ny": 1, "ny_2": 2, "b": 2}
    assert desk.asked("get") == [1, 2, 2]


def test_a_later_round_reads_the_last_version_of_a_name():
    """`x` means what it meant last: the request lists it once, and the plan that reads it gets that value."""
    model = scripted(
        "x = get(1)\nx = x + 1\njoin()\n", "y = get(x)\njoin(y)\n", "x = get(7)\nanswer([x, y])\n",
        joiner=["Replan: a", "Replan: b"],
    )  # fmt: skip
    found = run(Compiler(model, Desk().tools))
    assert (found.answer, found["x"]) == ([7, 2], 7)
    assert found.results == {"x": 1, "x_2": 2, "y": 2, "x_3": 7}
    assert '<data name="results">\nx: int\n</data>' in texts(model, "replan")[0]
    assert '<data name="x" call="1 + 1">\n2\n</data>' in texts(model, "joiner")[0]


def test_a_later_round_gives_a_name_a_known_value():
    """A literal, or another result: the variable means it, not what an earlier round left, and the joiner sees it."""
    model = scripted("x = get(1)\ny = get(2)\njoin()\n", "x = 5\ny = x\nz = get(y)\njoin()\n",
                     joiner=["Replan: other", "Done."])  # fmt: skip
    found = run(Compiler(model, Desk().tools))
    assert (found["x"], found["y"], found["z"]) == (5, 5, 5)
    assert '<data name="x" call="5">\n5\n</data>' in texts(model, "joiner")[1]


@pytest.mark.parametrize(
    ("line", "blocks"),
    [
        ("x = get(5) if ok else None", ['x" call="get(5)']),
        ("x = None if ok else get(5)", ['x" call="None if True else get(5)']),
        ("x = fail(5) if not ok else get(4) if ok else get(3)", ['x" call="get(4)']),
        ("x = get(5) + 1 if ok else 0", ['x.1" call="get(5)', 'x" call="5 + 1 if True else 0']),
        ("get(5) if ok else None", ['@2" call="get(5)']),
        ("x = get(ok) if get(ok) else None", ['x.1" call="get(True)', 'x" call="get(True)']),
    ],
)
def test_a_guarded_call_is_shown_to_the_joiner_once(line, blocks):
    """Under its line's name, with the call that was made, if the line's value is the call's; so is it in an answer."""
    model = scripted(f"ok = get(True)\n{line}\njoin()\n", joiner="Done.")
    run(Compiler(model, Desk().tools))
    (asked,) = texts(model, "joiner")
    assert re.findall('<data name="([^>]*)">', asked)[2:] == blocks
    ids = [block.split('"')[0] for block in blocks]
    assert list(run(planner_of(f"ok = get(True)\n{line}\njoin()\n")).answer) == ["ok", *ids]


def test_a_line_that_a_later_round_repeats_is_the_last_version():
    """The repeated line keeps its task, and its name means it again."""
    model = scripted("x = get(1)\nx = get(2)\njoin()\n", "x = get(1)\nanswer(x)\n", joiner=["Replan: a"])
    found = run(Compiler(model, Desk().tools))
    assert (found.answer, found["x"], found.results) == (1, 1, {"x": 1, "x_2": 2})


def test_a_later_round_cannot_read_a_name_whose_last_version_failed():
    """The older value would be a silent stand-in; the repair says that there is none."""
    model = scripted(
        "x = get(1)\nx = fail(x)\njoin()\n", "answer(x)\n", "answer(0)\n", joiner=["Replan: a"]
    )  # fmt: skip
    found = run(Compiler(model, Desk().tools))
    assert found.answer == 0
    assert "no task above and no offered input is called 'x'" in texts(model, "repair")[0]
    assert "x: LookupError" in texts(model, "replan")[0]
    assert "(none)" in texts(model, "replan")[0]


TABLES = "tables = {n: pick(n) for n in [1, 2, 3]}\nsizes = {n: t + 1 for n, t in tables.items()}\njoin()\n"


@tool
async def pick(n: int) -> int:
    """Fail for 2."""
    if n == 2:
        raise OSError("disk")
    return 10 * n


def test_a_later_round_reads_the_items_that_exist():
    """By the name of the fan-out; the planner is told which items there are, and why the others failed."""
    later = "more = [get(t) for t in tables.values()]\nanswer([list(tables), sum(sizes.values()), more, tables[3]])\n"
    model = scripted(TABLES, later, joiner=["Replan: go on"])
    found = run(Compiler(model, [*Desk().tools, pick]))
    assert (found.error, found.answer) == ("", [[1, 3], 42, [10, 30], 30])
    (text,) = texts(model, "replan")
    assert '<data name="results">\ntables: dict of 2 int to int\nsizes: dict of 2 int to int\n</data>' in text
    assert "tables[2]: OSError: disk\nsizes[2]: skipped: tables[2] failed, OSError: disk\n" in text
    assert isinstance(found.partial("tables")[2], Failure)


def test_a_later_round_runs_a_repeated_fanout_again():
    """A part of it is no reason to take it over."""
    model = scripted(TABLES, TABLES, joiner=["Replan: again", "That is all."])
    found = run(Compiler(model, [*Desk().tools, pick]))
    assert found.answer == "That is all."
    assert [id_ for id_ in found.progress.states if "[" not in id_] == ["tables", "sizes", "tables_2", "sizes_2"]


def test_a_fanout_without_any_item_cannot_be_read():
    """There is nothing of it."""
    model = scripted(
        "rows = [fail(n) for n in [1, 2]]\njoin()\n", "answer(len(rows))\n", "answer(0)\n", joiner="Replan: x"
    )
    found = run(Compiler(model, Desk().tools))
    assert found.answer == 0
    assert "is called 'rows'" in texts(model, "repair")[0]


def test_equal_tasks_are_adopted_and_not_called_again():
    """The same name keeps its id; under another name it adopts the outcome, and both have it."""
    desk = Desk()
    model = scripted("a = get(1)\njoin(a)\n", "a = get(1)\nb = get(1)\njoin(a, b)\n", joiner=["Replan: more", "ok"])
    found = run(Compiler(model, desk.tools))
    assert found.results == {"a": 1, "b": 1}
    assert desk.asked("get") == [1, 1]  # `a` is the earlier one, so `b` is a second
    ends = [(event.task, event.how) for event in found.events if isinstance(event, TaskEnded)]
    assert ends == [("a", ""), ("b", "")]


def test_the_kth_of_equal_tasks_adopts_the_kth():
    """Two equal calls of a tool that may say different things stay two."""
    desk, counted = Desk(), iter(range(10))

    async def draw(seed: int) -> int:
        return next(counted)

    model = scripted(
        "a = draw(1)\nb = draw(1)\njoin(a, b)\n", "x = draw(1)\ny = draw(1)\nz = draw(1)\nanswer([x, y, z])\n",
        joiner=["Replan: a third"],
    )  # fmt: skip
    found = run(Compiler(model, [*desk.tools, draw], max_concurrency=1))
    assert found.answer == [0, 1, 2]
    assert [e.task for e in found.events if isinstance(e, TaskEnded) and e.how == "adopted"] == ["x", "y"]


def test_adoption_needs_no_free_slot():
    """Where all slots are taken, what is known already is there all the same."""
    desk = Desk()
    model = scripted(
        "a = get(1)\njoin(a)\n", "w = wait(2)\nb = get(1)\nc = nap(b)\njoin(w, c)\n", joiner=["Replan: more", "ok"]
    )

    def look(event):
        if isinstance(event, TaskEnded) and event.task == "b":
            desk.open()

    found = run(Compiler(model, desk.tools, max_concurrency=1, timeout=5), on_event=look)
    assert found.status == "done"
    assert found.results == {"a": 1, "w": 2, "b": 1, "c": 1}


def test_a_failed_task_runs_again():
    """An equal task is adopted only if it is done or running."""
    desk, tries = Desk(), []

    async def shaky(x: int) -> int:
        tries.append(x)
        if len(tries) == 1:
            raise OSError("down")
        return x

    model = scripted("a = shaky(5)\njoin(a)\n", "a = shaky(5)\nanswer(a)\n", joiner=["Replan: try again"])
    found = run(Compiler(model, [*desk.tools, shaky]))
    assert (found.answer, tries) == (5, [5, 5])
    assert found.results == {"a_2": 5}
    assert "a: OSError: down" in texts(model, "replan")[0]


NUMBERED = ('1. get("a")\n2. join()<END_OF_PLAN>', '3. get("$1")\n1. get("b")\n4. join()<END_OF_PLAN>')
JSON = (
    '{"tasks": [{"id": "t1", "tool": "get", "args": {"x": "a"}}]}',
    '{"tasks": [{"id": "t1", "tool": "get", "args": {"x": "b"}}, {"id": "t3", "tool": "get", "args": {"x": "$t1"}}]}',
    '{"tasks": [{"id": "t4", "tool": "get", "args": {"x": "$t3"}}]}',
)


def test_a_numbered_plan_numbers_on():
    """Its numbers go on in the next round, and a number that it repeats is its own."""
    model = scripted(*NUMBERED, joiner=["Replan: more", "ok"])
    found = run(Compiler(model, Desk().tools, dialect="numbered"))
    assert found.error == ""
    assert found.results == {"1": "a", "3": "a", "1_2": "b"}
    assert (found["t1"], found["t1_2"]) == ("a", "b")


def test_a_json_plan_goes_on():
    """A repeated id gets a number; in JSON an id of this plan is meant before one of an earlier round."""
    model = scripted(*JSON, joiner=["Replan: more", "Replan: yet more", "ok"])
    found = run(Compiler(model, Desk().tools, dialect="json"))
    assert found.error == ""
    assert found.results == {"t1": "a", "t1_2": "b", "t3": "b", "t4": "b"}


@pytest.mark.parametrize(("most", "asked"), [(0, 1), (1, 2), (2, 3)])
def test_too_many_replans_are_a_limit_and_no_exception(most, asked):
    """The results so far stay; the last joiner is told that there will be no other plan."""
    plans = [f"a{number} = get({number})\njoin()\n" for number in range(5)]
    model = scripted(*plans, joiner=["Replan: never enough"] * 5)
    found = run(Compiler(model, Desk().tools, max_replans=most))
    assert found.status == "limit"
    assert found.error == f"no answer after {most} replan{'' if most == 1 else 's'}: never enough"
    assert len(found.results) == asked
    told = [("no other plan" in text) for text in texts(model, "joiner")]
    assert told == [False] * most + [True]


def test_a_given_plan_is_not_replanned():
    """`execute` runs that plan and no other, even if the joiner asks for one."""
    model = scripted("b = get(2)\njoin(b)\n", joiner=["Replan: no"])
    found = asyncio.run(Compiler(model, Desk().tools).execute("a = get(1)\njoin(a)\n", question="What?"))
    assert found.status == "limit"
    assert [request.role for request in model.calls] == ["joiner"]


# -------------------------------------------------------------------- a model that fails


def test_a_run_whose_planner_failed_can_be_cancelled():
    """While what it has asked for still works."""
    desk = Desk()

    def look(event):
        if isinstance(event, PlanClosed):
            found.cancel()

    compiler = Compiler(None, desk.tools, planner=Pieces([Chunk("b = wait(2)\n"), breathe, ModelError("gone")]))
    found, work = begin(compiler, "q", on_event=look)
    asyncio.run(work)
    assert (found.status, type(found.failures["b"])) == ("cancelled", Cancelled)


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), SystemExit(3)])
def test_a_model_of_any_manners_ends_the_run(error):
    """Whatever its class raises, the run has a status and an error."""

    class Rude:
        name = provider = "rude"

        async def stream(self, request):
            yield Chunk("a = get(1)\n")
            raise error

    found = run(Compiler(None, Desk().tools, planner=Rude()))
    assert found.status == "failed"
    assert type(error).__name__ in found.error


# -------------------------------------------------------------------- side effects


def test_side_effects_wait_for_the_whole_plan():
    """In every round: one that stands first starts when the text has ended well."""
    desk, seen = Desk(), []

    async def look():
        await breathe()
        seen.append(list(desk.calls))

    def plan(name):
        return [Chunk(f'get("{name}")\nsend("{name}")\n'), look, Chunk("join()\n"), look, Chunk("", "stop")]

    model = Pieces(plan("first"), plan("second"))
    joiner = ScriptedModel({"joiner": ["Replan: again", "ok"]})
    found = run(Compiler(None, desk.tools, planner=model, joiner=joiner, approve=["send"]))
    assert found.answer == "ok"
    before = [("get", "first"), ("send", "first")]
    assert seen == [before[:1], before[:1], [*before, ("get", "second")], [*before, ("get", "second")]]
    assert desk.asked("send") == ["first", "second"]


def test_a_side_effect_of_a_bad_plan_never_starts():
    """Only what the repaired plan holds does: not the one that was in the text with problems, nor both."""
    desk = Desk()
    model = scripted('send("wrong")\na = nope(1)\n', 'send("right")\na = get(1)\njoin(a)\n')
    found = run(Compiler(None, desk.tools, planner=model, approve="auto"))
    assert (found.status, desk.asked("send")) == ("done", ["right"])
    desk = Desk()
    model = scripted("a = get(1)\nsend(a)\nb = nope(1)\n", "a = get(1)\njoin(a)\n")
    assert run(Compiler(None, desk.tools, planner=model, approve="auto")).status == "done"
    assert desk.asked("send") == []


def test_a_fan_out_of_side_effects_of_a_bad_plan_never_starts():
    """Its items are dropped like a single call."""
    desk = Desk()
    model = scripted("xs = get([1, 2])\ns = [send(x) for x in xs]\nb = nope(1)\n", "a = get(3)\njoin(a)\n")
    found = run(Compiler(None, desk.tools, planner=model, approve="auto", timeout=5))
    assert (found.status, found.answer, desk.asked("send")) == ("done", {"a": 3}, [])


@pytest.mark.parametrize(
    ("approve", "sent"), [("ask", []), ("deny", []), ("auto", ["x"]), (("send",), ["x"]), (("other",), [])]
)
def test_approval(approve, sent):
    """By rule or by the tool's name; if nobody can be asked, it is denied."""
    desk = Desk()
    found = run(planner_of('a = send("x")\njoin(a)\n', desk=desk, approve=approve))
    assert desk.asked("send") == sent
    assert found.status == ("done" if sent else "failed")
    if not sent:
        assert found.failures["a"].kind == "denied"


# -------------------------------------------------------------------- limits


def test_a_run_that_takes_too_long_is_a_limit():
    """What finished stays, the rest is cancelled."""
    desk = Desk()
    found = run(planner_of("a = get(1)\nb = wait(2)\njoin(b)\n", desk=desk, timeout=0.05))
    assert (found.status, found.error) == ("limit", "the run took longer than 0.05 s")
    assert found.results == {"a": 1}
    assert found.failures["b"] == Cancelled("the run took longer than 0.05 s")
    assert desk.working == 0


def test_tasks_say_why_their_run_ended():
    """What ran and what waited at the limit says which one it was; nobody cancelled that run."""
    found = run(planner_of("a = wait(1)\nb = get(a)\njoin(b)\n", timeout=0.05))
    assert {id_: str(end) for id_, end in found.failures.items()} == dict.fromkeys("ab", found.error)


def test_a_timeout_of_someone_else_is_a_failure():
    """Not every TimeoutError is the run's."""

    class Late:
        name = provider = "late"

        def stream(self, request):
            raise TimeoutError("elsewhere")

    found = run(Compiler(None, Desk().tools, planner=Late()))
    assert (found.status, "elsewhere" in found.error) == ("failed", True)


@pytest.mark.parametrize("more", [0, 60])
def test_a_budget_that_is_used_up_is_a_limit(more):
    """The joiner is not asked any more, if its request is larger than what is left, too; results stay."""
    first = scripted("a = get(1)\njoin(a)\n", joiner="ok")
    run(Compiler(first, Desk().tools))
    for budget in (Budget(calls=1), Budget(tokens=estimate_request(first.calls[0]) + more)):
        model = scripted("a = get(1)\njoin(a)\n", joiner="ok")
        found = run(Compiler(model, Desk().tools, budget=budget))
        assert (found.status, found.results, model.calls[-1].role) == ("limit", {"a": 1}, "planner")
        assert found.error.startswith("the budget of")


def test_a_budget_of_500_tokens_makes_no_call_of_more():
    """The planner's request is larger than the budget, so it is not sent; the message says both numbers."""
    model = scripted("a = get(1)\njoin(a)\n", joiner="ok")
    found = run(Compiler(model, Desk().tools, budget=Budget(tokens=500)))
    assert (found.status, found.usage.tokens, model.calls) == ("limit", 0, [])
    words = r"the budget of 500 tokens is too small: the next call sends about [\d,]+, and 500 are left; allow more"
    assert re.match(words, found.error)


def test_calls_that_are_under_way_count_against_a_budget_of_tokens():
    """Ten tasks ask the worker together: what the first ones send is known before any has answered."""
    plan = 'n = [llm("say", x) for x in get([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])]\njoin(n)\n'

    def asked(**settings):
        """Return the run, and the requests by role."""
        model = scripted(plan, worker="w" * 400)
        found = run(Compiler(None, Desk().tools, planner=model, worker=model, max_concurrency=10, **settings))
        return found, [estimate_request(each) for each in model.calls if each.role == "worker"]

    free, sizes = asked()
    assert len(sizes) == 10
    before = free.usage.input_tokens - sum(sizes) + 25
    found, some = asked(budget=Budget(tokens=before + 3 * sizes[0]))
    assert len(some) in (3, 4)
    refused = [id_ for id_, end in found.failures.items() if "[" in id_ and "tokens is too small" in str(end)]
    assert len(refused) == 10 - len(some)


def test_a_budget_holds_for_calls_that_are_made_at_once():
    """Ten tasks that ask the worker together get no more calls than there are."""
    model = scripted('n = [llm("say", x) for x in get([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])]\njoin(n)\n', worker="w")
    compiler = Compiler(None, Desk().tools, planner=model, worker=model, budget=Budget(calls=4), max_concurrency=10)
    found = run(compiler)
    assert [request.role for request in model.calls].count("worker") == 3
    assert len([end for id_, end in found.failures.items() if "[" in id_]) == 7


@pytest.mark.parametrize("approve", ["auto", ("slow_mail",)])
def test_a_side_effect_that_was_cut_off_is_not_made_again_unasked(approve):
    """Its end is unknown: no rule lets an equal one start in the next round, only a person does."""
    sent: list[str] = []

    @tool(side_effects=True, timeout=0.03)
    async def slow_mail(to: str) -> str:
        """Send, and never come back."""
        sent.append(to)
        await asyncio.sleep(30)
        return "sent"

    replies = {"planner": "a = slow_mail('bob')\njoin()\n", "joiner": ["Replan: try again", "done"]}
    model = ScriptedModel({**replies, "replan": "b = slow_mail('bob')\nc = slow_mail('eve')\njoin()\n"})
    run = Compiler(model, [slow_mail], approve=approve).run_sync("Tell Bob.")
    assert (run.status, run.answer) == ("done", "done")
    assert sent == ["bob"]
    assert run.failures["b"].kind == "denied"
    assert "may have had its effect" in run.failures["b"].message
    if approve != "auto":  # which does not approve what a replan wants
        told = "whether it had its effect is unknown, so no later side effect of the plan is made"
        assert str(run.failures["c"]).endswith(told)


def test_a_person_may_repeat_a_side_effect_that_was_cut_off():
    """Who is asked may know that nothing happened."""
    sent: list[str] = []
    asked: list[str] = []

    @tool(side_effects=True, timeout=0.03)
    async def slow_mail(to: str) -> str:
        """Send; the first time it never comes back."""
        sent.append(to)
        await asyncio.sleep(30 if len(sent) == 1 else 0)
        return "sent"

    async def ask(task: Task, arguments: str) -> bool:
        asked.append(f"{task.id}({arguments})")
        return True

    replies = {"planner": "a = slow_mail('bob')\njoin()\n", "joiner": ["Replan: try again", "done"]}
    model = ScriptedModel({**replies, "replan": "b = slow_mail('bob')\njoin(b)\n"})
    run, work = begin(Compiler(model, [slow_mail], approve="auto"), "Tell Bob.", ask=ask)
    asyncio.run(work)
    assert (run["b"], sent, asked) == ("sent", ["bob", "bob"], ['b("bob")'])


def test_a_failure_that_a_later_round_replaced_is_not_shown_to_the_joiner():
    """It is shown as long as nothing has come in its place; numbered blocks say whose they are."""

    @tool
    def page(name: str) -> str:
        """Read a page."""
        if name in ("Mont Blanc", "Zug"):
            raise ValueError("404")
        return "high"

    plans = ['1. page("Mont Blanc")\n2. page("Eiger")\n3. join()\n', '1. page("Zug")\n2. join()\n',
             '1. page("Monte Bianco")\n2. join()\n']  # fmt: skip
    model = ScriptedModel({"planner": plans, "joiner": ["Replan: more", "Replan: more", "done"]})
    run = asyncio.run(Compiler(model, [page], dialect="numbered").run("How high?"))
    assert (run.status, run.answer) == ("done", "done")
    first, second, third = texts(model, "joiner")
    assert '1: failed (raised): ValueError: 404; the call was page("Mont Blanc")' in first
    assert "1: failed (raised)" in second
    assert "failed (raised)" not in third
    assert "What has no result" not in third
    assert "call=\"page('Monte Bianco')\"" in third
    assert "page(name: str) -> str: Read a page." in second
    assert "Tools that another plan may call" not in third


@pytest.mark.parametrize("last", ["answer(b)", "join(b)"])
def test_a_run_whose_answer_was_skipped_says_so_in_plain_words(last):
    """Which task failed and what was skipped because of it, each once."""
    found = run(planner_of(f'a = fail("ny")\nb = get(a)\n{last}\n'))
    assert found.status == "failed"
    assert found.error.removeprefix("the answer cannot be evaluated: ").startswith("b was skipped because a failed: ")
    assert "no ny" in found.error


# -------------------------------------------------------------------- an answer of a type


class High(BaseModel):
    """A value, and where it comes from."""

    of: str
    value: float


def test_the_answer_of_a_plan_has_the_type_that_was_asked_for():
    """The planner is told in a line, and what it gives is converted if nothing is lost."""
    compiler = planner_of('a = get("3")\nanswer(a)\n', 'a = get(4)\nanswer({"of": "a", "value": a})\n')
    found = run(compiler, answer_type=float)
    assert (found.answer, type(found.answer), found.answer_type) == (3.0, float, "float")
    assert "The answer must be of the type float" in texts(compiler.settings.planner, "planner")[0]
    assert run(compiler, answer_type=High).answer == High(of="a", value=4)


def test_a_wrong_answer_of_a_plan_is_asked_for_again_once_and_nothing_is_computed_twice():
    """As a replan, whose reason says what is wrong; what came is named by its shape only."""
    desk = Desk()
    plans = ('a = get("secret")\nanswer(a)\n', "b = get(2)\nanswer(b)\n")
    compiler = planner_of(*plans, desk=desk)
    found = run(compiler, answer_type=float)
    assert (found.status, found.answer, len(found.rounds)) == ("done", 2.0, 2)
    assert found.rounds[1].reason == (
        "the plan's answer is not of the type that is wanted: str came: "
        "input should be a valid number, unable to parse string as a number"
    )
    [asked] = texts(compiler.settings.planner, "replan")
    assert "float" in asked
    assert desk.asked("get") == ["secret", 2]


def test_a_wrong_answer_that_comes_twice_fails_and_shows_what_came_and_what_was_wanted():
    """The results stay."""
    found = run(planner_of('a = get("x")\nanswer(a)\n', "b = get(True)\nanswer(b)\n"), answer_type=float)
    assert (found.status, found.answer, found["a"]) == ("failed", None, "x")
    told = "the answer must be of the type float, but True (bool) came: True is not a number"
    assert found.error == f"{told}; two plans gave no such answer"


def test_a_given_plan_with_a_wrong_answer_fails_at_once():
    """Nobody can be asked for another."""
    found = asyncio.run(Compiler(tools=Desk().tools).execute("answer([1])", answer_type=dict[str, int]))
    assert (found.status, found.error.split(":")[0]) == (
        "failed", "the answer must be of the type dict[str, int], but [1] (list) came",
    )  # fmt: skip


def test_side_effects_end_before_a_wrong_answer_is_asked_for_again():
    """And they are not repeated."""
    desk = Desk()
    plan = 'a = get("x")\nsend(1)\nanswer(a)\n'
    found = run(planner_of(plan, "send(1)\nanswer(1)\n", desk=desk, approve=["send"]), answer_type=int)
    assert (found.answer, desk.asked("send")) == (1, [1])


@pytest.mark.parametrize(
    "reply", ["12.5", "```json\n12.5\n```", "Thought: let me see\nFinish(12.5)", '{"answer": 12.5}']
)
def test_the_joiners_text_becomes_the_answer(reply):
    """It is told to write the value alone, and is read as JSON."""
    model = scripted("a = get(1)\njoin(a)\n", joiner=reply)
    found = run(Compiler(model, Desk().tools), answer_type=float)
    assert (found.answer, found.error) == (12.5, "")
    assert "The answer must be of the type float: write the value as JSON" in texts(model, "joiner")[0]


def test_a_joiner_whose_answer_is_wrong_is_asked_once_more_with_the_problem():
    """It is shown its own reply, and what is wrong with it; then the run fails."""
    model = scripted("a = get(1)\njoin(a)\n", joiner=['{"of": "a"}', '{"of": "a", "value": 3}'])
    assert run(Compiler(model, Desk().tools), answer_type=High).answer == High(of="a", value=3)
    again = texts(model, "joiner")[1]
    assert '{"of": "a"}\nThis is not the answer that is wanted: [\'value\'] field required.' in again
    found = run(Compiler(scripted("a = get(1)\njoin(a)\n", joiner="warm"), Desk().tools), answer_type=float)
    assert found.status == "failed"
    assert '"warm" (str) came' in found.error
    assert "the joiner was asked twice" in found.error


@pytest.mark.parametrize(
    "reply",
    [
        'Here you go:\n```json\n{"of": "a", "value": 3}\n```\nAnything else?',
        'Sure!\n{"of": "a",\n "value": 3}\n\nAnything else?',
        'Thought: {"of": "b", "value": 1}\nAnswer: {"of": "a", "value": 3}',
    ],
)
def test_words_around_a_joiners_answer_do_no_harm_if_it_stands_apart(reply):
    """In the only fence, or on lines of its own; nobody is asked again."""
    found = run(Compiler(scripted("a = get(1)\njoin(a)\n", joiner=reply), Desk().tools), answer_type=High)
    assert (found.answer, found.progress.refused) == (High(of="a", value=3), [])


def test_what_stands_within_a_sentence_is_no_answer():
    """A note's number in brackets is none of a list."""
    model = scripted("a = get(1)\njoin(a)\n", joiner=["There is no data\n[1] says so", "[2]"])
    assert run(Compiler(model, Desk().tools), answer_type=list[int]).answer == [2]


def test_a_joiner_may_still_ask_for_another_plan():
    """Whatever the type of the answer."""
    model = scripted("a = get(1)\njoin(a)\n", "b = get(2)\njoin(b)\n", joiner=["Replan: more", "7"])
    found = run(Compiler(model, Desk().tools), answer_type=int)
    assert (found.answer, len(found.rounds)) == (7, 2)


def test_fields_of_an_answer_may_be_called_as_a_decision_is():
    """`answer` and `reason` are fields of the record here, not ours."""

    class Verdict(BaseModel):
        answer: str
        reason: str

    reply = '{"answer": "yes", "reason": "because"}'
    found = run(Compiler(scripted("a = get(1)\njoin(a)\n", joiner=reply), Desk().tools), answer_type=Verdict)
    assert found.answer == Verdict(answer="yes", reason="because")


def test_what_no_text_can_say_is_asked_of_the_plan():
    """A joiner is not asked for an object; the planner is."""
    model = scripted("a = get(it)\njoin(a)\n", "answer(a)\n", joiner="never asked")
    thing = Desk()
    found = run(Compiler(model, Desk().tools), answer_type=Desk, inputs={"it": thing})
    assert found.answer is thing
    assert texts(model, "joiner") == []


def test_a_run_that_reached_a_limit_has_no_answer_of_another_type():
    """Without a type it would answer with the results that there are."""
    model = ScriptedModel({"planner": "a = get(1)\njoin(a)\n", "joiner": "Replan: more"})
    compiler = Compiler(model, Desk().tools, max_replans=0)
    assert run(compiler, answer_type=float).answer is None
    assert run(compiler).answer == {"a": 1}


def test_a_run_that_goes_on_has_the_type_of_the_first():
    """A rerun and a resume; from a history, too, if the type is Python's own."""
    compiler = planner_of("a = get(1)\nanswer(a)\n")
    found = run(compiler, answer_type=float)
    again = asyncio.run(compiler.rerun(found, overrides={"a": "5"}))
    assert (again.answer, again.answer_type) == (5.0, "float")
    assert asyncio.run(compiler.rerun(found, answer_type=str, overrides={"a": "5"})).answer == "5"


def test_a_stored_run_keeps_the_name_of_the_type_and_plain_values(tmp_path):
    """No class of the notebook is needed to read it; to go on with it, the type is given again."""
    path = tmp_path / "runs.db"
    compiler = planner_of('answer({"of": "a", "value": 4})\n', "a = get(1)\nanswer(a)\n", history=path)
    first, second = run(compiler, answer_type=High), run(compiler, answer_type=int)
    with History(path) as history:
        loaded = history.load(first.id)
        assert (loaded.answer, loaded.answer_type) == ({"of": "a", "value": 4.0}, "High")
        assert history.load(second.id).answer_type == "int"
    with pytest.raises(HistoryError, match="only its name was stored: give the type, answer_type=High"):
        asyncio.run(compiler.rerun(first.id))
    assert asyncio.run(compiler.rerun(first.id, answer_type=High)).answer == High(of="a", value=4)
    assert asyncio.run(compiler.rerun(second.id, overrides={"a": 6.0})).answer == 6


def test_many_questions_have_answers_of_one_type():
    """`map` takes it, too."""
    runs = asyncio.run(
        planner_of("answer('1')\n", "answer('2')\n").map(["a?", "b?"], answer_type=int, max_concurrency=1)
    )
    assert [found.answer for found in runs] == [1, 2]


def test_what_is_no_type_is_refused_before_a_model_is_asked():
    """With what is wanted."""
    with pytest.raises(ValueError, match="a type is wanted"):
        run(planner_of("answer(1)\n"), answer_type="float")
