"""What a picture of a plan shows: boxes with their words and sizes, and the edges between them.

Up to FULL tasks each has a box of its own; in larger plans, tasks of one level and tool share a box. Whole rows of
tasks that read the same tasks and are read by the same tasks form a block, so that a wide plan needs few arrows. The
boxes of a block stand in the rows in which they would stand without it, so that none moves up or down when a plan is
closed: only then is it known who reads what.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, NamedTuple

from compiler_nb.drawing.boxes import (
    BLOCK_PAD,
    MORE,
    Box,
    Inside,
    end_box,
    end_key,
    group_box,
    left_out,
    sized,
    task_box,
)
from compiler_nb.drawing.layout import GAP_CLOSE, PAGE, Skeleton, levels_of, make_skeleton
from compiler_nb.drawing.rows import GAP, Edge
from compiler_nb.events import RunStarted
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.shape import levels
from compiler_nb.plan.task import Join, LastLine, Return, Task, line_of, owner_of
from compiler_nb.plan.tree import references
from compiler_nb.text import cut, visible
from compiler_nb.trace import JOINER, Progress, role_of

FULL: Final = 200
"""Most tasks that are drawn one by one."""
FEW, LEVEL, TALL = 60, 100.0, 3_200.0
"""Above FEW tasks, a picture that is TALL pixels higher than LEVEL for each level is too large: tasks are collapsed."""
CLIP: Final = 100
"""Most boxes of a collapsed picture; one more box counts the tasks of later levels."""
BLOCK: Final = 2
"""Fewest whole rows of tasks alike that make a block."""
CELLS: Final = 600
"""Most items and collapsed tasks that get a cell each; with more, boxes show the shares of the states."""
NONE: Final = (0, 0)
HEAD, HEADS = 76, 3
"""Characters of a line of a band's head, and its most lines."""


class Graph(NamedTuple):
    """Boxes by key, in the plan's order, and the edges between them.

    bands: the round of each box; heads: by round, what its band says, in lines; guards: the edges over which comes what
    decides whether a call is made; turns: those over which comes no value, only the turn in the order of side effects;
    links: those over which comes what an earlier round has made; hidden: pairs that are no edges and are not drawn, but
    keep a last line that reads nothing below the tasks of its round.
    """

    boxes: Mapping[str, Box]
    edges: tuple[Edge, ...]
    bands: Mapping[str, int]
    heads: Mapping[int, tuple[str, ...]] = {}
    guards: frozenset[Edge] = frozenset()
    turns: frozenset[Edge] = frozenset()
    links: frozenset[Edge] = frozenset()
    hidden: tuple[Edge, ...] = ()

    @property
    def order(self) -> tuple[Edge, ...]:
        """What stands above what."""
        return self.edges + self.hidden

    @property
    def skeleton(self) -> Skeleton:
        """Which box stands in which row, and where the rows and bands are."""
        return make_skeleton(self.bands, self.order, self.sizes, self.lines)

    @property
    def lines(self) -> dict[int, int]:
        """How many lines the head of each band has."""
        return {number: len(head) for number, head in self.heads.items()}

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


class DrawnRound(NamedTuple):
    """One round as it is drawn: the tasks that it planned, its last line, and why the joiner asked for it."""

    tasks: tuple[Task, ...]
    final: LastLine | None = None
    reason: str = ""


class Scene(NamedTuple):
    """A whole run as it is drawn: its rounds; by the ids of tasks that adopted an outcome, where it came from.

    joined: the numbers of the rounds whose results a joiner has read, or is to read.
    """

    rounds: tuple[DrawnRound, ...]
    adopted: Mapping[str, str] = {}
    joined: frozenset[int] = frozenset()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of all rounds."""
        return tuple(task for each in self.rounds for task in each.tasks)


Shown = Plan | Scene | Iterable[Task]
"""What can be drawn; tasks alone are drawn without a last line."""


def scene_of(plan: Shown) -> Scene:
    """Return a plan, or tasks, as a run of one round."""
    if isinstance(plan, Scene):
        return plan
    return Scene((DrawnRound(plan.tasks, plan.final) if isinstance(plan, Plan) else DrawnRound(tuple(plan)),))


def scene_of_run(progress: Progress) -> Scene:
    """Return a run's rounds as they are drawn, without the items of fan-outs."""
    with progress.lock:
        tasks: dict[int, list[Task]] = {number: [] for number in range(max(len(progress.rounds), 1))}
        for id_, task in progress.tasks.items():
            if not task.owner:
                tasks.setdefault(progress.round_of.get(id_, 0), []).append(task)
        rounds = dict(enumerate(progress.rounds))
        adopted = dict(progress.readiness.adopted)
        joined = {each.round for each in progress.calls.values() if not each.task and role_of(each) == JOINER}
        began = progress.events[0] if progress.events else None
        waits = progress.status == "running" and isinstance(began, RunStarted) and JOINER in began.models
    parts = []
    for number, planned in sorted(tasks.items()):
        about = rounds.get(number)
        plan = about.plan if about else None
        parts.append(DrawnRound(tuple(planned), plan.final if plan else None, about.reason if about else ""))
        if waits and plan is not None and isinstance(plan.final, Join):
            joined.add(number)
    return Scene(tuple(parts), adopted, frozenset(joined))


def make_graph(plan: Shown, *, known: Iterable[str] = (), full: int = FULL, cells: int = CELLS, clip: int = CLIP,
               block: int = BLOCK, bars: bool = False) -> Graph:  # fmt: skip
    """Return what to draw.

    known: further ids of tasks, or states by id; items of fan-outs among them are shown; full, cells, clip, block: see
    FULL, CELLS, CLIP and BLOCK (0: no blocks); bars: stacks hold empty bars, which the page fills.
    """
    scene = scene_of(plan)
    every = scene.tasks
    round_of = {task.id: number for number, each in enumerate(scene.rounds) for task in each.tasks}
    items = _items(every, known)
    lost = left_out(known) if isinstance(known, Mapping) else {}
    calls = guarded_calls(every)
    plain = [task for task in every if task.owner not in items]
    drawn = {call.id for inner in calls.values() for call in inner}
    whole = len(plain) - len(drawn) <= full
    shown = sum(map(len, items.values())) + (0 if whole else len(plain))
    inside: Inside = "bar" if bars else "cells" if shown <= cells else "shares"
    if whole:
        boxes = {
            task.id: task_box(
                task,
                items.get(task.id, ()),
                calls.get(task.id, ()),
                inside=inside,
                left_out=lost.get(task.id, NONE)[0],
            )
            for task in plain
            if task.id not in drawn
        }
    else:
        boxes = _collapse(plain, round_of, items, lost, inside, clip)
    box_of = _boxes_of(items, boxes)
    reads = {(box_of[need], box_of[task.id]) for task in every for need in task.dependencies if need in box_of}
    guards = {(box_of[need], box_of[task.id]) for task in every for need in references(task.guard) if need in box_of}
    turns = {(box_of[one], box_of[task.id]) for task in every for one in task.follows if one in box_of}
    bands = {
        key: max(round_of[id_] for id_ in (box.task, *box.members) if id_ in round_of) for key, box in boxes.items()
    }
    pairs, hidden = _edges(every, box_of), list[Edge]()
    for number, (_, final, _) in enumerate(scene.rounds):
        if final is not None:
            key = end_key(number, len(scene.rounds))
            ends = _ends(final, number, bands, box_of, pairs)
            if ends or isinstance(final, Join):
                pairs |= dict.fromkeys((one, key) for one in ends)
            else:
                hidden += [(one, key) for one in _unread(number, bands, pairs)]
            label = JOINER if number in scene.joined else "answer" if isinstance(final, Return) else "join"
            boxes[key] = end_box(key, label, number)
            bands[key] = number
    links = {(box_of[source], box_of[id_]) for id_, source in scene.adopted.items() if {source, id_} <= box_of.keys()}
    pairs |= dict.fromkeys(sorted(links))
    edges = [(one, other) for one, other in pairs if bands[one] <= bands[other]]
    if whole and block:
        closed = {number for number, each in enumerate(scene.rounds) if each.final is not None}
        boxes, edges, owner = _gather(boxes, edges, {key: band for key, band in bands.items() if band in closed}, block)
        bands = {key: bands[key] if key in bands else bands[box.inner[0][0].key] for key, box in boxes.items()}
        reads, guards, turns, links = (
            {(owner[one], owner[other]) for one, other in each} for each in (reads, guards, turns, links)
        )
        hidden = list(dict.fromkeys((owner[one], owner[other]) for one, other in hidden))
    heads = {
        number: head_lines(number, each.reason) for number, each in enumerate(scene.rounds) if number in bands.values()
    }
    heads.pop(min(heads, default=0), None)  # the first has nobody's reason
    links |= {(one, other) for one, other in edges if bands[one] != bands[other]}
    graph = Graph(
        boxes, tuple(edges), bands, heads, frozenset(guards), frozenset(turns - reads), frozenset(links), tuple(hidden)
    )
    # Only the finished picture shows whether it is too large, so a large one is made twice.
    if whole and is_too_tall(len(plain), graph.skeleton.height, graph.skeleton.levels):
        return make_graph(scene, known=known, full=0, cells=cells, clip=clip, block=block, bars=bars)
    return graph


def is_too_tall(count: int, height: float, levels: int) -> bool:
    """Whether so many tasks, each with a box of its own, make a picture that is too high for its levels."""
    return count > FEW and height - LEVEL * levels > TALL


def head_lines(number: int, reason: str) -> tuple[str, ...]:
    """Return what the head of a round's band says."""
    name = f"Round {number + 1}"
    words = visible(f"{name}: {cut(reason, HEAD * HEADS)}" if reason else name)
    return tuple(textwrap.wrap(words, HEAD, max_lines=HEADS, placeholder=" …"))


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


def _collapse(  # noqa: PLR0917 - what a box is made of
    tasks: Sequence[Task], round_of: Mapping[str, int], items: Mapping[str, tuple[str, ...]],
    lost: Mapping[str, tuple[int, int]], inside: Inside, clip: int,
) -> dict[str, Box]:  # fmt: skip
    """Return one box for the tasks of each round, level and tool, and one for all after the first `clip`."""
    by_id = {task.id: task for task in tasks}
    alike: dict[tuple[object, ...], list[Task]] = defaultdict(list)
    for number, level in enumerate(levels(tasks)):
        for id_ in level:
            task = by_id[id_]
            alike[round_of[id_], number, task.kind, id_ if task.kind == "fanout" else task.tool].append(task)
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


def _edges(tasks: Iterable[Task], box_of: Mapping[str, str]) -> dict[Edge, None]:
    """Return the edges between boxes, each once: what tasks read, and what they only follow."""
    needs = ((task, need) for task in tasks for need in (*task.dependencies, *task.follows))
    pairs = ((box_of[need], box_of[task.id]) for task, need in needs if need in box_of)
    return dict.fromkeys((one, other) for one, other in pairs if one != other)


def _ends(
    final: LastLine, number: int, bands: Mapping[str, int], box_of: Mapping[str, str], edges: Iterable[Edge]
) -> list[str]:
    """Return what a round's last line waits for: what it names; of `join()` all that no other task reads."""
    if final.refs or not isinstance(final, Join):
        return [box_of[id_] for id_ in final.refs if id_ in box_of]
    return _unread(number, bands, edges)


def _unread(number: int, bands: Mapping[str, int], edges: Iterable[Edge]) -> list[str]:
    """Return the boxes of a round that no other box reads."""
    read = {one for one, _ in edges}
    return [key for key, band in bands.items() if band == number and key not in read]


# --------------------------------------------------------------------- blocks


def _gather(
    boxes: Mapping[str, Box], edges: Sequence[Edge], bands: Mapping[str, int], least: int
) -> tuple[dict[str, Box], list[Edge], dict[str, str]]:
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
    pairs = list(dict.fromkeys((owner[one], owner[other]) for one, other in edges))
    return {box.key: box for box in kept.values()}, pairs, owner


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
