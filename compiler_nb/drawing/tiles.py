"""The boxes of two plans as one graph: what each says of a task of both plans, or of one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from compiler_nb.drawing.boxes import CALL_SIZE, text_width
from compiler_nb.drawing.rows import Size, assign_rows
from compiler_nb.plan.matching import DiffKind, EdgeDiffKind, TaskDiff
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import line_of
from compiler_nb.text import TIMES, count_of, cut, visible

MINUS: Final = "\N{MINUS SIGN}"
LABEL, CALL, CORNER = 30, 46, 20
"""Characters of a box's name, of its other lines, and of the word in its corner."""
PAD, DISC, FIRST, LINE = 14.0, 26.0, 20.0, 16.0
"""Pixels: at the sides, for the mark, down to the first line, and from one line to the next."""
SHOWN: Final = 2
"""Changes of a task that its box shows; the others are counted."""
TITLE: Final = 600
CLIP: Final = 60
"""Most boxes of a collapsed picture; one more stands for the other tasks."""
TOLD: Final[Mapping[DiffKind, str]] = {
    "same": "the same", "renamed": "the same, renamed", "affected": "the same line, below a change",
    "changed": "changed", "added": "added", "dropped": "dropped",
}  # fmt: skip


class End(NamedTuple):
    """The last lines of a round's plans, "" if there is none, and the places of the tasks that they wait for."""

    number: int
    before: str
    after: str
    before_from: frozenset[int]
    after_from: frozenset[int]

    @property
    def kind(self) -> DiffKind:
        """What became of it."""
        if not self.before or not self.after:
            return "added" if self.after else "dropped"
        return "same" if self.before == self.after else "changed"


class Tile(NamedTuple):
    """One box: its kind, its lines, each with its class, the word in its corner, its hover text, its task and round.

    places: of the tasks that it shows; look: "task", "group" of tasks, or "last" for a last line.
    """

    kind: DiffKind
    lines: tuple[tuple[str, str], ...]
    title: str
    round: int
    corner: str = ""
    task: str = ""
    places: tuple[int, ...] = ()
    look: str = "task"

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        (_, label), *rest = self.lines
        corner = 16.0 + text_width(self.corner, size=11.0) if self.corner else 0.0
        words = [text_width(label) + corner, *(text_width(line, mono=True, size=CALL_SIZE) for _, line in rest)]
        return 2.0 * round((DISC + max(words)) / 2 + PAD + 1), FIRST + LINE * len(rest) + 10.0


def make_tiles(tasks: Sequence[TaskDiff], marks: Mapping[int, str]) -> list[Tile]:
    """Return a box for each task; guarded calls stand in the box of their line."""
    lines = {each.id: place for place, each in enumerate(tasks) if each.task.kind == "expr"}
    hosts: dict[int, list[int]] = defaultdict(list)
    for place, each in enumerate(tasks):
        host = lines.get(line_of(each.id)) if each.task.guard is not None and each.task.kind == "call" else None
        hosts[place if host is None else host].append(place)
    return [_tile(tasks, place, [one for one in held if one != place], marks) for place, held in sorted(hosts.items())]


def _tile(tasks: Sequence[TaskDiff], place: int, inner: Sequence[int], marks: Mapping[int, str]) -> Tile:
    each, calls = tasks[place], [tasks[one] for one in inner]
    kind = each.kind
    if kind not in ("added", "dropped") and {"changed", "added", "dropped"} & {call.kind for call in calls}:
        kind = "changed"
    corner = next((marks[one] for one in (*inner, place) if one in marks), "")
    call = shorten_call(each.task, CALL, [one.task for one in calls])
    lines = [("cnb-id", cut(each.names, LABEL)), *(_changed(each, calls) or [("cnb-call", call)])]
    title = [f"{visible(each.names)} · {TOLD[kind]}", shorten_call(each.task, TITLE, [one.task for one in calls])]
    title += [f"{change.part or 'line'}: {' → '.join(text or '(none)' for text in change.short(TITLE // 3))}"
              for one in (each, *calls) for change in one.changes]  # fmt: skip
    return Tile(kind, tuple(lines), cut_lines(title), each.round, cut(corner, CORNER), each.id, (place, *inner))


def _changed(each: TaskDiff, calls: Iterable[TaskDiff]) -> list[tuple[str, str]]:
    """Return the lines for what changed in a task: what was, and what is now."""
    changes = [change for one in (each, *calls) for change in one.changes]
    lines = []
    for change in changes[:SHOWN]:
        name = f"{cut(change.part, LABEL)}: " if change.part else ""
        before, after = change.short(CALL - len(name) - 2)
        lines += [("cnb-was", cut(f"{MINUS} {name}{before}", CALL))] if before else []
        lines += [("cnb-now", cut(f"+ {name}{after}", CALL))] if after else []
    more = len(changes) - SHOWN
    return [*lines, ("cnb-call", f"… {count_of(more, 'more change')}")] if more > 0 else lines


def cut_lines(lines: Iterable[str]) -> str:
    """Return lines as one bounded hover text."""
    return "\n".join(cut(line, TITLE) for line in lines)[: 3 * TITLE]


def gathered(
    tasks: Sequence[TaskDiff], tiles: Sequence[Tile], edges: Mapping[tuple[int, int], EdgeDiffKind]
) -> list[Tile]:
    """Return one box for those of one round, level, kind and tool, and one for all after the first CLIP."""
    shown_in = {place: number for number, tile in enumerate(tiles) for place in tile.places}
    pairs = {(str(shown_in[one]), str(shown_in[other])) for one, other in edges}
    levels = assign_rows([str(number) for number in range(len(tiles))], sorted(pairs))
    alike: dict[Hashable, list[Tile]] = defaultdict(list)
    for number, tile in enumerate(tiles):
        task = tasks[tile.places[0]].task
        alike[tile.round, levels[str(number)], tile.kind, task.kind, task.tool].append(tile)
    groups = list(alike.values())
    shown = [_group(tasks, group) for group in groups[:CLIP]]
    rest = [tile for group in groups[CLIP:] for tile in group]
    if rest:
        places = tuple(place for tile in rest for place in tile.places)
        words = f"… {len(rest):,} more tasks"
        shown.append(Tile("same", (("cnb-id", words),), words, rest[-1].round, places=places, look="group"))
    return shown


def _group(tasks: Sequence[TaskDiff], group: Sequence[Tile]) -> Tile:
    if len(group) == 1:
        return group[0]
    first, last = group[0], group[-1]
    tool = tasks[first.places[0]].task.tool or "expression"
    corners = Counter(tile.corner for tile in group if tile.corner)
    lines = [
        ("cnb-id", f"{cut(tool, LABEL)} {TIMES} {len(group):,}"),
        ("cnb-call", f"{cut(first.task, 17)} … {cut(last.task, 17)}"),
    ]
    lines += [("cnb-call", cut(f"{word}: {count:,}", CALL)) for word, count in sorted(corners.items())[:SHOWN]]
    title = f"{count_of(len(group), 'task')} · {TOLD[first.kind]}"
    places = tuple(place for tile in group for place in tile.places)
    return Tile(first.kind, tuple(lines), title, first.round, places=places, look="group")


def end_tile(end: End) -> Tile:
    """Return the box of the last lines of a round."""
    lines = [("cnb-id", "last line")]
    if end.kind == "changed":
        lines += [("cnb-was", cut(f"{MINUS} {end.before}", CALL)), ("cnb-now", cut(f"+ {end.after}", CALL))]
    else:
        lines += [("cnb-call", cut(end.after or end.before, CALL))]
    return Tile(end.kind, tuple(lines), f"last line · {TOLD[end.kind]}", end.number, look="last")
