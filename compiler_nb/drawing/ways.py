"""Ways for arrows past boxes that are placed already: through the gaps between the boxes of the rows on their way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from compiler_nb.drawing.rows import GAP, Point, Size

CLEAR: Final = 8.0
"""Least pixels between an arrow and a box that it passes."""
APART: Final = 5.0
"""Least pixels between arrows of different tasks in one gap, if the gap has room."""
LEFTMOST: Final = -10.0
"""How far left of all boxes an arrow may pass, within the margin of a picture."""
SHARED: Final = 40.0
"""A detour of this many pixels is worse than lying over another task's arrow."""


class OpenRow:
    """A row of boxes from left to right, its upper border at `top`; high: that of its highest box.

    right: how far it reaches: a box that comes later stands beyond that; used: pixels that its boxes take, with a gap
    after each.
    """

    def __init__(self, top: float) -> None:
        self.top, self.high = top, 0.0
        self.right = -GAP
        self.used = 0.0
        self._borders: list[tuple[float, float]] = []  # left and right border of each box
        self._passing: dict[str, float] = {}  # where arrows pass, by whose they are

    @property
    def bottom(self) -> float:
        """The lower border of its highest box."""
        return self.top + self.high

    def put(self, x: float, size: Size) -> None:
        """Note a box with its middle at x, right of those that are there."""
        width, high = size
        self._borders.append((x - width / 2, x + width / 2))
        self.high, self.right = max(self.high, high), max(self.right, x + width / 2)
        self.used += width + GAP

    def leave_room(self, x: float) -> None:
        """Note that something passes at x: boxes that come later stand beyond that, too."""
        self.right = max(self.right, x + CLEAR - GAP)

    def passage(self, name: str, wish: float) -> float:
        """Return where the arrows of a name pass: clear of boxes, and near the place that the first one asked for."""
        if name not in self._passing:
            x = min(self._free(wish), key=lambda each: abs(each - wish) + SHARED * self._is_taken(each))
            self._passing[name] = x
            if x > self._borders[-1][1]:
                self.leave_room(x)
        return self._passing[name]

    def _free(self, wish: float) -> list[float]:
        """Return where an arrow could pass in each gap, as near as can be to a wish and apart from other arrows."""
        end = self._borders[-1][1]
        gaps = [(LEFTMOST, self._borders[0][0]), *((one[1], other[0]) for one, other in pairwise(self._borders))]
        spans = [(low + (CLEAR if number else 0.0), high - CLEAR) for number, (low, high) in enumerate(gaps)]
        spans.append((end + CLEAR, end + GAP - CLEAR))  # where no box comes later
        found = []
        for low, high in spans:
            if low <= high:
                x = min(max(wish, low), high)
                near = (x + step * APART for way in range(8) for step in (way, -way))
                most = math.inf if low == end + CLEAR else high
                found.append(next((each for each in near if low <= each <= most and not self._is_taken(each)), x))
        return found

    def _is_taken(self, x: float) -> bool:
        return any(abs(each - x) < APART for each in self._passing.values())


def find_way(  # noqa: PLR0917 - what an arrow is made of
    rows: Sequence[OpenRow], first: int, last: int, start: Point, end: Point, name: str
) -> tuple[Point, ...]:
    """Return the route of an arrow from a box in one row to a box in a lower one, beside all boxes in between.

    start, end: where it leaves and meets its boxes; name: whose arrow it is; arrows of one name lie over each other.
    """
    points = [start, *straight(*start, rows[first].bottom)]
    for number in range(first + 1, last):
        row, x = rows[number], points[-1][0]
        passed = row.passage(name, x + (end[0] - x) / (last - number + 1))
        points += bend(points[-1], (passed, row.top))
        points += straight(*points[-1], row.bottom)
    return (*points, *bend(points[-1], end))


def bend(start: Point, end: Point) -> list[Point]:
    """Return two control points and the end of a curve that is vertical at both ends."""
    half = (start[1] + end[1]) / 2
    return [(start[0], half), (end[0], half), end]


def straight(x: float, start: float, end: float) -> list[Point]:
    """Return a straight way down as a curve, nothing if there is no way to go."""
    return [] if math.isclose(start, end, abs_tol=1e-6) else [(x, start), (x, end), (x, end)]
