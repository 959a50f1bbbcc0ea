"""Examples of a notebook: taken from runs, shown to the planner by later questions."""

from __future__ import annotations

import pytest

from compiler_nb import Compiler, ScriptedModel, tool
from compiler_nb.errors import OptionError
from compiler_nb.notebook.examples import example_of, fitting
from compiler_nb.tool import Toolbox


@tool
def price(name: str, day: int = 1) -> float:
    """Return a price."""
    return len(name) * 1.5 + day


def asked(plan, question="What does tea cost?", inputs=None, **settings):
    """Return the run of a question for which this plan is written."""
    return Compiler(ScriptedModel({"planner": plan}), [price], **settings).run_sync(question, inputs=inputs)


PLAN = '# one call\nx = price("tea")\nanswer(x)\n'


@pytest.mark.parametrize(
    ("dialect", "text"),
    [("python", PLAN.strip()), ("numbered", '1. price("tea")\n2. answer($1)')],
)
def test_an_example_is_shown_in_the_dialect_of_the_question(dialect, text):
    """As it was written in its own, and written anew in another one."""
    made = example_of(asked(PLAN))
    assert made.text("python") == PLAN.strip()
    pairs, left_out = fitting([made], dialect, Toolbox([price]))
    assert left_out == []
    assert pairs[0][0] == "What does tea cost?"
    if dialect == "python":
        assert pairs[0][1] == text
    assert Compiler(tools=[price], dialect=dialect, examples=pairs)


def test_the_variables_that_a_plan_reads_are_named_in_the_question():
    """By @name, as a question offers them; those that it names already are not said twice."""
    plan = "x = price(name)\ny = price(other)\nanswer([x, y])\n"
    made = example_of(asked(plan, "What does @name cost?", {"name": "tea", "other": "ink", "third": 1}))
    assert made.question == "What does @name cost? (given @other)"
    assert fitting([made], "python", Toolbox([price]))[0] == [(made.question, plan.strip())]


def test_a_run_of_several_rounds_makes_an_example_that_stands_alone():
    """What the last plan reads of an earlier one is part of it; a fence is not."""
    model = ScriptedModel({"planner": ['a = price("tea")\njoin(a)\n', "b = price('ink', int(a))\nanswer(b)\n"],
                           "joiner": "Replan: more"})  # fmt: skip
    made = example_of(Compiler(model, [price]).run_sync("What?"))
    assert made.text("python").replace("'", '"') == 'a = price("tea")\nb = price("ink", int(a))\nanswer(b)'
    fenced = example_of(asked(f"```python\n{PLAN}```\n"))
    assert "```" not in fenced.text("python")
    assert fitting([made, fenced], "python", Toolbox([price]))[1] == []


def test_an_example_that_does_not_fit_a_question_is_left_out_with_the_reason():
    """Its tool is not offered, or the dialect cannot say its plan: it would teach what cannot run."""
    made = example_of(asked("xs = [price(n) for n in ['a', 'b']]\nanswer(xs)\n"), "prices")
    pairs, (words,) = fitting([made], "python", Toolbox([]))
    assert pairs == []
    assert words.startswith("example 1 is not shown, its plan does not fit here: no tool is called 'price'")
    assert words.endswith("; %compile example drop 1 drops it")
    assert "example 1 is not shown" in fitting([made], "numbered", Toolbox([price]))[1][0]


def test_what_makes_no_example_is_refused():
    """A plan without a question, a question without a plan, a name that is none."""
    with pytest.raises(OptionError, match="has no question"):
        example_of(Compiler(tools=[price]).execute_sync(PLAN))
    with pytest.raises(OptionError, match="has no whole plan"):
        example_of(asked("x = nope()\n", max_repairs=0))
    with pytest.raises(OptionError, match="'2 x' cannot be the name of an example"):
        example_of(asked(PLAN), "2 x")
