"""What a picture of a plan shows: boxes with their words and sizes, and the edges between them.

Up to FULL tasks each has a box of its own, and rows of tasks alike form blocks; in larger plans, tasks of one level and
tool share a box.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from compiler_nb.drawing.blocks import gather
from compiler_nb.drawing.boxes import MORE, Box, Inside, end_box, end_key, group_box, left_out, sized, task_box
from compiler_nb.drawing.layout import Skeleton, make_skeleton
from compiler_nb.drawing.rows import Edge
from compiler_nb.drawing.scene import Scene, Shown, scene_of
from compiler_nb.plan.shape import levels
from compiler_nb.plan.task import Join, LastLine, Return, Task, line_of, owner_of
from compiler_nb.plan.tree import references
from compiler_nb.text import cut, visible
from compiler_nb.trace import JOINER

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
    links: those over which comes what an earlier round has made; hidden: pairs that are not edges and not drawn, but
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
        """Pairs of boxes, the upper one first."""
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


def make_graph(plan: Shown, *, known: Iterable[str] = (), full: int = FULL, cells: int = CELLS, clip: int = CLIP,
               block: int = BLOCK, bars: bool = False) -> Graph:  # fmt: skip
    """Return what to draw.

    known: further ids of tasks, or states by id; items of fan-outs among them are shown; full, cells, clip, block: see
    FULL, CELLS, CLIP and BLOCK (0: no blocks); bars: stacks hold empty bars, which the page fills.
    """
    scene = scene_of(plan)
    cast = _Cast(scene, known)
    if len(cast.own) <= full:
        graph = _Draft(scene, cast, cast.boxes(cast.inside(cells, bars=bars))).graph()
        if block:
            graph = _in_blocks(graph, scene.closed, block)
        # Only the finished picture shows whether it is too large, so a large one is made twice.
        skeleton = graph.skeleton
        if not is_too_tall(len(cast.plain), skeleton.height, skeleton.levels):
            return graph
    inside = cast.inside(cells - len(cast.plain), bars=bars)
    return _Draft(scene, cast, cast.collapsed(inside, clip)).graph()


def is_too_tall(count: int, height: float, levels: int) -> bool:
    """Whether so many tasks, each with a box of its own, make a picture that is too high for its levels."""
    return count > FEW and height - LEVEL * levels > TALL


def head_lines(number: int, reason: str) -> tuple[str, ...]:
    """Return what the head of a round's band says, in lines of about one length: none ends in a single word."""
    name = f"Round {number + 1}"
    words = visible(f"{name}: {cut(reason, HEAD * HEADS)}" if reason else name)
    lines = textwrap.wrap(words, HEAD, max_lines=HEADS, placeholder=" …")
    even = (textwrap.wrap(words, width) for width in range(len(words) // len(lines), HEAD))
    return tuple(next((each for each in even if len(each) <= len(lines)), lines))


def guarded_calls(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """Return the guarded calls that stand in the lines of expressions, by line: they are drawn as one box."""
    every = tuple(tasks)
    found: dict[str, list[Task]] = {task.id: [] for task in every if task.kind == "expr" and not task.owner}
    for task in every:
        if task.guard is not None and task.kind == "call" and line_of(task.id) in found:
            found[line_of(task.id)].append(task)
    return found


# --------------------------------------------------------------------- boxes


class _Cast:
    """The tasks of a scene: which may have a box of their own, and which stand in the box of another.

    items: the ids of items by fan-out; calls: guarded calls by the line that they stand in; plain: all but items; own:
    all but items and guarded calls.
    """

    def __init__(self, scene: Scene, known: Iterable[str]) -> None:
        self.tasks, self.before = scene.tasks, scene.before
        self.round_of = {task.id: number for number, each in enumerate(scene.rounds) for task in each.tasks}
        self.items = _items(self.tasks, known)
        self.calls = guarded_calls(self.tasks)
        self.plain = [task for task in self.tasks if task.owner not in self.items]
        inner = {call.id for calls in self.calls.values() for call in calls}
        self.own = [task for task in self.plain if task.id not in inner]
        self._lost = left_out(known) if isinstance(known, Mapping) else {}

    def inside(self, cells: int, *, bars: bool) -> Inside:
        """Return what boxes of several tasks hold: bars, or a cell for each item if they are no more than `cells`."""
        return "bar" if bars else "cells" if sum(map(len, self.items.values())) <= cells else "shares"

    def boxes(self, inside: Inside) -> dict[str, Box]:
        """Return a box for each task that may have one of its own."""
        return {task.id: self._box(task, inside, self.calls.get(task.id, ())) for task in self.own}

    def collapsed(self, inside: Inside, clip: int) -> dict[str, Box]:
        """Return one box for the tasks of each round, level and tool, and one for all after the first `clip`."""
        by_id = {task.id: task for task in self.plain}
        alike: dict[tuple[object, ...], list[Task]] = defaultdict(list)
        for number, level in enumerate(levels(self.plain)):
            for id_ in level:
                task = by_id[id_]
                alike[self.round_of[id_], number, task.kind, id_ if task.kind == "fanout" else task.tool].append(task)
        groups = list(alike.values())
        shown = [
            self._box(group[0], inside) if len(group) == 1 else group_box(group, inside=inside)
            for group in groups[:clip]
        ]
        rest = tuple(task.id for group in groups[clip:] for task in group)
        if rest:
            label = f"… {len(rest):,} more tasks"
            shown.append(sized(Box(MORE, "more", label=label, members=rest, inside="shares")))
        return {box.key: box for box in shown}

    def _box(self, task: Task, inside: Inside, calls: Sequence[Task] = ()) -> Box:
        lost = self._lost.get(task.id, NONE)[0]
        box = task_box(task, self.items.get(task.id, ()), calls, inside=inside, left_out=lost)
        return replace(box, pale=True) if task.id in self.before else box


def _items(tasks: Iterable[Task], known: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return for each fan-out the ids of its items, `rows[AAPL]`, and of the calls before them, `rows[AAPL].1`."""
    held: dict[str, dict[str, None]] = {task.id: {} for task in tasks if task.kind == "fanout"}
    for id_ in (*(task.id for task in tasks), *known):
        if owner_of(id_) in held:
            held[owner_of(id_)][id_] = None
    return {fanout: tuple(ids) for fanout, ids in held.items() if ids}


# --------------------------------------------------------------------- edges


class _Draft:
    """A graph that is being made: the boxes, the band of each, and who stands above whom."""

    def __init__(self, scene: Scene, cast: _Cast, boxes: dict[str, Box]) -> None:
        self.scene, self.tasks, self.boxes = scene, cast.tasks, boxes
        self.box_of = {id_: key for key, box in boxes.items() for id_ in (key, *box.members)}
        self.box_of |= {item: self.box_of[fanout] for fanout, held in cast.items.items() for item in held}
        self.bands = {
            key: max(cast.round_of[id_] for id_ in (box.task, *box.members) if id_ in cast.round_of)
            for key, box in boxes.items()
        }
        self.edges = self._edges(lambda task: (*task.dependencies, *task.follows))
        self.hidden: list[Edge] = []

    def graph(self) -> Graph:
        """Return it with last lines, with what came from earlier rounds, and with the heads of its bands."""
        for number, each in enumerate(self.scene.rounds):
            if each.final is not None:
                self._add_end(number, each.final)
        adopted = _between(((source, id_) for id_, source in self.scene.adopted.items()), self.box_of)
        edges = [edge for edge in self.edges | dict.fromkeys(sorted(adopted)) if not self._is_upward(edge)]
        guards = self._edges(lambda task: references(task.guard))
        turns = self._edges(lambda task: task.follows).keys() - self._edges(lambda task: task.dependencies)
        links = adopted.keys() | {(one, other) for one, other in edges if self._is_from_before(one, other)}
        return Graph(
            self.boxes, tuple(edges), self.bands, self._heads(), frozenset(guards), frozenset(turns),
            frozenset(links), tuple(self.hidden),
        )  # fmt: skip

    def _edges(self, needs: Callable[[Task], Iterable[str]]) -> dict[Edge, None]:
        """Return the edges between boxes, each once: they lead from what a task needs to the task."""
        return _between(((need, task.id) for task in self.tasks for need in needs(task)), self.box_of)

    def _add_end(self, number: int, final: LastLine) -> None:
        """Add the box of a round's last line, below what it reads, or else below the whole round."""
        key = end_key(number, len(self.scene.rounds))
        reads = self._reads_of(final, number)
        if reads or isinstance(final, Join):
            self.edges |= dict.fromkeys((one, key) for one in reads)
        else:
            self.hidden += [(one, key) for one in self._unread(number)]
        label = JOINER if number in self.scene.joined else "answer" if isinstance(final, Return) else "join"
        self.boxes[key] = end_box(key, label, number)
        self.bands[key] = number

    def _reads_of(self, final: LastLine, number: int) -> list[str]:
        """Return what a round's last line waits for: what it names; of `join()` all that no other task reads."""
        if final.refs or not isinstance(final, Join):
            return [self.box_of[id_] for id_ in final.refs if id_ in self.box_of]
        return self._unread(number)

    def _unread(self, number: int) -> list[str]:
        """Return the boxes of a round that no other box reads."""
        read = {one for one, _ in self.edges}
        return [key for key, band in self.bands.items() if band == number and key not in read]

    def _is_from_before(self, one: str, other: str) -> bool:
        """Whether what an edge brings was made in an earlier round, or by an earlier run."""
        return self.bands[one] != self.bands[other] or self.boxes[one].pale

    def _is_upward(self, edge: Edge) -> bool:
        """Whether an edge leads to an earlier round, which cannot show it anymore."""
        return self.bands[edge[0]] > self.bands[edge[1]]

    def _heads(self) -> dict[int, tuple[str, ...]]:
        """Return what the heads of the bands say; the first has none, because no joiner asked for it."""
        there = sorted(set(self.bands.values()))
        return {number: head_lines(number, self.scene.rounds[number].reason) for number in there[1:]}


def _between(pairs: Iterable[tuple[str, str]], box_of: Mapping[str, str]) -> dict[Edge, None]:
    """Return the edges between the boxes of pairs of tasks, each once; tasks in one box have none."""
    boxes = ((box_of[one], box_of[other]) for one, other in pairs if one in box_of and other in box_of)
    return dict.fromkeys((one, other) for one, other in boxes if one != other)


def _in_blocks(graph: Graph, closed: Collection[int], least: int) -> Graph:
    """Return a graph with blocks in the bands that are closed, each of at least so many rows."""
    bands = {key: band for key, band in graph.bands.items() if band in closed}
    boxes, owner = gather(graph.boxes, graph.edges, bands, least)

    def moved(pairs: Iterable[Edge]) -> dict[Edge, None]:
        return dict.fromkeys((owner[one], owner[other]) for one, other in pairs)

    valued = moved(edge for edge in graph.edges if edge not in graph.turns)
    return graph._replace(
        boxes=boxes,
        edges=tuple(moved(graph.edges)),
        bands={key: graph.bands[box.inner[0][0].key if box.kind == "block" else key] for key, box in boxes.items()},
        guards=frozenset(moved(graph.guards)),
        turns=frozenset(moved(graph.turns).keys() - valued),
        links=frozenset(moved(graph.links)),
        hidden=tuple(moved(graph.hidden)),
    )
