"""What a picture of a plan shows: boxes with their words and sizes, and the edges between them.

Up to FULL tasks each has a box of its own; above, those of one level and tool share one. Tasks that read the same and
are read by the same stand together in a block, so that a wide plan needs few arrows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from compiler_nb.drawing.boxes import (
    BLOCK_GAP,
    BLOCK_PAD,
    CALL,
    END,
    MORE,
    SHORT_CALL,
    Box,
    Inside,
    group_box,
    sized,
    task_box,
)
from compiler_nb.drawing.layout import GAP_RIGHT
from compiler_nb.drawing.rows import GAP, assign_rows
from compiler_nb.plan.shape import levels
from compiler_nb.plan.task import Return, owner_of
from compiler_nb.plan.tree import references

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from compiler_nb.plan.task import LastLine, Task

FULL: Final = 200
"""Most tasks that are drawn one by one."""
FEW, WIDE = 60, 2_400.0
"""More than FEW tasks in a picture wider or higher than WIDE pixels would be too small to read: they are collapsed."""
CLIP: Final = 100
"""Most boxes of a collapsed picture; the tasks of later levels are counted in one."""
BLOCK: Final = 9
"""Fewest tasks alike that make a block."""
CELLS: Final = 600
"""Most items and collapsed tasks that get a cell each; with more, boxes show the states' shares instead."""
PAGE: Final = 960.0
"""Width in pixels up to which a picture goes down rather than to the right."""
MANY: Final = 24
"""Tasks from which on calls are shorter."""


class Graph(NamedTuple):
    """Boxes by key, in the plan's order; edges between keys; the way that it goes, and about how wide it will be."""

    boxes: Mapping[str, Box]
    edges: tuple[tuple[str, str], ...]
    down: bool
    width: float

    @property
    def sizes(self) -> dict[str, tuple[float, float]]:
        """Width and height of each box."""
        return {key: (box.width, box.height) for key, box in self.boxes.items()}


def make_graph(tasks: Iterable[Task], final: LastLine | None = None, *, known: Iterable[str] = (),
               full: int = FULL, cells: int = CELLS, clip: int = CLIP, block: int = BLOCK,
               bars: bool = False) -> Graph:  # fmt: skip
    """Return what to draw of some tasks and the plan's last line.

    known: further ids of tasks, of which those of fan-outs' items are shown; full, cells, clip, block: see FULL,
    CELLS, CLIP and BLOCK (0: no blocks); bars: stacks hold empty bars, which a page fills.
    """
    every = list(tasks)
    items = _items(every, known)
    owner = {item: fanout for fanout, held in items.items() for item in held}
    plain = [task for task in every if task.id not in owner]
    cells_fit = sum(map(len, items.values())) + (len(plain) if len(plain) > full else 0) <= cells
    inside: Inside = "bar" if bars else "cells" if cells_fit else "shares"
    if len(plain) <= full:
        room = CALL if len(plain) <= MANY else SHORT_CALL
        boxes = {task.id: task_box(task, items.get(task.id, ()), inside=inside, call=room) for task in plain}
    else:
        boxes = _collapse(plain, items, inside=inside, clip=clip)
    owner |= {id_: key for key, box in boxes.items() for id_ in (box.members or (key,)) if id_ not in owner}
    owner |= {key: key for key in boxes}
    edges = {(owner[need], owner[task.id]): None for task in every for need in task.dependencies if need in owner}
    edges |= _end_edges(boxes, final, edges, owner)
    pairs = [pair for pair in edges if pair[0] != pair[1]]
    if final is not None:
        boxes[END] = sized(Box(END, "end", label="answer" if isinstance(final, Return) else "join"))
    if len(plain) <= full and block:
        boxes, pairs = _gather(boxes, pairs, block)
    rows = assign_rows(list(boxes), pairs)
    across, along, high = _extents(boxes, rows)
    down = across <= max(PAGE, along)
    width = across if down else along
    if FEW < len(plain) <= full and (width > WIDE or (high > WIDE and not down)):
        return make_graph(every, final, known=known, full=0, cells=cells, clip=clip, block=block, bars=bars)
    return Graph(boxes if down else _align(boxes, rows), tuple(pairs), down, width)


def _items(tasks: Sequence[Task], known: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return for each fan-out the ids of its items, `rows[AAPL]`, and of the calls before them, `rows[AAPL].1`."""
    held: dict[str, dict[str, None]] = {task.id: {} for task in tasks if task.kind == "fanout"}
    for id_ in (*(task.id for task in tasks), *known):
        if owner_of(id_) in held:
            held[owner_of(id_)][id_] = None
    return {fanout: tuple(ids) for fanout, ids in held.items() if ids}


def _end_edges(
    boxes: Mapping[str, Box],
    final: LastLine | None,
    edges: Collection[tuple[str, str]],
    owner: Mapping[str, str],
) -> dict[tuple[str, str], None]:
    """Return the edges to the last line: from what it names, or for `join()` from all that nothing else reads."""
    if final is None:
        return {}
    named = references(final.expression) if isinstance(final, Return) else final.refs
    read = {one for one, other in edges if one != other}
    from_ = [owner[id_] for id_ in named if id_ in owner]
    if not named and not isinstance(final, Return):
        from_ = [key for key in boxes if key not in read]
    return {(key, END): None for key in from_}


def _collapse(
    tasks: Sequence[Task], items: Mapping[str, tuple[str, ...]], *, inside: Inside, clip: int
) -> dict[str, Box]:
    """Return one box for the tasks of each level and tool, and one for all after the first `clip`."""
    by_id = {task.id: task for task in tasks}
    groups: dict[tuple[object, ...], list[Task]] = defaultdict(list)
    for number, level in enumerate(levels(tasks)):
        for id_ in level:
            task = by_id[id_]
            groups[number, task.kind, id_ if task.kind == "fanout" else task.tool].append(task)
    boxes: dict[str, Box] = {}
    for group in list(groups.values())[:clip]:
        first = group[0]
        alone = len(group) == 1
        box = task_box(first, items.get(first.id, ()), inside=inside) if alone else group_box(group, inside=inside)
        boxes[box.key] = box
    rest = [task.id for group in list(groups.values())[clip:] for task in group]
    if rest:
        label = f"… {len(rest):,} more tasks"
        boxes[MORE] = sized(Box(MORE, "more", label=label, members=tuple(rest), inside="shares"))
    return boxes


# --------------------------------------------------------------------- blocks


def _gather(
    boxes: Mapping[str, Box], edges: Sequence[tuple[str, str]], least: int
) -> tuple[dict[str, Box], list[tuple[str, str]]]:
    """Put tasks that have the same neighbours into blocks."""
    above, below = defaultdict(list), defaultdict(list)
    for one, other in edges:
        above[other].append(one)
        below[one].append(other)
    alike: dict[tuple[object, ...], list[Box]] = defaultdict(list)
    for key, box in boxes.items():
        if box.kind in ("call", "expr"):
            alike[tuple(sorted(above[key])), tuple(sorted(below[key]))].append(box)
    owner = {key: key for key in boxes}
    blocks: dict[str, Box] = {}
    for group in alike.values():
        if len(group) >= least:
            block = _block(group)
            blocks[group[0].key] = block
            owner |= {box.key: block.key for box in group}
    kept = {key: blocks.get(key, box) for key, box in boxes.items() if owner[key] == key or key in blocks}
    pairs = dict.fromkeys((owner[one], owner[other]) for one, other in edges)
    return {box.key: box for box in kept.values()}, list(pairs)


def _block(group: Sequence[Box]) -> Box:
    """Return a block with boxes of one width in columns, somewhat wider than high."""
    width, height = max(box.width for box in group), max(box.height for box in group)
    columns = round(math.sqrt(len(group) * 1.5 * height / width)) or 1
    columns = min(max(columns, 3), max(int(PAGE // (width + BLOCK_GAP)), 1))
    rows = math.ceil(len(group) / columns)
    columns = math.ceil(len(group) / rows)
    inner = []
    for index, box in enumerate(group):
        row, column = divmod(index, columns)
        x = BLOCK_PAD + column * (width + BLOCK_GAP) + width / 2
        y = BLOCK_PAD + row * (height + BLOCK_GAP) + height / 2
        inner.append((replace(box, width=width, height=height), x, y))
    return Box(
        f"\0block {group[0].key}", "block", inner=tuple(inner),
        width=columns * (width + BLOCK_GAP) - BLOCK_GAP + 2 * BLOCK_PAD,
        height=rows * (height + BLOCK_GAP) - BLOCK_GAP + 2 * BLOCK_PAD,
    )  # fmt: skip


def _extents(boxes: Mapping[str, Box], rows: Mapping[str, int]) -> tuple[float, float, float]:
    """Return how wide the picture will be about when it goes down, and how wide and high when it goes to the right."""
    across: dict[int, float] = defaultdict(float)
    along: dict[int, float] = defaultdict(float)
    high: dict[int, float] = defaultdict(float)
    for key, row in rows.items():
        across[row] += boxes[key].width + GAP
        along[row] = max(along[row], boxes[key].width + GAP_RIGHT)
        high[row] += boxes[key].height + GAP
    return max(across.values(), default=0.0), sum(along.values()), max(high.values(), default=0.0)


def _align(boxes: Mapping[str, Box], rows: Mapping[str, int]) -> dict[str, Box]:
    """Give the tasks of a column one width."""
    widest: dict[int, float] = defaultdict(float)
    for key, box in boxes.items():
        if box.kind in ("call", "expr"):
            widest[rows[key]] = max(widest[rows[key]], box.width)
    return {
        key: replace(box, width=widest[rows[key]]) if box.kind in ("call", "expr") else box
        for key, box in boxes.items()
    }
