"""The layout of a plan that still streams: boxes that are placed never move, and arrows find ways between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from compiler_nb.drawing.layout import (
    BAND_GAP,
    BAND_PAD,
    GAP_CLOSE,
    GAP_DOWN,
    PAGE,
    Layout,
    below_head,
    known_edges,
    levels_of,
)
from compiler_nb.drawing.rows import BUS, GAP, Edge, Point, Size
from compiler_nb.drawing.ways import OpenRow, find_way

MOST_PASSED: Final = 20_000
"""Most rows that the arrows of a picture pass; arrows beyond that lead straight, behind the boxes in between."""


class Incremental:
    """A layout for a plan that still streams: each node gets a place when it arrives, and keeps it.

    It has the rows and heights of `make_skeleton`, so when the plan is whole boxes move sideways at most. `places` and
    `routes` grow as in a Layout; bands: the band of each node.
    """

    def __init__(self) -> None:
        self.places: dict[str, Point] = {}
        self.routes: dict[Edge, tuple[Point, ...]] = {}
        self.bands: dict[str, int] = {}
        self.width = self.height = 0.0
        self._bottoms: dict[str, float] = {}
        self._rows: list[OpenRow] = []  # of all bands, from the top
        self._row_of: dict[str, int] = {}
        self._ends: list[int] = []  # the last row of each level in the band that grows,
        self._level_of: dict[str, int] = {}  # and the levels of its nodes
        self._above = 0  # levels of earlier bands
        self._top = 0.0
        self._passed = 0

    @property
    def levels(self) -> int:
        """How many levels there are, in all bands."""
        return self._above + len(self._ends)

    def keep(self, layout: Layout, nodes: Mapping[str, int], edges: Iterable[Edge], sizes: Mapping[str, Size]) -> None:
        """Adopt nodes that were laid out whole; the last of their bands may go on. Arguments as for `make_skeleton`."""
        self.places |= layout.places
        self.bands |= nodes
        self.width, self.height = layout.width, layout.height
        self._bottoms |= {id_: y + sizes[id_][1] / 2 for id_, (_, y) in layout.places.items()}
        pairs = known_edges(nodes, edges)
        for band in sorted(set(nodes.values())):
            self._close_band()
            here = [id_ for id_, number in nodes.items() if number == band]
            inner = [pair for pair in pairs if nodes[pair[0]] == nodes[pair[1]] == band]
            for number, level in enumerate(levels_of(here, inner, sizes)):
                self._level_of |= {id_: number for row in level for id_ in row}
                for row in level:
                    self._begin_row(number, layout.places[row[0]][1] - sizes[row[0]][1] / 2)
                    for id_ in row:
                        self._put(id_, number, layout.places[id_][0], sizes[id_])
        for end in self._ends:
            self._leave_room(self._rows[end], layout.routes.values())

    @staticmethod
    def _leave_room(row: OpenRow, routes: Iterable[Sequence[Point]]) -> None:
        """Note what passes a row that may go on."""
        for route in routes:
            for at in range(0, len(route) - 1, 3):
                if route[at][1] < row.bottom and route[at + 3][1] > row.top:
                    row.leave_room(max(x for x, _ in route[at : at + 4]))

    def begin_band(self, lines: int) -> float:
        """Begin a band below all that is there, with so many lines in its head; return its top."""
        top = self.height + BAND_PAD + BAND_GAP
        self._top = top + below_head(lines)
        self._close_band()
        return top

    def _close_band(self) -> None:
        self._above = self.levels
        self._ends.clear()
        self._level_of.clear()

    def add(self, node: str, parents: Iterable[str], size: Size, band: int = 0) -> Point | None:
        """Place a node a level below those of its parents that are placed in this band; return its centre.

        band: that which was begun last. Return None if it has no place unless lower levels move: then everything has to
        be laid out again.
        """
        above = [parent for parent in dict.fromkeys(parents) if parent in self.places]
        level = 1 + max((self._level_of[parent] for parent in above if parent in self._level_of), default=-1)
        while len(self._ends) <= level:
            self._begin_row(len(self._ends), self._rows[self._ends[-1]].bottom + GAP_DOWN if self._ends else self._top)
        row = self._rows[self._ends[level]]
        fits = not row.used or row.used + size[0] <= PAGE
        if level + 1 < len(self._ends) and not (fits and size[1] <= row.high):
            return None
        if not fits:
            row = self._begin_row(level, row.bottom + GAP_CLOSE)
        wish = sum(self.places[parent][0] for parent in above) / len(above) if above else 0.0
        x = max(wish, row.right + GAP + size[0] / 2)
        self._put(node, level, x, size)
        self._level_of[node], self._bottoms[node], self.bands[node] = level, row.top + size[1], band
        self.places[node] = (x, row.top + size[1] / 2)
        self._draw_arrows(node, above)
        self.width = max(self.width, x + size[0] / 2)
        self.height = max(self.height, row.top + size[1])
        return self.places[node]

    def _begin_row(self, level: int, top: float) -> OpenRow:
        """Begin a row below all others: the first of the next level, or a further one of the last."""
        self._ends[level:] = [len(self._rows)]
        self._rows.append(OpenRow(top))
        return self._rows[-1]

    def _put(self, node: str, level: int, x: float, size: Size) -> None:
        self._row_of[node] = self._ends[level]
        self._rows[self._ends[level]].put(x, size)

    def _draw_arrows(self, node: str, above: Iterable[str]) -> None:
        """Add the arrows to a node; those that pass several rows share their ways as in the whole layout."""
        last = self._row_of[node]
        end = (self.places[node][0], self._rows[last].top)
        passed = {parent: last - self._row_of[parent] - 1 for parent in above}
        shared = sum(count > 0 for count in passed.values()) >= BUS
        for parent, count in sorted(passed.items(), key=lambda each: each[1]):
            self._passed += count
            first = self._row_of[parent] if self._passed <= MOST_PASSED else last - 1
            start = (self.places[parent][0], self._bottoms[parent])
            way = find_way(self._rows, first, last, start, end, f"to {node}" if shared else f"from {parent}")
            self.routes[parent, node] = way
            self.width = max(self.width, *(x for x, _ in way))
