"""The table of figures: it measures all, marks each, and fails nothing."""

from __future__ import annotations

import json

from tests.bench import Figure
from tests.bench.__main__ import as_json, line, measure


def figure(value):
    """Return a figure with gate 2 and goal 1.5 that measures to a value."""
    return Figure("small", "something small", 2.0, 1.5, lambda: value)


def test_marks():
    """A figure is at its goal, within its gate, or over it."""
    assert [measure(figure(value)).mark for value in (1.5, 1.6, 2.0, 2.1)] == ["goal", "gate", "gate", "over"]


def test_a_broken_measurement_is_shown_in_its_line():
    """What a measurement raises is said where its value would stand."""
    broken = measure(Figure("small", "something small", 2.0, 1.5, lambda: 1 / 0))
    assert broken.value is None
    assert "ZeroDivisionError: division by zero" in line(broken)


def test_json_holds_what_the_table_shows():
    """The file has a row for each figure, with value, gate, goal and mark."""
    (row,) = json.loads(as_json([measure(figure(1.2))]))
    assert row == {"name": "small", "what": "something small", "value": 1.2, "gate": 2.0, "goal": 1.5, "mark": "goal"}
    assert line(measure(figure(1.2))).split()[:5] == ["small", "1.2", "2", "1.5", "goal"]
