"""Pictures that a page changes: boxes and arrows one by one, then the whole."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from compiler_nb.drawing.graph import FULL
from compiler_nb.drawing.live import Sketch, draw_whole
from compiler_nb.drawing.scene import DrawnRound, Scene, scene_of
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return, Task
from compiler_nb.plan.tree import Ref
from compiler_nb.tool import tool
from tests.support.pictures import HOSTILE, call, coasts, fanout, random_plan, wide

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
    assert re.findall(ENDS, draw_whole(wide(12), engine="own").svg) == [("city0", "best"), ("best", "")]


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


def heights(svg: str) -> dict[str, float]:
    """Return the upper border of each box by its task."""
    found: dict[str, float] = {}

    def look(element: ET.Element, top: float) -> None:
        if (place := re.match(r"translate\(\S+ (\S+)\)", element.get("transform", ""))) is not None:
            top += float(place[1])
        if element.get("data-task") and "cnb-task" in element.get("class", ""):
            found[str(element.get("data-task"))] = top
        for inner in element:
            look(inner, top)

    look(ET.fromstring(f"<g>{svg}</g>"), 0.0)  # noqa: S314 - our own text
    return found


def grown(scene: Scene) -> tuple[dict[str, float], str]:
    """Stream a run; return the upper borders of its boxes, and the last head. Others may move only as a whole."""
    sketch, heads = Sketch(), ""
    seen: dict[str, float] = {}
    for number, (tasks, final, reason) in enumerate(scene.rounds):
        shown: tuple[Task, ...] = ()
        for task in tasks:
            shown = (*shown, task)
            piece = sketch.add(task, (), number, reason)
            if piece is None:
                whole = draw_whole(Scene((*scene.rounds[:number], DrawnRound(shown, None, reason))), engine="own")
                sketch, seen = Sketch(whole), heights(whole.svg)
                continue
            seen |= heights(piece.box)
            heads = next((edge for edge in piece.edges if "cnb-heads" in edge), heads)
        whole = draw_whole(Scene((*scene.rounds[:number], DrawnRound(tasks, final, reason))))
        assert heights(whole.svg) == seen
        sketch = Sketch(whole)
    return seen, heads


def among_fanouts(count: int) -> Plan:
    """Draw `count` calls of one level that two fan-outs begin, and one other call stands between."""
    first = (call("names", "list"), fanout("rows", "names"), fanout("more", "names"))
    cities = [call(f"city{number}", "weather", f"City {number}", Ref("names")) for number in range(count)]
    cities.insert(count // 2, call("odd", "search", Ref("names")))
    every = [Ref("rows"), Ref("more"), *(Ref(task.id) for task in cities if task.id != "odd")]
    return Plan((*first, *cities, call("best", "compare", every)), Return(Ref("best")))


PLANS = {
    "coasts": coasts(), "small": random_plan(8), "larger": random_plan(20, 3), "deep": random_plan(30, 4, window=6),
    "nine alike": wide(9), "twenty alike": wide(20), "a hundred alike": wide(100), "fan-outs": among_fanouts(20),
}  # fmt: skip


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_closing_the_plan_moves_boxes_sideways_at_most(plan):
    """Whoever places the boxes of the whole, they stay as high as they were while the plan streamed."""
    grown(scene_of(plan))


def test_a_second_round_streams_into_a_band_of_its_own():
    """Below the first, with the joiner's reason as its head, and a pale link from what it reads of the first."""
    first = DrawnRound((call("rome", "warm", "Rome"), call("lost", "warm", "Atlantis")), Join())
    later = (call("athens", "warm", "Athens"), call("mean", "mean", Ref("rome"), Ref("athens")))
    scene = Scene((first, DrawnRound(later, Return(Ref("mean")), "there is no <b>Atlantis</b>")))
    tops, head = grown(scene)
    assert max(tops["rome"], tops["lost"]) < tops["athens"] < tops["mean"]
    assert "Round 2: there is no &lt;b&gt;Atlantis&lt;/b&gt;" in head
    whole = draw_whole(scene, engine="own").svg
    assert whole.count('<g class="cnb-band">') == 2
    link = r'<path data-from="rome" data-to="mean" class="cnb-edge cnb-link"'
    assert len(re.findall(link, whole)) == 1
    assert whole.count("cnb-link") == 1
    assert whole.count('<g class="cnb-end"') == 2


def test_what_adopts_a_result_is_linked_to_where_it_came_from():
    """Also under another name."""
    scene = Scene(
        (DrawnRound((call("a", "f", 1),), Join()), DrawnRound((call("b", "f", 1),), Join(), "more")), {"b": "a"}
    )
    assert re.findall(ENDS.replace('"cnb-edge"', '"cnb-edge cnb-link"'), draw_whole(scene).svg) == [("a", "b")]


def test_a_picture_that_gets_too_high_is_collapsed_while_it_grows():
    """As it is when the plan is closed: until then each box would have a place that it loses."""
    cities = [call(f"city{n}", "weather", f"The forecast for city {n}") for n in range(FULL)]
    sketch, plan = Sketch(), Plan(tuple(cities))
    placed = [sketch.add(task) is not None for task in plan]
    assert 60 < placed.index(False) < FULL
    shown = plan.tasks[: placed.index(False) + 1]
    assert draw_whole(shown).groups == (tuple(task.id for task in shown),)
