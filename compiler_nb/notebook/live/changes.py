"""How frames carry what happened: rows, each sent once, and changes of state as one short text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Change = tuple[int, int, int]
"""A task's number, the code of what changed, and when, in milliseconds since the run began."""


class Told:
    """Lists that only grow, by their names in a frame. A frame says what was added since the last one."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, list[list[Any]]] = defaultdict(list)
        self._sent: dict[str, int] = {}

    def add(self, name: str, row: list[Any]) -> None:
        """Add a row to a list."""
        self._rows[name].append(row)

    def pending(self, name: str) -> list[list[Any]]:
        """Return the rows of a list that no frame has sent yet."""
        return self._rows[name][self._sent.get(name, 0) :]

    def news(self) -> dict[str, list[list[Any]]]:
        """Return the rows that no frame has sent yet, and count them as sent."""
        new = {name: pending for name in list(self._rows) if (pending := self.pending(name))}
        self._sent = {name: len(rows) for name, rows in self._rows.items()}
        return new

    def all(self) -> dict[str, list[list[Any]]]:
        """Return all rows."""
        return dict(self._rows)


def pack(changes: Iterable[Change]) -> str:
    """Return changes of state as a text, because most differ little from the one before.

    "C.64CD-2.32" is that tasks 0 and 1 run from 100 ms on, and 0 ends 50 ms later. A change is a letter: A for the
    first of `outcome.STATES` and so on, H for an attempt that failed and is tried again. Then comes how far its task's
    number is from the one after the last change's, nothing if it is that one; then, after a point, how many
    milliseconds later it was, nothing if it was at the same time. Numbers are hexadecimal, and the first change counts
    from task 0 and time 0.
    """
    parts = []
    due = at = 0
    for number, code, ms in changes:
        step = f"{number - due:x}" if number != due else ""
        later = f".{ms - at:x}" if ms != at else ""
        parts.append(f"{chr(65 + code)}{step}{later}")
        due, at = number + 1, ms
    return "".join(parts)
