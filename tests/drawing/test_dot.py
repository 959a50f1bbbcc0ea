from __future__ import annotations

import re

import pytest

from compiler_nb.drawing import dot
from compiler_nb.drawing.digraph import make_digraph
from compiler_nb.drawing.dot import place, quote, render, source
from compiler_nb.drawing.graph import make_graph
from compiler_nb.drawing.png import to_png
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Return
from compiler_nb.plan.tree import Ref
from tests.support.pictures import HOSTILE, call, coasts, expr, fanout, random_plan, wide

NODE = re.compile(r'  n\d+ \[label="(?:[^"\\]|\\.)*" color="#\w{6}" id="n\d+" class="[\w -]+"( shape=\w+)?\]')
needs_graphviz = pytest.mark.skipif(render("digraph {}", format="plain") is None, reason="no Graphviz here")


def test_a_plan_as_dot_is_a_node_for_each_task_and_an_edge_for_each_reference():
    """Ids and classes are those of the picture."""
    text = source(coasts(), {"ny": "done"})
    assert '  n0 [label="ny\\nweather(\\"New York\\")" color="#0b7f5f" id="n0" class="cnb-task cnb-done"]' in text
    assert [line.strip() for line in text.splitlines() if "->" in line] == [
        "n0 -> n2", "n1 -> n2", "n2 -> n3", "n3 -> n4",
    ]  # fmt: skip
    assert make_digraph(coasts(), {"ny": "done"}).source == text
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
def test_graphviz_places_every_box_downwards_without_overlap():
    """Its plain output becomes the same kind of Layout as ours."""
    graph = make_graph(Plan(random_plan(30).tasks, Return(Ref("t29"))))
    found = place(graph)
    assert set(found.places) == set(graph.boxes)
    assert set(found.routes) == set(graph.edges)
    along = 1 if graph.down else 0
    for one, other in graph.edges:
        assert found.places[one][along] < found.places[other][along]
        assert len(found.routes[one, other]) % 3 == 1
    placed = [(*found.places[key], *graph.sizes[key]) for key in graph.boxes]
    assert not any(
        abs(x - u) < (w + m) / 2 - 1 and abs(y - v) < (h + n) / 2 - 1
        for index, (x, y, w, h) in enumerate(placed)
        for u, v, m, n in placed[index + 1 :]
    )


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
    assert len(tried) == 5


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


def test_more_than_two_hundred_tasks_get_no_png():
    """Its bytes would swell the notebook."""
    assert to_png(wide(201)) is None


def test_the_quoted_text_keeps_its_lines_and_nothing_else_of_control():
    """Backslash, quote, entity and control characters are shown as they are."""
    assert quote('a\\b "c"\nd\x00&e;') == r'"a\\b \"c\"\nd\\x00&amp;e;"'
