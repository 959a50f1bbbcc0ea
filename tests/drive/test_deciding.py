"""How a round ends: the plan's own answer, the joiner, the values that there are, and the type of an answer."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from compiler_nb.compiler import Compiler
from compiler_nb.drive.deciding import AGAIN
from compiler_nb.errors import HistoryError, RunFailed
from compiler_nb.events import (
    Decided,
    ModelChunk,
    ModelStarted,
    TaskEnded,
)
from compiler_nb.history import History
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import Answer, Failure, Skipped
from tests.support.desk import Desk, planner_of, run, scripted, texts

# -------------------------------------------------------------------- an answer, the joiner, or values


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


@pytest.mark.parametrize(
    ("last", "error"),
    [
        ("join(a, b)", f"b failed: LookupError: no 1; {AGAIN}"),
        ("join(b)", f"b failed: LookupError: no 1; {AGAIN}"),
        ("join(c)", f"c was skipped because b failed: LookupError: no 1; {AGAIN}"),
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
    assert (found.status, found.answer) == ("failed", None)
    assert found.error == f"a failed: LookupError: no 1; b failed: LookupError: no 2; {AGAIN}"


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


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ('a = fail("ny")\nanswer(a)\n', f"a failed: LookupError: no ny; {AGAIN}"),
        (
            "rows = [fail(n) for n in [1]]\nanswer(rows)\n",
            f"rows failed: 1 of 1 item failed: LookupError: no 1 (rows[0]); {AGAIN}",
        ),
        ("a = get(1)\nanswer(a / 0)\n", "ExpressionError: a / 0: ZeroDivisionError: division by zero (with a = 1)"),
    ],
)
def test_an_answer_that_cannot_be_evaluated_fails_without_a_joiner(plan, told):
    """The run says what stood in the way, and if that is a task, which, how it failed, and how to try it again."""
    found = run(planner_of(plan))
    assert (found.status, found.answer) == ("failed", None)
    assert found.error == f"the answer cannot be evaluated: {told}"


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
