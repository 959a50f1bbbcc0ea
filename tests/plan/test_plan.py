"""What a Plan offers beside its tasks; the rest is tested where it is done."""

from __future__ import annotations

import pytest

from compiler_nb.plan.plan import Plan

COASTS = 'ny = weather("New York")\nla = weather("Los Angeles")\nanswer(max(ny, la))\n'


def test_a_plan_shows_itself():
    """`visualize` returns a picture with `text/plain` and SVG."""
    plan = Plan.parse(COASTS)
    picture = plan.visualize()
    assert picture.svg.startswith("<svg")
    assert str(picture).endswith("answer(max(ny, la))")


@pytest.mark.parametrize(
    "text",
    [
        COASTS,
        '1. search("x")\n2. join()<END_OF_PLAN>\n',
        '{"tasks": [\n  {"id": "a", "instruction": "Do it", "deps": []}\n], "join_instruction": "x"}\n',
    ],
)
def test_a_plan_prints_as_its_text(text):
    """In its own dialect, as somebody would write it: no class and no field stands in it."""
    assert repr(Plan.parse(text)) == text.rstrip()
    assert str(Plan.parse(f"Here it is:\n```\n{text}```\n")) == text.rstrip()


def test_a_long_plan_prints_its_beginning():
    """And says how much more there is."""
    lines = repr(Plan.parse("".join(f"a{n} = f({n})\n" for n in range(1_000)))).split("\n")
    assert (len(lines), lines[-1]) == (201, "… 801 more lines")


def test_a_page_shows_a_plans_picture_and_text():
    """Both are inert."""
    page = Plan.parse('a = search("<script>")\nanswer(a)')._repr_html_()
    assert 'data-task="a"' in page
    assert "<summary>1 task</summary><pre>a = search(&quot;&lt;script&gt;&quot;)\nanswer(a)</pre>" in page
    assert "<script" not in page


def test_a_plan_is_made_of_what_the_parser_returns():
    """Equality is of tasks and last line; text and dialect are kept beside them."""
    plan = Plan.parse(COASTS.encode())
    assert plan == Plan(plan.tasks, plan.final)
    assert (plan.text, plan.dialect, plan["ny"].name) == (COASTS, "python", "ny")
