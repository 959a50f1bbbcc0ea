"""What a picture of a plan shows: boxes with their words and sizes, and the edges between them.

Up to FULL tasks each has a box of its own; in larger plans, tasks of one level and tool share a box. Tasks that read
the same tasks and are read by the same tasks form a block, so that a wide plan needs few arrows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

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
    left_out,
    sized,
    task_box,
)
from compiler_nb.drawing.layout import GAP_RIGHT
from compiler_nb.drawing.rows import GAP, assign_rows
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.shape import levels
from compiler_nb.plan.task import Join, LastLine, Return, Task, line_of, owner_of
from compiler_nb.plan.tree import references

FULL: Final = 200
"""Most tasks that are drawn one by one."""
FEW, WIDE = 60, 2_400.0
"""Above FEW tasks, a picture wider or higher than WIDE pixels would be too small to read: tasks are collapsed."""
CLIP: Final = 100
"""Most boxes of a collapsed picture; one more box counts the tasks of later levels."""
BLOCK: Final = 9
"""Fewest tasks alike that make a block."""
CELLS: Final = 600
"""Most items and collapsed tasks that get a cell each; with more, boxes show the shares of the states."""
PAGE: Final = 960.0
"""Width in pixels up to which a picture goes down rather than right."""
NONE: Final = (0, 0)
MANY: Final = 24
"""Tasks from which on calls are shorter."""


class Graph(NamedTuple):
    """Boxes by key, in the plan's order; edges between them; and whether it goes down, not right.

    guards: the edges over which comes what decides whether a call is made; turns: those over which comes no value, only
    the turn in the order of side effects.
    """

    boxes: Mapping[str, Box]
    edges: tuple[tuple[str, str], ...]
    down: bool
    guards: frozenset[tuple[str, str]] = frozenset()
    turns: frozenset[tuple[str, str]] = frozenset()

    @property
    def sizes(self) -> dict[str, tuple[float, float]]:
        """Width and height of each box."""
        return {key: (box.width, box.height) for key, box in self.boxes.items()}

    @property
    def names(self) -> dict[str, str]:
        """A short name for each box in DOT text: a key may hold anything."""
        return {key: f"n{number}" for number, key in enumerate(self.boxes)}


def shown_plan(tasks: tuple[Task, ...], plan: Plan | None) -> Plan | tuple[Task, ...]:
    """Return tasks with the last line of a plan, or only tasks if there is no plan yet: they are drawn without one."""
    return tasks if plan is None else Plan(tasks, plan.final)


def make_graph(plan: Plan | Iterable[Task], *, known: Iterable[str] = (), full: int = FULL, cells: int = CELLS,
               clip: int = CLIP, block: int = BLOCK, bars: bool = False) -> Graph:  # fmt: skip
    """Return what to draw of a plan, or of some tasks without a last line.

    known: further ids of tasks, or states by id; items of fan-outs among them are shown; full, cells, clip, block: see
    FULL, CELLS, CLIP and BLOCK (0: no blocks); bars: stacks hold empty bars, which the page fills.
    """
    every, final = (plan, plan.final) if isinstance(plan, Plan) else (tuple(plan), None)
    items = _items(every, known)
    lost = left_out(known) if isinstance(known, Mapping) else {}
    calls = guarded_calls(every)
    plain = [task for task in every if task.owner not in items]
    drawn = {call.id for inner in calls.values() for call in inner}
    whole = len(plain) - len(drawn) <= full
    shown = sum(map(len, items.values())) + (0 if whole else len(plain))
    inside: Inside = "bar" if bars else "cells" if shown <= cells else "shares"
    if whole:
        room = CALL if len(plain) <= MANY else SHORT_CALL
        boxes = {
            task.id: task_box(
                task,
                items.get(task.id, ()),
                calls.get(task.id, ()),
                inside=inside,
                call=room,
                left_out=lost.get(task.id, NONE)[0],
            )
            for task in plain
            if task.id not in drawn
        }
    else:
        boxes = _collapse(plain, items, lost, inside, clip)
    box_of = _boxes_of(items, boxes)
    reads = {(box_of[need], box_of[task.id]) for task in every for need in task.dependencies if need in box_of}
    pairs = _edges(every, box_of, boxes, final)
    guards = {(box_of[need], box_of[task.id]) for task in every for need in references(task.guard) if need in box_of}
    turns = {(box_of[one], box_of[task.id]) for task in every for one in task.follows if one in box_of}
    if final is not None:
        boxes[END] = sized(Box(END, "end", label="answer" if isinstance(final, Return) else "join"))
    if whole and block:
        boxes, pairs, owner = _gather(boxes, pairs, block)
        reads, guards, turns = ({(owner[one], owner[other]) for one, other in each} for each in (reads, guards, turns))
    graph, extent = _turn(boxes, pairs)
    # Only the finished picture shows whether it is too large, so a large one is made twice.
    if whole and len(plain) > FEW and extent > WIDE:
        return make_graph(every, known=known, full=0, cells=cells, clip=clip, block=block, bars=bars)
    return graph._replace(guards=frozenset(guards), turns=frozenset(turns - reads))


def guarded_calls(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """Return the guarded calls that stand in the lines of expressions, by line: they are drawn as one box."""
    every = tuple(tasks)
    found: dict[str, list[Task]] = {task.id: [] for task in every if task.kind == "expr" and not task.owner}
    for task in every:
        if task.guard is not None and task.kind == "call" and line_of(task.id) in found:
            found[line_of(task.id)].append(task)
    return found


def _items(tasks: Iterable[Task], known: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return for each fan-out the ids of its items, `rows[AAPL]`, and of the calls before them, `rows[AAPL].1`."""
    held: dict[str, dict[str, None]] = {task.id: {} for task in tasks if task.kind == "fanout"}
    for id_ in (*(task.id for task in tasks), *known):
        if owner_of(id_) in held:
            held[owner_of(id_)][id_] = None
    return {fanout: tuple(ids) for fanout, ids in held.items() if ids}


def _collapse(
    tasks: Sequence[Task], items: Mapping[str, tuple[str, ...]], lost: Mapping[str, tuple[int, int]], inside: Inside,
    clip: int,
) -> dict[str, Box]:  # fmt: skip
    """Return one box for the tasks of each level and tool, and one for all after the first `clip`."""
    by_id = {task.id: task for task in tasks}
    alike: dict[tuple[object, ...], list[Task]] = defaultdict(list)
    for number, level in enumerate(levels(tasks)):
        for id_ in level:
            task = by_id[id_]
            alike[number, task.kind, id_ if task.kind == "fanout" else task.tool].append(task)
    groups = list(alike.values())
    shown = [
        task_box(group[0], items.get(group[0].id, ()), inside=inside, left_out=lost.get(group[0].id, NONE)[0])
        if len(group) == 1
        else group_box(group, inside=inside)
        for group in groups[:clip]
    ]
    rest = tuple(task.id for group in groups[clip:] for task in group)
    if rest:
        label = f"… {len(rest):,} more tasks"
        shown.append(sized(Box(MORE, "more", label=label, members=rest, inside="shares")))
    return {box.key: box for box in shown}


def _boxes_of(items: Mapping[str, tuple[str, ...]], boxes: Mapping[str, Box]) -> dict[str, str]:
    """Return the key of the box that shows each task."""
    box_of = {id_: key for key, box in boxes.items() for id_ in (key, *box.members)}
    return box_of | {item: box_of[fanout] for fanout, held in items.items() for item in held}


def _edges(
    tasks: Iterable[Task],
    box_of: Mapping[str, str],
    boxes: Mapping[str, Box],
    final: LastLine | None,
) -> list[tuple[str, str]]:
    """Return the edges between boxes, each once: what tasks read, what they only follow, and those to the last line.

    The last line is reached from the tasks that it names; `join()` from all tasks that no other task reads.
    """
    needs = ((task, need) for task in tasks for need in (*task.dependencies, *task.follows))
    pairs = ((box_of[need], box_of[task.id]) for task, need in needs if need in box_of)
    edges = dict.fromkeys((one, other) for one, other in pairs if one != other)
    if final is not None:
        ends = [box_of[id_] for id_ in final.refs if id_ in box_of]
        if isinstance(final, Join) and not final.refs:
            read = {one for one, _ in edges}
            ends = [key for key in boxes if key not in read]
        edges |= dict.fromkeys((key, END) for key in ends)
    return list(edges)


# --------------------------------------------------------------------- blocks


def _gather(
    boxes: Mapping[str, Box], edges: Sequence[tuple[str, str]], least: int
) -> tuple[dict[str, Box], list[tuple[str, str]], dict[str, str]]:
    """Put tasks that have the same neighbours into blocks; return which box shows each of the boxes, too."""
    above, below = defaultdict(list), defaultdict(list)
    for one, other in edges:
        above[other].append(one)
        below[one].append(other)
    alike: dict[tuple[object, ...], list[Box]] = defaultdict(list)
    for key, box in boxes.items():
        if box.kind in ("call", "expr"):
            alike[tuple(sorted(above[key])), tuple(sorted(below[key]))].append(box)
    blocks = {group[0].key: _block(group) for group in alike.values() if len(group) >= least}
    owner = {key: key for key in boxes} | {box.key: each.key for each in blocks.values() for box, _, _ in each.inner}
    kept = {key: blocks.get(key, box) for key, box in boxes.items() if owner[key] == key or key in blocks}
    pairs = dict.fromkeys((owner[one], owner[other]) for one, other in edges)
    return {box.key: box for box in kept.values()}, list(pairs), owner


def _block(group: Sequence[Box]) -> Box:
    """Return a block with boxes of one width in columns, somewhat wider than high."""
    width, height = max(box.width for box in group), max(box.height for box in group)
    columns = round(math.sqrt(len(group) * 1.5 * height / width)) or 1
    columns = min(max(columns, 3), max(int(PAGE // (width + BLOCK_GAP)), 1))
    rows = math.ceil(len(group) / columns)
    columns = math.ceil(len(group) / rows)
    inner = tuple(
        (
            replace(box, width=width, height=height),
            BLOCK_PAD + index % columns * (width + BLOCK_GAP) + width / 2,
            BLOCK_PAD + index // columns * (height + BLOCK_GAP) + height / 2,
        )
        for index, box in enumerate(group)
    )
    return Box(
        f"\0block {group[0].key}", "block", inner=inner,
        width=columns * (width + BLOCK_GAP) - BLOCK_GAP + 2 * BLOCK_PAD,
        height=rows * (height + BLOCK_GAP) - BLOCK_GAP + 2 * BLOCK_PAD,
    )  # fmt: skip


# --------------------------------------------------------------------- the whole


def _turn(boxes: dict[str, Box], edges: Sequence[tuple[str, str]]) -> tuple[Graph, float]:
    """Return the graph and its larger extent; it goes down if that fits on a page, otherwise to the right."""
    rows = assign_rows(list(boxes), edges)
    by_row: dict[int, list[Box]] = defaultdict(list)
    for key, row in rows.items():
        by_row[row].append(boxes[key])
    down = max((sum(box.width + GAP for box in each) for each in by_row.values()), default=0.0)
    right = sum(max(box.width for box in each) + GAP_RIGHT for each in by_row.values())
    high = max((sum(box.height + GAP for box in each) for each in by_row.values()), default=0.0)
    if down <= max(PAGE, right):
        return Graph(boxes, tuple(edges), down=True), down
    return Graph(_align(boxes, rows), tuple(edges), down=False), max(right, high)


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
