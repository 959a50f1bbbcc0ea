"""A run through its rounds: replans, models that fail, side effects and limits."""

from __future__ import annotations

import asyncio
import re

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import ModelError
from compiler_nb.events import (
    PlanClosed,
    RoundStarted,
    TaskEnded,
)
from compiler_nb.models.base import Chunk, estimate_request
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import Answer, Cancelled, Failure, Replan
from compiler_nb.plan.task import Task
from compiler_nb.settings.budget import Budget
from compiler_nb.tool import tool
from tests.support.desk import Desk, Pieces, begin, planner_of, run, scripted, texts

COVERS = ("adopting.py", "ending.py", "opening.py")


async def breathe():
    """Give the tools a moment."""
    await asyncio.sleep(0.002)


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
