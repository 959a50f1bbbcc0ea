from __future__ import annotations

import time
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler_nb.drawing import rows
from compiler_nb.drawing.layout import GAP_DOWN, HEAD_LINE, PAGE, lay_out
from tests.support.pictures import boxes, overlapping, random_graph

COVERS = ("rows.py",)

graphs = st.builds(
    lambda count, share, seed: random_graph(count, int(share * (count - 1)), seed, window=8),
    st.integers(2, 25), st.floats(0.2, 1.0), st.integers(0, 10_000),
)  # fmt: skip


def placed(graph, **more):
    """Return our layout of a graph in one band."""
    ids, edges, sizes = graph
    return lay_out(dict.fromkeys(ids, 0), edges, sizes, **more)


@pytest.mark.slow
@settings(deadline=None)
@given(graphs)
def test_boxes_never_overlap_and_edges_always_go_on(graph):
    """Every route starts at its source's lower side and ends at its target's upper side, and never turns back."""
    ids, edges, sizes = graph
    found = placed(graph)
    assert set(found.places) == set(ids)
    assert set(found.routes) == set(edges)
    assert overlapping(found.places, sizes) == 0
    for (one, other), route in found.routes.items():
        assert route[0][1] == pytest.approx(found.places[one][1] + sizes[one][1] / 2)
        assert route[-1][1] == pytest.approx(found.places[other][1] - sizes[other][1] / 2)
        assert all(early[1] <= late[1] + 0.01 for early, late in pairwise(route))
        assert len(route) % 3 == 1


@pytest.mark.slow
@settings(deadline=None)
@given(graphs)
def test_everything_stands_within_the_picture(graph):
    """Width and height hold all boxes and routes."""
    found = placed(graph)
    points = [point for route in found.routes.values() for point in route]
    corners = [corner for box in boxes(found.places, graph[2]) for corner in (box[:2], box[2:])]
    assert all(-1 <= x <= found.width + 1 and -1 <= y <= found.height + 1 for x, y in points + corners)


@pytest.mark.slow
@settings(deadline=None)
@given(graphs)
def test_long_edges_pass_beside_boxes(graph):
    """No route crosses a box of the rows between its ends."""
    ids, _, sizes = graph
    found = placed(graph)
    for (one, other), route in found.routes.items():
        for early, late in pairwise(route[::3]):
            if early[0] == late[0]:  # straight through a row
                for id_ in set(ids) - {one, other}:
                    (x, y), (width, height) = found.places[id_], sizes[id_]
                    beside = abs(early[0] - x) >= width / 2 - 1
                    assert beside or late[1] <= y - height / 2 + 1 or early[1] >= y + height / 2 - 1


@pytest.mark.slow
@settings(deadline=None)
@given(graphs)
def test_a_level_is_the_earliest_start_and_its_order_is_that_of_the_plan(graph):
    """What starts later stands lower; beside each other boxes stand as they were written."""
    ids, edges, sizes = graph
    found = placed(graph)
    levels = rows.assign_rows(ids, edges)
    tops = {id_: y - sizes[id_][1] / 2 for id_, (_, y) in found.places.items()}
    for one, other in combinations(ids, 2):
        if levels[one] != levels[other]:
            assert (levels[one] < levels[other]) == (tops[one] < tops[other])
        elif tops[one] == tops[other]:
            assert found.places[one][0] < found.places[other][0]
        else:  # the level goes on in a further row
            assert tops[one] < tops[other]


def test_a_wide_level_goes_on_in_a_further_row():
    """Eight boxes of 200 pixels need two rows, close to each other; what reads them stands further below."""
    ids = [f"n{number}" for number in range(8)]
    found = placed(([*ids, "last"], [(id_, "last") for id_ in ids], dict.fromkeys([*ids, "last"], (200.0, 46.0))))
    assert [found.places[id_][1] for id_ in ids] == [23.0] * 3 + [87.0] * 3 + [151.0] * 2
    assert found.places["last"][1] == 128 + 46 + GAP_DOWN + 23
    assert found.width <= PAGE


def test_rounds_are_bands_one_below_the_other():
    """A box of the second round stands below all of the first, however early it could have started."""
    ids, sizes = (
        {"a": 0, "lost": 0, "b": 0, "again": 1, "best": 1},
        dict.fromkeys(["a", "lost", "b", "again", "best"], (90.0, 46.0)),
    )
    found = lay_out(ids, [("a", "b"), ("a", "best"), ("again", "best")], sizes, {1: 2})
    assert [found.places[id_][1] for id_ in ("a", "lost", "b")] == [23.0, 23.0, 69.0 + GAP_DOWN]
    assert found.bands[0] == (0.0, 92.0 + GAP_DOWN)
    top, bottom = found.bands[1]
    assert top > 92 + GAP_DOWN
    assert found.places["again"][1] - 23 >= top + 2 * HEAD_LINE
    assert (found.places["best"][1] + 23, found.height) == (bottom, bottom)
    assert ("a", "best") in found.routes
    assert lay_out(ids, [("again", "a")], sizes, {1: 1}).routes == {}


def test_a_chain_stands_in_one_line_with_straight_arrows():
    """A plan without choices has no bends."""
    found = placed(("abc", [("a", "b"), ("b", "c")], dict.fromkeys("abc", (100.0, 40.0))))
    assert found.places == {"a": (50.0, 20.0), "b": (50.0, 60.0 + GAP_DOWN), "c": (50.0, 100.0 + 2 * GAP_DOWN)}
    assert {x for route in found.routes.values() for x, _ in route} == {50.0}


def test_parents_stand_symmetrically_above_their_child():
    """The middle of two parents is the child's."""
    found = placed(("abc", [("a", "c"), ("b", "c")], dict.fromkeys("abc", (100.0, 40.0))))
    assert found.places["a"][0] + found.places["b"][0] == 2 * found.places["c"][0]


def test_lanes_are_sorted_so_that_long_edges_do_not_cross():
    """Two long edges from a row to one far below keep the order of their ends."""
    edges = [("a", "m"), ("m", "n"), ("b", "x"), ("n", "x"), ("c", "y"), ("n", "y")]
    found = placed(("abcmnxy", edges, dict.fromkeys("abcmnxy", (100.0, 40.0))))
    lanes = {start: [x for x, y in found.routes[start, end] if y == 80 + 2 * GAP_DOWN] for start, end in ("bx", "cy")}
    assert max(lanes["b"]) <= min(lanes["c"])


def test_circles_loops_and_unknown_ends_do_no_harm():
    """What a plan may not hold still gets a picture."""
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("a", "a"), ("a", "nobody")]
    found = placed(("abc", edges, dict.fromkeys("abc", (10.0, 10.0))))
    assert set(found.routes) == {("a", "b"), ("b", "c")}
    assert lay_out({}, [], {}).places == {}


def test_equal_graphs_get_equal_layouts():
    """Nothing depends on chance or on the order of sets."""
    assert placed(random_graph(60, 120)) == placed(random_graph(60, 120))


@pytest.mark.slow
def test_a_thousand_nodes_take_little_time_and_ten_hardly_any():
    """Here it takes 0.6 s and 2 ms of work; the bounds are generous, for a growth that is not linear is far above."""

    def seconds(graph) -> float:
        began = time.process_time()
        placed(graph)
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
    assert set(placed((ids, chain + long, sizes)).routes) == {*chain, *long}
