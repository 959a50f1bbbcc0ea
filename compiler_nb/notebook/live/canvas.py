"""The picture of a run as a page holds it: boxes added while the plan streams, and then the whole as laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from compiler_nb.drawing.live import Drawn, Sketch
from compiler_nb.plan.task import Task, line_of

FEW: Final = 200
"""Up to this many tasks get a box each when they come; the picture of more is drawn whole from time to time."""
AT_ONCE: Final = 24
"""If more tasks than this come at once and first, no boxes are sent: the whole picture follows at once."""


class Canvas:
    """What a page has been given to draw. `news` returns what is new, in the shape of a frame's `graph` (see `board`).

    stale: tasks have come since the whole was laid out, so that it has to be drawn again; due: that was begun.
    """

    def __init__(self) -> None:
        self.drawn: Drawn | None = None
        self.stale = self.due = False
        self.count = 0
        self._drawn_count = 0
        self._sketch = Sketch()
        self._waiting: list[tuple[int, Task]] = []  # for their boxes
        self._rounds: dict[str, tuple[int, str]] = {}  # of the tasks of later rounds: its number, and its reason
        self._guarded: list[tuple[int, Task]] = []  # calls that wait for the expression in whose box they are drawn
        self._whole: dict[str, Any] = {}
        self._pieces: dict[str, Any] = {}  # added since it was drawn whole
        self._new: dict[str, Any] = {}

    def add(self, number: int, task: Task, band: int = 0, reason: str = "") -> None:
        """Add a task. Its box is drawn with the next frame, because the run waits until this returns.

        band, reason: its round, from 0, and why the joiner asked for that.
        """
        self.count += 1
        if band:
            self._rounds[task.id] = (band, reason)
        self.stale = self.stale or self._is_collapsed
        self._waiting.append((number, task))

    @property
    def _is_collapsed(self) -> bool:
        """Whether tasks share boxes, because there are too many: then only the whole is drawn."""
        return self.count > FEW or bool(self.drawn and self.drawn.groups)

    def _draw_waiting(self) -> None:
        """Draw boxes for the tasks that have come, unless the whole picture follows."""
        first = self.drawn is None and not self._pieces
        if first and (self.stale or self.due) and AT_ONCE < len(self._waiting) <= FEW:
            return
        for number, task in () if self._is_collapsed else self._waiting:
            if task.guard is not None and task.kind == "call":
                self._guarded.append((number, task))  # its line comes next; if that is the plan's last, the whole does
            elif task.kind == "expr":
                self._draw(number, task, [call for _, call in self._guarded if line_of(call.id) == task.id])
                self._guarded.clear()
            else:
                for each in (*self._guarded, (number, task)):
                    self._draw(*each)
                self._guarded.clear()
        self._waiting.clear()

    def _draw(self, number: int, task: Task, calls: Sequence[Task] = ()) -> None:
        piece = self._sketch.add(task, calls, *self._rounds.get(task.id, ()))
        if piece is None:
            self.stale = True  # the whole is drawn anew, with this task
            return
        for graph in (self._new, self._pieces):
            graph.setdefault("boxes", []).append([number, piece.box])
            graph.setdefault("edges", []).extend(piece.edges)
            graph["bounds"] = list(piece.bounds)

    def claim(self) -> bool:
        """Return whether the whole has to be drawn and no thread has begun to; if so, the caller draws it."""
        claimed = self.stale and not self.due
        self.due = self.due or claimed
        return claimed

    def begin_drawing(self) -> None:
        """Note that the whole is being drawn."""
        self.stale, self.due, self._drawn_count = False, True, self.count

    def replace(self, drawn: Drawn | None, numbers: Mapping[str, int]) -> None:
        """Take a whole picture, or None if drawing failed. If tasks have come in the meantime it is stale at once.

        Later tasks find their places around what it shows.
        """
        self.due = False
        if drawn is None:
            return
        groups = [[numbers[id_] for id_ in members if id_ in numbers] for members in drawn.groups]
        self.drawn, self._pieces, self._sketch = drawn, {}, Sketch(drawn)
        self._waiting.clear()
        self._whole = {"svg": drawn.svg, "groups": groups}
        self._new = dict(self._whole)
        self.stale = self.stale or self.count > self._drawn_count

    def news(self) -> dict[str, Any]:
        """Return what is new since the last time."""
        self._draw_waiting()
        new, self._new = self._new, {}
        return {"graph": new} if new else {}

    def all(self) -> dict[str, Any]:
        """Return everything."""
        self._draw_waiting()
        return {"graph": self._whole | self._pieces}
