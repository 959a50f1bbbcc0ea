"""Our own layered layout: boxes in rows, arrows that go down or right, pure and without recursion.

Theory of operation
    1. rows: a node stands one row below the lowest node that points to it;
    2. lanes: an edge over several rows gets a point in each row between, shared by all long edges of its source, so that
       arrows pass beside boxes; the lanes are limited, and edges beyond the limit are drawn straight;
    3. order: sweeps down and up sort each row by the mean place of its neighbours; the order with the fewest crossings
       is kept;
    4. places: sweeps move each row as near as can be to its neighbours' mean without changing order or overlapping
       (least squares with order, by pooling adjacent violators);
    5. routes: cubic curves, vertical at both ends, that cross only the space between rows.
    The work is bounded: a fixed number of sweeps, each linear (bar the sorting) in nodes, edges and lanes.
    To go right instead of down, the same is done with width and height exchanged.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GAP, LANE_GAP, ROW_GAP = 28.0, 14.0, 46.0
"""Space between boxes of a row, beside a lane, and between rows, in pixels."""
LANES = 4_000
"""Most points of long edges; what is longer then goes straight."""
PORT_GAP = 14.0

Size = tuple[float, float]
Point = tuple[float, float]
Edge = tuple[str, str]


class Layout(NamedTuple):
    """Where everything stands, in pixels from the top left corner.

    places: the centre of each node; routes: for each edge a start and then, for each cubic curve, two control points
    and its end.
    """

    width: float
    height: float
    places: Mapping[str, Point]
    routes: Mapping[Edge, tuple[Point, ...]]


@dataclass(slots=True)
class _Graph:
    """Nodes and lanes by number: row, extent across the row, neighbours above and below, and place."""

    rows: list[list[int]] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    across: list[float] = field(default_factory=list)
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)
    place: list[float] = field(default_factory=list)
    nodes: int = 0

    def add(self, row: int, across: float) -> int:
        number = len(self.row)
        self.row.append(row)
        self.across.append(across)
        self.above.append([])
        self.below.append([])
        self.place.append(0.0)
        self.rows[row].append(number)
        return number

    def link(self, upper: int, lower: int) -> None:
        if lower not in self.below[upper]:
            self.below[upper].append(lower)
            self.above[lower].append(upper)


def lay_out(
    nodes: Iterable[str], edges: Iterable[Edge], sizes: Mapping[str, Size], *, down: bool = True
) -> Layout:
    """Return places for the nodes and routes for the edges; edges to unknown nodes, and back, are left out.

    sizes: width and height of each node in pixels; down: rows from top to bottom, else from left to right.
    """
    ids = list(dict.fromkeys(nodes))
    known = set(ids)
    pairs = [pair for pair in dict.fromkeys(edges) if pair[0] in known and pair[1] in known and pair[0] != pair[1]]
    if not ids:
        return Layout(0.0, 0.0, {}, {})
    turned = {id_: sizes[id_] if down else sizes[id_][::-1] for id_ in ids}
    rows = _assign_rows(ids, pairs)
    pairs = [(one, other) for one, other in pairs if rows[one] < rows[other]]
    graph, chains = _make_graph(ids, pairs, rows, turned)
    _order(graph)
    _arrange(graph)
    layout = _route(graph, ids, pairs, chains, turned)
    return layout if down else _turn(layout)


def _assign_rows(ids: Sequence[str], pairs: Sequence[Edge]) -> dict[str, int]:
    """Return each node's row; of nodes that circle, those first in the text stand first."""
    below: dict[str, list[str]] = {id_: [] for id_ in ids}
    missing = dict.fromkeys(ids, 0)
    for one, other in pairs:
        below[one].append(other)
        missing[other] += 1
    rows = dict.fromkeys(ids, 0)
    done: set[str] = set()
    for first in (*(id_ for id_ in ids if not missing[id_]), *ids):
        stack = [] if first in done else [first]
        while stack:
            id_ = stack.pop()
            done.add(id_)
            for child in below[id_]:
                missing[child] -= 1
                if child not in done:
                    rows[child] = max(rows[child], rows[id_] + 1)
                    if not missing[child]:
                        stack.append(child)
    return rows


def _make_graph(
    ids: Sequence[str], pairs: Sequence[Edge], rows: Mapping[str, int], sizes: Mapping[str, Size]
) -> tuple[_Graph, dict[Edge, list[int]]]:
    """Return the graph with lanes, and for each edge the numbers that it passes."""
    graph = _Graph(rows=[[] for _ in range(1 + max(rows.values()))], nodes=len(ids))
    number = {id_: graph.add(rows[id_], sizes[id_][0]) for id_ in ids}
    lanes: dict[str, list[int]] = defaultdict(list)
    chains: dict[Edge, list[int]] = {}
    left = LANES
    for one, other in sorted(pairs, key=lambda pair: rows[pair[1]] - rows[pair[0]]):
        span = rows[other] - rows[one]
        lane = lanes[one]
        wanted = span - 1 - len(lane)
        if wanted > left:
            chains[one, other] = [number[one], number[other]]
            continue
        for _ in range(wanted):
            point = graph.add(rows[one] + 1 + len(lane), 0.0)
            graph.link(lane[-1] if lane else number[one], point)
            lane.append(point)
        left -= max(wanted, 0)
        chains[one, other] = [number[one], *lane[: span - 1], number[other]]
        graph.link(chains[one, other][-2], number[other])
    return graph, chains


def _order(graph: _Graph) -> None:
    """Sort the rows so that few edges cross."""
    spot = [0.0] * len(graph.row)

    def number(row: list[int]) -> None:
        for index, item in enumerate(row):
            spot[item] = index

    def wish(item: int, beside: list[list[int]]) -> float:
        near = beside[item]
        return sum([spot[each] for each in near]) / len(near) if near else spot[item]

    for row in graph.rows:
        number(row)
    best, fewest = [list(row) for row in graph.rows], _crossings(graph, spot)
    for sweep in range(2 if len(graph.row) > 2_000 else 8):  # noqa: PLR2004
        if not fewest:
            break
        beside = graph.below if sweep % 2 else graph.above
        for row in reversed(graph.rows) if sweep % 2 else graph.rows:
            row.sort(key=lambda item: wish(item, beside))  # noqa: B023 - called at once
            number(row)
        count = _crossings(graph, spot)
        if count < fewest:
            best, fewest = [list(row) for row in graph.rows], count
    graph.rows = best


def _crossings(graph: _Graph, spot: Sequence[float]) -> int:
    """Count crossings between neighbouring rows, by insertion into a tree of sums."""
    total = 0
    for upper, lower in zip(graph.rows, graph.rows[1:], strict=False):
        ends = [int(end) for item in upper for end in sorted([spot[each] for each in graph.below[item]])]
        tree = [0] * (len(lower) + 1)
        for seen, end in enumerate(ends):
            before, index = 0, end + 1
            while index:
                before += tree[index]
                index &= index - 1
            total += seen - before
            index = end + 1
            while index <= len(lower):
                tree[index] += 1
                index += index & -index
    return total


def _arrange(graph: _Graph) -> None:
    """Place each node across its row: in order, apart, and as near to its neighbours as can be."""
    offsets = []
    for row in graph.rows:
        offset = [0.0]
        for one, other in zip(row, row[1:], strict=False):
            offset.append(offset[-1] + _apart(graph, one, other))
        offsets.append(offset)
        for item, at in zip(row, offset, strict=True):
            graph.place[item] = at - offset[-1] / 2
    sweeps = 6 if len(graph.row) > 2_000 else 20  # noqa: PLR2004
    for sweep in range(sweeps):
        last = sweep >= sweeps - 2
        for row, offset in list(zip(graph.rows, offsets, strict=True))[:: -1 if sweep % 2 else 1]:
            near = [_neighbours(graph, item, sweep, both=last) for item in row]
            wishes = [
                sum([graph.place[each] for each in each_near]) / len(each_near) if each_near else graph.place[item]
                for item, each_near in zip(row, near, strict=True)
            ]
            weights = [
                0.1 if not each_near else 4.0 if item >= graph.nodes else 1.0
                for item, each_near in zip(row, near, strict=True)
            ]
            for item, at in zip(row, _nearest(wishes, weights, offset), strict=True):
                graph.place[item] = at


def _neighbours(graph: _Graph, item: int, sweep: int, *, both: bool) -> list[int]:
    if both:
        return graph.above[item] + graph.below[item]
    return graph.below[item] if sweep % 2 else graph.above[item]


def _apart(graph: _Graph, one: int, other: int) -> float:
    gap = GAP if one < graph.nodes and other < graph.nodes else LANE_GAP
    return (graph.across[one] + graph.across[other]) / 2 + gap


def _nearest(wishes: Sequence[float], weights: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """Return the places nearest to the wishes that keep the order, each at least its offset apart from the first."""
    pools: list[list[float]] = []  # each: weighted sum, weight, members
    for wish, weight, offset in zip(wishes, weights, offsets, strict=True):
        pools.append([(wish - offset) * weight, weight, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] > pools[-1][0] * pools[-2][1]:
            total, heavy, members = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += heavy
            pools[-1][2] += members
    shifts = [total / heavy for total, heavy, members in pools for _ in range(int(members))]
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]


def _route(
    graph: _Graph,
    ids: Sequence[str],
    pairs: Sequence[Edge],
    chains: Mapping[Edge, list[int]],
    sizes: Mapping[str, Size],
) -> Layout:
    left = min(place - across / 2 for place, across in zip(graph.place, graph.across, strict=True))
    places = [place - left for place in graph.place]
    high = [max((sizes[ids[item]][1] for item in row if item < graph.nodes), default=0.0) for row in graph.rows]
    tops = [0.0]
    for upper, height in zip(graph.rows[:-1], high, strict=False):
        wide = max((abs(places[item] - places[each]) for item in upper for each in graph.below[item]), default=0.0)
        tops.append(tops[-1] + height + min(max(ROW_GAP, 0.16 * wide), 2.4 * ROW_GAP))
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
    graph: _Graph, pairs: Sequence[Edge], chains: Mapping[Edge, list[int]], places: Sequence[float]
) -> dict[Edge, float]:
    """Return where each edge meets its target, so that several arrive side by side in the order they come from."""
    arrivals: dict[int, list[Edge]] = defaultdict(list)
    for pair in pairs:
        arrivals[chains[pair][-1]].append(pair)
    ports: dict[Edge, float] = {}
    for target, each in arrivals.items():
        each.sort(key=lambda pair: places[chains[pair][-2]])
        step = min(PORT_GAP, 0.5 * graph.across[target] / max(len(each) - 1, 1))
        for index, pair in enumerate(each):
            ports[pair] = places[target] + (index - (len(each) - 1) / 2) * step
    return ports


def _bend(start: Point, end: Point) -> list[Point]:
    half = (start[1] + end[1]) / 2
    return [(start[0], half), (end[0], half), end]


def _straight(x: float, start: float, end: float) -> list[Point]:
    return [(x, start), (x, end), (x, end)] if end - start > 0.5 else []  # noqa: PLR2004 - half a pixel


def _turn(layout: Layout) -> Layout:
    places = {id_: (y, x) for id_, (x, y) in layout.places.items()}
    routes = {pair: tuple((y, x) for x, y in route) for pair, route in layout.routes.items()}
    return Layout(layout.height, layout.width, places, routes)


class Incremental:
    """A layout for a plan that still streams: each node gets its place when it comes, and keeps it.

    down: as in `lay_out`; pitch: pixels from one row to the next; a node higher than a row takes several.
    `places` and `routes` grow as in a Layout, but places left of and above the first node are negative.
    """

    def __init__(self, *, down: bool = True, pitch: float = 110.0) -> None:
        self.down, self.pitch = down, pitch
        self.places: dict[str, Point] = {}
        self.routes: dict[Edge, tuple[Point, ...]] = {}
        self.bounds = (0.0, 0.0, 0.0, 0.0)
        self._spans: dict[str, tuple[int, int, float]] = {}  # first row, row after the last, half of the depth
        self._taken: dict[int, list[tuple[float, float]]] = defaultdict(list)  # runs without room between, by row

    def add(self, node: str, parents: Iterable[str], size: Size) -> Point:
        """Place a node below those of its parents that are placed, near their middle; return its centre."""
        above = [parent for parent in dict.fromkeys(parents) if parent in self._spans]
        across, depth = size if self.down else size[::-1]
        row = max((self._spans[parent][1] for parent in above), default=0)
        rows = range(row, row + 1 + int(max(depth - 0.75 * self.pitch, 0.0) // self.pitch))
        wish = self._wish(above, across, rows)
        x = self._free(rows, wish, across)
        for each in rows:
            self._take(each, x - across / 2, x + across / 2)
        y = row * self.pitch + depth / 2
        self._spans[node] = (row, rows[-1] + 1, depth / 2)
        self.places[node] = (x, y) if self.down else (y, x)
        for parent in above:
            self.routes[parent, node] = self._link(parent, node)
        self._grow(node, size)
        return self.places[node]

    def _wish(self, above: Sequence[str], across: float, rows: Iterable[int]) -> float:
        if above:
            return sum(self.places[parent][0 if self.down else 1] for parent in above) / len(above)
        ends = [self._taken[row][-1][1] for row in rows if self._taken[row]]
        return max(ends) + GAP + across / 2 if ends else 0.0

    def _free(self, rows: Iterable[int], wish: float, across: float) -> float:
        """Return the place nearest to the wish where a width is free in all of the rows."""
        half = across / 2 + GAP
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

    def _link(self, parent: str, node: str) -> tuple[Point, ...]:
        (x0, y0), (x1, y1) = (self.places[id_] if self.down else self.places[id_][::-1] for id_ in (parent, node))
        start = (x0, y0 + self._spans[parent][2])
        points = (start, *_bend(start, (x1, y1 - self._spans[node][2])))
        return points if self.down else tuple((y, x) for x, y in points)

    def _grow(self, node: str, size: Size) -> None:
        (x, y), (width, height), (left, top, right, bottom) = self.places[node], size, self.bounds
        self.bounds = (
            min(left, x - width / 2), min(top, y - height / 2), max(right, x + width / 2), max(bottom, y + height / 2),
        )  # fmt: skip
