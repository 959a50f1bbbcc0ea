"""What a Plan offers beside its tasks; the rest is tested where it is done."""

from __future__ import annotations

from compiler_nb.plan.plan import Plan

COASTS = 'ny = weather("New York")\nla = weather("Los Angeles")\nanswer(max(ny, la))\n'


def test_a_plan_shows_itself():
    """`visualize` returns a picture with `text/plain` and SVG."""
    plan = Plan.parse(COASTS)
    picture = plan.visualize()
    assert picture.svg.startswith("<svg")
    assert str(picture).endswith("answer(max(ny, la))")


def test_a_plan_is_made_of_what_the_parser_returns():
    """Equality is of tasks and last line; text and dialect are kept beside them."""
    plan = Plan.parse(COASTS.encode())
    assert plan == Plan(plan.tasks, plan.final)
    assert (plan.text, plan.dialect, plan["ny"].name) == (COASTS, "python", "ny")
