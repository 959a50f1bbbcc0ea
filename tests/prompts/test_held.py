"""What the replies of the joiner and of `extract` may be: what the grammar allows is read as it is meant."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Literal

import jsonschema
import pytest
from pydantic import BaseModel

from compiler_nb import Compiler, ScriptedModel, tool
from compiler_nb.outcome import Answer, Replan
from compiler_nb.prompts.decision import read_decision
from compiler_nb.prompts.held import NAMES, answer_grammar, decision_grammar, value_grammar
from compiler_nb.prompts.replies import decisions, typed_answers, values
from compiler_nb.signature.answers import AnswerType
from compiler_nb.toolbox.language import FORMS, read_value
from tests.support.grammars import Matcher, Writer

COVERS = ("replies.py",)
VALUES = {"number": "-8.1e9", "text": '"a \\"b\\" €"', "list": '["a", 2, null]', "bool": "true", "date": '"2026-01-31"'}


def allows(grammar, text):
    """Whether a grammar allows a text."""
    return Matcher(grammar, text).matches()


@pytest.mark.parametrize("text", [
    "42", "**Oslo** is warmer.", "# Answer\n\n- Oslo\n- Rome\t7 °C", '{"city": "Oslo"}', "```python\nx = 1\n```",
    "Rome", "Reply: none", "r", "replay it", "Not `replan`.", "東京",
])  # fmt: skip
def test_an_answer_is_allowed_whether_another_plan_may_be_asked_for_or_not(text):
    """In Markdown, in other scripts, and with words that begin alike."""
    assert allows(decisions(can_replan=True), text)
    assert allows(decisions(can_replan=False), text)
    assert isinstance(read_decision(text), Answer)


def test_a_request_for_another_plan_is_one_line_with_a_reason_and_only_if_there_may_be_one():
    """However it is decorated; nothing is no reply."""
    asked = "Replan: the weather of Rome is missing"
    assert allows(decisions(can_replan=True), asked)
    assert read_decision(asked) == Replan("the weather of Rome is missing")
    assert not allows(decisions(can_replan=False), asked)
    wrong = ["", " ", "\n", "Replan: ", "Replan:", "REPLAN: x\ny", "**Replan:** x", "> replan: x", "'Replan' - x"]
    for text in wrong:
        assert not allows(decisions(can_replan=True), text), text
        assert not allows(decisions(can_replan=False), text), text


def test_a_thousand_random_decisions_are_read_as_what_they_are():
    """One that may not ask for another plan does not, whatever it says."""
    random = Random(1)
    writer, last = (Writer(decisions(can_replan=each), random, short=0.1) for each in (True, False))
    found = [read_decision(writer.text()) for _ in range(1000)]
    assert {type(each) for each in found} == {Answer, Replan}
    assert {type(read_decision(last.text())) for _ in range(1000)} == {Answer}


@pytest.mark.parametrize("type_", FORMS)
def test_a_value_is_allowed_and_read_with_its_type(type_):
    """As is null; and nothing around the object. The schema says the same."""
    schema = jsonschema.Draft202012Validator(json.loads(value_grammar(type_).text("json_schema")))
    for text in (f'{{"value": {VALUES[type_]}}}', '{"value": null}'):
        assert allows(values(type_), text)
        assert schema.is_valid(json.loads(text))
    assert read_value(f'{{"value": {VALUES[type_]}}}', type_) is not None
    for other in set(VALUES.values()) - {VALUES[type_]}:
        assert not allows(values(type_), f'{{"value": {other}}}') or (type_, other[0]) == ("text", '"')
    assert not allows(values(type_), f'```json\n{{"value": {VALUES[type_]}}}\n```')
    assert not schema.is_valid({"value": {}})
    random = Random(2)
    for text in (Writer(values(type_), random).text() for _ in range(200)):
        if json.loads(text)["value"] not in (None, ""):
            assert type_ == "text" or read_value(text, type_) is not None


def test_a_decision_is_no_json():
    """So a server that takes schemas only is not asked to hold the joiner to one."""
    with pytest.raises(ValueError, match="json_schema cannot describe a decision, which is not JSON; use gbnf or lark"):
        decision_grammar(can_replan=True).text("json_schema")


@tool
def page(title: str) -> str:
    """Return a page."""
    return "Paris has 2.1 million inhabitants"


def test_requests_to_the_joiner_and_to_extract_carry_what_their_replies_may_be():
    """The last joiner may not ask for another plan; a joiner with a prompt of the user's own is free; so is llm."""
    plan = 't1 = page("Paris")\nt2 = extract("inhabitants", t1, "number")\nt3 = llm("Say it", t2)\njoin(t2)\n'
    script = {"planner": plan, "worker": lambda request: '{"value": 2100000}', "joiner": "2,100,000"}
    for settings, about in (
        ({}, "a decision"), ({"max_replans": 0}, "an answer"), ({"prompts": {"joiner": "Answer: {question}"}}, None),
    ):  # fmt: skip
        model = ScriptedModel(script)
        run = asyncio.run(Compiler(model, [page], **settings).run("How many live in Paris?"))
        assert run.status == "done", run.error
        asked = [(request.role, request.grammar and request.grammar.about) for request in model.calls]
        assert asked == [("planner", "3 tools"), ("worker", "a number"), ("worker", None), ("joiner", about)]
    assert set(NAMES) == set(FORMS)


class Line(BaseModel):
    """A line of an order."""

    sku: str
    size: Literal["s", "m"] | None
    counts: list[int]


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (float, ["3", "-0.5"], ["about 3", '"3"', "true"]),
        (list[str], ["[]", '["a", "b"]'], ["[1]", '"a"']),
        (
            Line,
            ['{"sku": "x", "size": "m", "counts": [1, 2]}'],
            ['{"sku": "x"}', '{"sku": 1, "size": null, "counts": []}'],
        ),
        (bool | None, ["true", "null"], ["1", "True"]),
    ],
)
def test_an_answer_of_a_type_is_written_as_json_of_that_type(hint, right, wrong):
    """Or it is a request for another plan, if one may be asked for; random ones are all of the type."""
    wanted = AnswerType(hint)
    grammar = typed_answers(hint, can_replan=True)
    assert allows(grammar, "Replan: the price is missing")
    assert not allows(typed_answers(hint, can_replan=False), "Replan: the price is missing")
    schema = jsonschema.Draft202012Validator(
        json.loads(answer_grammar(hint, "it", wanted.schema, can_replan=True).text("json_schema"))
    )
    assert schema.is_valid({"replan": "the price is missing"})
    for text in right:
        assert allows(grammar, text)
        assert schema.is_valid({"answer": json.loads(text)})
    for text in wrong:
        assert not allows(grammar, text)
    random = Random(3)
    for _ in range(100):
        wanted.read_text(Writer(typed_answers(hint, can_replan=False), random).text())


def test_an_answer_that_json_cannot_write_is_held_to_nothing():
    """Its server is asked without a grammar."""
    with pytest.raises(ValueError, match="cannot say values of this type"):
        answer_grammar(Random, "Random", None, can_replan=True).text("gbnf")
    with pytest.raises(ValueError, match="strict_schema cannot say"):
        answer_grammar(int, "int", {"type": "integer"}, can_replan=True).text("strict_schema")
