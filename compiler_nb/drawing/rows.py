"""The rows of a layered layout: which node in which row, in which order, and at which place; see `layout`."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise, starmap
from typing import TypeAlias

Size = tuple[float, float]
Point = tuple[float, float]
Edge = tuple[str, str]

GAP, LANE_GAP = 26.0, 14.0
"""Space between boxes of a row, and beside a lane, in pixels."""
LANES = 4_000
"""Most points of long edges; edges beyond that go straight."""
BUS = 4
"""From this many long edges to one node, they share a lane; otherwise long edges from one node do."""
SWEEPS = 10
"""How often lanes are sorted again."""
LARGE = 2_000
"""Nodes and lanes above which fewer sweeps are made."""


@dataclass(slots=True, eq=False)
class Vertex:
    """A box, or a point of a long edge (a lane), which takes no room.

    row, place: where it stands: in which row, and its middle in pixels; across, depth: its extent along its row, and to
    the next rows; above, below: neighbours.
    """

    row: int
    across: float = 0.0
    depth: float = 0.0
    lane: bool = False
    above: list[Vertex] = field(default_factory=list)
    below: list[Vertex] = field(default_factory=list)
    place: float = 0.0


Rows: TypeAlias = list[list[Vertex]]


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


def make_rows(nodes: Mapping[str, Vertex], pairs: Sequence[Edge]) -> tuple[Rows, dict[Edge, list[Vertex]]]:
    """Return the rows with their nodes and lanes, and for each edge, in the given order, the nodes on its way."""
    rows = {id_: node.row for id_, node in nodes.items()}
    graph = _by_row(nodes.values())
    long = Counter(other for one, other in pairs if rows[other] - rows[one] > 1)
    lanes: dict[tuple[str, int], Vertex] = {}
    chains: dict[Edge, list[Vertex]] = {}
    # Short edges first: if lanes run out, only the longest edges go straight, behind the boxes in between.
    for one, other in sorted(pairs, key=lambda pair: rows[pair[1]] - rows[pair[0]]):
        shared = f"to {other}" if long[other] >= BUS else f"from {one}"
        between = [(shared, row) for row in range(rows[one] + 1, rows[other])]
        new = [each for each in between if each not in lanes]
        if len(lanes) + len(new) > LANES:
            chains[one, other] = [nodes[one], nodes[other]]
            continue
        for each in new:
            lanes[each] = Vertex(each[1], lane=True)
            graph[each[1]].append(lanes[each])
        chain = chains[one, other] = [nodes[one], *(lanes[each] for each in between), nodes[other]]
        for upper, lower in pairwise(chain):
            if lower not in upper.below:  # lanes are shared
                upper.below.append(lower)
                lower.above.append(upper)
    return graph, {pair: chains[pair] for pair in pairs}


def settle(nodes: Mapping[str, Vertex], pairs: Sequence[Edge]) -> tuple[Rows, dict[Edge, list[Vertex]]]:
    """Place nodes across their rows in the order in which they are given; return as `make_rows` does.

    The boxes are placed first, as if long edges took no room. Then each lane enters its row where a straight line
    between its edges' ends would cross it, and boxes and lanes give each other room.
    """
    bare = {id_: Vertex(node.row, node.across) for id_, node in nodes.items()}
    for one, other in pairs:
        bare[one].below.append(bare[other])
        bare[other].above.append(bare[one])
    arrange(_by_row(bare.values()))
    for id_, node in nodes.items():
        node.place = bare[id_].place
    graph, chains = make_rows(nodes, pairs)
    crossed: dict[Vertex, list[float]] = {}
    for first, *lanes, last in chains.values():
        for lane in lanes:
            share = (lane.row - first.row) / (last.row - first.row)
            crossed.setdefault(lane, []).append(first.place + share * (last.place - first.place))
    for lane, places in crossed.items():
        lane.place = sum(places) / len(places)
    _order(graph)
    arrange(graph)
    return graph, chains


def _order(graph: Rows) -> None:
    """Sort lanes between the boxes of their rows, which keep their order, so that few edges cross."""
    # Sweeps may make a good order worse again, so the best one is kept.
    best: Rows = []
    fewest = math.inf
    for sweep in range(3 if sum(map(len, graph)) > LARGE else SWEEPS):
        for row in graph:
            row.sort(key=lambda node: node.place)
        count = _crossings(graph)
        if count < fewest:
            best, fewest = [list(row) for row in graph], count
        if not count:
            break
        for row in reversed(graph) if sweep % 2 else graph:
            for lane in [node for node in row if node.lane]:
                near = lane.below if sweep % 2 else lane.above
                lane.place = sum([each.place for each in near]) / len(near)
    graph[:] = best


def _crossings(graph: Rows) -> int:
    """Count crossings between neighbouring rows: pairs of edges whose ends are in another order than their starts."""
    spots = {node: spot for row in graph for spot, node in enumerate(row)}
    total = 0
    for row in graph:
        ends: list[int] = []
        for end in [end for node in row for end in sorted([spots[each] for each in node.below])]:
            at = bisect_right(ends, end)
            total += len(ends) - at
            ends.insert(at, end)
    return total


def _by_row(nodes: Iterable[Vertex]) -> Rows:
    graph: Rows = []
    for node in nodes:
        graph.extend([] for _ in range(node.row + 1 - len(graph)))
        graph[node.row].append(node)
    return graph


def arrange(graph: Rows) -> None:
    """Place each node across its row: in order, apart, and as near to its neighbours as possible."""
    offsets = [list(accumulate(starmap(_apart, pairwise(row)), initial=0.0)) for row in graph]
    for row, offset in zip(graph, offsets, strict=True):
        for node, at in zip(row, offset, strict=True):
            node.place = at - offset[-1] / 2
    pulls = {
        node: [_pulls(node, near) for near in (node.above, node.below, node.above + node.below)]
        for row in graph
        for node in row
    }
    firm = {node: _firmness(node) for node in pulls}
    sweeps = 6 if len(pulls) > LARGE else 16
    for sweep in range(sweeps):
        # First each row follows one side, so that long chains straighten; then both sides settle what is left.
        side = 2 if sweep >= sweeps // 2 else sweep % 2
        for row, offset in list(zip(graph, offsets, strict=True))[:: -1 if sweep % 2 else 1]:
            wishes = [_wish(node, pulls[node][side]) for node in row]
            weights = [firm[node] if pulls[node][side] else 0.1 for node in row]
            for node, at in zip(row, _nearest(wishes, weights, offset), strict=True):
                node.place = at


def _pulls(node: Vertex, near: Sequence[Vertex]) -> list[tuple[Vertex, float]]:
    """Return the neighbours with their weights: boxes line up with boxes, and lanes with lanes."""
    weights = [1.0 if each.lane == node.lane else 0.1 for each in near]
    return [(each, weight / sum(weights)) for each, weight in zip(near, weights, strict=True)]


def _wish(node: Vertex, pulls: Sequence[tuple[Vertex, float]]) -> float:
    return sum([each.place * share for each, share in pulls]) if pulls else node.place


def _firmness(node: Vertex) -> float:
    """Return how firmly a node keeps its place: the middle of a lane does, its ends give way to boxes."""
    if not node.lane:
        return 1.0
    return 4.0 if all(each.lane for each in node.above + node.below) else 0.2


def _apart(one: Vertex, other: Vertex) -> float:
    return (one.across + other.across) / 2 + (LANE_GAP if one.lane or other.lane else GAP)


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
