"""Ways of arrows past boxes that stand already."""

from __future__ import annotations

import math
from itertools import pairwise

from compiler_nb.drawing.rows import GAP
from compiler_nb.drawing.ways import APART, CLEAR, OpenRow, find_way


def row_of(top, *spans):
    """Return a row with boxes from and to these pixels, 46 high."""
    row = OpenRow(top)
    for left, right in spans:
        row.put((left + right) / 2, (right - left, 46.0))
    return row


def test_an_arrow_passes_through_the_nearest_gap():
    """Left of all, between two, or right of the last; straight where it may go on."""
    row = row_of(0, (100, 200), (226, 326))
    assert [OpenRow.passage(row, str(wish), wish) for wish in (40, 150, 310)] == [40, 92, 334]
    assert row.passage("again", 230) == 226 - CLEAR


def test_arrows_of_one_task_share_their_way_and_those_of_others_keep_apart():
    """As far as the gap has room."""
    row = row_of(0, (0, 100), (140, 240))
    first = row.passage("a", 120)
    assert row.passage("a", 500) == first == 120
    assert abs(row.passage("b", 120) - first) >= APART


def test_a_box_that_comes_later_stands_beyond_what_passes_its_row():
    """An arrow right of the last box has its room."""
    row = row_of(0, (0, 100))
    places = [row.passage(name, 900) for name in "abcd"]
    left = row.right + GAP
    assert min(places) >= 100 + CLEAR
    assert left >= max(places) + CLEAR


def test_a_way_leads_down_beside_all_boxes_between_its_ends():
    """It ends where it shall and never turns back."""
    rows = [row_of(top, (0, 200), (226, 426)) for top in (0, 96, 192, 288)]
    way = find_way(rows, 0, 3, (100, 46), (326, 288), "from a")
    assert (way[0], way[-1]) == ((100, 46), (326, 288))
    assert all(one[1] <= other[1] for one, other in pairwise(way))
    passed = {x for x, y in way if 96 <= y <= 238}
    assert all(x < 0 or 200 < x < 226 or x > 426 for x in passed)
    assert math.isfinite(max(passed))
