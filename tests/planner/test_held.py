"""A planner's request carries the grammar of the plans that may answer it."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb import Compiler, ScriptedModel, tool


@tool
def weather(city: str) -> str:
    """Return the weather."""
    return f"sunny in {city}"


@pytest.mark.parametrize("dialect", ["python", "numbered", "json"])
def test_a_request_for_a_plan_carries_the_grammar_of_its_tools_and_inputs(dialect):
    """A model may have it in the form that its server takes; nothing is written before one does."""
    model = ScriptedModel({"planner": ["nonsense(", "answer(1)"] if dialect == "python" else "", "joiner": "ok"})
    asyncio.run(Compiler(model, [weather], dialect=dialect, max_repairs=1).run("Rain?", inputs={"town": "Oslo"}))
    for request in model.calls:
        assert request.grammar is not None
        assert request.grammar.about == "3 tools"  # llm and extract are always offered
        text = request.grammar.text("gbnf")
        assert "weather" in text
        assert "town" in text
        assert text is request.grammar.text("gbnf")
    assert model.calls
