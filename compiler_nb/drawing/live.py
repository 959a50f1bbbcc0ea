"""Pictures that a page updates: box by box while a plan streams, then the whole; without states and style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from compiler_nb.drawing.boxes import CALL, SHORT_CALL, Box, task_box
from compiler_nb.drawing.dot import Engine, find_layout
from compiler_nb.drawing.graph import FULL, MANY, guarded_calls, make_graph
from compiler_nb.drawing.layout import Incremental, Layout
from compiler_nb.drawing.rows import Point
from compiler_nb.drawing.style import ID, MARGIN
from compiler_nb.drawing.svg import draw_box, draw_edge
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task, line_of
from compiler_nb.plan.tree import references
from compiler_nb.text import cut, visible

TITLE: Final = 200
"""Characters of a call in a hover text."""
Extent = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""


class Piece(NamedTuple):
    """What a task adds to a picture: its box, the arrows to it, and how large the picture is now."""

    box: str
    edges: tuple[str, ...]
    bounds: Extent


class Drawn(NamedTuple):
    """A whole picture: its SVG, the ids that each `.cnb-group` element represents, and the places of the boxes."""

    svg: str
    groups: tuple[tuple[str, ...], ...]
    layout: Layout
    sizes: Mapping[str, tuple[float, float]]


class Sketch:
    """A picture that grows: each task gets a box and a place when it arrives, and keeps them.

    around: a whole picture that is shown already, as after a replan.
    """

    def __init__(self, around: Drawn | None = None) -> None:
        self._layout = Incremental()
        self._count = 0
        if around is not None:
            self._layout.keep(around.layout, around.sizes)

    def add(self, task: Task, calls: Sequence[Task] = ()) -> Piece:
        """Add a task, with the guarded calls in its line if it is an expression; return what it adds to the picture."""
        self._count += 1
        box = task_box(task, calls=calls, inside="bar", call=CALL if self._count <= MANY else SHORT_CALL)
        every, places = (*calls, task), self._layout.places
        reads = dict.fromkeys(id_ for each in every for id_ in each.dependencies)
        # a guarded call is drawn within the box of its line
        follows = [id_ if id_ in places else line_of(id_) for each in every for id_ in each.follows]
        needs = {**reads, **dict.fromkeys(follows)}
        x, y = self._layout.add(task.id, needs, (box.width, box.height))
        routes = ((name, self._layout.routes.get((name, task.id))) for name in needs)
        guards = references(*(each.guard for each in every))
        edges = tuple(
            _edge(route, name, task.id, guard=name in guards, turn=name not in reads)
            for name, route in routes
            if route is not None
        )
        titles = {each.id: _title(each) for each in calls} | {task.id: _title(task, calls)}
        return Piece(draw_box(box, x, y, titles=titles), edges, framed(self._layout.bounds))


def framed(bounds: tuple[float, float, float, float]) -> Extent:
    """Return left, top, right and bottom as bounds with a margin around."""
    left, top, right, bottom = bounds
    return (left - MARGIN, top - MARGIN, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN)


def draw_whole(plan: Plan | tuple[Task, ...], *, engine: Engine = "auto") -> Drawn:
    """Return the picture of all tasks, each waiting; above 200 tasks, those of one level and tool share a box."""
    graph = make_graph(plan, bars=True)
    layout = find_layout(graph, engine)
    calls = guarded_calls(plan)
    titles = {task.id: _title(task, calls.get(task.id, ())) for task in plan} if len(plan) <= FULL else {}
    names = {key: _first(box) for key, box in graph.boxes.items()}
    body = [
        _edge(route, names[pair[0]], names[pair[1]], guard=pair in graph.guards, turn=pair in graph.turns)
        for pair, route in layout.routes.items()
    ]
    body += [draw_box(box, *layout.places[key], titles=titles) for key, box in graph.boxes.items()]
    corners = " ".join(f"{number:g}" for number in framed((0.0, 0.0, layout.width, layout.height)))
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" class="cnb" viewBox="{corners}">{"".join(body)}</svg>'
    groups = tuple(box.members for box in graph.boxes.values() if box.kind == "group")
    return Drawn(svg, groups, layout, graph.sizes)


def _edge(route: Sequence[Point], one: str, other: str, *, guard: bool, turn: bool) -> str:
    """Return an arrow that names the tasks at its ends: the first task of a box, and none for the last line."""
    ends = "".join(f' data-{key}="{escape(cut(id_, ID))}"' for key, id_ in (("from", one), ("to", other)) if id_)
    return draw_edge(route, guard=guard, turn=turn).replace("<path", f"<path{ends}", 1)


def _first(box: Box) -> str:
    """Return the first task that a box shows."""
    return _first(box.inner[0][0]) if box.inner else box.task or next(iter(box.members), "")


def _title(task: Task, calls: Iterable[Task] = ()) -> str:
    note = f"\n# {visible(task.note)}" if task.note else ""
    return f"{visible(task.id)}\n{shorten_call(task, TITLE, calls)}{note}"
