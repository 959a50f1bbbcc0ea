from __future__ import annotations

import re
from itertools import pairwise

import pytest

from compiler_nb.drawing import dot
from compiler_nb.drawing.dot import CORNER, FLAT, WIDEST, find_layout, place, quote, render, source
from compiler_nb.drawing.graph import make_graph
from compiler_nb.drawing.layout import lay_out
from compiler_nb.drawing.png import to_png
from compiler_nb.drawing.svg import draw
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Return
from compiler_nb.plan.tree import Ref
from tests.support.pictures import HOSTILE, call, coasts, expr, fanout, mixed_plan, random_plan, wide

NODE = re.compile(r'  n\d+ \[label="(?:[^"\\]|\\.)*" color="#\w{6}" id="n\d+" class="[\w -]+"( shape=\w+)?\]')
needs_graphviz = pytest.mark.skipif(render("digraph {}", format="plain") is None, reason="no Graphviz here")


def test_a_plan_as_dot_is_a_node_for_each_task_and_an_edge_for_each_reference():
    """Ids and classes are those of the picture."""
    text = source(coasts(), {"ny": "done"})
    assert '  n0 [label="ny\\nweather(\\"New York\\")" color="#0b7f5f" id="n0" class="cnb-task cnb-done"]' in text
    assert [line.strip() for line in text.splitlines() if "->" in line] == [
        "n0 -> n2", "n1 -> n2", "n2 -> n3", "n3 -> n4",
    ]  # fmt: skip
    assert coasts().to_graphviz().source == source(coasts())


@pytest.mark.parametrize("text", HOSTILE)
def test_labels_are_always_quoted_and_hold_no_markup_or_attribute(text):
    """A label ends where we end it, for every hostile text."""
    plan = Plan((call("a", "f", text), expr("b", [Ref("a"), text]), fanout("c", "b")), Return(Ref("c")))
    nodes = [line for line in source(plan).splitlines() if line.startswith("  n") and line[3].isdigit()]
    assert len(nodes) == 4 + 3
    assert all(NODE.fullmatch(line) for line in nodes if "label" in line)


@needs_graphviz
@pytest.mark.parametrize("text", HOSTILE)
def test_graphviz_shows_hostile_labels_as_they_are(text):
    """No URL, no markup, no entity: Graphviz's own SVG says the label's text."""
    svg = render(f"digraph {{ a [label={quote(text[:100])}] }}", format="svg").decode()
    assert "<a " not in svg
    assert "xlink:href" not in svg
    assert svg.count('class="node"') == 1
    if text.startswith("&lt;"):
        assert "&amp;lt;b&amp;gt;" in svg


@needs_graphviz
@pytest.mark.parametrize("plan", [coasts(), wide(40), *(random_plan(size, size) for size in (4, 9, 20, 30))], ids=len)
def test_graphviz_places_boxes_only_across(plan):
    """Rows, heights, bands and the order in a row are ours; its routes lead from box to box."""
    graph = make_graph(plan)
    found, own = place(graph), lay_out(graph.bands, graph.edges, graph.sizes)
    assert found.engine == "graphviz"
    assert {key: y for key, (_, y) in found.places.items()} == {key: y for key, (_, y) in own.places.items()}
    assert (found.height, found.bands) == (own.height, own.bands)
    for row in graph.skeleton.rows:
        for one, other in pairwise(row.nodes):
            apart = found.places[other][0] - found.places[one][0]
            assert apart >= (graph.sizes[one][0] + graph.sizes[other][0]) / 2
    assert set(found.routes) == set(graph.edges)
    for (one, other), route in found.routes.items():
        assert len(route) % 3 == 1
        assert route[0][1] == found.places[one][1] + graph.sizes[one][1] / 2
        assert route[-1][1] == found.places[other][1] - graph.sizes[other][1] / 2
        assert all(-1 <= x <= found.width + 1 for x, _ in route)


@needs_graphviz
def test_a_picture_too_wide_for_a_page_is_placed_by_us():
    """Graphviz gives long arrows much room; who asks for it by name gets it."""
    graph = make_graph(random_plan(24))
    assert place(graph).width > WIDEST
    assert find_layout(graph, "auto").engine == "own"
    assert find_layout(graph, "graphviz").engine == "graphviz"
    assert find_layout(make_graph(coasts()), "auto").engine == "graphviz"


def test_programs_are_tried_in_turn_and_all_may_fail():
    """A failing `dot` leaves the work to pygraphviz, and a failing pygraphviz to us."""
    tried = []

    def fails(*arguments):
        tried.append(arguments)
        raise OSError("dot is broken")

    def works(text, format, engine):  # noqa: A002
        return b"made"

    assert render("digraph {}", format="plain", programs=[fails, works, fails]) == b"made"
    assert render("digraph {}", format="plain", programs=[fails, fails]) is None
    assert len(tried) == 3
    assert place(make_graph(coasts()), [fails]) is None
    assert to_png(coasts(), programs=[fails]) is None
    assert len(tried) == 6


@pytest.mark.parametrize("output", [b"", b"graph 1 1", b"graph 1 x 1\n", b"node n0 a b c d", b"\xff\xfe", b"stop\n"])
def test_what_cannot_be_read_from_graphviz_leaves_the_work_to_us(output):
    """A cut or foreign answer is no layout."""
    assert place(make_graph(coasts()), [lambda *_: output]) is None


def test_large_graphs_are_not_given_to_graphviz():
    """It would take seconds for them."""
    tasks = [call(f"t{n}", "f", *([Ref(f"t{n - 1}")] if n else [])) for n in range(dot.MOST_BOXES + 1)]
    tried = []
    assert place(make_graph(tasks, full=1_000), [lambda *arguments: tried.append(arguments)]) is None
    assert tried == []


@pytest.mark.slow
@needs_graphviz
@pytest.mark.parametrize("plan", [coasts(), wide(40), random_plan(40)], ids=len)
def test_a_png_is_made_where_graphviz_is_there(plan):
    """The bytes are a PNG of bounded size, the same each time."""
    png = to_png(plan, states={"ny": "done"})
    assert png.startswith(b"\x89PNG")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert width <= 2_600
    assert height <= 5_200
    assert png == to_png(plan, states={"ny": "done"})


@needs_graphviz
def test_arrows_meet_boxes_where_their_borders_are_straight():
    """At the round corner of an expression or of an end the tip of an arrow would hang in the air."""
    calls = [call(name, "height", name) for name in ("blanc", "horn", "about")]
    reads = [Ref("blanc"), Ref("horn")]
    tasks = (*calls, expr("higher", reads), expr("gap", reads), call("story", "search", Ref("higher"), Ref("about")))
    graph = make_graph(Plan(tasks, Return([Ref("gap"), Ref("higher")])))
    found = place(graph)
    for (_, other), route in found.routes.items():
        box, (x, _) = graph.boxes[other], found.places[other]
        corner = box.height / 2 if box.kind == "expr" else CORNER if box.kind == "end" else 0.0
        assert abs(route[-1][0] - x) <= box.width / 2 - corner + 0.01


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["graphviz", "own"])
def test_the_order_of_a_row_is_that_of_the_plan_whoever_places_the_boxes(engine):
    """Graphviz changes it now and then; then we place them."""
    for seed in range(60):
        graph = make_graph(mixed_plan(seed))
        places = find_layout(graph, engine).places
        for row in graph.skeleton.rows:
            assert [places[key][0] for key in row.nodes] == sorted(places[key][0] for key in row.nodes)


@pytest.mark.slow
def test_no_arrow_leaves_or_meets_a_box_along_its_border():
    """Its head would lie on the border, or behind the box; Graphviz leads some arrows to the sides of boxes."""
    for seed in range(40):
        graph = make_graph(mixed_plan(seed))
        for route in find_layout(graph, "graphviz").routes.values():
            (x, y), (ax, ay), *_, (bx, by), (z, end) = route
            assert ay - y >= min(0.79 * abs(ax - x), 14)
            assert end - by >= min(0.79 * abs(bx - z), 14)
            assert end - by >= FLAT


def test_a_saved_png_has_the_times_and_that_of_a_cell_is_the_same_from_run_to_run(monkeypatch):
    """As the SVG has them; a saved output's PNG has none, because no tool could leave them out when it is compared."""
    asked = []
    monkeypatch.setattr("compiler_nb.drawing.png.render", lambda text, **_: asked.append(text) or b"")
    picture = draw(coasts(), times={"ny": "2nd try \u00b7 1.4 s"}, programs=[])
    picture.png()
    picture.steady_png()
    assert ["1.4 s" in text for text in asked] == [True, False]


def test_more_than_two_hundred_tasks_get_no_png():
    """Its bytes would swell the notebook."""
    assert to_png(wide(201)) is None


def test_the_quoted_text_keeps_its_lines_and_nothing_else_of_control():
    """Backslash, quote, entity and control characters are shown as they are."""
    assert quote('a\\b "c"\nd\x00&e;') == r'"a\\b \"c\"\nd\\x00&amp;e;"'
