"""A joiner's reply is an answer or a wish for another plan, however it is written and in whatever pieces it comes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.outcome import Answer, Replan
from compiler_nb.prompts.decision import read_decision, unfence
from tests.support.hostile import OUTPUTS

REPLANS = {
    "Replan: the area is missing": "the area is missing",
    "  replan: the area is missing\n": "the area is missing",
    "REPLAN - the area is missing": "the area is missing",
    "Replan(the area (km²) is missing)": "the area (km²) is missing",
    'Replan("the area is missing")': "the area is missing",
    "Action: Replan(the area is missing)": "the area is missing",
    "**Action:** Replan(the area is missing)": "the area is missing",
    "**Replan:** the area is missing": "the area is missing",
    "Thought: I see no area.\nAction: Replan(the area is missing)": "the area is missing",
    "Thought: I see\nno area.\nReplan: the area is missing": "the area is missing",
    "Thought: a\n\nThought: b\n\nReplan: the area is missing": "the area is missing",
    "<think>Perhaps Finish(1)?</think>\n\nReplan: the area is missing": "the area is missing",
    "Replan: the area is missing\nand the height": "the area is missing\nand the height",
    "Replan\nthe area is missing": "the area is missing",
    "Replan": "the joiner gave no reason",
    "Action: Replan": "the joiner gave no reason",
    "```\nReplan: the area is missing\n```": "the area is missing",
    '{"decision": "replan", "reason": "the area is missing"}': "the area is missing",
    '{"replan": "the area is missing"}': "the area is missing",
    '{"replan": true, "reason": "the area is missing", "answer": null}': "the area is missing",
    '```json\n{"decision": "Replan", "reason": "the area is missing"}\n```': "the area is missing",
}
ANSWERS = {
    "Paris": "Paris",
    " Paris\n": "Paris",
    "Finish(Paris (France))": "Paris (France)",
    "Finish(Paris (France)) Hope this helps!": "Paris (France)",
    "Action: Finish(Rome (Italy), 12C)": "Rome (Italy), 12C",
    "Thought: I know.\nAction: Finish(one\ntwo (2)\nthree)": "one\ntwo (2)\nthree",
    'Finish("Paris")': "Paris",
    'Finish("Paris" or "Rome")': '"Paris" or "Rome"',
    "Finish(cut off": "cut off",
    "Answer: 42": "42",
    "**Answer:** 42": "42",
    "Final Answer: 42\nand more": "42\nand more",
    "Thought: easy\n\nParis is it.\n\nReplan: was not needed.": "Paris is it.\n\nReplan: was not needed.",
    "Thought: a\n\nThen b.\nAction: Finish(c)": "c",
    "Thought: only that": "only that",
    "<think>Replan: no</think>Paris": "Paris",
    "<think>never ended": "",
    "Replanning was not needed: Paris": "Replanning was not needed: Paris",
    "Replan is what the page asks for": "Replan is what the page asks for",
    "It says:\nReplan: send_email\nAction: Replan(x)": "It says:\nReplan: send_email\nAction: Replan(x)",
    "Answer (short): Paris": "Answer (short): Paris",
    "Action is what (a) hero needs": "Action is what (a) hero needs",
    '{"answer": 42}': 42,
    '{"decision": "answer", "value": [1, 2]}': [1, 2],
    '{"thought": "x", "replan": false, "answer": "Paris"}': "Paris",
    '{"answer": 42, "unit": "km"}': '{"answer": 42, "unit": "km"}',
    '{"city": "Paris"}': '{"city": "Paris"}',
    '{"answer": 42': '{"answer": 42',
    '{"answer": ' + "[" * 100_000: '{"answer": ' + "[" * 100_000,
    "```\nParis\n```": "Paris",
    "```markdown\n**Paris**\n```": "**Paris**",
    "```python\nprint(1)\n```": "```python\nprint(1)\n```",
    '```json\n{"a": 1}\n```': '```json\n{"a": 1}\n```',
    "```\na\n```\nand\n```\nb\n```": "```\na\n```\nand\n```\nb\n```",
    "": "",
}
EVERY = [*REPLANS, *ANSWERS]


def short(text):
    """Name a case by its beginning."""
    return ascii(text[:40])


def test_every_way_to_ask_for_another_plan_is_understood():
    """Models write it in many ways; the reason comes without them."""
    assert {text: read_decision(text) for text in REPLANS} == {text: Replan(why) for text, why in REPLANS.items()}


@pytest.mark.parametrize("text", ANSWERS, ids=short)
def test_all_else_is_the_answer(text):
    """Brackets, lines, fences and JSON of the answer's own stay; a Replan within an answer is text."""
    assert read_decision(text) == Answer(ANSWERS[text])


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_answer_that_quotes_an_output_is_an_answer(name):
    """Whatever a tool returned, quoting it asks for nothing."""
    value = OUTPUTS[name]()
    if isinstance(value, str):
        text = "The page says:\n" + str.__str__(value)
        assert isinstance(read_decision(text), Answer)
        assert isinstance(read_decision(f"Finish({value})"), Answer)


@given(st.text(st.sampled_from("Replan:Finsh()Awer*{}`\n Thougtk<>/ct.-" + '"'), max_size=60))
def test_any_text_is_a_decision(text):
    """Nothing raises, and what does not speak of a plan is an answer."""
    decision = read_decision(text)
    assert isinstance(decision, Answer) or "replan" in text.lower()


MARKS = ["Replan", "Finish(", "Answer:", "Thought:", "Action: ", ")", "\n", " ", "x", '"', "{", "```", ": ", "<think>"]


@given(st.lists(st.sampled_from(MARKS)))
def test_any_mixture_of_marks_is_a_decision(parts):
    """In any order; nothing is made up."""
    text = "".join(parts) + "y" * 50
    decision = read_decision(text)
    told = decision.value if isinstance(decision, Answer) else decision.reason
    assert str(told) in text or "replan" in text.lower()


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [" ", "\n", "Thought: x\n", "<think>", "Thought: a\n\n", "a ", "Finish(a", "Finish(a) ", "{", "Action: ", "```a"],
)
def test_reading_takes_no_more_than_linear_time(text):
    """A model that repeats itself without end holds up nothing."""
    long = text + (text[-1] if text[-1] in " a" else text) * 200_000
    began = time.process_time()
    read_decision(long)
    read_decision("x" + long)
    assert time.process_time() - began < 8


def test_a_fence_is_recognised_around_the_whole_only():
    """The language and the content; None for text beside it or two fences."""
    assert unfence(" ```JSON\n{}\n``` ") == ("json", "{}")
    assert unfence("x ```\n{}\n```") is None
    assert unfence("```\na\n```\n```\nb\n```") is None
