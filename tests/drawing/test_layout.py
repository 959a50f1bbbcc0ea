from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler_nb.drawing import rows
from compiler_nb.drawing.layout import GAP_DOWN, Incremental, lay_out
from tests.support.pictures import random_graph

graphs = st.builds(
    lambda count, share, seed: random_graph(count, int(share * (count - 1)), seed, window=8),
    st.integers(2, 25), st.floats(0.2, 1.0), st.integers(0, 10_000),
)  # fmt: skip


def boxes(places, sizes):
    """Yield left, top, right and bottom of each box."""
    for id_, (x, y) in places.items():
        width, height = sizes[id_]
        yield x - width / 2, y - height / 2, x + width / 2, y + height / 2


def overlapping(places, sizes) -> int:
    """Count pairs of boxes that share a place, half a pixel of rounding allowed."""
    all_boxes = sorted(boxes(places, sizes))
    return sum(
        other[0] < one[2] - 1 and other[1] < one[3] - 1 and other[3] > one[1] + 1
        for index, one in enumerate(all_boxes)
        for other in all_boxes[index + 1 :]
    )


@settings(deadline=None)
@given(graphs, st.booleans())
def test_boxes_never_overlap_and_edges_always_go_on(graph, down):
    """Every route starts at its source's far side and ends at its target's near side, and never turns back."""
    ids, edges, sizes = graph
    found = lay_out(ids, edges, sizes, down=down)
    assert set(found.places) == set(ids)
    assert set(found.routes) == set(edges)
    assert overlapping(found.places, sizes) == 0
    along = 1 if down else 0
    for (one, other), route in found.routes.items():
        assert route[0][along] == pytest.approx(found.places[one][along] + sizes[one][along] / 2)
        assert route[-1][along] == pytest.approx(found.places[other][along] - sizes[other][along] / 2)
        assert all(early[along] <= late[along] + 0.01 for early, late in pairwise(route))
        assert len(route) % 3 == 1


@settings(deadline=None)
@given(graphs)
def test_everything_stands_within_the_picture(graph):
    """Width and height hold all boxes and routes."""
    ids, edges, sizes = graph
    found = lay_out(ids, edges, sizes)
    points = [point for route in found.routes.values() for point in route]
    corners = [corner for box in boxes(found.places, sizes) for corner in (box[:2], box[2:])]
    assert all(-1 <= x <= found.width + 1 and -1 <= y <= found.height + 1 for x, y in points + corners)


@settings(deadline=None)
@given(graphs)
def test_long_edges_pass_beside_boxes(graph):
    """No route crosses a box of the rows between its ends."""
    ids, edges, sizes = graph
    found = lay_out(ids, edges, sizes)
    for (one, other), route in found.routes.items():
        for early, late in pairwise(route[::3]):
            if early[0] == late[0]:  # straight through a row
                for id_ in set(ids) - {one, other}:
                    (x, y), (width, height) = found.places[id_], sizes[id_]
                    beside = abs(early[0] - x) >= width / 2 - 1
                    assert beside or late[1] <= y - height / 2 + 1 or early[1] >= y + height / 2 - 1


def test_a_chain_stands_in_one_line_with_straight_arrows():
    """A plan without choices has no bends."""
    sizes = dict.fromkeys("abc", (100.0, 40.0))
    found = lay_out("abc", [("a", "b"), ("b", "c")], sizes)
    assert found.places == {"a": (50.0, 20.0), "b": (50.0, 60.0 + GAP_DOWN), "c": (50.0, 100.0 + 2 * GAP_DOWN)}
    assert {x for route in found.routes.values() for x, _ in route} == {50.0}


def test_parents_stand_symmetrically_above_their_child():
    """The middle of two parents is the child's."""
    found = lay_out("abc", [("a", "c"), ("b", "c")], dict.fromkeys("abc", (100.0, 40.0)))
    assert found.places["a"][0] + found.places["b"][0] == 2 * found.places["c"][0]


def test_the_order_of_rows_avoids_crossings():
    """Two crossing pairs are uncrossed."""
    found = lay_out("abxy", [("a", "y"), ("b", "x")], dict.fromkeys("abxy", (100.0, 40.0)))
    assert (found.places["a"][0] < found.places["b"][0]) == (found.places["y"][0] < found.places["x"][0])


def test_circles_loops_and_unknown_ends_do_no_harm():
    """What a plan may not hold still gets a picture."""
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("a", "a"), ("a", "nobody")]
    found = lay_out("abc", edges, dict.fromkeys("abc", (10.0, 10.0)))
    assert set(found.routes) == {("a", "b"), ("b", "c")}
    assert lay_out([], [], {}).places == {}


def test_equal_graphs_get_equal_layouts():
    """Nothing depends on chance or on the order of sets."""
    assert lay_out(*random_graph(60, 120)) == lay_out(*random_graph(60, 120))


def test_a_thousand_nodes_take_little_time_and_ten_hardly_any():
    """Here it takes 0.6 s and 2 ms of work; the bounds are generous, for a growth that is not linear is far above."""

    def seconds(graph) -> float:
        began = time.process_time()
        lay_out(*graph)
        return time.process_time() - began

    assert min(seconds(random_graph(1_000, 3_000)) for _ in range(2)) < 3
    assert min(seconds(random_graph(10, 12)) for _ in range(5)) < 0.1


def test_lanes_are_limited_and_longer_edges_go_straight():
    """A deep graph with many long edges keeps its bound and all its edges."""
    ids = [f"n{number}" for number in range(600)]
    chain = list(pairwise(ids))
    long = [(ids[number], ids[-1 - number]) for number in range(100)]
    sizes = dict.fromkeys(ids, (50.0, 20.0))
    nodes = {id_: rows.Vertex(row) for id_, row in rows.assign_rows(ids, chain + long).items()}
    graph, _ = rows.make_rows(nodes, chain + long)
    assert sum(node.lane for row in graph for node in row) <= rows.LANES
    assert set(lay_out(ids, chain + long, sizes).routes) == {*chain, *long}


@settings(deadline=None)
@given(graphs)
def test_a_growing_layout_never_moves_or_overlaps_what_is_placed(graph):
    """Places stay as nodes come, boxes keep apart, and each edge goes on from its parent."""
    ids, edges, sizes = graph
    growing = Incremental()
    for id_ in ids:
        before = dict(growing.places)
        parents = [one for one, other in edges if other == id_]
        assert growing.add(id_, parents, sizes[id_]) == growing.places[id_]
        assert growing.places == {**before, id_: growing.places[id_]}
        for parent in parents:
            route = growing.routes[parent, id_]
            assert route[0][1] < route[-1][1]
    assert overlapping(growing.places, sizes) == 0
    left, top, right, bottom = growing.bounds
    edges_of = list(boxes(growing.places, sizes))
    assert left <= min(box[0] for box in edges_of)
    assert top <= min(box[1] for box in edges_of)
    assert right >= max(box[2] for box in edges_of)
    assert bottom >= max(box[3] for box in edges_of)


def test_a_growing_layout_ignores_parents_of_earlier_rounds_and_takes_ten_thousand_nodes():
    """A thousand or ten thousand nodes cost the same each."""
    growing = Incremental()
    assert growing.add("first", ["long ago"], (80.0, 40.0)) == (0.0, 20.0)

    def seconds(count: int) -> float:
        many, began = Incremental(), time.process_time()
        for number in range(count):
            many.add(f"n{number}", [f"n{number // 3}"], (80.0, 40.0))
        return time.process_time() - began

    assert seconds(10_000) < 60 * max(seconds(1_000), 0.002)
