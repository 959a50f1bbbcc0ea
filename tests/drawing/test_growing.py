"""A picture that grows with its plan: places that stay, heights of the whole, and arrows that pass beside boxes."""

from __future__ import annotations

import time
from itertools import combinations
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler_nb.drawing.boxes import task_box
from compiler_nb.drawing.growing import MOST_PASSED, Incremental
from compiler_nb.drawing.layout import lay_out
from tests.support.pictures import boxes, grazed, mixed_plan, overlapping, random_graph

graphs = st.builds(
    lambda count, share, seed: random_graph(count, int(share * (count - 1)), seed, window=8),
    st.integers(2, 25), st.floats(0.2, 1.0), st.integers(0, 10_000),
)  # fmt: skip


@pytest.mark.slow
@settings(deadline=None)
@given(graphs)
def test_when_a_growing_layout_is_whole_boxes_move_sideways_at_most(graph):
    """Places stay as nodes come, boxes keep apart, heights and order are those of the whole; or it says it cannot."""
    ids, edges, sizes = graph
    growing = Incremental()
    for at, id_ in enumerate(ids):
        before = dict(growing.places)
        parents = [one for one, other in edges if other == id_]
        if growing.add(id_, parents, sizes[id_]) is None:  # what stands below would have to move
            known = dict.fromkeys(ids[: at + 1], 0)
            whole = lay_out(known, edges, sizes)
            growing = Incremental()
            growing.keep(whole, known, edges, sizes)
            continue
        assert growing.places == {**before, id_: growing.places[id_]}
        assert all(growing.routes[parent, id_][0][1] < growing.routes[parent, id_][-1][1] for parent in parents)
    whole = lay_out(dict.fromkeys(ids, 0), edges, sizes)
    assert {id_: y for id_, (_, y) in growing.places.items()} == {id_: y for id_, (_, y) in whole.places.items()}
    for one, other in combinations(ids, 2):
        if growing.places[one][1] - sizes[one][1] / 2 == growing.places[other][1] - sizes[other][1] / 2:
            assert growing.places[one][0] < growing.places[other][0]
    assert overlapping(growing.places, sizes) == 0
    shown = list(boxes(growing.places, sizes))
    assert min(box[0] for box in shown) >= -1
    assert growing.width >= max(box[2] for box in shown)
    assert growing.height >= max(box[3] for box in shown)


@pytest.mark.slow
def test_a_growing_layout_ignores_parents_of_nowhere_and_takes_ten_thousand_nodes():
    """A thousand or ten thousand nodes cost the same each."""
    growing = Incremental()
    assert growing.add("first", ["long ago"], (80.0, 40.0)) == (40.0, 20.0)

    def seconds(count: int) -> float:
        many, began = Incremental(), time.process_time()
        for number in range(count):
            many.add(f"n{number}", [f"n{number // 3}"], (80.0, 40.0))
        return time.process_time() - began

    assert seconds(10_000) < 60 * max(seconds(1_000), 0.002)


def test_a_band_that_grows_stands_where_it_will_stand():
    """The second round comes below the first, at the heights of the whole."""
    ids, sizes = {"a": 0, "b": 0}, dict.fromkeys("abxy", (100.0, 46.0))
    growing = Incremental()
    growing.keep(lay_out(ids, [("a", "b")], sizes), ids, [("a", "b")], sizes)
    top = growing.begin_band(2)
    growing.add("x", ["a"], sizes["x"], 1)
    growing.add("y", ["x"], sizes["y"], 1)
    whole = lay_out({**ids, "x": 1, "y": 1}, [("a", "b"), ("a", "x"), ("x", "y")], sizes, {1: 2})
    assert top == whole.bands[1][0]
    assert {id_: y for id_, (_, y) in growing.places.items()} == {id_: y for id_, (_, y) in whole.places.items()}


@pytest.mark.slow
def test_no_arrow_of_two_hundred_streamed_runs_crosses_a_box_that_it_does_not_belong_to():
    """Of two rounds each, also where boxes come later beside an arrow that is there."""
    crossed, arrows = {}, 0
    for seed in range(200):
        first, shown, growing = mixed_plan(seed), {}, Incremental()
        later = mixed_plan(seed + 1_000, "u", [task.id for task in first])
        for band, plan in enumerate((first, later)):
            if band:
                growing.begin_band(1)
            for task in plan:
                box = task_box(task, inside="bar")
                if growing.add(task.id, task.dependencies, (box.width, box.height), band) is None:
                    break  # the whole is drawn anew
                shown[task.id] = box
        arrows += len(growing.routes)
        points = [point for route in growing.routes.values() for point in route]
        assert all(-10 <= x <= growing.width and y <= growing.height for x, y in points)
        if found := grazed(SimpleNamespace(boxes=shown), growing):
            crossed[seed] = found
    assert arrows > 2_000
    assert crossed == {}


def test_boxes_that_come_when_the_whole_was_drawn_leave_its_arrows_alone():
    """A row of the whole picture goes on beyond what passes it."""
    ids, size = dict.fromkeys("abcd", 0), (100.0, 46.0)
    edges, sizes = [("a", "b"), ("b", "c"), ("a", "d"), ("c", "d")], dict.fromkeys("abcde", size)
    whole = lay_out(ids, edges, sizes)
    growing = Incremental()
    growing.keep(whole, ids, edges, sizes)
    growing.add("e", ["a"], size)
    shown = SimpleNamespace(boxes={id_: SimpleNamespace(width=100.0, height=46.0) for id_ in growing.places})
    assert grazed(shown, SimpleNamespace(places=growing.places, routes={**whole.routes, **growing.routes})) == []


def test_beyond_many_rows_arrows_lead_straight():
    """So that a picture with very many arrows is still placed in no time."""
    growing, count = Incremental(), 60
    assert sum(number * (number - 1) / 2 for number in range(count)) > MOST_PASSED
    for number in range(count):
        growing.add(f"n{number}", [f"n{other}" for other in range(number)], (80.0, 40.0))
    assert len(growing.routes["n0", f"n{count - 1}"]) < 12 < len(growing.routes["n0", "n20"])
