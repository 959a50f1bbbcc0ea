"""Our own layered layout: boxes in rows, arrows that go down or right, pure and without recursion.

Theory of operation
    1. rows: a node is one row below the lowest node that points to it;
    2. lanes: an edge over several rows gets a point in each row between, shared with the other long edges of its
       source (or target), so that arrows pass beside boxes; lanes are limited, and edges beyond that go straight;
    3. order: sweeps down and up sort each row by the mean place of its neighbours; the order with the fewest crossings
       is kept;
    4. places: sweeps move each row as near as can be to its neighbours' mean without changing order or overlapping
       (least squares with order, by pooling adjacent violators);
    5. routes: cubic curves, vertical at both ends, that cross only the space between rows.
    The work is bounded: a fixed number of sweeps, each linear (bar the sorting) in nodes, edges and lanes.
    To go right instead of down, the same is done with width and height exchanged.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from compiler_nb.drawing.rows import GAP, Edge, Point, Rows, Size, Vertex, arrange, assign_rows, make_rows, order

GAP_DOWN, GAP_RIGHT = 52.0, 68.0
"""Least space between rows, in pixels."""
PITCH = 100.0
"""Pixels from one row of a growing layout to the next: room for usual boxes."""
PORT_GAPS = (7.0, 14.0)
"""Least and most space between two arrows that meet a box; with less they meet it in one point."""


class Layout(NamedTuple):
    """The places of everything, in pixels from the top left corner.

    places: the centre of each node; routes: for each edge a start and then, for each cubic curve, two control points
    and its end; engine: what chose the places, "own" or "graphviz".
    """

    width: float
    height: float
    places: Mapping[str, Point]
    routes: Mapping[Edge, tuple[Point, ...]]
    engine: str = "own"


def lay_out(nodes: Iterable[str], edges: Iterable[Edge], sizes: Mapping[str, Size], *, down: bool = True) -> Layout:
    """Return places for the nodes and routes for the edges; edges to unknown nodes, and backward edges, are left out.

    sizes: width and height of each node in pixels; down: rows from top to bottom, otherwise from left to right.
    """
    ids = list(dict.fromkeys(nodes))
    if not ids:
        return Layout(0.0, 0.0, {}, {})
    known = set(ids)
    pairs = [pair for pair in dict.fromkeys(edges) if pair[0] in known and pair[1] in known and pair[0] != pair[1]]
    rows = assign_rows(ids, pairs)
    placed = {id_: Vertex(rows[id_], *(sizes[id_] if down else sizes[id_][::-1])) for id_ in ids}
    graph, chains = make_rows(placed, [(one, other) for one, other in pairs if rows[one] < rows[other]])
    order(graph)
    arrange(graph)
    layout = _route(graph, placed, chains, GAP_DOWN if down else GAP_RIGHT)
    return layout if down else _turn(layout)


def _route(graph: Rows, nodes: Mapping[str, Vertex], chains: Mapping[Edge, list[Vertex]], gap: float) -> Layout:
    """Return the whole layout of rows whose nodes are placed across; gap: the least space between rows."""
    every = [node for row in graph for node in row]
    left = min(node.place - node.across / 2 for node in every)
    for node in every:
        node.place = float(round(node.place - left))
    high = [max(node.depth for node in row) for row in graph]
    tops = [0.0]
    for upper, height in zip(graph[:-1], high, strict=False):
        wide = max((abs(node.place - each.place) for node in upper for each in node.below), default=0.0)
        tops.append(tops[-1] + height + round(min(max(gap, 0.18 * wide), 2.2 * gap)))
    middles = [top + height / 2 for top, height in zip(tops, high, strict=True)]
    ports = _ports(chains)
    routes = {}
    for pair, (first, *lanes, last) in chains.items():
        points = [(first.place, middles[first.row] + first.depth / 2)]
        points += _straight(*points[0], tops[first.row] + high[first.row])
        for lane in lanes:
            points += _bend(points[-1], (lane.place, tops[lane.row]))
            points += _straight(*points[-1], tops[lane.row] + high[lane.row])
        points += _bend(points[-1], (ports[pair], tops[last.row]))
        points += _straight(*points[-1], middles[last.row] - last.depth / 2)
        routes[pair] = tuple(points)
    places = {id_: (node.place, middles[node.row]) for id_, node in nodes.items()}
    return Layout(max(node.place + node.across / 2 for node in every), tops[-1] + high[-1], places, routes)


def _ports(chains: Mapping[Edge, list[Vertex]]) -> dict[Edge, float]:
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


def _bend(start: Point, end: Point) -> list[Point]:
    half = (start[1] + end[1]) / 2
    return [(start[0], half), (end[0], half), end]


def _straight(x: float, start: float, end: float) -> list[Point]:
    return [] if math.isclose(start, end, abs_tol=1e-6) else [(x, start), (x, end), (x, end)]


def _turn(layout: Layout) -> Layout:
    places = {id_: (y, x) for id_, (x, y) in layout.places.items()}
    routes = {pair: tuple((y, x) for x, y in route) for pair, route in layout.routes.items()}
    return Layout(layout.height, layout.width, places, routes)


def heading(route: Sequence[Point]) -> Point:
    """Return the direction in which a route arrives, as a vector of length 1."""
    end = route[-1]
    before = next((point for point in reversed(route) if point != end), end)
    far = math.dist(end, before) or 1.0
    return (end[0] - before[0]) / far, (end[1] - before[1]) / far


class Incremental:
    """A layout for a plan that still streams: each node gets a place when it arrives, and keeps it.

    It goes down; a node higher than a row takes several. `places` and `routes` grow as in a Layout, but places left of
    the first node are negative.
    """

    def __init__(self) -> None:
        self.places: dict[str, Point] = {}
        self.routes: dict[Edge, tuple[Point, ...]] = {}
        self.bounds = (0.0, 0.0, 0.0, 0.0)
        self._spans: dict[str, tuple[int, int, float]] = {}  # first row, row after the last, half of the depth
        self._taken: dict[int, list[tuple[float, float]]] = defaultdict(list)  # runs without room between, by row

    def keep(self, layout: Layout, sizes: Mapping[str, Size]) -> None:
        """Adopt nodes that were laid out in another way; new nodes are placed around them."""
        for node, place in layout.places.items():
            (x, y), (width, height) = place, sizes[node]
            first = math.floor((y - height / 2) / PITCH)
            last = max(math.ceil((y + height / 2) / PITCH), first + 1)
            for row in range(first, last):
                self._take(row, x - width / 2, x + width / 2)
            self._spans[node] = (first, last, height / 2)
            self.places[node] = place
        self.bounds = (0.0, 0.0, layout.width, layout.height)

    def add(self, node: str, parents: Iterable[str], size: Size) -> Point:
        """Place a node below those of its parents that are placed, near their middle; return its centre."""
        above = [parent for parent in dict.fromkeys(parents) if parent in self._spans]
        width, height = size
        row = max((self._spans[parent][1] for parent in above), default=0)
        # At least a fifth of a row below the box stays free, for the arrows that leave it.
        rows = range(row, row + max(math.ceil(height / PITCH + 0.2), 1))
        x = self._free(rows, self._wish(above, width, rows), width)
        for each in rows:
            self._take(each, x - width / 2, x + width / 2)
        top = row * PITCH
        self._spans[node] = (row, rows[-1] + 1, height / 2)
        self.places[node] = (x, top + height / 2)
        for parent in above:
            px, py = self.places[parent]
            start = (px, py + self._spans[parent][2])
            self.routes[parent, node] = (start, *_bend(start, (x, top)))
        left, upper, right, lower = self.bounds
        self.bounds = (min(left, x - width / 2), min(upper, top), max(right, x + width / 2), max(lower, top + height))
        return self.places[node]

    def _wish(self, above: Sequence[str], width: float, rows: Iterable[int]) -> float:
        if above:
            return sum(self.places[parent][0] for parent in above) / len(above)
        ends = [self._taken[row][-1][1] for row in rows if self._taken[row]]
        return max(ends) + GAP + width / 2 if ends else 0.0

    def _free(self, rows: Iterable[int], wish: float, width: float) -> float:
        """Return the place nearest to the wish at which the width is free in all of the rows."""
        half = width / 2 + GAP
        walls = sorted(run for row in rows for run in self._taken[row])
        best, left = float("inf"), float("-inf")
        for start, end in [*walls, (float("inf"), float("inf"))]:
            low, high = left + half, start - half
            if low <= high:
                spot = min(max(wish, low), high)
                best = spot if abs(spot - wish) < abs(best - wish) else best
            left = max(left, end)
        return best

    def _take(self, row: int, left: float, right: float) -> None:
        """Mark a width as taken, together with gaps too small for any box."""
        runs = self._taken[row]
        index = bisect_right(runs, (left, right))
        runs.insert(index, (left, right))
        for at in (index, index - 1):
            if 0 <= at < len(runs) - 1 and runs[at + 1][0] - runs[at][1] < 3 * GAP:
                runs[at : at + 2] = [(runs[at][0], runs[at + 1][1])]
