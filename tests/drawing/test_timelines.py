from __future__ import annotations

import re

import pytest

from compiler_nb.drawing.timelines import MOST, TimedRun, draw_timelines
from compiler_nb.plan.matching import match
from compiler_nb.trace import ModelCall, Span
from tests.support.pictures import HOSTILE, call, read


def timed(name: str, ends: dict[str, float], *, seconds: float = 2.0, tool: str = "f") -> TimedRun:
    """Return a run whose tasks ran from 0.5 s to these ends."""
    tasks = {id_: call(id_, tool, id_) for id_ in ends}
    spans = {id_: [Span(id_, 1, 0.5, 0.5, end, "done")] for id_, end in ends.items()}
    calls = [ModelCall(1, "planner", "", "openai", "m", 0.0, 0.2, 0.5)]
    return TimedRun(name, tasks, spans, dict.fromkeys(ends, "done"), calls, (), seconds)


def drawn(before: TimedRun, after: TimedRun):
    """Draw two runs, matched."""
    found = match([before.tasks.values()], [after.tasks.values()])
    return draw_timelines(before, after, found.tasks)


BASE = timed("base", {"a": 1.0, "old": 1.2, "c": 2.0})
TERSE = timed("terse", {"a": 1.0, "b": 1.5, "c": 3.0}, seconds=4.0)


def test_matched_tasks_stand_in_the_same_row_of_both():
    """A above B; a task that is in one of them leaves its row free in the other."""
    lines = [" ".join(line.split()) for line in str(drawn(BASE, TERSE)).splitlines()]
    assert [re.sub(r" [█╌─*].*", "", line) for line in lines[1:-1]] == [
        "base: 2.0 s", "planner", "✓ a", "✓ old", "b did not run in base", "✓ c",
        "terse: 4.0 s", "planner", "✓ a", "old did not run in terse", "✓ b", "✓ c",
        "terse took 2.0 s longer than base",
    ]  # fmt: skip


def test_both_have_one_axis():
    """Equal times are equally long, however long the runs took."""
    picture = drawn(BASE, TERSE)
    widths = {}
    for each in read(picture.svg).iter():
        if each.get("data-task"):
            (bar,) = [part for part in each.iter() if "cnb-span" in (part.get("class") or "")]
            widths.setdefault(each.get("data-task"), []).append((float(bar.get("x")), float(bar.get("width"))))
    assert widths["a"][0] == widths["a"][1]
    assert widths["c"][1][1] == pytest.approx(widths["c"][0][1] * 2.5 / 1.5, abs=1)
    assert picture.svg.count("did not run in") == 2


def test_many_tasks_are_counted():
    """Each run has up to MOST rows."""
    many = {f"t{n}": 1.0 for n in range(MOST + 40)}
    picture = drawn(timed("A", many), timed("B", many, tool="g"))
    assert len(re.findall("data-task", picture.svg)) == 2 * MOST
    assert "… 40 more" in picture.svg


def test_runs_without_times_are_drawn():
    """Nothing ran: there is an axis, and that is all."""
    nothing = TimedRun("A", {}, {}, {}, (), (), 0.0)
    assert "A: 0 ms" in str(draw_timelines(nothing, nothing._replace(name="B"), ()))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_data(text):
    """Nothing in them can act."""
    read(drawn(timed(text, {text[:60] or "x": 1.0}), TERSE).svg)
