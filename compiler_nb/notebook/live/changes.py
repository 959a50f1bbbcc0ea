"""Changes of state as one short text, because most differ little from the one before.

A change is a letter: A for the first of `outcome.STATES` and so on, H for an attempt that failed and is tried again.
Then comes how far its task's number is from the one after the last change's, nothing if it is that one; then, after a
point, how many milliseconds later it was, nothing if it was at the same time. Numbers are hexadecimal, and the first
change counts from task 0 and time 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Change = tuple[int, int, int]
"""A task's number, the code of what changed, and when, in milliseconds since the run began."""


def pack(changes: Iterable[Change]) -> str:
    """Return changes as a text: "C.64CD-2.32" is that tasks 0 and 1 run from 100 ms on, and 0 ends 50 ms later."""
    parts = []
    due = at = 0
    for number, code, ms in changes:
        step = f"{number - due:x}" if number != due else ""
        later = f".{ms - at:x}" if ms != at else ""
        parts.append(f"{chr(65 + code)}{step}{later}")
        due, at = number + 1, ms
    return "".join(parts)
