"""Pictures that a page changes: boxes and arrows one by one, then the whole."""

from __future__ import annotations

import re

from compiler_nb.drawing.live import Sketch, draw_whole
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.tree import Ref
from compiler_nb.tool import tool
from tests.support.pictures import HOSTILE, call, coasts, wide

ENDS = r'<path data-from="([^"]*)"(?: data-to="([^"]*)")? class="cnb-edge"'


def test_arrows_name_the_tasks_at_their_ends():
    """While the plan streams and in the whole picture, where the arrow to the last line has a beginning only."""
    sketch = Sketch()
    streamed = [ends for task in coasts() for edge in sketch.add(task).edges for ends in re.findall(ENDS, edge)]
    assert streamed == [("ny", "best"), ("la", "best"), ("best", "note")]
    plan = coasts()
    assert sorted(re.findall(ENDS, draw_whole(plan, engine="own").svg)) == sorted([*streamed, ("note", "")])


def test_the_arrow_of_a_block_names_its_first_task():
    """Twelve calls that one other reads stand in a block, and one arrow goes from it."""
    assert re.findall(ENDS, draw_whole(wide(12).tasks, engine="own").svg) == [("city0", "best")]


def test_a_hostile_name_stays_within_its_attribute():
    """An id is cut and escaped wherever it stands."""
    for text in HOSTILE:
        svg = draw_whole((call(text, "a"), call("b", "b", Ref(text))), engine="own").svg
        assert len(re.findall(ENDS, svg)) == 1
        assert "<script" not in svg
        assert "<img" not in svg


def test_guarded_calls_stand_in_the_box_of_their_line():
    """While the plan streams and in the whole picture; what decides leads to it by a marked arrow."""
    plan = Plan.parse("up = check('a')\nh = load('b')\nx = load(h) if up else 0\n")
    up, h, call_, line = plan.tasks
    sketch = Sketch()
    sketch.add(up)
    sketch.add(h)
    piece = sketch.add(line, [call_])
    cells = r'<path class="cnb-cell cnb-waiting" data-task="x.1"'
    assert re.findall(ENDS.replace('"cnb-edge"', '"cnb-edge[^"]*"'), "".join(piece.edges)) == [("up", "x"), ("h", "x")]
    whole = draw_whole(plan, engine="own").svg
    for svg in (piece.box, whole):
        assert len(re.findall(cells, svg)) == 1
    assert [edge.count("cnb-guard") for edge in piece.edges] == [1, 0]
    assert whole.count("cnb-guard") == 1


def test_the_order_of_side_effects_is_drawn_while_the_plan_streams():
    """As dashed arrows; from the line of a guarded call, which has no box of its own."""
    add = tool(name="add", side_effects=True)(lambda *args: None)
    plan = Plan.parse("x = add('a') if 1 > 2 else 0\nadd('b')\n", tools=[add])
    call_, line, last = plan.tasks
    sketch = Sketch()
    sketch.add(line, [call_])
    piece = sketch.add(last)
    for svg in ("".join(piece.edges), draw_whole(plan, engine="own").svg):
        assert re.findall(ENDS.replace('"cnb-edge"', '"cnb-edge cnb-turn"'), svg) == [("x", "@2")]
