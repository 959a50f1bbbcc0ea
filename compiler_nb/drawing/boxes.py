"""The boxes of a picture: what each says and holds, and how large it is."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from compiler_nb.outcome import State
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task, is_part, owner_of
from compiler_nb.text import TIMES, cut, visible

CELL, CELL_ROW = 12, 20
"""Pixels from one cell to the next, and cells in a row."""
BAR = 15
"""Least width of a bar, in cells."""
LABEL = 26
CALL, SHORT_CALL = 36, 24
"""Characters of a call, and of one in a picture of many boxes."""
LABEL_SIZE, CALL_SIZE, COUNT_SIZE = 13.0, 11.0, 11.5
PAD, MARK, LINE = 14.0, 26.0, 46.0
BLOCK_PAD, BLOCK_GAP = 14.0, 12.0
STACK: Final = 6.0
"""How far the boxes behind a stack show, right and below."""
EXTRA: Final = {"expr": 10.0, "fanout": STACK, "group": STACK}
URGENT: Final[tuple[State, ...]] = ("failed", "running", "ready", "waiting", "cancelled", "skipped", "done")
END, MORE = "\0end", "\0more"

Inside = Literal["cells", "shares", "bar"]
BoxKind = Literal["call", "expr", "fanout", "group", "block", "end", "more"]


@dataclass(frozen=True, slots=True)
class Box:
    """One thing to draw.

    key: its name in the layout; task: the task's id, "" if it is not one task; label, call: its two lines; count:
    the text in its corner; members: ids of the tasks that it represents, or of an expression's guarded calls; inside:
    what a stack shows of them: a cell for each, the shares of their states, or an empty bar of fixed size, which the
    page fills; inner: a block's boxes with their centres, from the block's top left corner; width, height: in pixels.
    """

    key: str
    kind: BoxKind
    task: str = ""
    label: str = ""
    call: str = ""
    count: str = ""
    members: tuple[str, ...] = ()
    inside: Inside = "cells"
    inner: tuple[tuple[Box, float, float], ...] = ()
    width: float = 0.0
    height: float = 0.0


def task_box(
    task: Task,
    items: Sequence[str] = (),
    calls: Sequence[Task] = (),
    *,
    inside: Inside = "cells",
    call: int = CALL,
    left_out: int = 0,
) -> Box:
    """Return the box of one task.

    items: ids of a fan-out's items once they are known; calls: the guarded calls of an expression, which are drawn
    within its box; call: characters of its call; left_out: items that failed, and that its value goes without.
    """
    generated = task.id.startswith("@") or is_part(task.id)
    tools = " or ".join(dict.fromkeys(each.tool for each in (task, *calls) if each.tool))
    label = cut(tools if generated and tools else task.id, LABEL)
    number = sum(not is_part(item) for item in items)
    many = f"{number - left_out:,} of {number:,}" if left_out else f"{number:,}"
    count = f"{TIMES} {many}" if items else f"{TIMES} n" if task.kind == "fanout" else ""
    members = tuple(items) or tuple(each.id for each in calls)
    shown: Inside = "cells" if calls else inside
    return sized(Box(task.id, task.kind, task.id, label, shorten_call(task, call, calls), count, members, shown))


def left_out(states: Mapping[str, State]) -> dict[str, tuple[int, int]]:
    """Return the fan-outs that are done without failed items, by id: how many failed, of how many."""
    done = {id_ for id_ in map(owner_of, states) if states.get(id_) == "done"}
    items = [(owner, state) for id_, state in states.items() if (owner := owner_of(id_)) in done and not is_part(id_)]
    lost = Counter(owner for owner, state in items if state != "done")
    every = Counter(owner for owner, _ in items)
    return {owner: (count, every[owner]) for owner, count in lost.items()}


def group_box(group: Sequence[Task], *, inside: Inside) -> Box:
    """Return the box of several tasks of one level and tool."""
    what = cut(group[0].tool or "expression", LABEL)
    ids = tuple(task.id for task in group)
    call = cut(f"{visible(ids[0][:LABEL])} … {visible(ids[-1][:LABEL])}", CALL)
    return sized(Box(f"\0{ids[0]}", "group", "", what, call, f"{TIMES} {len(ids):,}", ids, inside))


def sized(box: Box) -> Box:
    """Return the box with the size that its words and cells need."""
    if box.kind == "end":
        return replace(box, width=2.0 * math.ceil(text_width(box.label) / 2 + 16), height=30.0)
    corner = text_width(box.count, size=COUNT_SIZE) + 22 if box.count else 0.0
    words = MARK + max(text_width(box.label) + corner, text_width(box.call, mono=True, size=CALL_SIZE))
    filled = bool(box.members) or has_bar(box)
    columns = min(len(box.members), CELL_ROW) if box.inside == "cells" else 8 if box.inside == "shares" else BAR
    rows = math.ceil(len(box.members) / CELL_ROW) if box.inside == "cells" else 1
    left = 0.0 if is_stack(box) else MARK
    width = max(words, left + columns * CELL if filled else 0.0) + 2 * PAD + EXTRA.get(box.kind, 0.0)
    height = (LINE if box.call else 30.0) + (rows * CELL + 8 if filled else 0.0) + (STACK if is_stack(box) else 0.0)
    return replace(box, width=2.0 * math.ceil(width / 2), height=float(height))


def has_bar(box: Box) -> bool:
    """Whether a box holds a bar that a page fills."""
    return box.inside == "bar" and is_stack(box)


def is_stack(box: Box) -> bool:
    """Whether a box represents several tasks and is drawn as a stack."""
    return box.kind in ("fanout", "group")


def state_of(box: Box, states: Mapping[str, State]) -> State:
    """Return a task's state; for several tasks, the most urgent state that one of them has.

    While an expression waits for its guarded calls, theirs is shown; so is the failure of one. A line without a name
    is there for its calls alone: it was skipped if they all were.
    """
    if box.task:
        own = states.get(box.task, "waiting")
        inner = {states.get(id_, "waiting") for id_ in box.members} if box.kind == "expr" else set()
        if inner == {"skipped"} and box.task.startswith("@"):
            return "skipped"
        shown: tuple[State, ...] = ("failed", "running", "ready") if own == "waiting" else ("failed",)
        return next((state for state in shown if state in inner), own)
    held = {states.get(id_, "waiting") for id_ in box.members}
    return next((state for state in URGENT if state in held), "waiting")


def text_width(text: str, *, mono: bool = False, size: float = LABEL_SIZE) -> float:
    """Return about how many pixels a text takes, too many rather than too few."""
    if mono:
        return size * sum(0.61 * (1 + _is_wide(char)) for char in text)
    return size * sum(1.05 if _is_wide(char) else _PROPORTIONS.get(char, 0.72 if char.isupper() else 0.6)
                      for char in text)  # fmt: skip


_PROPORTIONS: Final = dict.fromkeys("ijlI.,:;'|!()[] ft", 0.36) | dict.fromkeys("mwMW@%", 0.95)


def _is_wide(char: str) -> bool:
    return char > "\u10ff" and unicodedata.east_asian_width(char) in "WF"
