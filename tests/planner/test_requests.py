import numpy as np
import pandas as pd
import pytest

from compiler_nb.errors import OptionError, Problem
from compiler_nb.outcome import Failure
from compiler_nb.plan.check import TEXT_LIMIT
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.plan import Plan
from compiler_nb.planner.requests import (
    Earlier,
    ask_for_plan,
    ask_for_repair,
    describe_schema,
    earlier_of,
    listed,
    system_prompt,
)
from compiler_nb.tool import Toolbox
from tests.support.desk import Desk
from tests.support.hostile import EvilRepr

TOOLS = Toolbox(Desk().tools)

# -------------------------------------------------------------------- prompts


@pytest.mark.parametrize("dialect", ["python", "numbered", "json"])
def test_the_system_prompt_is_the_same_for_every_question(dialect):
    """Rules of the dialect, tools, examples; its hash tells which text it was."""
    prompt = system_prompt(dialect, TOOLS, [("How far?", "a = get(1)\n")])
    assert prompt == system_prompt(dialect, TOOLS, [("How far?", "a = get(1)\n")])
    assert "send(x: Any) -> str\n    Send it. Has side effects." in prompt.text
    assert prompt.text.rstrip().endswith("Question: How far?\na = get(1)")
    assert "{{" not in prompt.text


def test_the_dialects_have_rules_of_their_own():
    """Each names its last line."""
    last = {"python": "answer(value)", "numbered": "<END_OF_PLAN>", "json": "join_instruction"}
    for dialect, words in last.items():
        assert words in system_prompt(dialect, TOOLS).text


def test_a_text_of_the_users_replaces_the_prompt():
    """What it marks is filled in, what it leaves out stays out, and an unknown mark is an error."""
    assert system_prompt("python", Toolbox([]), text="Use {{ tools }}.").text == "Use (none)."
    assert system_prompt("python", TOOLS, text="Plan!").text == "Plan!"
    with pytest.raises(OptionError, match="which nothing fills"):
        system_prompt("python", TOOLS, text="Use {{wands}}.")


@pytest.mark.parametrize(("dialect", "most"), [("python", 2_200), ("numbered", 1_580), ("json", 2_060)])
def test_what_is_the_same_in_every_notebook_comes_first_and_stays_short(dialect, most):
    """Role, rules and examples, up to the tools: a provider's cache finds them again; a longer text is a decision."""
    one = system_prompt(dialect, TOOLS).text
    other = system_prompt(dialect, Toolbox([len]), [("How far?", "a = len(1)\n")]).text
    fixed, _, tools = one.partition("\nTools\n")
    assert other.startswith(f"{fixed}\nTools\n")
    assert tools == "\n".join(listed(TOOLS, {}))
    assert len(fixed) <= most


def test_two_questions_differ_from_the_question_on():
    """With the same tools and inputs all before it is the same."""
    first, second = (ask_for_plan("SYSTEM", question, {"df": "DataFrame"}) for question in ("Why?", "How?"))
    assert first[0] == second[0]
    assert first[1]["content"].removesuffix("Why?") == second[1]["content"].removesuffix("How?")


def test_examples_of_the_users_come_behind_ours():
    """Ours show the language, theirs the tools; both are written alike."""
    text = system_prompt("python", TOOLS, [("How far?", "a = get(1)\n"), ("Who?", "a = get(2)")]).text
    parts = [
        "Examples, with invented tools",
        "Tools\n",
        "Examples with these tools\n",
        "Question: How far?",
        "a = get(2)",
    ]
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    assert text.endswith("\n\nQuestion: Who?\na = get(2)")


def test_a_question_comes_last_and_its_inputs_before_it():
    """What is stable comes first."""
    system, user = ask_for_plan("SYSTEM", "How far?", {"df": "DataFrame of 2 rows"})
    assert system == {"role": "system", "content": "SYSTEM"}
    assert user["content"].endswith("df: DataFrame of 2 rows\n</data>\n\nQuestion: How far?")
    assert ask_for_plan("S", "How far?", {})[1]["content"] == "Question: How far?"


def test_a_replan_shows_the_rounds_so_far():
    """The plan, results by schema, failures and the reason; `{{}}` in them is text."""
    earlier = Earlier("a = get(1)\n", {"a": "int"}, {"b": "OSError: {{reason}}"}, "b is missing")
    text = ask_for_plan("S", "How far?", {}, earlier)[1]["content"]
    parts = ["a = get(1)", "a: int", "b: OSError: {{reason}}", "b is missing"]
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    assert "(none)" in ask_for_plan("S", "?", {}, Earlier("", {}, {}, "x"))[1]["content"]


def test_a_repair_shows_the_text_and_its_problems():
    """Each line once with all that is wrong with it, and what becomes of the others."""
    problems = [Problem("unknown_tool", 2, 5, "no tool is called 'x'"), Problem("bad_args", 2, 9, "too few")]
    first = ask_for_plan("S", "?", {})
    text = "a = get(1)\nb = x(y())\n"
    messages = ask_for_repair(first, text, [*problems, Problem("truncated", 4, 1, "the plan stops")])
    assert messages[:2] == first
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == text
    told = "- line 2: no tool is called 'x'\n- line 2: too few\n    b = x(y())\n- line 4: the plan stops\n\n"
    assert told in messages[3]["content"]
    assert "keep everything else as it is" in messages[3]["content"]


def test_a_repair_shows_no_more_of_a_text_than_makes_sense():
    """An empty text is said to be empty, a long text is cut at its end, a long line is shown from the problem on."""
    first = ask_for_plan("S", "?", {})
    problem = Problem("unknown_tool", 1, 501, "no tool is called 'x'")
    assert ask_for_repair(first, " \n", [problem])[2]["content"] == "(nothing)"
    long = f"{'a' * 500}{'b' * TEXT_LIMIT}"
    messages = ask_for_repair(first, long, [problem])
    assert len(messages[2]["content"]) < 60_000
    assert f"\n    … {'b' * 157}…\n" in messages[3]["content"]
    assert len(messages[3]["content"]) < 500


@pytest.mark.parametrize(
    ("dialect", "text", "told"),
    [
        ("python", "Here:\n```python\nn = get(1)\nm = n.rows()\nx = got(n)\n```\n", ["m = n.rows()", "x = got(n)"]),
        ("numbered", "Thought: easy\n1. get(1)\n2. got($1)\n3. join()<END_OF_PLAN>\n", ["2. got($1)"]),
        ("json", '{"tasks": [{"id": "a", "tool": "got", "args": {"x": "' + "y" * 200 + '"}}]}',
         ['… {"id": "a", "tool": "got", "args": {"x": "' + "y" * 115 + "…"]),
    ],
)  # fmt: skip
def test_a_repair_shows_the_lines_that_are_meant(dialect, text, told):
    """As the parser counts them, also behind a fence, a thought, or in JSON on one line."""
    parser = PlanParser(dialect=dialect, tools=TOOLS)
    parser.feed(text)
    parser.close()
    request = ask_for_repair([], text, parser.problems)[-1]["content"]
    assert [line.strip() for line in request.splitlines() if line.startswith("    ")] == told


def test_what_a_replan_is_told_of_the_rounds():
    """Results by schema, failures by message; items of fan-outs are in their parent."""
    plan = Plan.parse(
        "a = get(1)\nb = fail(2)\nrows = [get(x) for x in a]\nc = get(3)\nd = get(get(4))\nget(5)\n", tools=TOOLS
    )
    outcomes = {"a": [1], "b": Failure("raised", "OSError: down"), "rows": ["x"], "rows[0]": "x"}
    outcomes |= {"d.1": 4, "d": 4, "@6": 5}  # calls without a name of their own cannot be read, and are not offered
    found = earlier_of(plan, outcomes, plan.tasks, "more")
    assert found.results == {"a": "list of 1 int", "rows": "list of 1 str", "d": "int"}
    assert found.failures == {"b": "OSError: down"}
    assert (found.plan, found.reason) == (plan.text, "more")


# -------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "int"),
        ("SECRET", "str"),
        (None, "NoneType"),
        ([], "list of 0"),
        ([{"max": 1.5}, {}], "list of 2 dict of str to float"),
        ([{"max": 1.5}, {"max": 2, "min": 1}], "list of 2 dict (max: float or int, …)"),
        ({"orders": [{"id": 1, "lines": [{"sku": "SECRET"}]}]},
         "dict (orders: list of 1 dict (id: int, lines: list of 1 dict of 1))"),
        ({f"k{number}": 1.0 for number in range(40)}, "dict of 40 str to float"),
        ({"SECRET": {"close": 1.0}, "B": {"close": 2.0}}, "dict of 2 str to dict (close: float)"),
        (("SECRET",), "tuple of 1 str"),
        ({"max": 7, "days": ["SECRET"]}, "dict (max: int, days: list of 1 str)"),
        ({"AAPL": 1, "MSFT": 2}, "dict of 2 str to int"),
        ({"the secret key": 1}, "dict of 1 str to int"),
        ({}, "dict of 0"),
        ({str(number): number for number in range(2_000)}, "dict of 2,000 str to int"),
        (np.zeros((3, 4)), "ndarray of shape (3, 4), float64"),
        (pd.DataFrame({"town": ["SECRET"], "price": [1.0]}).astype({"town": "category"}),
         "DataFrame of 1 rows (town: category, price: float64)"),
        (pd.Series([1, 2]), "Series of shape (2,), int64"),
        (lambda: "SECRET", "function"),
        (Failure("raised", "SECRET"), "Failure"),
    ],
)  # fmt: skip
def test_a_schema_says_type_and_shape_and_nothing_of_the_contents(value, text):
    """In words that a planner understands."""
    assert describe_schema(value) == text


def test_a_wide_table_is_described_shortly():
    """Forty columns, and how many more."""
    wide = pd.DataFrame({f"c{number}": [1] for number in range(60)})
    text = describe_schema(wide)
    assert text.endswith("c39: int64, … 20 more)")


def test_an_object_that_cannot_be_read_says_nothing_either():
    """Neither its own words nor an exception of ours get out."""

    class Leaky(list):
        dtypes = iloc = ()

        @property
        def columns(self):
            raise ValueError("SECRET")

    assert describe_schema(Leaky()) == "Leaky (its shape cannot be read: ValueError)"
    assert describe_schema(EvilRepr()).startswith("EvilRepr")


def test_a_text_with_half_a_character_can_be_repaired():
    """A lone surrogate cannot be sent, so the planner is shown that a character is missing there."""
    text = 'a = load("\udc80")\n'
    messages = ask_for_repair([], text, [Problem("encoding", 1, 11, "a lone surrogate")])
    assert "".join(message["content"] for message in messages).encode("utf-8").count("\ufffd".encode()) == 2
