"""DOT text of a plan, always quoted by our own function, and Graphviz as an engine for places and pictures.

Graphviz is the system's `dot`, called through the `graphviz` package, otherwise pygraphviz, which contains it.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from compiler_nb.drawing.boxes import BLOCK_OVER, head_width, state_of
from compiler_nb.drawing.graph import Graph, make_graph
from compiler_nb.drawing.layout import PAGE, Layout, Skeleton, lay_out
from compiler_nb.drawing.preferences import PREFERENCES, Engine
from compiler_nb.drawing.rows import GAP, Edge, Point, Size
from compiler_nb.drawing.scene import Shown
from compiler_nb.drawing.style import EDGE, LIGHT, PALE
from compiler_nb.drawing.ways import OpenRow, find_way
from compiler_nb.outcome import State
from compiler_nb.text import visible

Program: TypeAlias = "Callable[[str, str, str], bytes]"
"""Makes a picture from DOT text, a format and an engine; may raise anything."""
_LOCK: Final = threading.Lock()
"""Only one thread of a process may use the Graphviz library at a time."""
INCH: Final = 72.0
STEEP, TURN = 0.8, 18.0
"""The least steepness of an arrow at its boxes, and the pixels across in which it turns that way."""
FLAT: Final = 6.0
"""An arrow that leads down fewer pixels than this before it meets a box comes from a side."""
CORNER: Final = 15.0
"""The radius of the corners of a round's end."""
WIDEST: Final = 1.2 * PAGE
RANK_GAP: Final = 54.0
"""Pixels between Graphviz's rows, before they are moved to the heights of ours."""
MOST_BOXES, MOST_EDGES = 200, 400
STEPS: Final = 12
"""Points of a curve that are looked at."""
_SHAPES: Final = {"expr": "ellipse", "end": "oval", "fanout": "box3d", "group": "box3d", "more": "plaintext"}


def quote(text: str) -> str:
    """Return a DOT string that shows a text as it is: nothing in it is an escape, an entity or markup."""
    # Graphviz reads backslashes as escapes and `&…;` as entities inside quotes, too.
    lines = "\\n".join(visible(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n"))
    return f'"{lines.replace("&", "&amp;")}"'


def source(plan: Shown, states: Mapping[str, State] | None = None) -> str:
    """Return a plan as DOT text."""
    return wrap(lines_of(plan, states or {}))


def wrap(statements: Iterable[str]) -> str:
    """Return statements as a whole DOT text."""
    return "\n".join(["digraph plan {", *statements, "}", ""])


def lines_of(plan: Shown, states: Mapping[str, State]) -> Iterator[str]:
    """Yield the statements of a plan's DOT text."""
    graph = make_graph(plan, known=states, block=0)
    yield '  graph [rankdir=TB bgcolor="transparent" nodesep=0.3 ranksep=0.5]'
    yield '  node [shape=box style="rounded,filled" fillcolor=white fontname="Helvetica" fontsize=11 penwidth=1.3]'
    yield f'  edge [color="{EDGE}" arrowsize=0.7]'
    names = graph.names
    for key, box in graph.boxes.items():
        state = state_of(box, states)
        label = "\n".join(part for part in (f"{box.label} {box.count}".rstrip(), box.call) if part)
        shape = f" shape={_SHAPES[box.kind]}" if box.kind in _SHAPES else ""
        colour = LIGHT["ink"] if box.kind == "end" else LIGHT[state]
        kind = f"cnb-task cnb-{state}" if box.task else f"cnb-{box.kind}"
        look = f'color="{colour}" id="{names[key]}" class="{kind}"{shape}'
        yield f"  {names[key]} [label={quote(label)} {look}]"
    for one, other in graph.edges:
        look = edge_look(graph, (one, other))
        yield f"  {names[one]} -> {names[other]}{f' [{look}]' if look else ''}"


def edge_look(graph: Graph, edge: tuple[str, str]) -> str:
    """Return the attributes that say what an edge means."""
    pale = [f'color="{PALE}"'] if edge in graph.links else []
    look = ["arrowhead=odiamond"] if edge in graph.guards else ["style=dashed"] if edge in graph.turns else []
    return " ".join([*look, *pale])


def render(
    text: str,
    *,
    format: str,  # noqa: A002 - Graphviz's word
    engine: str = "dot",
    programs: Iterable[Program] | None = None,
) -> bytes | None:
    """Return what Graphviz makes of DOT text, or None if Graphviz is missing or fails.

    engine: "dot", or "nop2" to draw at the given places; programs: ways to run it, tried in turn.
    """
    for run in find_programs() if programs is None else programs:
        with contextlib.suppress(Exception):  # whatever goes wrong, our own layout takes over
            return run(text, format, engine)
    return None


def find_programs() -> Iterator[Program]:
    """Yield the ways to run Graphviz here."""
    if shutil.which("dot"):
        yield _run_dot
    yield _run_pygraphviz


def _run_dot(text: str, format: str, engine: str) -> bytes:  # noqa: A002
    import graphviz  # noqa: PLC0415 - heavy

    return bytes(graphviz.Source(text).pipe(format=format, engine=engine, quiet=True))


def _run_pygraphviz(text: str, format: str, engine: str) -> bytes:  # noqa: A002
    import pygraphviz  # noqa: PLC0415 - an extra

    with _LOCK, _muted():
        drawing = pygraphviz.AGraph(string=text)
        try:
            return bytes(drawing.draw(format=format, prog=engine))
        finally:
            drawing.close()


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Drop what C code writes to stderr (warnings about fonts), which a kernel would show in the cell."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def find_layout(graph: Graph, engine: Engine = "auto", programs: Iterable[Program] | None = None) -> Layout:
    """Return the places and routes of a graph; engine: what chooses them; programs: as for `render`.

    "auto" is what is preferred; if that is "auto" too, Graphviz if it is there, unless it needs more room across than a
    page has.
    """
    engine = PREFERENCES.layout if engine == "auto" else engine
    placed = place(graph, programs) if engine != "own" else None
    if placed and engine == "auto" and placed.width > WIDEST:
        placed = None
    layout = placed or lay_out(graph.bands, graph.order, graph.sizes, graph.lines)
    return with_heads(layout._replace(routes=_drawn(layout.routes, graph)), graph)


def with_heads(layout: Layout, graph: Graph) -> Layout:
    """Return a layout as wide as the heads of its bands."""
    return layout._replace(width=max([layout.width, *map(head_width, graph.heads.values())]))


def _cleared(layout: Layout, graph: Graph, skeleton: Skeleton) -> Layout:
    """Return the layout with ways of ours for arrows that lead through a box between their ends, or to a side of one.

    Graphviz leaves few such arrows: it routes them before the rows are moved to their heights.
    """
    routes, rows, row_of = dict(layout.routes), list[OpenRow](), dict[str, int]()
    for tier in skeleton.rows:
        rows.append(OpenRow(tier.top))
        for key in tier.nodes:
            row_of[key] = len(rows) - 1
            rows[-1].put(layout.places[key][0], graph.sizes[key])
    flat = (pair for pair, route in routes.items() if _is_flat(route))
    for one, other in dict.fromkeys((*_crossing(layout, graph.sizes), *flat)):
        start, *_, end = routes[one, other]
        routes[one, other] = find_way(rows, row_of[one], row_of[other], start, end, f"from {one}")
    right = max((x for route in routes.values() for x, _ in route), default=0.0)
    return layout._replace(routes=routes, width=max(layout.width, right))


def _is_flat(route: Sequence[Point]) -> bool:
    """Whether a route leaves or meets its box from a side, so that its head would lie along the border."""
    return route[1][1] < route[0][1] + FLAT or route[-2][1] > route[-1][1] - FLAT


def _crossing(layout: Layout, sizes: Mapping[str, Size]) -> list[Edge]:
    """Return the arrows that lead through a box between their ends."""
    rows = sorted((y, x, sizes[key][0] / 2 - 1, sizes[key][1] / 2 - 1, key) for key, (x, y) in layout.places.items())
    heights, most = [y for y, *_ in rows], max(high for _, high in sizes.values())
    found = []
    for pair, route in layout.routes.items():
        first, last = bisect_left(heights, route[0][1] - most), bisect_left(heights, route[-1][1] + most)
        between = [box for box in rows[first:last] if box[-1] not in pair]
        for x, y in _along(route) if between else ():
            if any(abs(x - mid) < half and abs(y - row) < high for row, mid, half, high, _ in between):
                found.append(pair)
                break
    return found


def _along(route: Sequence[Point]) -> Iterator[Point]:
    """Yield points of a route's cubic curves."""
    for at in range(0, len(route) - 1, 3):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = route[at : at + 4]
        for step in range(STEPS):
            far, near = step / STEPS, 1 - step / STEPS
            a, b, c, d = near**3, 3 * near * near * far, 3 * near * far * far, far**3
            yield a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy


def _drawn(routes: Mapping[Edge, tuple[Point, ...]], graph: Graph) -> dict[Edge, tuple[Point, ...]]:
    """Return the routes of what is drawn; those to a block end at the border of its ground, above its boxes."""
    drawn = {pair: route for pair, route in routes.items() if pair not in graph.hidden}
    for pair, route in drawn.items():
        if graph.boxes[pair[1]].kind == "block":
            drawn[pair] = tuple((x, min(y, route[-1][1] - BLOCK_OVER)) for x, y in route)
    return drawn


def place(graph: Graph, programs: Iterable[Program] | None = None) -> Layout | None:
    """Return Graphviz's places and routes for a graph; or None if it is missing, or changes the order of a row.

    It is not asked about a large graph. It chooses only places across and routes: rows and heights are those of
    `make_skeleton`, and the order in a row that of the plan. So a row is a rank, held by a node of its own, and
    invisible edges lead from each box to the next.
    """
    skeleton = graph.skeleton
    if not skeleton.rows or len(graph.boxes) > MOST_BOXES or len(graph.edges) > MOST_EDGES:
        return None
    names, sizes = graph.names, graph.sizes
    ranks = [f"r{number}" for number in range(len(skeleton.rows))]
    lines = [
        f"graph [rankdir=TB nodesep={GAP / INCH:.4f} ranksep={RANK_GAP / INCH:.4f}]",
        "edge [dir=none weight=10]",
        'node [shape=box fixedsize=true label=""]',
        *(
            f"{rank} [style=invis width=0.01 height={row.high / INCH:.4f}]"
            for rank, row in zip(ranks, skeleton.rows, strict=True)
        ),
        f"{' -> '.join(ranks)} [style=invis weight=1]",
    ]
    for rank, row in zip(ranks, skeleton.rows, strict=True):
        chain = " -> ".join([rank, *(names[key] for key in row.nodes)])
        lines += [
            f"{names[key]} [width={sizes[key][0] / INCH:.4f} height={sizes[key][1] / INCH:.4f}]" for key in row.nodes
        ]
        lines.append(f"{{rank=same; {chain} [style=invis weight=1]}}")
    lines += [f"{names[one]} -> {names[other]}" for one, other in graph.edges]
    lines += [f"{names[one]} -> {names[other]} [style=invis]" for one, other in graph.hidden]
    plain = render(wrap(lines), format="plain", programs=programs)
    try:
        return _read_plain(plain.decode(), graph, skeleton) if plain else None
    except (ValueError, IndexError, KeyError):
        return None


def _read_plain(text: str, graph: Graph, skeleton: Skeleton) -> Layout:
    """Read Graphviz's plain format, inches from the bottom left corner, and move its rows to their heights."""
    places: dict[str, Point] = {}
    routes: dict[tuple[str, str], list[Point]] = {}
    for line in text.splitlines():
        word, *parts = line.split()
        if word == "node":
            places[parts[0]] = (float(parts[1]) * INCH, -float(parts[2]) * INCH)
        elif word == "edge" and "invis" not in parts:
            count = int(parts[2])
            numbers = [float(part) * INCH for part in parts[3 : 3 + 2 * count]]
            routes[parts[0], parts[1]] = list(zip(numbers[::2], (-y for y in numbers[1::2]), strict=True))
    names, sizes = graph.names, graph.sizes
    boxes = [places[names[key]][0] + side * sizes[key][0] / 2 for key in names for side in (-1, 1)]
    across = [*boxes, *(x for route in routes.values() for x, _ in route)]  # some routes go around all boxes
    left = min(across)
    marks = [(places[f"r{number}"][1] + half, row.top + row.high / 2 + half)
             for number, row in enumerate(skeleton.rows) for half in (-row.high / 2, row.high / 2)]  # fmt: skip
    found: dict[str, Point] = {}
    for row in skeleton.rows:
        across_row = [round(places[names[key]][0] - left) for key in row.nodes]
        if across_row != sorted(across_row):
            raise ValueError("Graphviz has changed the order of a row")
        found |= {key: (x, row.top + sizes[key][1] / 2) for key, x in zip(row.nodes, across_row, strict=True)}
    ways = {}
    for one, other in graph.edges:
        points = [(x - left, _height(y, marks)) for x, y in routes[names[one], names[other]]]
        # boxes hang from the upper border of their row, while Graphviz puts them into its middle
        start, end = (found[one][1] + sizes[one][1] / 2, found[other][1] - sizes[other][1] / 2)
        (x, _), (ax, ay), *middle, (bx, by), (z, _) = points
        out, into = _beside_corners(graph, one, found, x), _beside_corners(graph, other, found, z)
        after, before = _steep(out, start, ax - x, ay - start), _steep(into, end, bx - z, by - end)
        ways[one, other] = ((out, start), after, *middle, before, (into, end))
    placed = Layout(max(across) - left, skeleton.height, found, ways, skeleton.bands, "graphviz")
    return _cleared(placed, graph, skeleton)


def _beside_corners(graph: Graph, key: str, places: Mapping[str, Point], x: float) -> float:
    """Return where an arrow meets a box, moved from its round corner to where its border is straight."""
    width, height = graph.sizes[key]
    kind = graph.boxes[key].kind
    room = width / 2 - (height / 2 if kind == "expr" else CORNER if kind == "end" else 0.0)
    return min(max(x, places[key][0] - room), places[key][0] + room)


def _steep(x: float, y: float, dx: float, dy: float) -> Point:
    """Return the control point at the end of a curve, which turns to the border that it would nearly lie along."""
    if abs(dy) >= STEEP * abs(dx):
        return x + dx, y + dy
    dx = math.copysign(min(abs(dx), TURN), dx)
    return x + dx, y + math.copysign(STEEP * abs(dx), dy)


def _height(y: float, marks: Sequence[tuple[float, float]]) -> float:
    """Return our height for one of Graphviz's: between the borders of rows, which `marks` pairs, in proportion."""
    at = min(max(bisect_right(marks, (y, math.inf)), 1), len(marks) - 1)
    (low, top), (high, bottom) = marks[at - 1], marks[at]
    return top + (y - low) * (bottom - top) / (high - low) if high > low else top
