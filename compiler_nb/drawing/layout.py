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

from compiler_nb.drawing.rows import GAP, Edge, Point, Rows, Size, arrange, assign_rows, make_rows, order

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
    known = set(ids)
    pairs = [pair for pair in dict.fromkeys(edges) if pair[0] in known and pair[1] in known and pair[0] != pair[1]]
    if not ids:
        return Layout(0.0, 0.0, {}, {})
    turned = {id_: sizes[id_] if down else sizes[id_][::-1] for id_ in ids}
    rows = assign_rows(ids, pairs)
    pairs = [(one, other) for one, other in pairs if rows[one] < rows[other]]
    graph, chains = make_rows(ids, pairs, rows, turned)
    order(graph)
    arrange(graph)
    layout = _route(graph, ids, pairs, chains, turned, GAP_DOWN if down else GAP_RIGHT)
    return layout if down else _turn(layout)


def _route(  # noqa: PLR0917 - the parts of one layout
    graph: Rows,
    ids: Sequence[str],
    pairs: Sequence[Edge],
    chains: Mapping[Edge, list[int]],
    sizes: Mapping[str, Size],
    gap: float,
) -> Layout:
    left = min(place - across / 2 for place, across in zip(graph.place, graph.across, strict=True))
    places = [float(round(place - left)) for place in graph.place]
    high = [max((sizes[ids[item]][1] for item in row if item < graph.nodes), default=0.0) for row in graph.rows]
    tops = [0.0]
    for upper, height in zip(graph.rows[:-1], high, strict=False):
        wide = max((abs(places[item] - places[each]) for item in upper for each in graph.below[item]), default=0.0)
        tops.append(tops[-1] + height + round(min(max(gap, 0.18 * wide), 2.2 * gap)))
    middles = [top + height / 2 for top, height in zip(tops, high, strict=True)]
    ports = _ports(graph, pairs, chains, places)
    routes = {}
    for pair in pairs:
        chain = chains[pair]
        first, last = graph.row[chain[0]], graph.row[chain[-1]]
        x, y = places[chain[0]], middles[first] + sizes[pair[0]][1] / 2
        points = [(x, y)]
        points += _straight(x, y, tops[first] + high[first])
        for lane in chain[1:-1]:
            row = graph.row[lane]
            points += _bend(points[-1], (places[lane], tops[row]))
            points += _straight(places[lane], tops[row], tops[row] + high[row])
        points += _bend(points[-1], (ports[pair], tops[last]))
        points += _straight(ports[pair], tops[last], middles[last] - sizes[pair[1]][1] / 2)
        routes[pair] = tuple(points)
    where = {id_: (places[item], middles[graph.row[item]]) for item, id_ in enumerate(ids)}
    right = max(place + across / 2 for place, across in zip(places, graph.across, strict=True))
    return Layout(right, tops[-1] + high[-1], where, routes)


def _ports(
    graph: Rows, pairs: Sequence[Edge], chains: Mapping[Edge, list[int]], places: Sequence[float]
) -> dict[Edge, float]:
    """Return where each edge meets its target, so that several arrive side by side in the order of their sources."""
    arrivals: dict[int, list[Edge]] = defaultdict(list)
    for pair in pairs:
        arrivals[chains[pair][-1]].append(pair)
    ports: dict[Edge, float] = {}
    for target, each in arrivals.items():
        each.sort(key=lambda pair: places[chains[pair][-2]])
        step = min(PORT_GAPS[1], 0.5 * graph.across[target] / max(len(each) - 1, 1))
        step = 0.0 if step < PORT_GAPS[0] else step
        for index, pair in enumerate(each):
            port = places[target] + (index - (len(each) - 1) / 2) * step
            straight = places[chains[pair][-2]]
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
