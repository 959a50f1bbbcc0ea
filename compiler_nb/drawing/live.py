"""Pictures that a page updates: box by box while a plan streams, then the whole; without states and style."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

from compiler_nb.drawing.boxes import Box, head_width, task_box
from compiler_nb.drawing.dot import find_layout
from compiler_nb.drawing.graph import FULL, Graph, guarded_calls, head_lines, is_too_tall, make_graph
from compiler_nb.drawing.growing import Incremental
from compiler_nb.drawing.layout import Layout
from compiler_nb.drawing.preferences import Engine
from compiler_nb.drawing.rows import Point
from compiler_nb.drawing.scene import Shown, scene_of
from compiler_nb.drawing.style import ID, MARGIN
from compiler_nb.drawing.svg import EdgeKind, draw_box, draw_edge, draw_grounds, draw_head, draw_heads, kinds_of
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task, line_of
from compiler_nb.plan.tree import references
from compiler_nb.text import cut, visible

TITLE: Final = 200
"""Characters of a call in a hover text."""
Extent = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""


class Piece(NamedTuple):
    """What a task adds to a picture: its box, the arrows to it with the head of a new band, and how large it is now."""

    box: str
    edges: tuple[str, ...]
    bounds: Extent


class Drawn(NamedTuple):
    """A whole picture: its SVG, the ids that each `.cnb-group` element represents, and what stands where."""

    svg: str
    groups: tuple[tuple[str, ...], ...]
    layout: Layout
    graph: Graph


class Sketch:
    """A picture that grows: each task gets a box and a place when it arrives, and keeps them.

    around: a whole picture that is shown already, as after a replan.
    """

    def __init__(self, around: Drawn | None = None) -> None:
        self._layout = Incremental()
        self._shown_in: dict[str, str] = {}  # the box of a task, if it has another name
        self._band = self._count = 0
        if around is not None:
            graph = around.graph
            self._layout.keep(around.layout, graph.bands, graph.order, graph.sizes)
            self._band = max(graph.bands.values(), default=0)
            self._count = sum(len(shown_in(box)) for box in graph.boxes.values())
            self._shown_in = {id_: key for key, box in graph.boxes.items() for id_ in shown_in(box) if id_ != key}

    def add(self, task: Task, calls: Sequence[Task] = (), band: int = 0, reason: str = "") -> Piece | None:
        """Add a task, with the guarded calls in its line if it is an expression; return what it adds to the picture.

        band: its round, from 0; reason: why the joiner asked for that. Return None if it has no place unless others
        move, or if the picture gets too high: then the whole has to be drawn.
        """
        head = self._begin(band, reason)
        box = task_box(task, calls=calls, inside="bar")
        every, places = (*calls, task), self._layout.places
        reads = dict.fromkeys(id_ for each in every for id_ in each.dependencies)
        # a guarded call is drawn within the box of its line
        follows = [id_ if id_ in places else line_of(id_) for each in every for id_ in each.follows]
        needs = {**reads, **dict.fromkeys(follows)}
        boxes = {name: self._shown_in.get(name, name) for name in needs}
        place = self._layout.add(task.id, boxes.values(), (box.width, box.height), band)
        self._count += 1 + len(calls)
        if place is None or is_too_tall(self._count, self._layout.height, self._layout.levels):
            return None
        guards = references(*(each.guard for each in every))
        edges = []
        for name, key in boxes.items():
            kinds: dict[EdgeKind, bool] = {
                "guard": name in guards, "turn": name not in reads, "link": self._layout.bands.get(key) != band,
            }  # fmt: skip
            if (route := self._layout.routes.get((key, task.id))) is not None:
                edges.append(_edge(route, name, task.id, [kind for kind, so in kinds.items() if so]))
        titles = {each.id: _title(each) for each in calls} | {task.id: _title(task, calls)}
        bounds = framed(self._layout.width, self._layout.height)
        return Piece(draw_box(box, *place, titles=titles), (*head, *edges), bounds)

    def _begin(self, band: int, reason: str) -> list[str]:
        """Begin a new band, if the task is the first of its round and not of the picture; return its head."""
        if band == self._band or not self._layout.places:
            self._band = band
            return []
        self._band = band
        head = head_lines(band, reason)
        return [draw_head(head, self._layout.begin_band(len(head)), max(self._layout.width, head_width(head)))]


def shown_in(box: Box) -> tuple[str, ...]:
    """Return the ids of the tasks that a box shows."""
    inner = tuple(id_ for each, _, _ in box.inner for id_ in shown_in(each))
    return (*((box.task,) if box.task else ()), *box.members, *inner)


def framed(width: float, height: float) -> Extent:
    """Return the bounds of a picture, with a margin around."""
    return (-MARGIN, -MARGIN, width + 2 * MARGIN, height + 2 * MARGIN)


def draw_whole(plan: Shown, *, engine: Engine = "auto") -> Drawn:
    """Return the picture of all tasks, each waiting; above 200 tasks, those of one level and tool share a box."""
    tasks = scene_of(plan).tasks
    graph = make_graph(plan, bars=True)
    layout = find_layout(graph, engine)
    calls = guarded_calls(tasks)
    titles = {task.id: _title(task, calls.get(task.id, ())) for task in tasks} if len(tasks) <= FULL else {}
    names = {key: next(iter(shown_in(box)), "") for key, box in graph.boxes.items()}
    body = draw_grounds(graph, layout)
    body += [_edge(route, names[one], names[other], kinds_of(graph, (one, other)))
             for (one, other), route in layout.routes.items()]  # fmt: skip
    body += draw_heads(graph, layout)
    body += [draw_box(box, *layout.places[key], titles=titles) for key, box in graph.boxes.items()]
    corners = " ".join(f"{number:g}" for number in framed(layout.width, layout.height))
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" class="cnb" viewBox="{corners}">{"".join(body)}</svg>'
    groups = tuple(box.members for box in graph.boxes.values() if box.kind == "group")
    return Drawn(svg, groups, layout, graph)


def _edge(route: Sequence[Point], one: str, other: str, kinds: Collection[EdgeKind]) -> str:
    """Return an arrow that names the tasks at its ends: the first task of a box, and none for the last line."""
    ends = "".join(f' data-{key}="{escape(cut(id_, ID))}"' for key, id_ in (("from", one), ("to", other)) if id_)
    return draw_edge(route, kinds).replace("<path", f"<path{ends}", 1)


def _title(task: Task, calls: Iterable[Task] = ()) -> str:
    note = f"\n# {visible(task.note)}" if task.note else ""
    return f"{visible(task.id)}\n{shorten_call(task, TITLE, calls)}{note}"
