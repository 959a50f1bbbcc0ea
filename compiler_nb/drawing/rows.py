"""The rows of a layered layout: which node in which row, in which order, and at which place; see `layout`."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Size = tuple[float, float]
Point = tuple[float, float]
Edge = tuple[str, str]

GAP, LANE_GAP = 26.0, 14.0
"""Space between boxes of a row, and beside a lane, in pixels."""
LANES = 4_000
"""Most points of long edges; edges beyond that go straight."""
BUS = 4
"""From this many long edges to one node, they share a lane; otherwise long edges from one node do."""
LARGE = 2_000
"""Nodes and lanes above which fewer sweeps are made."""


@dataclass(slots=True)
class Rows:
    """Nodes and lanes by number: row, extent across the row, neighbours above and below, and place."""

    rows: list[list[int]] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    across: list[float] = field(default_factory=list)
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)
    place: list[float] = field(default_factory=list)
    nodes: int = 0

    def add(self, row: int, across: float) -> int:
        """Add a node or lane at the end of a row; return its number."""
        number = len(self.row)
        self.row.append(row)
        self.across.append(across)
        self.above.append([])
        self.below.append([])
        self.place.append(0.0)
        self.rows[row].append(number)
        return number

    def link(self, upper: int, lower: int) -> None:
        """Make two nodes of adjacent rows neighbours, once."""
        if lower not in self.below[upper]:
            self.below[upper].append(lower)
            self.above[lower].append(upper)


def assign_rows(ids: Sequence[str], pairs: Sequence[Edge]) -> dict[str, int]:
    """Return each node's row; in a cycle, nodes that come first in the text are placed first."""
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


def make_rows(
    ids: Sequence[str], pairs: Sequence[Edge], rows: Mapping[str, int], sizes: Mapping[str, Size]
) -> tuple[Rows, dict[Edge, list[int]]]:
    """Return the graph with lanes, and for each edge the numbers of the nodes and lanes on its way."""
    graph = Rows(rows=[[] for _ in range(1 + max(rows.values()))], nodes=len(ids))
    number = {id_: graph.add(rows[id_], sizes[id_][0]) for id_ in ids}
    long = Counter(other for one, other in pairs if rows[other] - rows[one] > 1)
    lanes: dict[tuple[str, int], int] = {}
    chains: dict[Edge, list[int]] = {}
    # Short edges first: if lanes run out, only the longest edges go straight, behind the boxes in between.
    for one, other in sorted(pairs, key=lambda pair: rows[pair[1]] - rows[pair[0]]):
        shared = f"to {other}" if long[other] >= BUS else f"from {one}"
        between = [(shared, row) for row in range(rows[one] + 1, rows[other])]
        new = [each for each in between if each not in lanes]
        if len(lanes) + len(new) > LANES:
            chains[one, other] = [number[one], number[other]]
            continue
        lanes |= {each: graph.add(each[1], 0.0) for each in new}
        chain = chains[one, other] = [number[one], *(lanes[each] for each in between), number[other]]
        for upper, lower in pairwise(chain):
            graph.link(upper, lower)
    return graph, chains


def order(graph: Rows) -> None:
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
    # Sweeps may make a good order worse again, so the best one is kept.
    best, fewest = [list(row) for row in graph.rows], _crossings(graph, spot)
    for sweep in range(2 if len(graph.row) > LARGE else 8):
        if not fewest:
            break
        beside = graph.below if sweep % 2 else graph.above
        for row in reversed(graph.rows) if sweep % 2 else graph.rows:
            row.sort(key=lambda item: wish(item, beside))
            number(row)
        count = _crossings(graph, spot)
        if count < fewest:
            best, fewest = [list(row) for row in graph.rows], count
    graph.rows = best


def _crossings(graph: Rows, spot: Sequence[float]) -> int:
    """Count crossings between neighbouring rows: pairs of edges whose ends are in another order than their starts."""
    total = 0
    for row in graph.rows:
        ends: list[float] = []
        for end in [end for item in row for end in sorted([spot[each] for each in graph.below[item]])]:
            at = bisect_right(ends, end)
            total += len(ends) - at
            ends.insert(at, end)
    return total


def arrange(graph: Rows) -> None:
    """Place each node across its row: in order, apart, and as near to its neighbours as possible."""
    offsets = []
    for row in graph.rows:
        offset = [0.0]
        for one, other in pairwise(row):
            offset.append(offset[-1] + _apart(graph, one, other))
        offsets.append(offset)
        for item, at in zip(row, offset, strict=True):
            graph.place[item] = at - offset[-1] / 2
    both = [one + other for one, other in zip(graph.above, graph.below, strict=True)]
    pulls = [
        [_pulls(graph, item, near) for item, near in enumerate(beside)] for beside in (graph.above, graph.below, both)
    ]
    firm = [_firmness(graph, item, near) for item, near in enumerate(both)]
    sweeps = 6 if len(graph.row) > LARGE else 16
    for sweep in range(sweeps):
        # First each row follows one side, so that long chains straighten; then both sides settle what is left.
        chosen = pulls[2 if sweep >= sweeps // 2 else sweep % 2]
        for row, offset in list(zip(graph.rows, offsets, strict=True))[:: -1 if sweep % 2 else 1]:
            wishes = [_wish(graph.place, item, chosen[item]) for item in row]
            weights = [firm[item] if chosen[item] else 0.1 for item in row]
            for item, at in zip(row, _nearest(wishes, weights, offset), strict=True):
                graph.place[item] = at


def _pulls(graph: Rows, item: int, near: Sequence[int]) -> list[tuple[int, float]]:
    """Return the neighbours with their weights: boxes line up with boxes, and lanes with lanes."""
    weights = [1.0 if (each < graph.nodes) == (item < graph.nodes) else 0.1 for each in near]
    return [(each, weight / sum(weights)) for each, weight in zip(near, weights, strict=True)]


def _wish(places: Sequence[float], item: int, pulls: Sequence[tuple[int, float]]) -> float:
    return sum([places[each] * share for each, share in pulls]) if pulls else places[item]


def _firmness(graph: Rows, item: int, near: Sequence[int]) -> float:
    """Return how firmly an item keeps its place: the middle of a lane firmly, its ends give way to boxes."""
    if item < graph.nodes:
        return 1.0
    return 0.2 if any(each < graph.nodes for each in near) else 4.0


def _apart(graph: Rows, one: int, other: int) -> float:
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
