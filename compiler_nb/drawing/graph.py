"""What a picture of a plan shows: boxes with their words and sizes, and the edges between them.

Up to FULL tasks each has a box of its own; above, those of one level and tool share one. Tasks that read the same and
are read by the same stand together in a block, so that a wide plan needs few arrows.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from compiler_nb.drawing.text import cut, shorten_call, shorten_final
from compiler_nb.plan.shape import children, levels, parents
from compiler_nb.plan.task import Join, Plan, Return, references

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compiler_nb.outcome import State
    from compiler_nb.plan.task import Final as FinalLine, Task

FULL: Final = 200
"""Most tasks that are drawn one by one."""
BOXES: Final = 110
"""Most boxes of a collapsed picture; what comes later is counted in one."""
BLOCK: Final = 9
"""Fewest tasks alike that make a block."""
CELLS: Final = 600
"""Most items and collapsed tasks that get a cell each; above, each box shows its states' shares."""
CELL, CELL_PITCH, CELLS_IN_ROW = 9, 12, 20
END: Final = "\0end"
MORE: Final = "\0more"
LABEL, CALL = 26, 32
ROW_HEIGHT, LINE_HEIGHT = 46.0, 16.0
PAD, MARK = 14.0, 26.0

Kind = Literal["call", "expr", "fanout", "group", "block", "end", "more"]


@dataclass(frozen=True, slots=True)
class Box:
    """One thing to draw.

    key: its name in the layout; task: the task's id, "" where it is none; label, call: its two lines;
    count: what stands in its corner; members: ids of the tasks that it holds as cells; inner: boxes of a block with
    the place of each one's centre; width, height: in pixels.
    """

    key: str
    kind: Kind
    task: str = ""
    label: str = ""
    call: str = ""
    count: str = ""
    members: tuple[str, ...] = ()
    inner: tuple[tuple[Box, float, float], ...] = ()
    width: float = 0.0
    height: float = ROW_HEIGHT


class Graph(NamedTuple):
    """Boxes by key, in the plan's order; edges between keys; whether the picture goes down or to the right."""

    boxes: Mapping[str, Box]
    edges: tuple[tuple[str, str], ...]
    down: bool


def text_width(text: str, *, mono: bool = False, size: float = 13.0) -> float:
    """Return about how many pixels a text takes, rather too many than too few."""
    if mono:
        return size * sum(0.61 * (1 + _wide(char)) for char in text)
    return size * sum(1.05 if _wide(char) else _PROPORTIONS.get(char, 0.72 if char.isupper() else 0.6) for char in text)


_PROPORTIONS: Final = {char: 0.34 for char in "ijlI.,:;'|!()[] ft"} | {char: 0.95 for char in "mwMW@%"}


def _wide(char: str) -> bool:
    return char > "\u10ff" and unicodedata.east_asian_width(char) in "WF"


def task_box(task: Task, items: Sequence[str] = ()) -> Box:
    """Return the box of one task; items: ids of a fan-out's items, once they are known."""
    label, call = cut(task.id, LABEL), shorten_call(task, CALL)
    if task.id.startswith("@") or "." in task.id:
        label = cut(task.tool or label, LABEL)
    count = f"× {len(items):,}" if items else "× n" if task.kind == "fanout" else ""
    return _sized(Box(task.id, task.kind, task.id, label, call, count, members=tuple(items)))


def _sized(box: Box) -> Box:
    mark = 0.0 if box.kind == "end" else MARK
    count = text_width(box.count, size=12) + 16 if box.count else 0.0
    words = max(text_width(box.label) + count, text_width(box.call, mono=True, size=11))
    columns = min(len(box.members), CELLS_IN_ROW)
    width = max(mark + words, MARK + columns * CELL_PITCH) + 2 * PAD
    rows = math.ceil(len(box.members) / CELLS_IN_ROW)
    height = ROW_HEIGHT if box.call else 34.0
    if box.members:
        height += 4 + rows * CELL_PITCH
    return _replace(box, width=math.ceil(max(width, 96.0 if box.kind != "end" else 60.0)), height=height)


def _replace(box: Box, **changes: Any) -> Box:
    from dataclasses import replace  # noqa: PLC0415

    return replace(box, **changes)
