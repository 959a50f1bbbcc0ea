"""Blocks: whole rows of tasks that read the same tasks and are read by the same tasks, as one box with few arrows.

The boxes of a block keep their rows, so that none moves up or down when a plan is closed: only then is it known which
tasks read which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from compiler_nb.drawing.boxes import BLOCK_PAD, Box
from compiler_nb.drawing.layout import GAP_CLOSE, PAGE, levels_of
from compiler_nb.drawing.rows import GAP, Edge


def gather(
    boxes: Mapping[str, Box], edges: Sequence[Edge], bands: Mapping[str, int], least: int
) -> tuple[dict[str, Box], dict[str, str]]:
    """Put whole rows of tasks that have the same neighbours into blocks; return which box shows each of the boxes, too.

    bands: of those boxes that may be gathered.
    """
    above, below = defaultdict(set), defaultdict(set)
    for one, other in edges:
        above[other].add(one)
        below[one].add(other)
    sizes = {key: (box.width, box.height) for key, box in boxes.items()}

    def alike(row: tuple[str, ...]) -> object:
        """Return what the tasks of a row have in common, or the row itself if that is not all."""
        about = [(above[key], below[key]) for key in row if boxes[key].kind in ("call", "expr")]
        return about[0] if len(about) == len(row) and all(each == about[0] for each in about) else row

    blocks: dict[str, Box] = {}
    for band in sorted(set(bands.values())):
        here = [key for key, number in bands.items() if number == band]
        pairs = [(one, other) for one, other in edges if bands.get(one) == bands.get(other) == band]
        for level in levels_of(here, pairs, sizes):
            for _, group in groupby(level, alike):
                rows = [[boxes[key] for key in row] for row in group]
                if len(rows) >= least:
                    blocks[rows[0][0].key] = _block(rows)
    owner = {key: key for key in boxes} | {box.key: each.key for each in blocks.values() for box, _, _ in each.inner}
    kept = {key: blocks.get(key, box) for key, box in boxes.items() if owner[key] == key or key in blocks}
    return {box.key: box for box in kept.values()}, owner


def _block(rows: Sequence[Sequence[Box]]) -> Box:
    """Return a block with boxes in rows; in columns, too, if there is room for boxes of one width."""
    widest = max(box.width for row in rows for box in row)
    even = max(map(len, rows)) * (widest + GAP) - GAP <= PAGE
    inner, top, right = [], 0.0, 0.0
    for row in rows:
        high, left = max(box.height for box in row), 0.0
        for box in row:
            width = widest if even else box.width
            inner.append((replace(box, width=width), BLOCK_PAD + left + width / 2, top + box.height / 2))
            left += width + GAP
        top, right = top + high + GAP_CLOSE, max(right, left - GAP)
    key = f"\0block {rows[0][0].key}"
    return Box(key, "block", inner=tuple(inner), width=right + 2 * BLOCK_PAD, height=top - GAP_CLOSE)
