from __future__ import annotations

import time

import pytest

from compiler_nb.drawing.text import MARKS, ROWS, WIDTH, columns_of, plan_text, text_table
from compiler_nb.outcome import STATES, Failure, Skipped
from compiler_nb.plan.expression import Field, Item, Text
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.short import shorten_call, shorten_final
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import Expression, Input, Ref
from compiler_nb.text import shorten_value
from tests.support.pictures import HOSTILE, call, coasts, expr, fanout, wide

CALLS = [
    (call("a", "weather", "New York", days=3), 'weather("New York", days=3)'),
    (call("a", "now"), "now()"),
    (call("a", "compare", Ref("ny"), Input("city")), "compare(ny, city)"),
    (call("a", "f", [Ref("x"), 1, None], {"k": (Ref("y"),)}), 'f([x, 1, None], {"k": (y,)})'),
    (call("a", "f", Item(Ref("ny"), 0)), "f(ny[0])"),
    (call("a", "llm", Text(("Why ", Field(Ref("x")), "?"))), 'llm(f"Why {x}?")'),
    (call("a", "f", list(range(20))), "f([0, 1, 2, 3, 4, 5, … 14 more])"),
    (call("a", "f", [Ref("x")] * 20), "f([x, x, x, x, x, x, … 14 more])"),
    (call("2", "math", Ref("1")), "math($1)"),
    (expr("a", Item(Ref("ny"), Ref("k"))), "ny[k]"),
    (expr("a", [Ref("ny"), "b"]), '[ny, "b"]'),
    (fanout("a", "tickers"), "{t: price(t) for t in tickers}"),
]


@pytest.mark.parametrize(("task", "text"), CALLS, ids=[text for _, text in CALLS])
def test_a_call_reads_as_it_was_written(task, text):
    """References by id, strings in double quotes, expressions as source."""
    assert shorten_call(task) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_call_is_bounded_and_visible(text):
    """However long its arguments are."""
    tree: Expression = Text((text, Field(Ref("x"))))
    for task in (call("a", "f", text, text, key=[text]), call("a", "f", tree), expr("a", {text: tree})):
        line = shorten_call(task, 50)
        assert len(line) <= 50
        assert line.isprintable()


def test_the_last_line_is_short_as_well():
    """`answer` with its expression, `join` with its names."""
    assert shorten_final(Return({"coast": Ref("best")})) == 'answer({"coast": best})'
    assert shorten_final(Join(("ny", "la"))) == "join(ny, la)"
    assert len(shorten_final(Return("x" * 10_000))) <= 60


def test_a_table_says_that_items_were_left_out():
    """How many there are of how many; calls within an item's chain do not count."""
    states = {"rows": "done", "rows[0].1": "failed", "rows[0]": "skipped", "rows[1].1": "done", "rows[1]": "done"}
    assert plan_text([fanout("rows", "t")], states, {"rows": [5]}).endswith("  1 of 2 items: [5]")


def test_a_plan_with_outcomes_is_a_table():
    """State, id, call and value in columns, the last line below; no times, no ids of runs."""
    states = {"ny": "done", "la": "failed", "best": "skipped"}
    outcomes = {"ny": {"max": 31.2}, "la": Failure("raised", "HTTP 404"), "best": Skipped("la", "HTTP 404")}
    assert plan_text(coasts(), states, outcomes).splitlines() == [
        '✓ done     ny    weather("New York")     {"max": 31.2}',
        '✗ failed   la    weather("Los Angeles")  raised: HTTP 404',
        "» skipped  best  compare(ny, la)         because la failed",
        "· waiting  note  llm(best, days=3)",
        "answer(note)",
    ]


def test_a_plan_that_has_not_run_shows_no_states():
    """Only ids and calls."""
    assert plan_text(coasts().tasks[:1]) == 'ny  weather("New York")'
    assert plan_text([]) == ""


def test_every_state_has_a_mark_of_its_own():
    """Seven states, seven marks."""
    assert set(MARKS) == set(STATES)
    assert len(set(MARKS.values())) == 7


def test_a_table_is_bounded_in_width_and_rows():
    """A hundred columns and forty rows, the rest is counted."""
    lines = plan_text(wide(1_000), dict.fromkeys(["city1"], "done"), {"city1": "x" * 1_000}).splitlines()
    assert len(lines) == ROWS + 2
    assert lines[-2:] == ["… 961 more", "answer(best)"]
    assert max(map(columns_of, lines)) <= WIDTH


def test_a_table_aligns_wide_and_combining_characters():
    """Columns begin at the same place for Japanese and for accents."""
    lines = text_table([("日本", "a"), ("e\u0301t\u00e9", "b"), ("four", "c")]).splitlines()
    assert {columns_of(line) for line in lines} == {7}
    assert text_table([]) == ""
    assert max(columns_of(line) for line in text_table([("日本" * 100, "x" * 200)]).splitlines()) <= WIDTH


def test_a_plan_of_ten_thousand_tasks_is_text_in_no_time():
    """Only what is shown is looked at closely."""
    plan = Plan(tuple(wide(10_000).tasks[:-1]))
    began = time.process_time()
    plan_text(plan, {"city0": "done"})
    assert time.process_time() - began < 0.5


def test_values_are_at_hand_here_too():
    """`shorten_value` is part of the words of a table."""
    assert shorten_value([1]) == "[1]"
