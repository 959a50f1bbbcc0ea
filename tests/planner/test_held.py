"""A planner's request carries the grammar of the plans that may answer it."""

from __future__ import annotations

import asyncio
import json
from random import Random

import jsonschema
import pytest

from compiler_nb import Compiler, Plan, ScriptedModel, tool
from compiler_nb.grammar.plans import make_grammar
from compiler_nb.grammar.spelling import Leeway
from compiler_nb.planner.held import plan_grammar
from compiler_nb.tool import Toolbox
from tests.support.grammars import Matcher, Writer

DIALECTS = ("python", "numbered", "json")


@tool
def weather(city: str) -> str:
    """Return the weather."""
    return f"sunny in {city}"


BOX = Toolbox([weather])


def allows(text, dialect, **leeway):
    """Whether a grammar allows a plan."""
    return Matcher(make_grammar(BOX, dialect, Leeway(**leeway)), text).matches()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_for_a_plan_carries_the_grammar_of_its_tools_and_inputs(dialect):
    """A model may have it in the form that its server takes; nothing is written before one does."""
    model = ScriptedModel({"planner": ["nonsense(", "answer(1)"], "joiner": "ok"})
    asyncio.run(Compiler(model, [weather], dialect=dialect).run("Rain?", inputs={"town": "Oslo"}))
    assert [request.role for request in model.calls][:2] == ["planner", "repair"]
    for request in model.calls[:2]:
        assert request.grammar.about == "3 tools"  # llm and extract are always offered
        text = request.grammar.text("gbnf")
        assert "weather" in text
        assert "town" in text
        assert text is request.grammar.text("gbnf")


ENDS = {
    "python": ('answer("Hi")', 't1 = weather("x")\nanswer(t1)'),
    "numbered": ('1. answer("Hi")<END_OF_PLAN>', '1. weather("x")\n2. answer($1)<END_OF_PLAN>'),
    "json": (
        '{"tasks": [\n  {"id": "t1", "tool": "answer", "args": {"value": "Hi"}}\n]}',
        '{"tasks": [\n  {"id": "t1", "tool": "weather", "args": {"city": "x"}}\n]}',
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_first_plan_of_a_question_has_a_task_at_least_and_a_later_one_may_answer_at_once(dialect):
    """Small models would answer before they have looked; what needs no tool is answered by `llm`, which is one."""
    once, with_task = ENDS[dialect]
    assert allows(with_task, dialect, least=1)
    assert not allows(once, dialect, least=1)
    assert allows(once, dialect)
    model = ScriptedModel({"planner": with_task, "replan": with_task, "joiner": ["Replan: again", "ok"]})
    plans = with_task.replace("answer(t1)", "join(t1)").replace("answer($1)", "join($1)")
    model.replies = {**model.replies, "planner": plans}
    compiler = Compiler(model, [weather], dialect=dialect)
    run = asyncio.run(compiler.run("Rain?"))
    assert run.status == "done", run.error
    first, later = (each.grammar.text("gbnf") for each in model.calls if each.role in ("planner", "replan"))
    tools, earlier = compiler.settings.tools, ("1",) if dialect == "numbered" else ("t1",)
    assert first == tools.grammar(dialect, least=1)
    assert later == tools.grammar(dialect, earlier=earlier, first=2)
    once = json.loads(ENDS["json"][0])
    schemas = [
        jsonschema.Draft202012Validator(json.loads(BOX.grammar("json", (), "json_schema", least=n))) for n in (1, 0)
    ]
    assert [schema.is_valid(once) for schema in schemas] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_small_model_has_half_the_lines(dialect):
    """It repeats a call until no line is left; a replan goes on behind them."""
    texts = {}
    for prompts in ("full", "small"):
        model = ScriptedModel({"planner": ENDS[dialect][1], "joiner": "ok"})
        asyncio.run(Compiler(model, [weather], dialect=dialect, prompts=prompts).run("Rain?"))
        texts[prompts] = model.calls[0].grammar.text("gbnf")
    tools = Compiler(model, [weather], dialect=dialect).settings.tools
    assert texts == {"full": tools.grammar(dialect, least=1), "small": tools.grammar(dialect, lines=6, least=1)}


def test_without_a_task_that_can_be_written_there_is_still_an_answer():
    """Nothing can be called: the least that is asked for is what is possible."""
    assert Matcher(make_grammar({}, "python", Leeway(least=1)), "answer(1)").matches()
    assert json.loads(Toolbox().grammar("json", form="json_schema", least=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dialect", "plan", "more"),
    [
        ("python", 't3 = weather(f"{ny} and {t1}")\nanswer([ny, t2["a"], t3])', ("class", "x y", "note.1")),
        ("python", "join(ny, t1)", ()),
        ("numbered", '4. weather("${1} and ${2_2}")\n5. join($1, $4)<END_OF_PLAN>', ("ny", "2.1")),
        (
            "json",
            '{"tasks": [\n  {"id": "t3", "tool": "weather", "args": {"city": "$ny"}, "deps": ["t1"]}\n]}',
            ("a b",),
        ),
        ("json", '{"tasks": [\n  {"id": "t3", "tool": "join", "args": {}, "deps": ["ny"]}\n]}', ()),
    ],
)
def test_a_later_plan_may_read_what_earlier_rounds_gave_and_numbers_on(dialect, plan, more):
    """By the names that the parser takes, in arguments, texts and the end; what no plan can write is left out."""
    earlier = ("1", "2_2", "3", *more) if dialect == "numbered" else ("ny", "t1", "t2", *more)
    first = 4 if dialect == "numbered" else 3
    assert allows(plan, dialect, earlier=earlier, first=first)
    assert not allows(plan, dialect, first=first)
    schema = plan_grammar("json", BOX, earlier=earlier, taken=earlier).text("json_schema")
    assert '"t3"' in schema or dialect == "numbered"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_random_plans_of_a_second_round_are_accepted_by_the_run(dialect):
    """What the grammar of a replan writes is read without a problem, whatever it reads of the first round."""
    plan = {"python": 'ny = weather("NY")\nt1 = weather("x")\njoin()', "json": ENDS["json"][1]}
    first = plan.get(dialect, '1. weather("NY")\n2. weather("x")\n3. join()<END_OF_PLAN>')
    random, wrong = Random(3), []

    def write(request):
        earlier = {"python": ("ny", "t1"), "numbered": ("1", "2"), "json": ("t1",)}[dialect]
        start = {"python": 2, "numbered": 3, "json": 2}[dialect]
        return Writer(make_grammar(BOX, dialect, Leeway((), earlier, 3, 0, start)), random).text()

    for _ in range(40):
        model = ScriptedModel({"planner": first, "replan": write, "joiner": ["Replan: more", "ok"]})
        run = asyncio.run(Compiler(model, [weather], dialect=dialect, max_repairs=0).run("Rain?"))
        wrong += [run.error] if "not a valid plan" in run.error or "problem" in run.error else []
    assert wrong == []


def test_what_is_written_is_kept_for_the_next_question():
    """The grammar of the same tools is made once."""
    first, again = (plan_grammar("python", BOX).text("gbnf") for _ in range(2))
    assert first is again
    assert Plan.parse(ENDS["python"][1], tools=BOX)
