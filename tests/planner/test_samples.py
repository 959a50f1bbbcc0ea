"""Examples with a user's own tools: the same each time, accepted by the check, and in the words of their questions."""

from __future__ import annotations

import re
from random import Random
from typing import Annotated, Literal

import pytest
from pydantic import Field

from compiler_nb.grammar.plans import make_grammar
from compiler_nb.models.base import estimate_tokens
from compiler_nb.plan.plan import Plan
from compiler_nb.planner.requests import ask_for_plan, system_prompt
from compiler_nb.planner.samples import LENGTH, MOST, make_samples
from compiler_nb.tool import Tool, Toolbox, tool
from compiler_nb.toolbox.language import make_language_tools
from tests.support.grammars import Matcher, random_toolbox

DIALECTS = ["python", "numbered", "json"]


@tool
def weather(city: str, days: int = 1) -> dict:
    """Weather of a city. It is a guess."""
    return {}


@tool
def distance(start: str, end: str, *, unit: Literal["km", "mi"]) -> float:
    """Distance between two cities."""
    return 1.0


@tool(side_effects=True)
def send(text: str) -> None:
    """Send a text."""


class Connection:
    """What no plan can write."""


def query(db: Connection) -> None:
    """Ask a database."""


def wait(seconds: Annotated[int, Field(gt=1_000)]) -> None:
    """Wait for long."""


def test_a_user_sees_examples_with_the_own_tools():
    """The question has the words of the plan; the last one has two calls; tools with side effects come last."""
    assert make_samples(Toolbox([send, weather, distance, *make_language_tools()]), "numbered") == [
        (
            "Distance between two cities: Cora, Dain, km?",
            '1. distance("Cora", "Dain", unit="km")\n2. join()<END_OF_PLAN>',
        ),
        ("Send a text: Elva?", '1. send("Elva")\n2. join()<END_OF_PLAN>'),
        ("Weather of a city: Alba or Brin?", '1. weather("Alba")\n2. weather("Brin")\n3. join()<END_OF_PLAN>'),
    ]  # fmt: skip
    assert make_samples(Toolbox([weather]), "python") == [
        ("Weather of a city: Alba or Brin?", 't1 = weather("Alba")\nt2 = weather("Brin")\njoin()')
    ]
    [(_, plan)] = make_samples(Toolbox([weather]), "json")
    assert plan == (
        '{"tasks": [\n  {"id": "t1", "tool": "weather", "args": {"city": "Alba"}},\n'
        '  {"id": "t2", "tool": "weather", "args": {"city": "Brin"}}\n]}'
    )


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_examples_of_any_tools_are_plans_that_are_accepted(dialect):
    """Of random toolboxes; each is as the grammar of the tools writes it, and says the values of its plan."""
    made = 0
    for seed in range(60):
        tools = random_toolbox(Random(seed), Random(seed).randint(1, 6))
        samples = make_samples(tools, dialect)
        assert samples == make_samples(tools, dialect)
        assert len(samples) <= MOST
        assert sum(len(plan) for _, plan in samples) <= LENGTH or len(samples) == 1
        named_as_lines = dialect == "python" and any(re.fullmatch(r"t\d+", name) for name in tools)
        for question, text in samples:
            plan = Plan.parse(text, dialect=dialect, tools=tools)
            assert plan.tasks
            assert named_as_lines or Matcher(make_grammar(tools, dialect), text).matches(), text
            assert all(value in question for value in re.findall(r'"([A-Z][a-z]+\d*)"', text)), (question, text)
            made += 1
    assert made > 60


def test_tools_that_no_text_can_call_have_no_example():
    """What takes only an object, what a validator refuses, and no tools at all."""
    for dialect in DIALECTS:
        assert make_samples(Toolbox([query, wait]), dialect) == []
        assert make_samples(Toolbox(), dialect) == []
        [(question, _)] = make_samples(Toolbox([Tool(lambda: 1, name="now_here"), query]), dialect)
        assert question == "now here?"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_small_prompt_has_at_most_250_tokens_without_its_tools(dialect):
    """Role, rules and three examples; the full one has twice as many, and examples with tools that there are not."""
    tools = Toolbox([weather, distance, send])
    listed = "\n".join(f"{each.signature}: {each.purpose}" for each in tools.values())
    system = system_prompt(dialect, tools, wording="small").text
    assert listed in system
    messages = ask_for_plan(system, "", {}, samples=make_samples(tools, dialect), wording="small")
    assert [message["role"] for message in messages] == ["system", *["user", "assistant"] * 3, "user"]
    small = sum(len(message["content"]) for message in messages) - len(listed)
    assert estimate_tokens(small) <= 250
    assert "dragon" not in str(messages)
    assert len(system_prompt(dialect, tools).text) - len(tools.description) > 2 * small
