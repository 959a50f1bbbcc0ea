"""The boxes of a picture: what each says and holds, and how large it is."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from compiler_nb.outcome import State
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task, is_part, owner_of
from compiler_nb.text import TIMES, cut, visible
from compiler_nb.trace import JOINER

CELL: Final = 12
"""Pixels from one cell to the next."""
BAR = 15
"""Least width of a bar, in cells."""
LABEL = 26
CALL = 32
"""Characters of a call."""
LABEL_SIZE, CALL_SIZE, HEAD_SIZE = 13.0, 11.0, 12.0
TIME_ROOM, COUNT_ROOM = 58.0, 118.0
"""Pixels beside a name for the time of a task, and for the count of a stack ("x 1,234 of 5,678")."""
PAD, MARK, LINE = 14.0, 26.0, 46.0
BAR_HIGH: Final = 8.0
"""Height of a stack's bar, in pixels."""
BLOCK_PAD, BLOCK_OVER = 14.0, 8.0
"""Pixels of a block's ground beside its boxes, and above and below them, where it takes no room."""
STACK: Final = 6.0
"""How far the boxes behind a stack stick out, right and below."""
EXTRA: Final = {"expr": 10.0, "fanout": STACK, "group": STACK}
URGENT: Final[tuple[State, ...]] = ("failed", "running", "ready", "waiting", "cancelled", "skipped", "done")
JOINER_ROOM: Final = 80.0
"""Pixels for a time inside a box that has no other place for it, on both sides of its label."""
END, MORE = "\0end", "\0more"

Inside = Literal["cells", "shares", "bar"]
BoxKind = Literal["call", "expr", "fanout", "group", "block", "end", "more"]


@dataclass(frozen=True, slots=True)
class Box:
    """One thing to draw.

    key: its name in the layout; task: the task's id, "" if it is not one task; label, call: its two lines; count:
    the text in its corner; members: ids of the tasks that it represents, or of an expression's guarded calls; inside:
    what a stack shows of them: a cell for each, the shares of their states, or an empty bar of fixed size, which the
    page fills; inner: a block's boxes with their centres, from the block's top left corner; band: the round of a last
    line; pale: whether an earlier run has performed it; width, height: in pixels.
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
    band: int = 0
    pale: bool = False
    width: float = 0.0
    height: float = 0.0


def task_box(
    task: Task,
    items: Sequence[str] = (),
    calls: Sequence[Task] = (),
    *,
    inside: Inside = "cells",
    left_out: int = 0,
) -> Box:
    """Return the box of one task.

    items: ids of a fan-out's items once they are known; calls: the guarded calls of an expression, which are drawn
    within its box; left_out: items that failed, and that its value goes without.
    """
    generated = task.id.startswith("@") or is_part(task.id)
    tools = " or ".join(dict.fromkeys(each.tool for each in (task, *calls) if each.tool))
    label = cut(tools if generated and tools else task.id, LABEL)
    number = sum(not is_part(item) for item in items)
    many = f"{number - left_out:,} of {number:,}" if left_out else f"{number:,}"
    count = f"{TIMES} {many}" if items else f"{TIMES} n" if task.kind == "fanout" else ""
    members = tuple(items) or tuple(each.id for each in calls)
    shown: Inside = "cells" if calls else inside
    return sized(Box(task.id, task.kind, task.id, label, shorten_call(task, CALL, calls), count, members, shown))


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


def end_key(number: int, rounds: int) -> str:
    """Return the key of the box of a round's last line; number: the round's, of so many."""
    return END if number == rounds - 1 else f"{END} {number}"


def end_box(key: str, label: str, band: int) -> Box:
    """Return the box of a round's last line; if a joiner may read it, it has room for a time."""
    box = sized(Box(key, "end", label=label, band=band))
    return box if label == "answer" else replace(box, width=2.0 * math.ceil(text_width(JOINER) / 2 + 16) + JOINER_ROOM)


def sized(box: Box) -> Box:
    """Return the box with the size that its words need; it does not change when items come or a time is known."""
    if box.kind == "end":
        return replace(box, width=2.0 * math.ceil(text_width(box.label) / 2 + 16), height=30.0)
    corner = COUNT_ROOM if is_stack(box) else TIME_ROOM if box.kind == "call" else 0.0
    words = MARK + max(text_width(box.label) + corner, text_width(box.call, mono=True, size=CALL_SIZE))
    filled = is_stack(box) or bool(box.members)
    columns = BAR if is_stack(box) else 8 if box.kind == "more" else len(box.members)
    width = max(words, (0.0 if is_stack(box) else MARK) + columns * CELL if filled else 0.0)
    height = (LINE if box.call else 30.0) + (CELL + 8 if filled else 0.0) + (STACK if is_stack(box) else 0.0)
    return replace(box, width=2.0 * math.ceil(width / 2 + PAD + EXTRA.get(box.kind, 0.0) / 2), height=float(height))


def has_bar(box: Box) -> bool:
    """Whether a box holds a bar that a page fills."""
    return box.inside == "bar" and is_stack(box)


def is_stack(box: Box) -> bool:
    """Whether a box represents several tasks and is drawn as a stack."""
    return box.kind in ("fanout", "group")


def state_of(box: Box, states: Mapping[str, State]) -> State:
    """Return a task's state, with that of its guarded calls; for several tasks, the most urgent one that they have."""
    if box.task:
        return shown_state(box.task, box.members if box.kind == "expr" else (), states)
    held = {states.get(id_, "waiting") for id_ in box.members}
    return next((state for state in URGENT if state in held), "waiting")


def shown_state(id_: str, calls: Iterable[str], states: Mapping[str, State]) -> State:
    """Return the state that a task shows, if the guarded calls of its line are drawn within its box.

    While the line waits for its calls, their state is shown; so is the failure of one of them. A line without a name is
    there for its calls alone: it was skipped if they all were.
    """
    own, inner = states.get(id_, "waiting"), {states.get(call, "waiting") for call in calls}
    if inner == {"skipped"} and id_.startswith("@"):
        return "skipped"
    shown: tuple[State, ...] = ("failed", "running", "ready") if own == "waiting" else ("failed",)
    return next((state for state in shown if state in inner), own)


def text_width(text: str, *, mono: bool = False, size: float = LABEL_SIZE) -> float:
    """Return about how many pixels a text takes, rather too many than too few."""
    if mono:
        return size * sum(0.61 * (1 + _is_wide(char)) for char in text)
    return size * sum(1.05 if _is_wide(char) else _PROPORTIONS.get(char, 0.85 if char.isupper() else 0.72)
                      for char in text)  # fmt: skip


def head_width(head: Iterable[str]) -> float:
    """Return about how many pixels the lines of a band's head take."""
    return max(text_width(line, size=HEAD_SIZE) for line in head)


_PROPORTIONS: Final = {
    char: width
    for chars, width in (
        ("ijlI'|", 0.38), (" .,:;!()[]ft/\\-", 0.48), ("rsz_", 0.6), ("mMW@%", 1.11), ("w", 0.93),
        ("+=<>~^#", 0.84),
    )
    for char in chars
}  # fmt: skip
"""Widths of characters in the widest of usual fonts (DejaVu Sans Bold), in the size of the font."""


def _is_wide(char: str) -> bool:
    return char > "\u10ff" and unicodedata.east_asian_width(char) in "WF"
