"""The one layout of plans: which box in which row, and at which height; and our own places across. Pure, no recursion.

Theory of operation
    A picture goes down. Rounds follow each other as bands; in a band a box stands a level below the lowest box that it
    needs, so that level n starts after n others at the earliest. In a level boxes have the order of the plan; a level
    that is wider than PAGE goes on in a further row close below. Heights follow from that alone, so they are the same
    whoever chooses the places across: a picture that still grows, our own layout, or Graphviz (see `dot`).

    Our own places across:
    1. lanes: an edge over several rows gets a point in each row between, shared with the other long edges of its
       source (or target), so that arrows pass beside boxes; lanes are limited, and edges beyond that go straight;
    2. places: sweeps move each row as near as can be to its neighbours' mean without changing order or overlapping
       (least squares with order, by pooling adjacent violators), see `rows`;
    3. routes: cubic curves, vertical at both ends, that cross only the space between rows.
    The work is bounded: a fixed number of sweeps, each linear (bar the sorting) in nodes, edges and lanes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from compiler_nb.drawing.rows import GAP, Edge, Point, Rows, Size, Vertex, assign_rows, settle
from compiler_nb.drawing.ways import bend, straight

PAGE: Final = 840.0
"""A level whose boxes are wider than this, in pixels, goes on in a further row."""
GAP_DOWN, GAP_CLOSE = 50.0, 18.0
"""Space between levels, and between the rows of one level, in pixels."""
BAND_GAP, BAND_PAD, HEAD_LINE, HEAD_PAD = 18.0, 12.0, 18.0, 6.0
"""Space between bands (and below a head), around what stands in one, for each line of its head, and around those."""
PORT_GAPS = (7.0, 14.0)
"""Least and most space between two arrows that meet a box; with less they meet it in one point."""


class Tier(NamedTuple):
    """Boxes side by side, from left to right, their upper borders at `top`; high: that of the highest."""

    nodes: tuple[str, ...]
    top: float
    high: float


class Skeleton(NamedTuple):
    """What is known before the places across: rows from the top, top and bottom of each band, and how many levels."""

    rows: tuple[Tier, ...]
    bands: Mapping[int, tuple[float, float]]
    levels: int

    @property
    def height(self) -> float:
        """How high the picture is."""
        return max((bottom for _, bottom in self.bands.values()), default=0.0)


class Layout(NamedTuple):
    """The places of everything, in pixels from the top left corner.

    places: the centre of each node; routes: for each edge a start and then, for each cubic curve, two control points
    and its end; bands: top and bottom of each, by number; engine: what chose the places across, "own" or "graphviz".
    """

    width: float
    height: float
    places: Mapping[str, Point]
    routes: Mapping[Edge, tuple[Point, ...]]
    bands: Mapping[int, tuple[float, float]] = {}
    engine: str = "own"


def known_edges(nodes: Mapping[str, int], edges: Iterable[Edge]) -> list[Edge]:
    """Return the edges that can be drawn, each once: between two nodes, and not back to an earlier band."""
    return [
        (one, other)
        for one, other in dict.fromkeys(edges)
        if one in nodes and other in nodes and one != other and nodes[one] <= nodes[other]
    ]


def make_skeleton(
    nodes: Mapping[str, int], edges: Iterable[Edge], sizes: Mapping[str, Size], heads: Mapping[int, int] | None = None
) -> Skeleton:
    """Return the rows of some nodes, and where they stand.

    nodes: the band of each, in the plan's order; sizes: width and height of each; heads: lines of the bands' heads.
    """
    heads = heads or {}
    pairs = known_edges(nodes, edges)
    rows: list[Tier] = []
    bands: dict[int, tuple[float, float]] = {}
    top, levels = 0.0, 0
    for band in sorted(set(nodes.values())):
        here = [id_ for id_, number in nodes.items() if number == band]
        if bands:
            top += BAND_GAP
        began = top
        top += below_head(heads.get(band, 0)) if band in heads else BAND_PAD if bands else 0.0
        for level in levels_of(here, [pair for pair in pairs if nodes[pair[0]] == nodes[pair[1]] == band], sizes):
            levels += 1
            for number, row in enumerate(level):
                high = max(sizes[id_][1] for id_ in row)
                rows.append(Tier(row, top, high))
                top += high + (GAP_DOWN if number == len(level) - 1 else GAP_CLOSE)
        bottom = rows[-1].top + rows[-1].high
        top = bottom + BAND_PAD
        bands[band] = (began, bottom)
    return Skeleton(tuple(rows), bands, levels)


def head_height(lines: int) -> float:
    """Return how high the head of a band is, which hides the arrows that lead into the band."""
    return HEAD_LINE * lines + HEAD_PAD


def below_head(lines: int) -> float:
    """Return how far the first row stands below the top of a band with a head: arrows must come out of the head."""
    return head_height(lines) + BAND_GAP


def levels_of(nodes: Sequence[str], pairs: Sequence[Edge], sizes: Mapping[str, Size]) -> list[list[tuple[str, ...]]]:
    """Return the rows of each level of a band; nodes: in the plan's order; pairs: the edges between them."""
    depth = assign_rows(nodes, pairs)
    levels: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for id_ in nodes:
        levels[depth[id_]].append(id_)
    return [list(_fill(level, sizes)) for level in levels]


def _fill(level: Iterable[str], sizes: Mapping[str, Size]) -> Iterable[tuple[str, ...]]:
    """Yield the rows of a level: each takes what has room in it."""
    row: list[str] = []
    used = 0.0
    for id_ in level:
        if row and used + sizes[id_][0] > PAGE:
            yield tuple(row)
            row, used = [], 0.0
        row.append(id_)
        used += sizes[id_][0] + GAP
    yield tuple(row)


# --------------------------------------------------------------------- our own places across


def lay_out(
    nodes: Mapping[str, int], edges: Iterable[Edge], sizes: Mapping[str, Size], heads: Mapping[int, int] | None = None
) -> Layout:
    """Return places for nodes and routes for edges; arguments as for `make_skeleton`."""
    pairs = known_edges(nodes, edges)
    skeleton = make_skeleton(nodes, pairs, sizes, heads)
    if not skeleton.rows:
        return Layout(0.0, 0.0, {}, {})
    vertices = {id_: Vertex(at, *sizes[id_]) for at, row in enumerate(skeleton.rows) for id_ in row.nodes}
    graph, chains = settle(vertices, [(a, b) for a, b in pairs if vertices[a].row < vertices[b].row])
    return _route(graph, skeleton, vertices, chains)


def _route(
    graph: Rows, skeleton: Skeleton, vertices: Mapping[str, Vertex], chains: Mapping[Edge, Sequence[Vertex]]
) -> Layout:
    """Return the whole layout of rows whose nodes are placed across."""
    every = [node for row in graph for node in row]
    left = min(node.place - node.across / 2 for node in every)
    for node in every:
        node.place = float(round(node.place - left))
    rows, ports = skeleton.rows, _ports(chains)
    routes = {}
    for pair, (first, *lanes, last) in chains.items():
        points = [(first.place, rows[first.row].top + first.depth)]
        points += straight(*points[0], rows[first.row].top + rows[first.row].high)
        for lane in lanes:
            points += bend(points[-1], (lane.place, rows[lane.row].top))
            points += straight(*points[-1], rows[lane.row].top + rows[lane.row].high)
        points += bend(points[-1], (ports[pair], rows[last.row].top))
        routes[pair] = tuple(points)
    places = {id_: (node.place, rows[node.row].top + node.depth / 2) for id_, node in vertices.items()}
    return Layout(max(node.place + node.across / 2 for node in every), skeleton.height, places, routes, skeleton.bands)


def _ports(chains: Mapping[Edge, Sequence[Vertex]]) -> dict[Edge, float]:
    """Return where each edge meets its target, so that several arrive side by side in the order of their sources."""
    arrivals: dict[str, list[Edge]] = defaultdict(list)
    for pair in chains:
        arrivals[pair[1]].append(pair)
    ports: dict[Edge, float] = {}
    for each in arrivals.values():
        each.sort(key=lambda pair: chains[pair][-2].place)
        target = chains[each[0]][-1]
        step = min(PORT_GAPS[1], 0.5 * target.across / max(len(each) - 1, 1))
        step = 0.0 if step < PORT_GAPS[0] else step
        for index, pair in enumerate(each):
            port = target.place + (index - (len(each) - 1) / 2) * step
            straight = chains[pair][-2].place
            ports[pair] = straight if abs(straight - port) < PORT_GAPS[0] else port
    return ports


def heading(route: Sequence[Point]) -> Point:
    """Return the direction in which a route arrives, as a vector of length 1."""
    end = route[-1]
    before = next((point for point in reversed(route) if point != end), end)
    far = math.dist(end, before) or 1.0
    return (end[0] - before[0]) / far, (end[1] - before[1]) / far
